#include "http/condition.h"

#include "http/date.h"

#include <stddef.h>
#include <string.h>

/* Whether `etag` is in the comma-separated list; weak comparison: W/"a" matches "a". */
static bool list_has(const char *list, const char *etag) {
    size_t length = strlen(etag);

    for (;;) {
        const char *end;

        list += strspn(list, " \t,");
        if (strncmp(list, "W/", 2) == 0)
            list += 2;
        if (*list != '"')
            return false;
        end = strchr(list + 1, '"');
        if (!end)
            return false;
        if ((size_t)(end + 1 - list) == length && memcmp(list, etag, length) == 0)
            return true;
        list = end + 1;
    }
}

bool http_condition_unchanged(const struct http_version *version, const char *if_none_match,
                              const char *if_modified_since) {
    int64_t since;

    if (if_none_match)
        return strcmp(if_none_match, "*") == 0 || list_has(if_none_match, version->etag);
    if (!if_modified_since || http_date_parse(if_modified_since, &since) < 0)
        return false;
    return version->modified <= since;
}

bool http_condition_range_holds(const struct http_version *version, const char *if_range) {
    int64_t date;

    if (!if_range || strcmp(if_range, version->etag) == 0)
        return true;
    return http_date_parse(if_range, &date) == 0 && date == version->modified;
}
