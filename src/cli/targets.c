#include "cli/targets.h"

#include "cli/apps.h"
#include "cli/draw_text.h"
#include "cli/message.h"
#include "config/process_file.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static int read_file(struct cli_targets *targets, const struct cli_call *call, const char *file,
                     bool starts) {
    json_t *apps = json_array();
    int error = apps ? cli_apps_load(call, file, apps) : UV_ENOMEM;

    if (error == 0 && starts)
        error = cli_apps_check(call, file, apps);
    if (error == 0 && json_array_extend(targets->apps, apps) < 0)
        error = UV_ENOMEM;
    json_decref(apps);
    return error;
}

static int read_word(struct cli_targets *targets, const struct cli_call *call, const char *word,
                     bool starts) {
    json_t *name;

    if (strcmp(word, "-") == 0 || process_file_is(word))
        return read_file(targets, call, word, starts);
    name = json_string(word);
    if (name)
        return json_array_append_new(targets->names, name) < 0 ? UV_ENOMEM : 0;
    cli_fail(call, "a target must be UTF-8");
    return UV_EINVAL;
}

int cli_targets_read(struct cli_targets *targets, const struct cli_call *call, bool starts) {
    int error = 0;

    *targets = (struct cli_targets){.names = json_array(), .apps = json_array()};
    if (!targets->names || !targets->apps) {
        cli_fail_memory(call);
        return UV_ENOMEM;
    }
    if (call->words.count == 0) {
        cli_fail(call, "%s needs a target: %s %s %s", call->command->name,
                 call->context->dialect->name, call->command->name, call->command->usage);
        return UV_EINVAL;
    }
    for (int i = 0; i < call->words.count && error == 0; i++)
        error = read_word(targets, call, call->words.words[i], starts);
    return error;
}

void cli_targets_clear(struct cli_targets *targets) {
    json_decref(targets->names);
    json_decref(targets->apps);
}

int cli_targets_name_apps(struct cli_targets *targets, struct cli_client *client) {
    char name[CLI_APP_NAME_MAX];
    json_t *app;
    size_t index;

    json_array_foreach(targets->apps, index, app) {
        json_t *one;
        json_t *found;
        int error;

        cli_app_name(app, name);
        one = json_pack("[s]", name);
        error = one ? cli_client_processes(client, one, &found) : UV_ENOMEM;
        if (error == 0) {
            json_decref(found);
            json_array_extend(targets->names, one);
        } else if (error == UV_ENOENT) {
            cli_warn(client->call, "there is no app '%s'", name);
            error = 0;
        }
        json_decref(one);
        if (error < 0)
            return error;
    }
    json_array_clear(targets->apps);
    return 0;
}

/* The names, each once, of the apps whose program is the file at `path`: a new reference; NULL when
 * memory ran out or the daemon did not answer. */
static json_t *apps_of_script(struct cli_client *client, const char *path) {
    json_t *names = json_object();
    json_t *processes;
    const json_t *process;
    size_t index;

    if (cli_client_processes(client, NULL, &processes) < 0) {
        json_decref(names);
        return NULL;
    }
    json_array_foreach(processes, index, process) {
        const json_t *env = json_object_get(process, "pm2_env");
        char script[PATH_MAX];

        if (realpath(draw_member_text(env, "pm_exec_path", ""), script) &&
            strcmp(script, path) == 0)
            json_object_set_new(names, draw_member_text(process, "name", ""), json_true());
    }
    json_decref(processes);
    return names;
}

/* Whether the daemon knows something that is called so. */
static bool is_known(struct cli_client *client, json_t *word) {
    json_t *alone = json_pack("[O]", word);
    json_t *found;
    int error = alone ? cli_client_processes(client, alone, &found) : UV_ENOMEM;

    json_decref(alone);
    if (error == 0)
        json_decref(found);
    return error != UV_ENOENT;
}

/* Appends to `names` what a word means. */
static int name_script(struct cli_client *client, json_t *word, json_t *names) {
    char path[PATH_MAX];
    json_t *apps;
    json_t *ignored;
    const char *name;
    int error = 0;

    if (!realpath(json_string_value(word), path) || is_known(client, word))
        return json_array_append(names, word) < 0 ? UV_ENOMEM : 0;
    apps = apps_of_script(client, path);
    if (!apps)
        return UV_ENOMEM;
    if (json_object_size(apps) == 0)
        error = json_array_append(names, word);
    json_object_foreach(apps, name, ignored) {
        if (error == 0)
            error = json_array_append_new(names, json_string(name));
    }
    json_decref(apps);
    return error < 0 ? UV_ENOMEM : 0;
}

int cli_targets_name_scripts(struct cli_targets *targets, struct cli_client *client) {
    json_t *names = json_array();
    json_t *word;
    size_t index;
    int error = names ? 0 : UV_ENOMEM;

    json_array_foreach(targets->names, index, word) {
        if (error == 0)
            error = name_script(client, word, names);
    }
    if (error < 0) {
        json_decref(names);
        return error;
    }
    json_decref(targets->names);
    targets->names = names;
    return 0;
}

void cli_targets_words(const struct cli_targets *targets, char *text, size_t size) {
    const json_t *name;
    size_t length = 0;
    size_t index;

    text[0] = '\0';
    json_array_foreach(targets->names, index, name) {
        if (length < size)
            length += (size_t)snprintf(text + length, size - length, "%s%s", index > 0 ? " " : "",
                                       json_string_value(name));
    }
}

/* Of several, the first that nothing is called, into `name`: all of them stand there until it is
 * known which. */
static void find_unknown(const struct cli_targets *targets, struct cli_client *client, char *name,
                         size_t size) {
    size_t index;
    json_t *one;

    json_array_foreach(targets->names, index, one) {
        json_t *alone = json_pack("[O]", one);
        json_t *found = NULL;
        int error = alone ? cli_client_processes(client, alone, &found) : UV_ENOMEM;

        if (error == UV_ENOENT)
            snprintf(name, size, "%s", json_string_value(one));
        json_decref(alone);
        json_decref(found);
        if (error < 0)
            return;
    }
}

int cli_targets_processes(const struct cli_targets *targets, struct cli_client *client, bool whole,
                          json_t **ret_processes) {
    char words[256];
    int error = UV_ENOENT;

    cli_targets_words(targets, words, sizeof words);
    if (json_array_size(targets->names) > 0)
        error = whole ? cli_client_whole_processes(client, targets->names, ret_processes)
                      : cli_client_processes(client, targets->names, ret_processes);
    if (error == 0 && json_array_size(*ret_processes) == 0) {
        json_decref(*ret_processes);
        error = UV_ENOENT;
    }
    if (error == UV_ENOENT && strcmp(words, "all") == 0)
        cli_warn(client->call, "No process found");
    else if (error == UV_ENOENT && client->call->context->dialect->pm2)
        cli_fail(client->call, "Process or Namespace %s not found", words);
    else if (error == UV_ENOENT) {
        find_unknown(targets, client, words, sizeof words);
        cli_fail(client->call, "there is no app, namespace or process '%s'", words);
    }
    return error;
}
