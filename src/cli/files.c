/* init, validate: process files themselves. */
#include "base/buffer.h"
#include "cli/file_flags.h"
#include "cli/message.h"
#include "cli/records.h"
#include "config/process_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define FILE_NAME "ecosystem.config.js"

/* What people call the file that it begins with. */
static const char *find_script(void) {
    static const char *const names[] = {"app.js", "server.js", "index.js", "main.js"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (access(names[i], F_OK) == 0)
            return names[i];
    return NULL;
}

/* Without a script of theirs: the built-in server, so that what is written works at once. */
static int write_program(struct buffer *text) {
    const char *script = find_script();
    char program[PATH_MAX];
    size_t length = sizeof program;
    int error;

    if (script)
        return buffer_print(text, "      name: 'app',\n      script: './%s',\n", script);
    error = uv_exepath(program, &length);
    if (error < 0)
        return error;
    return buffer_print(text,
                        "      name: 'files',\n"
                        "      script: '%s',\n"
                        "      args: ['serve', '.', '8080'],\n"
                        "      intercept: 'native',\n",
                        program);
}

static int write_example(struct buffer *text, const char *command) {
    int error = buffer_print(text, "module.exports = {\n  apps: [\n    {\n");

    if (error == 0)
        error = write_program(text);
    if (error == 0)
        error = buffer_print(text,
                             "      instances: 2,\n"
                             "      env: { NODE_ENV: 'development' },\n"
                             "      // %s start --env production\n"
                             "      env_production: { NODE_ENV: 'production' },\n"
                             "    },\n"
                             "  ],\n"
                             "};\n",
                             command);
    return error;
}

/* 0 or an errno. */
static int create(const char *name, const struct buffer *text) {
    int file = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    ssize_t written;
    int error = 0;

    if (file < 0)
        return errno;
    written = write(file, buffer_data(text), buffer_length(text));
    if (written != (ssize_t)buffer_length(text))
        error = written < 0 ? errno : ENOSPC;
    if (close(file) < 0 && error == 0)
        error = errno;
    return error;
}

static int run_init(struct cli_call *call) {
    const char *command = call->context->dialect->name;
    struct buffer text;
    int error;

    buffer_init(&text);
    if (write_example(&text, command) < 0) {
        buffer_clear(&text);
        return cli_fail_memory(call);
    }
    error = create(FILE_NAME, &text);
    buffer_clear(&text);
    if (error == EEXIST)
        return cli_fail(call, "%s is there already; it stays as it is", FILE_NAME);
    if (error != 0)
        return cli_fail(call, "%s cannot be written: %s", FILE_NAME, strerror(error));
    cli_say(call, "%s is written; look at it, then: %s start", FILE_NAME, command);
    return 0;
}

/* The exit code of one file. */
static int validate(const struct cli_call *call, const char *file) {
    struct text_list problems = {.count = 0};
    struct text_list warnings = {.count = 0};
    const struct process_file_choice choice = {.env_name = call->flags.env_name,
                                               .only = call->flags.only};
    int count = process_file_validate(file, &choice, &problems, &warnings);
    int code = count < 0 || problems.count > 0;

    for (size_t i = 0; i < problems.count; i++)
        cli_fail(call, "%s", problems.items[i]);
    if (count < 0 && problems.count == 0)
        cli_fail_memory(call);
    cli_warn_each(call, &warnings);
    if (count == 0 && choice.only)
        code = cli_fail(call, "%s has no app named %s", file, choice.only);
    else if (code == 0)
        cli_say(call, "%s: %d app%s, %s", file, count, count == 1 ? "" : "s",
                warnings.count > 0 ? "which would start, but see the warnings"
                                   : "nothing is wrong");
    text_list_clear(&problems);
    text_list_clear(&warnings);
    return code;
}

static int run_validate(struct cli_call *call) {
    int code = 0;

    if (call->words.count == 0)
        return cli_fail(call, "validate needs a process file");
    for (int i = 0; i < call->words.count; i++)
        if (validate(call, call->words.words[i]) != 0)
            code = 1;
    return code;
}

static const struct cli_option *const validate_tables[] = {cli_file_options, NULL};

const struct cli_command command_init = {
    .name = "init",
    .aliases = "ecosystem",
    .usage = "",
    .summary = "make an ecosystem.config.js to begin with",
    .run = run_init,
};

const struct cli_command command_validate = {
    .name = "validate",
    .usage = "FILE...",
    .summary = "say what is wrong with process files, and start nothing",
    .examples = "validate ecosystem.config.js",
    .options = validate_tables,
    .completes = CLI_COMPLETES_FILES,
    .run = run_validate,
};
