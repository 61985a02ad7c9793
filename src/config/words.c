#include "config/words.h"

#include "base/buffer.h"

#include <stdbool.h>
#include <string.h>
#include <uv.h>

#define BLANKS " \t\r\n"

/* Whether the backslash at `at` takes the next byte's meaning away. */
static bool escapes(const char *at, char quote) {
    if (*at != '\\' || !at[1] || quote == '\'')
        return false;
    return quote == '\0' || strchr("\"\\$`", at[1]);
}

/* Reads one word, from its first byte on; what comes behind it in *at. */
static int read_word(struct buffer *word, const char **at) {
    char quote = '\0';

    for (; **at && (quote || !strchr(BLANKS, **at)); (*at)++) {
        bool is_quote = **at == '\'' || **at == '"';

        if (quote ? **at == quote : is_quote) {
            quote = quote ? '\0' : **at;
            continue;
        }
        if (escapes(*at, quote))
            (*at)++;
        if (buffer_append(word, *at, 1) < 0)
            return UV_ENOMEM;
    }
    return quote ? UV_EINVAL : buffer_append(word, "", 1); /* its NUL */
}

int words_split(struct text_list *words, const char *text) {
    int result = 0;

    for (text += strspn(text, BLANKS); *text && result == 0; text += strspn(text, BLANKS)) {
        struct buffer word;

        buffer_init(&word);
        result = read_word(&word, &text);
        if (result == 0)
            result = text_list_add(words, buffer_data(&word));
        buffer_clear(&word);
    }
    return result;
}
