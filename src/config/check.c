#include "config/check.h"

#include "base/text.h"
#include "config/executable.h"
#include "config/process_file.h"
#include "config/program.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#define KILL_STUCK_AFTER_MS 60000

/* The CPUs that this process may use: a container's limit counts, not the machine's size. */
static uint32_t usable_cpus(void) {
    cpu_set_t set;
    int count;

    if (sched_getaffinity(0, sizeof set, &set) < 0)
        return 1;
    count = CPU_COUNT(&set);
    return count > 0 ? (uint32_t)count : 1;
}

void settings_count_instances(struct settings *settings) {
    uint32_t cpus = usable_cpus();
    uint32_t less = (uint32_t)settings->instances_less;

    if (settings->instances > 0)
        return;
    if (!settings->instances_given)
        settings->instances = 1;
    else
        settings->instances = cpus > less ? cpus - less : 1;
}

void settings_name_of_script(const char *script, char name[SETTINGS_NAME_MAX]) {
    const char *slash = strrchr(script, '/');
    char *dot;

    snprintf(name, SETTINGS_NAME_MAX, "%s", slash ? slash + 1 : script);
    dot = strrchr(name, '.');
    if (dot && dot != name)
        *dot = '\0';
}

static int choose_names(struct settings *settings) {
    char name[SETTINGS_NAME_MAX];
    int result = 0;

    settings_name_of_script(settings->script, name);
    if (!settings->name)
        result = settings_set_text(&settings->name, name);
    if (result == 0 && !settings->namespace)
        result = settings_set_text(&settings->namespace, SETTINGS_DEFAULT_NAMESPACE);
    if (result == 0 && !settings->instance_var)
        result = settings_set_text(&settings->instance_var, SETTINGS_DEFAULT_INSTANCE_VAR);
    return result;
}

/* What a target of that spelling means instead, or NULL. */
static const char *other_meaning(const char *name) {
    size_t length = strlen(name);

    if (strcmp(name, "all") == 0)
        return "every app";
    if (strcmp(name, "-") == 0)
        return "a process file from standard input";
    if (length > 2 && name[0] == '/' && name[length - 1] == '/')
        return "an expression over names";
    if (process_file_is(name))
        return "a process file";
    return NULL;
}

static int warn_of_number(const char *name, struct text_list *warnings) {
    char sentence[SETTINGS_ERROR_MAX];
    int64_t number;

    if (!warnings || text_to_number(name, 0, UINT32_MAX, &number) < 0)
        return 0;
    snprintf(sentence, sizeof sentence,
             "the name '%s' is a number, too: as a target it means the process of that id first",
             name);
    return text_list_add(warnings, sentence);
}

int settings_check_name(const struct settings *settings, struct text_list *warnings,
                        char error[SETTINGS_ERROR_MAX]) {
    const char *meaning = other_meaning(settings->name);

    if (meaning) {
        snprintf(error, SETTINGS_ERROR_MAX,
                 "an app cannot be called '%.128s', for as a target that means %s: give it another "
                 "name",
                 settings->name, meaning);
        return UV_EINVAL;
    }
    if (warn_of_number(settings->name, warnings) < 0) {
        snprintf(error, SETTINGS_ERROR_MAX, "out of memory");
        return UV_ENOMEM;
    }
    return 0;
}

static int check_depends_on(const struct settings *settings, char error[SETTINGS_ERROR_MAX]) {
    for (size_t i = 0; i < settings->depends_on.count; i++) {
        if (strcmp(settings->depends_on.items[i], settings->name) != 0)
            continue;
        snprintf(error, SETTINGS_ERROR_MAX, "'%.128s' cannot depend on itself", settings->name);
        return UV_EINVAL;
    }
    return 0;
}

static enum settings_intercept choose_by_program(const struct settings *settings) {
    if (settings->listen)
        return SETTINGS_INTERCEPT_LISTEN_FDS;
    if (program_is_node(settings))
        return SETTINGS_INTERCEPT_NODE;
    if (settings->kind != EXECUTABLE_DYNAMIC)
        return SETTINGS_INTERCEPT_SECCOMP;
    return SETTINGS_INTERCEPT_PRELOAD;
}

/* The library cannot stand in the way of a program that does without libc. */
static int check_preload(const struct settings *settings, char error[SETTINGS_ERROR_MAX]) {
    if (settings->intercept != SETTINGS_INTERCEPT_PRELOAD || settings->kind == EXECUTABLE_DYNAMIC)
        return 0;
    snprintf(error, SETTINGS_ERROR_MAX,
             "'%.128s' is %s, so the preload library cannot see its calls; use --intercept "
             "seccomp, or --intercept listen-fds if it can inherit a socket",
             program_file(settings), executable_describe(settings->kind));
    return UV_EINVAL;
}

static int check_listen(const struct settings *settings, char error[SETTINGS_ERROR_MAX]) {
    bool inherits = settings->intercept == SETTINGS_INTERCEPT_LISTEN_FDS;

    if (inherits == (settings->listen != NULL))
        return 0;
    snprintf(error, SETTINGS_ERROR_MAX,
             inherits ? "--intercept listen-fds needs --listen [HOST:]PORT, for the master binds it"
                      : "--listen is for --intercept listen-fds; with the other kinds the program "
                        "says itself where it listens");
    return UV_EINVAL;
}

