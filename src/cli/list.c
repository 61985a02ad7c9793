/* list, jlist, prettylist: all that the daemon has. */
#include "cli/draw_list.h"

#include "cli/client.h"
#include "cli/draw_pretty.h"
#include "cli/message.h"
#include "cli/records.h"
#include "cli/show.h"

#include <unistd.h>
#include <uv.h>

#define WATCH_SECONDS 1
#define CLEAR_SCREEN  "\x1b[H\x1b[2J"

static int show_once(struct cli_client *client, bool clear) {
    const struct cli_call *call = client->call;
    struct draw_list_options options = {.style = cli_show_style(call),
                                        .now_ms = cli_show_now(),
                                        .sort = call->flags.sort,
                                        .mini = call->flags.mini};
    json_t *processes;
    struct buffer out;
    int drawn = 0;
    int error = call->flags.mini ? cli_client_processes(client, NULL, &processes)
                                 : cli_client_table(client, &processes);

    if (error < 0)
        return 1;
    buffer_init(&out);
    if (clear && options.style.terminal)
        drawn = buffer_append(&out, CLEAR_SCREEN, sizeof CLEAR_SCREEN - 1);
    if (drawn == 0)
        drawn = draw_list(&out, processes, &options);
    json_decref(processes);
    return cli_show(call, &out, drawn);
}

static int run_list(struct cli_call *call) {
    struct cli_client client;
    int code;

    if (cli_client_open(&client, call, CLI_CLIENT_IF_THERE) < 0)
        return 1;
    code = show_once(&client, call->flags.watch_list);
    while (code == 0 && call->flags.watch_list) {
        sleep(WATCH_SECONDS);
        code = show_once(&client, true);
    }
    cli_client_close(&client);
    return code;
}

static int get_all(struct cli_call *call, json_t **ret_processes) {
    struct cli_client client;
    int error = cli_client_open(&client, call, CLI_CLIENT_IF_THERE);

    if (error < 0)
        return error;
    error = cli_client_whole_processes(&client, NULL, ret_processes);
    cli_client_close(&client);
    return error;
}

/* As the daemon has written it, with one newline at its end. */
static int run_jlist(struct cli_call *call) {
    struct cli_client client;
    struct buffer out;
    int drawn;

    if (cli_client_open(&client, call, CLI_CLIENT_IF_THERE) < 0)
        return 1;
    buffer_init(&out);
    drawn = cli_client_all(&client, &out);
    cli_client_close(&client);
    if (drawn < 0) {
        buffer_clear(&out);
        return 1;
    }
    if (buffer_data(&out)[buffer_length(&out) - 1] != '\n')
        drawn = buffer_append(&out, "\n", 1);
    return cli_show(call, &out, drawn);
}

static int run_prettylist(struct cli_call *call) {
    json_t *processes;
    struct buffer out;
    int drawn;

    if (get_all(call, &processes) < 0)
        return 1;
    buffer_init(&out);
    drawn = draw_pretty(&out, processes);
    json_decref(processes);
    return cli_show(call, &out, drawn);
}

static int set_sort(void *target, const char *value) {
    if (!draw_list_sorts_by(value))
        return UV_EINVAL;
    ((struct cli_flags *)target)->sort = value;
    return 0;
}

static int set_mini(void *target, const char *value) {
    (void)value;
    ((struct cli_flags *)target)->mini = true;
    return 0;
}

static int set_watch(void *target, const char *value) {
    (void)value;
    ((struct cli_flags *)target)->watch_list = true;
    return 0;
}

static const struct cli_option list_options[] = {
    {"sort", 0, "FIELD[:desc]",
     "name, id, pid, namespace, version, mode, status, cpu, memory, uptime, restart, user or open, "
     "with :desc for the highest first",
     "in the order of this field (name)", set_sort},
    {"mini-list", 'm', NULL, NULL, "a few lines for each in the place of a table", set_mini},
    {"watch", 0, NULL, NULL, "again every second, until Ctrl-C", set_watch},
    {NULL, 0, NULL, NULL, NULL, NULL},
};

static const struct cli_option *const tables[] = {list_options, NULL};

const struct cli_command command_list = {
    .name = "list",
    .aliases = "ls l ps status",
    .usage = "",
    .summary = "a table of all processes",
    .examples = "list --sort memory:desc\n"
                "list --watch\n"
                "list -m",
    .options = tables,
    .run = run_list,
};

const struct cli_command command_jlist = {
    .name = "jlist",
    .usage = "",
    .summary = "all that is known of them, as one line of JSON",
    .run = run_jlist,
};

const struct cli_command command_prettylist = {
    .name = "prettylist",
    .usage = "",
    .summary = "the same, for people",
    .run = run_prettylist,
};
