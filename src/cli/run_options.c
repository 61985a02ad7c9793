#include "cli/run_options.h"

#include "base/text.h"
#include "policy/policy.h"

#include <string.h>
#include <uv.h>

#define SETTINGS(target) (&((struct run_flags *)(target))->settings)

static int apply_milliseconds(const char *value, uint64_t *field) {
    return text_to_milliseconds(value, field) < 0 ? UV_EINVAL : 0;
}

static int apply_count(const char *value, int64_t low, int64_t high, uint32_t *field) {
    int64_t number;

    if (text_to_number(value, low, high, &number) < 0)
        return UV_EINVAL;
    *field = (uint32_t)number;
    return 0;
}

static int set_instances(void *target, const char *value) {
    struct settings *settings = SETTINGS(target);
    int64_t number = 0;

    if (strcmp(value, "max") != 0 &&
        text_to_number(value, -SETTINGS_INSTANCES_MAX, SETTINGS_INSTANCES_MAX, &number) < 0)
        return UV_EINVAL;
    settings->instances_given = true;
    settings->instances = number > 0 ? (uint32_t)number : 0;
    settings->instances_less = number < 0 ? (int32_t)-number : 0;
    return 0;
}

static int set_name(void *target, const char *value) {
    return value[0] ? settings_set_text(&SETTINGS(target)->name, value) : UV_EINVAL;
}

static int set_policy(void *target, const char *value) {
    return settings_set_text(&SETTINGS(target)->policy, value);
}

static int set_window(void *target, const char *value) {
    return apply_count(value, 1, 1024, &SETTINGS(target)->window);
}

static const struct {
    const char *name;
    enum settings_intercept intercept;
    const char *summary;
} kinds[] = {
    {"auto", SETTINGS_INTERCEPT_AUTO,
     "node for Node scripts, seccomp for programs without libc, else preload"},
    {"node", SETTINGS_INTERCEPT_NODE, "Node's own cluster channel"},
    {"node-fast", SETTINGS_INTERCEPT_NODE_FAST,
     "the same, but clients come by accept socket, without JSON"},
    {"preload", SETTINGS_INTERCEPT_PRELOAD,
     "a library in the worker makes its bind, listen and accept ours"},
    {"seccomp", SETTINGS_INTERCEPT_SECCOMP,
     "the kernel asks us about those calls: for static and Go programs"},
    {"listen-fds", SETTINGS_INTERCEPT_LISTEN_FDS,
     "workers inherit the --listen socket as systemd passes it, and accept"},
    {"native", SETTINGS_INTERCEPT_NATIVE, "the program uses libbaton or the protocol itself"},
    {"none", SETTINGS_INTERCEPT_NONE, "not at all, as with -x"},
};

#define KINDS (sizeof kinds / sizeof kinds[0])

static int set_intercept(void *target, const char *value) {
    for (size_t i = 0; i < KINDS; i++) {
        if (strcmp(value, kinds[i].name) != 0)
            continue;
        SETTINGS(target)->intercept = kinds[i].intercept;
        return 0;
    }
    return UV_EINVAL;
}

static int set_private_port(void *target, const char *value) {
    struct settings *settings = SETTINGS(target);
    int64_t port;

    if (settings->private_port_count == SETTINGS_PRIVATE_PORTS_MAX ||
        text_to_number(value, 1, UINT16_MAX, &port) < 0)
        return UV_EINVAL;
    settings->private_ports[settings->private_port_count++] = (uint16_t)port;
    return 0;
}

static int set_listen(void *target, const char *value) {
    return value[0] ? settings_set_text(&SETTINGS(target)->listen, value) : UV_EINVAL;
}

static int set_fork(void *target, const char *value) {
    (void)value;
    SETTINGS(target)->fork_mode = true;
    return 0;
}

static int set_interpreter(void *target, const char *value) {
    return settings_set_text(&SETTINGS(target)->interpreter, value);
}

/* One flag holds several words, parted by blanks, as people type them in quotes. */
static int set_interpreter_args(void *target, const char *value) {
    char words[4096];
    char *save = NULL;

    if (snprintf(words, sizeof words, "%s", value) >= (int)sizeof words)
        return UV_EINVAL;
    for (char *word = strtok_r(words, " ", &save); word; word = strtok_r(NULL, " ", &save))
        if (text_list_add(&SETTINGS(target)->interpreter_args, word) < 0)
            return UV_ENOMEM;
    return 0;
}

static int set_cwd(void *target, const char *value) {
    return settings_set_text(&SETTINGS(target)->cwd, value);
}

static int set_min_uptime(void *target, const char *value) {
    return apply_milliseconds(value, &SETTINGS(target)->min_uptime_ms);
}

static int set_max_restarts(void *target, const char *value) {
    return apply_count(value, 0, 1000000000, &SETTINGS(target)->max_restarts);
}

