/* The happy path: each survivor gets SIGINT at the start, or when the rest may end, and is looked
 * at every 50 ms until it has gone, and with treekill the rest of its session, too. It can fail
 * when one may not be signalled, or does not end even by SIGKILL: it is counted, and its note stays
 * for the next daemon.
 *
 * All processes of the machine are gone through once in each look, by the system calls readdir and
 * getsid alone. */
#include "base/clock.h"
#include "base/text.h"
#include "daemon/home.h"
#include "daemon/survivors.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS  50
#define DEATH_MS 5000 /* after SIGKILL */

enum step {
    STEP_SPARED, /* serves whoever has connected */
    STEP_ASKED,  /* has got its kill_signal */
    STEP_KILLED, /* has got SIGKILL */
    STEP_OVER,
};

#define OUTPUTS 2 /* standard output and error */

struct survivors_end_one {
    struct worker_note who;
    int process; /* a descriptor of it; -1: has ended */
    enum step step;
    uint64_t until;       /* the time of the next step */
    uint64_t asked;       /* in ticks since the boot: who is older is no stranger */
    int number;           /* the signal that the rest of its session is to get; 0: none */
    bool failed;          /* STEP_OVER, and it lives */
    unsigned members;     /* others in its session, at the last look */
    int outputs[OUTPUTS]; /* where its pipes are read; -1: none */
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
static int open_survivor(const struct worker_note *who) {
    int process = open_process(who->pid);
    uint64_t started;

    if (process < 0)
        return process;
    if (worker_note_started(who->pid, &started) == 0 && started == who->started)
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
    is_member =
        getsid(pid) == session && worker_note_started(pid, &started) == 0 && started <= before;
    if (is_member && number != 0)
        (void)signal_process(process, number); /* it may have ended: then it is not found again */
    close(process);
    return is_member;
}

static void visit_member(struct survivors_end *end, pid_t pid, pid_t session) {
    for (size_t i = 0; i < end->count; i++) {
        struct survivors_end_one *one = &end->ones[i];

        if (one->who.pid == session && one->step != STEP_OVER && one->step != STEP_SPARED &&
            one->who.treekill)
            one->members += signal_member(pid, session, one->asked, one->number);
    }
}

/* Counts the other processes of each session that began before it was asked to end, and signals
 * them. A session's number is used again only when nobody is left in it; whoever is in a later one
 * of that number began later. */
static void visit_sessions(struct survivors_end *end) {
    DIR *directory = opendir("/proc");
    const struct dirent *entry;
    int64_t pid;

    for (size_t i = 0; i < end->count; i++)
        end->ones[i].members = 0;
    while (directory && (entry = readdir(directory))) {
        pid_t session =
            text_to_number(entry->d_name, 2, INT_MAX, &pid) == 0 ? getsid((pid_t)pid) : -1;

        if (session > 0 && session != pid)
            visit_member(end, (pid_t)pid, session);
    }
    for (size_t i = 0; i < end->count; i++)
        end->ones[i].number = 0;
    if (directory)
        closedir(directory);
}

/* --- what they print --- */

/* The pipes have no reader any more, but for their own copies of our ends. */
static void open_outputs(struct survivors_end_one *one) {
    for (int i = 0; i < OUTPUTS; i++) {
        struct stat status;
        char path[64];
        int output;

        snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)one->who.pid, STDOUT_FILENO + i);
        one->outputs[i] = -1;
        if (stat(path, &status) < 0 || !S_ISFIFO(status.st_mode))
            continue;
        output = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        one->outputs[i] = output;
    }
}

static void read_outputs(const struct survivors_end_one *one) {
    char bytes[65536];

    for (int i = 0; i < OUTPUTS; i++)
        if (one->outputs[i] >= 0 && read(one->outputs[i], bytes, sizeof bytes) < 0)
            continue; /* nothing to read */
}

static void close_one(struct survivors_end_one *one) {
    for (int i = 0; i < OUTPUTS; i++) {
        if (one->outputs[i] >= 0)
            close(one->outputs[i]);
        one->outputs[i] = -1;
    }
    if (one->process >= 0)
        close(one->process);
    one->process = -1;
}

