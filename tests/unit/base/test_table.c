#include "base/table.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/prng.h"

#define MODEL_KEYS 3000u

static char values[MODEL_KEYS]; /* only their addresses matter */

static void test_an_empty_table(void **state) {
    struct table table;
    size_t position = 0;

    (void)state;
    table_init(&table);
    assert_null(table_find(&table, 0));
    assert_null(table_remove(&table, 0));
    assert_null(table_next(&table, &position));
    assert_int_equal(table.count, 0);
    table_clear(&table);
}

static void test_inserts_finds_and_removes(void **state) {
    struct table table;

    (void)state;
    table_init(&table);
    assert_int_equal(table_insert(&table, 0, &values[0]), 0);
    assert_int_equal(table_insert(&table, UINT64_MAX, &values[1]), 0);
    assert_int_equal(table_insert(&table, 0, &values[2]), -EEXIST);
    assert_int_equal(table.count, 2);
    assert_ptr_equal(table_find(&table, 0), &values[0]);
    assert_ptr_equal(table_find(&table, UINT64_MAX), &values[1]);
    assert_null(table_find(&table, 1));
    assert_ptr_equal(table_remove(&table, 0), &values[0]);
    assert_null(table_remove(&table, 0));
    assert_null(table_find(&table, 0));
    assert_ptr_equal(table_find(&table, UINT64_MAX), &values[1]);
    assert_int_equal(table.count, 1);
    table_clear(&table);
    assert_null(table_find(&table, UINT64_MAX));
    assert_int_equal(table_insert(&table, 5, &values[5]), 0);
    assert_ptr_equal(table_find(&table, 5), &values[5]);
    table_clear(&table);
}

/* Never more than three quarters full, and small again after a rush. */
static void test_grows_and_shrinks(void **state) {
    struct table table;

    (void)state;
    table_init(&table);
    for (uint64_t key = 0; key < 100000; key++) {
        assert_int_equal(table_insert(&table, key, values), 0);
        assert_true(table.count <= table.capacity / 4 * 3);
    }
    assert_int_equal(table.capacity, 262144);
    for (uint64_t key = 0; key < 100000; key++) {
        assert_ptr_equal(table_remove(&table, key), values);
        assert_true(table.capacity == 16 || table.count >= table.capacity / 8);
    }
    assert_int_equal(table.capacity, 16);
    table_clear(&table);
}

/* An insertion and a removal at the border do not resize each time. */
static void test_does_not_flap(void **state) {
    struct table table;
    uint64_t key = 0;
    size_t capacity;

    (void)state;
    table_init(&table);
    while (table.capacity < 1024)
        assert_int_equal(table_insert(&table, key++, values), 0);
    capacity = table.capacity;
    for (int i = 0; i < 100; i++) {
        assert_non_null(table_remove(&table, key - 1));
        assert_int_equal(table.capacity, capacity);
        assert_int_equal(table_insert(&table, key - 1, values), 0);
        assert_int_equal(table.capacity, capacity);
    }
    table_clear(&table);
}

/* Every key that the model has is there with its value, found and visited once; no other is. */
static void compare(const struct table *table, const bool *model) {
    unsigned char *visits = calloc(MODEL_KEYS, 1);
    const struct table_entry *entry;
    size_t position = 0, count = 0;

    assert_non_null(visits);
    while ((entry = table_next(table, &position))) {
        assert_true(entry->key < MODEL_KEYS);
        visits[entry->key]++;
    }
    for (uint32_t key = 0; key < MODEL_KEYS; key++) {
        assert_ptr_equal(table_find(table, key), model[key] ? &values[key] : NULL);
        assert_int_equal(visits[key], model[key]);
        count += model[key];
    }
    assert_int_equal(table->count, count);
    free(visits);
}

static void change(struct table *table, bool *model, uint32_t key, bool insert) {
    if (insert)
        assert_int_equal(table_insert(table, key, &values[key]), model[key] ? -EEXIST : 0);
    else
        assert_ptr_equal(table_remove(table, key), model[key] ? &values[key] : NULL);
    model[key] = insert;
}

/* Random changes that fill and empty the table in turn, against an array. */
static void test_agrees_with_a_model(void **state) {
    struct prng prng = {.state = 99};
    bool model[MODEL_KEYS] = {false};
    struct table table;

    (void)state;
    table_init(&table);
    for (uint32_t i = 0; i < 200000; i++) {
        uint32_t inserts = i / 20000 % 2 ? 1 : 9; /* of ten changes */

        change(&table, model, prng_below(&prng, MODEL_KEYS), prng_below(&prng, 10) < inserts);
        if (i % 500 == 0)
            compare(&table, model);
    }
    compare(&table, model);
    table_clear(&table);
}

/* The keys that share a home with the table's last place make runs that wrap round to its start:
 * removals there must not lose the entries on either side. */
static void test_runs_that_wrap_round(void **state) {
    struct prng prng = {.state = 5};
    uint64_t keys[8];
    uint32_t found = 0;
    struct table table;

    (void)state;
    for (uint64_t key = 0; found < 8; key++)
        if (prng_mix(key) >> 60 >= 14) /* the last two of 16 places */
            keys[found++] = key;
    for (int round = 0; round < 1000; round++) {
        uint32_t first = prng_below(&prng, 8);

        table_init(&table);
        for (uint32_t i = 0; i < 8; i++)
            assert_int_equal(table_insert(&table, keys[(first + i) % 8], &values[i]), 0);
        assert_int_equal(table.capacity, 16);
        for (uint32_t i = 0; i < 8; i++) {
            uint32_t gone = i * 3 % 8;

            assert_ptr_equal(table_remove(&table, keys[(first + gone) % 8]), &values[gone]);
            for (uint32_t j = i + 1; j < 8; j++)
                assert_ptr_equal(table_find(&table, keys[(first + j * 3 % 8) % 8]),
                                 &values[j * 3 % 8]);
        }
        table_clear(&table);
    }
}

/* Cookies are counters: in sequence, with the processor in the upper bits. A look-up must stay
 * short, whatever is regular about the keys. */
static void test_regular_keys_do_not_cluster(void **state) {
    static const unsigned shifts[] = {0, 1, 12, 32, 43};

    (void)state;
    for (size_t i = 0; i < sizeof shifts / sizeof *shifts; i++) {
        struct table table;
        size_t run = 0, longest = 0;

        table_init(&table);
        for (uint64_t key = 1; key <= 98304; key++) /* three quarters of 131072: full */
            assert_int_equal(table_insert(&table, key << shifts[i], values), 0);
        assert_int_equal(table.capacity, 131072);
        for (size_t place = 0; place < table.capacity; place++) {
            run = table.entries[place].value ? run + 1 : 0;
            longest = run > longest ? run : longest;
        }
        assert_true(longest < 400);
        table_clear(&table);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_table),
        cmocka_unit_test(test_inserts_finds_and_removes),
        cmocka_unit_test(test_grows_and_shrinks),
        cmocka_unit_test(test_does_not_flap),
        cmocka_unit_test(test_agrees_with_a_model),
        cmocka_unit_test(test_runs_that_wrap_round),
        cmocka_unit_test(test_regular_keys_do_not_cluster),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
