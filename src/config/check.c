#include "config/check.h"

#include "config/program.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

/* The CPUs that this process may use: a container's limit counts, not the machine's size. */
static uint32_t usable_cpus(void) {
    cpu_set_t set;
    int count;

    if (sched_getaffinity(0, sizeof set, &set) < 0)
        return 1;
    count = CPU_COUNT(&set);
    return count > 0 ? (uint32_t)count : 1;
}

static void count_instances(struct settings *settings) {
    uint32_t cpus = usable_cpus();
    uint32_t less = (uint32_t)settings->instances_less;

    if (settings->instances > 0)
        return;
    if (!settings->instances_given)
        settings->instances = 1;
    else
        settings->instances = cpus > less ? cpus - less : 1;
}

static int choose_name(struct settings *settings) {
    const char *slash = strrchr(settings->script, '/');
    const char *base = slash ? slash + 1 : settings->script;
    char name[256];
    char *dot;

    if (settings->name)
        return 0;
    snprintf(name, sizeof name, "%s", base);
    dot = strrchr(name, '.');
    if (dot && dot != name)
        *dot = '\0';
    return settings_set_text(&settings->name, name);
}

static void choose_intercept(struct settings *settings) {
    if (settings->fork_mode)
        settings->intercept = SETTINGS_INTERCEPT_NONE;
    if (settings->intercept != SETTINGS_INTERCEPT_AUTO)
        return;
    settings->intercept =
        program_is_node(settings) ? SETTINGS_INTERCEPT_NODE : SETTINGS_INTERCEPT_NATIVE;
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
    result = choose_name(settings);
    if (result == 0)
        result = program_resolve(settings, error);
    if (result == UV_ENOMEM)
        snprintf(error, SETTINGS_ERROR_MAX, "out of memory");
    if (result < 0)
        return result;
    count_instances(settings);
    choose_intercept(settings);
    if (!settings->policy)
        return settings_set_text(&settings->policy, "node");
    return 0;
}