static int set_restart_delay(void *target, const char *value) {
    return apply_milliseconds(value, &SETTINGS(target)->restart_delay_ms);
}

static int set_backoff(void *target, const char *value) {
    return apply_milliseconds(value, &SETTINGS(target)->backoff_ms);
}

static int set_no_autorestart(void *target, const char *value) {
    (void)value;
    SETTINGS(target)->autorestart = false;
    return 0;
}

static int set_stop_codes(void *target, const char *value) {
    struct settings *settings = SETTINGS(target);
    char words[256];
    char *save = NULL;

    if (snprintf(words, sizeof words, "%s", value) >= (int)sizeof words)
        return UV_EINVAL;
    settings->stop_code_count = 0;
    for (char *word = strtok_r(words, ", ", &save); word; word = strtok_r(NULL, ", ", &save)) {
        int64_t code;

        if (settings->stop_code_count == SETTINGS_STOP_CODES_MAX ||
            text_to_number(word, 0, 255, &code) < 0)
            return UV_EINVAL;
        settings->stop_codes[settings->stop_code_count++] = (int)code;
    }
    return settings->stop_code_count > 0 ? 0 : UV_EINVAL;
}

static int set_wait_ready(void *target, const char *value) {
    (void)value;
    SETTINGS(target)->wait_ready = true;
    return 0;
}

static int set_listen_timeout(void *target, const char *value) {
    uint64_t *field = &SETTINGS(target)->listen_timeout_ms;

    return apply_milliseconds(value, field) < 0 || *field == 0 ? UV_EINVAL : 0;
}

static int set_drain_timeout(void *target, const char *value) {
    return apply_milliseconds(value, &SETTINGS(target)->drain_timeout_ms);
}

static int set_kill_timeout(void *target, const char *value) {
    return apply_milliseconds(value, &SETTINGS(target)->kill_timeout_ms);
}

static int set_shutdown_with_message(void *target, const char *value) {
    (void)value;
    SETTINGS(target)->shutdown_with_message = true;
    return 0;
}

static int set_slow_after(void *target, const char *value) {
    uint64_t *field = &SETTINGS(target)->slow_after_ms;

    return apply_milliseconds(value, field) < 0 || *field == 0 ? UV_EINVAL : 0;
}

static int set_kill_stuck_after(void *target, const char *value) {
    return apply_milliseconds(value, &SETTINGS(target)->kill_stuck_after_ms);
}

static int set_max_memory(void *target, const char *value) {
    return text_to_bytes(value, &SETTINGS(target)->max_memory) < 0 ? UV_EINVAL : 0;
}

static int set_filter_env(void *target, const char *value) {
    return value[0] ? text_list_add(&SETTINGS(target)->filter_env, value) : UV_EINVAL;
}

static int set_uid(void *target, const char *value) {
    return settings_set_text(&SETTINGS(target)->uid, value);
}

static int set_gid(void *target, const char *value) {
    return settings_set_text(&SETTINGS(target)->gid, value);
}

static int set_time(void *target, const char *value) {
    (void)value;
    SETTINGS(target)->time = true;
    return 0;
}

static int set_trace(void *target, const char *value) {
    (void)value;
    SETTINGS(target)->trace = true;
    return 0;
}

static int set_status(void *target, const char *value) {
    if (value && strcmp(value, "json") != 0)
        return UV_EINVAL;
    SETTINGS(target)->status = value == NULL;
    SETTINGS(target)->status_json = value != NULL;
    return 0;
}

static int set_silent(void *target, const char *value) {
    (void)value;
    SETTINGS(target)->silent = true;
    return 0;
}

static int set_no_color(void *target, const char *value) {
    (void)value;
    SETTINGS(target)->no_color = true;
    return 0;
}

static int set_help(void *target, const char *value) {
    (void)value;
    ((struct run_flags *)target)->help = true;
    return 0;
}

static int ignore(void *target, const char *value) {
    (void)target;
    (void)value;
    return 0;
}

#define A_TIME "a time such as 1500, 1500ms, 1.5s, 2m or 1h"

