#include "daemon/record_internal.h"

#include "base/log.h"
#include "base/text.h"

#include <string.h>

/* --- the clock --- */

/* Whatever runs, as in a reload: nobody is lost by it. */
static void replace_all(struct record *record, const char *why) {
    for (uint32_t slot = record_next(record, 0); slot != UINT32_MAX;
         slot = record_next(record, slot + 1))
        if (app_slot(record->app, slot)->wish == SLOT_WANTED)
            app_replace_slot(record->app, slot, why);
}

static void on_cron(void *owner) {
    struct record *record = owner;

    log_info("%s: its cron_restart is due", record->settings->name);
    replace_all(record, "its cron_restart was due");
}

static void arm_cron(struct record *record) {
    struct cron cron;
    char error[CRON_ERROR_MAX];

    schedule_remove(&record->cron);
    if (record->settings->cron_restart &&
        cron_parse(&cron, record->settings->cron_restart, error) == 0)
        schedule_add(record->options.schedule, &record->cron, &cron, on_cron, record);
}

/* --- files that change --- */

static void on_change(void *owner, const char *path) {
    struct record *record = owner;
    char name[256];

    text_escape_utf8(name, sizeof name, path, strlen(path));
    log_info("%s: %s has changed", record->settings->name, name);
    replace_all(record, "a file that is watched has changed");
}

static void on_watch_problem(void *owner, const char *sentence) {
    const struct record *record = owner;

    log_warning("%s: %s", record->settings->name, sentence);
}

static void start_watch(struct record *record) {
    const struct settings *settings = record->settings;
    struct watch_options options = {.paths = &settings->watch_paths,
                                    .ignore = &settings->ignore_watch,
                                    .cwd = settings->cwd ? settings->cwd : "/",
                                    .delay_ms = settings->watch_delay_ms,
                                    .on_change = on_change,
                                    .on_problem = on_watch_problem,
                                    .owner = record};
    char error[WATCH_ERROR_MAX];

    record->watch_again = false;
    if (!settings->watch || record->closing)
        return;
    record->watching = watch_start(&record->watch, record->options.loop, &options, error) == 0;
    if (!record->watching)
        log_warning("%s: %s", settings->name, error);
}

static void on_watch_closed(void *owner) {
    struct record *record = owner;

    record->watching = false;
    if (record->closing)
        record_finish_closing(record);
    else if (record->watch_again)
        start_watch(record);
}

/* As the settings say now. */
static void watch_anew(struct record *record) {
    bool closes = record->watch_again;

    record->watch_again = record->watching;
    if (!record->watching)
        start_watch(record);
    else if (!closes)
        watch_close(&record->watch, on_watch_closed);
}

/* --- both --- */

void record_triggers_start(struct record *record) {
    arm_cron(record);
    start_watch(record);
}

void record_triggers_renew(struct record *record) {
    arm_cron(record);
    watch_anew(record);
}

void record_triggers_close(struct record *record) {
    schedule_remove(&record->cron);
    if (record->watching && !record->watch_again)
        watch_close(&record->watch, on_watch_closed);
}
