/* What a fuzz target demands of the code it feeds: unlike assert(), also in a release build. */
#ifndef BATON_FUZZ_CHECK_H
#define BATON_FUZZ_CHECK_H

#include <stdbool.h>
#include <stdlib.h>

static inline void check(bool holds) {
    if (!holds)
        abort();
}

#endif
