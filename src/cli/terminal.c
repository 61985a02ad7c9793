#include "cli/terminal.h"

#include "base/text.h"

#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define SIZE_MAXIMUM 10000

static bool is_given(const char *text) {
    return text && text[0] != '\0';
}

/* "dumb" (Emacs' shell, some consoles of CI) prints escape sequences as they are. */
static bool knows_sequences(const struct terminal_facts *facts) {
    return facts->is_terminal && is_given(facts->term) && strcmp(facts->term, "dumb") != 0;
}

static bool decide_colour(const struct terminal_facts *facts) {
    if (facts->no_color_option || is_given(facts->no_color))
        return false;
    if (is_given(facts->force_color))
        return strcmp(facts->force_color, "0") != 0;
    return knows_sequences(facts);
}

/* "en_US.UTF-8", "C.utf8". */
static bool names_utf8(const char *locale) {
    const char *set = strchr(locale, '.');

    return set && (strncasecmp(set, ".utf-8", 6) == 0 || strncasecmp(set, ".utf8", 5) == 0);
}

static bool decide_utf8(const struct terminal_facts *facts) {
    const char *locales[] = {facts->lc_all, facts->lc_ctype, facts->lang};

    for (size_t i = 0; i < sizeof(locales) / sizeof(locales[0]); i++)
        if (is_given(locales[i]))
            return names_utf8(locales[i]);
    return true;
}

/* What the terminal says, else the variable, else 0. */
static unsigned decide_size(unsigned said, const char *variable) {
    int64_t number;

    if (said > 0)
        return said;
    if (is_given(variable) && text_to_number(variable, 1, SIZE_MAXIMUM, &number) == 0)
        return (unsigned)number;
    return 0;
}

void terminal_decide(struct terminal *terminal, const struct terminal_facts *facts) {
    *terminal = (struct terminal){
        .style = {.columns = decide_size(facts->size_columns, facts->columns),
                  .terminal = facts->is_terminal,
                  .redraws = knows_sequences(facts),
                  .colour = decide_colour(facts),
                  .utf8 = decide_utf8(facts)},
        .rows = decide_size(facts->size_rows, facts->lines),
    };
}

/* A locale whose characters are UTF-8, whatever its language: the environment's if it is, for
 * another one may be missing on this machine. */
static void set_character_type(bool utf8) {
    if (!setlocale(LC_CTYPE, "") || (utf8 && strcmp(nl_langinfo(CODESET), "UTF-8") != 0))
        setlocale(LC_CTYPE, utf8 ? "C.UTF-8" : "C");
}

void terminal_look(struct terminal *terminal, int descriptor, bool no_color_option) {
    struct winsize size = {.ws_col = 0};
    struct terminal_facts facts = {
        .is_terminal = isatty(descriptor) == 1,
        .no_color_option = no_color_option,
        .columns = getenv("COLUMNS"),
        .lines = getenv("LINES"),
        .no_color = getenv("NO_COLOR"),
        .force_color = getenv("FORCE_COLOR"),
        .term = getenv("TERM"),
        .lc_all = getenv("LC_ALL"),
        .lc_ctype = getenv("LC_CTYPE"),
        .lang = getenv("LANG"),
    };

    if (facts.is_terminal && ioctl(descriptor, TIOCGWINSZ, &size) == 0) {
        facts.size_columns = size.ws_col;
        facts.size_rows = size.ws_row;
    }
    terminal_decide(terminal, &facts);
    set_character_type(terminal->style.utf8);
}