const struct cli_option run_options[] = {
    {"instances", 'i', "N", "a number, 0 or 'max' for one per CPU, or -K for K fewer",
     "how many workers (1)", set_instances},
    {"name", 'n', "NAME", "a name", "the app's name (the script's, without its ending)", set_name},
    {"policy", 0, "NAME[:ARG]", "a policy", "who gets the next client: see below (node)",
     set_policy},
    {"window", 0, "K", "a number from 1 to 1024",
     "un-acknowledged clients a worker may hold (1; 16 on accept sockets)", set_window},
    {"intercept", 0, "KIND", "auto, node, node-fast, preload, seccomp, listen-fds, native or none",
     "how workers get clients: see below (auto)", set_intercept},
    {"private-port", 0, "PORT", "a port from 1 to 65535",
     "each worker binds this one for itself; may be repeated", set_private_port},
    {"listen", 0, "ADDRESS", "[HOST:]PORT or a path",
     "what workers inherit with --intercept listen-fds", set_listen},
    {"fork", 'x', NULL, NULL, "supervise only; the program listens by itself", set_fork},
    {"interpreter", 0, "BIN", "a program or 'none'", "what runs the script (by its ending)",
     set_interpreter},
    {"interpreter-args", 0, "ARGS", "arguments", "for the interpreter", set_interpreter_args},
    {"node-args", 0, "ARGS", "arguments", "the same", set_interpreter_args},
    {"cwd", 0, "DIR", "a directory", "where workers run", set_cwd},
    {"wait-ready", 0, NULL, NULL,
     "no clients before a worker has sent 'ready' or called baton_ready()", set_wait_ready},
    {"listen-timeout", 0, "MS", "a time above 0", "for a worker to listen or be ready (3000)",
     set_listen_timeout},
    {"drain-timeout", 0, "MS", A_TIME, "for open connections of a worker that is to end (8000)",
     set_drain_timeout},
    {"kill-timeout", 'k', "MS", A_TIME, "from its stop signal to SIGKILL (1600)", set_kill_timeout},
    {"shutdown-with-message", 0, NULL, NULL, "send 'shutdown' to a Node worker that is to end",
     set_shutdown_with_message},
    {"slow-after", 0, "MS", "a time above 0",
     "a client untaken this long: none more for that worker (250; 100)", set_slow_after},
    {"kill-stuck-after", 0, "MS", A_TIME,
     "… and this long: the worker is killed; 0 never (60000; 0)", set_kill_stuck_after},
    {"min-uptime", 0, "MS", A_TIME, "a worker that ends sooner died young (1000)", set_min_uptime},
    {"max-restarts", 0, "N", "a number of 0 or more", "young deaths in a row before giving up (16)",
     set_max_restarts},
    {"restart-delay", 0, "MS", A_TIME, "before every restart (0)", set_restart_delay},
    {"exp-backoff-restart-delay", 0, "MS", A_TIME,
     "first delay after young deaths; grows by half to 15 s (50)", set_backoff},
    {"no-autorestart", 0, NULL, NULL, "do not start workers again", set_no_autorestart},
    {"stop-exit-codes", 0, "CODES", "codes from 0 to 255, e.g. 0,42",
     "a worker that exits so is not started again", set_stop_codes},
    {"max-memory-restart", 0, "SIZE", "a size such as 200M", "replace a worker that uses more",
     set_max_memory},
    {"filter-env", 0, "PREFIX", "the beginning of names", "variables that workers do not get",
     set_filter_env},
    {"uid", 0, "USER", "a user's name or number", "that workers run as", set_uid},
    {"gid", 0, "GROUP", "a group's name or number", "that workers run as", set_gid},
    {"time", 0, NULL, NULL, "a time before each line that a worker prints", set_time},
    {"status", 0, "[json]", "nothing or 'json'",
     "a live table of the workers, or a JSON line a second", set_status},
    {"trace", 0, NULL, NULL, "every message and descriptor that crosses a channel", set_trace},
    {"silent", 's', NULL, NULL, "only errors from Baton itself", set_silent},
    {"no-color", 0, NULL, NULL, "no colours", set_no_color},
    {"help", 'h', NULL, NULL, "this text", set_help},
    {"source-map-support", 0, NULL, NULL, NULL, ignore},
    {"no-vizion", 0, NULL, NULL, NULL, ignore},
    {"no-pmx", 0, NULL, NULL, NULL, ignore},
    {"no-automation", 0, NULL, NULL, NULL, ignore},
    {"deep-monitoring", 0, NULL, NULL, NULL, ignore},
    {NULL, 0, NULL, NULL, NULL, NULL},
};

void run_print_kinds(void) {
    puts("\nKinds, for --intercept:");
    for (size_t i = 0; i < KINDS; i++)
        printf("  %-10s %s\n", kinds[i].name, kinds[i].summary);
}

void run_print_policies(void) {
    puts("\nPolicies:");
    for (int i = 0; policy_types[i]; i++)
        printf("  %-10s %s\n", policy_types[i]->name, policy_types[i]->summary);
}

int run_check_policy(const char *specification) {
    struct policy *policy;
    int result = policy_create(&policy, specification, 1);
    char word[64];

    if (result == 0) {
        policy_destroy(policy);
        return 0;
    }
    text_escape(word, sizeof word, specification, strlen(specification));
    if (result == UV_EINVAL)
        fprintf(stderr, "baton: the policy '%s' takes no such argument\n", word);
    else
        fprintf(stderr, "baton: there is no policy '%s'; there are", word);
    for (int i = 0; result != UV_EINVAL && policy_types[i]; i++)
        fprintf(stderr, "%s%s", i == 0 ? " " : ", ", policy_types[i]->name);
    if (result != UV_EINVAL)
        fputc('\n', stderr);
    return UV_EINVAL;
}
