/* One log file: appended to, rotated when it is large enough, its predecessors compressed.
 *
 * PATH is written to; when it would pass max_size it becomes PATH.1, what was PATH.1 becomes
 * PATH.2, and so on to PATH.keep, where possible at the end of a line; what follows PATH.keep
 * without a gap, of a time with a larger limit, goes then, too. Predecessors that have rested for a
 * while become PATH.N.gz: a flood, which throws them away within seconds, costs no compression.
 *
 * Others may do as they like with it: a file that is renamed or removed (logrotate) is opened anew
 * and one that is truncated (copytruncate) is known to be shorter, both within a second of the next
 * write. What cannot be written is dropped and counted, and the `problem` callback says so at most
 * once a minute; with room on the disk it goes on. Devices and pipes are never rotated, and never
 * waited for.
 *
 * init/clear; not from several threads. Nothing here blocks longer than the file system does. */
#ifndef BATON_DAEMON_LOG_FILE_H
#define BATON_DAEMON_LOG_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

struct log_compression;

/* Why a file cannot be written to. */
struct log_problem {
    const char *path;
    const char *action; /* "write to", "open" or "rotate": what failed, for "cannot … PATH" */
    int error;          /* UV_E* */
    uint64_t dropped;   /* bytes since the file was opened first */
};

struct log_file_options {
    uv_loop_t *loop;   /* for compression, in its thread pool */
    const char *path;  /* absolute */
    mode_t mode;       /* of a new file, less the umask */
    uint64_t max_size; /* bytes; 0: never rotated */
    uint32_t keep;     /* predecessors; 0: the file is emptied instead of rotated */
    bool guarded;      /* we are root: links that another user made are not followed, neither to
                          write nor to rotate */
    void (*problem)(void *owner, const struct log_problem *problem); /* or NULL */
    void *owner;
};

struct log_file {
    struct log_file_options options;
    char *path;     /* owned */
    int directory;  /* of the path, where it is guarded and was opened; else AT_FDCWD */
    char *name;     /* the path as seen from there; within it */
    int descriptor; /* -1 while it cannot be opened */
    bool regular;   /* a file, neither device nor pipe */
    dev_t device;
    ino_t inode;
    int open_error; /* why it could not be opened last */
    uint64_t size;
    bool line_start;    /* what was written last is the end of a line */
    bool torn;          /* a part of a line was dropped */
    uint64_t rest_ms;   /* of the last log_file_compress() */
    bool waits;         /* predecessors are there that may be compressed */
    uint64_t looked_ms; /* when path and size were last looked at, or opening was tried */
    uint64_t failed_ms; /* when rotation failed; 0: not lately */
    uint64_t said_ms;   /* when a problem was last announced; 0: never */
    uint64_t dropped;   /* bytes, all in all */
    uint64_t rotations;
    struct log_compression *compression; /* under way, or NULL */
};

/* Makes the directories that are missing (0700) and opens the file. 0 or UV_ENOMEM; that it cannot
 * be opened is a problem like others, and tried again. */
int log_file_init(struct log_file *file, const struct log_file_options *options, uint64_t now_ms);

/* Closes it; a compression under way is given up and leaves no trace. */
void log_file_clear(struct log_file *file);

/* Appends. Time is monotonic, and not 0. */
void log_file_write(struct log_file *file, const char *bytes, size_t length, uint64_t now_ms);

/* Opens it anew, for whoever has renamed it. The old one stays in use while that fails. */
void log_file_reopen(struct log_file *file, uint64_t now_ms);

/* Empties it and removes its predecessors. 0 or the UV_E* why it cannot be emptied. */
int log_file_flush(struct log_file *file);

/* Starts to compress the predecessors to which nobody has written for `rest_ms`, the oldest first,
 * one after the other. Whether there may be more to do later. */
bool log_file_compress(struct log_file *file, uint64_t rest_ms);

#endif
