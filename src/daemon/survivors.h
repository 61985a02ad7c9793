/* Workers that a daemon left behind when it crashed: found by the next one, and ended once its own
 * workers serve.
 *
 * A worker is a session of its own and lives on. Its number alone would not do to find it again,
 * for numbers are used again; so the daemon keeps HOME/workers/PID for each living worker, with the
 * boot and the tick in which that process began (proc(5): /proc/PID/stat, starttime). A process is
 * ended only by a descriptor of it (pidfd_open(2)) that was opened before it was compared with the
 * record, so that a number which is given to another process meanwhile does no harm.
 */
#ifndef BATON_DAEMON_SURVIVORS_H
#define BATON_DAEMON_SURVIVORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#define SURVIVOR_BOOT_MAX 40 /* a UUID with its NUL */
#define SURVIVOR_TEXT_MAX 4096

/* What is known of a worker. */
struct survivor {
    pid_t pid;
    uint64_t started;             /* in clock ticks since the boot */
    char boot[SURVIVOR_BOOT_MAX]; /* /proc/sys/kernel/random/boot_id */
    uint64_t kill_timeout_ms;     /* between SIGINT and SIGKILL */
    bool treekill; /* its whole session gets the signals, else only the worker itself */
    uint32_t id;   /* pm_id */
    char *name;    /* of the app; owned */
};

/* When a process began: 0, or UV_ESRCH when there is none (a zombie is none). */
int survivor_started(pid_t pid, uint64_t *ret_ticks);

/* Notes a worker that was just started; `started` and `boot` are filled in by this. To be called
 * before its end is reaped. 0 or a UV_E*. */
int survivor_note(const char *home, const struct survivor *worker);

/* Its end was reaped. */
void survivor_forget(const char *home, pid_t pid);

/* A record as text, and back: 0, UV_EINVAL, or UV_ENOMEM. Pure; the name of the parsed one is to be
 * freed. */
int survivor_print(const struct survivor *survivor, char text[SURVIVOR_TEXT_MAX]);
int survivor_parse(struct survivor *ret_survivor, const char *text);

/* Whether the process that has this number now is the one of the record. Pure. */
bool survivor_is(const struct survivor *record, const char *boot, uint64_t started_now);

struct survivors {
    struct survivor *items;
    size_t count;
};

/* The workers of this home that still live; records of others are removed. To be called by the
 * holder of the lock, before it starts workers. 0 or a UV_E*, with the list empty. */
int survivors_find(struct survivors *survivors, const char *home);
void survivors_clear(struct survivors *survivors);

/* Ends survivors: SIGINT, after its kill_timeout SIGKILL, to each. With treekill what else is in
 * its session may take as long, also when the worker itself has ended. start/close(cb); several may
 * be at work. */
struct survivors_end {
    uv_timer_t timer;
    char *home;
    struct survivors_end_one *ones;
    size_t count;
    size_t failed;
    /* All are gone, or cannot be ended: `failed` of them, because they may not be signalled or
     * outlived SIGKILL by 5 s. Then close. */
    void (*on_done)(void *owner, size_t failed);
    void (*on_closed)(void *owner);
    void *owner;
};

/* Copies what it needs of the survivors. 0, or a UV_E* with nothing left open. on_done always comes
 * later, from the loop. */
int survivors_end_start(struct survivors_end *end, uv_loop_t *loop, const char *home,
                        const struct survivors *survivors,
                        void (*on_done)(void *owner, size_t failed), void *owner);

/* Before on_done: those that are left live on, and keep their records. */
void survivors_end_close(struct survivors_end *end, void (*on_closed)(void *owner));

#endif
