/* Options of a command: one table gives their parsing and their help text, so that the two cannot
 * drift apart. */
#ifndef BATON_CLI_OPTIONS_H
#define BATON_CLI_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>

#define OPTIONS_MAX 96

struct cli_option {
    const char *name;  /* without dashes */
    char letter;       /* or 0 */
    const char *value; /* what stands for the value in the help text, NULL when it takes none;
                          "[X]": it may be left out; "(X)": so too, and it may be the next word,
                          where a file is called so and it is not the only word */
    const char
        *expects;     /* "a number of 1 or more", for the message when the value is none of that */
    const char *help; /* one line; NULL: accepted for old habits' sake, not listed */
    /* Applies it; `value` is NULL when none was given. 0 or a UV_E*, UV_EINVAL for a value that it
     * cannot take. NULL: the caller's own way of applying (struct cli_words). */
    int (*apply)(void *target, const char *value);
};

/* What is left of a command line; borrowed from argv. */
struct cli_words {
    const char *called; /* set by the caller: what Baton is called in sentences; NULL: baton */
    bool of_program; /* set by the caller: the first one is a program, which may have options of its
                        own behind "--" */
    /* Set by the caller: applies the options that have no function of their own, by their names. */
    int (*apply)(void *target, const struct cli_option *option, const char *value);
    char **words; /* that are no options, in order */
    int count;
    char **rest; /* what stood behind "--" */
    int rest_count;
    int options; /* how many options there were */
};

/* Applies the options in argv[1…], wherever they stand before a "--", to `target`. `options` ends
 * with a NULL name. Moves the words in argv before the options. 0, or UV_EINVAL after one sentence
 * on standard error, which for an unknown option behind the program also says how to pass it on. */
int options_parse(int argc, char **argv, const struct cli_option *options, void *target,
                  struct cli_words *words);

/* Prints the table for people. */
void options_print(FILE *file, const struct cli_option *options);

#endif
