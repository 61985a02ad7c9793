/* A process as the control API shows it (docs/api.md): the fields of `pm2 jlist`, and Baton's. */
#ifndef BATON_DAEMON_PROCESS_JSON_H
#define BATON_DAEMON_PROCESS_JSON_H

#include "daemon/record.h"

#include <jansson.h>

/* A new reference; NULL when there is no such process, or memory is out. */
json_t *process_json(const struct record *record, uint32_t slot);

/* An array of the lines that it printed last, or NULL. */
json_t *process_json_output(const struct record *record, uint32_t slot);

#endif
