/* completion: the scripts, and what they ask for. */
#include "cli/client.h"
#include "cli/completion.h"
#include "cli/message.h"
#include "cli/records.h"
#include "cli/show.h"

#include <string.h>

/* Each name once; a name with a blank is no word for a shell. */
static int add_names(struct buffer *out, const json_t *processes) {
    json_t *seen = json_object();
    const json_t *process;
    size_t index;
    int drawn = 0;

    json_array_foreach(processes, index, process) {
        const char *name = json_string_value(json_object_get(process, "name"));

        if (!name || drawn < 0 || json_object_get(seen, name) || strpbrk(name, " \t\n"))
            continue;
        json_object_set_new(seen, name, json_true());
        drawn = buffer_print(out, "%s\n", name);
    }
    json_decref(seen);
    return drawn;
}

/* Never a word about what is wrong: somebody is pressing a key. */
static int show_names(struct cli_call *call) {
    json_t *processes;
    struct cli_client client;
    struct buffer out;
    int drawn;
    int code = 1;

    if (cli_client_open(&client, call, CLI_CLIENT_IF_RUNNING) < 0)
        return 1;
    if (cli_client_processes(&client, NULL, &processes) == 0) {
        buffer_init(&out);
        drawn = add_names(&out, processes);
        json_decref(processes);
        code = cli_show(call, &out, drawn);
    }
    cli_client_close(&client);
    return code;
}

static int run_completion(struct cli_call *call) {
    const char *word = call->words.count > 0 ? call->words.words[0] : "bash";
    bool bash = strcmp(word, "bash") == 0;
    struct buffer out;
    int drawn;

    if (strcmp(word, "names") == 0)
        return show_names(call);
    if (!bash && strcmp(word, "zsh") != 0)
        return cli_fail(call, "completion is for bash or zsh, as in: source <(%s completion bash)",
                        call->context->dialect->name);
    buffer_init(&out);
    drawn = completion_write(&out, call->context, bash ? COMPLETION_BASH : COMPLETION_ZSH);
    return cli_show(call, &out, drawn);
}

const struct cli_command command_completion = {
    .name = "completion",
    .usage = "[bash|zsh]",
    .summary = "a script for the shell, that completes commands, flags and names",
    .run = run_completion,
};
