#include "daemon/app_log.h"

#include "base/clock.h"
#include "daemon/app_log_internal.h"
#include "daemon/log_name.h"
#include "daemon/log_passage.h"

#include <stdlib.h>
#include <string.h>

#define REST_MS      5000
#define PROBLEM_MS   60000
#define SLOW_NS      50000000   /* a write that takes longer waits for the disk … */
#define PAUSE_SHARE  10         /* … and is followed by a pause of so many times as long … */
#define PAUSE_MAX_NS 2000000000 /* … or this */
#define OUR_MODE     0600
#define GIVEN_MODE   0640
#define USUAL_DATE   "YYYY-MM-DDTHH:mm:ss"

/* --- names --- */

/* A slot that is not the first does not share the first one's file unawares. */
static bool is_numbered(const struct app_log *log, uint32_t slot) {
    return log->numbered || (slot > 0 && !log->options.settings->merge_logs);
}

static const struct app_log_slot *slot_at(const struct app_log *log, uint32_t number) {
    return number < log->slot_count ? log->slots[number] : NULL;
}

int app_log_path(const struct app_log *log, uint32_t slot, enum log_path_kind kind,
                 char path[PATH_MAX]) {
    const struct app_log_slot *known = slot_at(log, slot);
    char base[PATH_MAX];
    int result = log_path(log->options.settings, log->options.home, log->options.name, kind, base);

    if (result < 0)
        return result;
    if (known && known->numbered)
        return log_name_with_id(base, known->id, path, PATH_MAX);
    if (!known && is_numbered(log, slot))
        return log_name_with_id(base, log->options.process_id(log->options.owner, slot), path,
                                PATH_MAX);
    memcpy(path, base, strlen(base) + 1);
    return 0;
}

/* --- files --- */

/* A full disk is the same problem in every file. */
static void on_problem(void *owner, const struct log_problem *problem) {
    struct app_log *log = owner;
    uint64_t now_ms = uv_now(log->options.loop);

    if (!log->options.on_problem || (log->problem_error == problem->error && log->problem_ms &&
                                     now_ms - log->problem_ms < PROBLEM_MS))
        return;
    log->problem_ms = now_ms;
    log->problem_error = problem->error;
    log->options.on_problem(log->options.owner, problem);
}

static struct app_log_file *find_file(struct app_log *log, const char *path) {
    LIST_EACH(node, following, &log->files) {
        struct app_log_file *file = LIST_ENTRY(node, struct app_log_file, in_log);

        if (strcmp(file->file.path, path) == 0)
            return file;
    }
    return NULL;
}

static struct app_log_file *create_file(struct app_log *log, const char *path, mode_t mode) {
    struct log_file_options options = {.loop = log->options.loop,
                                       .path = path,
                                       .mode = mode,
                                       .max_size = log->options.settings->max_log_size,
                                       .keep = log->options.settings->log_keep,
                                       .guarded = geteuid() == 0,
                                       .problem = on_problem,
                                       .owner = log};
    struct app_log_file *file = calloc(1, sizeof *file);

    if (!file)
        return NULL;
    if (log_file_init(&file->file, &options, uv_now(log->options.loop)) < 0) {
        free(file);
        return NULL;
    }
    list_push_back(&log->files, &file->in_log);
    return file;
}

/* 0 with *ret_file, NULL where there shall be none; or UV_ENOMEM. */
static int open_file(struct app_log *log, uint32_t slot, enum log_path_kind kind,
                     struct app_log_file **ret_file) {
    char path[PATH_MAX];
    struct app_log_file *file;
    mode_t mode = log_path_is_given(log->options.settings, kind) ? GIVEN_MODE : OUR_MODE;

    *ret_file = NULL;
    if (app_log_path(log, slot, kind, path) < 0)
        return 0;
    file = find_file(log, path);
    if (!file)
        file = create_file(log, path, mode);
    if (!file)
        return UV_ENOMEM;
    file->users++;
    *ret_file = file;
    return 0;
}

static void release_file(struct app_log_file **file) {
    if (*file && --(*file)->users == 0) {
        log_file_clear(&(*file)->file);
        list_remove(&(*file)->in_log);
        free(*file);
    }
    *file = NULL;
}

static void release_files(struct app_log_slot *slot) {
    release_file(&slot->streams[false].file);
    release_file(&slot->streams[true].file);
    release_file(&slot->combined);
}

