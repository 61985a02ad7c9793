/* The user and group that an app's workers run as. */
#ifndef BATON_MASTER_IDENTITY_H
#define BATON_MASTER_IDENTITY_H

#include "config/settings.h"

#include <stdbool.h>
#include <sys/types.h>

struct identity {
    uid_t uid;
    gid_t gid;
    bool differs; /* from ours: the worker has to change */
};

/* From --uid and --gid, names or numbers; the group defaults to the user's own. 0, or UV_ENOENT for
 * an unknown one. Reads the user database, which may block: once, before the loop runs. */
int identity_resolve(const struct settings *settings, struct identity *ret_identity);

#endif
