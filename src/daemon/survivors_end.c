/* The happy path: each survivor gets SIGINT at the start, and is looked at every 20 ms until it has
 * gone, and with treekill the rest of its session, too. It can fail when one may not be signalled,
 * or does not end even by SIGKILL: it is counted, and its record stays for the next daemon. */
#include "base/clock.h"
#include "base/text.h"
#include "daemon/survivors.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS  20
#define DEATH_MS 5000 /* after SIGKILL */

enum step {
    STEP_ASKED,  /* has got SIGINT */
    STEP_KILLED, /* has got SIGKILL */
    STEP_OVER,
};

struct survivors_end_one {
    struct survivor who; /* without the name */
    int process;         /* a descriptor of it; -1: has ended */
    enum step step;
    uint64_t until; /* the time of the next step */
    uint64_t asked; /* in ticks since the boot: who is older is no stranger */
};

static int open_process(pid_t pid) {
    long descriptor = syscall(SYS_pidfd_open, pid, 0);

    return descriptor < 0 ? uv_translate_sys_error(errno) : (int)descriptor;
}

static int signal_process(int process, int number) {
    return syscall(SYS_pidfd_send_signal, process, number, NULL, 0) < 0
               ? uv_translate_sys_error(errno)
               : 0;
}

static bool has_ended(int process) {
    struct pollfd question = {.fd = process, .events = POLLIN};

    return poll(&question, 1, 0) == 1;
}

/* Opened first and compared then: the number cannot have changed hands in between. UV_ESRCH when it
 * is another's now. */
static int open_survivor(const struct survivor *who) {
    int process = open_process(who->pid);
    uint64_t started;

    if (process < 0)
        return process;
    if (survivor_started(who->pid, &started) == 0 && started == who->started)
        return process;
    close(process);
    return UV_ESRCH;
}

static uint64_t now_ticks(void) {
    uint64_t second = (uint64_t)sysconf(_SC_CLK_TCK);
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * second + (uint64_t)now.tv_nsec * second / 1000000000u;
}

/* Signals one process of a session, by a descriptor of it. */
static bool signal_member(pid_t pid, pid_t session, uint64_t before, int number) {
    int process = open_process(pid);
    uint64_t started;
    bool is_member;

    if (process < 0)
        return false;
    is_member = getsid(pid) == session && survivor_started(pid, &started) == 0 && started <= before;
    if (is_member && number != 0)
        (void)signal_process(process, number); /* it may have ended: then it is not found again */
    close(process);
    return is_member;
}

/* How many other processes of the session there are that began before; each gets the signal, 0:
 * none. A session's number is used again only when nobody is left in it; whoever is in a later one
 * of that number began later. */
static unsigned signal_session(const struct survivors_end_one *one, int number) {
    pid_t session = one->who.pid;
    DIR *directory = opendir("/proc");
    const struct dirent *entry;
    unsigned count = 0;
    int64_t pid;

    if (!directory)
        return 0;
    while ((entry = readdir(directory)))
        if (text_to_number(entry->d_name, 2, INT_MAX, &pid) == 0 && pid != session &&
            getsid((pid_t)pid) == session)
            count += signal_member((pid_t)pid, session, one->asked, number);
    closedir(directory);
    return count;
}

static void finish(struct survivors_end *end, struct survivors_end_one *one, bool failed) {
    if (one->process >= 0)
        close(one->process);
    one->process = -1;
    one->step = STEP_OVER;
    if (failed)
        end->failed++;
    else
        survivor_forget(end->home, one->who.pid);
}

/* To the worker, if it has not ended yet, and to the rest of its session. */
static int signal_one(struct survivors_end_one *one, int number) {
    int result = one->process < 0 ? 0 : signal_process(one->process, number);

    if (result == 0 && one->who.treekill)
        signal_session(one, number);
    return result == UV_ESRCH ? 0 : result;
}

static void ask(struct survivors_end *end, struct survivors_end_one *one, uint64_t now) {
    one->process = open_survivor(&one->who);
    one->asked = now_ticks();
    one->until = now + one->who.kill_timeout_ms;
    if (one->process < 0) {
        finish(end, one, one->process != UV_ESRCH);
        return;
    }
    if (signal_one(one, SIGINT) < 0)
        finish(end, one, true);
}

static bool is_gone(struct survivors_end_one *one) {
    if (one->process >= 0 && has_ended(one->process)) {
        close(one->process);
        one->process = -1;
    }
    return one->process < 0 && (!one->who.treekill || signal_session(one, 0) == 0);
}

static void look(struct survivors_end *end, struct survivors_end_one *one, uint64_t now) {
    if (one->step == STEP_OVER)
        return;
    if (is_gone(one)) {
        finish(end, one, false);
        return;
    }
    if (now < one->until)
        return;
    if (one->step == STEP_KILLED || signal_one(one, SIGKILL) < 0) {
        finish(end, one, true);
        return;
    }
    one->step = STEP_KILLED;
    one->until = now + DEATH_MS;
}

static void on_timer(uv_timer_t *timer) {
    struct survivors_end *end = timer->data;
    uint64_t now = clock_ms();
    size_t left = 0;

    for (size_t i = 0; i < end->count; i++) {
        look(end, &end->ones[i], now);
        left += end->ones[i].step != STEP_OVER;
    }
    if (left > 0)
        return;
    uv_timer_stop(timer);
    end->on_done(end->owner, end->failed);
}

int survivors_end_start(struct survivors_end *end, uv_loop_t *loop, const char *home,
                        const struct survivors *survivors,
                        void (*on_done)(void *owner, size_t failed), void *owner) {
    uint64_t now = clock_ms();

    *end = (struct survivors_end){
        .home = strdup(home),
        .ones = calloc(survivors->count + 1, sizeof *end->ones),
        .count = survivors->count,
        .on_done = on_done,
        .owner = owner,
    };
    if (!end->home || !end->ones) {
        free(end->home);
        free(end->ones);
        return UV_ENOMEM;
    }
    uv_timer_init(loop, &end->timer);
    end->timer.data = end;
    for (size_t i = 0; i < end->count; i++) {
        end->ones[i].who = survivors->items[i];
        end->ones[i].who.name = NULL;
        ask(end, &end->ones[i], now);
    }
    uv_timer_start(&end->timer, on_timer, 0, LOOK_MS);
    return 0;
}

static void on_timer_closed(uv_handle_t *handle) {
    struct survivors_end *end = handle->data;

    for (size_t i = 0; i < end->count; i++)
        if (end->ones[i].process >= 0)
            close(end->ones[i].process);
    free(end->ones);
    free(end->home);
    if (end->on_closed)
        end->on_closed(end->owner);
}

void survivors_end_close(struct survivors_end *end, void (*on_closed)(void *owner)) {
    end->on_closed = on_closed;
    uv_close((uv_handle_t *)&end->timer, on_timer_closed);
}
