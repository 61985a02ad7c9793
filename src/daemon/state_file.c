#include "daemon/state_file.h"

#include "base/json_read.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#define SUFFIX_NEW    ".new"
#define SUFFIX_COPY   ".bak"
#define SUFFIX_BROKEN ".broken"
#define SUFFIX_NEXT   ".next" /* a second name for what is to be replaced */
#define PATH_ROOM     (PATH_MAX + 16)

static int last_error(void) {
    return uv_translate_sys_error(errno);
}

static int path_with(char path[PATH_ROOM], const char *base, const char *suffix) {
    int length = snprintf(path, PATH_ROOM, "%s%s", base, suffix);

    return length < 0 || length >= PATH_ROOM ? UV_ENAMETOOLONG : 0;
}

static int sync_directory(const char *path) {
    char directory[PATH_ROOM];
    char *slash;
    int descriptor;
    int result = 0;

    snprintf(directory, sizeof directory, "%s", path);
    slash = strrchr(directory, '/');
    if (slash)
        slash[slash == directory] = '\0';
    descriptor = open(slash ? directory : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0)
        return last_error();
    if (fsync(descriptor) < 0 && errno != EINVAL) /* a file system that has no such thing */
        result = last_error();
    close(descriptor);
    return result;
}

static int write_all(int descriptor, const char *text, size_t length) {
    while (length > 0) {
        ssize_t written = write(descriptor, text, length);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return last_error();
        text += written;
        length -= (size_t)written;
    }
    return 0;
}

static int write_new(const char *path, const char *text) {
    int descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    int result;

    if (descriptor < 0)
        return last_error();
    result = fchmod(descriptor, 0600) < 0 ? last_error() : 0; /* one that a crash left */
    if (result == 0)
        result = write_all(descriptor, text, strlen(text));
    if (result == 0 && fsync(descriptor) < 0)
        result = last_error();
    if (close(descriptor) < 0 && result == 0)
        result = last_error();
    if (result < 0)
        unlink(path);
    return result;
}

static bool has_no_links(int number) {
    return number == EPERM || number == EOPNOTSUPP || number == ENOSYS;
}

/* Gives the file a second name, replacing what has that; both files are whole at every moment.
 * Where a file has one name only it is renamed, and for a moment that is all there is. */
static int keep_as(const char *path, const char *suffix) {
    char kept[PATH_ROOM];
    char next[PATH_ROOM];
    int result = path_with(kept, path, suffix);

    if (result == 0)
        result = path_with(next, path, SUFFIX_NEXT);
    if (result < 0)
        return result;
    unlink(next);
    if (link(path, next) < 0) {
        if (!has_no_links(errno) || rename(path, kept) < 0)
            return last_error();
        return 0;
    }
    if (rename(next, kept) < 0)
        result = last_error();
    unlink(next); /* rename(2) leaves it where both were names of one file already */
    return result;
}

/* NULL with *ret_error when it cannot be opened. */
static FILE *open_stream(const char *path, int *ret_error) {
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    FILE *file = descriptor < 0 ? NULL : fdopen(descriptor, "r");

    if (file)
        return file;
    *ret_error = last_error();
    if (descriptor >= 0)
        close(descriptor);
    return NULL;
}

/* 0, UV_ENOENT, UV_EINVAL for what is no JSON (`error` says where), or another UV_E*. Through a
 * stream, for json_loadfd() reads each byte by itself. */
static int load(const char *path, json_t **ret_value, char error[STATE_FILE_ERROR_MAX]) {
    json_error_t problem;
    json_t *value;
    int result = 0;
    FILE *file = open_stream(path, &result);

    if (!file) {
        snprintf(error, STATE_FILE_ERROR_MAX, "cannot be opened: %s", uv_strerror(result));
        return result;
    }
    value = json_read_file(file, 0, &problem);
    fclose(file);
    if (!value) {
        snprintf(error, STATE_FILE_ERROR_MAX, "is broken in line %d: %.160s", problem.line,
                 problem.text);
        return json_error_code(&problem) == json_error_out_of_memory ? UV_ENOMEM : UV_EINVAL;
    }
    *ret_value = value;
    return 0;
}

static bool is_empty(const json_t *value) {
    return json_array_size(value) == 0 && json_object_size(value) == 0;
}

/* What is known of the file that is to be replaced. */
struct previous {
    const char *keep; /* the suffix under which it is kept; NULL: there is none */
    bool empty;       /* it, or the copy that stands in for it, lists nothing */
};

static struct previous look_at_previous(const char *path) {
    struct previous previous = {.keep = NULL, .empty = false};
    char error[STATE_FILE_ERROR_MAX];
    enum state_file_source source;
    json_t *value = NULL;
    int result = load(path, &value, error);

