#include "cli/log_lines.h"

#include "base/json_read.h"

#include "cli/show.h"

#include <string.h>
#include <uv.h>

void cli_log_lines_init(struct cli_log_lines *lines, const struct cli_call *call) {
    const struct cli_log_flags *flags = &call->flags.logs;

    *lines = (struct cli_log_lines){
        .call = call,
        .logs = {.style = cli_show_style(call),
                 .form = flags->json  ? DRAW_LOGS_JSON
                         : flags->raw ? DRAW_LOGS_RAW
                                      : DRAW_LOGS_PREFIXED,
                 .time_format = flags->time_format,
                 .highlight = flags->highlight},
    };
}

int cli_log_lines_on_event(void *owner, const char *event, const char *data, size_t length) {
    struct cli_log_lines *lines = owner;
    json_t *value = json_read(data, length, 0, NULL);
    struct buffer out;
    int drawn = 0;

    buffer_init(&out);
    if (strcmp(event, "log") == 0)
        drawn = draw_logs_line(&out, &lines->logs, value);
    else if (strcmp(event, "lost") == 0)
        drawn = draw_logs_lost(&out, &lines->logs, value);
    json_decref(value);
    return cli_show(lines->call, &out, drawn) == 0 ? 0 : UV_ECANCELED;
}

void cli_log_lines_follow_all(struct cli_client *client) {
    struct cli_log_lines lines;

    cli_log_lines_init(&lines, client->call);
    cli_client_follow(client, "/v1/logs?target=all&lines=100&follow=1", cli_log_lines_on_event,
                      &lines, NULL);
}
