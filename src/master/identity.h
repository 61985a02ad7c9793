/* The user and group that an app's workers run as. */
#ifndef BATON_MASTER_IDENTITY_H
#define BATON_MASTER_IDENTITY_H

#include "config/settings.h"

#include <stdbool.h>
#include <sys/types.h>

/* From --uid and --gid, names or numbers; the group defaults to the user's own. *ret_change says
 * whether they differ from ours at all. 0, or UV_ENOENT for an unknown one. Reads the user
 * database: not for the serving path. */
int identity_resolve(const struct settings *settings, bool *ret_change, uid_t *ret_uid,
                     gid_t *ret_gid);

#endif
