/* Files below one directory as HTTP responses: ETag, Last-Modified, If-None-Match,
 * If-Modified-Since, Range, If-Range; index.html for a directory.
 *
 * No name leads out of the directory: "%2f" is refused before it gets here, names that begin with a
 * dot do not exist, and the kernel resolves the rest with RESOLVE_BENEATH (openat2(2), Linux 5.6),
 * so that a symbolic link may point within the directory only. */
#ifndef BATON_WORKER_SERVE_FILES_H
#define BATON_WORKER_SERVE_FILES_H

#include <stdbool.h>

struct http_connection;
struct http_request;

struct serve_files {
    int directory; /* its descriptor */
    bool
        single_page; /* the directory's index.html for a path that is not there; false after init */
};

/* 0 or a negative errno: what open(2) says, -ENOSYS when the kernel has no openat2. */
int serve_files_init(struct serve_files *files, const char *directory);
void serve_files_clear(struct serve_files *files);

void serve_files_respond(const struct serve_files *files, struct http_connection *connection,
                         const struct http_request *request);

#endif
