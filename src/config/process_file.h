/* Process files: one or more apps in a JSON, YAML or JavaScript file.
 *
 * JSON is relaxed_json.h's, YAML yaml_value.h's; *.config.js, .cjs and .mjs are evaluated by node
 * (script_file.h). The top level is {apps: […]}, an array of apps or one app. What stands under
 * `deploy` beside `apps` is put into each app, for attribute_merge_env(). */
#ifndef BATON_CONFIG_PROCESS_FILE_H
#define BATON_CONFIG_PROCESS_FILE_H

#include "config/settings.h"

#include <jansson.h>
#include <stdbool.h>

#define PROCESS_FILE_SIZE_MAX (8 * 1024 * 1024)
#define PROCESS_FILE_APPS_MAX 4096

/* Whether a target is meant as a process file, by its name alone: .json, .yml, .yaml, or
 * .config.js, .config.cjs, .config.mjs. */
bool process_file_is(const char *path);

/* Gives the apps of a file: a new array of normalised objects (attribute_normalize()), their paths
 * absolute, relative ones being meant from the file's directory (attribute_resolve_paths()).
 * `warnings` may be NULL. 0, or UV_ENOENT, UV_EACCES, UV_EISDIR, UV_E2BIG, UV_EINVAL (contents) or
 * UV_ENOMEM, with a sentence in `error` that names the file. Blocks while `node` runs, at most 30
 * seconds. */
int process_file_load(const char *path, json_t **ret_apps, struct text_list *warnings,
                      char error[SETTINGS_ERROR_MAX]);

/* The same for relaxed JSON from a descriptor, read to its end: standard input, which is what
 * sentences call it. `directory`, absolute, stands for the file's. Without UV_ENOENT and UV_EACCES.
 */
int process_file_read(int input, const char *directory, json_t **ret_apps,
                      struct text_list *warnings, char error[SETTINGS_ERROR_MAX]);

/* What of a file is meant; each may be NULL. */
struct process_file_choice {
    const char *env_name; /* --env: env_NAME, too */
    const char *only;     /* --only: the apps of these names, parted by commas */
};

/* Loads the file and checks each app that is meant as a start would, but starts nothing. `problems`
 * gets a sentence for each app that cannot work, naming it, or the one for the file; `warnings`
 * gets the rest. Returns the number of apps that are meant, or a negative UV_E* when the file
 * cannot be read or memory is out. */
int process_file_validate(const char *path, const struct process_file_choice *choice,
                          struct text_list *problems, struct text_list *warnings);

#endif
