/* save, resurrect, cleardump: the list of apps that outlives the daemon. */
#include "cli/act.h"
#include "cli/action.h"
#include "cli/file_flags.h"
#include "cli/message.h"
#include "cli/records.h"

#include <uv.h>

/* How many processes the daemon has; negative after a sentence. */
static long count_processes(struct cli_client *client) {
    json_t *processes;
    long count;
    int error = cli_client_table(client, &processes);

    if (error < 0)
        return error;
    count = (long)json_array_size(processes);
    json_decref(processes);
    return count;
}

static int save(struct cli_client *client) {
    const struct cli_call *call = client->call;
    long count = count_processes(client);
    json_t *answer;
    int code;

    if (count < 0)
        return 1;
    cli_say(call, "Saving current process list...");
    if (count == 0 && !call->flags.force) {
        cli_warn(call, "nothing is managed, so nothing is saved over what was; to save the empty "
                       "list: save --force");
        return 0;
    }
    code = cli_action_post(client, "/v1/save", json_pack("{s:b}", "force", call->flags.force),
                           &answer);
    if (code == 0)
        cli_say(call, "Successfully saved in %s", draw_member_text(answer, "path", client->home));
    json_decref(answer);
    return code;
}

static int run_save(struct cli_call *call) {
    struct cli_client client;
    int code;

    /* An empty list can be saved by force, by a daemon only. */
    if (cli_client_open(&client, call, call->flags.force ? CLI_CLIENT_START : CLI_CLIENT_IF_THERE) <
        0)
        return 1;
    code = save(&client);
    cli_client_close(&client);
    return code;
}

static int run_resurrect(struct cli_call *call) {
    struct cli_client client;
    int code;

    if (cli_client_open(&client, call, CLI_CLIENT_START) < 0)
        return 1;
    cli_say(call, "Resurrecting");
    code = cli_act_resurrect(&client);
    cli_client_close(&client);
    return code;
}

static int run_cleardump(struct cli_call *call) {
    struct cli_client client;
    int code;

    if (cli_client_open(&client, call, CLI_CLIENT_START) < 0)
        return 1;
    code = cli_action_post(&client, "/v1/cleardump", json_object(), NULL);
    if (code == 0)
        cli_say(call, "The dump is empty");
    cli_client_close(&client);
    return code;
}

static const struct cli_option *const save_tables[] = {cli_force_options, NULL};

const struct cli_command command_save = {
    .name = "save",
    .aliases = "dump",
    .usage = "",
    .summary = "write the list of apps down, for resurrect",
    .options = save_tables,
    .run = run_save,
};

const struct cli_command command_resurrect = {
    .name = "resurrect",
    .usage = "",
    .summary = "start what was saved and is not there",
    .run = run_resurrect,
};

const struct cli_command command_cleardump = {
    .name = "cleardump",
    .usage = "",
    .summary = "forget what was saved",
    .run = run_cleardump,
};
