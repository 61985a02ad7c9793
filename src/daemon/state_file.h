/* JSON files that survive whatever happens while they are written: the list of apps.
 *
 * A new content is written to PATH.new beside it (0600), brought to the disk, and renamed; the
 * directory is brought to the disk, too. At any moment PATH is whole, the old one or the new one.
 * What it replaces stays as PATH.bak, or when that cannot be read as PATH.broken. There is one
 * writer: the daemon that holds the lock.
 *
 * A list of nothing replaces a list of something only when it is forced: a daemon that could not
 * read its list must not save that. */
#ifndef BATON_DAEMON_STATE_FILE_H
#define BATON_DAEMON_STATE_FILE_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>
#include <time.h>
#include <uv.h>

#define STATE_FILE_ERROR_MAX 512

enum state_file_source {
    STATE_FILE_NOTHING, /* there is no such file, and no copy */
    STATE_FILE_ITSELF,
    STATE_FILE_COPY, /* PATH.bak, as PATH is missing or broken */
};

/* 0; UV_ENOTEMPTY when an empty array or object would replace one that is not, or what cannot be
 * read; or another UV_E*, and then PATH is what it was, except that after a failure of the
 * directory's fsync(2) it may be the new one. Waits for the disk. */
int state_file_write(const char *path, const json_t *value, bool force);

/* 0 with *ret_value, a new reference, NULL where there is nothing, and where it comes from. When
 * PATH was broken `error` says how, else it is empty. UV_EINVAL when neither can be used, or
 * another UV_E*; `error` then is a sentence. */
int state_file_read(const char *path, json_t **ret_value, enum state_file_source *ret_source,
                    char error[STATE_FILE_ERROR_MAX]);

/* Removes the file, its copy, and what a crash left. */
int state_file_remove(const char *path);

/* The file as the last write left it: while it is still that, it need not be read before the next.
 */
struct state_file_known {
    bool whole; /* else nothing is known */
    bool empty;
    ino_t inode;
    off_t size;
    struct timespec modified;
};

/* Writes in the background, so that the loop never waits for the disk: one at a time, and of
 * several that come meanwhile the latest.
 *
 * start/close(cb). */
struct state_saver {
    uv_work_t work;
    uv_timer_t idle; /* never runs; closed when nothing is to be written */
    uv_loop_t *loop;
    char *path;
    char *writing; /* the text that a thread has now; NULL: none */
    char *waiting; /* the latest one that came meanwhile */
    bool writing_empty;
    bool writing_force;
    bool waiting_empty;
    bool waiting_force;
    bool busy; /* a thread writes, or its result is being announced */
    bool closing;
    struct state_file_known known; /* the thread's, while there is one */
    int result;                    /* of the thread */
    /* A write is over: 0 or as state_file_write(). Not called for those that were overtaken. */
    void (*on_saved)(void *owner, int result);
    void (*on_closed)(void *owner);
    void *owner;
};

int state_saver_start(struct state_saver *saver, uv_loop_t *loop, const char *path,
                      void (*on_saved)(void *owner, int result), void *owner);

/* Takes the value as it is now. 0 or UV_ENOMEM. */
int state_saver_save(struct state_saver *saver, const json_t *value, bool force);

/* Once everything is written. */
void state_saver_close(struct state_saver *saver, void (*on_closed)(void *owner));

#endif
