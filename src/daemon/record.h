/* One app as the daemon knows it: its description, its settings, its processes' numbers, its logs,
 * and the app that the master runs.
 *
 * The happy path: record_create() checks the description and opens the logs, with every process
 * stopped; record_start() and its like act on one process each; what becomes of it is announced;
 * record_remove() forgets a process that is stopped, and with the last one the record is to be
 * closed. It can fail when the description cannot work (a sentence), or memory is out.
 *
 * create/close(cb). A process is named by its slot here, and by its number (pm_id) outside. */
#ifndef BATON_DAEMON_RECORD_H
#define BATON_DAEMON_RECORD_H

#include "base/list.h"
#include "config/settings.h"
#include "daemon/app_log.h"
#include "daemon/health_check.h"
#include "daemon/schedule.h"
#include "daemon/watch.h"
#include "master/app.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct record;

struct record_events {
    /* What is saved of it is another: its description, its processes, or which of them are to run.
     */
    void (*changed)(void *owner, struct record *record);
    /* A status is another, or a process has another worker. */
    void (*status)(void *owner, struct record *record, uint32_t slot);
    /* A worker ended before it was ready, and is tried again. */
    void (*failing)(void *owner, struct record *record, uint32_t slot);
    void (*renewed)(void *owner, struct record *record, const struct app_renewed *renewed);
    /* A process is forgotten; with `last`, none is left, and the record is to be closed. */
    void (*removed)(void *owner, struct record *record, uint32_t pm_id, bool last);
    void (*line)(void *owner, struct record *record, const struct log_line *line);
};

/* What a record needs of the daemon; all of it outlives the record. */
struct record_options {
    uv_loop_t *loop;
    struct host *host;
    struct schedule *schedule;
    const char *home;
    uint32_t *next_pm_id; /* the daemon's counter */
    const struct record_events *events;
    void *owner;
};

struct record_process {
    bool exists;
    bool removing; /* forgotten as soon as it is stopped */
    bool held;     /* to be started as soon as the apps serve that it depends on */
    uint32_t pm_id;
    char unique_id[33]; /* random, hexadecimal: no two processes ever have the same */
    bool said_stopped;
    enum app_status said_status;
    uint32_t said_restarts;
    pid_t noted;                       /* the worker that its pid file names, or 0 */
    pid_t checked;                     /* the worker whose health is checked, or 0 */
    struct health_check *check;        /* … by this; NULL with `checked` when memory was out */
    struct health_check *examination;  /* of a reload's new worker, or NULL */
    uint64_t examined_until_ms;        /* until when that may fail */
    char unhealthy[HEALTH_REASON_MAX]; /* why the last one that was replaced for it was; or "" */
};

struct record {
    struct list in_fleet;
    struct record_options options;
    json_t *description;       /* normalised; as it is saved */
    struct settings *settings; /* of workers to come */
    char *version;             /* of the nearest package.json, or NULL */
    char *node_version;        /* of the node that runs it, where that is to be had, or NULL */
    char user[64];             /* whom its workers run as, for people */
    struct app *app;
    struct app_log log;
    struct record_process *processes; /* by slot */
    uint32_t capacity;
    struct schedule_entry cron;
    struct watch watch;
    bool watching;
    bool watch_again; /* with other settings, when the one that is being closed is */
    bool closing;
    void (*on_closed)(void *owner, struct record *record);
};

/* Checks a description (borrowed) as a start would: 0 with *ret_settings, a new reference, or a
 * UV_E* and a sentence in `error`. `defaults` (attributes for what it does not say) and `warnings`
 * may be NULL. */
int record_check(const json_t *description, const json_t *defaults, struct settings **ret_settings,
                 struct text_list *warnings, char error[SETTINGS_ERROR_MAX]);

/* Takes a reference to the description and the caller's to the settings, also when it fails. 0 with
 * *ret_record and its processes numbered, all stopped; or a UV_E* and a sentence. */
int record_create(struct record **ret_record, const struct record_options *options,
                  json_t *description, struct settings *settings, char error[SETTINGS_ERROR_MAX]);

/* Stops what runs; on_closed comes from the loop, when the record is to be taken out of every list;
 * it is freed after it. */
void record_close(struct record *record, void (*on_closed)(void *owner, struct record *record));

/* Another description for workers to come, and for the logs; takes references as record_create().
 * The number of processes is not changed by it. */
int record_update(struct record *record, json_t *description, struct settings *settings,
                  char error[SETTINGS_ERROR_MAX]);

/* Whether the next daemon is not to start it: nobody wants it to run, nor to run as soon as others
 * do. */
bool record_is_stopped(const struct record *record, uint32_t slot);

/* The number of a slot's process, and back: false when there is none. */
bool record_pm_id(const struct record *record, uint32_t slot, uint32_t *ret_pm_id);

/* The first slot from `slot` on that has a process; UINT32_MAX: none. */
uint32_t record_next(const struct record *record, uint32_t slot);
uint32_t record_count(const struct record *record);

/* Starting and renewing pass by what is being removed: whoever waits for it learns that it is gone.
 */
void record_start(struct record *record, uint32_t slot);
void record_renew(struct record *record, uint32_t slot, enum app_renewal how, uint64_t request);
void record_stop(struct record *record, uint32_t slot);

/* It is to be started as soon as others serve, or not any more. */
void record_hold(struct record *record, uint32_t slot, bool held);

/* Stops and forgets it; `removed` is announced, perhaps before this returns. */
void record_remove(struct record *record, uint32_t slot);

/* Adds processes until there are `count`, stopped. 0 or a UV_E*. */
int record_grow(struct record *record, uint32_t count);

/* Where the output of a slot goes: "" where there is no such file. */
void record_log_path(const struct record *record, uint32_t slot, enum log_path_kind kind,
                     char path[PATH_MAX]);

#endif
