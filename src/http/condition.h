/* Conditional requests, RFC 9110, 13: has the client the current version already? Pure. */
#ifndef BATON_HTTP_CONDITION_H
#define BATON_HTTP_CONDITION_H

#include <stdbool.h>
#include <stdint.h>

/* What there is now. */
struct http_version {
    const char *etag; /* strong, with its quotes */
    int64_t modified; /* seconds since 1970 */
};

/* Whether to answer 304: `if_none_match` decides if it is there, else `if_modified_since`; either
 * may be NULL. For GET and HEAD only. */
bool http_condition_unchanged(const struct http_version *version, const char *if_none_match,
                              const char *if_modified_since);

/* Whether a Range header counts: `if_range` (may be NULL) names exactly this version. */
bool http_condition_range_holds(const struct http_version *version, const char *if_range);

#endif
