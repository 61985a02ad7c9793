/* What the files of an app's log share: its slots and files, and how bytes of a worker pass through
 * it. app_log.c has the slots and the files, log_passage.c what becomes of bytes. */
#ifndef BATON_DAEMON_APP_LOG_INTERNAL_H
#define BATON_DAEMON_APP_LOG_INTERNAL_H

#include "daemon/app_log.h"
#include "daemon/recent_output.h"

/* A log file, of as many streams as have its path. */
struct app_log_file {
    struct list in_log;
    struct log_file file;
    unsigned users;
};

struct app_log_stream {
    struct app_log_file *file; /* NULL: none */
    bool continued;            /* its last line is not finished */
};

struct app_log_slot {
    uint32_t number;
    bool numbered; /* its files have the process's number in their names: … */
    uint32_t id;   /* … this */
    struct app_log_stream streams[2];
    struct app_log_file *combined; /* NULL: none */
    struct recent_output recent;
};

/* Has the file's predecessors compressed after a rest, if there are any. */
void app_log_compress_later(struct app_log *log, const struct log_file *file);

#endif
