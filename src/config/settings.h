/* What the user wants of one app: read-only once it was checked.
 *
 * init gives the defaults; whoever reads flags or a process file fills it in; check.h completes it
 * and refuses what cannot work. Texts are owned copies. */
#ifndef BATON_CONFIG_SETTINGS_H
#define BATON_CONFIG_SETTINGS_H

#include "config/executable.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SETTINGS_INSTANCES_MAX     4096
#define SETTINGS_STOP_CODES_MAX    16
#define SETTINGS_PRIVATE_PORTS_MAX 32
#define SETTINGS_ERROR_MAX         512 /* room for the sentence that says what is wrong */

/* How a worker gets its clients. */
enum settings_intercept {
    SETTINGS_INTERCEPT_AUTO,      /* chosen by settings_check(): never seen after it */
    SETTINGS_INTERCEPT_NODE,      /* over Node's own cluster channel */
    SETTINGS_INTERCEPT_NODE_FAST, /* the same, clients by accept socket where the preload library is
                                     in the worker */
    SETTINGS_INTERCEPT_PRELOAD,   /* the preload library stands between the program and libc */
    SETTINGS_INTERCEPT_SECCOMP,   /* the kernel asks the master about bind, listen and accept */
    SETTINGS_INTERCEPT_LISTEN_FDS, /* it inherits the listening socket, sd_listen_fds(3) */
    SETTINGS_INTERCEPT_NATIVE,     /* it asks the worker socket itself (libbaton) */
    SETTINGS_INTERCEPT_NONE,       /* not at all: it is only supervised (fork mode) */
};

#define SETTINGS_BY_KIND UINT64_MAX /* a time that depends on how the worker gets its clients */

/* A growing NULL-terminated list of owned texts. */
struct text_list {
    char **items; /* NULL while empty */
    size_t count;
};

int text_list_add(struct text_list *list, const char *text); /* copies; 0 or UV_ENOMEM */
void text_list_clear(struct text_list *list);

struct settings {
    char *script; /* as typed; settings_check() makes it an absolute path, or the program found in
                     PATH */
    struct text_list args;  /* of the script */
    char *name;             /* the script's base name unless given */
    uint32_t instances;     /* 0 until settings_check(): then 1 or more */
    bool instances_given;   /* -i was used: a Node script is then in cluster mode */
    int32_t instances_less; /* -i -k: the CPUs less k */
    char *interpreter;      /* path, "none", or NULL: chosen by the file's name */
    struct text_list interpreter_args;
    char *cwd;      /* NULL: ours */
    bool fork_mode; /* -x */
    enum settings_intercept intercept;
    enum executable_kind kind; /* of the program, where `intercept` was chosen by it */
    uint16_t private_ports[SETTINGS_PRIVATE_PORTS_MAX]; /* each worker binds these for itself */
    size_t private_port_count;
    char *listen;    /* "[HOST:]PORT" or a path, for SETTINGS_INTERCEPT_LISTEN_FDS */
    char *policy;    /* "NAME[:argument]" */
    uint32_t window; /* un-acknowledged clients a worker may hold; 0: the delivery's own default */
    struct text_list filter_env; /* prefixes of variables that a worker must not see */

    uint64_t min_uptime_ms;    /* a worker that ends sooner has died young */
    uint32_t max_restarts;     /* young deaths in a row before the slot is given up */
    uint64_t restart_delay_ms; /* before every restart */
    uint64_t backoff_ms;       /* first delay after young deaths; grows by half each time */
    bool autorestart;
    int stop_codes[SETTINGS_STOP_CODES_MAX]; /* an exit with one of these is not followed by a
                                                restart */
    size_t stop_code_count;

    bool wait_ready; /* no client before the worker says ready */
    uint64_t listen_timeout_ms;
    uint64_t drain_timeout_ms; /* for open connections, after which the stop signal is sent */
    uint64_t kill_timeout_ms;  /* from the stop signal to SIGKILL */
    bool shutdown_with_message;
    uint64_t slow_after_ms; /* an un-acknowledged client this old: no new clients for that worker;
                               0: by delivery */
    uint64_t kill_stuck_after_ms; /* this old: the worker is killed; 0: never; SETTINGS_BY_KIND
                                     until settings_check() */
    uint64_t
        max_memory; /* bytes of resident memory after which a worker is replaced; 0: no limit */

    char *uid; /* name or number, or NULL */
    char *gid;
    bool time; /* a time before each output line */
    bool trace;
    bool status;
    bool status_json;
    bool silent;
    bool no_color;
};

void settings_init(struct settings *settings);
void settings_clear(struct settings *settings);

/* Replaces an owned text: 0 or UV_ENOMEM. */
int settings_set_text(char **field, const char *text);

/* The argument vector that starts a worker: interpreter, its arguments, script, its arguments,
 * NULL. The array is the caller's to free(), the texts are borrowed. NULL when memory is out. */
char **settings_command(const struct settings *settings);

#endif
