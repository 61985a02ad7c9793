#include "cli/file_flags.h"

#include "base/text.h"
#include "cli/flags.h"

#include <uv.h>

static int set_env_name(void *target, const char *value) {
    if (!value[0])
        return UV_EINVAL;
    ((struct cli_flags *)target)->env_name = value;
    return 0;
}

static int set_only(void *target, const char *value) {
    if (!value[0])
        return UV_EINVAL;
    ((struct cli_flags *)target)->only = value;
    return 0;
}

static int set_parallel(void *target, const char *value) {
    int64_t number;

    if (text_to_number(value, 1, 1024, &number) < 0)
        return UV_EINVAL;
    ((struct cli_flags *)target)->parallel = (uint32_t)number;
    return 0;
}

static int set_update_env(void *target, const char *value) {
    (void)value;
    ((struct cli_flags *)target)->update_env = true;
    return 0;
}

static int set_force(void *target, const char *value) {
    (void)value;
    ((struct cli_flags *)target)->force = true;
    return 0;
}

const struct cli_option cli_file_options[] = {
    {"env", 0, "NAME", "a name", "of a process file: the variables of env_NAME, too", set_env_name},
    {"only", 0, "NAMES", "names, parted by commas", "of a process file: these apps alone",
     set_only},
    {"parallel", 0, "N", "a number of 1 or more",
     "restart or reload so many apps at once; without it, as many as there are processors",
     set_parallel},
    {NULL, 0, NULL, NULL, NULL, NULL},
};

const struct cli_option cli_update_env_options[] = {
    {"update-env", 'a', NULL, NULL, "with the variables that are set here and now", set_update_env},
    {NULL, 0, NULL, NULL, NULL, NULL},
};

const struct cli_option cli_force_options[] = {
    {"force", 'f', NULL, NULL, "also what is refused otherwise", set_force},
    {NULL, 0, NULL, NULL, NULL, NULL},
};

static int set_watch(void *target, const char *value) {
    struct cli_flags *flags = target;

    (void)value;
    return json_object_set_new(flags->app, "watch", json_false()) < 0 ? UV_ENOMEM : 0;
}

const struct cli_option cli_watch_options[] = {
    {"watch", 0, NULL, NULL, "watch no longer for changed files, either", set_watch},
    {NULL, 0, NULL, NULL, NULL, NULL},
};
