#include "daemon/record_internal.h"

#include "base/log.h"
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

int record_check(const json_t *description, const json_t *defaults, struct settings **ret_settings,
                 struct text_list *warnings, char error[SETTINGS_ERROR_MAX]) {
    struct settings *settings = settings_create();
    int result = 0;

    snprintf(error, SETTINGS_ERROR_MAX, "memory is out");
    if (!settings)
        return UV_ENOMEM;
    if (defaults)
        result = attribute_apply(settings, defaults, NULL, error);
    if (result == 0)
        result = attribute_apply(settings, description, warnings, error);
    settings_supervise_by_default(settings);
    if (result == 0 && settings->policy)
        result = check_policy(settings->policy, error);
    if (result == 0)
        result = settings_check(settings, error);
    if (result == 0)
        result = settings_check_name(settings, warnings, error);
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
    record_health_stop(record, slot);
    *process = (struct record_process){.exists = false};
    record->options.events->removed(record->options.owner, record, pm_id,
                                    record_count(record) == 0);
}

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
    record_health_follow(record, slot, &status);
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
    if (renewed->error < 0)
        record_health_again(record, renewed->slot);
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

static bool on_examine(void *owner, struct app *app, uint32_t slot) {
    (void)app;
    return record_health_examine(owner, slot);
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
    for (uint32_t slot = 0; slot < record->capacity; slot++)
        record_health_stop(record, slot);
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
    record_triggers_start(record);
    *ret_record = record;
    return 0;
}

static void on_log_closed(void *owner) {
    struct record *record = owner;

    record->on_closed(record->options.owner, record);
    destroy(record);
}

void record_finish_closing(struct record *record) {
    if (!record->app && !record->watching)
        app_log_close(&record->log, on_log_closed, record);
}

static void on_app_closed(void *owner) {
    struct record *record = owner;

    record->app = NULL;
    record_finish_closing(record);
}

void record_close(struct record *record, void (*on_closed)(void *owner, struct record *record)) {
    if (record->closing)
        return;
    record->closing = true;
    record->on_closed = on_closed;
    record_triggers_close(record);
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

    if (result < 0) {
        settings_unref(settings);
        return result;
    }
    result = app_log_configure(&record->log, settings);
    if (result < 0) {
        (void)app_set_settings(record->app, record->settings, error);
        snprintf(error, SETTINGS_ERROR_MAX, "memory is out");
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
    record_triggers_renew(record);
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
    if (!record->processes[slot].removing)
        app_start_slot(record->app, slot);
}

void record_renew(struct record *record, uint32_t slot, enum app_renewal how, uint64_t request) {
    if (!record->processes[slot].removing)
        app_renew_slot(record->app, slot, how, request);
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
