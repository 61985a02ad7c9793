/* Where a program may be when it binds: without its environment, in another root directory, as
 * another user, in a signal handler, in a child, with nearly no descriptor left. */
#include "oracle.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY    65534
#define LISTENERS 4

/* Binds, listens and serves a client: ok, or the name of what went wrong. */
static int serve_at(const struct address *address) {
    int listener = reusing_socket(address->any.sa_family);

    if (bind_to(listener, address) < 0 || listen(listener, 8) < 0)
        return -1;
    errno = ECHILD; /* nothing that a socket says */
    return serves(listener) ? 0 : -1;
}

static struct address address; /* for what can be given no argument */

static int serve(int unused) {
    (void)unused;
    return serve_at(&address);
}

static int serve_without_environment(int unused) {
    clearenv();
    return serve(unused);
}

static int serve_in_other_root(int unused) {
    return chroot("/proc/self/fdinfo") < 0 ? -1 : serve(unused);
}

static int serve_as_nobody(int unused) {
    return setgid(NOBODY) < 0 || setuid(NOBODY) < 0 ? -1 : serve(unused);
}

static int serve_in_other_session(int unused) {
    return setsid() < 0 ? -1 : serve(unused);
}

static int serve_after_closing_all(int unused) {
    return close_range(0, ~0u, 0) < 0 ? -1 : serve(unused);
}

static int serve_in_grandchild(int unused) {
    pid_t child = must(fork());

    if (child == 0)
        _exit(serve(unused) < 0 ? errno : 0);
    errno = exit_code_of(child);
    return errno ? -1 : 0;
}

static int bind_with_full_table(int unused) {
    const struct rlimit few = {.rlim_cur = 32, .rlim_max = 32};
    int listener = reusing_socket(AF_INET);

    (void)unused;
    must(setrlimit(RLIMIT_NOFILE, &few));
    while (dup(STDIN_FILENO) >= 0)
        continue;
    return bind_to(listener, &address);
}

static void try_context(const char *observation, int (*call)(int)) {
    address = fresh_address("127.0.0.1");
    say_in_child(observation, call, 0);
}

/* --- threads and signals --- */

static void *serve_in_thread(void *own) {
    return serve_at(own) == 0 ? own : NULL;
}

static void observe_threads(void) {
    struct address addresses[LISTENERS];
    pthread_t threads[LISTENERS];
    int served = 0;

    for (int i = 0; i < LISTENERS; i++) {
        addresses[i] = fresh_address("127.0.0.1");
        must(-pthread_create(&threads[i], NULL, serve_in_thread, &addresses[i]));
    }
    for (int i = 0; i < LISTENERS; i++) {
        void *result = NULL;

        pthread_join(threads[i], &result);
        served += result != NULL;
    }
    say("threads", "%d", served);
}

static int in_handler = -1;

static void serve_in_handler(int number) {
    in_handler = serve(number);
}

static void observe_signal_handler(void) {
    address = fresh_address("127.0.0.1");
    signal(SIGUSR2, serve_in_handler);
    raise(SIGUSR2);
    say("signal_handler", "%d", in_handler);
}

/* --- a program that is started without an environment --- */

static void observe_empty_environment(void) {
    struct address own = fresh_address("127.0.0.1");
    char number[16], program[] = "/proc/self/exe", mode[] = "accept";
    char *arguments[] = {program, mode, number, NULL}, *none[] = {NULL};
    int listener = listening_at(&own), client = client_of(&own);
    pid_t child;

    snprintf(number, sizeof number, "%d", listener);
    must(-posix_spawn(&child, program, NULL, NULL, arguments, none));
    say("exec_without_environment", "%d", exit_code_of(child));
    close_both(client, listener);
}

void observe_contexts(void) {
    try_context("child", serve);
    try_context("grandchild", serve_in_grandchild);
    try_context("environment_cleared", serve_without_environment);
    try_context("other_root", serve_in_other_root);
    try_context("nobody", serve_as_nobody);
    try_context("other_session", serve_in_other_session);
    try_context("all_closed", serve_after_closing_all);
    try_context("full_table", bind_with_full_table);
    observe_threads();
    observe_signal_handler();
    observe_empty_environment();
}
