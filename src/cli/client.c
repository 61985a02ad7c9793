#include "cli/client.h"

#include "base/buffer.h"
#include "base/json_read.h"
#include "cli/daemon_start.h"
#include "cli/lost_daemon.h"
#include "cli/message.h"
#include "cli/query.h"
#include "config/home.h"
#include "http/event_reader.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define PATIENCE_MS      5000  /* without a word from the daemon, before we say that we wait … */
#define READ_TIMEOUT_MS  30000 /* … and before we give up, unless it has begun to answer */
#define PROBE_TIMEOUT_MS 2000
#define DYING_TRIES      200  /* connections to a daemon that is just being killed … */
#define DYING_PAUSE_US   5000 /* … and the pause between them */

void cli_client_close(struct cli_client *client) {
    if (client->there)
        http_client_close(&client->http);
    client->there = false;
    json_decref(client->about);
    client->about = NULL;
}

static int greet(struct cli_client *client);

static int connect_once(struct cli_client *client) {
    int error = http_client_open(&client->http, client->socket);

    client->there = error == 0;
    if (error == 0)
        error = greet(client);
    if (error < 0)
        cli_client_close(client);
    return error;
}

/* One that was killed takes connections until the kernel has closed its socket, and then breaks
 * them: nothing was asked yet, so it can be tried again. */
static int connect_there(struct cli_client *client) {
    int error = connect_once(client);

    for (int tries = 0; error == UV_ECONNRESET && tries < DYING_TRIES; tries++) {
        usleep(DYING_PAUSE_US);
        error = connect_once(client);
    }
    return error;
}

static bool nobody_answers(int error) {
    return error == UV_ENOENT || error == UV_ECONNREFUSED;
}

static int complain(const struct cli_client *client, int error) {
    if (error == UV_ETIMEDOUT)
        cli_fail(client->call,
                 "the daemon at %s does not answer: it is stopped, or has too much to do",
                 client->socket);
    else if (error == UV_ECONNRESET || error == UV_EPIPE)
        cli_fail(client->call,
                 "the daemon at %s has ended before it answered; %s/daemon.log may say why",
                 client->socket, client->home);
    else
        cli_fail(client->call, "the daemon at %s cannot be asked: %s", client->socket,
                 uv_strerror(error));
    return error;
}

/* A daemon has it while it runs, and leaves it when it crashes. */
static bool has_pid_file(const struct cli_client *client) {
    char path[PATH_MAX];

    return home_file(client->home, HOME_LOCK, path, sizeof path) == 0 && access(path, F_OK) == 0;
}

/* Under the lock: another command may have started it meanwhile. */
static int start(struct cli_client *client, bool here) {
    int lock = cli_daemon_lock(client->home);
    int error = connect_there(client);

    client->here = here;
    if (error == 0 && here) {
        cli_fail(client->call, "a daemon runs already; stop it first: %s kill",
                 client->call->context->dialect->name);
        error = UV_EEXIST;
    } else if (nobody_answers(error)) {
        error = here ? cli_daemon_become(client->call, client->home)
                     : cli_daemon_start(client->call, client->home, has_pid_file(client));
        if (error == 0 && (error = connect_there(client)) < 0)
            complain(client, error);
    } else if (error < 0) {
        complain(client, error);
    }
    if (error < 0)
        cli_client_close(client);
    cli_daemon_unlock(lock);
    return error;
}

static int find_home(struct cli_client *client) {
    int error = home_find(client->call->context->dialect->pm2, client->home, sizeof client->home);

    if (error == 0)
        error = home_file(client->home, HOME_CONTROL_SOCKET, client->socket, sizeof client->socket);
    if (error < 0)
        cli_fail(client->call, "where the daemon is cannot be told: set %s",
                 client->call->context->dialect->home_variable);
    return error;
}

/* Its pid file is there before it listens and until it does no more, so that one which begins or
 * ends just now is not taken for lost. */
static void find_lost(struct cli_client *client) {
    pid_t found = has_pid_file(client) ? 0 : cli_lost_daemon_find(client->socket);

    if (found && !has_pid_file(client))
        client->lost = found;
}

static int complain_of_lost(const struct cli_client *client) {
    cli_fail(client->call,
             "a daemon runs as process %d, but its home %s was removed, so it cannot be asked; "
             "'%s kill' ends it and its apps",
             (int)client->lost, client->home, client->call->context->dialect->name);
    return UV_ENOTCONN;
}

