#include "daemon/health.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_MAX  16384 /* before the status line of the final answer */
#define DRAIN_MAX   65536
#define DRAIN_MS    250
#define LINE_LENGTH 12 /* "HTTP/1.1 200" */

/* --- the rule --- */

void health_init(struct health *health, const struct health_rule *rule, uint64_t now_ms) {
    *health = (struct health){
        .rule = *rule,
        .grace_until = now_ms + rule->grace_ms,
        .next = now_ms + rule->interval_ms,
    };
}

bool health_due(struct health *health, uint64_t now_ms) {
    if (now_ms < health->next || health->next == UINT64_MAX)
        return false;
    health->next = UINT64_MAX;
    return true;
}

uint64_t health_next(const struct health *health) {
    return health->next;
}

void health_skip(struct health *health, uint64_t now_ms) {
    health->next = now_ms + health->rule.interval_ms;
}

enum health_change health_result(struct health *health, bool healthy, uint64_t now_ms) {
    bool was_unhealthy = health->unhealthy;

    health->next = now_ms + health->rule.interval_ms;
    if (healthy) {
        health->grace_until = 0;
        health->failed = 0;
        health->unhealthy = false;
        return was_unhealthy ? HEALTH_REGAINED : HEALTH_SAME;
    }
    if (now_ms < health->grace_until)
        return HEALTH_SAME;
    if (health->failed < UINT32_MAX)
        health->failed++;
    health->unhealthy = health->failed >= health->rule.failures;
    return health->unhealthy && !was_unhealthy ? HEALTH_LOST : HEALTH_SAME;
}

/* --- the probe --- */

static bool is_digit(char byte) {
    return byte >= '0' && byte <= '9';
}

/* Of one answer; as health_parse_status(). */
static int parse_line(const char *bytes, size_t length) {
    static const char start[] = "HTTP/1.";
    size_t known = sizeof start - 1;

    if (memcmp(bytes, start, length < known ? length : known) != 0)
        return UV_EPROTO;
    if (length <= LINE_LENGTH)
        return 0;
    if (!is_digit(bytes[7]) || bytes[8] != ' ' || bytes[9] < '1' || bytes[9] > '5' ||
        !is_digit(bytes[10]) || !is_digit(bytes[11]) || !strchr(" \r\n", bytes[LINE_LENGTH]) ||
        bytes[LINE_LENGTH] == '\0')
        return UV_EPROTO;
    return (bytes[9] - '0') * 100 + (bytes[10] - '0') * 10 + (bytes[11] - '0');
}

int health_parse_status(const char *bytes, size_t length) {
    for (;;) {
        int status = parse_line(bytes, length);
        const char *end;

        if (status < 100 || status > 199)
            return status;
        end = memmem(bytes, length, "\r\n\r\n", 4);
        if (!end)
            return 0;
        length -= (size_t)(end + 4 - bytes);
        bytes = end + 4;
    }
}

static void on_handle_closed(uv_handle_t *handle) {
    struct health_probe *probe = handle->data;

    if (--probe->open > 0)
        return;
    buffer_clear(&probe->request);
    buffer_clear(&probe->answer);
    probe->on_done(probe->owner, &probe->outcome);
}

static void finish(struct health_probe *probe) {
    if (probe->descriptor < 0)
        return;
    uv_close((uv_handle_t *)&probe->poll, on_handle_closed); /* first: it knows the descriptor */
    uv_close((uv_handle_t *)&probe->timer, on_handle_closed);
    close(probe->descriptor);
    probe->descriptor = -1;
}

static void fail(struct health_probe *probe, const char *reason) {
    if (!probe->decided)
        snprintf(probe->outcome.reason, sizeof probe->outcome.reason, "%s", reason);
    finish(probe);
}

static void on_timeout(uv_timer_t *timer) {
    struct health_probe *probe = timer->data;
    char reason[HEALTH_REASON_MAX];

    snprintf(reason, sizeof reason, "no answer within %" PRIu64 " ms", probe->timeout_ms);
    fail(probe, reason);
}

static void decide(struct health_probe *probe, int status) {
    probe->decided = true;
    probe->outcome.status = status;
    probe->outcome.healthy = status >= 200 && status < 400;
    snprintf(probe->outcome.reason, sizeof probe->outcome.reason, "status %d", status);
    uv_timer_start(&probe->timer, on_timeout, DRAIN_MS, 0);
}

