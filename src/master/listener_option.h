/* Socket options of a listener's socket, for workers that think it is theirs.
 *
 * An option that is set applies to the shared socket, and accepted sockets inherit it. Options
 * whose values are pointers are refused, for these would be looked for in our memory. SO_LINGER
 * with a time is only kept here: clients would inherit it, and our own close of a client could be
 * the last and wait for that time. */
#ifndef BATON_MASTER_LISTENER_OPTION_H
#define BATON_MASTER_LISTENER_OPTION_H

#include "ipc/native_protocol.h"
#include "master/listener.h"

#include <sys/types.h>

/* As getsockopt(2): the value goes into the reply. 0 or a UV_E*. */
int listener_get_option(const struct listener *listener, const struct native_request *request,
                        struct native_reply *reply);

/* As setsockopt(2), with no more rights than user `uid` has. 0 or a UV_E*. */
int listener_set_option(struct listener *listener, const struct native_request *request, uid_t uid);

#endif