int cli_client_open(struct cli_client *client, const struct cli_call *call,
                    enum cli_client_start how) {
    int error;

    *client = (struct cli_client){.call = call, .http = {.socket = -1}};
    error = find_home(client);
    if (error < 0)
        return error;
    if (how == CLI_CLIENT_HERE)
        return start(client, true);
    error = connect_there(client);
    if (!nobody_answers(error))
        return error < 0 ? complain(client, error) : 0;
    find_lost(client);
    if (client->lost)
        return how == CLI_CLIENT_TO_END ? 0 : complain_of_lost(client);
    if (how == CLI_CLIENT_START || (how != CLI_CLIENT_IF_RUNNING && has_pid_file(client)))
        return start(client, false);
    return 0;
}

/* --- one request --- */

struct exchange {
    const struct cli_request *request;
    struct cli_answer *answer;
    struct buffer body;         /* an answer in one piece */
    struct event_reader events; /* an answer with progress */
    bool is_stream;
    bool begun; /* the first byte has shown which of the two it is */
    bool works; /* the daemon has begun, and may take its time */
};

static bool is_answering(const struct cli_client *client) {
    const struct http_client_request request = {
        .method = "GET", .target = "/v1", .timeout_ms = PROBE_TIMEOUT_MS};
    static const struct http_client_events events = {.on_head = NULL};
    struct http_client other;
    int error = http_client_open(&other, client->socket);

    if (error < 0)
        return false;
    error = http_client_request(&other, &request, &events, NULL);
    http_client_close(&other);
    return error == 0;
}

/* How long the daemon has said nothing, and whether the user knows that we wait for it. */
struct silence {
    int ms;
    bool said;
};

/* 1, or UV_ETIMEDOUT when it has lasted too long. */
static int bear(const struct cli_client *client, struct silence *silence, bool works) {
    silence->ms += PATIENCE_MS;
    if (!works && silence->ms >= READ_TIMEOUT_MS)
        return UV_ETIMEDOUT;
    if (!silence->said && !is_answering(client)) {
        silence->said = true;
        cli_warn(client->call, "the daemon at %s does not answer; waiting for it (Ctrl-C leaves)",
                 client->socket);
    }
    return 1;
}

/* Announces the answer to its end. `works` (or NULL) tells whether the daemon is at work on it. */
static int receive_answer(struct cli_client *client, const bool *works) {
    struct silence silence = {.ms = 0};
    int more = 1;

    while (more == 1) {
        struct pollfd waited = {.fd = client->http.socket, .events = POLLIN};
        int count = poll(&waited, 1, PATIENCE_MS);

        if (count < 0 && errno != EINTR)
            return uv_translate_sys_error(errno);
        if (count == 0)
            more = bear(client, &silence, works && *works);
        if (count > 0) {
            silence.ms = 0;
            more = http_client_receive(&client->http);
        }
    }
    return more;
}

static int on_head(void *owner, int status) {
    struct exchange *exchange = owner;

    exchange->answer->status = status;
    exchange->works = exchange->request->on_progress != NULL;
    return 0;
}

/* {"status", "body"}: what the answer would have been in one piece. */
static void take_result(struct exchange *exchange, const json_t *data) {
    json_decref(exchange->answer->body);
    exchange->answer->status = (int)json_integer_value(json_object_get(data, "status"));
    exchange->answer->body = json_incref(json_object_get(data, "body"));
}

static int on_event(void *owner, const char *event, const char *data, size_t length) {
    struct exchange *exchange = owner;
    json_t *value = json_read(data, length, 0, NULL);

    if (!value)
        return UV_EPROTO;
    if (strcmp(event, "result") == 0)
        take_result(exchange, value);
    else if (strcmp(event, "progress") == 0)
        exchange->request->on_progress(exchange->request->owner, value);
    json_decref(value);
    return 0;
}

static int on_body(void *owner, const char *bytes, size_t length) {
    struct exchange *exchange = owner;

    if (!exchange->begun && length > 0) {
        exchange->is_stream = exchange->request->on_progress && bytes[0] != '{';
        exchange->begun = true;
    }
    return exchange->is_stream ? event_reader_feed(&exchange->events, bytes, length)
                               : buffer_append(&exchange->body, bytes, length);
}

static int exchange_run(struct cli_client *client, struct exchange *exchange) {
    static const struct http_client_events events = {.on_head = on_head, .on_body = on_body};
    const struct cli_request *request = exchange->request;
    char *body = request->body ? json_dumps(request->body, JSON_COMPACT) : NULL;
    struct http_client_request sent = {
        .method = request->method,
        .target = request->target,
        .accept = request->on_progress ? "text/event-stream" : "application/json",
        .body = body,
        .length = body ? strlen(body) : 0,
        .timeout_ms = READ_TIMEOUT_MS,
    };
    int error = request->body && !body ? UV_ENOMEM
                                       : http_client_send(&client->http, &sent, &events, exchange);

    if (error == 0)
        error = receive_answer(client, &exchange->works);
    free(body);
    if (error == 0 && !exchange->is_stream && buffer_length(&exchange->body) > 0)
        exchange->answer->body =
            json_read(buffer_data(&exchange->body), buffer_length(&exchange->body), 0, NULL);
    if (error == 0 && !exchange->answer->body && exchange->is_stream)
        error = UV_ECONNRESET; /* it ended without a result */
    return error;
}

