#include "cli/options.h"

#include "base/text.h"

#include <getopt.h>
#include <stdbool.h>
#include <string.h>
#include <uv.h>

#define FIRST_LONG 256 /* getopt_long's numbers for options without a letter; beyond any letter */

struct getopt_tables {
    char letters[3 * OPTIONS_MAX + 3];
    struct option names[OPTIONS_MAX + 1];
};

static int kind_of(const struct cli_option *option) {
    if (!option->value)
        return no_argument;
    return option->value[0] == '[' ? optional_argument : required_argument;
}

static void fill_tables(struct getopt_tables *tables, const struct cli_option *options) {
    size_t letters = 0;

    memset(tables, 0, sizeof *tables);
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

static void complain_unknown(const struct cli_option *options, const char *typed) {
    char word[64];
    char name[64];
    const struct cli_option *meant;

    snprintf(name, sizeof name, "%s", typed + strspn(typed, "-"));
    name[strcspn(name, "=")] = '\0';
    text_escape(word, sizeof word, typed, strlen(typed));
    meant = strlen(name) > 1 ? nearest(options, name) : NULL;
    if (meant)
        fprintf(stderr, "baton: there is no option %s; did you mean --%s?\n", word, meant->name);
    else
        fprintf(stderr, "baton: there is no option %s\n", word);
}

static int apply(const struct cli_option *option, void *target, const char *value) {
    char word[128];
    int result = option->apply(target, value);

    if (result == 0)
        return 0;
    text_escape(word, sizeof word, value ? value : "", value ? strlen(value) : 0);
    if (result == UV_ENOMEM)
        fprintf(stderr, "baton: out of memory\n");
    else
        fprintf(stderr, "baton: --%s takes %s, not '%s'\n", option->name, option->expects, word);
    return UV_EINVAL;
}

int options_parse(int argc, char **argv, const struct cli_option *options, void *target,
                  struct cli_words *ret_words) {
    struct getopt_tables tables;
    int words = 1; /* up to "--" */
    int count = 0;
    int code;

    while (words < argc && strcmp(argv[words], "--") != 0)
        words++;
    fill_tables(&tables, options);
    optind = 0; /* starts anew, glibc's way */
    opterr = 0;
    while ((code = getopt_long(words, argv, tables.letters, tables.names, NULL)) != -1) {
        const struct cli_option *option = code == '?' || code == ':' ? NULL : find(options, code);

        if (code == ':') {
            option = find(options, optopt);
            fprintf(stderr, "baton: %s needs a value: %s\n", argv[optind - 1],
                    option ? option->expects : "one");
            return UV_EINVAL;
        }
        if (!option && optopt >= FIRST_LONG) {
            fprintf(stderr, "baton: --%s takes no value\n", find(options, optopt)->name);
            return UV_EINVAL;
        }
        if (!option) {
            char letter[] = {'-', (char)optopt, '\0'};

            complain_unknown(options, optopt > 0 ? letter : argv[optind - 1]);
            return UV_EINVAL;
        }
        if (apply(option, target, optarg) < 0)
            return UV_EINVAL;
        count++;
    }
    *ret_words = (struct cli_words){.words = argv + optind,
                                    .count = words - optind,
                                    .rest = argv + (words < argc ? words + 1 : argc),
                                    .rest_count = words < argc ? argc - words - 1 : 0,
                                    .options = count};
    return 0;
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
        else if (options->value[0] == '[')
            snprintf(name, sizeof name, "%s--%s[=%.*s]", letter, options->name,
                     (int)strlen(options->value) - 2, options->value + 1);
        else
            snprintf(name, sizeof name, "%s--%s %s", letter, options->name, options->value);
        fprintf(file, "  %-36s %s\n", name, options->help);
    }
}
