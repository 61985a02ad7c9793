/* The built-in HTTP worker, `baton serve DIRECTORY`: a directory's files, and a few answers made
 * for experiments (serve_experiments.h).
 *
 * It gets its clients through libbaton, so it works under a master and standing alone. It ends with
 * SIGTERM, SIGINT, or when the master sends no more clients: open requests are answered with
 * "Connection: close", connections without a request are closed after a short grace. */
#ifndef BATON_WORKER_SERVE_H
#define BATON_WORKER_SERVE_H

#include <stdbool.h>
#include <stdint.h>

#define SERVE_DEFAULT_PORT 8080

struct serve_options {
    const char *directory; /* whose files are served */
    const char *host;      /* numeric address; NULL: all, dual stack */
    uint16_t port;         /* 0: any free one */
    const char *unix_path; /* a Unix socket instead of host and port; NULL: none */
    bool single_page;      /* index.html for what is not there, as one-page applications want it */
};

/* Serves until told to end. Without a master it prints "listening on http://HOST:PORT …" to
 * standard error once clients may connect. Ignores SIGPIPE from then on. Returns the exit code: 0
 * after a drain, 1 when it could not start (one line on standard error says why), 128 + N when a
 * second signal N cut the drain short. */
int serve_main(const struct serve_options *options);

#endif