static void compare_versions(const struct cli_client *client) {
    const char *version = draw_member_text(client->about, "version", BATON_VERSION);

    if (strcmp(version, BATON_VERSION) != 0 && strcmp(client->call->command->name, "update") != 0)
        cli_warn(client->call,
                 "the daemon is of version %s, and this is " BATON_VERSION
                 ": replace it with '%s update'",
                 version, client->call->context->dialect->name);
}

/* An empty list that was not empty needs a word. */
static void tell_of_loss(const struct cli_client *client) {
    const char *why = draw_member_text(client->about, "lost", NULL);

    if (why)
        cli_warn(client->call, "what ran before is not known: %s", why);
}

/* The first words: whether it is there at all, and of our version. */
static int greet(struct cli_client *client) {
    const struct cli_request request = {.method = "GET", .target = "/v1"};
    struct cli_answer answer = {.status = 0};
    struct exchange exchange = {.request = &request, .answer = &answer};
    int error;

    buffer_init(&exchange.body);
    error = exchange_run(client, &exchange);
    buffer_clear(&exchange.body);
    if (answer.status == 200)
        client->about = json_incref(answer.body);
    cli_answer_clear(&answer);
    if (error == 0)
        compare_versions(client);
    if (error == 0)
        tell_of_loss(client);
    return error == UV_EPIPE ? UV_ECONNRESET : error;
}

/* What a daemon without apps would answer. */
static int ask_nobody(const struct cli_request *request, struct cli_answer *answer) {
    const char *target = request->target ? request->target : "";
    bool list = strncmp(target, "/v1/processes", strlen("/v1/processes")) == 0 &&
                !strstr(target, "target=");

    answer->status = list ? 200 : 404;
    answer->body = list ? json_array()
                        : json_pack("{s:{s:s, s:s}}", "error", "code", "unknown_target", "message",
                                    "no daemon runs, so there is no app and no process");
    return answer->body ? 0 : UV_ENOMEM;
}

int cli_client_ask(struct cli_client *client, const struct cli_request *request,
                   struct cli_answer *answer) {
    struct exchange exchange = {.request = request, .answer = answer};
    int error;

    *answer = (struct cli_answer){.status = 0};
    if (!client->there) {
        error = ask_nobody(request, answer);
    } else {
        event_reader_init(&exchange.events, on_event, &exchange);
        buffer_init(&exchange.body);
        error = exchange_run(client, &exchange);
        buffer_clear(&exchange.body);
        event_reader_clear(&exchange.events);
    }
    if (error < 0) {
        cli_answer_clear(answer);
        complain(client, error);
    }
    return error;
}

void cli_answer_clear(struct cli_answer *answer) {
    json_decref(answer->body);
    answer->body = NULL;
}

int cli_answer_check(const struct cli_call *call, const struct cli_answer *answer) {
    const json_t *error = json_object_get(answer->body, "error");
    const char *message = draw_member_text(error, "message", "the daemon has refused it");
    bool exists = strcmp(draw_member_text(error, "code", ""), "exists") == 0;

    if (answer->status >= 200 && answer->status <= 299)
        return 0;
    if (exists && call->context->dialect->pm2)
        return cli_fail(call, "Script already launched, add -f option to force re-execution");
    if (exists)
        return cli_fail(call, "%s; -f starts another one beside it", message);
    return cli_fail(call, "%s", message);
}

/* --- reading --- */

enum detail { DETAIL_BRIEF, DETAIL_USUAL, DETAIL_WHOLE };

static int processes_target(struct buffer *target, const json_t *targets, enum detail detail) {
    const json_t *name;
    size_t index;
    int result = buffer_append(target, "/v1/processes", strlen("/v1/processes"));

    if (result == 0 && detail == DETAIL_BRIEF)
        result = query_add(target, "brief", "1");
    else if (result == 0)
        result = query_add(target, "env", detail == DETAIL_WHOLE ? "1" : "0");
    json_array_foreach(targets, index, name) {
        if (result == 0)
            result = query_add(target, "target", json_string_value(name));
    }
    return result;
}

