#include "daemon/watch.h"

#include "base/text.h"
#include "daemon/watch_path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define DELAY_MIN_MS 20
#define RETRY_MS     1000
#define READS_MAX    16 /* of the queue, before others have their turn */
#define EVENTS                                                                                     \
    (IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF |       \
     IN_MOVE_SELF)

enum root_kind {
    ROOT_MISSING,
    ROOT_DIRECTORY, /* with everything in it */
    ROOT_FILE,      /* its directory is watched for its name */
};

struct watch_root {
    char *path;      /* absolute */
    char *directory; /* that it is in */
    enum root_kind kind;
};

/* --- what is told --- */

static void on_delay(uv_timer_t *timer) {
    struct watch *watch = timer->data;
    char *path = watch->changed;

    watch->changed = NULL;
    watch->options.on_change(watch->options.owner, path);
    free(path);
}

static void note_change(struct watch *watch, const char *path) {
    uint64_t delay = watch->options.delay_ms;

    if (watch->changed)
        return;
    watch->changed = strdup(path);
    if (watch->changed)
        uv_timer_start(&watch->delay, on_delay, delay < DELAY_MIN_MS ? DELAY_MIN_MS : delay, 0);
}

static void on_retry(uv_timer_t *timer);

/* Memory that is out costs the sentence, no more. */
static void note_problem(struct watch *watch, const char *sentence) {
    (void)text_list_add(&watch->problems, sentence);
    uv_timer_start(&watch->retry, on_retry, 0, 0);
}

