/* The monotonic clock. Only edges read it; what decides gets the time as a parameter. */
#ifndef BATON_BASE_CLOCK_H
#define BATON_BASE_CLOCK_H

#include <stdint.h>

/* Since an arbitrary start, never going back. */
uint64_t clock_ns(void);
uint64_t clock_ms(void);

/* Milliseconds since 1970: for people, not for measuring. */
int64_t clock_wall_ms(void);

#endif
