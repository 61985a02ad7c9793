#include "worker/serve_files.h"

#include "http/condition.h"
#include "http/connection.h"
#include "http/content_type.h"
#include "http/date.h"
#include "http/range.h"
#include "http/request.h"
#include "http/target.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define INDEX "index.html"

/* Opens `name` below the directory. O_NONBLOCK: a pipe must not hold us up; it has no effect on a
 * regular file. A descriptor or a negative errno. */
static int open_below(int directory, const char *name) {
    struct open_how how = {
        .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    long file;

    /* -EAGAIN: something was renamed while the name was resolved. */
    for (int attempt = 0; attempt < 8; attempt++) {
        file = syscall(SYS_openat2, directory, name, &how, sizeof how);
        if (file >= 0 || (errno != EAGAIN && errno != EINTR))
            break;
    }
    return file < 0 ? -errno : (int)file;
}

int serve_files_init(struct serve_files *files, const char *directory) {
    int descriptor = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int probe;

    if (descriptor < 0)
        return -errno;
    probe = open_below(descriptor, ".");
    if (probe < 0) {
        close(descriptor);
        return probe;
    }
    close(probe);
    *files = (struct serve_files){.directory = descriptor};
    return 0;
}

void serve_files_clear(struct serve_files *files) {
    close(files->directory);
    files->directory = -1;
}

static int status_of_errno(int error) {
    switch (-error) {
    case EACCES:
    case EPERM:
        return 403;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EAGAIN:
    case EINTR:
        return 503;
    default: /* a link out of the directory (EXDEV) is nobody's business either */
        return 404;
    }
}

/* Whether a name in the path begins with a dot: "..", ".", ".git". */
static bool has_dot_name(const char *path) {
    return strstr(path, "/.") != NULL;
}

/* Sends the client on from /directory to /directory/. The location is relative to the request's own
 * path and begins with "./", so it can lead to no other host, whatever the path looks like. */
static void redirect_to_slash(struct http_connection *connection,
                              const struct http_request *request) {
    char location[PATH_MAX + 16];
    struct http_header header = {"Location", location};
    struct http_response response = {.status = 301, .headers = &header, .header_count = 1};
    const char *query = http_request_query(request);
    struct http_target target;
    const char *name;
    int length;

    if (http_target_split(http_request_target(request), &target) < 0) {
        http_connection_fail(connection, 400);
        return;
    }
    name = target.path + target.path_length;
    while (name[-1] != '/')
        name--;
    length = snprintf(location, sizeof location, "./%.*s/%s%s",
                      (int)(target.path + target.path_length - name), name, query ? "?" : "",
                      query ? query : "");
    if ((size_t)length >= sizeof location)
        http_connection_fail(connection, 414);
    else
        http_connection_respond(connection, &response);
}

/* The headers that tell one version of a file. */
struct version_text {
    char etag[64];
    char modified[HTTP_DATE_SIZE];
};

static struct http_version describe(const struct stat *status, struct version_text *text) {
    int64_t modified = status->st_mtim.tv_sec > 0 ? status->st_mtim.tv_sec : 0;

    snprintf(text->etag, sizeof text->etag, "\"%llx%09lx-%llx-%llx\"", (long long)modified,
             status->st_mtim.tv_nsec, (long long)status->st_size,
             (unsigned long long)status->st_ino);
    http_date_format(text->modified, modified);
    return (struct http_version){.etag = text->etag, .modified = modified};
}

static void respond_without_file(struct http_connection *connection, int status,
                                 const struct http_header *headers, size_t count) {
    struct http_response response = {.status = status, .headers = headers, .header_count = count};

    http_connection_respond(connection, &response);
}

/* Whether a Range header counts for this request, and which part it asks for. */
static enum http_range_result find_part(const struct http_request *request,
                                        const struct http_version *version, uint64_t size,
                                        uint64_t *ret_first, uint64_t *ret_length) {
    const char *range = http_request_header(request, "Range");

    if (!range || !http_request_is(request, "GET") ||
        !http_condition_range_holds(version, http_request_header(request, "If-Range")))
        return HTTP_RANGE_WHOLE;
    return http_range_parse(range, size, ret_first, ret_length);
}

/* Answers with a regular file, or a part of it, or the news that it is unchanged. Takes `file`. */
static void respond_with_file(struct http_connection *connection,
                              const struct http_request *request, int file, const char *name,
                              const struct stat *status) {
    struct version_text text;
    struct http_version version = describe(status, &text);
    uint64_t size = (uint64_t)status->st_size;
    uint64_t first = 0;
    uint64_t length = size;
    char content_range[80];
    struct http_header headers[] = {{"ETag", text.etag},
                                    {"Last-Modified", text.modified},
                                    {"Accept-Ranges", "bytes"},
                                    {"Content-Range", NULL}};
    enum http_range_result part = find_part(request, &version, size, &first, &length);

    if (http_condition_unchanged(&version, http_request_header(request, "If-None-Match"),
                                 http_request_header(request, "If-Modified-Since"))) {
        close(file);
        respond_without_file(connection, 304, headers, 2);
        return;
    }
    if (part == HTTP_RANGE_UNSATISFIABLE) {
        close(file);
        snprintf(content_range, sizeof content_range, "bytes */%llu", (unsigned long long)size);
        headers[3].value = content_range;
        respond_without_file(connection, 416, headers, 4);
        return;
    }
    if (part == HTTP_RANGE_PART) {
        snprintf(content_range, sizeof content_range, "bytes %llu-%llu/%llu",
                 (unsigned long long)first, (unsigned long long)(first + length - 1),
                 (unsigned long long)size);
        headers[3].value = content_range;
    }
    http_connection_respond(connection, &(struct http_response){
                                            .status = part == HTTP_RANGE_PART ? 206 : 200,
                                            .content_type = http_content_type(name),
                                            .headers = headers,
                                            .header_count = 4,
                                            .length = length,
                                            .from_file = true,
                                            .file = file,
                                            .offset = (int64_t)first,
                                        });
}

/* Opens what `name` stands for and looks at it. A descriptor or a negative errno. */
static int open_and_look(const struct serve_files *files, const char *name, struct stat *status) {
    int file = open_below(files->directory, name);

    if (file < 0)
        return file;
    if (fstat(file, status) < 0) {
        int error = -errno;

        close(file);
        return error;
    }
    return file;
}

/* The page of the directory `name`, which is empty or ends with a slash. */
static int open_index(const struct serve_files *files, const char *name, struct stat *status) {
    char path[PATH_MAX];

    if ((size_t)snprintf(path, sizeof path, "%s" INDEX, name) >= sizeof path)
        return -ENAMETOOLONG;
    return open_and_look(files, path, status);
}

static void respond_to_path(const struct serve_files *files, struct http_connection *connection,
                            const struct http_request *request) {
    const char *path = http_request_path(request);
    const char *name = path + strspn(path, "/");
    bool names_directory = path[strlen(path) - 1] == '/';
    struct stat status;
    int file;

    if (names_directory)
        file = open_index(files, name, &status);
    else
        file = open_and_look(files, name, &status);
    if (file < 0 && files->single_page && status_of_errno(file) == 404) {
        file = open_index(files, "", &status);
        names_directory = true;
    }
    if (file < 0) {
        http_connection_fail(connection, status_of_errno(file));
        return;
    }
    if (S_ISREG(status.st_mode)) {
        respond_with_file(connection, request, file, names_directory ? INDEX : name, &status);
        return;
    }
    close(file);
    if (S_ISDIR(status.st_mode) && !names_directory)
        redirect_to_slash(connection, request);
    else
        http_connection_fail(connection, 404);
}

void serve_files_respond(const struct serve_files *files, struct http_connection *connection,
                         const struct http_request *request) {
    static const struct http_header allow = {"Allow", "GET, HEAD"};

    if (!http_request_is(request, "GET") && !http_request_is(request, "HEAD"))
        respond_without_file(connection, 405, &allow, 1);
    else if (http_request_path(request)[0] != '/')
        http_connection_fail(connection, 400);
    else if (has_dot_name(http_request_path(request)))
        http_connection_fail(connection, 404);
    else
        respond_to_path(files, connection, request);
}
