/* The control API on TCP, for those who ask for it: on a loopback address alone. Every user of the
 * machine and every page in a browser on it can connect there, so (RELIABILITY: security) a request
 * must be for this very address (Host), must not come from another site's page (Origin), and must
 * bring the token to change anything. Nothing here needs the loop. */
#ifndef BATON_DAEMON_CONTROL_TCP_H
#define BATON_DAEMON_CONTROL_TCP_H

#include "http/request.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#define CONTROL_TCP_TOKEN_SIZE 65 /* 64 hexadecimal digits and a NUL */

struct control_tcp_address {
    struct sockaddr_storage address;
    socklen_t length;
    char port[8];
    char text[64]; /* "127.0.0.1:9700" */
};

/* "9700", "127.0.0.1:9700", "localhost:9700" or "[::1]:9700": false for everything else. */
bool control_tcp_parse(const char *text, struct control_tcp_address *ret_address);

/* A non-blocking listener, or a UV_E*. */
int control_tcp_listen(const struct control_tcp_address *address);

/* Reads the token in the file, which is made (0600) if it is not there. 0; UV_EPERM when others may
 * read it or it is not ours; UV_EINVAL when no token is in it; any other UV_E*. */
int control_tcp_token(const char *path, char token[CONTROL_TCP_TOKEN_SIZE]);

/* Whether the request is meant for this port of a loopback address. */
bool control_tcp_check_host(const struct http_request *request, const char *port);

/* Whether it comes from a page of this very address, or from no page. */
bool control_tcp_check_origin(const struct http_request *request);

/* Whether it has "Authorization: Bearer TOKEN". Takes the same time for every wrong one. */
bool control_tcp_check_token(const struct http_request *request,
                             const char token[CONTROL_TCP_TOKEN_SIZE]);

#endif
