#include "master/master.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/log.h"
#include "master/app.h"
#include "master/host.h"
#include "master/output.h"
#include "master/snapshot.h"
#include "master/status.h"
#include "master/trace.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#define SAMPLE_MS      1000
#define SAME_SIGNAL_MS 100

static const int signal_numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1};
#define SIGNAL_COUNT (sizeof signal_numbers / sizeof signal_numbers[0])

/* How the app came to its end. */
enum outcome {
    OUTCOME_STOPPED,      /* it was told to, or all workers ended as they may */
    OUTCOME_FAILED_START, /* it never served */
    OUTCOME_GIVEN_UP,     /* workers died too often */
};

struct master {
    struct settings *settings;
    uv_loop_t loop;
    struct host host;
    struct output output;
    uv_signal_t signals[SIGNAL_COUNT];
    uv_timer_t sample;
    struct app *app;   /* NULL when it is closed */
    bool ending;       /* it is being closed */
    uint64_t reloads;  /* that were asked for */
    bool reload_again; /* asked for while one was under way */
    int stop_signal;   /* the first that told us to stop, or 0 */
    uint64_t stop_ms;  /* when that was */
    int exit_code;
};

/* --- what is shown --- */

static void print_status(struct master *master) {
    const struct settings *settings = master->settings;
    struct status_view view = {.color = master->output.color};
    struct snapshot snapshot;
    struct buffer text;
    int result;

    if (!master->app)
        return;
    output_size(&view.columns, &view.rows);
    app_sample(master->app, clock_ms(), SAMPLE_MS / 2);
    if (snapshot_take(&snapshot, master->app, clock_ms()) < 0)
        return;
    buffer_init(&text);
    if (settings->status_json)
        result = status_json(&text, &snapshot);
    else
        result = status_table(&text, &snapshot, &view);
    if (result == 0)
        output_table(&master->output, buffer_data(&text), buffer_length(&text));
    buffer_clear(&text);
    snapshot_clear(&snapshot);
}

static void on_sample(uv_timer_t *timer) {
    struct master *master = timer->data;

    if (!master->app)
        return;
    if (master->settings->status || master->settings->status_json)
        print_status(master);
}

static void on_trace(void *owner, const struct trace_message *message) {
    struct master *master = owner;
    char line[TRACE_LINE_MAX];
    struct timespec now;
    struct tm parts;

    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &parts);
    trace_format(line, message, (uint32_t)(parts.tm_hour * 3600 + parts.tm_min * 60 + parts.tm_sec),
                 (uint32_t)(now.tv_nsec / 1000));
    output_log_line(&master->output, line);
}

/* --- the app's announcements --- */

static void on_serving(void *owner, struct app *app, const struct listener *listener) {
    char text[ADDRESS_TEXT_MAX];

    (void)owner;
    listener_describe(listener, text);
    log_info("%s serves on %s", app->settings->name, text);
}

static void on_ready(void *owner, struct app *app) {
    (void)owner;
    log_info("%s: %u worker%s ready, policy %s", app->settings->name, app->slot_count,
             app->slot_count == 1 ? "" : "s", app->settings->policy);
}

static int exit_code_of(enum outcome outcome) {
    switch (outcome) {
    case OUTCOME_STOPPED:
        return 0;
    case OUTCOME_FAILED_START:
        return 1;
    case OUTCOME_GIVEN_UP:
        break;
    }
    return 2;
}

static void on_closed(void *owner) {
    struct master *master = owner;

    master->app = NULL;
    uv_close((uv_handle_t *)&master->sample, NULL);
    for (size_t i = 0; i < SIGNAL_COUNT; i++)
        uv_close((uv_handle_t *)&master->signals[i], NULL);
    output_sink_close(&master->output.sink, NULL, NULL);
    host_close(&master->host, NULL, NULL);
}

static void end(struct master *master, enum outcome outcome) {
    if (master->ending)
        return;
    master->ending = true;
    master->exit_code = exit_code_of(outcome);
    if (outcome == OUTCOME_FAILED_START)
        app_kill(master->app); /* nobody was served, and a stop signal would only make them talk */
    app_close(master->app, on_closed, master);
}

static void on_start_failed(void *owner, struct app *app, uint32_t slot, const char *reason) {
    (void)app;
    (void)slot;
    (void)reason; /* it was logged */
    end(owner, OUTCOME_FAILED_START);
}

static enum outcome outcome_of(const struct app *app) {
    for (uint32_t i = 0; i < app->slot_count; i++)
        if (app_slot(app, i)->failed)
            return app->served ? OUTCOME_GIVEN_UP : OUTCOME_FAILED_START;
    return OUTCOME_STOPPED;
}

/* When nothing runs any more, and nothing will, that is the end. */
static void on_slot_changed(void *owner, struct app *app, uint32_t slot) {
    struct app_slot_status status;

    (void)slot;
    for (uint32_t i = 0; i < app->slot_count; i++)
        if (app_slot_status(app, i, &status) < 0 ||
            (status.status != APP_STOPPED && status.status != APP_ERRORED))
            return;
    end(owner, outcome_of(app));
}

/* --- reload --- */

