/* What an app's workers print: the sink that writes it to log files and tells whoever follows.
 *
 * Each slot has an out and an error file, and a combined one where log_file is set; merge_logs, or
 * paths that are equal, make several share one file, and then whole lines go there. Files are named
 * and formatted by the app's settings, written by log_file.h, and exist from the start. Those whose
 * paths the user has given may be read by his group, for the sake of log collectors; the others
 * not.
 *
 * Lines are announced only while somebody follows, and cut only for those and for formats: raw
 * output that nobody follows is written as it was read. A line longer than OUTPUT_HELD_MAX is
 * written and announced in pieces. The last of each worker is kept, for failure reports
 * (recent_output.h). A slow disk slows the workers: after a write that waited for it nothing is
 * taken for ten times as long. A full one slows nobody.
 *
 * start/close(callback). Settings, home and name are the caller's and outlive it. */
#ifndef BATON_DAEMON_APP_LOG_H
#define BATON_DAEMON_APP_LOG_H

#include "base/buffer.h"
#include "base/list.h"
#include "config/settings.h"
#include "daemon/log_file.h"
#include "daemon/log_path.h"
#include "master/output_sink.h"

#include <limits.h>
#include <uv.h>

struct app_log_slot;

/* A line as it is announced: UTF-8, whatever the worker printed. */
struct log_line {
    uint32_t slot;
    bool error;
    int64_t time_ms;  /* since 1970 */
    const char *text; /* without newline and not terminated, valid during the call */
    size_t length;
};

struct app_log_options {
    uv_loop_t *loop;
    const struct settings *settings;
    const char *home;
    const char *name; /* of the app, if the settings have none */
    uint64_t rest_ms; /* after which rotated files are compressed; 0: the default, 5 s */
    /* The number of a slot's process (pm_id), which is in names of files and in JSON. */
    uint32_t (*process_id)(void *owner, uint32_t slot);
    void (*on_line)(void *owner, const struct log_line *line);
    /* Or NULL; at most once a minute, unless it is another error. */
    void (*on_problem)(void *owner, const struct log_problem *problem);
    void *owner;
};

struct app_log {
    struct output_sink sink;
    struct app_log_options options;
    uv_timer_t timer; /* until rotated files are compressed */
    struct app_log_slot **slots;
    uint32_t slot_count;
    struct list files;
    bool numbered; /* new slots' files have the process's number in their names */
    bool followed;
    const char *date_format; /* NULL: none */
    struct buffer lines;     /* being formatted */
    struct buffer text;      /* being announced */
    uint64_t busy_until_ns;  /* nothing is taken before, for the disk is slow; 0: it is not */
    uint64_t problem_ms;     /* when one was last announced; 0: never */
    int problem_error;
    void (*on_closed)(void *owner);
    void *owner;
};

/* Opens the files of the slots that the settings ask for. 0 or UV_ENOMEM. */
int app_log_start(struct app_log *log, const struct app_log_options *options);

/* Closes the sources that are left, with what they still have to say, then the files. */
void app_log_close(struct app_log *log, void (*on_closed)(void *owner), void *owner);

/* Other settings of the same app: files get the names and formats of these from now on. 0, or
 * UV_ENOMEM with the old settings in force. */
int app_log_configure(struct app_log *log, const struct settings *settings);

/* The app has so many slots now, or other processes in them: files of new ones are opened. A slot
 * that has one without a process's number in its name keeps that. 0 or UV_ENOMEM. */
int app_log_resize(struct app_log *log, uint32_t slots);

/* Whether lines are announced. */
void app_log_follow(struct app_log *log, bool followed);

/* Empties the files and removes their predecessors. */
void app_log_flush(struct app_log *log);

/* Opens the files anew. */
void app_log_reopen(struct app_log *log);

/* A slot's file: 0 with its absolute path, UV_ENOENT where there is none, or UV_ENAMETOOLONG. */
int app_log_path(const struct app_log *log, uint32_t slot, enum log_path_kind kind,
                 char path[PATH_MAX]);

/* Appends the lines that the slot's worker has printed last: recent_output_last_lines(). */
int app_log_last_lines(const struct app_log *log, uint32_t slot, pid_t pid, struct buffer *text);

#endif
