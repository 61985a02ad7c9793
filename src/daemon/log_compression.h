/* A rotated log file that is being compressed, in libuv's thread pool.
 *
 * The happy path: PATH.N is read and written as gzip to PATH.compressing; when all is there this
 * becomes PATH.N.gz and PATH.N goes. It can fail when either cannot be opened, read or written (a
 * full disk): then PATH.N stays as it is. Rotation goes on meanwhile: whoever renames the file says
 * so. On the heap; freed by itself. */
#ifndef BATON_DAEMON_LOG_COMPRESSION_H
#define BATON_DAEMON_LOG_COMPRESSION_H

#include <stdatomic.h>
#include <stdint.h>
#include <uv.h>

struct log_compression {
    uv_work_t work;
    int directory; /* its own; AT_FDCWD: the name is a path */
    char *name;    /* of the log file, as seen from there; owned */
    uint32_t number;
    int input;
    int output;
    atomic_bool given_up;
    int result; /* 0 or a UV_E* */
    void (*done)(void *owner, int result);
    void *owner;
};

/* `name` is the log file's in `directory`, a descriptor that the caller keeps, or its path, with
 * AT_FDCWD. 0 with *ret_compression, which is valid until `done` (to be set by the caller, as is
 * `owner`) or log_compression_give_up(); or a UV_E*. */
int log_compression_start(struct log_compression **ret_compression, uv_loop_t *loop, int directory,
                          const char *name, uint32_t number);

/* PATH.number is PATH.(number + 1) now. */
void log_compression_moved(struct log_compression *compression);

/* PATH.number is gone, or whoever asked is: nothing comes of it, and `done` is not called. */
void log_compression_give_up(struct log_compression *compression);

#endif
