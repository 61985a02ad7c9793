/* A request in one piece and in small ones must lead to the same end, and only a request that the
 * strict check has passed may be complete. The first byte chooses the pieces' length. */
#include "http/request.h"

#include "check.h"

#include <stdint.h>
#include <string.h>

#define BODY_LIMIT 1000

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

struct outcome {
    enum http_request_state state;
    size_t used;
};

static void feed(struct http_request *request, const char *bytes, size_t length,
                 struct outcome *outcome) {
    do {
        size_t used;

        outcome->state = http_request_feed(request, bytes, length, &used);
        check(used <= length);
        bytes += used;
        length -= used;
        outcome->used += used;
        if (outcome->state == HTTP_REQUEST_HEAD && !http_request_limit_body(request, BODY_LIMIT))
            outcome->state = HTTP_REQUEST_BAD;
    } while (outcome->state == HTTP_REQUEST_HEAD);
}

/* Whatever an accessor returns must lie in memory that is there. */
static void read_all(const struct http_request *request) {
    size_t length;
    const char *body = http_request_body(request, &length);
    unsigned sum = 0;

    check(length <= BODY_LIMIT);
    for (size_t i = 0; i < length; i++)
        sum += (unsigned char)body[i];
    check(sum <= 255 * length);
    check(strlen(http_request_method(request)) > 0);
    check(http_request_path(request)[0] == '/' || strcmp(http_request_path(request), "*") == 0);
    check(strlen(http_request_path(request)) <= strlen(http_request_target(request)) + 1);
    check(!http_request_query(request) || strlen(http_request_query(request)) < 9000);
    for (size_t i = 0; i < http_request_header_count(request); i++) {
        const char *value;
        const char *name = http_request_header_at(request, i, &value);

        check(name[0] != '\0' && !strpbrk(name, " \t\r\n:") && !strpbrk(value, "\r\n"));
    }
}

static struct outcome run(const char *bytes, size_t length, size_t piece) {
    struct http_request *request = http_request_create();
    struct outcome outcome = {.state = HTTP_REQUEST_MORE};

    check(request != NULL);
    for (size_t i = 0; i < length && outcome.state == HTTP_REQUEST_MORE; i += piece)
        feed(request, bytes + i, length - i < piece ? length - i : piece, &outcome);
    if (outcome.state == HTTP_REQUEST_COMPLETE)
        read_all(request);
    if (outcome.state == HTTP_REQUEST_BAD)
        check(http_request_status(request) >= 400);
    http_request_destroy(request);
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct outcome whole;
    struct outcome cut;

    if (length < 2)
        return 0;
    whole = run((const char *)bytes + 1, length - 1, length);
    cut = run((const char *)bytes + 1, length - 1, (size_t)bytes[0] % 16 + 1);
    check(whole.state == cut.state);
    if (whole.state == HTTP_REQUEST_COMPLETE)
        check(whole.used == cut.used);
    return 0;
}