static void reload(struct master *master) {
    struct app *app = master->app;

    if (app_is_renewing(app)) {
        master->reload_again = true;
        log_info("%s is being reloaded; another reload follows", app->settings->name);
        return;
    }
    log_info("reloading %s: %u workers, one after the other", app->settings->name, app->slot_count);
    master->reload_again = false;
    master->reloads++;
    for (uint32_t i = 0; i < app->slot_count; i++)
        app_renew_slot(app, i, APP_RELOAD, master->reloads);
}

static void on_renewed(void *owner, struct app *app, const struct app_renewed *renewed) {
    struct master *master = owner;

    if (renewed->error)
        master->reload_again = false;
    else if (master->reload_again && !master->ending && !app_is_renewing(app))
        reload(master);
}

/* --- signals --- */

static void on_stop_signal(struct master *master, int number) {
    if (!master->app)
        return;
    if (master->stop_signal) {
        /* One wish may come through several hands: the terminal, and a shell or make that passes it
         * on. */
        if (clock_ms() - master->stop_ms < SAME_SIGNAL_MS)
            return;
        log_warning("second signal: ending the workers at once");
        master->exit_code = 128 + number;
        app_kill(master->app);
        return;
    }
    master->stop_signal = number;
    master->stop_ms = clock_ms();
    log_info("stopping %s", master->settings->name);
    end(master, OUTCOME_STOPPED);
}

static void on_signal(uv_signal_t *signal, int number) {
    struct master *master = signal->data;

    if (number == SIGINT || number == SIGTERM)
        on_stop_signal(master, number);
    else if (number == SIGHUP && master->app && !master->ending)
        reload(master);
    else if (number == SIGUSR1)
        print_status(master);
}

/* --- start --- */

/* Descriptors 0 to 2 must exist, or a socket would get their numbers and the workers' output would
 * go there. */
static void open_standard_descriptors(void) {
    int descriptor;

    do
        descriptor = open("/dev/null", O_RDWR);
    while (descriptor >= 0 && descriptor <= STDERR_FILENO);
    if (descriptor > STDERR_FILENO)
        close(descriptor);
}

static int start_signals(struct master *master) {
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        int result = uv_signal_init(&master->loop, &master->signals[i]);

        if (result < 0)
            return result;
        master->signals[i].data = master;
        result = uv_signal_start(&master->signals[i], on_signal, signal_numbers[i]);
        if (result < 0)
            return result;
    }
    uv_timer_init(&master->loop, &master->sample);
    master->sample.data = master;
    return uv_timer_start(&master->sample, on_sample, SAMPLE_MS, SAMPLE_MS);
}

static const struct app_events app_events = {.slot_changed = on_slot_changed,
                                             .renewed = on_renewed,
                                             .start_failed = on_start_failed,
                                             .serving = on_serving,
                                             .ready = on_ready,
                                             .trace = on_trace};

static int create_app(struct master *master) {
    struct app_options options = {.host = &master->host,
                                  .settings = master->settings,
                                  .sink = output_captures(&master->output) ? &master->output.sink
                                                                           : NULL,
                                  .events = &app_events,
                                  .owner = master};
    char error[SETTINGS_ERROR_MAX];
    int result = app_create(&master->app, &options, error);

    if (result < 0)
        log_error("%s", error);
    return result;
}

/* Nobody asked for it, so it is said. */
static void explain_choice(const struct settings *settings) {
    if (settings->intercept == SETTINGS_INTERCEPT_SECCOMP && settings->kind != EXECUTABLE_DYNAMIC)
        log_info("%s is %s, so the preload library cannot see its calls: they are intercepted by "
                 "the kernel (--intercept seccomp)",
                 settings->name, executable_describe(settings->kind));
}

/* The app owns them from now on, and the caller's are the defaults. */
static struct settings *take_over(struct settings *settings) {
    struct settings *taken = settings_create();
    unsigned references;

    if (!taken)
        return NULL;
    references = taken->references;
    settings_clear(taken);
    *taken = *settings;
    taken->references = references;
    settings_init(settings);
    return taken;
}

static int start(struct master *master) {
    struct host_options options = {.loop = &master->loop};
    int result = uv_loop_init(&master->loop);

    if (result == 0)
        result = host_start(&master->host, &options);
    if (result == 0)
        result = start_signals(master);
    return result;
}

static void run(struct master *master) {
    if (create_app(master) == 0) {
        app_start(master->app);
    } else {
        master->exit_code = 1;
        on_closed(master);
    }
    uv_run(&master->loop, UV_RUN_DEFAULT);
    uv_loop_close(&master->loop);
}

int master_run(struct settings *settings) {
    struct master master = {.settings = take_over(settings)};
    int result = master.settings ? 0 : UV_ENOMEM;

    if (result == 0) {
        open_standard_descriptors();
        output_init(&master.output, !master.settings->no_color, master.settings->time);
        log_set_sink(output_log_line, &master.output);
        if (master.settings->silent)
            log_set_level(LOG_LEVEL_ERROR);
        explain_choice(master.settings);
        result = start(&master);
    }
    if (result < 0) {
        log_error("the master cannot start: %s", uv_strerror(result));
        settings_unref(master.settings);
        return 1;
    }
    run(&master);
    settings_unref(master.settings);
    return master.exit_code;
}