static int open_files(struct app_log *log, struct app_log_slot *slot) {
    int result;

    slot->id = log->options.process_id(log->options.owner, slot->number);
    result = open_file(log, slot->number, LOG_PATH_OUT, &slot->streams[false].file);

    if (result == 0)
        result = open_file(log, slot->number, LOG_PATH_ERROR, &slot->streams[true].file);
    if (result == 0)
        result = open_file(log, slot->number, LOG_PATH_COMBINED, &slot->combined);
    return result;
}

/* --- compression of what was rotated --- */

static uint64_t rest_ms(const struct app_log *log) {
    return log->options.rest_ms ? log->options.rest_ms : REST_MS;
}

static void on_timer(uv_timer_t *timer) {
    struct app_log *log = timer->data;
    bool more = false;

    LIST_EACH(node, following, &log->files)
        more |=
            log_file_compress(&LIST_ENTRY(node, struct app_log_file, in_log)->file, rest_ms(log));
    if (more)
        uv_timer_start(timer, on_timer, rest_ms(log), 0);
}

void app_log_compress_later(struct app_log *log, const struct log_file *file) {
    if (file->waits && !uv_is_active((uv_handle_t *)&log->timer))
        uv_timer_start(&log->timer, on_timer, rest_ms(log), 0);
}

/* --- slots --- */

static void free_slot(struct app_log_slot *slot) {
    release_files(slot);
    recent_output_clear(&slot->recent);
    free(slot);
}

static void free_slots(struct app_log *log) {
    for (uint32_t i = 0; i < log->slot_count; i++)
        free_slot(log->slots[i]);
    free(log->slots);
    log->slots = NULL;
    log->slot_count = 0;
}

static struct app_log_slot *add_slot(struct app_log *log) {
    struct app_log_slot **slots = realloc(log->slots, (log->slot_count + 1) * sizeof *log->slots);
    struct app_log_slot *slot;

    if (!slots)
        return NULL;
    log->slots = slots;
    slot = calloc(1, sizeof *slot);
    if (!slot)
        return NULL;
    slot->number = log->slot_count;
    slot->numbered = is_numbered(log, slot->number);
    log->slots[log->slot_count++] = slot;
    if (open_files(log, slot) < 0) {
        log->slot_count--;
        free_slot(slot);
        return NULL;
    }
    return slot;
}

static int add_slots(struct app_log *log, uint32_t slots) {
    while (log->slot_count < slots)
        if (!add_slot(log))
            return UV_ENOMEM;
    return 0;
}

/* A slot that was given up and taken again has another process. */
static int renew_slots(struct app_log *log) {
    int result = 0;

    for (uint32_t i = 0; i < log->slot_count && result == 0; i++) {
        struct app_log_slot *slot = log->slots[i];

        if (!slot->numbered || log->options.process_id(log->options.owner, i) == slot->id)
            continue;
        release_files(slot);
        result = open_files(log, slot);
    }
    return result;
}

int app_log_last_lines(const struct app_log *log, uint32_t slot, pid_t pid, struct buffer *text) {
    const struct app_log_slot *known = slot_at(log, slot);

    return known ? recent_output_last_lines(&known->recent, pid, text) : 0;
}

/* --- from workers --- */

/* Writing waits for the disk when too much is to be written to it: the workers shall wait then, and
 * we but for a small part of the time. */
static void pause_after(struct app_log *log, uint64_t start_ns) {
    uint64_t now_ns = clock_ns();
    uint64_t pause_ns = (now_ns - start_ns) * PAUSE_SHARE;

    if (now_ns - start_ns < SLOW_NS)
        return;
    log->busy_until_ns = now_ns + (pause_ns < PAUSE_MAX_NS ? pause_ns : PAUSE_MAX_NS);
}

static bool is_busy(struct app_log *log) {
    if (log->busy_until_ns == 0 || log->sink.closing)
        return false;
    if (clock_ns() < log->busy_until_ns)
        return true;
    log->busy_until_ns = 0;
    return false;
}

