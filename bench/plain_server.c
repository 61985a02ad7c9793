/* The benchmark's ordinary server, which knows of no master: it binds, listens, and accepts until
 * nobody is left whenever its listener polls readable, as event loops do. It answers as
 * bench_worker does.
 *
 *     bench_plain PORT             alone on the port, behind a proxy, or under the preload library
 *     bench_plain PORT reuse-port  several of them on one port, each with a line of its own */
#include "serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void set_option(int listener, int option) {
    int on = 1;
    if (setsockopt(listener, SOL_SOCKET, option, &on, sizeof on) < 0)
        serve_die("setsockopt", errno);
}

static int listen_on(uint16_t port, bool reuse_port) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0)
        serve_die("socket", errno);
    set_option(listener, SO_REUSEADDR);
    if (reuse_port)
        set_option(listener, SO_REUSEPORT);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(listener, 511) < 0)
        serve_die("listen", errno);
    return listener;
}

static void take(int poll, int listener) {
    int client;
    while ((client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
        serve_client(poll, client);
    if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
        serve_die("accept", errno);
}

int main(int argc, char **argv) {
    serve_prepare();
    bool reuse_port = argc == 3 && strcmp(argv[2], "reuse-port") == 0;
    if (argc != 2 && !reuse_port) {
        fprintf(stderr, "usage: bench_plain PORT [reuse-port]\n");
        return 2;
    }
    serve_run(listen_on((uint16_t)atoi(argv[1]), reuse_port), take);
}
