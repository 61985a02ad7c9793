/* attach: what a process prints, and what is typed to its standard input, a line at a time. */
#include "cli/log_lines.h"
#include "cli/message.h"
#include "cli/query.h"
#include "cli/records.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

struct typing {
    struct cli_client client; /* one of its own: the other follows the output */
    const char *process;
    struct buffer text; /* of a line that is not finished */
};

/* The exit code. */
static int send_line(struct typing *typing, const char *line, size_t length) {
    json_t *body = json_pack("{s:[s], s:s%}", "targets", typing->process, "line", line, length);
    struct cli_request request = {.method = "POST", .target = "/v1/actions/send", .body = body};
    struct cli_answer answer;
    int code = 1;

    if (!body)
        return cli_fail(typing->client.call, "a line must be UTF-8; it was not sent");
    if (cli_client_ask(&typing->client, &request, &answer) == 0) {
        code = cli_answer_check(typing->client.call, &answer);
        cli_answer_clear(&answer);
    }
    json_decref(body);
    return code;
}

static bool on_typed(void *owner) {
    struct typing *typing = owner;
    char *room = buffer_reserve(&typing->text, 4096);
    ssize_t count = room ? read(STDIN_FILENO, room, 4096) : -1;
    char *end;

    if (count < 0 && room && errno == EINTR)
        return true;
    if (count <= 0)
        return false;
    buffer_commit(&typing->text, (size_t)count);
    while ((end = memchr(buffer_data(&typing->text), '\n', buffer_length(&typing->text)))) {
        size_t length = (size_t)(end - buffer_data(&typing->text));

        if (send_line(typing, buffer_data(&typing->text), length) != 0)
            return false;
        buffer_consume(&typing->text, length + 1);
        if (buffer_length(&typing->text) == 0)
            break;
    }
    return true;
}

static int follow(struct cli_client *client, struct typing *typing) {
    const struct cli_client_beside beside = {STDIN_FILENO, on_typed, typing};
    struct cli_log_lines lines;
    struct buffer target;
    int error;

    buffer_init(&target);
    error = buffer_append(&target, "/v1/logs?follow=1", strlen("/v1/logs?follow=1"));
    if (error == 0)
        error = query_add(&target, "lines", "0");
    if (error == 0)
        error = query_add(&target, "target", typing->process);
    cli_log_lines_init(&lines, client->call);
    if (error == 0)
        error = cli_client_follow(client, buffer_data(&target), cli_log_lines_on_event, &lines,
                                  &beside);
    else
        cli_fail_memory(client->call);
    buffer_clear(&target);
    return error < 0;
}

static int run_attach(struct cli_call *call) {
    struct typing typing = {.process = call->words.count == 1 ? call->words.words[0] : NULL};
    struct cli_client client;
    int code = 1;

    if (!typing.process)
        return cli_fail(call, "attach needs the number of a process");
    call->flags.logs.raw = true;
    buffer_init(&typing.text);
    if (cli_client_open(&client, call, CLI_CLIENT_IF_THERE) < 0)
        return 1;
    if (!client.there) {
        cli_fail(call, "no daemon runs, so there is no process '%s'", typing.process);
    } else if (cli_client_open(&typing.client, call, CLI_CLIENT_IF_THERE) == 0) {
        code = follow(&client, &typing);
        cli_client_close(&typing.client);
    }
    cli_client_close(&client);
    buffer_clear(&typing.text);
    return code;
}

const struct cli_command command_attach = {
    .name = "attach",
    .usage = "ID",
    .summary = "type to a process, and see what it prints; Ctrl-C leaves it",
    .examples = "attach 0",
    .completes = CLI_COMPLETES_TARGETS,
    .run = run_attach,
};
