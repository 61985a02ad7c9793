#include "daemon/log_file.h"

#include "daemon/log_compression.h"
#include "daemon/log_name.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS       1000
#define SAY_MS        60000
#define ROTATE_MS     60000   /* before a rotation that failed is tried again */
#define OVERSHOOT     1048576 /* bytes past the limit for a line to end in */
#define KEEP_MAX      1000
#define DIRECTORY     0700
#define PREDECESSOR_1 1

/* --- problems --- */

static void say(struct log_file *file, const char *action, int error, uint64_t now_ms) {
    struct log_problem problem = {
        .path = file->path, .action = action, .error = error, .dropped = file->dropped};

    if (!file->options.problem || (file->said_ms && now_ms - file->said_ms < SAY_MS))
        return;
    file->said_ms = now_ms;
    file->options.problem(file->options.owner, &problem);
}

/* --- opening --- */

static void make_directories(const char *path) {
    char directory[PATH_MAX];
    size_t length = strlen(path);

    if (length >= sizeof directory)
        return;
    memcpy(directory, path, length + 1);
    for (char *slash = strchr(directory + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(directory, DIRECTORY); /* or it is there; else opening fails */
        *slash = '/';
    }
}

static bool is_ours(const char *path) {
    struct stat status;

    return lstat(path, &status) < 0 || status.st_uid == 0 || status.st_uid == geteuid();
}

/* Whether nobody but us and root can change where the path leads: it, and each directory above. */
static bool are_all_ours(const char *path) {
    char part[PATH_MAX];
    size_t length = strlen(path);

    if (length >= sizeof part)
        return false;
    memcpy(part, path, length + 1);
    for (char *slash = part + length; slash; slash = strrchr(part, '/')) {
        *slash = '\0';
        if (!is_ours(slash == part ? "/" : part))
            return false;
    }
    return true;
}

/* As are_all_ours(), on the way through symbolic links and where they end. */
static bool are_links_ours(const char *path) {
    char end[PATH_MAX];

    return are_all_ours(path) && (!realpath(path, end) || are_all_ours(end));
}

/* A worker that runs as somebody else must not lead us to a file that it may not write itself: no
 * link of another user is followed. */
static int open_guarded(const char *path, int flags, mode_t mode) {
    struct open_how how = {.flags = (unsigned)flags, .mode = mode, .resolve = RESOLVE_NO_SYMLINKS};
    long descriptor = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);

    if (descriptor >= 0)
        return (int)descriptor;
    if (errno == ENOSYS || errno == EPERM) /* before Linux 5.6, or in a sandbox */
        return open(path, flags, mode);
    if (errno != ELOOP)
        return -1;
    if (are_links_ours(path))
        return open(path, flags, mode);
    errno = ELOOP;
    return -1;
}

/* Not blocking: a pipe without reader is an error, and one with a slow reader, too. */
static int open_once(const struct log_file *file, mode_t mode) {
    int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

    return file->options.guarded ? open_guarded(file->path, flags, mode)
                                 : open(file->path, flags, mode);
}

static int open_path(const struct log_file *file, mode_t mode) {
    int descriptor = open_once(file, mode);

    if (descriptor < 0 && errno == ENOENT) {
        make_directories(file->path);
        descriptor = open_once(file, mode);
    }
    return descriptor < 0 ? uv_translate_sys_error(errno) : descriptor;
}

static void close_directory(struct log_file *file) {
    if (file->directory >= 0)
        close(file->directory);
    file->directory = AT_FDCWD;
    file->name = file->path;
}

/* Where another user can exchange a directory of the path by a link, its predecessors are not
 * looked for by path: the directory is the one that was looked at. */
