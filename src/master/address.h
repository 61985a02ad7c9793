/* Socket addresses as text. */
#ifndef BATON_MASTER_ADDRESS_H
#define BATON_MASTER_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define ADDRESS_TEXT_MAX 128

/* "127.0.0.1:8080", "[::]:8080", a path, "@name" for an abstract Unix socket, "unix" for one
 * without a name. */
void address_describe(const struct sockaddr *address, socklen_t length,
                      char text[ADDRESS_TEXT_MAX]);

/* Reads "PORT" (all addresses of both families), "1.2.3.4:PORT", "[::1]:PORT" or the absolute path
 * of a Unix socket. 0 or UV_EINVAL. */
int address_parse(const char *text, struct sockaddr_storage *ret_address, socklen_t *ret_length);

/* The port in host order, 0 where there is none. */
uint16_t address_port(const struct sockaddr *address);

/* Whether two sockets of one type cannot be bound to both: the same port and host, where one of all
 * addresses is every host, or the same path or name. */
bool address_overlaps(const struct sockaddr *one, socklen_t one_length,
                      const struct sockaddr *other, socklen_t other_length);

#endif
