#include "cli/run_options.h"

#include "base/text.h"
#include "cli/app_options.h"
#include "cli/paragraph.h"
#include "config/attribute.h"
#include "policy/policy.h"

#include <string.h>
#include <uv.h>

#define NAME_COLUMN 13

static int set_status(void *target, const char *value) {
    struct run_flags *flags = target;

    if (value && strcmp(value, "json") != 0)
        return UV_EINVAL;
    flags->status = value == NULL;
    flags->status_json = value != NULL;
    return 0;
}

static int set_trace(void *target, const char *value) {
    (void)value;
    ((struct run_flags *)target)->trace = true;
    return 0;
}

static const struct cli_option own[] = {
    {"status", 0, "[json]", "nothing or 'json'",
     "a live table of the workers, or a JSON line a second", set_status},
    {"trace", 0, NULL, NULL, "every message and descriptor that crosses a channel", set_trace},
    {NULL, 0, NULL, NULL, NULL, NULL},
};

/* The daemon's to serve: files, the clock and names for several apps. */
static const char *const of_the_daemon[] = {
    "namespace",       "output",       "error",        "log",          "merge-logs",
    "log-date-format", "log-type",     "log-keep",     "watch",        "ignore-watch",
    "watch-delay",     "disable-logs", "max-log-size", "trace",        "no-treekill",
    "cron-restart",    "cron",         "pid",          "no-autostart",
};

static bool is_of_the_daemon(const struct cli_option *option) {
    for (size_t i = 0; i < sizeof of_the_daemon / sizeof of_the_daemon[0]; i++)
        if (strcmp(of_the_daemon[i], option->name) == 0)
            return true;
    return false;
}

void run_options(struct cli_option table[OPTIONS_MAX + 1]) {
    size_t count = 0;

    for (const struct cli_option *option = app_options; option->name; option++)
        if (!is_of_the_daemon(option) && count < OPTIONS_MAX)
            table[count++] = *option;
    for (const struct cli_option *option = own; option->name && count < OPTIONS_MAX; option++)
        table[count++] = *option;
    for (const struct cli_option *option = cli_common_options; option->name && count < OPTIONS_MAX;
         option++)
        table[count++] = *option;
    table[count] = (struct cli_option){.name = NULL};
}

int run_flags_init(struct run_flags *flags) {
    int result;

    *flags = (struct run_flags){.trace = false};
    result = cli_flags_init(&flags->common);
    if (result < 0)
        fprintf(stderr, "baton: out of memory\n");
    return result;
}

void run_flags_clear(struct run_flags *flags) {
    cli_flags_clear(&flags->common);
}

int run_flags_apply(const struct run_flags *flags, struct settings *settings,
                    char error[SETTINGS_ERROR_MAX]) {
    int result = attribute_apply(settings, flags->common.app, NULL, error);

    settings->trace = flags->trace;
    settings->status = flags->status;
    settings->status_json = flags->status_json;
    settings->silent = flags->common.silent;
    settings->no_color = flags->common.no_color;
    return result;
}

void run_print_kinds(void) {
    static const char *const summaries[] = {
        [SETTINGS_INTERCEPT_AUTO] =
            "node for Node scripts, seccomp for programs without libc, else preload",
        [SETTINGS_INTERCEPT_NODE] = "Node's own cluster channel",
        [SETTINGS_INTERCEPT_NODE_FAST] =
            "the same, but clients come by accept socket, without JSON",
        [SETTINGS_INTERCEPT_PRELOAD] =
            "a library in the worker makes its bind, listen and accept ours",
        [SETTINGS_INTERCEPT_SECCOMP] =
            "the kernel asks us about those calls: for static and Go programs",
        [SETTINGS_INTERCEPT_LISTEN_FDS] =
            "workers inherit the --listen socket as systemd passes it, and accept",
        [SETTINGS_INTERCEPT_NATIVE] = "the program uses libbaton or the protocol itself",
        [SETTINGS_INTERCEPT_NONE] = "not at all, as with -x",
    };

    puts("\nKinds, for --intercept:");
    for (size_t i = 0; i < sizeof summaries / sizeof summaries[0]; i++)
        paragraph_print_item(stdout, NAME_COLUMN,
                             settings_intercept_name((enum settings_intercept)i), summaries[i]);
}

void run_print_policies(void) {
    puts("\nPolicies:");
    for (int i = 0; policy_types[i]; i++)
        paragraph_print_item(stdout, NAME_COLUMN, policy_types[i]->name, policy_types[i]->summary);
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
