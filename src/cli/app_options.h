/* The flags that describe an app, for `start`, `serve` and whatever else starts apps: each sets an
 * attribute (config/attribute.h) of a description. */
#ifndef BATON_CLI_APP_OPTIONS_H
#define BATON_CLI_APP_OPTIONS_H

#include "cli/options.h"

/* Their target is a struct cli_flags (flags.h): they set attributes of its `app`, by their first
 * names. Values are checked as far as they can be without the app: "-i two" is refused here. */
extern const struct cli_option app_options[];

/* For struct cli_words: most of them are attributes by their names, "max-restarts" is
 * max_restarts. */
int app_options_apply(void *target, const struct cli_option *option, const char *value);

#endif
