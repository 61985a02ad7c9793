#include "cli/paragraph.h"

#include "unit/cli/capture.h"

static struct capture capture;

static void test_a_paragraph_is_broken_at_blanks(void **state) {
    (void)state;
    capture_start(&capture);
    paragraph_print(stdout, "0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 "
                            "0123456789 12 x");
    capture_end(&capture);
    assert_string_equal(capture.text, "0123456789 0123456789 0123456789 0123456789 0123456789 "
                                      "0123456789 0123456789 12\nx\n");
}

static void test_a_long_name_has_a_line_of_its_own(void **state) {
    (void)state;
    capture_start(&capture);
    paragraph_print_item(stdout, 10, "--short", "one");
    paragraph_print_item(stdout, 9, "--name", "two");
    paragraph_print_item(stdout, 8, "--name", "three");
    capture_end(&capture);
    assert_string_equal(capture.text, "  --short one\n  --name two\n  --name\n        three\n");
}

static void test_a_word_wider_than_the_line_is_not_cut(void **state) {
    (void)state;
    capture_start(&capture);
    paragraph_print_item(stdout, 70, "name", "longer-than-the-room and more");
    capture_end(&capture);
    assert_string_equal(capture.text,
                        "  name                                                                "
                        "longer-than-the-room\n"
                        "                                                                      "
                        "and more\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_paragraph_is_broken_at_blanks),
        cmocka_unit_test(test_a_long_name_has_a_line_of_its_own),
        cmocka_unit_test(test_a_word_wider_than_the_line_is_not_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
