#include "cli/options.h"

#include "base/text.h"
#include "cli/paragraph.h"

#include <getopt.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define FIRST_LONG  256 /* getopt_long's numbers for options without a letter; beyond any letter */
#define HELP_COLUMN 34
#define A_WORD      1 /* what it returns for a word that is no option */

struct getopt_tables {
    char letters[3 * OPTIONS_MAX + 4];
    struct option names[OPTIONS_MAX + 1];
};

struct parsing {
    const struct cli_option *options;
    char **argv;
    int at;  /* what is being parsed */
    int end; /* where the "--" is, or the end */
    const struct cli_words *words;
};

static int kind_of(const struct cli_option *option) {
    if (!option->value)
        return no_argument;
    return strchr("[(", option->value[0]) ? optional_argument : required_argument;
}

static void fill_tables(struct getopt_tables *tables, const struct cli_option *options) {
    size_t letters = 0;

    memset(tables, 0, sizeof *tables);
    tables->letters[letters++] = '-'; /* words come in their turn */
    tables->letters[letters++] = ':'; /* we word the messages */
    for (int i = 0; options[i].name && i < OPTIONS_MAX; i++) {
        int kind = kind_of(&options[i]);

        tables->names[i] =
            (struct option){.name = options[i].name, .has_arg = kind, .val = FIRST_LONG + i};
        if (!options[i].letter)
            continue;
        tables->letters[letters++] = options[i].letter;
        for (int colons = 0; colons < kind; colons++)
            tables->letters[letters++] = ':';
    }
}

static const struct cli_option *find(const struct cli_option *options, int code) {
    if (code >= FIRST_LONG)
        return &options[code - FIRST_LONG];
    for (; options->name; options++)
        if (options->letter == code)
            return options;
    return NULL;
}

static const struct cli_option *nearest(const struct cli_option *options, const char *typed) {
    const struct cli_option *best = NULL;
    unsigned distance = 4; /* farther is no likeness */

    /* The analyzer takes a found option for a null pointer.
     * NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
    for (; options->name; options++) {
        unsigned other = text_distance(options->name, typed);

        if (options->help && other < distance) {
            distance = other;
            best = options;
        }
    }
    return best;
}

/* As a shell takes it for one word. */
static void print_word(const char *typed) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "@%+=:,./_-";
    char word[128];

    text_escape(word, sizeof word, typed, strlen(typed));
    if (word[0] && strspn(word, plain) == strlen(word)) {
        fprintf(stderr, " %s", word);
        return;
    }
    fputs(" '", stderr);
    for (const char *at = word; *at; at++)
        fprintf(stderr, *at == '\'' ? "'\\%c'" : "%c", *at);
    fputc('\'', stderr);
}

static const char *called(const struct cli_words *words) {
    return words->called ? words->called : "baton";
}

static void print_words(char **words, int count) {
    for (int i = 0; i < count; i++)
        print_word(words[i]);
}

/* The command if all from here on is meant for the program. */
static void print_with_dashes(const struct parsing *parsing) {
    const struct cli_words *words = parsing->words;
    int options = 1 + words->count; /* where they begin: the words are before them */

    fputs(called(words), stderr);
    print_word(parsing->argv[0]);
    print_word(words->words[0]);
    print_words(parsing->argv + options, parsing->at - options);
    fputs(" --", stderr);
    print_words(words->words + 1, words->count - 1);
    print_words(parsing->argv + parsing->at, parsing->end - parsing->at);
    print_words(words->rest, words->rest_count);
}

static void complain_unknown(const struct parsing *parsing, const char *typed) {
    char word[64];
    char name[64];
    const struct cli_option *meant;

    snprintf(name, sizeof name, "%s", typed + strspn(typed, "-"));
    name[strcspn(name, "=")] = '\0';
    text_escape(word, sizeof word, typed, strlen(typed));
    meant = strlen(name) > 1 ? nearest(parsing->options, name) : NULL;
    fprintf(stderr, "%s: there is no option %s", called(parsing->words), word);
    if (meant)
        fprintf(stderr, "; did you mean --%s?", meant->name);
    if (parsing->words->of_program && parsing->words->count > 0) {
        fprintf(stderr, "%s it is the program's own: ", meant ? " If" : "; if");
        print_with_dashes(parsing);
    }
    fputc('\n', stderr);
}

