/* What a request to the control API must be before its route is looked up. Pure. */
#ifndef BATON_DAEMON_CONTROL_CHECK_H
#define BATON_DAEMON_CONTROL_CHECK_H

#include "http/request.h"

#include <stdbool.h>
#include <stddef.h>

/* Names, brackets and commas in one body: what JSON takes in memory is many times its text where
 * all of it is small. */
#define CONTROL_VALUES_MAX 262144

/* Whether the request is meant for us: Host "localhost" or empty, or missing with HTTP/1.0; and the
 * same of a target that names a host. */
bool control_check_host(const struct http_request *request);

/* The host that a target in absolute form names, which goes on to the next "/" or "?"; NULL in the
 * other forms. */
const char *control_check_target_host(const struct http_request *request);

/* Whether its body is application/json, whatever the parameters. */
bool control_check_type(const struct http_request *request);

/* Whether it accepts text/event-stream. */
bool control_check_events(const struct http_request *request);

/* Whether a JSON text holds at most CONTROL_VALUES_MAX values. */
bool control_check_values(const char *text, size_t length);

/* Whether `path` fits `pattern`, whose last segment may be "*"; *ret_segment is what stands there,
 * NULL when the pattern has none. */
bool control_check_path(const char *path, const char *pattern, const char **ret_segment);

/* Whether every percent code of a query (may be NULL) is whole and none is a NUL. */
bool control_check_encoding(const char *query);

/* Decodes the `index`-th value of `name` in a query that control_check_encoding() has passed; false
 * when there is none. What is too long is cut. */
bool control_check_query(const char *query, const char *name, size_t index, char *value,
                         size_t size);

#endif