/* --- their end --- */

/* Nobody of whom the note tells is left. */
static bool is_last(const struct survivors_end *end, const struct survivors_end_one *one) {
    for (size_t i = 0; i < end->count; i++)
        if (&end->ones[i] != one && strcmp(end->ones[i].who.token, one->who.token) == 0 &&
            (end->ones[i].step != STEP_OVER || end->ones[i].failed))
            return false;
    return true;
}

static void finish(struct survivors_end *end, struct survivors_end_one *one, bool failed) {
    close_one(one);
    one->step = STEP_OVER;
    one->failed = failed;
    end->failed += failed;
    if (!failed && end->notes >= 0 && is_last(end, one))
        worker_note_remove(end->notes, one->who.token);
}

/* To the worker, if it has not ended yet; the rest of its session gets it in this look. */
static int signal_one(struct survivors_end_one *one, int number) {
    int result = one->process < 0 ? 0 : signal_process(one->process, number);

    one->number = number;
    return result == UV_ESRCH ? 0 : result;
}

static void ask(struct survivors_end *end, struct survivors_end_one *one, uint64_t now) {
    one->step = STEP_ASKED;
    one->asked = now_ticks();
    one->until = now + one->who.kill_timeout_ms;
    if (signal_one(one, one->who.kill_signal) < 0)
        finish(end, one, true);
}

static void note_death(struct survivors_end_one *one) {
    if (one->process >= 0 && has_ended(one->process)) {
        close(one->process);
        one->process = -1;
    }
}

/* One that ended by itself may have left others in its session. */
static void look(struct survivors_end *end, struct survivors_end_one *one, uint64_t now) {
    read_outputs(one);
    note_death(one);
    if (one->step == STEP_SPARED) {
        if (end->rest || one->who.listens || one->process < 0)
            ask(end, one, now);
        return;
    }
    if (one->process < 0 && one->members == 0) {
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

    for (size_t i = 0; i < end->count; i++)
        if (end->ones[i].step != STEP_OVER)
            look(end, &end->ones[i], now);
    visit_sessions(end);
    for (size_t i = 0; i < end->count; i++)
        left += end->ones[i].step != STEP_OVER;
    if (left > 0)
        return;
    uv_timer_stop(timer);
    end->on_done(end->owner, end->failed);
}

/* Whoever has ended since it was found is nobody. */
static void take(struct survivors_end *end, const struct worker_note *note) {
    struct survivors_end_one *one = &end->ones[end->count++];

    *one = (struct survivors_end_one){.who = *note, .step = STEP_SPARED};
    one->process = open_survivor(note);
    open_outputs(one);
    if (one->process < 0)
        finish(end, one, one->process != UV_ESRCH);
}

int survivors_end_start(struct survivors_end *end, const struct survivors_end_options *options) {
    const struct survivors *survivors = options->survivors;
    char path[HOME_FILE_MAX];

    *end = (struct survivors_end){
        .ones = calloc(survivors->count + 1, sizeof *end->ones),
        .on_done = options->on_done,
        .owner = options->owner,
    };
    if (!end->ones)
        return UV_ENOMEM;
    snprintf(path, sizeof path, "%s/%s", options->home, HOME_WORKERS);
    end->notes = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    uv_timer_init(options->loop, &end->timer);
    end->timer.data = end;
    for (size_t i = 0; i < survivors->count; i++)
        take(end, &survivors->items[i]);
    uv_timer_start(&end->timer, on_timer, 0, LOOK_MS);
    return 0;
}

void survivors_end_rest(struct survivors_end *end) {
    end->rest = true;
}

static void on_timer_closed(uv_handle_t *handle) {
    struct survivors_end *end = handle->data;

    for (size_t i = 0; i < end->count; i++)
        close_one(&end->ones[i]);
    free(end->ones);
    if (end->notes >= 0)
        close(end->notes);
    if (end->on_closed)
        end->on_closed(end->owner);
}

void survivors_end_close(struct survivors_end *end, void (*on_closed)(void *owner)) {
    end->on_closed = on_closed;
    uv_close((uv_handle_t *)&end->timer, on_timer_closed);
}
