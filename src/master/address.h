/* Socket addresses as text. */
#ifndef BATON_MASTER_ADDRESS_H
#define BATON_MASTER_ADDRESS_H

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

#endif
