#include "daemon/target.h"

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { FITS_NOT, FITS_NAMESPACE, FITS_NAME, FITS_NUMBER };

static int compile(struct target *target, const char *text, size_t length) {
    char *inner = strndup(text + 1, length - 2);
    int result;

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
