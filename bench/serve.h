/* What the benchmark's C servers have in common: clients in an epoll set, each request answered
 * with the same few bytes. Where clients come from is the program's own matter. */
#ifndef BATON_BENCH_SERVE_H
#define BATON_BENCH_SERVE_H

#include <stdnoreturn.h>

/* Takes what waits at `source`, which polls readable, and gives each client to serve_client(). */
typedef void serve_take(int poll, int source);

/* Prints "PROGRAM: WHAT: the error's text" and exits with 1. */
noreturn void serve_die(const char *what, int error);

/* To be called first in main(). With BENCH_STAMPS in the environment it appends a line "pid
 * nanoseconds" to that file, the monotonic time of the call; and it raises the limit of open
 * descriptors. */
void serve_prepare(void);

/* A client's non-blocking descriptor, from now on the epoll set's. */
void serve_client(int poll, int descriptor);

/* Never returns. */
noreturn void serve_run(int source, serve_take *take);

#endif
