/* Which apps must serve before another one is started: `depends_on`. Pure. */
#ifndef BATON_DAEMON_DEPENDENCY_H
#define BATON_DAEMON_DEPENDENCY_H

#include "config/settings.h"

#include <stdbool.h>
#include <stddef.h>

/* The settings of the app of this name, or NULL when there is none. */
typedef const struct settings *(*dependency_lookup)(void *owner, const char *name);

/* Whether what `settings` says leads back to the app itself: then no order exists. `path` gets the
 * way, "api → db → api", cut to `size`. Names that nobody knows lead nowhere. */
bool dependency_cycle(const struct settings *settings, dependency_lookup lookup, void *owner,
                      char *path, size_t size);

#endif
