/* Apps of real, small workers in a host on a loop: programs are written into a directory of the
 * test's own, and what an app announces is noted down. */
#ifndef BATON_TESTS_COMPONENT_APP_RIG_H
#define BATON_TESTS_COMPONENT_APP_RIG_H

#include "base/log.h"
#include "config/check.h"
#include "master/app.h"
#include "master/host.h"

#include "component/loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define RIG_SLOTS    8
#define RIG_RENEWALS 32

struct rig_renewal {
    uint32_t slot;
    uint64_t request;
    int error;
    bool untried;
    char reason[APP_REASON_MAX];
};

struct rig {
    struct host host;
    struct app *app;
    struct settings *settings;
    char directory[64];
    unsigned changes;
    enum app_status seen[RIG_SLOTS]; /* as last announced */
    unsigned seen_as[6];             /* how often each status was announced */
    unsigned ready;
    unsigned failures;
    char failure[APP_REASON_MAX];
    struct rig_renewal renewals[RIG_RENEWALS];
    unsigned renewal_count;
    uint16_t port;        /* of the last listener */
    unsigned least_ready; /* slots that served, at the worst moment since it was set */
    bool app_closed;
    bool host_closed;
};

static struct rig rig;
static struct rlimit rig_limit; /* the host raises ours */

/* --- announcements --- */

static inline struct app_slot_status rig_status(uint32_t slot) {
    struct app_slot_status status;

    assert_int_equal(app_slot_status(rig.app, slot, &status), 0);
    return status;
}

static inline bool rig_is(uint32_t slot, enum app_status status) {
    return rig_status(slot).status == status;
}

static inline unsigned rig_count_ready(const struct app *app) {
    struct app_slot_status status;
    unsigned count = 0;

    for (uint32_t i = 0; i < app->slot_capacity; i++)
        count += app_slot_status(app, i, &status) == 0 && status.status == APP_ONLINE;
    return count;
}

static inline void rig_on_changed(void *owner, struct app *app, uint32_t slot) {
    struct app_slot_status status;
    unsigned ready = rig_count_ready(app);

    assert_ptr_equal(owner, &rig);
    assert_int_equal(app_slot_status(app, slot, &status), 0);
    rig.changes++;
    rig.seen[slot % RIG_SLOTS] = status.status;
    rig.seen_as[status.status]++;
    if (ready < rig.least_ready)
        rig.least_ready = ready;
}

static inline void rig_on_renewed(void *owner, struct app *app, const struct app_renewed *renewed) {
    struct rig_renewal *renewal = &rig.renewals[rig.renewal_count++];

    (void)owner;
    (void)app;
    assert_true(rig.renewal_count < RIG_RENEWALS);
    *renewal = (struct rig_renewal){.slot = renewed->slot,
                                    .request = renewed->request,
                                    .error = renewed->error,
                                    .untried = renewed->untried};
    snprintf(renewal->reason, sizeof renewal->reason, "%s", renewed->reason ? renewed->reason : "");
}

static inline void rig_on_failed(void *owner, struct app *app, uint32_t slot, const char *reason) {
    (void)owner;
    (void)app;
    (void)slot;
    rig.failures++;
    snprintf(rig.failure, sizeof rig.failure, "%s", reason);
}

static inline void rig_on_serving(void *owner, struct app *app, const struct listener *listener) {
    (void)owner;
    (void)app;
    rig.port = address_port((const struct sockaddr *)&listener->bound);
}

static inline void rig_on_ready(void *owner, struct app *app) {
    (void)owner;
    (void)app;
    rig.ready++;
}

static inline int rig_environment(void *owner, struct app *app, uint32_t slot,
                                  struct text_list *variables) {
    char number[16];

    (void)owner;
    (void)app;
    snprintf(number, sizeof number, "%u", 40 + slot);
    return text_list_set_variable(variables, "pm_id", number);
}

static const struct app_events rig_events = {.slot_changed = rig_on_changed,
                                             .renewed = rig_on_renewed,
                                             .start_failed = rig_on_failed,
                                             .serving = rig_on_serving,
                                             .ready = rig_on_ready,
                                             .environment = rig_environment};

/* --- programs --- */

static inline void rig_silent(void *owner, const char *line) {
    (void)owner;
    (void)line;
}

/* A file in the test's directory. */
static inline const char *rig_path(const char *name) {
    static char path[128];

    snprintf(path, sizeof path, "%s/%s", rig.directory, name);
    return path;
}

static inline bool rig_has(const char *name) {
    return access(rig_path(name), F_OK) == 0;
}

static inline void rig_write(const char *name, const char *text) {
    FILE *file = fopen(rig_path(name), "we");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    chmod(rig_path(name), 0700);
}

