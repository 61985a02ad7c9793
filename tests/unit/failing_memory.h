/* A malloc(3) before libc's own, which fails from the n-th allocation on. For the one file of a
 * test program; not beside a sanitizer, which has its own. */
#ifndef BATON_TESTS_FAILING_MEMORY_H
#define BATON_TESTS_FAILING_MEMORY_H

#include <stddef.h>

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define HAS_FAILING_MEMORY 1

static long memory_left; /* allocations, the failing one included; 0: all succeed */

void *__libc_malloc(size_t size);

void *malloc(size_t size) {
    if (memory_left > 0 && --memory_left == 0) {
        memory_left = 1;
        return NULL;
    }
    return __libc_malloc(size);
}
#else
#define HAS_FAILING_MEMORY 0
#endif

#endif
