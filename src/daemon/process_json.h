/* A process as the control API shows it (docs/api.md): the fields of `pm2 jlist`, and Baton's. */
#ifndef BATON_DAEMON_PROCESS_JSON_H
#define BATON_DAEMON_PROCESS_JSON_H

#include "daemon/json_text.h"
#include "daemon/record.h"

#include <jansson.h>

/* How much of it. */
enum process_detail {
    PROCESS_BRIEF, /* what a table shows */
    PROCESS_USUAL, /* all but the variables of its environment, which are most of it */
    PROCESS_WHOLE,
};

/* Writes it as one value; nothing when there is no such process. */
void process_json_write(struct json_text *text, const struct record *record, uint32_t slot,
                        enum process_detail detail);

/* The usual detail, a new reference; NULL when there is no such process, or memory is out. */
json_t *process_json(const struct record *record, uint32_t slot);

/* An array of the lines that its worker `pid` printed last (0: whichever printed), or NULL. */
json_t *process_json_output(const struct record *record, uint32_t slot, pid_t pid);

#endif
