#include "cli/cli.h"

#include "base/text.h"
#include "cli/app_options.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/message.h"
#include "cli/pm2_variables.h"
#include "cli/records.h"
#include "config/process_file.h"

#include <stdio.h>
#include <string.h>

/* Somebody who types `kill api` means the app, and not the daemon with all of them. PM2 takes any
 * words anywhere, so that scripts may have them. */
static bool has_stray_word(const struct cli_call *call) {
    return !call->context->dialect->pm2 && !call->command->usage[0] && call->words.count > 0;
}

static int complain_of_stray_word(const struct cli_call *call) {
    const char *name = call->command->name;

    return cli_fail(call, "%s takes no words such as '%s'; see %s %s --help", name,
                    call->words.words[0], call->context->dialect->name, name);
}

static int run_parsed(const struct cli_context *context, const struct cli_command *command,
                      int argc, char **argv) {
    struct cli_call call = {.context = context,
                            .command = command,
                            .words = {.called = context->dialect->name,
                                      .of_program = command->takes_program,
                                      .apply = app_options_apply}};
    struct cli_option options[OPTIONS_MAX + 1];
    int code = 1;

    if (cli_flags_init(&call.flags) < 0)
        return cli_fail_memory(&call);
    cli_command_options(command, options);
    if (options_parse(argc, argv, options, &call.flags, &call.words) < 0)
        goto done;
    if (context->dialect->pm2)
        pm2_variables_apply(&call.flags);
    if (call.flags.help) {
        help_print_command(context, command, options);
        code = 0;
    } else if (call.words.rest_count > 0 && !command->takes_program) {
        cli_fail(&call, "%s takes nothing behind --", command->name);
    } else if (has_stray_word(&call)) {
        complain_of_stray_word(&call);
    } else {
        code = command->run(&call);
    }
done:
    cli_flags_clear(&call.flags);
    return code;
}

/* argv[0] is the command's name. */
static int run_command(const struct cli_context *context, const struct cli_command *command,
                       int argc, char **argv) {
    return command->run_itself ? command->run_itself(context, argc, argv)
                               : run_parsed(context, command, argc, argv);
}

static int complain(const struct cli_context *context, const char *typed) {
    const char *program = context->dialect->name;
    char nearest[CLI_COMMAND_NAME_MAX];
    char word[64];

    text_escape(word, sizeof word, typed, strlen(typed));
    if (cli_command_nearest(context->roles, typed, nearest))
        fprintf(stderr, "%s: there is no command '%s'; did you mean '%s'?\n", program, word,
                nearest);
    else
        fprintf(stderr, "%s: there is no %s '%s'; see %s --help\n", program,
                typed[0] == '-' ? "option" : "command", word, program);
    return 1;
}

/* Whether the next word is the value of this flag, of whatever command takes it. */
static bool has_value_behind(const struct cli_context *context, const char *word) {
    struct cli_option options[OPTIONS_MAX + 1];
    const struct cli_command *command;

    for (size_t i = 0; (command = cli_command_at(context->roles, i)); i++) {
        cli_command_options(command, options);
        for (size_t j = 0; options[j].name; j++) {
            bool named = strncmp(word, "--", 2) == 0 && strcmp(word + 2, options[j].name) == 0;
            bool lettered = word[1] == options[j].letter && word[1] != '\0' && word[2] == '\0';

            if (named || lettered)
                return options[j].value && !strchr("[(", options[j].value[0]);
        }
    }
    return false;
}

/* The place of the command: flags may stand before it, as PM2 takes them. */
static int find_command_word(const struct cli_context *context, int argc, char **argv) {
    int at = 1;

    while (at < argc && argv[at][0] == '-' && argv[at][1] != '\0')
        at += has_value_behind(context, argv[at]) ? 2 : 1;
    return at;
}

static void move_to_front(char **argv, int at) {
    char *word = argv[at];

    memmove(argv + 2, argv + 1, (size_t)(at - 1) * sizeof *argv);
    argv[1] = word;
}

static int run_version(struct cli_call *call) {
    (void)call;
    puts(BATON_VERSION);
    return 0;
}

/* `help COMMAND` is `COMMAND --help`. */
static int run_help(struct cli_call *call) {
    const struct cli_context *context = call->context;
    const struct cli_command *command;
    char help[] = "--help";
    char *words[] = {NULL, help, NULL};

    if (call->words.count == 0) {
        help_print_all(context);
        return 0;
    }
    words[0] = call->words.words[0];
    command = cli_command_find(context->roles, words[0]);
    return command ? run_command(context, command, 2, words) : complain(context, words[0]);
}

const struct cli_command command_version = {
    .name = "version",
    .usage = "",
    .summary = "print the version (also -v)",
    .run = run_version,
};

const struct cli_command command_help = {
    .name = "help",
    .usage = "[COMMAND]",
    .summary = "print this text, or that of a command (also -h)",
    .completes = CLI_COMPLETES_COMMANDS,
    .run = run_help,
};

static bool is_one_of(const char *word, const char *one, const char *other, const char *third) {
    return strcmp(word, one) == 0 || strcmp(word, other) == 0 || strcmp(word, third) == 0;
}

/* pm2-runtime FILE, and the longer pm2-runtime start FILE. */
static int run_runtime(const struct cli_context *context, int argc, char **argv) {
    char name[] = "run";
    int skip = argc > 1 && is_one_of(argv[1], "start", "run", "restart") ? 1 : 0;

    argv += skip;
    argv[0] = name;
    return run_command(context, &command_foreground, argc - skip, argv);
}

/* `run FILE`: a process file may have several apps. */
static bool names_file(int argc, char **argv) {
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (process_file_is(argv[i]))
            return true;
    return false;
}

int cli_main(int argc, char **argv, const struct cli_command *const *roles) {
    const struct cli_context context = {.dialect = cli_dialect_of(argv[0]), .roles = roles};
    const struct cli_command *command;
    int at;

    if (argc < 2 && !context.dialect->runtime) {
        help_print_all(&context);
        return 1;
    }
    if (argc > 1 && is_one_of(argv[1], "-v", "-V", "--version")) {
        puts(BATON_VERSION);
        return 0;
    }
    if (context.dialect->runtime)
        return run_runtime(&context, argc, argv);
    if (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0) {
        help_print_all(&context);
        return 0;
    }
    at = find_command_word(&context, argc, argv);
    if (at >= argc)
        return complain(&context, argv[1]);
    command = cli_command_find(roles, argv[at]);
    if (!command)
        return complain(&context, argv[at]);
    if (context.dialect->pm2 && strcmp(command->name, "serve") == 0)
        command = &command_serve_app;
    if (strcmp(command->name, "run") == 0 && names_file(argc - at, argv + at))
        command = &command_foreground;
    move_to_front(argv, at);
    return run_command(&context, command, argc - 1, argv + 1);
}
