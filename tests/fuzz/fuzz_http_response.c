/* A response, read by the client's parser, and its body as server-sent events: in one piece and in
 * small ones both must lead to the same end. The first byte chooses the pieces' length. */
#include "http/event_reader.h"
#include "http/response_reader.h"

#include "check.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

/* What was announced, in a sum that depends on the order but not on the pieces. */
struct outcome {
    int result;
    int status;
    size_t body;
    uint64_t sum;
    unsigned events;
    struct event_reader reader;
};

static void add(struct outcome *outcome, const char *bytes, size_t length) {
    for (size_t i = 0; i < length; i++)
        outcome->sum = outcome->sum * 31 + (unsigned char)bytes[i];
}

static int on_head(void *owner, int status) {
    struct outcome *outcome = owner;

    check(outcome->status == 0 && status >= 200);
    outcome->status = status;
    return 0;
}

static int on_body(void *owner, const char *bytes, size_t length) {
    struct outcome *outcome = owner;

    check(outcome->status != 0);
    outcome->body += length;
    return event_reader_feed(&outcome->reader, bytes, length);
}

static int on_event(void *owner, const char *event, const char *data, size_t length) {
    struct outcome *outcome = owner;

    check(strlen(event) > 0 && strlen(event) < EVENT_NAME_MAX && data[length] == '\0');
    add(outcome, event, strlen(event));
    add(outcome, data, length);
    outcome->events++;
    return 0;
}

static const struct http_client_events events = {.on_head = on_head, .on_body = on_body};

static void run(struct outcome *outcome, const char *bytes, size_t length, size_t piece) {
    struct http_response_reader *reader = http_response_reader_create(&events, outcome, false);

    check(reader != NULL);
    event_reader_init(&outcome->reader, on_event, outcome);
    outcome->result = 1;
    for (size_t i = 0; i < length && outcome->result == 1; i += piece)
        outcome->result =
            http_response_reader_feed(reader, bytes + i, length - i < piece ? length - i : piece);
    if (outcome->result == 1)
        outcome->result = http_response_reader_end(reader);
    check(outcome->result <= 0);
    http_response_reader_destroy(reader);
    event_reader_clear(&outcome->reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct outcome whole = {.status = 0};
    struct outcome cut = {.status = 0};

    if (length < 2)
        return 0;
    run(&whole, (const char *)bytes + 1, length - 1, length);
    run(&cut, (const char *)bytes + 1, length - 1, (size_t)bytes[0] % 16 + 1);
    check(whole.result == cut.result && whole.status == cut.status);
    check(whole.body == cut.body && whole.events == cut.events && whole.sum == cut.sum);
    return 0;
}
