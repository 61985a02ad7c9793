#include "daemon/log_compression.h"

#include "daemon/log_name.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define BLOCK_SIZE 32768
#define LEVEL      "wb3" /* three times as fast as the usual level, and a tenth larger */

static int temporary_name(const struct log_compression *compression, char name[PATH_MAX]) {
    int length = snprintf(name, PATH_MAX, "%s.compressing", compression->name);

    return length < PATH_MAX ? 0 : UV_ENAMETOOLONG;
}

/* --- in a thread of the pool --- */

static int copy(struct log_compression *compression, gzFile compressed, uint64_t *ret_size) {
    char block[BLOCK_SIZE];
    ssize_t length;

    *ret_size = 0;
    while ((length = read(compression->input, block, sizeof block)) > 0) {
        if (atomic_load(&compression->given_up))
            return UV_ECANCELED;
        if (gzwrite(compressed, block, (unsigned)length) != length)
            return UV_EIO;
        *ret_size += (uint64_t)length;
    }
    return length < 0 ? uv_translate_sys_error(errno) : 0;
}

/* The other's time; and nobody has written to it meanwhile. */
static int check(struct log_compression *compression, uint64_t size) {
    struct stat status;
    struct timespec times[2];

    if (fstat(compression->input, &status) < 0)
        return uv_translate_sys_error(errno);
    if ((uint64_t)status.st_size != size)
        return UV_EBUSY;
    times[0] = status.st_atim;
    times[1] = status.st_mtim;
    futimens(compression->output, times);
    return 0;
}

static void compress_file(uv_work_t *work) {
    struct log_compression *compression = work->data;
    int own = fcntl(compression->output, F_DUPFD_CLOEXEC, 0);
    gzFile compressed = own >= 0 ? gzdopen(own, LEVEL) : NULL;
    uint64_t size;

    if (!compressed) {
        if (own >= 0)
            close(own);
        compression->result = UV_ENOMEM;
        return;
    }
    compression->result = copy(compression, compressed, &size);
    if (gzclose(compressed) != Z_OK && compression->result == 0)
        compression->result = UV_EIO;
    if (compression->result == 0)
        compression->result = check(compression, size);
}

/* --- in the loop --- */

static void log_compression_free(struct log_compression *compression) {
    if (compression->input >= 0)
        close(compression->input);
    if (compression->output >= 0)
        close(compression->output);
    if (compression->directory >= 0)
        close(compression->directory);
    free(compression->name);
    free(compression);
}

static int put_in_place(const struct log_compression *compression) {
    char temporary[PATH_MAX];
    char plain[PATH_MAX];
    char compressed[PATH_MAX];
    int result = temporary_name(compression, temporary);

    if (result == 0)
        result = log_name_predecessor(compression->name, compression->number, false, plain,
                                      sizeof plain);
    if (result == 0)
        result = log_name_predecessor(compression->name, compression->number, true, compressed,
                                      sizeof compressed);
    if (result < 0)
        return result;
    if (renameat(compression->directory, temporary, compression->directory, compressed) < 0)
        return uv_translate_sys_error(errno);
    unlinkat(compression->directory, plain, 0);
    return 0;
}

static void remove_temporary(const struct log_compression *compression) {
    char temporary[PATH_MAX];

    if (temporary_name(compression, temporary) == 0)
        unlinkat(compression->directory, temporary, 0);
}

static void on_compressed(uv_work_t *work, int status) {
    struct log_compression *compression = work->data;
    int result = status < 0 ? status : compression->result;

    if (!atomic_load(&compression->given_up)) {
        if (result == 0)
            result = put_in_place(compression);
        if (result < 0)
            remove_temporary(compression);
        compression->done(compression->owner, result);
    }
    log_compression_free(compression);
}

static int open_files(struct log_compression *compression) {
    char name[PATH_MAX];
    struct stat status;
    int result =
        log_name_predecessor(compression->name, compression->number, false, name, sizeof name);

    if (result < 0)
        return result;
    compression->input =
        openat(compression->directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (compression->input < 0 || fstat(compression->input, &status) < 0)
        return uv_translate_sys_error(errno);
    result = temporary_name(compression, name);
    if (result < 0)
        return result;
    unlinkat(compression->directory, name, 0); /* of a daemon that was killed */
    compression->output =
        openat(compression->directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
               status.st_mode & 0777);
    return compression->output < 0 ? uv_translate_sys_error(errno) : 0;
}

/* The owner may close its own. */
static int keep_directory(struct log_compression *compression, int directory) {
    compression->directory = directory;
    if (directory < 0)
        return 0;
    compression->directory = fcntl(directory, F_DUPFD_CLOEXEC, 0);
    return compression->directory < 0 ? uv_translate_sys_error(errno) : 0;
}

int log_compression_start(struct log_compression **ret_compression, uv_loop_t *loop, int directory,
                          const char *name, uint32_t number) {
    struct log_compression *compression = calloc(1, sizeof *compression);
    int result;

    if (!compression)
        return UV_ENOMEM;
    compression->work.data = compression;
    compression->number = number;
    compression->input = -1;
    compression->output = -1;
    compression->name = strdup(name);
    result = keep_directory(compression, directory);
    if (result == 0)
        result = compression->name ? open_files(compression) : UV_ENOMEM;
    if (result == 0)
        result = uv_queue_work(loop, &compression->work, compress_file, on_compressed);
    if (result < 0) {
        if (compression->output >= 0)
            remove_temporary(compression);
        log_compression_free(compression);
        return result;
    }
    *ret_compression = compression;
    return 0;
}

void log_compression_moved(struct log_compression *compression) {
    compression->number++;
}

/* At once, for the name may be another's when the thread has come to its end. */
void log_compression_give_up(struct log_compression *compression) {
    atomic_store(&compression->given_up, true);
    remove_temporary(compression);
    uv_cancel((uv_req_t *)&compression->work);
}
