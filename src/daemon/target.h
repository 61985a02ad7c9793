/* What a person means by a target: a number, a name, a namespace, `all`, or `/expression/` over
 * names (extended regular expressions, regex(7)). A name goes before a namespace of the same
 * spelling, and a number before a name. Pure.
 *
 * init/clear: it owns a compiled expression. */
#ifndef BATON_DAEMON_TARGET_H
#define BATON_DAEMON_TARGET_H

#include <regex.h>
#include <stdbool.h>
#include <stdint.h>

enum target_kind {
    TARGET_ALL,
    TARGET_NUMBER,
    TARGET_EXPRESSION,
    TARGET_WORD, /* a name or a namespace */
};

struct target {
    enum target_kind kind;
    uint32_t number;
    const char *word; /* borrowed */
    regex_t expression;
};

/* 0, or UV_EINVAL when the expression between the slashes is none, or one that would cost too much
 * to compile or to try: strangers may ask on TCP. */
int target_init(struct target *target, const char *text);
void target_clear(struct target *target);

/* How well a process fits: 0 not at all; the highest that occurs among all processes is meant. */
unsigned target_fit(const struct target *target, uint32_t pm_id, const char *name,
                    const char *namespace);

#endif
