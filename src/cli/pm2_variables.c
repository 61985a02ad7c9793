#include "cli/pm2_variables.h"

#include "base/text.h"
#include "config/attribute.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARALLEL_MAX 1024

static const struct {
    const char *variable;
    const char *attribute;
    bool flag; /* any value means yes, as PM2 has it */
} defaults[] = {
    {"PM2_KILL_TIMEOUT", "kill_timeout", false},
    {"PM2_KILL_SIGNAL", "kill_signal", false},
    {"PM2_KILL_USE_MESSAGE", "shutdown_with_message", true},
    {"PM2_GRACEFUL_LISTEN_TIMEOUT", "listen_timeout", false},
};

/* NULL: not set, or empty, which is the same here. */
static const char *variable(const char *name) {
    const char *value = getenv(name);

    return value && value[0] ? value : NULL;
}

void pm2_variables_apply(struct cli_flags *flags) {
    const char *parallel = variable("PM2_CONCURRENT_ACTIONS");
    int64_t number;

    if (variable("PM2_SILENT"))
        flags->silent = true;
    if (parallel && flags->parallel == 0 && text_to_number(parallel, 1, PARALLEL_MAX, &number) == 0)
        flags->parallel = (uint32_t)number;
}

/* Whether the attribute takes it. */
static bool is_taken(const char *attribute, const json_t *value) {
    char ignored[SETTINGS_ERROR_MAX];
    struct settings settings;
    int result;

    settings_init(&settings);
    result = attribute_apply_one(&settings, attribute, value, ignored);
    settings_clear(&settings);
    return result == 0;
}

json_t *pm2_variables_defaults(void) {
    json_t *attributes = json_object();

    for (size_t i = 0; attributes && i < sizeof defaults / sizeof defaults[0]; i++) {
        const char *text = variable(defaults[i].variable);
        json_t *value;

        if (!text)
            continue;
        value = defaults[i].flag ? json_true() : json_string(text);
        if (value && is_taken(defaults[i].attribute, value))
            json_object_set(attributes, defaults[i].attribute, value);
        else
            fprintf(stderr, "pm2: %s cannot be what it is, and is left out\n",
                    defaults[i].variable);
        json_decref(value);
    }
    return attributes;
}
