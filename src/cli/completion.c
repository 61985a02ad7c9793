/* Each script has a table of commands, with the kind of their words and their flags, and one of the
 * flags that take a value, with its kind; a function asks the tables. What comes from outside,
 * names of apps, is never given to anything that expands it. */
#include "cli/completion.h"

#include "cli/commands.h"
#include "config/settings.h"
#include "policy/policy.h"

#include <string.h>

static const char *kind_of(const struct cli_command *command) {
    static const char *const kinds[] = {
        [CLI_COMPLETES_NOTHING] = "nothing", [CLI_COMPLETES_TARGETS] = "targets",
        [CLI_COMPLETES_FILES] = "files",     [CLI_COMPLETES_EITHER] = "either",
        [CLI_COMPLETES_SIGNALS] = "signals", [CLI_COMPLETES_COMMANDS] = "commands",
        [CLI_COMPLETES_SHELLS] = "shells",
    };

    return kinds[command->completes];
}

/* Whether the next word is the value of the flag; otherwise it stands behind "=", if at all. */
static bool takes_word(const struct cli_option *option) {
    return option->help && option->value && option->value[0] != '[';
}

static const char *kind_of_value(const struct cli_option *option) {
    static const char *const files[] = {"DIR", "FILE", "BIN", "PATHS"};

    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (strcmp(option->value, files[i]) == 0)
            return "files";
    if (strcmp(option->name, "policy") == 0)
        return "policies";
    return strcmp(option->name, "intercept") == 0 ? "intercepts" : "nothing";
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

/* The words that a kind stands for, parted by blanks: what is known without the daemon. */
static int add_words(struct buffer *out, const struct cli_context *context, const char *kind) {
    int result = 0;

    if (strcmp(kind, "commands") == 0)
        return add_all_names(out, context);
    for (int i = 0; strcmp(kind, "policies") == 0 && result == 0 && policy_types[i]; i++)
        result = buffer_print(out, "%s ", policy_types[i]->name);
    for (int i = 0; strcmp(kind, "intercepts") == 0 && result == 0 && i <= SETTINGS_INTERCEPT_NONE;
         i++)
        result = buffer_print(out, "%s ", settings_intercept_name((enum settings_intercept)i));
    return result;
}

/* Appends `text`, in it the program's name for each "~". */
static int add_text(struct buffer *out, const struct cli_context *context, const char *text) {
    int result = 0;

    while (result == 0 && *text) {
        size_t length = strcspn(text, "~");

        result = buffer_append(out, text, length);
        text += length;
        if (result < 0 || *text != '~')
            continue;
        result = buffer_print(out, "%s", context->dialect->name);
        text++;
    }
    return result;
}

/* Whether the option stands in the table of an earlier command already. */
static bool is_known(const struct cli_context *context, size_t place, const char *name) {
    struct cli_option options[OPTIONS_MAX + 1];

    for (size_t i = 0; i < place; i++) {
        const struct cli_command *command = cli_command_at(context->roles, i);

        cli_command_options(command, options);
        for (size_t j = 0; command->summary && options[j].name; j++)
            if (strcmp(options[j].name, name) == 0 && takes_word(&options[j]))
                return true;
    }
    return false;
}

/* "    --cwd) kind=files ;;": a flag means the same wherever it is taken. */
static int add_value(struct buffer *out, const struct cli_option *option) {
    int result = buffer_print(out, "    --%s", option->name);

    if (result == 0 && option->letter)
        result = buffer_print(out, "|-%c", option->letter);
    return result == 0 ? buffer_print(out, ") kind=%s ;;\n", kind_of_value(option)) : result;
}

static int add_values(struct buffer *out, const struct cli_context *context) {
    struct cli_option options[OPTIONS_MAX + 1];
    const struct cli_command *command;
    int result = 0;

    for (size_t i = 0; (command = cli_command_at(context->roles, i)); i++) {
        if (!command->summary)
            continue;
        cli_command_options(command, options);
        for (size_t j = 0; result == 0 && options[j].name; j++)
            if (takes_word(&options[j]) && !is_known(context, i, options[j].name))
                result = add_value(out, &options[j]);
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

static int add_bash_commands(struct buffer *out, const struct cli_context *context) {
    const struct cli_command *command;
    int result = 0;

    for (size_t i = 0; result == 0 && (command = cli_command_at(context->roles, i)); i++) {
        if (!command->summary)
            continue;
        result = buffer_append(out, "    ", 4);
        if (result == 0)
            result = add_names(out, command, "|");
        if (result == 0)
            result = buffer_print(out, ") kind=%s flags='", kind_of(command));
        if (result == 0)
            result = add_bash_flags(out, command);
        if (result == 0)
            result = buffer_print(out, "' ;;\n");
    }
    return result;
}

/* "    policies) words=(node rr ) ;;". */
static int add_bash_words(struct buffer *out, const struct cli_context *context, const char *kind) {
    int result = buffer_print(out, "    %s) words=(", kind);

    if (result == 0)
        result = add_words(out, context, kind);
    return result == 0 ? buffer_print(out, ") ;;\n") : result;
}

/* COMPREPLY is quoted by the shell itself where it holds file names; names of apps are quoted
 * here. compgen -W would expand what stands in a name. */
static const char bash_head[] =
    "# bash completion for ~, made by: ~ completion bash\n"
    "_~()\n"
    "{\n"
    "    local word=${COMP_WORDS[COMP_CWORD]} command='' kind='' flags='' at place=0\n"
    "    local -a words=() apps=()\n"
    "    COMPREPLY=()\n"
    "    for ((at = 1; at < COMP_CWORD; at++)); do\n"
    "        case ${COMP_WORDS[at]} in\n"
    "        --) kind=files ;;\n"
    "        -*) ;;\n"
    "        *) if [[ -z $command ]]; then command=${COMP_WORDS[at]}; else ((++place)); fi ;;\n"
    "        esac\n"
    "    done\n"
    "    [[ $kind == files ]] && command='--'\n"
    "    case $command in\n"
    "    '') kind=commands flags='--help --version' ;;\n";
static const char bash_values[] = "    esac\n"
                                  "    case ${COMP_WORDS[COMP_CWORD - 1]} in\n";
static const char bash_kinds[] =
    "    esac\n"
    "    if [[ $word == -* && $kind != files || $word == --* ]]; then\n"
    "        words=($flags)\n"
    "        kind=''\n"
    "    fi\n"
    "    case $kind in\n"
    "    shells) words=(bash zsh) ;;\n"
    "    signals) if ((place == 0)); then words=($(compgen -A signal SIG)); else kind=targets; fi\n"
    "    esac\n"
    "    case $kind in\n"
    "    targets|either) mapfile -t apps < <(~ completion names 2>/dev/null) ;;\n";
static const char bash_tail[] =
    "    esac\n"
    "    for at in \"${words[@]}\" \"${apps[@]}\"; do\n"
    "        [[ $at == \"$word\"* ]] && COMPREPLY+=(\"$(printf %q \"$at\")\")\n"
    "    done\n"
    "    if [[ $kind == files || $kind == either || $kind == targets && ${#COMPREPLY[@]} == 0 ]]; "
    "then\n"
    "        mapfile -t words < <(compgen -f -- \"$word\")\n"
    "        ((${#words[@]} > 0)) && compopt -o filenames 2>/dev/null\n"
    "        COMPREPLY+=(\"${words[@]}\")\n"
    "    fi\n"
    "}\n"
    "complete -F _~ ~\n";

static int write_bash(struct buffer *out, const struct cli_context *context) {
    static const char *const kinds[] = {"commands", "policies", "intercepts"};
    int result = add_text(out, context, bash_head);

    if (result == 0)
        result = add_bash_commands(out, context);
    if (result == 0)
        result = add_text(out, context, bash_values);
    if (result == 0)
        result = add_values(out, context);
    if (result == 0)
        result = add_text(out, context, bash_kinds);
    for (size_t i = 0; result == 0 && i < sizeof kinds / sizeof kinds[0]; i++)
        result = add_bash_words(out, context, kinds[i]);
    return result == 0 ? add_text(out, context, bash_tail) : result;
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

static const char zsh_head[] = "#compdef ~\n"
                               "# zsh completion for ~, made by: ~ completion zsh\n"
                               "_~()\n"
                               "{\n"
                               "    local -a commands flags names\n"
                               "    local kind='' command='' at place=0\n";
static const char zsh_command[] =
    "    for ((at = 2; at < CURRENT; at++)); do\n"
    "        case ${words[at]} in\n"
    "        --) _files; return ;;\n"
    "        -*) ;;\n"
    "        *) if [[ -z $command ]]; then command=${words[at]}; else ((++place)); fi ;;\n"
    "        esac\n"
    "    done\n"
    "    case $command in\n"
    "    '') kind=commands flags=('--help:this list' '--version:its version') ;;\n";
static const char zsh_values[] = "    esac\n"
                                 "    case ${words[CURRENT - 1]} in\n";
static const char zsh_kinds[] = "    esac\n"
                                "    [[ $PREFIX == -* ]] && kind=flags\n"
                                "    [[ $kind == signals && $place -gt 0 ]] && kind=targets\n"
                                "    case $kind in\n"
                                "    flags) _describe flag flags ;;\n"
                                "    commands) _describe command commands ;;\n"
                                "    shells) compadd bash zsh ;;\n"
                                "    signals) compadd -P SIG -- ${signals:#(EXIT|ZERR|DEBUG)} ;;\n"
                                "    files) _files ;;\n"
                                "    targets|either)\n"
                                "        names=(${(f)\"$(~ completion names 2>/dev/null)\"})\n"
                                "        compadd -a names\n"
                                "        _files ;;\n";
static const char zsh_tail[] = "    esac\n"
                               "}\n"
                               "if [[ ${funcstack[1]} == _~ ]]; then\n"
                               "    _~\n"
                               "else\n"
                               "    compdef _~ ~\n"
                               "fi\n";

static int add_zsh_words(struct buffer *out, const struct cli_context *context, const char *kind) {
    int result = buffer_print(out, "    %s) compadd ", kind);

    if (result == 0)
        result = add_words(out, context, kind);
    return result == 0 ? buffer_print(out, ";;\n") : result;
}

static int write_zsh(struct buffer *out, const struct cli_context *context) {
    const struct cli_command *command;
    int result = add_text(out, context, zsh_head);

    if (result == 0)
        result = add_zsh_commands(out, context);
    if (result == 0)
        result = add_text(out, context, zsh_command);
    for (size_t i = 0; result == 0 && (command = cli_command_at(context->roles, i)); i++)
        if (command->summary)
            result = add_zsh_command(out, command);
    if (result == 0)
        result = add_text(out, context, zsh_values);
    if (result == 0)
        result = add_values(out, context);
    if (result == 0)
        result = add_text(out, context, zsh_kinds);
    if (result == 0)
        result = add_zsh_words(out, context, "policies");
    if (result == 0)
        result = add_zsh_words(out, context, "intercepts");
    return result == 0 ? add_text(out, context, zsh_tail) : result;
}

int completion_write(struct buffer *out, const struct cli_context *context,
                     enum completion_shell shell) {
    return shell == COMPLETION_BASH ? write_bash(out, context) : write_zsh(out, context);
}
