#include "daemon/record.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "config/attribute.h"
#include "config/check.h"
#include "config/program.h"
#include "daemon/home.h"
#include "daemon/package.h"
#include "policy/policy.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* --- the description --- */

static int check_policy(const char *specification, char error[SETTINGS_ERROR_MAX]) {
    struct policy *policy;
    int result = policy_create(&policy, specification, 1);

    if (result == 0)
        policy_destroy(policy);
    else if (result == UV_EINVAL)
        snprintf(error, SETTINGS_ERROR_MAX, "the policy '%.64s' takes no such argument",
                 specification);
    else
        snprintf(error, SETTINGS_ERROR_MAX, "there is no policy '%.64s'", specification);
    return result;
}

int record_check(const json_t *description, struct settings **ret_settings,
                 struct text_list *warnings, char error[SETTINGS_ERROR_MAX]) {
    struct settings *settings = settings_create();
    int result;

    snprintf(error, SETTINGS_ERROR_MAX, "memory is out");
    if (!settings)
        return UV_ENOMEM;
    result = attribute_apply(settings, description, warnings, error);
    settings_supervise_by_default(settings);
    if (result == 0 && settings->policy)
        result = check_policy(settings->policy, error);
    if (result == 0)
        result = settings_check(settings, error);
    if (result < 0)
        settings_unref(settings);
    else
        *ret_settings = settings;
    return result;
}

/* --- what the app announces --- */

static void note_worker(struct record *record, struct record_process *process, pid_t pid) {
    const struct settings *settings = record->settings;
    char path[HOME_FILE_MAX];

    process->noted = pid;
    if (home_pid_path(record->options.home, settings->name, process->pm_id, path, sizeof path) < 0)
        return;
    if (pid == 0)
        home_remove_pid(settings->pid_file ? settings->pid_file : path);
    else
        home_write_pid(settings->pid_file ? settings->pid_file : path, (int)pid);
}

static void forget(struct record *record, uint32_t slot) {
    struct record_process *process = &record->processes[slot];
    uint32_t pm_id = process->pm_id;

    if (app_remove_slot(record->app, slot) < 0)
        return;
    health_check_stop(process->check);
    health_check_stop(process->examination);
    *process = (struct record_process){.exists = false};
    record->options.events->removed(record->options.owner, record, pm_id,
                                    record_count(record) == 0);
}

/* --- health --- */

static uint64_t count_returned(void *owner, uint32_t slot) {
    const struct record *record = owner;
    struct app_slot_status status;

    return app_slot_status(record->app, slot, &status) == 0 ? status.counts.returned : 0;
}

/* Nobody but the worker is there in fork mode, at one address of this machine or the other. */
static int connect_worker(void *owner, uint32_t slot, unsigned attempt, int *ret_descriptor) {
    const struct record *record = owner;
    const struct settings *settings = record->settings;

    if (settings->intercept != SETTINGS_INTERCEPT_NONE)
        return app_connect_slot(record->app, slot, settings->health.port, ret_descriptor);
    return health_connect((uint16_t)(settings->health.port + (settings->increment_var ? slot : 0)),
                          attempt % 2 == 1, ret_descriptor);
}

static void replace_unhealthy(struct record *record, uint32_t slot) {
    struct record_process *process = &record->processes[slot];

    snprintf(process->unhealthy, sizeof process->unhealthy, "%s", process->check->last.reason);
    log_warning("worker %u of %s (pid %d) is unhealthy: %s, %u times in a row; replacing it", slot,
                record->settings->name, (int)process->checked, process->unhealthy,
                process->check->health.failed);
    app_replace_slot(record->app, slot, "it was unhealthy");
}

static void on_health(void *owner, uint32_t slot, enum health_change change) {
    struct record *record = owner;
    const struct health_check *check = record->processes[slot].check;

    if (check->count == 1 || change != HEALTH_SAME)
        record->options.events->status(record->options.owner, record, slot);
    if (change == HEALTH_REGAINED)
        log_info("worker %u of %s is healthy again", slot, record->settings->name);
    else if (change == HEALTH_LOST)
        replace_unhealthy(record, slot);
}

