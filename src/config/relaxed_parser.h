/* Where the parser of relaxed JSON is in a text, and what went wrong: for relaxed_json.c, which has
 * everything but texts, and relaxed_text.c, which has those. */
#ifndef BATON_CONFIG_RELAXED_PARSER_H
#define BATON_CONFIG_RELAXED_PARSER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct relaxed_parser {
    const char *begin;
    const char *at;
    const char *end;
    int depth;
    int result;           /* the first thing that went wrong, or 0 */
    const char *culprit;  /* where */
    const char *sentence; /* what, unless it is a word */
    char word[48];        /* what stands there and is no value, or "" */
};

/* Notes the first thing that went wrong, and where. They return NULL, so that it can be what a
 * parsing function returns. */
json_t *relaxed_fail(struct relaxed_parser *parser, const char *culprit, const char *sentence);
json_t *relaxed_fail_for_memory(struct relaxed_parser *parser);

/* A text in quotes of any kind, at which the parser is; NULL after an error. */
json_t *relaxed_parse_text(struct relaxed_parser *parser);

/* The byte that comes next; '\0' at the end. */
static inline char relaxed_peek(const struct relaxed_parser *parser) {
    return parser->at < parser->end ? *parser->at : '\0';
}

static inline bool relaxed_starts_with(const struct relaxed_parser *parser, const char *text) {
    size_t length = strlen(text);

    return (size_t)(parser->end - parser->at) >= length && memcmp(parser->at, text, length) == 0;
}

#endif
