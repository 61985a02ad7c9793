/* The daemon as a command sees it: asks over HTTP, gets JSON (docs/api.md).
 *
 * Where no daemon is, and none is to be started, everything is as with a daemon without apps:
 * reading gives an empty list, and no target is known.
 *
 * A daemon that does not answer is not waited for in silence: after five seconds that is said, and
 * after thirty it is given up, unless it has begun to act on what was asked.
 *
 * open/close: an embedded value that owns a connection. Whatever fails has been said in one
 * sentence when a call returns, unless it is written otherwise; the result then is a UV_E*. */
#ifndef BATON_CLI_CLIENT_H
#define BATON_CLI_CLIENT_H

#include "base/buffer.h"
#include "cli/command.h"
#include "http/client.h"
#include "http/event_reader.h"

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

enum cli_client_start {
    CLI_CLIENT_IF_RUNNING, /* does not start the daemon */
    CLI_CLIENT_IF_THERE,   /* only if it has crashed, for it knows what ran and starts that again */
    CLI_CLIENT_TO_END,     /* the same; and one whose home was removed is no error, but `lost` */
    CLI_CLIENT_START,      /* starts it when nobody answers */
    CLI_CLIENT_HERE,       /* becomes it, and goes on in a child; one may not run already */
};

struct cli_client {
    const struct cli_call *call;
    struct http_client http;
    bool there;    /* somebody answers */
    json_t *about; /* what it says of itself, GET /v1; NULL: nobody is there, or it ends just now */
    bool here;     /* the daemon is this command's parent, in the same terminal */
    pid_t lost;    /* the daemon that runs, but cannot be asked; 0: none such */
    char home[PATH_MAX];
    char socket[PATH_MAX];
};

int cli_client_open(struct cli_client *client, const struct cli_call *call,
                    enum cli_client_start start);
void cli_client_close(struct cli_client *client);

/* What came back. `body` is a new reference; NULL where there was no JSON. */
struct cli_answer {
    int status;
    json_t *body;
};

struct cli_request {
    const char *method;
    const char *target; /* encoded */
    const json_t *body; /* borrowed; NULL: none */
    /* Announces `progress` events; NULL: the answer is asked for in one piece. */
    void (*on_progress)(void *owner, const json_t *data);
    void *owner;
};

/* Asks; any status is an answer, 0. */
int cli_client_ask(struct cli_client *client, const struct cli_request *request,
                   struct cli_answer *answer);
void cli_answer_clear(struct cli_answer *answer);

/* 0 for a status of 2xx; else the exit code, after the error's sentence. */
int cli_answer_check(const struct cli_call *call, const struct cli_answer *answer);

/* GET /v1/processes of `targets` (an array of texts; NULL: all), without their environments, which
 * are most of it. 0 with a new reference, UV_ENOENT when no process is meant, of which nothing is
 * said, or another UV_E*, said. */
int cli_client_processes(struct cli_client *client, const json_t *targets, json_t **ret_processes);

/* All of them, with as much as a table shows (draw_list(), but for the mini list). */
int cli_client_table(struct cli_client *client, json_t **ret_processes);

/* The same as cli_client_processes() with their environments. */
int cli_client_whole_processes(struct cli_client *client, const json_t *targets,
                               json_t **ret_processes);

/* Appends the text of GET /v1/processes as it came: a line of JSON needs no reading, only copying.
 */
int cli_client_all(struct cli_client *client, struct buffer *out);

/* What else is waited for beside a stream: called when the descriptor is readable; false: no more
 * of it. */
struct cli_client_beside {
    int descriptor;
    bool (*on_readable)(void *owner);
    void *owner;
};

/* Asks for a stream of events and announces each until it ends; UV_ECANCELED
 * from `announce` ends it and is the result. 0 when the daemon has ended it, UV_ECONNRESET when it
 * is gone (of both nothing is said), UV_ENOENT when no process is meant, or another UV_E*. `beside`
 * may be NULL. */
int cli_client_follow(struct cli_client *client, const char *target, event_reader_function announce,
                      void *owner, const struct cli_client_beside *beside);

#endif