static void on_no_health(void *owner, uint32_t slot) {
    const struct record *record = owner;

    log_warning("the health of worker %u of %s cannot be checked: it has no TCP listener%s that "
                "the master deals the clients of",
                slot, record->settings->name,
                record->settings->health.port ? " at health.port" : "");
}

static const struct health_check_events health_events = {.connect = connect_worker,
                                                         .returned = count_returned,
                                                         .result = on_health,
                                                         .impossible = on_no_health};

/* Each ready worker has its own checks. */
static void follow_health(struct record *record, uint32_t slot,
                          const struct app_slot_status *status) {
    struct record_process *process = &record->processes[slot];
    struct health_check_options options = {.loop = record->options.loop,
                                           .settings = record->settings,
                                           .slot = slot,
                                           .events = &health_events,
                                           .owner = record};
    pid_t pid = status->status == APP_ONLINE && record->settings->health.path ? status->pid : 0;

    if (status->status != APP_ONLINE) {
        health_check_stop(process->examination);
        process->examination = NULL;
    }
    if (pid == process->checked)
        return;
    health_check_stop(process->check);
    process->checked = pid;
    process->check = pid ? health_check_start(&options) : NULL;
}

/* --- the health of a reload's new worker, before the old one is let go --- */

static void end_examination(struct record *record, uint32_t slot, const char *failure) {
    health_check_stop(record->processes[slot].examination);
    record->processes[slot].examination = NULL;
    app_examined(record->app, slot, failure);
}

/* What keeps us from asking for so long is not the worker's fault. */
static int connect_examined(void *owner, uint32_t slot, unsigned attempt, int *ret_descriptor) {
    const struct record *record = owner;
    int result =
        app_connect_examined(record->app, slot, record->settings->health.port, ret_descriptor);

    (void)attempt;
    if (result < 0 && result != UV_EAGAIN &&
        clock_ms() >= record->processes[slot].examined_until_ms)
        return UV_ENOTSUP;
    return result;
}

/* It is not dealt any client yet that others could get. */
static uint64_t none_returned(void *owner, uint32_t slot) {
    (void)owner;
    (void)slot;
    return 0;
}

static void on_examined(void *owner, uint32_t slot, enum health_change change) {
    struct record *record = owner;
    const struct record_process *process = &record->processes[slot];
    char failure[HEALTH_REASON_MAX + 64];

    (void)change;
    if (process->examination->last.healthy) {
        end_examination(record, slot, NULL);
        return;
    }
    snprintf(failure, sizeof failure, "the new one did not become healthy: %s",
             process->examination->last.reason);
    if (clock_ms() >= process->examined_until_ms)
        end_examination(record, slot, failure);
}

static void on_no_examination(void *owner, uint32_t slot) {
    end_examination(owner, slot, NULL);
}

static const struct health_check_events examination_events = {.connect = connect_examined,
                                                              .returned = none_returned,
                                                              .result = on_examined,
                                                              .impossible = on_no_examination};

static bool on_examine(void *owner, struct app *app, uint32_t slot) {
    struct record *record = owner;
    struct record_process *process = &record->processes[slot];
    struct health_check_options options = {.loop = record->options.loop,
                                           .settings = record->settings,
                                           .slot = slot,
                                           .at_once = true,
                                           .events = &examination_events,
                                           .owner = record};

    (void)app;
    if (!record->settings->health.path)
        return false;
    health_check_stop(process->examination);
    process->examination = health_check_start(&options);
    process->examined_until_ms = clock_ms() + record->settings->listen_timeout_ms;
    return process->examination != NULL;
}

/* --- what the app announces, continued --- */

bool record_is_stopped(const struct record *record, uint32_t slot) {
    const struct slot *place = app_slot(record->app, slot);

    return (!place || place->wish == SLOT_STOPPED) && !record->processes[slot].held;
}

static void announce_change(struct record *record) {
    record->options.events->changed(record->options.owner, record);
}

