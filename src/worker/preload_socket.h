/* What a descriptor is, for the preload library.
 *
 * The kernel knows: an accept socket's own name is a struct native_name, and one on which the
 * program has not called listen(2) yet has SO_BROADCAST set, which means nothing to either kind.
 * Both hold in every process and at every number that the socket is reached by.
 *
 * The hints spare us from asking. They are kept by descriptor number and may be wrong at any time,
 * as dup2, fork, receiving descriptors and closing by syscall(2) are not seen. So a hint may only
 * be acted upon where the kernel's answer to the next call shows that it was wrong. Plain bytes
 * without locks: any thread, signal handler or vfork child may read and write them. */
#ifndef BATON_WORKER_PRELOAD_SOCKET_H
#define BATON_WORKER_PRELOAD_SOCKET_H

#include "ipc/native_protocol.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

enum preload_hint {
    PRELOAD_UNKNOWN,   /* nothing is known */
    PRELOAD_FOREIGN,   /* no accept socket */
    PRELOAD_ACCEPT,    /* an accept socket, listening or not */
    PRELOAD_LISTENING, /* an accept socket that listens */
};

enum preload_hint preload_hint(int descriptor);
void preload_set_hint(int descriptor, enum preload_hint hint);

/* What getsockname answers as the length of an accept socket's name. */
#define PRELOAD_NAME_LENGTH                                                                        \
    ((socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof(struct native_name)))

/* Asks the kernel, and sets the hint: true and the name when it is an accept socket. */
bool preload_read_name(int descriptor, struct native_name *ret_name);

/* As above, of what getsockname or getpeername answered. */
bool preload_parse_name(const struct sockaddr_un *address, socklen_t length,
                        struct native_name *ret_name);

/* As preload_read_name(); false without a system call when the hint says foreign. For calls that
 * would go unnoticed to the wrong socket. */
bool preload_is_accept_socket(int descriptor, struct native_name *ret_name);

/* Of an accept socket: whether listen(2) was called, and noting that it was, or no longer is. */
bool preload_is_listening(int descriptor);
void preload_set_listening(int descriptor, bool listening);

/* Hands out an address as accept(2) does: cut to the room of *length, which becomes the whole
 * length. An address of length 0 is that of an unnamed Unix socket. */
void preload_store_address(const uint8_t *bytes, uint32_t size, void *address, socklen_t *length);

void preload_copy(void *to, const void *from, size_t size);
void preload_clear(void *bytes, size_t size);

#endif
