/* Whether an app's settings can work, and what they leave open: the last step before they are
 * read-only. */
#ifndef BATON_CONFIG_CHECK_H
#define BATON_CONFIG_CHECK_H

#include "config/settings.h"

/* The name of an app that has none: its script's base name without the ending. */
#define SETTINGS_NAME_MAX 256
void settings_name_of_script(const char *script, char name[SETTINGS_NAME_MAX]);

/* An app of the daemon is only supervised unless something asks for a cluster, as PM2 has it: a
 * program that does jobs listens nowhere. Before settings_check(). */
void settings_supervise_by_default(struct settings *settings);

/* Whether targets can mean the app by its name: not by `all`, `-`, /…/ or the name
 * of a process file. A mere number is taken,
 * with a warning (`warnings` may be NULL), for as a target an id goes before a name. For apps of
 * the daemon, after settings_check(). 0, or UV_EINVAL or UV_ENOMEM with a sentence. */
int settings_check_name(const struct settings *settings, struct text_list *warnings,
                        char error[SETTINGS_ERROR_MAX]);

/* Makes `instances` the number that "max" and its like mean; settings_check() does it, too. */
void settings_count_instances(struct settings *settings);

/* Completes (name, namespace, script, interpreter, instances, intercept, policy, instance_var,
 * health.port in fork mode) and checks. 0, or UV_EINVAL, UV_ENOENT, UV_EISDIR, UV_EACCES or
 * UV_ENOMEM with one sentence for the user in `error`. Looks at the file system, PATH and the CPUs
 * that we may use, nothing else. The counting of CPUs is PM2's.
 */
int settings_check(struct settings *settings, char error[SETTINGS_ERROR_MAX]);

#endif
