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

#define STATE_FILE_ERROR_MAX 512

enum state_file_source {
    STATE_FILE_NOTHING, /* there is no such file, and no copy */
    STATE_FILE_ITSELF,
    STATE_FILE_COPY, /* PATH.bak, as PATH is missing or broken */
};

/* What is to be written: print/clear. */
struct state_file_content {
    char *text;
    bool empty; /* an array or object of nothing */
    bool force; /* it may replace one of something */
};

/* 0, or UV_ENOMEM with nothing to be cleared. */
int state_file_print(struct state_file_content *content, const json_t *value, bool force);
void state_file_content_clear(struct state_file_content *content);

/* The file as the last write left it: while it is still that, it need not be read before the next.
 */
struct state_file_known {
    bool whole; /* else nothing is known */
    bool empty;
    ino_t inode;
    off_t size;
    struct timespec modified;
};

/* 0; UV_ENOTEMPTY when an empty array or object would replace one that is not, or what cannot be
 * read; or another UV_E*, and then PATH is what it was, except that after a failure of the
 * directory's fsync(2) it may be the new one. Waits for the disk. */
int state_file_write(const char *path, const struct state_file_content *content,
                     struct state_file_known *known);

/* 0 with *ret_value, a new reference, NULL where there is nothing, and where it comes from. When
 * PATH was broken `error` says how, else it is empty. UV_EINVAL when neither can be used, or
 * another UV_E*; `error` then is a sentence. */
int state_file_read(const char *path, json_t **ret_value, enum state_file_source *ret_source,
                    char error[STATE_FILE_ERROR_MAX]);

/* Gives a file that cannot be read the name PATH.broken besides: 0 or a UV_E*. */
int state_file_put_aside(const char *path);

/* Removes the file, its copy, and what a crash left. */
int state_file_remove(const char *path);

#endif