    if (result != UV_ENOENT)
        previous.keep = result == 0 ? SUFFIX_COPY : SUFFIX_BROKEN;
    if (result == 0 || state_file_read(path, &value, &source, error) == 0)
        previous.empty = is_empty(value);
    json_decref(value);
    return previous;
}

static int replace(const char *path, const char *text, const char *keep) {
    char new_path[PATH_ROOM];
    int result = path_with(new_path, path, SUFFIX_NEW);

    if (result == 0)
        result = write_new(new_path, text);
    if (result < 0)
        return result;
    if (keep)
        result = keep_as(path, keep);
    if (result == 0 && rename(new_path, path) < 0)
        result = last_error();
    if (result < 0) {
        unlink(new_path);
        return result;
    }
    return sync_directory(path);
}

static bool is_known(const struct state_file_known *known, const char *path) {
    struct stat status;

    return known->whole && stat(path, &status) == 0 && status.st_ino == known->inode &&
           status.st_size == known->size && status.st_mtim.tv_sec == known->modified.tv_sec &&
           status.st_mtim.tv_nsec == known->modified.tv_nsec;
}

static struct state_file_known know(const char *path, bool empty) {
    struct stat status;

    if (stat(path, &status) < 0)
        return (struct state_file_known){.whole = false};
    return (struct state_file_known){.whole = true,
                                     .empty = empty,
                                     .inode = status.st_ino,
                                     .size = status.st_size,
                                     .modified = status.st_mtim};
}

int state_file_write(const char *path, const struct state_file_content *content,
                     struct state_file_known *known) {
    struct previous previous = {.keep = SUFFIX_COPY, .empty = known->empty};
    int result;

    if (!is_known(known, path))
        previous = look_at_previous(path);
    if (content->empty && !previous.empty && !content->force)
        return UV_ENOTEMPTY;
    result = replace(path, content->text, previous.keep);
    *known = result == 0 ? know(path, content->empty) : (struct state_file_known){.whole = false};
    return result;
}

int state_file_print(struct state_file_content *content, const json_t *value, bool force) {
    *content = (struct state_file_content){
        .text = json_dumps(value, JSON_INDENT(2) | JSON_ENCODE_ANY),
        .empty = is_empty(value),
        .force = force,
    };
    return content->text ? 0 : UV_ENOMEM;
}

void state_file_content_clear(struct state_file_content *content) {
    free(content->text);
    *content = (struct state_file_content){.text = NULL};
}

static void say(char error[STATE_FILE_ERROR_MAX], const char *path, const char *what,
                const char *more) {
    char name[STATE_FILE_ERROR_MAX / 2];
    char reason[STATE_FILE_ERROR_MAX];

    text_escape_utf8(name, sizeof name, path, strlen(path));
    text_escape_utf8(reason, sizeof reason, what, strlen(what));
    snprintf(error, STATE_FILE_ERROR_MAX, "%s %.190s%s", name, reason, more);
}

int state_file_read(const char *path, json_t **ret_value, enum state_file_source *ret_source,
                    char error[STATE_FILE_ERROR_MAX]) {
    char reason[STATE_FILE_ERROR_MAX] = "";
    char of_copy[STATE_FILE_ERROR_MAX];
    char copy[PATH_ROOM];
    int result = load(path, ret_value, reason);
    int copy_result = result < 0 ? path_with(copy, path, SUFFIX_COPY) : 0;

    error[0] = '\0';
    if (result == 0) {
        *ret_source = STATE_FILE_ITSELF;
        return 0;
    }
    if (copy_result == 0)
        copy_result = load(copy, ret_value, of_copy);
    if (copy_result == 0) {
        *ret_source = STATE_FILE_COPY;
        if (result != UV_ENOENT)
            say(error, path, reason, "");
        return 0;
    }
    if (result == UV_ENOENT && copy_result == UV_ENOENT) {
        *ret_source = STATE_FILE_NOTHING;
        *ret_value = NULL;
        return 0;
    }
    if (result == UV_ENOENT)
        say(error, copy, of_copy, "");
    else
        say(error, path, reason, ", and there is no copy of it that can be used");
    return result == UV_ENOENT ? copy_result : result;
}

int state_file_put_aside(const char *path) {
    return keep_as(path, SUFFIX_BROKEN);
}

int state_file_remove(const char *path) {
    static const char *const suffixes[] = {SUFFIX_NEXT, SUFFIX_NEW, SUFFIX_COPY, ""};
    char name[PATH_ROOM];

    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        int result = path_with(name, path, suffixes[i]);

        if (result < 0)
            return result;
        if (unlink(name) < 0 && errno != ENOENT)
            return last_error();
    }
    return 0;
}
