#include "base/text.h"
#include "cli/app_options.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/run_options.h"
#include "config/check.h"

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <uv.h>

#define DEFAULT_PORT 8080

static void print_help(const struct cli_option *options) {
    puts("Usage: baton serve [OPTIONS] [DIR] [PORT]\n"
         "\n"
         "Serves the files of DIR (.) on PORT (8080) with the built-in HTTP worker. With\n"
         "-i N it does so with N workers behind a master; all other options are then\n"
         "those of baton run:");
    options_print(stdout, options);
    run_print_policies();
    puts("\nFor experiments it also answers /hello, /echo, /sleep/MS, /burn/MS and /whoami.");
}

static int parse_words(const struct cli_words *words, struct cli_serve *serve) {
    struct stat status;
    int64_t port = DEFAULT_PORT;

    serve->directory = words->count > 0 ? words->words[0] : ".";
    if (words->count > 2) {
        fprintf(stderr, "baton: serve takes a directory and a port\n");
        return UV_EINVAL;
    }
    if (words->count == 2 && text_to_number(words->words[1], 0, 65535, &port) < 0) {
        fprintf(stderr, "baton: the port must be a number from 0 to 65535, not '%s'\n",
                words->words[1]);
        return UV_EINVAL;
    }
    if (stat(serve->directory, &status) < 0 || !S_ISDIR(status.st_mode)) {
        fprintf(stderr, "baton: there is no directory '%s'\n", serve->directory);
        return UV_EINVAL;
    }
    serve->port = (uint16_t)port;
    return 0;
}

/* The app whose program is this binary itself. */
static int complete_settings(const struct cli_serve *serve, struct settings *settings) {
    char error[SETTINGS_ERROR_MAX];
    char program[PATH_MAX];
    size_t length = sizeof program;
    char port[8];
    int result;

    if (settings->intercept == SETTINGS_INTERCEPT_AUTO && !settings->fork_mode)
        settings->intercept = SETTINGS_INTERCEPT_NATIVE;
    snprintf(port, sizeof port, "%u", serve->port);
    result = uv_exepath(program, &length);
    if (result == 0)
        result = settings_set_text(&settings->script, program);
    if (result == 0)
        result = text_list_add(&settings->args, "serve");
    if (result == 0)
        result = text_list_add(&settings->args, serve->directory);
    if (result == 0)
        result = text_list_add(&settings->args, port);
    if (result == 0 && serve->single_page)
        result = text_list_add(&settings->args, "--spa");
    if (result == 0 && !settings->name)
        result = settings_set_text(&settings->name, "serve");
    if (result == 0 && settings->policy)
        result = run_check_policy(settings->policy);
    if (result == 0 && settings_check(settings, error) < 0) {
        fprintf(stderr, "baton: %s\n", error);
        result = UV_EINVAL;
    }
    return result;
}

/* Of the flags into the settings; a sentence has been printed when it fails. */
static int apply_flags(const struct run_flags *flags, struct settings *settings) {
    char error[SETTINGS_ERROR_MAX];
    int result = run_flags_apply(flags, settings, error);

    if (result < 0)
        fprintf(stderr, "baton: %s\n", error);
    return result;
}

static int set_single_page(void *target, const char *value) {
    (void)value;
    ((struct run_flags *)target)->common.single_page = true;
    return 0;
}

/* Those of run, and its own. */
void cli_serve_options(struct cli_option table[OPTIONS_MAX + 1]) {
    static const struct cli_option own = {
        "spa",          0, NULL, NULL, "index.html for what is not there (also without -i)",
        set_single_page};
    size_t count = 0;

    run_options(table);
    while (table[count].name)
        count++;
    table[count + 1] = table[count];
    table[count] = own;
}

enum cli_verdict cli_parse_serve(int argc, char **argv, struct cli_serve *serve) {
    struct cli_words words = {.of_program = false, .apply = app_options_apply};
    struct cli_option options[OPTIONS_MAX + 1];
    enum cli_verdict verdict = CLI_WRONG;
    struct run_flags flags;

    *serve = (struct cli_serve){.directory = NULL};
    settings_init(&serve->settings);
    cli_serve_options(options);
    if (run_flags_init(&flags) < 0 || options_parse(argc, argv, options, &flags, &words) < 0)
        goto done;
    if (flags.common.help) {
        print_help(options);
        verdict = CLI_SHOWN;
        goto done;
    }
    if (parse_words(&words, serve) < 0 || apply_flags(&flags, &serve->settings) < 0)
        goto done;
    serve->balanced = serve->settings.instances_given;
    serve->single_page = flags.common.single_page;
    if (!serve->balanced && words.options > (serve->single_page ? 1 : 0)) {
        fprintf(stderr,
                "baton: serve takes options only with -i, for without it there is no master\n");
        goto done;
    }
    if (serve->balanced && complete_settings(serve, &serve->settings) < 0)
        goto done;
    verdict = CLI_GO;
done:
    run_flags_clear(&flags);
    return verdict;
}
