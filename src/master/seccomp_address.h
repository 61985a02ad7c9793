/* The addresses that a system call's second and third argument point to, in the caller's memory.
 * The calls are those of seccomp_call.h; what is said there of callers that are gone holds here. */
#ifndef BATON_MASTER_SECCOMP_ADDRESS_H
#define BATON_MASTER_SECCOMP_ADDRESS_H

#include "ipc/native_protocol.h"
#include "master/seccomp_call.h"

#include <stdbool.h>
#include <stdint.h>

/* Where accept() and getsockname() want an address. */
struct seccomp_address_place {
    uint64_t address; /* in the caller */
    uint64_t length;  /* in the caller, where its length is */
    int32_t room;     /* the length that the caller has there */
};

/* The address that bind() was called with, into the request. False when it is no whole Internet
 * address with a port, or cannot be read: then the kernel knows best what to say. */
bool seccomp_address_read(const struct seccomp_call *call, struct native_request *request);

/* 0 with *ret_place, UV_EFAULT, or UV_EINVAL for a negative length, as the kernel would say. */
int seccomp_address_find(const struct seccomp_call *call, struct seccomp_address_place *ret_place);

/* Cuts the address off at the room there is, and tells its whole length. 0, UV_EFAULT, or UV_ENOENT
 * when the caller does not wait any more. */
int seccomp_address_write(const struct seccomp_call *call,
                          const struct seccomp_address_place *place, const void *address,
                          uint32_t length);

/* After a write, when the call could not be answered: an interrupted accept() may be made again
 * with the length that stands there. */
void seccomp_address_restore_length(const struct seccomp_call *call,
                                    const struct seccomp_address_place *place);

#endif
