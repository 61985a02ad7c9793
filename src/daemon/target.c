#include "daemon/target.h"

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define EXPRESSION_MAX 256  /* bytes; regcomp(3) calls itself for each parenthesis */
#define COPIES_MAX     4096 /* of characters in the compiled expression, about 1 KiB each */

enum { FITS_NOT, FITS_NAMESPACE, FITS_NAME, FITS_NUMBER };

/* How often regcomp(3) copies at most what is before the sign of repetition at `text`. */
static uint64_t copies_of(const char *text) {
    uint64_t largest = 1;

    if (*text == '+')
        return 2;
    while (*text == '{' || *text == ',') {
        char *end;
        uint64_t number = strtoul(text + 1, &end, 10);

        largest = number > largest ? number : largest;
        text = end;
    }
    return largest > COPIES_MAX ? COPIES_MAX : largest + 1;
}

/* Whether an expression can be compiled and tried in a moment: repetitions within repetitions
 * multiply, up to all memory that there is, and so does the time for references back. Those are
 * counted as nested that are not, or that are in brackets, as names need few of either. */
static bool is_modest(const char *text, size_t length) {
    uint64_t copies = length;

    if (length > EXPRESSION_MAX)
        return false;
    for (size_t i = 0; i < length && copies <= COPIES_MAX; i++) {
        if (text[i] == '\\' && text[i + 1] >= '1' && text[i + 1] <= '9')
            return false;
        if (text[i] == '+' || text[i] == '{')
            copies *= copies_of(text + i);
    }
    return copies <= COPIES_MAX;
}

static int compile(struct target *target, const char *text, size_t length) {
    char *inner;
    int result;

    if (!is_modest(text + 1, length - 2))
        return UV_EINVAL;
    inner = strndup(text + 1, length - 2);
    if (!inner)
        return UV_ENOMEM;
    result = regcomp(&target->expression, inner, REG_EXTENDED | REG_NOSUB) ? UV_EINVAL : 0;
    free(inner);
    return result;
}

int target_init(struct target *target, const char *text) {
    size_t length = strlen(text);
    int64_t number;

    *target = (struct target){.kind = TARGET_WORD, .word = text};
    if (strcmp(text, "all") == 0) {
        target->kind = TARGET_ALL;
    } else if (text_to_number(text, 0, UINT32_MAX, &number) == 0) {
        target->kind = TARGET_NUMBER;
        target->number = (uint32_t)number;
    } else if (length > 2 && text[0] == '/' && text[length - 1] == '/') {
        target->kind = TARGET_EXPRESSION;
        return compile(target, text, length);
    }
    return 0;
}

void target_clear(struct target *target) {
    if (target->kind == TARGET_EXPRESSION)
        regfree(&target->expression);
    target->kind = TARGET_WORD;
}

unsigned target_fit(const struct target *target, uint32_t pm_id, const char *name,
                    const char *namespace) {
    switch (target->kind) {
    case TARGET_ALL:
        return FITS_NAME;
    case TARGET_EXPRESSION:
        return regexec(&target->expression, name, 0, NULL, 0) == 0 ? FITS_NAME : FITS_NOT;
    case TARGET_NUMBER:
        if (target->number == pm_id)
            return FITS_NUMBER;
        break;
    case TARGET_WORD:
        break;
    }
    if (strcmp(target->word, name) == 0) /* a number may be a name, too */
        return FITS_NAME;
    return strcmp(target->word, namespace) == 0 ? FITS_NAMESPACE : FITS_NOT;
}
