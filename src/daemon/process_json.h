/* A process as the control API shows it (docs/api.md): the fields of `pm2 jlist`, and Baton's. */
#ifndef BATON_DAEMON_PROCESS_JSON_H
#define BATON_DAEMON_PROCESS_JSON_H

#include "daemon/record.h"

#include <jansson.h>

/* A new reference; NULL when there is no such process, or memory is out. Without `environment` the
 * variables are left out, which are most of it. */
json_t *process_json(const struct record *record, uint32_t slot, bool environment);

/* An array of the lines that its worker `pid` printed last (0: whichever printed), or NULL. */
json_t *process_json_output(const struct record *record, uint32_t slot, pid_t pid);

#endif