/* What getopt_long() has found wrong. */
static void complain(const struct parsing *parsing, int code) {
    char letter[] = {'-', (char)optopt, '\0'};
    const struct cli_option *option;

    if (code == ':') {
        option = find(parsing->options, optopt);
        fprintf(stderr, "%s: %s needs a value: %s\n", called(parsing->words),
                parsing->argv[parsing->at], option ? option->expects : "one");
    } else if (optopt >= FIRST_LONG) {
        fprintf(stderr, "%s: --%s takes no value\n", called(parsing->words),
                find(parsing->options, optopt)->name);
    } else {
        complain_unknown(parsing, optopt > 0 ? letter : parsing->argv[parsing->at]);
    }
}

static int apply(const struct cli_option *option, void *target, const char *value,
                 const struct cli_words *words) {
    char word[128];
    int result = option->apply ? option->apply(target, value) : words->apply(target, option, value);

    if (result == 0)
        return 0;
    text_escape(word, sizeof word, value ? value : "", value ? strlen(value) : 0);
    if (result == UV_ENOMEM)
        fprintf(stderr, "%s: out of memory\n", called(words));
    else
        fprintf(stderr, "%s: --%s takes %s, not '%s'\n", called(words), option->name,
                option->expects, word);
    return UV_EINVAL;
}

/* Moves it to the words that there are, before the options. */
static void take_word(struct cli_words *words, char **argv, int at) {
    char **place = words->words + words->count++;
    char *word = argv[at];

    memmove(place + 1, place, (size_t)(argv + at - place) * sizeof *place);
    *place = word;
}

static int find_dashes(int argc, char **argv) {
    int at = 1;

    while (at < argc && strcmp(argv[at], "--") != 0)
        at++;
    return at;
}

/* "-2", where no option is called so: a word, for `scale api -2`. */
static bool is_number(const struct cli_option *options, const char *word) {
    return word[0] == '-' && word[1] != '\0' &&
           strspn(word + 1, "0123456789") == strlen(word + 1) && !find(options, word[1]);
}

/* getopt_long() anew, whatever it was doing before. */
static void restart_getopt(char **argv, const struct getopt_tables *tables) {
    opterr = 0;
    optind = 0; /* glibc's way */
    getopt_long(1, argv, tables->letters, tables->names, NULL);
}

/* `--watch src app.js`: the next word is its value where it can be meant so. */
static const char *take_next(const struct parsing *parsing, const struct cli_option *option) {
    const char *word = optind < parsing->end ? parsing->argv[optind] : NULL;
    const char *after = optind + 1 < parsing->end ? parsing->argv[optind + 1] : NULL;
    bool only = parsing->words->count == 0 && (!after || after[0] == '-');

    if (!option->value || option->value[0] != '(' || !word || word[0] == '-' || only ||
        access(word, F_OK) < 0)
        return NULL;
    optind++;
    return word;
}

int options_parse(int argc, char **argv, const struct cli_option *options, void *target,
                  struct cli_words *words) {
    struct getopt_tables tables;
    struct parsing parsing = {
        .options = options, .argv = argv, .end = find_dashes(argc, argv), .words = words};
    int dashes = parsing.end < argc ? 1 : 0;
    const struct cli_option *option;
    int code;

    words->words = argv + 1;
    words->count = words->options = 0;
    words->rest = argv + parsing.end + dashes;
    words->rest_count = argc - parsing.end - dashes;
    fill_tables(&tables, options);
    restart_getopt(argv, &tables);
    for (;;) {
        parsing.at = optind;
        if (parsing.at < parsing.end && is_number(options, argv[parsing.at])) {
            take_word(words, argv, parsing.at);
            optind++;
            continue;
        }
        code = getopt_long(parsing.end, argv, tables.letters, tables.names, NULL);
        if (code == -1)
            return 0;
        if (code == A_WORD) {
            take_word(words, argv, parsing.at);
            continue;
        }
        if (code == '?' || code == ':') {
            complain(&parsing, code);
            return UV_EINVAL;
        }
        option = find(options, code);
        if (apply(option, target, optarg ? optarg : take_next(&parsing, option), words) < 0)
            return UV_EINVAL;
        words->options++;
    }
}

void options_print(FILE *file, const struct cli_option *options) {
    for (; options->name; options++) {
        char name[64];
        char letter[8] = "    ";

        if (!options->help)
            continue;
        if (options->letter)
            snprintf(letter, sizeof letter, "-%c, ", options->letter);
        if (!options->value)
            snprintf(name, sizeof name, "%s--%s", letter, options->name);
        else if (strchr("[(", options->value[0]))
            snprintf(name, sizeof name, "%s--%s[=%.*s]", letter, options->name,
                     (int)strlen(options->value) - 2, options->value + 1);
        else
            snprintf(name, sizeof name, "%s--%s %s", letter, options->name, options->value);
        paragraph_print_item(file, HELP_COLUMN, name, options->help);
    }
}
