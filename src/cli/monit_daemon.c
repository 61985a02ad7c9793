/* The happy path: the last lines come, then the events without end; an answer with the processes
 * each second; now and then an action, whose progress and result come as events, or as JSON when it
 * is over at once.
 *
 * It can fail when the daemon ends: the stream of events ends, which nothing else makes it do. That
 * an action is refused is no failure, but a sentence in the view. */
#include "cli/monit_daemon.h"

#include "base/clock.h"
#include "base/json_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define ANSWER_MAX ((size_t)64 * 1024 * 1024)

static int on_head(void *owner, int status) {
    struct monit_connection *connection = owner;

    connection->status = status;
    return 0;
}

static int on_event_bytes(void *owner, const char *bytes, size_t length) {
    struct monit_connection *connection = owner;

    if (connection->status == 200)
        return event_reader_feed(&connection->events, bytes, length);
    if (connection->status >= 500)
        return UV_ECONNRESET; /* it is about to end */
    /* While there is no process there are no lines either. */
    return connection->daemon->events_begun ? UV_EPROTO : 0;
}

static int on_body(void *owner, const char *bytes, size_t length) {
    struct monit_connection *connection = owner;

    if (buffer_length(&connection->body) + length > ANSWER_MAX)
        return UV_EMSGSIZE;
    return buffer_append(&connection->body, bytes, length);
}

/* Events begin with a letter or a colon, an object with its brace. */
static int on_action_bytes(void *owner, const char *bytes, size_t length) {
    struct monit_connection *connection = owner;

    if (buffer_length(&connection->body) > 0 || (length > 0 && bytes[0] == '{'))
        return on_body(owner, bytes, length);
    return event_reader_feed(&connection->events, bytes, length);
}

static const struct http_client_events stream_events = {on_head, on_event_bytes};
static const struct http_client_events figures_events = {on_head, on_body};
static const struct http_client_events action_events = {on_head, on_action_bytes};

/* --- what is said of an action --- */

static void say(struct monit_daemon *daemon, bool bad, const char *text) {
    char sentence[MONIT_MESSAGE_MAX];

    snprintf(sentence, sizeof(sentence), "%s %s: %s", daemon->action_name, daemon->action_subject,
             text);
    monit_view_say(daemon->view, bad, sentence);
}

static void say_progress(struct monit_daemon *daemon, const json_t *data) {
    char text[2 * DRAW_NUMBER_MAX];

    snprintf(text, sizeof(text), "%lld of %lld", (long long)draw_member_number(data, "done", 0),
             (long long)draw_member_number(data, "of", 0));
    say(daemon, false, text);
}

/* The body of an answer: an error, processes with which something went wrong, or neither. */
static void say_result(struct monit_daemon *daemon, int status, const json_t *body) {
    const json_t *error = json_object_get(body, "error");
    const json_t *failed = json_array_get(json_object_get(body, "failed"), 0);

    if (failed)
        say(daemon, true, draw_member_text(failed, "reason", "failed"));
    else if (error || status < 200 || status > 299)
        say(daemon, true, draw_member_text(error, "message", "refused"));
    else
        say(daemon, false, "done");
}

static int on_action_event(void *owner, const char *event, const char *data, size_t length) {
    struct monit_connection *connection = owner;
    json_t *value = json_read(data, length, 0, NULL);

    if (strcmp(event, "progress") == 0)
        say_progress(connection->daemon, value);
    else if (strcmp(event, "result") == 0)
        say_result(connection->daemon, (int)draw_member_number(value, "status", 0),
                   json_object_get(value, "body"));
    json_decref(value);
    return 0;
}

static int on_stream_event(void *owner, const char *event, const char *data, size_t length) {
    struct monit_connection *connection = owner;
    json_t *value = json_read(data, length, 0, NULL);
    int result = monit_view_event(connection->daemon->view, event, value);

    json_decref(value);
    return result;
}

/* --- connections --- */

static int connection_open(struct monit_connection *connection, struct monit_daemon *daemon,
                           const char *path, event_reader_function on_event) {
    int result = http_client_open(&connection->client, path);

    if (result < 0)
        return result;
    connection->daemon = daemon;
    connection->opened = true;
    buffer_init(&connection->body);
    event_reader_init(&connection->events, on_event, connection);
    return 0;
}

static void connection_close(struct monit_connection *connection) {
    if (!connection->opened)
        return;
    http_client_close(&connection->client);
    event_reader_clear(&connection->events);
    buffer_clear(&connection->body);
    connection->opened = false;
    connection->busy = false;
}

static int connection_send(struct monit_connection *connection,
                           const struct http_client_request *request,
                           const struct http_client_events *events) {
    int result = http_client_send(&connection->client, request, events, connection);

    connection->busy = result >= 0;
    return result < 0 ? result : 0;
}

