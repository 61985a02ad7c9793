/* Any bytes as YAML: refused with a sentence that names a place, or a value of bounded size and
 * depth that can be written as JSON. */
#include "config/yaml_value.h"

#include "check.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static size_t count_nodes(json_t *value, int depth) {
    size_t count = 1;
    const char *name;
    json_t *item;
    size_t i;

    check(depth <= YAML_VALUE_DEPTH_MAX + 1);
    json_array_foreach(value, i, item) count += count_nodes(item, depth + 1);
    json_object_foreach(value, name, item) count += count_nodes(item, depth + 1);
    if (json_is_string(value))
        check(strlen(json_string_value(value)) == json_string_length(value));
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    char error[YAML_VALUE_ERROR_MAX] = "";
    json_t *value = NULL;
    char *text;

    if (yaml_value_parse((const char *)bytes, length, &value, error) < 0) {
        check(strncmp(error, "line ", 5) == 0 && !value);
        return 0;
    }
    check(value && count_nodes(value, 1) <= YAML_VALUE_NODES_MAX);
    text = json_dumps(value, JSON_ENCODE_ANY);
    check(text != NULL);
    free(text);
    json_decref(value);
    return 0;
}
