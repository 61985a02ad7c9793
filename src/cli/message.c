#include "cli/message.h"

#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SENTENCE_MAX 4096

__attribute__((format(printf, 3, 0))) static void print(FILE *file, const char *prefix,
                                                        const char *format, va_list arguments) {
    char text[SENTENCE_MAX];
    char safe[SENTENCE_MAX + 64];

    vsnprintf(text, sizeof text, format, arguments);
    text_escape_utf8(safe, sizeof safe, text, strlen(text));
    fflush(stdout); /* what was said before stands before it */
    fprintf(file, "%s%s\n", prefix, safe);
}

void cli_say(const struct cli_call *call, const char *format, ...) {
    va_list arguments;

    if (call->flags.silent)
        return;
    va_start(arguments, format);
    print(stdout, call->context->dialect->prefix, format, arguments);
    va_end(arguments);
}

void cli_warn(const struct cli_call *call, const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    print(stderr, call->context->dialect->warning_prefix, format, arguments);
    va_end(arguments);
}

int cli_fail(const struct cli_call *call, const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    print(stderr, call->context->dialect->error_prefix, format, arguments);
    va_end(arguments);
    return 1;
}

int cli_fail_memory(const struct cli_call *call) {
    return cli_fail(call, "out of memory");
}

void cli_warn_each(const struct cli_call *call, const struct text_list *warnings) {
    for (size_t i = 0; i < warnings->count; i++)
        cli_warn(call, "%s", warnings->items[i]);
}
