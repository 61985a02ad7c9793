/* completion: the scripts, and what they ask for. */
#include "cli/client.h"
#include "cli/completion.h"
#include "cli/message.h"
#include "cli/records.h"
#include "cli/show.h"

#include <stdio.h>
#include <string.h>

/* Each once, and none that is no line of its own. */
static int add_name(struct buffer *out, json_t *seen, const char *name) {
    for (const char *at = name; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            return 0;
    if (!*name || json_object_get(seen, name))
        return 0;
    json_object_set_new(seen, name, json_true());
    return buffer_print(out, "%s\n", name);
}

/* Whatever can be a target: names, namespaces, numbers. */
static int add_names(struct buffer *out, const json_t *processes) {
    json_t *seen = json_object();
    const json_t *process;
    size_t index;
    int drawn = json_array_size(processes) > 0 ? buffer_print(out, "all\n") : 0;

    json_array_foreach(processes, index, process) {
        const json_t *env = json_object_get(process, "pm2_env");
        char number[DRAW_NUMBER_MAX];

        snprintf(number, sizeof number, "%lld",
                 (long long)draw_member_number(process, "pm_id", -1));
        if (drawn == 0)
            drawn = add_name(out, seen, draw_member_text(process, "name", ""));
        if (drawn == 0)
            drawn = add_name(out, seen, draw_member_text(env, "namespace", ""));
        if (drawn == 0)
            drawn = add_name(out, seen, number);
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
    .examples = "completion bash > ~/.local/share/bash-completion/completions/baton\n"
                "completion zsh > ~/.zfunc/_baton",
    .completes = CLI_COMPLETES_SHELLS,
    .run = run_completion,
};
