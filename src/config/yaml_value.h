/* YAML to JSON values, as process files have them.
 *
 * libyaml parses (YAML 1.1's syntax); plain scalars are read by YAML 1.2's core schema, so that
 * `no` and `on` are texts. Anchors, aliases and merge keys (<<) are followed; one document only. */
#ifndef BATON_CONFIG_YAML_VALUE_H
#define BATON_CONFIG_YAML_VALUE_H

#include <jansson.h>
#include <stddef.h>

#define YAML_VALUE_DEPTH_MAX 64
#define YAML_VALUE_NODES_MAX 200000 /* with every alias written out */
#define YAML_VALUE_ERROR_MAX 192

/* 0 with a new reference (null for an empty text), or UV_EINVAL or UV_ENOMEM with a sentence that
 * begins "line 3, column 7: ". A key that stands twice, a key that is no scalar, and a tag that the
 * core schema does not have, are mistakes. Texts hold no NUL. */
int yaml_value_parse(const char *text, size_t length, json_t **ret_value,
                     char error[YAML_VALUE_ERROR_MAX]);

#endif
