/* The preload library's requests to the master (see native_protocol.h), each on a connection of its
 * own, so that threads, forks and programs that close all descriptors need no care.
 *
 * What the environment says is read once, when the library is loaded, as programs change or
 * overwrite it later; or at the first call, if that comes earlier. */
#ifndef BATON_WORKER_PRELOAD_MASTER_H
#define BATON_WORKER_PRELOAD_MASTER_H

#include "ipc/native_protocol.h"

#include <stdbool.h>

#define PRELOAD_REPLY_DESCRIPTORS 2

/* A reply and its descriptors, close-on-exec, which are the caller's; -1 where none came. */
struct preload_answer {
    struct native_reply reply;
    int descriptors[PRELOAD_REPLY_DESCRIPTORS];
};

/* Whether this process is a worker. If not, the library does nothing. */
bool preload_has_master(void);

/* Whether it is a Node worker with a channel to the master. */
bool preload_is_node(void);

/* Sends one request, of which the caller fills in what its type names, with a descriptor or -1, and
 * waits for the answer, at most 10 s. 0, or a negative errno, and then there are no descriptors to
 * close: the master's; -ETIMEDOUT; -EMFILE and others for want of a descriptor; -EADDRNOTAVAIL when
 * there is no master, for then there is no address to be had. */
int preload_ask_master(struct native_request *request, int descriptor,
                       struct preload_answer *ret_answer);

/* Sends CHECK and does not wait for the answer. */
void preload_tell_closed(uint32_t listener);

void preload_close_descriptors(struct preload_answer *answer);

#endif