static void note_wish(struct record *record, uint32_t slot) {
    struct record_process *process = &record->processes[slot];
    bool stopped = record_is_stopped(record, slot);

    if (stopped == process->said_stopped)
        return;
    process->said_stopped = stopped;
    announce_change(record);
}

static void on_slot_changed(void *owner, struct app *app, uint32_t slot) {
    struct record *record = owner;
    struct record_process *process = &record->processes[slot];
    const struct record_events *events = record->options.events;
    struct app_slot_status status;
    bool failing;

    if (app_slot_status(app, slot, &status) < 0 || !process->exists)
        return;
    if (status.pid != process->noted)
        note_worker(record, process, status.pid);
    follow_health(record, slot, &status);
    failing =
        process->said_status == APP_LAUNCHING && status.ended &&
        (status.status == APP_WAITING_RESTART || status.restart_time > process->said_restarts);
    process->held = process->held && status.status == APP_STOPPED;
    process->said_status = status.status;
    process->said_restarts = status.restart_time;
    note_wish(record, slot);
    if (failing)
        events->failing(record->options.owner, record, slot);
    events->status(record->options.owner, record, slot);
    if (process->removing && (status.status == APP_STOPPED || status.status == APP_ERRORED))
        forget(record, slot);
}

static void on_renewed(void *owner, struct app *app, const struct app_renewed *renewed) {
    struct record *record = owner;

    (void)app;
    if (renewed->error < 0 && record->processes[renewed->slot].check)
        health_check_again(record->processes[renewed->slot].check);
    record->options.events->renewed(record->options.owner, record, renewed);
}

/* What PM2's users expect a worker to find. */
static int on_environment(void *owner, struct app *app, uint32_t slot,
                          struct text_list *variables) {
    const struct record *record = owner;
    const struct settings *settings = record->settings;
    char number[16];
    int result;

    (void)app;
    snprintf(number, sizeof number, "%u", record->processes[slot].pm_id);
    result = text_list_set_variable(variables, "pm_id", number);
    if (result == 0)
        result = text_list_set_variable(variables, "name", settings->name);
    if (result == 0)
        result = text_list_set_variable(variables, "namespace", settings->namespace);
    if (result == 0)
        result = text_list_set_variable(
            variables, "exec_mode",
            settings->intercept == SETTINGS_INTERCEPT_NONE ? "fork_mode" : "cluster_mode");
    snprintf(number, sizeof number, "%u", settings->instances);
    if (result == 0)
        result = text_list_set_variable(variables, "instances", number);
    if (result == 0)
        result = text_list_set_variable(variables, "pm_cwd", settings->cwd ? settings->cwd : "/");
    if (result == 0)
        result = text_list_set_variable(variables, "pm_exec_path", settings->script);
    if (result == 0)
        result = text_list_set_variable(variables, "unique_id", record->processes[slot].unique_id);
    if (result == 0)
        result = text_list_set_variable(variables, "PM2_HOME", record->options.home);
    return result;
}

static const struct app_events app_events = {.slot_changed = on_slot_changed,
                                             .renewed = on_renewed,
                                             .examine = on_examine,
                                             .environment = on_environment};

/* --- logs --- */

static uint32_t process_id(void *owner, uint32_t slot) {
    const struct record *record = owner;

    return record->processes[slot].pm_id;
}

static void on_line(void *owner, const struct log_line *line) {
    struct record *record = owner;

    record->options.events->line(record->options.owner, record, line);
}

static void on_problem(void *owner, const struct log_problem *problem) {
    const struct record *record = owner;

    log_warning("%s: cannot %s %s: %s; %llu bytes of output were lost so far",
                record->settings->name, problem->action, problem->path, uv_strerror(problem->error),
                (unsigned long long)problem->dropped);
}

static int start_log(struct record *record) {
    struct app_log_options options = {.loop = record->options.loop,
                                      .settings = record->settings,
                                      .home = record->options.home,
                                      .name = record->settings->name,
                                      .process_id = process_id,
                                      .on_line = on_line,
                                      .on_problem = on_problem,
                                      .owner = record};

    return app_log_start(&record->log, &options);
}