static int open_directory(struct log_file *file) {
    char *slash = strrchr(file->path, '/');
    int directory;

    if (!file->options.guarded || !slash || slash == file->path)
        return 0;
    *slash = '\0';
    directory = open_guarded(file->path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    *slash = '/';
    if (directory < 0)
        return uv_translate_sys_error(errno);
    close_directory(file);
    file->directory = directory;
    file->name = slash + 1;
    return 0;
}

static int open_both(struct log_file *file) {
    int descriptor = open_path(file, file->options.mode);
    int result = descriptor < 0 ? descriptor : open_directory(file);

    if (result == 0)
        return descriptor;
    if (descriptor >= 0)
        close(descriptor);
    return result;
}

/* Opens the path; what was open stays when that fails. */
static int open_anew(struct log_file *file, uint64_t now_ms) {
    struct stat status;
    int descriptor = open_both(file);

    file->looked_ms = now_ms;
    if (descriptor >= 0 && fstat(descriptor, &status) < 0) {
        close(descriptor);
        descriptor = uv_translate_sys_error(errno);
    }
    if (descriptor < 0) {
        file->open_error = descriptor;
        say(file, "open", descriptor, now_ms);
        return descriptor;
    }
    if (file->descriptor >= 0)
        close(file->descriptor);
    file->descriptor = descriptor;
    file->regular = S_ISREG(status.st_mode);
    file->device = status.st_dev;
    file->inode = status.st_ino;
    file->size = file->regular ? (uint64_t)status.st_size : 0;
    file->line_start = true;
    file->torn = false;
    return 0;
}

/* What others have done to the file: removed, renamed, truncated. */
static void look_at_path(struct log_file *file, uint64_t now_ms) {
    struct stat status;

    file->looked_ms = now_ms;
    if (file->descriptor < 0 || stat(file->path, &status) < 0 || status.st_dev != file->device ||
        status.st_ino != file->inode)
        open_anew(file, now_ms);
    else if (file->regular)
        file->size = (uint64_t)status.st_size;
    if (file->size == 0)
        file->line_start = true;
}

/* --- predecessors: by their names in the file's directory --- */

static bool exists(const struct log_file *file, uint32_t number, bool compressed) {
    char name[PATH_MAX];
    struct stat status;

    return log_name_predecessor(file->name, number, compressed, name, sizeof name) == 0 &&
           fstatat(file->directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

static void remove_one(struct log_file *file, uint32_t number) {
    char name[PATH_MAX];

    for (int compressed = 0; compressed < 2; compressed++)
        if (log_name_predecessor(file->name, number, compressed, name, sizeof name) == 0)
            unlinkat(file->directory, name, 0);
    if (file->compression && file->compression->number == number) {
        log_compression_give_up(file->compression);
        file->compression = NULL;
    }
}

static int rename_in(const struct log_file *file, const char *from, const char *to) {
    return renameat(file->directory, from, file->directory, to) < 0 ? uv_translate_sys_error(errno)
                                                                    : 0;
}

static int rename_one(const struct log_file *file, uint32_t number, bool compressed) {
    char from[PATH_MAX];
    char to[PATH_MAX];
    int result = log_name_predecessor(file->name, number, compressed, from, sizeof from);

    if (result == 0)
        result = log_name_predecessor(file->name, number + 1, compressed, to, sizeof to);
    if (result == 0)
        result = rename_in(file, from, to);
    return result == UV_ENOENT ? 0 : result;
}

static int move_up(struct log_file *file, uint32_t number) {
    int result = rename_one(file, number, true);

    if (result == 0)
        result = rename_one(file, number, false);
    if (result == 0 && file->compression && file->compression->number == number)
        log_compression_moved(file->compression);
    return result;
}

static bool has(const struct log_file *file, uint32_t number) {
    return exists(file, number, false) || exists(file, number, true);
}

/* What a larger limit has left. */
static void remove_surplus(struct log_file *file) {
    for (uint32_t number = file->options.keep + 1; number <= KEEP_MAX && has(file, number);
         number++)
        remove_one(file, number);
}

/* Makes PATH.1 free. Those above a gap stay; without one the oldest goes. */
static int shift(struct log_file *file) {
    uint32_t keep = file->options.keep;
    uint32_t number = PREDECESSOR_1;
    int result = 0;

    remove_surplus(file);
    while (number <= keep && has(file, number))
        number++;
    if (number > keep)
        remove_one(file, number = keep);
    while (number > PREDECESSOR_1 && result == 0)
        result = move_up(file, --number);
    return result;
}

/* --- rotation --- */

static int empty(struct log_file *file) {
    if (ftruncate(file->descriptor, 0) < 0)
        return uv_translate_sys_error(errno);
    file->size = 0;
    file->line_start = true;
    return 0;
}

/* The file's name goes back to it when no new one can be made. */
static int replace(struct log_file *file, uint64_t now_ms) {
    char first[PATH_MAX];
    int result = log_name_predecessor(file->name, PREDECESSOR_1, false, first, sizeof first);

    if (result == 0)
        result = shift(file);
    if (result == 0)
        result = rename_in(file, file->name, first);
    if (result < 0)
        return result;
    result = open_anew(file, now_ms);
    if (result < 0)
        (void)rename_in(file, first, file->name);
    return result;
}

/* True when there is room now: by rotation, or because somebody else has made some. */
static bool rotate(struct log_file *file, uint64_t now_ms) {
    uint64_t size = file->size;
    int result;

    look_at_path(file, now_ms);
    if (file->size < size)
        return true;
    result = file->options.keep > 0 ? replace(file, now_ms) : empty(file);
    if (result < 0) {
        file->failed_ms = now_ms;
        say(file, "rotate", result, now_ms);
        return false;
    }
    file->failed_ms = 0;
    file->rotations++;
    file->waits = file->options.keep > 0;
    return true;
}

static bool rotates(const struct log_file *file, uint64_t now_ms) {
    return file->regular && file->descriptor >= 0 && file->options.max_size > 0 &&
           (!file->failed_ms || now_ms - file->failed_ms >= ROTATE_MS);
}

static size_t first_line(const char *bytes, size_t length) {
    const char *newline = memchr(bytes, '\n', length);

    return newline ? (size_t)(newline - bytes) + 1 : length;
}

/* How many of the bytes belong before the next rotation: whole lines, unless one is far too long.
 */
static size_t fitting(const struct log_file *file, const char *bytes, size_t length) {
    uint64_t max = file->options.max_size;
    uint64_t room = file->size < max ? max - file->size : 0;
    const char *newline;

    if (length <= room)
        return length;
    newline = memrchr(bytes, '\n', room);
    if (newline)
        return (size_t)(newline - bytes) + 1;
    if (file->line_start)
        return file->size > 0 ? 0 : first_line(bytes, length);
    return file->size < max + OVERSHOOT ? first_line(bytes, length) : 0;
}

/* --- writing --- */

/* How many bytes were taken, and *error why not all. */
static size_t write_bytes(struct log_file *file, const char *bytes, size_t length, int *error) {
    size_t done = 0;

    while (done < length) {
        ssize_t written = write(file->descriptor, bytes + done, length - done);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            *error = written < 0 ? uv_translate_sys_error(errno) : UV_EIO;
            break;
        }
        done += (size_t)written;
    }
    file->size += done;
    if (done > 0)
        file->line_start = bytes[done - 1] == '\n';
    return done;
}

/* After a torn line the next begins on its own. */
static void append(struct log_file *file, const char *bytes, size_t length, uint64_t now_ms) {
    const char *action = file->descriptor < 0 ? "open" : "write to";
    int error = file->open_error;
    size_t done = 0;

    if (length == 0)
        return;
    if (file->descriptor >= 0 && file->torn)
        file->torn = write_bytes(file, "\n", 1, &error) < 1;
    if (file->descriptor >= 0 && !file->torn)
        done = write_bytes(file, bytes, length, &error);
    if (done == length)
        return;
    file->torn = file->descriptor >= 0 && !file->line_start;
    file->dropped += length - done;
    say(file, action, error, now_ms);
}

void log_file_write(struct log_file *file, const char *bytes, size_t length, uint64_t now_ms) {
    if (now_ms - file->looked_ms >= LOOK_MS)
        look_at_path(file, now_ms);
    while (length > 0) {
        size_t piece = rotates(file, now_ms) ? fitting(file, bytes, length) : length;

        append(file, bytes, piece, now_ms);
        bytes += piece;
        length -= piece;
        if (length > 0)
            rotate(file, now_ms);
    }
}

/* --- from outside --- */

int log_file_init(struct log_file *file, const struct log_file_options *options, uint64_t now_ms) {
    *file = (struct log_file){.options = *options, .descriptor = -1, .line_start = true};
    file->path = strdup(options->path);
    if (!file->path)
        return UV_ENOMEM;
    file->options.path = file->path;
    file->directory = AT_FDCWD;
    file->name = file->path;
    if (file->options.keep > KEEP_MAX)
        file->options.keep = KEEP_MAX;
    open_anew(file, now_ms);
    file->waits = file->regular && exists(file, PREDECESSOR_1, false);
    return 0;
}

static void give_up_compression(struct log_file *file) {
    if (file->compression)
        log_compression_give_up(file->compression);
    file->compression = NULL;
}

void log_file_clear(struct log_file *file) {
    give_up_compression(file);
    if (file->descriptor >= 0)
        close(file->descriptor);
    file->descriptor = -1;
    close_directory(file);
    free(file->path);
    file->path = NULL;
    file->name = NULL;
}

void log_file_reopen(struct log_file *file, uint64_t now_ms) {
    open_anew(file, now_ms);
}

int log_file_flush(struct log_file *file) {
    if (file->descriptor < 0)
        return file->open_error;
    if (!file->regular)
        return 0;
    for (uint32_t number = PREDECESSOR_1; number <= file->options.keep; number++)
        remove_one(file, number);
    remove_surplus(file);
    file->waits = false;
    return empty(file);
}

/* --- compression --- */

static void on_compressed(void *owner, int result) {
    struct log_file *file = owner;

    file->compression = NULL;
    if (result == 0) /* else it stays as it is, and is tried again later */
        log_file_compress(file, file->rest_ms);
}

/* Whether the predecessor is there, not compressed; and whether it has rested. */
static bool is_plain(const struct log_file *file, uint32_t number, uint64_t rest_ms,
                     bool *ret_rested) {
    char name[PATH_MAX];
    struct stat status;
    struct timespec now;

    if (log_name_predecessor(file->name, number, false, name, sizeof name) < 0 ||
        fstatat(file->directory, name, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
        !S_ISREG(status.st_mode))
        return false;
    clock_gettime(CLOCK_REALTIME, &now);
    *ret_rested = (now.tv_sec - status.st_mtim.tv_sec) * 1000 +
                      (now.tv_nsec - status.st_mtim.tv_nsec) / 1000000 >=
                  (int64_t)rest_ms;
    return true;
}

/* The oldest has rested longest. */
bool log_file_compress(struct log_file *file, uint64_t rest_ms) {
    bool rested = false;

    file->rest_ms = rest_ms;
    if (file->compression || !file->waits)
        return file->waits;
    for (uint32_t number = file->options.keep; number >= PREDECESSOR_1; number--) {
        if (!is_plain(file, number, rest_ms, &rested))
            continue;
        if (rested && log_compression_start(&file->compression, file->options.loop, file->directory,
                                            file->name, number) == 0) {
            file->compression->done = on_compressed;
            file->compression->owner = file;
        }
        return true;
    }
    file->waits = false;
    return false;
}