static int check_private_ports(const struct settings *settings, char error[SETTINGS_ERROR_MAX]) {
    bool is_shared = settings->intercept == SETTINGS_INTERCEPT_PRELOAD ||
                     settings->intercept == SETTINGS_INTERCEPT_SECCOMP;

    if (settings->private_port_count == 0 || is_shared)
        return 0;
    snprintf(error, SETTINGS_ERROR_MAX, "--private-port is for --intercept preload and seccomp; %s",
             program_has_channel(settings)
                 ? "a Node worker has a port for itself if it listens with `exclusive: true`"
                 : "with this kind every port that the program binds is its own");
    return UV_EINVAL;
}

static int check_fork_mode(const struct settings *settings, char error[SETTINGS_ERROR_MAX]) {
    if (!settings->fork_mode || settings->intercept == SETTINGS_INTERCEPT_AUTO ||
        settings->intercept == SETTINGS_INTERCEPT_NONE)
        return 0;
    snprintf(error, SETTINGS_ERROR_MAX,
             "-x is the same as --intercept none, so it cannot stand beside another --intercept");
    return UV_EINVAL;
}

void settings_supervise_by_default(struct settings *settings) {
    bool asked = settings->mode_given || settings->instances_given || settings->policy ||
                 settings->window > 0 || settings->listen || settings->private_port_count > 0;

    if (!asked)
        settings->fork_mode = true;
}

static uint64_t kill_stuck_after(enum settings_intercept intercept) {
    switch (intercept) {
    case SETTINGS_INTERCEPT_NODE:
    case SETTINGS_INTERCEPT_NODE_FAST:
    case SETTINGS_INTERCEPT_NATIVE:
        return KILL_STUCK_AFTER_MS;
    default:
        return 0; /* a server of any kind may do one thing after the other, however long each takes
                   */
    }
}

static int choose_intercept(struct settings *settings, char error[SETTINGS_ERROR_MAX]) {
    int result = check_fork_mode(settings, error);

    if (result < 0)
        return result;
    if (settings->fork_mode)
        settings->intercept = SETTINGS_INTERCEPT_NONE;
    settings->kind = executable_inspect(program_file(settings));
    if (settings->intercept == SETTINGS_INTERCEPT_AUTO)
        settings->intercept = choose_by_program(settings);
    else if (settings->intercept == SETTINGS_INTERCEPT_SECCOMP)
        settings->kind = EXECUTABLE_DYNAMIC; /* that is why it was asked for: nothing to explain */
    if (settings->kill_stuck_after_ms == SETTINGS_BY_KIND)
        settings->kill_stuck_after_ms = kill_stuck_after(settings->intercept);
    result = check_preload(settings, error);
    if (result == 0)
        result = check_listen(settings, error);
    return result == 0 ? check_private_ports(settings, error) : result;
}

/* In fork mode nobody but the worker knows where it listens. */
static int check_health_port(struct settings *settings, char error[SETTINGS_ERROR_MAX]) {
    if (settings->health.port == 0)
        settings->health.port = settings->port;
    if (settings->health.port == 0) {
        snprintf(error, SETTINGS_ERROR_MAX,
                 "health needs a port in fork mode: health.port, or the app's own as port");
        return UV_EINVAL;
    }
    if (settings->instances == 1 || settings->increment_var)
        return 0;
    snprintf(error, SETTINGS_ERROR_MAX,
             "health in fork mode is for one instance, or for ports that increment_var numbers");
    return UV_EINVAL;
}

static int check_health(struct settings *settings, char error[SETTINGS_ERROR_MAX]) {
    if (!settings->health.path)
        return 0;
    if (settings->health.path[0] != '/') {
        snprintf(error, SETTINGS_ERROR_MAX, "health.path must begin with a slash: '%.128s'",
                 settings->health.path);
        return UV_EINVAL;
    }
    return settings->intercept == SETTINGS_INTERCEPT_NONE ? check_health_port(settings, error) : 0;
}

static bool can_enter(const char *directory) {
    struct stat status;

    if (stat(directory, &status) < 0)
        return false;
    errno = ENOTDIR;
    return S_ISDIR(status.st_mode) && access(directory, X_OK) == 0;
}

int settings_check(struct settings *settings, char error[SETTINGS_ERROR_MAX]) {
    int result;

    if (settings->cwd && !can_enter(settings->cwd)) {
        snprintf(error, SETTINGS_ERROR_MAX, "the working directory '%s' cannot be entered: %s",
                 settings->cwd, uv_strerror(uv_translate_sys_error(errno)));
        return UV_ENOENT;
    }
    if (!settings->script) {
        snprintf(error, SETTINGS_ERROR_MAX, "a script is missing");
        return UV_EINVAL;
    }
    result = choose_names(settings);
    if (result == 0)
        result = check_depends_on(settings, error);
    if (result == 0)
        result = program_resolve(settings, error);
    if (result == UV_ENOMEM)
        snprintf(error, SETTINGS_ERROR_MAX, "out of memory");
    if (result < 0)
        return result;
    settings_count_instances(settings);
    result = choose_intercept(settings, error);
    if (result == 0)
        result = check_health(settings, error);
    if (result < 0)
        return result;
    if (!settings->policy)
        return settings_set_text(&settings->policy, "node");
    return 0;
}
