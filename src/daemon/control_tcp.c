#include "daemon/control_tcp.h"

#include "base/text.h"
#include "daemon/control_check.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#define BACKLOG      128
#define TOKEN_LENGTH (CONTROL_TCP_TOKEN_SIZE - 1)

/* --- the address --- */

static const char *skip(const char *text, const char *prefix) {
    size_t length = strlen(prefix);

    return strncasecmp(text, prefix, length) == 0 ? text + length : NULL;
}

static void set_version_4(struct control_tcp_address *address, uint16_t port) {
    struct sockaddr_in *in = (struct sockaddr_in *)&address->address;

    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address->length = sizeof *in;
    snprintf(address->text, sizeof address->text, "127.0.0.1:%s", address->port);
}

static void set_version_6(struct control_tcp_address *address, uint16_t port) {
    struct sockaddr_in6 *in = (struct sockaddr_in6 *)&address->address;

    in->sin6_family = AF_INET6;
    in->sin6_port = htons(port);
    in->sin6_addr = in6addr_loopback;
    address->length = sizeof *in;
    snprintf(address->text, sizeof address->text, "[::1]:%s", address->port);
}

bool control_tcp_parse(const char *text, struct control_tcp_address *ret_address) {
    const char *six = skip(text, "[::1]:");
    const char *four = skip(text, "127.0.0.1:");
    int64_t port;

    if (!four)
        four = skip(text, "localhost:");
    if (!four)
        four = text;
    if (text_to_number(six ? six : four, 1, UINT16_MAX, &port) < 0)
        return false;
    *ret_address = (struct control_tcp_address){.length = 0};
    snprintf(ret_address->port, sizeof ret_address->port, "%u", (unsigned)port);
    if (six)
        set_version_6(ret_address, (uint16_t)port);
    else
        set_version_4(ret_address, (uint16_t)port);
    return true;
}

int control_tcp_listen(const struct control_tcp_address *address) {
    int listener =
        socket(address->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    int result;

    if (listener < 0)
        return uv_translate_sys_error(errno);
    (void)setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (const struct sockaddr *)&address->address, address->length) == 0 &&
        listen(listener, BACKLOG) == 0)
        return listener;
    result = uv_translate_sys_error(errno);
    close(listener);
    return result;
}

/* --- the token --- */

static int make_token(const char *path) {
    unsigned char bytes[TOKEN_LENGTH / 2];
    char text[CONTROL_TCP_TOKEN_SIZE + 1];
    int descriptor;
    int result = 0;

    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return UV_EIO;
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    text[TOKEN_LENGTH] = '\n';
    descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (descriptor < 0)
        return uv_translate_sys_error(errno);
    if (write(descriptor, text, CONTROL_TCP_TOKEN_SIZE) != CONTROL_TCP_TOKEN_SIZE ||
        fsync(descriptor) < 0)
        result = UV_EIO;
    close(descriptor);
    if (result < 0)
        unlink(path);
    return result;
}

static int read_token(int descriptor, char token[CONTROL_TCP_TOKEN_SIZE]) {
    char text[CONTROL_TCP_TOKEN_SIZE + 1];
    struct stat status;
    ssize_t length;

    if (fstat(descriptor, &status) < 0)
        return uv_translate_sys_error(errno);
    if (!S_ISREG(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 077) != 0)
        return UV_EPERM;
    length = read(descriptor, text, sizeof text);
    if (length < 0)
        return uv_translate_sys_error(errno);
    if ((size_t)length > TOKEN_LENGTH && text[TOKEN_LENGTH] == '\n')
        length--;
    if (length != TOKEN_LENGTH)
        return UV_EINVAL;
    for (size_t i = 0; i < TOKEN_LENGTH; i++)
        if (!strchr("0123456789abcdef", text[i]) || text[i] == '\0')
            return UV_EINVAL;
    memcpy(token, text, TOKEN_LENGTH);
    token[TOKEN_LENGTH] = '\0';
    return 0;
}

int control_tcp_token(const char *path, char token[CONTROL_TCP_TOKEN_SIZE]) {
    int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    int descriptor = open(path, flags);
    int result;

    if (descriptor < 0 && errno == ENOENT) {
        result = make_token(path);
        if (result < 0)
            return result;
        descriptor = open(path, flags);
    }
    if (descriptor < 0)
        return errno == ELOOP ? UV_EPERM : uv_translate_sys_error(errno);
    result = read_token(descriptor, token);
    close(descriptor);
    return result;
}

/* --- requests --- */

static bool is_ours(const char *host, size_t length, const char *port) {
    static const char *const names[] = {"localhost:", "127.0.0.1:", "[::1]:"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *rest = skip(host, names[i]);

        if (rest && (size_t)(rest - host) + strlen(port) == length &&
            strncmp(rest, port, strlen(port)) == 0)
            return true;
    }
    return false;
}

bool control_tcp_check_host(const struct http_request *request, const char *port) {
    const char *host = http_request_header(request, "Host");
    const char *named = control_check_target_host(request);

    if (named && !is_ours(named, strcspn(named, "/?"), port))
        return false;
    return host && is_ours(host, strlen(host), port);
}

/* Browsers name the page's site in Origin, or, where they leave that out, say whether it is the
 * same. */
bool control_tcp_check_origin(const struct http_request *request) {
    const char *origin = http_request_header(request, "Origin");
    const char *site = http_request_header(request, "Sec-Fetch-Site");
    const char *host = http_request_header(request, "Host");
    const char *named = origin ? skip(origin, "http://") : NULL;

    if (origin && (!named || !host || strcasecmp(named, host) != 0))
        return false;
    return !site || strcmp(site, "same-origin") == 0 || strcmp(site, "none") == 0;
}

bool control_tcp_check_token(const struct http_request *request,
                             const char token[CONTROL_TCP_TOKEN_SIZE]) {
    const char *header = http_request_header(request, "Authorization");
    const char *given = header ? skip(header, "Bearer ") : NULL;
    unsigned char difference = 0;

    if (!given || strlen(given) != TOKEN_LENGTH)
        return false;
    for (size_t i = 0; i < TOKEN_LENGTH; i++)
        difference |= (unsigned char)(given[i] ^ token[i]);
    return difference == 0;
}
