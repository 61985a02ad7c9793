/* A hash table from 64-bit keys to pointers, for millions of entries: the sockets' cookies to the
 * records of their connections, for one.
 *
 * init/clear: an embedded value that owns one heap block, and never what the values point to.
 * Each operation is O(1) expected. It grows when three quarters are full and shrinks when an eighth
 * is left; both walk the table from front to back once, in one go: with a million entries that
 * operation takes some 20 ms. */
#ifndef BATON_BASE_TABLE_H
#define BATON_BASE_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct table_entry {
    uint64_t key;
    void *value; /* NULL: nothing here */
};

struct table {
    struct table_entry *entries; /* NULL while nothing was ever stored */
    size_t capacity;             /* of `entries`: 0 or a power of two */
    size_t count;
};

void table_init(struct table *table);

/* Frees the block; the table may be used again as after init. */
void table_clear(struct table *table);

/* Stores `value`, which is not NULL. 0, or with the table unchanged -EEXIST when the key is there
 * already, -ENOMEM. */
int table_insert(struct table *table, uint64_t key, void *value);

/* The value of `key`, or NULL. */
void *table_find(const struct table *table, uint64_t key);

/* Takes `key` out: its value, or NULL when it is not there. Never fails. */
void *table_remove(struct table *table, uint64_t key);

/* The next entry in no particular order, or NULL after the last; *position is 0 at first. Each is
 * visited once, provided nothing is inserted or removed meanwhile. */
const struct table_entry *table_next(const struct table *table, size_t *position);

#endif