static void take(struct health_probe *probe, const char *bytes, size_t length) {
    int status;

    if (probe->decided) {
        probe->drained += length;
        if (probe->drained >= DRAIN_MAX)
            finish(probe);
        return;
    }
    if (buffer_length(&probe->answer) + length > ANSWER_MAX ||
        buffer_append(&probe->answer, bytes, length) < 0) {
        fail(probe, "its answer has no end");
        return;
    }
    status = health_parse_status(buffer_data(&probe->answer), buffer_length(&probe->answer));
    if (status < 0)
        fail(probe, "its answer is no HTTP");
    else if (status > 0)
        decide(probe, status);
}

static void receive(struct health_probe *probe) {
    char bytes[4096];
    ssize_t length = recv(probe->descriptor, bytes, sizeof bytes, MSG_DONTWAIT);

    if (length > 0)
        take(probe, bytes, (size_t)length);
    else if (length == 0)
        fail(probe, "the connection was closed without an answer");
    else if (errno != EAGAIN && errno != EINTR)
        fail(probe, uv_strerror(uv_translate_sys_error(errno)));
}

static void on_poll(uv_poll_t *poll, int status, int events);

/* Whoever answers before it has read the request may have closed: what it said is then read. */
static void send_request(struct health_probe *probe) {
    ssize_t sent = send(probe->descriptor, buffer_data(&probe->request),
                        buffer_length(&probe->request), MSG_DONTWAIT | MSG_NOSIGNAL);

    if (sent < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    buffer_consume(&probe->request, sent < 0 ? buffer_length(&probe->request) : (size_t)sent);
    if (buffer_length(&probe->request) == 0)
        uv_poll_start(&probe->poll, UV_READABLE, on_poll);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
    struct health_probe *probe = poll->data;

    if (status < 0) { /* an error of the socket, which recv(2) names */
        receive(probe);
        return;
    }
    if ((events & UV_WRITABLE) && buffer_length(&probe->request) > 0)
        send_request(probe);
    if (events & UV_READABLE)
        receive(probe);
}

static bool is_word(const char *text) {
    for (; *text; text++)
        if ((unsigned char)*text <= 0x20 || *text == 0x7f)
            return false;
    return true;
}

static int print_request(struct buffer *buffer, const struct health_request *request) {
    const char *host = request->host ? request->host : "localhost";

    if (request->path[0] != '/' || !is_word(request->path) || !is_word(host))
        return UV_EINVAL;
    return buffer_print(buffer,
                        "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: baton/" BATON_VERSION
                        " (health)\r\nAccept: */*\r\nConnection: close\r\n\r\n",
                        request->path, host);
}

int health_probe_start(struct health_probe *probe, uv_loop_t *loop,
                       const struct health_request *request,
                       void (*on_done)(void *owner, const struct health_outcome *outcome),
                       void *owner) {
    int result;

    *probe = (struct health_probe){.descriptor = request->descriptor,
                                   .timeout_ms = request->timeout_ms,
                                   .on_done = on_done,
                                   .owner = owner};
    buffer_init(&probe->request);
    buffer_init(&probe->answer);
    result = print_request(&probe->request, request);
    if (result == 0)
        result = uv_poll_init(loop, &probe->poll, request->descriptor);
    if (result < 0) {
        buffer_clear(&probe->request);
        return result;
    }
    uv_timer_init(loop, &probe->timer);
    probe->poll.data = probe->timer.data = probe;
    probe->open = 2;
    uv_poll_start(&probe->poll, UV_READABLE | UV_WRITABLE, on_poll);
    uv_timer_start(&probe->timer, on_timeout, request->timeout_ms, 0);
    return 0;
}

int health_connect(uint16_t port, bool ipv6, int *ret_descriptor) {
    struct sockaddr_in ipv4_address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 ipv6_address = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = in6addr_loopback};
    const struct sockaddr *address =
        ipv6 ? (const struct sockaddr *)&ipv6_address : (const struct sockaddr *)&ipv4_address;
    int descriptor = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (descriptor < 0)
        return errno == EAFNOSUPPORT ? UV_EAGAIN : uv_translate_sys_error(errno);
    if (connect(descriptor, address, ipv6 ? sizeof ipv6_address : sizeof ipv4_address) == 0 ||
        errno == EINPROGRESS) {
        *ret_descriptor = descriptor;
        return 0;
    }
    close(descriptor);
    return UV_EAGAIN;
}

void health_probe_abort(struct health_probe *probe) {
    probe->decided = probe->outcome.healthy = false;
    fail(probe, "given up");
}