/* Its number as text; empty when it cannot be read. */
static void read_limit(char *text, size_t size) {
    int descriptor = open("/proc/sys/fs/inotify/max_user_watches", O_RDONLY | O_CLOEXEC);
    ssize_t length;

    text[0] = '\0';
    if (descriptor < 0)
        return;
    length = read(descriptor, text, size - 1);
    close(descriptor);
    text[length > 0 ? length : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
}

static void note_full(struct watch *watch, const char *path) {
    char sentence[WATCH_ERROR_MAX];
    char name[WATCH_ERROR_MAX / 3];
    char limit[32];

    if (watch->full)
        return;
    watch->full = true;
    read_limit(limit, sizeof limit);
    text_escape_utf8(name, sizeof name, path, strlen(path));
    snprintf(sentence, sizeof sentence,
             "cannot watch %s and what comes after it: all inotify watches of this user (%s) are "
             "in use; ignore folders with ignore_watch, or raise the limit with sysctl "
             "fs.inotify.max_user_watches",
             name, limit);
    note_problem(watch, sentence);
}

/* --- the directories --- */

static bool is_watched(const struct watch *watch, const char *path) {
    for (size_t i = 0; i < watch->root_count; i++) {
        const struct watch_root *root = &watch->roots[i];
        size_t length = strlen(root->path);

        if (root->kind == ROOT_FILE && strcmp(path, root->path) == 0)
            return true;
        if (root->kind == ROOT_DIRECTORY && watch_path_is_beneath(path, root->path) &&
            !watch_ignores(&watch->ignore, path + length + (root->path[length - 1] != '/'), path))
            return true;
    }
    return false;
}

/* 0, also when it is watched already; UV_ENOSPC when there are no more watches; UV_E* when it is
 * gone or may not be read. */
static int add_directory(struct watch *watch, const char *path, uint32_t flags) {
    int number =
        inotify_add_watch(watch->descriptor, path, EVENTS | IN_ONLYDIR | IN_EXCL_UNLINK | flags);
    char *copy;
    int result;

    if (number < 0)
        return uv_translate_sys_error(errno);
    copy = strdup(path);
    free(table_remove(&watch->directories, (uint64_t)number));
    result = copy ? table_insert(&watch->directories, (uint64_t)number, copy) : UV_ENOMEM;
    if (result < 0) {
        free(copy);
        inotify_rm_watch(watch->descriptor, number);
    }
    return result;
}

static bool is_directory(const struct dirent *entry, const char *path) {
    struct stat status;

    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
        return false;
    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_DIR;
    return lstat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static void list_directories(const struct watch *watch, const char *path, struct text_list *found) {
    DIR *directory = opendir(path);
    const struct dirent *entry;
    char child[PATH_MAX];

    if (!directory)
        return;
    while ((entry = readdir(directory)))
        if (watch_path_join(path, entry->d_name, child) == 0 && is_directory(entry, child) &&
            is_watched(watch, child))
            (void)text_list_add(found, child);
    closedir(directory);
}

/* Watches a directory and all in it. The watch comes first and then the look at what is there, so
 * that nothing is missed in between. */
static int follow(struct watch *watch, const char *path, uint32_t flags) {
    struct text_list found = {.items = NULL};
    int result = add_directory(watch, path, flags);

    if (result == UV_ENOSPC)
        note_full(watch, path);
    if (result < 0)
        return result;
    list_directories(watch, path, &found);
    for (size_t i = 0; i < found.count; i++) {
        result = add_directory(watch, found.items[i], IN_DONT_FOLLOW);
        if (result == UV_ENOSPC) {
            note_full(watch, found.items[i]);
            break;
        }
        if (result == 0)
            list_directories(watch, found.items[i], &found);
    }
    text_list_clear(&found);
    return 0;
}

/* Forgets a directory that is elsewhere now, and all in it; NULL: every one. The kernel's answer,
 * IN_IGNORED, then finds nothing here. */
static void forget(struct watch *watch, const char *path) {
    uint64_t *numbers = calloc(watch->directories.count + 1, sizeof *numbers);
    const struct table_entry *entry;
    size_t position = 0;
    size_t count = 0;

    while (numbers && (entry = table_next(&watch->directories, &position)))
        if (!path || watch_path_is_at_or_beneath(entry->value, path))
            numbers[count++] = entry->key;
    for (size_t i = 0; i < count; i++) {
        inotify_rm_watch(watch->descriptor, (int)numbers[i]);
        free(table_remove(&watch->directories, numbers[i]));
    }
    free(numbers);
}

/* --- the roots --- */

/* Looks for it, and watches it. */
static int open_root(struct watch *watch, struct watch_root *root) {
    struct stat status;
    int result;

    if (stat(root->path, &status) < 0)
        return uv_translate_sys_error(errno);
    root->kind = S_ISDIR(status.st_mode) ? ROOT_DIRECTORY : ROOT_FILE;
    if (root->kind == ROOT_DIRECTORY)
        result = follow(watch, root->path, 0);
    else
        result = add_directory(watch, root->directory, 0);
    if (result == UV_ENOSPC)
        note_full(watch, root->path);
    if (result < 0)
        root->kind = ROOT_MISSING;
    return result;
}

static void look_for_roots(struct watch *watch) {
    bool missing = false;

    for (size_t i = 0; i < watch->root_count; i++) {
        if (watch->roots[i].kind == ROOT_MISSING && open_root(watch, &watch->roots[i]) == 0)
            note_change(watch, watch->roots[i].path);
        missing |= watch->roots[i].kind == ROOT_MISSING;
    }
    if (missing && !uv_is_active((uv_handle_t *)&watch->retry))
        uv_timer_start(&watch->retry, on_retry, RETRY_MS, 0);
}

static void on_retry(uv_timer_t *timer) {
    struct watch *watch = timer->data;
    struct text_list problems = watch->problems;

    watch->problems = (struct text_list){.items = NULL};
    look_for_roots(watch);
    for (size_t i = 0; i < problems.count && !uv_is_closing((uv_handle_t *)timer); i++)
        watch->options.on_problem(watch->options.owner, problems.items[i]);
    text_list_clear(&problems);
}

/* The directory without which the root cannot be watched. */
static const char *basis_of(const struct watch_root *root) {
    return root->kind == ROOT_FILE ? root->directory : root->path;
}

static bool is_basis(const struct watch *watch, const char *path) {
    for (size_t i = 0; i < watch->root_count; i++)
        if (watch->roots[i].kind != ROOT_MISSING && strcmp(basis_of(&watch->roots[i]), path) == 0)
            return true;
    return false;
}

/* A directory is not where it was: those roots that need it are looked for from now on. */
static void lose_roots(struct watch *watch, const char *path) {
    for (size_t i = 0; i < watch->root_count; i++) {
        struct watch_root *root = &watch->roots[i];

        if (root->kind == ROOT_MISSING || !watch_path_is_at_or_beneath(basis_of(root), path))
            continue;
        root->kind = ROOT_MISSING;
        note_change(watch, root->path);
        if (!uv_is_active((uv_handle_t *)&watch->retry))
            uv_timer_start(&watch->retry, on_retry, RETRY_MS, 0);
    }
}

/* --- the events --- */

/* Events were lost, so everything is looked at anew. */
static void start_over(struct watch *watch) {
    forget(watch, NULL);
    for (size_t i = 0; i < watch->root_count; i++) {
        watch->roots[i].kind = ROOT_MISSING;
        note_change(watch, watch->roots[i].path);
    }
    look_for_roots(watch);
}

/* A directory that is no longer watched, for it was removed, or because it is elsewhere now: then
 * the directory that it was in tells of it, unless that is not watched. */
static void on_self(struct watch *watch, const struct inotify_event *event, const char *directory) {
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s", directory);
    if (event->mask & IN_IGNORED)
        free(table_remove(&watch->directories, (uint64_t)event->wd));
    else if (is_basis(watch, path))
        forget(watch, path);
    else
        return;
    lose_roots(watch, path);
}

static void on_entry(struct watch *watch, const struct inotify_event *event,
                     const char *directory) {
    char path[PATH_MAX];

    if (watch_path_join(directory, event->name, path) < 0 || !is_watched(watch, path))
        return;
    if ((event->mask & IN_ISDIR) && (event->mask & (IN_CREATE | IN_MOVED_TO)))
        (void)follow(watch, path, IN_DONT_FOLLOW); /* it may be gone again */
    if ((event->mask & IN_ISDIR) && (event->mask & IN_MOVED_FROM)) {
        forget(watch, path);
        lose_roots(watch, path);
    }
    note_change(watch, path);
}

static void on_event(struct watch *watch, const struct inotify_event *event) {
    const char *directory;

    if (event->mask & IN_Q_OVERFLOW) {
        start_over(watch);
        return;
    }
    directory = table_find(&watch->directories, (uint64_t)event->wd);
    if (!directory)
        return;
    if (event->mask & (IN_IGNORED | IN_MOVE_SELF))
        on_self(watch, event, directory);
    else if (event->len > 0)
        on_entry(watch, event, directory);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
    struct watch *watch = poll->data;
    _Alignas(struct inotify_event) char bytes[4096];

    (void)status; /* read(2) names what is wrong */
    (void)events;
    for (int reads = 0; reads < READS_MAX; reads++) {
        ssize_t length = read(watch->descriptor, bytes, sizeof bytes);

        for (ssize_t at = 0; at < length;) {
            const struct inotify_event *event = (const void *)(bytes + at);

            on_event(watch, event);
            at += (ssize_t)(sizeof *event + event->len);
        }
        if (length <= 0)
            return;
    }
}

/* --- start and end --- */

static int set_root(struct watch_root *root, const char *cwd, const char *path) {
    char whole[PATH_MAX];
    int result = watch_path_whole(cwd, path, whole);
    char *slash;

    if (result < 0)
        return result;
    root->path = strdup(whole);
    slash = strrchr(whole, '/');
    if (slash)
        slash[slash == whole] = '\0';
    root->directory = strdup(whole);
    return root->path && root->directory ? 0 : UV_ENOMEM;
}

static void clear(struct watch *watch) {
    const struct table_entry *entry;
    size_t position = 0;

    while ((entry = table_next(&watch->directories, &position)))
        free(entry->value);
    table_clear(&watch->directories);
    for (size_t i = 0; i < watch->root_count; i++) {
        free(watch->roots[i].path);
        free(watch->roots[i].directory);
    }
    free(watch->roots);
    text_list_clear(&watch->ignore);
    text_list_clear(&watch->problems);
    free(watch->changed);
    if (watch->descriptor >= 0)
        close(watch->descriptor);
}

static int copy_options(struct watch *watch, const struct watch_options *options) {
    size_t count = options->paths->count > 0 ? options->paths->count : 1;
    int result = 0;

    watch->roots = calloc(count, sizeof *watch->roots);
    if (!watch->roots)
        return UV_ENOMEM;
    for (size_t i = 0; i < count && result == 0; i++) {
        watch->root_count++;
        result = set_root(&watch->roots[i], options->cwd,
                          options->paths->count > 0 ? options->paths->items[i] : ".");
    }
    for (size_t i = 0; i < options->ignore->count && result == 0; i++)
        result = text_list_add(&watch->ignore, options->ignore->items[i]);
    return result;
}

static int open_inotify(struct watch *watch, char error[WATCH_ERROR_MAX]) {
    int result;

    watch->descriptor = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (watch->descriptor >= 0)
        return 0;
    result = uv_translate_sys_error(errno);
    snprintf(error, WATCH_ERROR_MAX, "cannot watch files: %s",
             result == UV_EMFILE ? "all inotify instances of this user (sysctl "
                                   "fs.inotify.max_user_instances) or all descriptors are in use"
                                 : uv_strerror(result));
    return result;
}

static void open_roots(struct watch *watch) {
    for (size_t i = 0; i < watch->root_count; i++) {
        char sentence[WATCH_ERROR_MAX];
        char name[WATCH_ERROR_MAX / 2];
        int result = open_root(watch, &watch->roots[i]);

        if (result == 0 || result == UV_ENOSPC)
            continue;
        text_escape_utf8(name, sizeof name, watch->roots[i].path, strlen(watch->roots[i].path));
        snprintf(sentence, sizeof sentence, "cannot watch %s yet: %s", name, uv_strerror(result));
        note_problem(watch, sentence);
    }
}

int watch_start(struct watch *watch, uv_loop_t *loop, const struct watch_options *options,
                char error[WATCH_ERROR_MAX]) {
    int result;

    *watch = (struct watch){.options = *options, .descriptor = -1, .open = 3};
    table_init(&watch->directories);
    result = copy_options(watch, options);
    if (result < 0)
        snprintf(error, WATCH_ERROR_MAX, "cannot watch files: %s", uv_strerror(result));
    else
        result = open_inotify(watch, error);
    if (result == 0)
        result = uv_poll_init(loop, &watch->poll, watch->descriptor);
    if (result < 0) {
        clear(watch);
        return result;
    }
    uv_timer_init(loop, &watch->delay);
    uv_timer_init(loop, &watch->retry);
    watch->poll.data = watch->delay.data = watch->retry.data = watch;
    uv_poll_start(&watch->poll, UV_READABLE, on_poll);
    open_roots(watch);
    return 0;
}

static void on_handle_closed(uv_handle_t *handle) {
    struct watch *watch = handle->data;

    if (--watch->open > 0)
        return;
    clear(watch);
    if (watch->on_closed)
        watch->on_closed(watch->options.owner);
}

void watch_close(struct watch *watch, void (*on_closed)(void *owner)) {
    watch->on_closed = on_closed;
    uv_close((uv_handle_t *)&watch->poll, on_handle_closed);
    uv_close((uv_handle_t *)&watch->delay, on_handle_closed);
    uv_close((uv_handle_t *)&watch->retry, on_handle_closed);
}