/* Settings for a program of that name; checked by rig_create(). */
static inline struct settings *rig_settings(const char *name, uint32_t instances) {
    struct settings *settings = settings_create();

    assert_non_null(settings);
    assert_int_equal(settings_set_text(&settings->script, rig_path(name)), 0);
    assert_int_equal(settings_set_text(&settings->cwd, rig.directory), 0);
    settings->instances = instances;
    settings->instances_given = true;
    /* For what hangs: on a busy machine anything else may take long. */
    settings->listen_timeout_ms = LOOP_WAIT_MS;
    settings->drain_timeout_ms = LOOP_WAIT_MS / 3;
    settings->kill_timeout_ms = LOOP_WAIT_MS / 3;
    return settings;
}

/* A shell program, only supervised. */
static inline struct settings *rig_shell(const char *text, uint32_t instances) {
    struct settings *settings;

    rig_write("program.sh", "#!/bin/sh\n");
    rig_write("program.sh", text);
    settings = rig_settings("program.sh", instances);
    settings->fork_mode = true;
    assert_int_equal(settings_set_text(&settings->interpreter, "/bin/sh"), 0);
    return settings;
}

#define RIG_SERVER                                                                                 \
    "const server = require('http').createServer((q, r) => r.end(String(process.pid)));\n"         \
    "server.listen(0, '127.0.0.1');\n"

/* A Node program of several workers. */
static inline struct settings *rig_node(const char *name, const char *text, uint32_t instances) {
    rig_write(name, text);
    return rig_settings(name, instances);
}

static inline void rig_check(struct settings *settings) {
    char error[SETTINGS_ERROR_MAX];

    if (settings_check(settings, error) < 0)
        fail_msg("%s", error);
}

/* Takes the settings' reference over. */
static inline void rig_create(struct settings *settings) {
    struct app_options options = {
        .host = &rig.host, .settings = settings, .events = &rig_events, .owner = &rig};
    char error[SETTINGS_ERROR_MAX];

    rig_check(settings);
    if (app_create(&rig.app, &options, error) < 0)
        fail_msg("%s", error);
    settings_unref(settings);
}

static inline void rig_change(struct settings *settings) {
    char error[SETTINGS_ERROR_MAX];

    rig_check(settings);
    assert_int_equal(app_set_settings(rig.app, settings, error), 0);
    settings_unref(settings);
}

static inline void rig_renew_all(enum app_renewal how, uint64_t request) {
    for (uint32_t i = 0; i < rig.app->slot_capacity; i++)
        app_renew_slot(rig.app, i, how, request);
}

/* --- clients --- */

/* A connection to the app's last listener, or -1. */
static inline int rig_connect(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(rig.port)};
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    if (connect(client, (struct sockaddr *)&address, sizeof address) == 0)
        return client;
    close(client);
    return -1;
}

/* --- life --- */

static inline void rig_on_app_closed(void *owner) {
    (void)owner;
    rig.app = NULL;
    rig.app_closed = true;
}

static inline void rig_on_host_closed(void *owner) {
    (void)owner;
    rig.host_closed = true;
}

static inline int rig_start_host(struct host_options options) {
    options.loop = &loop;
    return host_start(&rig.host, &options);
}

static inline int rig_set_up_with(void **state, struct host_options options) {
    if (loop_set_up(state) < 0)
        return -1;
    memset(&rig, 0, sizeof rig);
    snprintf(rig.directory, sizeof rig.directory, "/tmp/baton-app-XXXXXX");
    if (!mkdtemp(rig.directory))
        return -1;
    getrlimit(RLIMIT_NOFILE, &rig_limit);
    log_set_sink(rig_silent, NULL);
    return rig_start_host(options);
}

static inline int rig_set_up(void **state) {
    return rig_set_up_with(state, (struct host_options){.loop = NULL});
}

static inline int rig_remove(const char *path, const struct stat *status, int type,
                             struct FTW *place) {
    (void)status;
    (void)type;
    (void)place;
    return remove(path);
}

static inline int rig_tear_down(void **state) {
    if (rig.app) {
        app_close(rig.app, rig_on_app_closed, NULL);
        LOOP_UNTIL(rig.app_closed);
    }
    host_close(&rig.host, rig_on_host_closed, NULL);
    LOOP_UNTIL(rig.host_closed);
    setrlimit(RLIMIT_NOFILE, &rig_limit);
    nftw(rig.directory, rig_remove, 8, FTW_DEPTH | FTW_PHYS);
    return loop_tear_down(state);
}

#define RIG_TEST(name) cmocka_unit_test_setup_teardown(test_##name, rig_set_up, rig_tear_down)

#endif
