/* What the user wants of one app: read-only once it was checked.
 *
 * init gives the defaults; whoever reads flags or a process file fills it in (attribute.h); check.h
 * completes it and refuses what cannot work. Texts are owned copies.
 *
 * Embedded it is init/clear. On the heap it is shared: after a change of an app the workers of the
 * old version go by the old settings until they have ended. Not for several threads. */
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

#define SETTINGS_DEFAULT_NAMESPACE    "default"
#define SETTINGS_DEFAULT_INSTANCE_VAR "NODE_APP_INSTANCE"
#define SETTINGS_NO_FILE              "/dev/null" /* an output file that is not wanted */

#define SETTINGS_BY_KIND UINT64_MAX /* a time that depends on how the worker gets its clients */

/* The kind that --intercept calls so: 0, or UV_EINVAL. */
int settings_intercept_by_name(const char *name, enum settings_intercept *ret_intercept);
const char *settings_intercept_name(enum settings_intercept intercept);

/* A growing NULL-terminated list of owned texts. */
struct text_list {
    char **items; /* NULL while empty */
    size_t count;
};

int text_list_add(struct text_list *list, const char *text); /* copies; 0 or UV_ENOMEM */

/* Sets NAME=value, in the place of what that name has; 0 or UV_ENOMEM. */
int text_list_set_variable(struct text_list *list, const char *name, const char *value);

/* The value of a variable in a list of NAME=value, borrowed, or NULL. */
const char *text_list_variable(const struct text_list *list, const char *name);
void text_list_clear(struct text_list *list);

/* An HTTP request that a worker must answer with 2xx or 3xx. */
struct settings_health {
    char *path;    /* NULL: no check */
    uint16_t port; /* 0: the first that it listens on; in fork mode, until settings_check(), the
                      app's `port`. Slot n's is n more there if increment_var is set */
    uint64_t interval_ms;
    uint64_t timeout_ms;
    uint32_t failures; /* in a row, after which the worker is replaced */
};

struct settings {
    unsigned references; /* of settings_create(); not used when embedded */
    char *script; /* as typed; settings_check() makes it an absolute path, or the program found in
                     PATH */
    struct text_list args;  /* of the script */
    char *name;             /* the script's base name unless given */
    uint32_t instances;     /* 0 until settings_check(): then 1 or more */
    bool instances_given;   /* -i was used: a Node script is then in cluster mode */
    int32_t instances_less; /* -i -k: the CPUs less k */
    char *interpreter;      /* path, "none", or NULL: chosen by the file's name */
    char *interpreter_name; /* as asked for or chosen, before it was looked for; for people */
    struct text_list interpreter_args;
    char *cwd;       /* NULL: ours */
    char *namespace; /* NULL until settings_check() */
    bool fork_mode;  /* -x, or exec_mode "fork" */
    bool mode_given; /* -x, exec_mode or intercept was used, whichever it says */
    enum settings_intercept intercept;
    enum executable_kind kind; /* of the program, where `intercept` was chosen by it */
    uint16_t private_ports[SETTINGS_PRIVATE_PORTS_MAX]; /* each worker binds these for itself */
    size_t private_port_count;
    char *listen;    /* "[HOST:]PORT" or a path, for SETTINGS_INTERCEPT_LISTEN_FDS */
    char *policy;    /* "NAME[:argument]" */
    uint32_t window; /* un-acknowledged clients a worker may hold; 0: the delivery's own default */

    struct text_list environment; /* "NAME=value": the whole base environment; empty: ours */
    struct text_list env;         /* "NAME=value": over it; no name twice */
    struct text_list filter_env;  /* prefixes of variables of the base environment that a worker
                                     must not see; "" is all of them */
    char *instance_var; /* the variable that holds the slot's number; NULL until settings_check() */
    char *increment_var;     /* a variable in `env` to which the slot's number is added, or NULL */
    uint16_t port;           /* becomes PORT; 0: none */
    bool append_env_to_name; /* attribute_merge_env() has done it */

    uint64_t min_uptime_ms;    /* a worker that ends sooner has died young */
    uint32_t max_restarts;     /* at this many young deaths the slot is given up */
    uint64_t restart_delay_ms; /* before every restart */
    uint64_t backoff_ms;       /* first delay after young deaths; grows by half each time */
    bool autorestart;
    bool autostart;              /* false: registered as stopped */
    char *cron_restart;          /* an expression that cron_parse() takes, or NULL */
    struct text_list depends_on; /* names of apps that must be ready before this one starts */
    struct settings_health health;
    int stop_codes[SETTINGS_STOP_CODES_MAX]; /* an exit with one of these is not followed by a
                                                restart */
    size_t stop_code_count;

    bool wait_ready; /* no client before the worker says ready */
    uint64_t listen_timeout_ms;
    uint64_t drain_timeout_ms; /* for open connections, after which the stop signal is sent */
    int kill_signal;           /* that asks a worker to end */
    uint64_t kill_timeout_ms;  /* from that signal to SIGKILL */
    bool shutdown_with_message;
    bool treekill;          /* false: only the worker itself gets signals, not its descendants */
    uint64_t slow_after_ms; /* an un-acknowledged client this old: no new clients for that worker;
                               0: by delivery */
    uint64_t kill_stuck_after_ms; /* this old: the worker is killed; 0: never; SETTINGS_BY_KIND
                                     until settings_check() */
    uint64_t
        max_memory; /* bytes of resident memory after which a worker is replaced; 0: no limit */

    bool watch;                   /* restart when a file changes … */
    struct text_list watch_paths; /* … of these; empty: of the working directory */
    struct text_list ignore_watch;
    uint64_t watch_delay_ms;

    char *uid; /* name or number, or NULL */
    char *gid;

    char *out_file; /* NULL: by the app's name; SETTINGS_NO_FILE: none */
    char *error_file;
    char *log_file; /* both kinds of output together; NULL: none */
    char *pid_file;
    bool merge_logs; /* one file for all slots */
    bool disable_logs;
    bool log_type_json;
    char *log_date_format; /* moment.js's letters, or NULL */
    bool time;             /* a time before each output line */
    uint64_t max_log_size; /* bytes at which a log file is rotated; 0: never */
    uint32_t log_keep;     /* how many rotated files are kept */
    bool trace;
    bool status;
    bool status_json;
    bool silent;
    bool no_color;
};

void settings_init(struct settings *settings);
void settings_clear(struct settings *settings); /* to the defaults */

/* On the heap, with the defaults and one reference, which is the caller's. NULL when memory is out.
 */
struct settings *settings_create(void);

/* One more reference to what settings_create() gave; returns it. */
struct settings *settings_ref(struct settings *settings);

/* Lets go of one; the last clears and frees. NULL is allowed. */
void settings_unref(struct settings *settings);

/* Replaces an owned text: 0 or UV_ENOMEM. */
int settings_set_text(char **field, const char *text);

/* The argument vector that starts a worker: interpreter, its arguments, script, its arguments,
 * NULL. The array is the caller's to free(), the texts are borrowed. NULL when memory is out. */
char **settings_command(const struct settings *settings);

#endif
