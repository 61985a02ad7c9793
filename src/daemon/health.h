/* Whether a worker that lives also answers: an HTTP GET every now and then.
 *
 * Two parts. The rule (struct health) is pure: when the next probe is due and what its result
 * means. The probe (struct health_probe) sends one request on a connected socket that it is given,
 * and knows neither worker nor rule. */
#ifndef BATON_DAEMON_HEALTH_H
#define BATON_DAEMON_HEALTH_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

/* --- the rule --- */

struct health_rule {
    uint64_t interval_ms; /* from the end of one probe to the next */
    uint64_t timeout_ms;  /* of a probe */
    uint64_t grace_ms;    /* after the start failures do not count, until the first success */
    uint32_t failures;    /* in a row that make it unhealthy; 1 or more */
};

struct health {
    struct health_rule rule;
    uint64_t grace_until;
    uint64_t next;   /* when a probe is due; UINT64_MAX: one is under way */
    uint32_t failed; /* in a row */
    bool unhealthy;
};

enum health_change {
    HEALTH_SAME,
    HEALTH_LOST,     /* it has become unhealthy: announced once */
    HEALTH_REGAINED, /* it answers again after it was unhealthy */
};

/* A worker became ready at now_ms; the first probe is due an interval later. */
void health_init(struct health *health, const struct health_rule *rule, uint64_t now_ms);

/* Whether a probe is to be sent now; if so it counts as under way until health_result(). */
bool health_due(struct health *health, uint64_t now_ms);

/* The time of the next one, for a timer; UINT64_MAX while one is under way. */
uint64_t health_next(const struct health *health);

enum health_change health_result(struct health *health, bool healthy, uint64_t now_ms);

/* The probe could not be sent for a reason that is ours (no descriptor, no room at the worker's
 * side): it counts as nothing and is due again an interval later. */
void health_skip(struct health *health, uint64_t now_ms);

/* --- the probe --- */

#define HEALTH_REASON_MAX 128

struct health_outcome {
    bool healthy;                   /* a status of 200 to 399 came in time */
    int status;                     /* 0: none */
    char reason[HEALTH_REASON_MAX]; /* "status 503", "no answer within 2000 ms": ends a sentence */
};

struct health_probe {
    int descriptor;
    uv_poll_t poll;
    uv_timer_t timer;
    struct buffer request;
    struct buffer answer; /* up to the status line */
    struct health_outcome outcome;
    uint64_t timeout_ms;
    size_t drained; /* bytes after the status line that were read and thrown away */
    bool decided;
    unsigned open; /* handles not closed */
    void (*on_done)(void *owner, const struct health_outcome *outcome);
    void *owner;
};

struct health_request {
    const char *path; /* "/health"; blanks and control bytes are refused */
    const char *host; /* for the Host header; NULL: localhost */
    uint64_t timeout_ms;
    int descriptor; /* of a stream socket, connected or about to be; TCP or Unix */
};

/* Sends GET on the socket and takes that over. After the status line what follows is read, up to
 * 64 KiB or 250 ms, so that a worker which is still writing sees no reset. on_done comes once,
 * later, from the loop, when everything is closed: the memory may go in it. 0, or a UV_E*; then the
 * descriptor is still the caller's. */
int health_probe_start(struct health_probe *probe, uv_loop_t *loop,
                       const struct health_request *request,
                       void (*on_done)(void *owner, const struct health_outcome *outcome),
                       void *owner);

/* Begins to connect to a port of this machine, by IPv4 or IPv6. 0 with *ret_descriptor, which
 * health_probe_start() takes, or a UV_E*: UV_EAGAIN where nobody listens. */
int health_connect(uint16_t port, bool ipv6, int *ret_descriptor);

/* Gives up: on_done comes with healthy false and the reason "given up". */
void health_probe_abort(struct health_probe *probe);

/* The status of an answer's beginning, skipping 1xx: 0 when more is needed, UV_EPROTO when it is no
 * HTTP/1 answer. Pure. */
int health_parse_status(const char *bytes, size_t length);

#endif
