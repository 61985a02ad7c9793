#include "cli/flags.h"

#include <uv.h>

static int set_silent(void *target, const char *value) {
    (void)value;
    ((struct cli_flags *)target)->silent = true;
    return 0;
}

static int set_no_color(void *target, const char *value) {
    (void)value;
    ((struct cli_flags *)target)->no_color = true;
    return 0;
}

static int set_help(void *target, const char *value) {
    (void)value;
    ((struct cli_flags *)target)->help = true;
    return 0;
}

const struct cli_option cli_common_options[] = {
    {"silent", 's', NULL, NULL, "only errors and what was asked for", set_silent},
    {"no-color", 0, NULL, NULL, "no colours", set_no_color},
    {"help", 'h', NULL, NULL, "this text", set_help},
    {NULL, 0, NULL, NULL, NULL, NULL},
};

int cli_flags_init(struct cli_flags *flags) {
    *flags = (struct cli_flags){.app = json_object()};
    return flags->app ? 0 : UV_ENOMEM;
}

void cli_flags_clear(struct cli_flags *flags) {
    json_decref(flags->app);
    flags->app = NULL;
}
