#include "cli/completion.h"

#include "cli/commands.h"

#include <string.h>

static const char *kind_of(const struct cli_command *command) {
    switch (command->completes) {
    case CLI_COMPLETES_TARGETS:
        return "targets";
    case CLI_COMPLETES_FILES:
        return "files";
    case CLI_COMPLETES_NOTHING:
        break;
    }
    return "nothing";
}

/* "start stop list ls …": every name, as words or, with `between` "|", as a pattern. */
static int add_names(struct buffer *out, const struct cli_command *command, const char *between) {
    int result = buffer_print(out, "%s", command->name);

    for (const char *at = command->aliases; at && *at && result == 0; at += strspn(at, " ")) {
        size_t length = strcspn(at, " ");

        result = buffer_print(out, "%s%.*s", between, (int)length, at);
        at += length;
    }
    return result;
}

static int add_all_names(struct buffer *out, const struct cli_context *context) {
    const struct cli_command *command;
    int result = 0;

    for (size_t i = 0; result == 0 && (command = cli_command_at(context->roles, i)); i++) {
        if (!command->summary)
            continue;
        result = add_names(out, command, " ");
        if (result == 0)
            result = buffer_append(out, " ", 1);
    }
    return result;
}

/* --- bash --- */

static int add_bash_flags(struct buffer *out, const struct cli_command *command) {
    struct cli_option options[OPTIONS_MAX + 1];
    int result = 0;

    cli_command_options(command, options);
    for (size_t i = 0; options[i].name && result == 0; i++)
        if (options[i].help)
            result = buffer_print(out, "--%s ", options[i].name);
    return result;
}

static int add_bash_command(struct buffer *out, const struct cli_command *command) {
    int result = buffer_append(out, "    ", 4);

    if (result == 0)
        result = add_names(out, command, "|");
    if (result == 0)
        result = buffer_print(out, ") kind=%s flags='", kind_of(command));
    if (result == 0)
        result = add_bash_flags(out, command);
    return result == 0 ? buffer_print(out, "' ;;\n") : result;
}

static int add_bash_head(struct buffer *out, const char *name) {
    return buffer_print(out,
                        "# bash completion for %s, made by: %s completion bash\n"
                        "_%s()\n"
                        "{\n"
                        "    local word=${COMP_WORDS[COMP_CWORD]} command='' kind='' flags='' at\n"
                        "    COMPREPLY=()\n"
                        "    for ((at = 1; at < COMP_CWORD; at++)); do\n"
                        "        [[ ${COMP_WORDS[at]} == -* ]] && continue\n"
                        "        command=${COMP_WORDS[at]}\n"
                        "        break\n"
                        "    done\n"
                        "    case $command in\n",
                        name, name, name);
}

static int add_bash_tail(struct buffer *out, const struct cli_context *context) {
    const char *name = context->dialect->name;
    int result = buffer_print(out, "    esac\n"
                                   "    if [[ -z $command ]]; then\n"
                                   "        COMPREPLY=($(compgen -W '");

    if (result == 0)
        result = add_all_names(out, context);
    if (result < 0)
        return result;
    return buffer_print(
        out,
        "' -- \"$word\"))\n"
        "    elif [[ $word == -* ]]; then\n"
        "        COMPREPLY=($(compgen -W \"$flags\" -- \"$word\"))\n"
        "    elif [[ $kind == targets ]]; then\n"
        "        COMPREPLY=($(compgen -W \"all $(%s completion names 2>/dev/null)\" -- \"$word\")\n"
        "                   $(compgen -f -- \"$word\"))\n"
        "    elif [[ $kind == files ]]; then\n"
        "        COMPREPLY=($(compgen -f -- \"$word\"))\n"
        "    fi\n"
        "}\n"
        "complete -o filenames -F _%s %s\n",
        name, name, name);
}