static int get_processes(struct cli_client *client, const json_t *targets, enum detail detail,
                         json_t **ret_processes) {
    struct cli_answer answer;
    struct buffer target;
    int error;

    buffer_init(&target);
    error = processes_target(&target, targets, detail);
    if (error < 0) {
        cli_fail_memory(client->call);
        goto done;
    }
    error = cli_client_ask(
        client, &(struct cli_request){.method = "GET", .target = buffer_data(&target)}, &answer);
    if (error < 0)
        goto done;
    if (answer.status == 404)
        error = UV_ENOENT;
    else if (cli_answer_check(client->call, &answer) != 0)
        error = UV_EINVAL;
    else
        *ret_processes = json_incref(answer.body);
    cli_answer_clear(&answer);
done:
    buffer_clear(&target);
    return error;
}

int cli_client_table(struct cli_client *client, json_t **ret_processes) {
    return get_processes(client, NULL, DETAIL_BRIEF, ret_processes);
}

int cli_client_processes(struct cli_client *client, const json_t *targets, json_t **ret_processes) {
    return get_processes(client, targets, DETAIL_USUAL, ret_processes);
}

int cli_client_whole_processes(struct cli_client *client, const json_t *targets,
                               json_t **ret_processes) {
    return get_processes(client, targets, DETAIL_WHOLE, ret_processes);
}

static int on_text(void *owner, const char *bytes, size_t length) {
    return buffer_append(owner, bytes, length);
}

int cli_client_all(struct cli_client *client, struct buffer *out) {
    static const struct http_client_events events = {.on_body = on_text};
    const struct http_client_request request = {.method = "GET",
                                                .target = "/v1/processes",
                                                .accept = "application/json",
                                                .timeout_ms = READ_TIMEOUT_MS};
    int error = client->there ? http_client_send(&client->http, &request, &events, out)
                              : buffer_append(out, "[]", 2);

    if (error == 0 && client->there)
        error = receive_answer(client, NULL);
    if (error == 0 && (buffer_length(out) == 0 || buffer_data(out)[0] != '['))
        error = UV_EPROTO;
    return error < 0 ? complain(client, error) : 0;
}

/* --- streams --- */

struct following {
    struct event_reader reader;
    struct buffer refusal; /* the body of an answer that is no stream */
    int status;
};

static int on_follow_head(void *owner, int status) {
    ((struct following *)owner)->status = status;
    return 0;
}

static int on_follow_body(void *owner, const char *bytes, size_t length) {
    struct following *following = owner;

    return following->status == 200 ? event_reader_feed(&following->reader, bytes, length)
                                    : buffer_append(&following->refusal, bytes, length);
}

static int refused(const struct cli_call *call, const struct following *following) {
    struct cli_answer answer = {.status = following->status};

    answer.body =
        json_read(buffer_data(&following->refusal), buffer_length(&following->refusal), 0, NULL);
    cli_answer_check(call, &answer);
    cli_answer_clear(&answer);
    return following->status == 404 ? UV_ENOENT : UV_EINVAL;
}

/* Until the stream or the beside has ended it: 0 or a UV_E*. */
static int wait_for_events(struct cli_client *client, const struct cli_client_beside *beside) {
    struct pollfd waited[2] = {{.fd = client->http.socket, .events = POLLIN},
                               {.fd = beside ? beside->descriptor : -1, .events = POLLIN}};
    int more = 1;

    while (more == 1) {
        if (poll(waited, 2, -1) < 0) {
            if (errno == EINTR)
                continue;
            return uv_translate_sys_error(errno);
        }
        if (beside && waited[1].revents && !beside->on_readable(beside->owner))
            waited[1].fd = -1;
        if (waited[0].revents)
            more = http_client_receive(&client->http);
    }
    return more;
}

int cli_client_follow(struct cli_client *client, const char *target, event_reader_function announce,
                      void *owner, const struct cli_client_beside *beside) {
    static const struct http_client_events events = {.on_head = on_follow_head,
                                                     .on_body = on_follow_body};
    const struct http_client_request request = {
        .method = "GET", .target = target, .accept = "text/event-stream"};
    struct following following = {.status = 0};
    int error;

    event_reader_init(&following.reader, announce, owner);
    buffer_init(&following.refusal);
    error = http_client_send(&client->http, &request, &events, &following);
    if (error == 0)
        error = wait_for_events(client, beside);
    if (error == 0 && following.status != 200)
        error = refused(client->call, &following);
    else if (error < 0 && error != UV_ECONNRESET && error != UV_ECANCELED)
        complain(client, error);
    buffer_clear(&following.refusal);
    event_reader_clear(&following.reader);
    return error;
}
