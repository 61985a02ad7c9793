/* The control server on a real socket: what it refuses, what it routes, and what becomes of answers
 * and streams whose client is slow or leaves. */
#include "daemon/control.h"

#include "base/buffer.h"
#include "component/loop.h"
#include "daemon/control_reply.h"
#include "daemon/event_stream.h"
#include "http/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define REQUEST(line, headers) line " HTTP/1.1\r\nHost: localhost\r\n" headers "\r\n"

struct peer {
    int socket; /* -1: closed by us */
    bool ended; /* the server has closed */
    struct buffer received;
};

/* What the handlers of one test work with. */
struct service {
    struct control_answer *answer;
    struct event_stream *streams[4];
    int opened;
    int gone;
    int handled;
    bool closed;
    char seen[256]; /* what a handler was given */
};

static char directory[] = "/tmp/baton-control-XXXXXX";
static struct control control;
static struct service service;
static struct peer peers[1100];

/* --- Handlers --- */

static void on_gone(void *owner) {
    (void)owner;
    service.gone++;
    service.answer = NULL;
}

static void handle_info(void *owner, struct control_request *request) {
    assert_ptr_equal(owner, &service);
    service.handled++;
    control_reply_json(request->connection, 200, json_pack("{s:s}", "name", "baton"));
}

static void handle_echo(void *owner, struct control_request *request) {
    (void)owner;
    service.handled++;
    snprintf(service.seen, sizeof service.seen, "%s %s %s", request->method, request->path,
             request->segment ? request->segment : "-");
    control_reply_json(request->connection, 200,
                       request->body ? json_incref(request->body) : json_null());
}

static void handle_query(void *owner, struct control_request *request) {
    char value[16];
    char all[64] = "";

    (void)owner;
    for (size_t i = 0; control_query(request, "target", i, value, sizeof value); i++)
        snprintf(all + strlen(all), sizeof all - strlen(all), "[%s]", value);
    control_reply_json(request->connection, 200, json_string(all));
}

static void handle_error(void *owner, struct control_request *request) {
    (void)owner;
    control_reply_error(request->connection, 404, "unknown_target", "no '%s'\x1b[31m \xff", "x\ny");
}

static void handle_later(void *owner, struct control_request *request) {
    (void)owner;
    service.answer = control_answer_create(request, on_gone, &service);
}

static void handle_events(void *owner, struct control_request *request) {
    (void)owner;
    service.streams[service.opened++] = event_stream_open(request, on_gone, &service);
}

static const struct control_route routes[] = {
    {"GET", "/v1", handle_info},
    {"GET", "/v1/query", handle_query},
    {"GET", "/v1/error", handle_error},
    {"GET", "/v1/events", handle_events},
    {"GET", "/v1/both", handle_echo},
    {"POST", "/v1/both", handle_echo},
    {"POST", "/v1/actions/later", handle_later},
    {"POST", "/v1/actions/*", handle_echo},
    {NULL, NULL, NULL},
};

/* --- The rig --- */

static void on_closed(void *owner) {
    struct service *closed = owner;

    closed->closed = true;
}

static const char *socket_path(void) {
    static char path[sizeof directory + 32];

    snprintf(path, sizeof path, "%s/home/control.sock", directory);
    return path;
}

static const char *home(void) {
    static char path[sizeof directory + 32];

    snprintf(path, sizeof path, "%s/home", directory);
    return path;
}

static int set_up(void **state) {
    (void)signal(SIGPIPE, SIG_IGN);
    memset(&service, 0, sizeof service);
    strcpy(directory + strlen(directory) - 6, "XXXXXX");
    if (!mkdtemp(directory) || loop_set_up(state) < 0)
        return -1;
    for (size_t i = 0; i < sizeof peers / sizeof peers[0]; i++)
        peers[i] = (struct peer){.socket = -1};
    return control_start(&control, &loop, home(), routes, &service);
}

static void leave(struct peer *peer) {
    if (peer->socket >= 0)
        close(peer->socket);
    peer->socket = -1;
    buffer_clear(&peer->received);
    peer->ended = false;
}