int monit_daemon_open(struct monit_daemon *daemon, const char *socket_path,
                      struct monit_view *view) {
    const struct http_client_request request = {
        .method = "GET", .target = "/v1/logs?target=all&lines=30", .accept = "text/event-stream"};
    int result;

    *daemon = (struct monit_daemon){.view = view};
    result = connection_open(&daemon->events, daemon, socket_path, on_stream_event);
    if (result == 0)
        result = connection_open(&daemon->figures, daemon, socket_path, on_stream_event);
    if (result == 0)
        result = connection_open(&daemon->action, daemon, socket_path, on_action_event);
    if (result == 0)
        result = connection_send(&daemon->events, &request, &stream_events);
    if (result < 0)
        monit_daemon_close(daemon);
    return result;
}

void monit_daemon_close(struct monit_daemon *daemon) {
    connection_close(&daemon->events);
    connection_close(&daemon->figures);
    connection_close(&daemon->action);
}

int monit_daemon_ask(struct monit_daemon *daemon) {
    const struct http_client_request request = {
        .method = "GET", .target = "/v1/processes", .accept = "application/json"};

    if (daemon->figures.busy)
        return 0;
    return connection_send(&daemon->figures, &request, &figures_events);
}

int monit_daemon_act(struct monit_daemon *daemon, struct monit_action *action) {
    char target[sizeof("/v1/actions/") + MONIT_ACTION_MAX];
    struct http_client_request request = {.method = "POST",
                                          .target = target,
                                          .accept = "text/event-stream",
                                          .body = action->body,
                                          .length = strlen(action->body)};
    int result = 0;

    if (daemon->action.busy) {
        say(daemon, true, "still under way");
    } else {
        snprintf(target, sizeof(target), "/v1/actions/%s", action->name);
        snprintf(daemon->action_name, sizeof(daemon->action_name), "%s", action->name);
        snprintf(daemon->action_subject, sizeof(daemon->action_subject), "%s", action->subject);
        say(daemon, false, "under way");
        result = connection_send(&daemon->action, &request, &action_events);
    }
    free(action->body);
    action->body = NULL;
    return result;
}

/* --- answers --- */

static json_t *take_body(struct monit_connection *connection) {
    json_t *value = json_read(buffer_data(&connection->body) ? buffer_data(&connection->body) : "",
                              buffer_length(&connection->body), 0, NULL);

    buffer_clear(&connection->body);
    return value;
}

static int figures_came(struct monit_daemon *daemon) {
    json_t *processes = take_body(&daemon->figures);
    int result = daemon->figures.status >= 500 ? UV_ECONNRESET : UV_EPROTO;

    if (daemon->figures.status == 200)
        result = monit_view_update(daemon->view, processes, (int64_t)clock_ms());
    json_decref(processes);
    return result;
}

static int action_ended(struct monit_daemon *daemon) {
    json_t *body;

    if (buffer_length(&daemon->action.body) == 0)
        return 0; /* events have said it */
    body = take_body(&daemon->action);
    say_result(daemon, daemon->action.status, body);
    json_decref(body);
    return 0;
}

static int receive(struct monit_connection *connection) {
    int result = http_client_receive(&connection->client);

    if (result == UV_EINTR)
        return 1;
    if (result != 1)
        connection->busy = false;
    return result;
}

static bool is_ready(const struct pollfd *descriptor) {
    return descriptor->fd >= 0 && descriptor->revents != 0;
}

void monit_daemon_poll(const struct monit_daemon *daemon,
                       struct pollfd descriptors[MONIT_CONNECTIONS]) {
    const struct monit_connection *connections[MONIT_CONNECTIONS] = {
        &daemon->events, &daemon->figures, &daemon->action};

    for (size_t i = 0; i < MONIT_CONNECTIONS; i++)
        descriptors[i] = (struct pollfd){
            .fd = connections[i]->busy ? connections[i]->client.socket : -1, .events = POLLIN};
}

/* The last lines are there, or the daemon has ended: nothing else ends the events. */
static int events_ended(struct monit_daemon *daemon) {
    const struct http_client_request request = {
        .method = "GET", .target = "/v1/events?logs=1", .accept = "text/event-stream"};

    if (daemon->events_begun)
        return UV_EOF;
    daemon->events_begun = true;
    return connection_send(&daemon->events, &request, &stream_events);
}

int monit_daemon_receive(struct monit_daemon *daemon,
                         const struct pollfd descriptors[MONIT_CONNECTIONS]) {
    int result = 0;

    if (is_ready(&descriptors[0])) {
        result = receive(&daemon->events);
        if (result == 0)
            result = events_ended(daemon);
    }
    if (result >= 0 && is_ready(&descriptors[1])) {
        result = receive(&daemon->figures);
        if (result == 0)
            result = figures_came(daemon);
    }
    if (result >= 0 && is_ready(&descriptors[2])) {
        result = receive(&daemon->action);
        if (result == 0)
            result = action_ended(daemon);
    }
    return result < 0 ? result : 0;
}
