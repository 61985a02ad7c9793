/* Open addressing with linear probing (D. Knuth, The Art of Computer Programming 3, 6.4, algorithms
 * L and R): a removal moves later entries of the same run back, so there are no tombstones and a
 * look-up never gets slower with age. An entry's home is the top bits of its hash: entries keep
 * their order when the table is resized, so that this reads and writes memory in sequence. */
#include "base/table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/prng.h"

#define TABLE_SMALLEST 16

void table_init(struct table *table) {
    *table = (struct table){.entries = NULL};
}

void table_clear(struct table *table) {
    free(table->entries);
    table_init(table);
}

static size_t home(const struct table *table, uint64_t key) {
    return (size_t)(prng_mix(key) >> (64 - __builtin_ctzll(table->capacity)));
}

/* Where `key` is, or else the free place where it belongs. The table has a free place. */
static size_t locate(const struct table *table, uint64_t key) {
    size_t mask = table->capacity - 1;
    size_t place = home(table, key);

    while (table->entries[place].value && table->entries[place].key != key)
        place = (place + 1) & mask;
    return place;
}

static int rehash(struct table *table, size_t capacity) {
    struct table other = {.capacity = capacity, .count = table->count};

    other.entries = calloc(capacity, sizeof *other.entries);
    if (!other.entries)
        return -ENOMEM;
    for (size_t i = 0; i < table->capacity; i++)
        if (table->entries[i].value)
            other.entries[locate(&other, table->entries[i].key)] = table->entries[i];
    free(table->entries);
    *table = other;
    return 0;
}

static int make_room(struct table *table) {
    if (table->capacity == 0)
        return rehash(table, TABLE_SMALLEST);
    if (table->count + 1 > table->capacity / 4 * 3)
        return rehash(table, table->capacity * 2);
    return 0;
}

int table_insert(struct table *table, uint64_t key, void *value) {
    size_t place;
    int error;

    assert(value);
    if (table_find(table, key))
        return -EEXIST;
    error = make_room(table);
    if (error)
        return error;
    place = locate(table, key);
    table->entries[place] = (struct table_entry){.key = key, .value = value};
    table->count++;
    return 0;
}

void *table_find(const struct table *table, uint64_t key) {
    return table->count ? table->entries[locate(table, key)].value : NULL;
}

/* Fills `gap` with the next entry of the run that may stand there, and so on with the gap that this
 * leaves. An entry may move back unless its home lies behind the gap. */
static void close_gap(struct table *table, size_t gap) {
    size_t mask = table->capacity - 1;
    struct table_entry *entries = table->entries;

    for (size_t place = (gap + 1) & mask; entries[place].value; place = (place + 1) & mask) {
        size_t from_home = (place - home(table, entries[place].key)) & mask;

        if (from_home < ((place - gap) & mask))
            continue;
        entries[gap] = entries[place];
        gap = place;
    }
    entries[gap].value = NULL;
}

void *table_remove(struct table *table, uint64_t key) {
    size_t place;
    void *value;

    if (table->count == 0)
        return NULL;
    place = locate(table, key);
    value = table->entries[place].value;
    if (!value)
        return NULL;
    close_gap(table, place);
    table->count--;
    /* When memory is out, the table stays as large as it is. */
    if (table->capacity > TABLE_SMALLEST && table->count < table->capacity / 8)
        (void)rehash(table, table->capacity / 2);
    return value;
}

const struct table_entry *table_next(const struct table *table, size_t *position) {
    while (*position < table->capacity) {
        const struct table_entry *entry = &table->entries[(*position)++];

        if (entry->value)
            return entry;
    }
    return NULL;
}