static int tear_down(void **state) {
    for (size_t i = 0; i < sizeof peers / sizeof peers[0]; i++)
        leave(&peers[i]);
    if (!control.on_closed)
        control_close(&control, on_closed);
    LOOP_UNTIL(service.closed);
    assert_int_equal(control.local.http.memory, 0);
    assert_int_equal(access(socket_path(), F_OK), -1);
    (void)rmdir(home());
    assert_int_equal(rmdir(directory), 0);
    return loop_tear_down(state);
}

static void join(struct peer *peer) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    strcpy(address.sun_path, socket_path());
    leave(peer);
    peer->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(peer->socket >= 0);
    assert_int_equal(connect(peer->socket, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(fcntl(peer->socket, F_SETFL, O_NONBLOCK), 0);
}

static void say(struct peer *peer, const char *text) {
    assert_int_equal(send(peer->socket, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void listen_to(struct peer *peer) {
    while (!peer->ended && peer->socket >= 0) {
        char *room = buffer_reserve(&peer->received, 65537);
        ssize_t length = recv(peer->socket, room, 65536, 0);

        if (length < 0 && errno == EAGAIN)
            return;
        if (length > 0)
            buffer_commit(&peer->received, (size_t)length);
        else
            peer->ended = true;
    }
}

static const char *heard(struct peer *peer) {
    listen_to(peer);
    *buffer_reserve(&peer->received, 1) = '\0';
    return buffer_data(&peer->received);
}

static bool has(struct peer *peer, const char *text) {
    return strstr(heard(peer), text) != NULL;
}

/* Asks on a connection of its own, and waits for `status` and `text` in the answer. */
static void ask(const char *request, const char *status, const char *text) {
    char line[32];

    snprintf(line, sizeof line, "HTTP/1.1 %s ", status);
    join(&peers[0]);
    say(&peers[0], request);
    LOOP_UNTIL(has(&peers[0], line) && has(&peers[0], "}\n"));
    if (!has(&peers[0], text))
        fail_msg("no %s in: %s", text, heard(&peers[0]));
    assert_memory_equal(heard(&peers[0]), line, strlen(line));
}

/* --- Routes --- */

static void test_a_request_is_answered_with_json(void **state) {
    (void)state;
    ask(REQUEST("GET /v1", ""), "200", "\r\n\r\n{\"name\":\"baton\"}\n");
    assert_true(has(&peers[0], "Content-Type: application/json\r\n"));
    assert_true(has(&peers[0], "X-Content-Type-Options: nosniff\r\n"));
    assert_null(strstr(strstr(heard(&peers[0]), "nosniff") + 1, "nosniff")); /* nor twice */
    assert_true(has(&peers[0], "Cache-Control: no-store\r\n"));
    say(&peers[0], REQUEST("HEAD /v1", ""));
    LOOP_UNTIL(service.handled == 2);
    LOOP_UNTIL(control.local.http.answered == 2);
    loop_run(1);
    assert_memory_equal(heard(&peers[0]) + strlen(heard(&peers[0])) - 4, "\r\n\r\n", 4);
}

/* POSTs a body of a type, which may be NULL. */
static void ask_post(const char *path, const char *type, const char *body, const char *status,
                     const char *text) {
    char request[1024];

    snprintf(request, sizeof request,
             "POST %s HTTP/1.1\r\nHost: localhost\r\n%s%s%sContent-Length: %zu\r\n\r\n%s", path,
             type ? "Content-Type: " : "", type ? type : "", type ? "\r\n" : "", strlen(body),
             body);
    ask(request, status, text);
}

#define JSON "application/json"

static void test_a_star_stands_for_one_segment(void **state) {
    (void)state;
    ask_post("/v1/actions/re%6Coad", JSON, "{\"targets\":[\"a\"]}", "200",
             "\r\n\r\n{\"targets\":[\"a\"]}\n");
    assert_string_equal(service.seen, "POST /v1/actions/reload reload");
    ask_post("/v1/both", JSON, "{}", "200", "{}");
    assert_string_equal(service.seen, "POST /v1/both -");
}

static void test_what_is_not_there_is_404_and_405(void **state) {
    (void)state;
    ask(REQUEST("GET /", ""), "404", "\"not_found\"");
    ask(REQUEST("GET /v1/", ""), "404", "\"not_found\"");
    ask(REQUEST("POST /v1/actions/", ""), "404", "\"not_found\"");
    ask(REQUEST("POST /v1/actions/a/b", ""), "404", "\"not_found\"");
    ask(REQUEST("DELETE /v1/both", ""), "405", "\r\nAllow: GET, HEAD, POST\r\n");
    ask(REQUEST("GET /v1/actions/reload", ""), "405", "\r\nAllow: POST\r\n");
    assert_true(has(&peers[0], "\"method_not_allowed\""));
    assert_int_equal(service.handled, 0);
}

static void test_an_error_is_a_sentence_of_printable_bytes(void **state) {
    (void)state;
    ask(REQUEST("GET /v1/error", ""), "404",
        "{\"error\":{\"code\":\"unknown_target\",\"message\":"
        "\"no 'x\\\\ny'\\\\x1b[31m \\\\xff\"}}\n");
}

static void test_a_query_is_decoded(void **state) {
    (void)state;
    join(&peers[0]);
    say(&peers[0], REQUEST("GET /v1/query?target=a&x=1&target=%2Fb+c%26/&target=", ""));
    LOOP_UNTIL(has(&peers[0], "\"[a][/b c&/][]\"\n"));
    ask(REQUEST("GET /v1/query?target=%2", ""), "400", "\"bad_request\"");
}

/* --- What is refused --- */

static void test_only_localhost_is_answered(void **state) {
    (void)state;
    ask("GET /v1 HTTP/1.1\r\nHost: LocalHost\r\n\r\n", "200", "baton");
    ask("GET /v1 HTTP/1.1\r\nHost:\r\n\r\n", "200", "baton");
    ask("GET /v1 HTTP/1.0\r\n\r\n", "200", "baton");
    ask("GET http://localhost/v1 HTTP/1.1\r\nHost: localhost\r\n\r\n", "200", "baton");
    assert_int_equal(service.handled, 4);
    ask("GET /v1 HTTP/1.1\r\nHost: example.com\r\n\r\n", "421", "\"misdirected\"");
    ask("GET /nowhere HTTP/1.1\r\nHost: localhost.example.com\r\n\r\n", "421", "\"misdirected\"");
    ask("GET /v1 HTTP/1.1\r\nHost: localhost:80\r\n\r\n", "421", "\"misdirected\"");
    ask("GET /v1 HTTP/1.0\r\nHost: h\r\n\r\n", "421", "\"misdirected\"");
    ask("GET http://example.com/v1 HTTP/1.1\r\nHost: localhost\r\n\r\n", "421", "\"misdirected\"");
    ask("GET /v1 HTTP/1.1\r\n\r\n", "400", "\"bad_request\"");
    assert_int_equal(service.handled, 4);
}

static void test_a_body_is_json(void **state) {
    (void)state;
    ask_post("/v1/both", JSON, "{\"a\":1}", "200", "{\"a\":1}\n");
    ask_post("/v1/both", "Application/JSON ; charset=utf-8", "{\"b\":[1]}", "200", "{\"b\":[1]}\n");
    ask_post("/v1/both", NULL, "{}", "415", "\"unsupported_media_type\"");
    ask_post("/v1/both", "text/plain", "{}", "415", "\"unsupported_media_type\"");
    ask_post("/v1/both", "application/jsonx", "{}", "415", "\"unsupported_media_type\"");
    ask_post("/v1/both", JSON, "{\"a\":1", "400", "\"bad_request\"");
    ask_post("/v1/both", JSON, "{\"a\":1,\"a\":2}", "400", "duplicate");
    ask_post("/v1/both", JSON, "1", "400", "\"bad_request\"");
    ask_post("/v1/both", JSON, "[\"\xff\"]", "400", "\"bad_request\"");
    assert_int_equal(service.handled, 2);
}

/* Sends `length` times the byte, turning the loop; less when the server does not take it. */
static void pour(struct peer *peer, char byte, size_t length) {
    static char bytes[65536];

    memset(bytes, byte, sizeof bytes);
    while (length > 0 && !peer->ended) {
        size_t wanted = length < sizeof bytes ? length : sizeof bytes;
        ssize_t sent = send(peer->socket, bytes, wanted, MSG_NOSIGNAL);

        if (sent < 0 && errno != EAGAIN)
            return;
        length -= sent > 0 ? (size_t)sent : 0;
        loop_run(0);
        listen_to(peer);
    }
}

static void test_a_body_has_a_limit(void **state) {
    (void)state;
    ask("POST /v1/both HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8388609\r\n\r\n", "413",
        "\"too_large\"");
    join(&peers[0]);
    say(&peers[0], REQUEST("POST /v1/both", "Content-Type: " JSON "\r\n"
                                            "Transfer-Encoding: chunked\r\n") "A00000\r\n");
    pour(&peers[0], ' ', 0xA00000);
    LOOP_UNTIL(has(&peers[0], "\"too_large\""));
    assert_memory_equal(heard(&peers[0]), "HTTP/1.1 413 ", 13);
    assert_true(control.local.http.memory < 100000);
    assert_int_equal(service.handled, 0);
}

static void test_a_body_of_very_many_values_is_too_large(void **state) {
    (void)state;
    join(&peers[0]);
    say(&peers[0], REQUEST("POST /v1/both", "Content-Type: " JSON "\r\n"
                                            "Content-Length: 300000\r\n"));
    pour(&peers[0], '[', 300000);
    LOOP_UNTIL(has(&peers[0], "\"too_large\""));
    assert_memory_equal(heard(&peers[0]), "HTTP/1.1 413 ", 13);
}

/* Seven clients have sent most of their bodies and stopped. One of them is let go when another
 * needs the memory. */
static void test_clients_that_stop_in_the_middle_make_room(void **state) {
    size_t ended = 0;

    (void)state;
    for (size_t i = 1; i <= 7; i++) {
        join(&peers[i]);
        say(&peers[i], REQUEST("POST /v1/both", "Content-Type: " JSON "\r\n"
                                                "Content-Length: 8000000\r\n"));
        pour(&peers[i], ' ', 7150000);
    }
    LOOP_UNTIL(control.local.http.memory > (size_t)50000000);
    loop_run(1300);
    join(&peers[0]);
    say(&peers[0], REQUEST("POST /v1/both", "Content-Type: " JSON "\r\n"
                                            "Content-Length: 2000000\r\n") "{\"a\":\"");
    pour(&peers[0], 'x', 2000000 - 8);
    say(&peers[0], "\"}");
    LOOP_UNTIL(has(&peers[0], "xxx\"}\n"));
    assert_memory_equal(heard(&peers[0]), "HTTP/1.1 200 ", 13);
    for (size_t i = 1; i <= 7; i++) {
        listen_to(&peers[i]);
        ended += peers[i].ended;
    }
    assert_int_equal(ended, 1);
}

static size_t count_refused(void) {
    size_t refused = 0;

    for (size_t i = 1; i <= 8; i++)
        refused += has(&peers[i], "HTTP/1.1 503 ") && has(&peers[i], "\"overloaded\"");
    return refused;
}

/* A byte more of each of the first ones: however long the others take, none of them has stopped. */
static void go_on(size_t count) {
    for (size_t i = 1; i <= count; i++)
        (void)send(peers[i].socket, " ", 1, MSG_NOSIGNAL);
}

/* Eight clients have sent seven million bytes each; the eighth is one too many, but a small request
 * is not. */
static void test_all_bodies_together_have_a_limit(void **state) {
    (void)state;
    for (size_t i = 1; i <= 8; i++) {
        join(&peers[i]);
        say(&peers[i], REQUEST("POST /v1/both", "Content-Type: " JSON "\r\n"
                                                "Content-Length: 8000000\r\n"));
        for (unsigned piece = 0; piece < 100; piece++) {
            go_on(i - 1);
            pour(&peers[i], ' ', 70000);
        }
        assert_true(control.local.http.memory <= CONTROL_MEMORY_MAX);
    }
    LOOP_UNTIL(count_refused() > 0);
    ask(REQUEST("GET /v1", ""), "200", "baton");
    assert_int_equal(count_refused(), 1);
    for (size_t i = 1; i <= 8; i++)
        leave(&peers[i]);
    LOOP_UNTIL(control.local.http.memory == 0);
}

/* --- Who is let in --- */

static void test_directory_and_socket_are_ours_alone(void **state) {
    struct stat status;

    (void)state;
    assert_int_equal(stat(home(), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    assert_int_equal(lstat(socket_path(), &status), 0);
    assert_true(S_ISSOCK(status.st_mode));
    assert_int_equal(status.st_mode & 07777, 0600);
}

static void restart(void) {
    control_close(&control, on_closed);
    LOOP_UNTIL(service.closed);
    service.closed = false;
}

static void test_a_directory_that_others_can_enter_is_closed_to_them(void **state) {
    struct stat status;

    (void)state;
    restart();
    assert_int_equal(chmod(home(), 0777), 0);
    assert_int_equal(control_start(&control, &loop, home(), routes, &service), 0);
    assert_int_equal(stat(home(), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
}

static void test_a_stale_socket_is_replaced_and_a_file_is_not(void **state) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int stale = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int file;

    (void)state;
    restart();
    strcpy(address.sun_path, socket_path());
    assert_int_equal(bind(stale, (struct sockaddr *)&address, sizeof address), 0);
    close(stale);
    assert_int_equal(control_start(&control, &loop, home(), routes, &service), 0);
    ask(REQUEST("GET /v1", ""), "200", "baton");
    leave(&peers[0]);
    restart();
    file = open(socket_path(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    close(file);
    assert_int_equal(control_start(&control, &loop, home(), routes, &service), UV_EEXIST);
    assert_int_equal(unlink(socket_path()), 0);
    assert_int_equal(control_start(&control, &loop, socket_path(), routes, &service), 0);
    restart();
    assert_int_equal(rmdir(socket_path()), 0);
    assert_int_equal(control_start(&control, &loop, home(), routes, &service), 0);
}

static void test_a_long_path_does(void **state) {
    char path[200];

    (void)state;
    restart();
    snprintf(path, sizeof path, "%s/%0*d", home(), 120, 0);
    assert_int_equal(control_start(&control, &loop, path, routes, &service), 0);
    assert_int_equal(access(control.path, F_OK), 0);
    restart();
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(control_start(&control, &loop, home(), routes, &service), 0);
}

static void test_the_socket_of_another_is_not_unlinked(void **state) {
    struct stat status;

    (void)state;
    assert_int_equal(unlink(socket_path()), 0);
    assert_int_equal(mkdir(socket_path(), 0700), 0);
    restart();
    assert_int_equal(stat(socket_path(), &status), 0);
    assert_int_equal(rmdir(socket_path()), 0);
    assert_int_equal(control_start(&control, &loop, home(), routes, &service), 0);
}

/* Another user, for whom somebody has opened the directory and the socket: the kernel tells. Ends
 * with 0 after a 403 and the end of the connection. */
static void ask_as_another(void) {
    char answer[512];
    size_t length = 0;
    ssize_t count;

    if (setgid(65534) < 0 || setuid(65534) < 0)
        _exit(1);
    join(&peers[0]);
    (void)send(peers[0].socket, "GET", 3, MSG_NOSIGNAL); /* it may be closed already */
    (void)fcntl(peers[0].socket, F_SETFL, 0);
    while ((count = recv(peers[0].socket, answer + length, sizeof answer - 1 - length, 0)) > 0)
        length += (size_t)count;
    answer[length] = '\0';
    _exit(strncmp(answer, "HTTP/1.1 403 ", 13) == 0 && strstr(answer, "\"forbidden\"") ? 0 : 2);
}

static void test_another_user_is_forbidden(void **state) {
    int status = -1;
    pid_t child;

    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(chmod(directory, 0755), 0);
    assert_int_equal(chmod(home(), 0755), 0);
    assert_int_equal(chmod(socket_path(), 0666), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        ask_as_another();
    LOOP_UNTIL(waitpid(child, &status, WNOHANG) == child);
    assert_int_equal(status, 0);
    assert_int_equal(service.handled, 0);
}

/* --- Many clients --- */

static void join_all(size_t count) {
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    for (size_t i = 1; i <= count; i++) {
        join(&peers[i]);
        if (i % 500 == 0)
            loop_run(1);
    }
}

static void test_the_oldest_silent_client_makes_room(void **state) {
    (void)state;
    join_all(CONTROL_CONNECTIONS_MAX);
    LOOP_UNTIL(control.local.http.connections == CONTROL_CONNECTIONS_MAX);
    say(&peers[1], "GET /v1 HTTP"); /* the others have said less */
    loop_run(1);
    ask(REQUEST("GET /v1", ""), "200", "baton");
    assert_int_equal(control.local.http.connections, CONTROL_CONNECTIONS_MAX);
    listen_to(&peers[1]);
    listen_to(&peers[2]);
    assert_false(peers[1].ended);
    assert_true(peers[2].ended);
}

static void test_when_all_clients_wait_for_us_a_new_one_is_refused(void **state) {
    (void)state;
    join_all(CONTROL_CONNECTIONS_MAX);
    for (size_t i = 1; i <= CONTROL_CONNECTIONS_MAX; i++)
        say(&peers[i], REQUEST("POST /v1/actions/later", ""));
    LOOP_UNTIL(list_empty(&control.local.http.phases[HTTP_PHASE_FRESH]));
    join(&peers[0]);
    LOOP_UNTIL(has(&peers[0], "\"too many clients\""));
    assert_true(has(&peers[0], "Content-Security-Policy: default-src 'self'\r\n"));
    assert_memory_equal(heard(&peers[0]), "HTTP/1.1 503 ", 13);
    assert_true(peers[0].ended);
    for (size_t i = 1; i <= CONTROL_CONNECTIONS_MAX; i++)
        leave(&peers[i]);
    LOOP_UNTIL(service.gone == CONTROL_CONNECTIONS_MAX);
}

static void test_garbage_is_400_and_the_end(void **state) {
    (void)state;
    join(&peers[0]);
    say(&peers[0], "\x16\x03\x01\x02garbage\r\n\r\n");
    LOOP_UNTIL(has(&peers[0], "\"bad_request\"") && peers[0].ended);
    assert_memory_equal(heard(&peers[0]), "HTTP/1.1 400 ", 13);
}

/* --- Answers that come later --- */

#define LATER(headers) REQUEST("POST /v1/actions/later", headers)
#define EVENTS         "Accept: text/event-stream\r\n"

static void test_a_later_answer_is_one_answer(void **state) {
    (void)state;
    join(&peers[0]);
    say(&peers[0], LATER(""));
    LOOP_UNTIL(service.answer);
    control_answer_progress(service.answer, json_pack("{s:i}", "done", 1));
    loop_run(1);
    assert_string_equal(heard(&peers[0]), "");
    control_answer_finish(service.answer, 409, control_error("busy", "wait"));
    say(&peers[0], REQUEST("GET /v1", ""));
    LOOP_UNTIL(has(&peers[0], "baton"));
    assert_memory_equal(heard(&peers[0]), "HTTP/1.1 409 Conflict", 21);
    assert_true(has(&peers[0], "{\"error\":{\"code\":\"busy\",\"message\":\"wait\"}}\n"));
    assert_int_equal(service.gone, 0);
}

static void test_a_later_answer_is_a_stream_of_events(void **state) {
    (void)state;
    join(&peers[0]);
    say(&peers[0], LATER(EVENTS));
    LOOP_UNTIL(service.answer);
    LOOP_UNTIL(has(&peers[0], "Transfer-Encoding: chunked\r\n"));
    control_answer_progress(service.answer, json_pack("{s:i}", "done", 1));
    LOOP_UNTIL(has(&peers[0], "event: progress\ndata: {\"done\":1}\n\n"));
    control_answer_finish(service.answer, 200, json_pack("{s:[]}", "processes"));
    LOOP_UNTIL(has(&peers[0], "event: result\n"
                              "data: {\"status\":200,\"body\":{\"processes\":[]}}\n\n"
                              "\r\n0\r\n\r\n"));
    say(&peers[0], REQUEST("GET /v1", ""));
    LOOP_UNTIL(has(&peers[0], "baton"));
    assert_int_equal(service.gone, 0);
    assert_int_equal(control.local.http.connections, 1);
}

static void test_a_client_that_leaves_is_told_of(void **state) {
    (void)state;
    for (int round = 1; round <= 2; round++) {
        join(&peers[0]);
        say(&peers[0], round == 1 ? LATER("") : LATER(EVENTS));
        LOOP_UNTIL(service.answer);
        leave(&peers[0]);
        LOOP_UNTIL(service.gone == round);
        control_answer_progress(service.answer, json_null());
        control_answer_finish(service.answer, 200, json_object());
    }
    LOOP_UNTIL(control.local.http.connections == 0);
}

static void test_a_client_that_has_closed_its_sending_side_is_answered(void **state) {
    (void)state;
    join(&peers[0]);
    say(&peers[0], LATER(EVENTS));
    LOOP_UNTIL(service.answer);
    assert_int_equal(shutdown(peers[0].socket, SHUT_WR), 0);
    loop_run(20);
    assert_int_equal(service.gone, 0);
    control_answer_progress(service.answer, json_object());
    LOOP_UNTIL(has(&peers[0], "event: progress"));
    loop_run(20);
    leave(&peers[0]);
    LOOP_UNTIL(service.gone == 1);
}

/* --- Streams --- */

static void open_stream(size_t i) {
    join(&peers[i]);
    say(&peers[i], REQUEST("GET /v1/events", ""));
    LOOP_UNTIL(service.opened == (int)i + 1);
    LOOP_UNTIL(has(&peers[i], "Content-Type: text/event-stream\r\n"));
}

static void send_line(struct event_stream *stream, const char *text) {
    json_t *line = json_pack("{s:s}", "line", text);

    event_stream_send(stream, "log", line);
    json_decref(line);
}

static void test_events_come_to_whoever_listens(void **state) {
    (void)state;
    open_stream(0);
    open_stream(1);
    send_line(service.streams[0], "a\nb");
    send_line(service.streams[1], "c");
    LOOP_UNTIL(has(&peers[0], "event: log\ndata: {\"line\":\"a\\nb\"}\n\n"));
    LOOP_UNTIL(has(&peers[1], "event: log\ndata: {\"line\":\"c\"}\n\n"));
    leave(&peers[0]);
    LOOP_UNTIL(service.gone == 1);
    event_stream_close(service.streams[1]);
    LOOP_UNTIL(has(&peers[1], "\r\n0\r\n\r\n"));
    assert_int_equal(service.gone, 1);
    assert_false(peers[1].ended);
}

/* The number behind the `index`-th text, or -1. */
static long number_behind(struct peer *peer, const char *text, int index) {
    const char *at = heard(peer);

    for (; at && index >= 0; index--) {
        at = strstr(at, text);
        at = at ? at + strlen(text) : NULL;
    }
    return at ? strtol(at, NULL, 10) : -1;
}

static void test_a_slow_reader_loses_events_and_is_told_how_many(void **state) {
    char text[1001];
    int kept = 0;

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    open_stream(0);
    for (int i = 0; i < 3000; i++) {
        send_line(service.streams[0], text);
        if (i % 100 == 0)
            loop_run(0);
        assert_true(control.local.http.memory <= HTTP_STREAM_WAITING_MAX);
    }
    LOOP_UNTIL(has(&peers[0], "event: lost\ndata: {\"lines\":"));
    for (const char *at = heard(&peers[0]); (at = strstr(at, "event: log")); at++)
        kept++;
    assert_true(kept > 900);
    assert_int_equal(number_behind(&peers[0], "{\"lines\":", 0), 3000 - kept);
    send_line(service.streams[0], "again");
    LOOP_UNTIL(has(&peers[0], "again"));
    assert_int_equal(service.gone, 0);
    event_stream_close(service.streams[0]);
}

static void test_an_event_larger_than_the_room_is_lost(void **state) {
    char *text = malloc(2000001);

    (void)state;
    assert_non_null(text);
    memset(text, 'x', 2000000);
    text[2000000] = '\0';
    open_stream(0);
    send_line(service.streams[0], text);
    free(text);
    LOOP_UNTIL(number_behind(&peers[0], "{\"lines\":", 0) == 1);
    event_stream_close(service.streams[0]);
}

static void test_a_stream_for_http_1_0_ends_with_the_connection(void **state) {
    (void)state;
    join(&peers[0]);
    say(&peers[0], "GET /v1/events HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    LOOP_UNTIL(service.opened == 1);
    send_line(service.streams[0], "a");
    event_stream_close(service.streams[0]);
    LOOP_UNTIL(has(&peers[0], "\r\n\r\nevent: log\ndata: {\"line\":\"a\"}\n\n") && peers[0].ended);
    assert_false(has(&peers[0], "chunked"));
}

static void test_the_head_of_a_stream_has_no_body(void **state) {
    (void)state;
    join(&peers[0]);
    say(&peers[0], REQUEST("HEAD /v1/events", ""));
    LOOP_UNTIL(service.gone == 1);
    LOOP_UNTIL(has(&peers[0], "\r\n\r\n") && peers[0].ended);
}

/* --- The end --- */

static void test_streams_end_with_the_control(void **state) {
    (void)state;
    open_stream(0);
    open_stream(1);
    send_line(service.streams[1], "last words");
    control_close(&control, on_closed);
    assert_int_equal(service.gone, 2);
    LOOP_UNTIL(service.closed);
    assert_true(has(&peers[1], "last words") && has(&peers[1], "\r\n0\r\n\r\n"));
    LOOP_UNTIL(has(&peers[0], "\r\n0\r\n\r\n") && peers[0].ended);
}

static void test_the_last_answer_is_still_sent(void **state) {
    (void)state;
    join(&peers[0]);
    say(&peers[0], LATER(EVENTS));
    LOOP_UNTIL(service.answer);
    control_close(&control, on_closed);
    assert_int_equal(access(socket_path(), F_OK), -1);
    loop_run(10);
    control_answer_finish(service.answer, 200, json_object());
    LOOP_UNTIL(has(&peers[0], "event: result") && peers[0].ended);
    leave(&peers[0]);
    LOOP_UNTIL(service.closed);
    assert_int_equal(service.gone, 0);
}

static void test_an_answer_that_does_not_come_holds_up_nothing(void **state) {
    (void)state;
    join(&peers[0]);
    say(&peers[0], LATER(""));
    LOOP_UNTIL(service.answer);
    control_close(&control, on_closed);
    LOOP_UNTIL(service.closed);
    assert_int_equal(service.gone, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_request_is_answered_with_json),
        TEST(a_star_stands_for_one_segment),
        TEST(what_is_not_there_is_404_and_405),
        TEST(an_error_is_a_sentence_of_printable_bytes),
        TEST(a_query_is_decoded),
        TEST(only_localhost_is_answered),
        TEST(a_body_is_json),
        TEST(a_body_has_a_limit),
        TEST(a_body_of_very_many_values_is_too_large),
        TEST(all_bodies_together_have_a_limit),
        TEST(clients_that_stop_in_the_middle_make_room),
        TEST(directory_and_socket_are_ours_alone),
        TEST(a_directory_that_others_can_enter_is_closed_to_them),
        TEST(a_stale_socket_is_replaced_and_a_file_is_not),
        TEST(a_long_path_does),
        TEST(the_socket_of_another_is_not_unlinked),
        TEST(another_user_is_forbidden),
        TEST(the_oldest_silent_client_makes_room),
        TEST(when_all_clients_wait_for_us_a_new_one_is_refused),
        TEST(garbage_is_400_and_the_end),
        TEST(a_later_answer_is_one_answer),
        TEST(a_later_answer_is_a_stream_of_events),
        TEST(a_client_that_leaves_is_told_of),
        TEST(a_client_that_has_closed_its_sending_side_is_answered),
        TEST(events_come_to_whoever_listens),
        TEST(a_slow_reader_loses_events_and_is_told_how_many),
        TEST(an_event_larger_than_the_room_is_lost),
        TEST(a_stream_for_http_1_0_ends_with_the_connection),
        TEST(the_head_of_a_stream_has_no_body),
        TEST(streams_end_with_the_control),
        TEST(the_last_answer_is_still_sent),
        TEST(an_answer_that_does_not_come_holds_up_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
