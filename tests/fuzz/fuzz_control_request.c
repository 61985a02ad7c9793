/* Any bytes as the query and as the body of a request to the control API, as src/daemon/control.c
 * reads them: a query that is properly encoded has values that can be found, and the apps of a body
 * are refused with a sentence or become settings. */
#include "daemon/control_check.h"
#include "daemon/record.h"

#include "check.h"

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define VALUES_MAX 64

static void read_query(const char *query) {
    static const char *const names[] = {"target", "lines", "env", ""};
    char value[32];

    if (!control_check_encoding(query))
        return;
    for (size_t name = 0; name < sizeof names / sizeof names[0]; name++)
        for (size_t i = 0; i < VALUES_MAX; i++) {
            if (!control_check_query(query, names[name], i, value, sizeof value))
                break;
            check(memchr(value, '\0', sizeof value));
        }
}

static void read_app(const json_t *description) {
    char error[SETTINGS_ERROR_MAX] = "";
    struct settings *settings = NULL;
    struct text_list warnings = {.count = 0};

    if (record_check(description, NULL, &settings, &warnings, error) == 0) {
        check(settings != NULL);
        settings_unref(settings);
    } else {
        check(error[0] != '\0');
    }
    text_list_clear(&warnings);
}

static void read_body(const char *text, size_t length) {
    json_t *body;
    json_t *app;
    size_t index;

    if (!control_check_values(text, length))
        return;
    body = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
    json_array_foreach(json_object_get(body, "apps"), index, app) {
        if (json_is_object(app))
            read_app(app);
    }
    json_decref(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    char *text = malloc(length + 1);

    if (!text)
        return 0;
    memcpy(text, bytes, length);
    text[length] = '\0';
    read_query(text);
    read_body(text, length);
    free(text);
    return 0;
}
