/* The attributes of an app's description: what a process file, the flags and the control API say
 * of an app, as JSON, and how they fill in its settings.
 *
 * One table holds each attribute's name, its other names and the values that it takes
 * (docs/process-files.md lists them). Names may also be written in camelCase. Times are
 * milliseconds or texts such as "1.5s", sizes bytes or texts such as "200M"; numbers and booleans
 * may be texts. What belongs to PM2 alone (pmx, vizion, …) is accepted and ignored. */
#ifndef BATON_CONFIG_ATTRIBUTE_H
#define BATON_CONFIG_ATTRIBUTE_H

#include "config/settings.h"

#include <jansson.h>

/* Fills in what `description`, an object, says; what it does not say stays as it is. Variables of
 * `env` are added one by one, every other list is replaced. An attribute that is null is as if it
 * were not there. `warnings` (may be NULL) gets a sentence for each unknown attribute, naming the
 * nearest known one. 0, UV_EINVAL with a sentence in `error` for a value that cannot be, or
 * UV_ENOMEM, with a sentence, too; then `settings` may be filled in part. */
int attribute_apply(struct settings *settings, const json_t *description,
                    struct text_list *warnings, char error[SETTINGS_ERROR_MAX]);

/* The same for one attribute. UV_ENOENT when there is none of that name; no sentence then. */
int attribute_apply_one(struct settings *settings, const char *name, const json_t *value,
                        char error[SETTINGS_ERROR_MAX]);

/* The description with every attribute under its first name, in snake_case; without what is
 * ignored, and without unknown ones, of which `warnings` (may be NULL) gets a sentence. env_NAME
 * and deploy stay. A new reference, or NULL when memory is out. */
json_t *attribute_normalize(const json_t *app, struct text_list *warnings);

/* Makes a normalised app's `env` what it is under --env `env_name` (NULL: none was given): env_NAME
 * over `env` over deploy.NAME.env, and takes env_* and deploy away; with append_env_to_name the
 * name becomes NAME-env_name. A warning when the app has no such env_NAME. 0 or UV_ENOMEM. */
int attribute_merge_env(json_t *app, const char *env_name, struct text_list *warnings);

/* Makes the paths of a normalised app absolute: `cwd` (which is `directory` where there is none)
 * and an `interpreter` with a slash from `directory`, the files for output and the process number
 * from `cwd`. The script stays: a bare name may be a command. `directory` is absolute. 0 or
 * UV_ENOMEM.
 */
int attribute_resolve_paths(json_t *app, const char *directory);

/* The first name of an attribute that is written so, or NULL; a constant. */
const char *attribute_canonical_name(const char *name);

#endif
