#include "base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

struct item {
    int number;
    struct list node;
};

static void expect(struct list *head, const int *numbers, size_t count) {
    struct list *back = head->previous;
    size_t i = 0;

    LIST_EACH(node, following, head) {
        assert_true(i < count);
        assert_int_equal(LIST_ENTRY(node, struct item, node)->number, numbers[i++]);
    }
    assert_int_equal(i, count);
    while (i-- > 0) {
        assert_int_equal(LIST_ENTRY(back, struct item, node)->number, numbers[i]);
        back = back->previous;
    }
    assert_ptr_equal(back, head);
}

#define EXPECT(head, ...)                                                                          \
    expect(head, (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

struct fixture {
    struct list head;
    struct item items[5]; /* numbered from 0, in no list */
};

static void fixture_init(struct fixture *fixture) {
    list_init(&fixture->head);
    for (int i = 0; i < 5; i++) {
        fixture->items[i].number = i;
        list_init(&fixture->items[i].node);
    }
}

static void test_pushes_and_pops_in_order(void **state) {
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    assert_true(list_empty(&fixture.head));
    assert_null(list_pop_front(&fixture.head));
    list_push_back(&fixture.head, &fixture.items[1].node);
    list_push_back(&fixture.head, &fixture.items[2].node);
    list_insert_before(&fixture.items[1].node, &fixture.items[0].node);
    list_insert_before(&fixture.items[2].node, &fixture.items[4].node);
    assert_false(list_empty(&fixture.head));
    EXPECT(&fixture.head, 0, 1, 4, 2);
    assert_ptr_equal(list_pop_front(&fixture.head), &fixture.items[0].node);
    assert_true(list_empty(&fixture.items[0].node));
    EXPECT(&fixture.head, 1, 4, 2);
}

static void test_removing_twice_is_harmless(void **state) {
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    for (int i = 0; i < 3; i++)
        list_push_back(&fixture.head, &fixture.items[i].node);
    list_remove(&fixture.items[1].node);
    list_remove(&fixture.items[1].node);
    EXPECT(&fixture.head, 0, 2);
    list_remove(&fixture.items[0].node);
    list_remove(&fixture.items[2].node);
    assert_true(list_empty(&fixture.head));
}

static void test_the_body_may_remove_its_node(void **state) {
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    for (int i = 0; i < 5; i++)
        list_push_back(&fixture.head, &fixture.items[i].node);
    LIST_EACH(node, following, &fixture.head)
        if (LIST_ENTRY(node, struct item, node)->number % 2 == 0)
            list_remove(node);
    EXPECT(&fixture.head, 1, 3);
}

static void test_moves_all_to_the_end_of_another(void **state) {
    struct fixture fixture;
    struct list other;

    (void)state;
    fixture_init(&fixture);
    list_init(&other);
    list_move_all(&fixture.head, &other);
    assert_true(list_empty(&fixture.head));
    list_push_back(&fixture.head, &fixture.items[0].node);
    list_move_all(&fixture.head, &other);
    EXPECT(&fixture.head, 0);
    for (int i = 1; i < 4; i++)
        list_push_back(&other, &fixture.items[i].node);
    list_move_all(&fixture.head, &other);
    EXPECT(&fixture.head, 0, 1, 2, 3);
    assert_true(list_empty(&other));
    list_move_all(&other, &fixture.head);
    EXPECT(&other, 0, 1, 2, 3);
    assert_true(list_empty(&fixture.head));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pushes_and_pops_in_order),
        cmocka_unit_test(test_removing_twice_is_harmless),
        cmocka_unit_test(test_the_body_may_remove_its_node),
        cmocka_unit_test(test_moves_all_to_the_end_of_another),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
