#include "cli/help.h"

#include "cli/commands.h"
#include "cli/paragraph.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define COMMAND_COLUMN 18

void help_print_all(const struct cli_context *context) {
    const char *name = context->dialect->name;
    const struct cli_command *command;

    printf("Baton: runs programs as several processes behind one port, and keeps them up.\n\n"
           "Usage: %s COMMAND [OPTIONS] [WORDS]\n",
           name);
    for (size_t i = 0; (command = cli_command_at(context->roles, i)); i++) {
        const char *heading = cli_command_heading(i);

        if (heading)
            printf("\n%s\n", heading);
        if (command->summary)
            paragraph_print_item(stdout, COMMAND_COLUMN, command->name, command->summary);
    }
    printf("\nA TARGET is a name, a number, a namespace, 'all', /an expression/ over names, a\n"
           "process file, or - for one on standard input.\n\n%s COMMAND --help tells more.\n",
           name);
}

/* One in each line, without the program's name. */
void help_print_examples(const struct cli_context *context, const struct cli_command *command) {
    const char *example = command->examples;

    if (!example)
        return;
    puts("\nExamples:");
    while (*example) {
        size_t length = strcspn(example, "\n");

        printf("  %s %.*s\n", context->dialect->name, (int)length, example);
        example += length + (example[length] == '\n');
    }
}

/* "stop, and forget" as a sentence. */
static void print_sentence(const char *text) {
    char sentence[256];

    snprintf(sentence, sizeof sentence, "%c%s.", toupper((unsigned char)text[0]), text + 1);
    paragraph_print(stdout, sentence);
}

void help_print_command(const struct cli_context *context, const struct cli_command *command,
                        const struct cli_option *options) {
    printf("Usage: %s %s%s%s\n", context->dialect->name, command->name,
           command->usage[0] ? " " : "", command->usage);
    if (command->aliases)
        printf("Also: %s\n", command->aliases);
    putchar('\n');
    print_sentence(command->summary);
    puts("\nOptions:");
    options_print(stdout, options);
    help_print_examples(context, command);
}
