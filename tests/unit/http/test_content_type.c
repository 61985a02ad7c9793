#include "http/content_type.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_known_extensions(void **state) {
    (void)state;
    assert_string_equal(http_content_type("index.html"), "text/html; charset=utf-8");
    assert_string_equal(http_content_type("a/b.c/STYLE.CSS"), "text/css; charset=utf-8");
    assert_string_equal(http_content_type("x.min.js"), "text/javascript; charset=utf-8");
    assert_string_equal(http_content_type("x.7z"), "application/x-7z-compressed");
    assert_string_equal(http_content_type("x.zst"), "application/zstd");
    assert_string_equal(http_content_type("x.png"), "image/png");
    assert_string_equal(http_content_type("x.woff"), "font/woff");
    assert_string_equal(http_content_type("x.woff2"), "font/woff2");
    assert_string_equal(http_content_type("x.webm"), "video/webm");
    assert_string_equal(http_content_type("x.webmanifest"),
                        "application/manifest+json; charset=utf-8");
    assert_string_equal(http_content_type("x.svg"), "image/svg+xml; charset=utf-8");
    assert_string_equal(http_content_type("x.yml"), "application/yaml; charset=utf-8");
}

static void test_unknown_ones(void **state) {
    (void)state;
    assert_string_equal(http_content_type("README"), "application/octet-stream");
    assert_string_equal(http_content_type("a.html/README"), "application/octet-stream");
    assert_string_equal(http_content_type("x."), "application/octet-stream");
    assert_string_equal(http_content_type("x.htmlx"), "application/octet-stream");
    assert_string_equal(http_content_type(""), "application/octet-stream");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_extensions),
        cmocka_unit_test(test_unknown_ones),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