static int write_bash(struct buffer *out, const struct cli_context *context) {
    const struct cli_command *command;
    int result = add_bash_head(out, context->dialect->name);

    for (size_t i = 0; result == 0 && (command = cli_command_at(context->roles, i)); i++)
        if (command->summary)
            result = add_bash_command(out, command);
    return result == 0 ? add_bash_tail(out, context) : result;
}

/* --- zsh --- */

/* 'word:what it is', quoted for the shell and for _describe. */
static int add_described(struct buffer *out, const char *dashes, const char *word,
                         const char *summary) {
    int result = buffer_print(out, "        '%s%s:", dashes, word);

    for (; *summary && result == 0; summary++) {
        if (*summary == '\'')
            result = buffer_print(out, "'\\''");
        else if (*summary == ':')
            result = buffer_print(out, "\\:");
        else
            result = buffer_append(out, summary, 1);
    }
    return result == 0 ? buffer_append(out, "'\n", 2) : result;
}

static int add_zsh_command(struct buffer *out, const struct cli_command *command) {
    struct cli_option options[OPTIONS_MAX + 1];
    int result = buffer_append(out, "    ", 4);

    cli_command_options(command, options);
    if (result == 0)
        result = add_names(out, command, "|");
    if (result == 0)
        result = buffer_print(out, ") kind=%s flags=(\n", kind_of(command));
    for (size_t i = 0; options[i].name && result == 0; i++)
        if (options[i].help)
            result = add_described(out, "--", options[i].name, options[i].help);
    return result == 0 ? buffer_print(out, "    ) ;;\n") : result;
}

static int add_zsh_commands(struct buffer *out, const struct cli_context *context) {
    const struct cli_command *command;
    int result = buffer_print(out, "    commands=(\n");

    for (size_t i = 0; result == 0 && (command = cli_command_at(context->roles, i)); i++)
        if (command->summary)
            result = add_described(out, "", command->name, command->summary);
    return result == 0 ? buffer_print(out, "    )\n") : result;
}

static int add_zsh_head(struct buffer *out, const struct cli_context *context) {
    const char *name = context->dialect->name;
    int result = buffer_print(out,
                              "#compdef %s\n"
                              "# zsh completion for %s, made by: %s completion zsh\n"
                              "_%s()\n"
                              "{\n"
                              "    local -a commands flags names\n"
                              "    local kind=''\n",
                              name, name, name, name);

    if (result == 0)
        result = add_zsh_commands(out, context);
    return result == 0 ? buffer_print(out, "    if ((CURRENT == 2)); then\n"
                                           "        _describe command commands\n"
                                           "        return\n"
                                           "    fi\n"
                                           "    case ${words[2]} in\n")
                       : result;
}

static int add_zsh_tail(struct buffer *out, const char *name) {
    return buffer_print(out,
                        "    esac\n"
                        "    if [[ $PREFIX == -* ]]; then\n"
                        "        _describe flag flags\n"
                        "    elif [[ $kind == targets ]]; then\n"
                        "        names=(all ${(f)\"$(%s completion names 2>/dev/null)\"})\n"
                        "        compadd -a names\n"
                        "        _files\n"
                        "    elif [[ $kind == files ]]; then\n"
                        "        _files\n"
                        "    fi\n"
                        "}\n"
                        "if [[ ${funcstack[1]} == _%s ]]; then\n"
                        "    _%s \"$@\"\n"
                        "else\n"
                        "    compdef _%s %s\n"
                        "fi\n",
                        name, name, name, name, name);
}

static int write_zsh(struct buffer *out, const struct cli_context *context) {
    const struct cli_command *command;
    int result = add_zsh_head(out, context);

    for (size_t i = 0; result == 0 && (command = cli_command_at(context->roles, i)); i++)
        if (command->summary)
            result = add_zsh_command(out, command);
    return result == 0 ? add_zsh_tail(out, context->dialect->name) : result;
}

int completion_write(struct buffer *out, const struct cli_context *context,
                     enum completion_shell shell) {
    return shell == COMPLETION_BASH ? write_bash(out, context) : write_zsh(out, context);
}
