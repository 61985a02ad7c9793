/* Any bytes as a process file: refused with a sentence that names a place, or a value that survives
 * being written and read again, which then goes all the way to an app's settings. */
#include "config/relaxed_json.h"

#include "check.h"
#include "config/attribute.h"
#include "config/process_file.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* What jansson writes of it is the same again here. */
static void check_again(const json_t *value) {
    char error[RELAXED_JSON_ERROR_MAX];
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
    json_t *again = NULL;

    check(text != NULL);
    check(relaxed_json_parse(text, strlen(text), &again, error) == 0);
    check(json_equal(value, again));
    json_decref(again);
    free(text);
}

static void apply(json_t *app) {
    char error[SETTINGS_ERROR_MAX] = "";
    struct text_list warnings = {.items = NULL};
    struct settings settings;
    json_t *again;

    settings_init(&settings);
    check(attribute_merge_env(app, "production", &warnings) == 0);
    check(!json_object_get(app, "deploy") && !json_object_get(app, "env_production"));
    if (attribute_apply(&settings, app, &warnings, error) < 0)
        check(error[0] && strlen(error) < sizeof error);
    again = attribute_normalize(app, NULL); /* which it is already */
    check(json_equal(app, again));
    json_decref(again);
    settings_clear(&settings);
    text_list_clear(&warnings);
}

/* A file without a name that has these bytes, at its beginning. */
static int file_of(const uint8_t *bytes, size_t length) {
    int file = memfd_create("input", MFD_CLOEXEC);

    check(file >= 0);
    check(write(file, bytes, length) == (ssize_t)length);
    check(lseek(file, 0, SEEK_SET) == 0);
    return file;
}

static int read_apps(const uint8_t *bytes, size_t length, json_t **ret_apps,
                     struct text_list *warnings, char error[SETTINGS_ERROR_MAX]) {
    int file = file_of(bytes, length);
    int result = process_file_read(file, "/srv", ret_apps, warnings, error);

    close(file);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    char error[SETTINGS_ERROR_MAX] = "";
    struct text_list warnings = {.items = NULL};
    json_t *value = NULL;
    json_t *apps = NULL;

    if (relaxed_json_parse((const char *)bytes, length, &value, error) < 0) {
        check(strncmp(error, "line ", 5) == 0 && !value);
        return 0;
    }
    check_again(value);
    json_decref(value);
    if (read_apps(bytes, length, &apps, &warnings, error) == 0)
        for (size_t i = 0; i < json_array_size(apps); i++)
            apply(json_array_get(apps, i));
    else
        check(error[0] && !apps);
    json_decref(apps);
    text_list_clear(&warnings);
    return 0;
}
