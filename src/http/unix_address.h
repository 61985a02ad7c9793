/* The address of a Unix socket, also where its path is longer than an address holds (107 bytes). */
#ifndef BATON_HTTP_UNIX_ADDRESS_H
#define BATON_HTTP_UNIX_ADDRESS_H

#include <sys/un.h>

/* A path that is too long is reached through its directory, which is opened for it: *ret_directory
 * must stay open until bind(2) or connect(2) has returned, and be closed then; -1 when nothing was
 * opened. 0 or a negative errno; -ENAMETOOLONG for a file name that is too long even so. */
int unix_address_set(struct sockaddr_un *address, const char *path, int *ret_directory);

#endif