/* --- restarts by the clock --- */

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

/* --- restarts by changed files --- */

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

static void finish_closing(struct record *record);

static void on_watch_closed(void *owner) {
    struct record *record = owner;

    record->watching = false;
    if (record->closing)
        finish_closing(record);
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

/* --- life --- */

static int number_processes(struct record *record, uint32_t count) {
    struct record_process *processes = realloc(record->processes, count * sizeof *processes);

    if (!processes)
        return UV_ENOMEM;
    for (uint32_t slot = record->capacity; slot < count; slot++)
        processes[slot] = (struct record_process){.exists = false};
    record->processes = processes;
    record->capacity = count;
    return 0;
}

static void print_unique_id(char text[33]) {
    uint8_t bytes[16] = {0};

    if (getrandom(bytes, sizeof bytes, GRND_NONBLOCK) < 0)
        return; /* an empty one, in the first second after the boot */
    for (int i = 0; i < 16; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

/* Every slot of the app has a process. */
static int match_slots(struct record *record) {
    uint32_t capacity = record->app->slot_capacity;
    int result = capacity > record->capacity ? number_processes(record, capacity) : 0;

    for (uint32_t slot = 0; result == 0 && slot < capacity; slot++) {
        struct record_process *process = &record->processes[slot];

        if (process->exists || !app_slot(record->app, slot))
            continue;
        *process = (struct record_process){
            .exists = true, .pm_id = (*record->options.next_pm_id)++, .said_status = APP_STOPPED};
        print_unique_id(process->unique_id);
    }
    return result;
}

static void learn_user(struct record *record) {
    const struct passwd *user = getpwuid(record->app->identity.uid);

    if (user)
        snprintf(record->user, sizeof record->user, "%s", user->pw_name);
    else
        snprintf(record->user, sizeof record->user, "%u", (unsigned)record->app->identity.uid);
}

static void destroy(struct record *record) {
    if (!record)
        return;
    for (uint32_t slot = 0; slot < record->capacity; slot++) {
        health_check_stop(record->processes[slot].check);
        health_check_stop(record->processes[slot].examination);
    }
    json_decref(record->description);
    settings_unref(record->settings);
    free(record->version);
    free(record->node_version);
    free(record->processes);
    free(record);
}

static void learn_versions(struct record *record, const struct settings *settings) {
    free(record->version);
    free(record->node_version);
    record->version = package_version(settings->script);
    record->node_version = program_is_node(settings) && strcmp(settings->interpreter, "none") != 0
                               ? package_node_version(settings->interpreter)
                               : NULL;
}

static int create_app(struct record *record, char error[SETTINGS_ERROR_MAX]) {
    struct app_options options = {.host = record->options.host,
                                  .settings = record->settings,
                                  .sink = &record->log.sink,
                                  .events = &app_events,
                                  .owner = record};

    return app_create(&record->app, &options, error);
}

int record_create(struct record **ret_record, const struct record_options *options,
                  json_t *description, struct settings *settings, char error[SETTINGS_ERROR_MAX]) {
    struct record *record = calloc(1, sizeof *record);
    int result;

    snprintf(error, SETTINGS_ERROR_MAX, "memory is out");
    if (!record) {
        settings_unref(settings);
        return UV_ENOMEM;
    }
    record->options = *options;
    record->description = json_incref(description);
    record->settings = settings;
    list_init(&record->in_fleet);
    learn_versions(record, settings);
    result = create_app(record, error);
    if (result < 0) {
        destroy(record);
        return result;
    }
    learn_user(record);
    result = match_slots(record);
    if (result == 0)
        result = start_log(record);
    if (result < 0) {
        app_close(record->app, NULL, NULL);
        destroy(record);
        return result;
    }
    arm_cron(record);
    start_watch(record);
    *ret_record = record;
    return 0;
}

static void on_log_closed(void *owner) {
    struct record *record = owner;

    record->on_closed(record->options.owner, record);
    destroy(record);
}

/* The last of what runs: the app or the watch. */
static void finish_closing(struct record *record) {
    if (!record->app && !record->watching)
        app_log_close(&record->log, on_log_closed, record);
}

static void on_app_closed(void *owner) {
    struct record *record = owner;

    record->app = NULL;
    finish_closing(record);
}

void record_close(struct record *record, void (*on_closed)(void *owner, struct record *record)) {
    if (record->closing)
        return;
    record->closing = true;
    record->on_closed = on_closed;
    schedule_remove(&record->cron);
    if (record->watching && !record->watch_again)
        watch_close(&record->watch, on_watch_closed);
    app_close(record->app, on_app_closed, record);
}

/* Workers that run keep their pid files, under the name that the app has from now on. */
static void rename_pid_files(struct record *record, const struct settings *settings) {
    const char *before = record->settings->name;
    char path[HOME_FILE_MAX];

    if (strcmp(before, settings->name) == 0)
        return;
    for (uint32_t slot = record_next(record, 0); slot != UINT32_MAX;
         slot = record_next(record, slot + 1)) {
        const struct record_process *process = &record->processes[slot];

        if (process->noted == 0 || record->settings->pid_file || settings->pid_file)
            continue;
        if (home_pid_path(record->options.home, before, process->pm_id, path, sizeof path) == 0)
            home_remove_pid(path);
        if (home_pid_path(record->options.home, settings->name, process->pm_id, path,
                          sizeof path) == 0)
            home_write_pid(path, (int)process->noted);
    }
}

int record_update(struct record *record, json_t *description, struct settings *settings,
                  char error[SETTINGS_ERROR_MAX]) {
    int result = app_set_settings(record->app, settings, error);

    if (result == 0)
        result = app_log_configure(&record->log, settings);
    if (result < 0) {
        settings_unref(settings);
        return result;
    }
    rename_pid_files(record, settings);
    json_incref(description);
    json_decref(record->description);
    settings_unref(record->settings);
    record->description = description;
    record->settings = settings;
    learn_versions(record, settings);
    arm_cron(record);
    watch_anew(record);
    announce_change(record);
    return 0;
}

/* --- processes --- */

bool record_pm_id(const struct record *record, uint32_t slot, uint32_t *ret_pm_id) {
    if (slot >= record->capacity || !record->processes[slot].exists)
        return false;
    *ret_pm_id = record->processes[slot].pm_id;
    return true;
}

uint32_t record_next(const struct record *record, uint32_t slot) {
    for (; slot < record->capacity; slot++)
        if (record->processes[slot].exists)
            return slot;
    return UINT32_MAX;
}

uint32_t record_count(const struct record *record) {
    uint32_t count = 0;

    for (uint32_t slot = 0; slot < record->capacity; slot++)
        count += record->processes[slot].exists;
    return count;
}

void record_hold(struct record *record, uint32_t slot, bool held) {
    record->processes[slot].held = held;
    note_wish(record, slot);
}

void record_start(struct record *record, uint32_t slot) {
    app_start_slot(record->app, slot);
}

void record_stop(struct record *record, uint32_t slot) {
    record->processes[slot].held = false;
    app_stop_slot(record->app, slot);
}

void record_remove(struct record *record, uint32_t slot) {
    struct app_slot_status status;

    if (slot >= record->capacity || !record->processes[slot].exists ||
        app_slot_status(record->app, slot, &status) < 0)
        return;
    record->processes[slot].removing = true;
    if (status.status == APP_STOPPED || status.status == APP_ERRORED)
        forget(record, slot);
    else
        app_stop_slot(record->app, slot);
}

int record_grow(struct record *record, uint32_t count) {
    int result = app_resize(record->app, count);

    if (result == 0)
        result = match_slots(record);
    if (result == 0)
        result = app_log_resize(&record->log, record->capacity);
    announce_change(record);
    return result;
}

void record_log_path(const struct record *record, uint32_t slot, enum log_path_kind kind,
                     char path[PATH_MAX]) {
    if (app_log_path(&record->log, slot, kind, path) < 0)
        path[0] = '\0';
}