static struct output_taken take(struct output_sink *sink, const struct output_origin *origin,
                                const char *bytes, size_t length, bool end) {
    struct app_log *log = LIST_ENTRY(sink, struct app_log, sink);
    struct log_passage passage = {.log = log, .error = origin->error};
    uint64_t start_ns;

    if (is_busy(log))
        return (struct output_taken){.busy = true};
    if (add_slots(log, origin->slot + 1) < 0)
        return (struct output_taken){.length = length}; /* memory is out */
    passage.slot = log->slots[origin->slot];
    passage.stream = &passage.slot->streams[origin->error];
    length = log_passage_length(&passage, bytes, length, end);
    if (length > 0) {
        start_ns = clock_ns();
        recent_output_add(&passage.slot->recent, origin, bytes, length);
        log_passage_write(&passage, bytes, length);
        pause_after(log, start_ns);
    }
    if (end)
        log_passage_finish(&passage);
    return (struct output_taken){.length = length};
}

/* --- from outside --- */

/* Also the only process of an app that may have several has its number in the name, as PM2 has it:
 * whoever reads the file need not know how many there are. */
static bool wants_numbers(const struct settings *settings, uint32_t slots) {
    bool several =
        slots > 1 || settings->instances_given || settings->intercept != SETTINGS_INTERCEPT_NONE;

    return several && !settings->merge_logs;
}

static void apply(struct app_log *log, const struct settings *settings) {
    log->options.settings = settings;
    if (settings->name)
        log->options.name = settings->name;
    log->numbered = wants_numbers(settings, settings->instances);
    log->date_format = settings->log_date_format;
    if (!log->date_format && settings->time)
        log->date_format = USUAL_DATE;
}

/* What a daemon before us has rotated and not compressed. */
static void compress_what_waits(struct app_log *log) {
    LIST_EACH(node, following, &log->files)
        app_log_compress_later(log, &LIST_ENTRY(node, struct app_log_file, in_log)->file);
}

int app_log_resize(struct app_log *log, uint32_t slots) {
    int result;

    log->numbered = wants_numbers(log->options.settings, slots);
    result = renew_slots(log);
    if (result == 0)
        result = add_slots(log, slots);
    compress_what_waits(log);
    return result;
}

int app_log_start(struct app_log *log, const struct app_log_options *options) {
    int result;

    *log = (struct app_log){.options = *options};
    output_sink_init(&log->sink, take);
    list_init(&log->files);
    apply(log, options->settings);
    result = add_slots(log, options->settings->instances);
    if (result < 0) {
        free_slots(log);
        return result;
    }
    uv_timer_init(options->loop, &log->timer);
    log->timer.data = log;
    compress_what_waits(log);
    return 0;
}

static void on_timer_closed(uv_handle_t *timer) {
    struct app_log *log = timer->data;

    if (log->on_closed)
        log->on_closed(log->owner);
}

static void on_sources_closed(void *owner) {
    struct app_log *log = owner;

    free_slots(log);
    buffer_clear(&log->lines);
    buffer_clear(&log->text);
    uv_close((uv_handle_t *)&log->timer, on_timer_closed);
}

void app_log_close(struct app_log *log, void (*on_closed)(void *owner), void *owner) {
    log->on_closed = on_closed;
    log->owner = owner;
    output_sink_close(&log->sink, on_sources_closed, log);
}

static int open_all_anew(struct app_log *log) {
    int result = 0;

    for (uint32_t i = 0; i < log->slot_count; i++)
        release_files(log->slots[i]);
    for (uint32_t i = 0; i < log->slot_count; i++) {
        log->slots[i]->numbered = is_numbered(log, i);
        if (open_files(log, log->slots[i]) < 0)
            result = UV_ENOMEM;
    }
    compress_what_waits(log);
    return result;
}

int app_log_configure(struct app_log *log, const struct settings *settings) {
    const struct settings *old = log->options.settings;
    int result;

    apply(log, settings);
    result = open_all_anew(log);
    if (result == 0)
        return 0;
    apply(log, old);
    open_all_anew(log);
    return result;
}

void app_log_follow(struct app_log *log, bool followed) {
    log->followed = followed;
}

void app_log_flush(struct app_log *log) {
    LIST_EACH(node, following, &log->files)
        log_file_flush(&LIST_ENTRY(node, struct app_log_file, in_log)->file);
}

void app_log_reopen(struct app_log *log) {
    LIST_EACH(node, following, &log->files)
        log_file_reopen(&LIST_ENTRY(node, struct app_log_file, in_log)->file,
                        uv_now(log->options.loop));
}
