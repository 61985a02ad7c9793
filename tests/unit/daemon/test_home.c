#include "daemon/home.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

static char folder[] = "/tmp/baton-home-XXXXXX";
static char error[HOME_ERROR_MAX];

static int set_up(void **state) {
    (void)state;
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state) {
    char command[64];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command); /* the name is mkdtemp's */
}

static const char *below(const char *name) {
    static char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static mode_t mode_of(const char *path) {
    struct stat status;

    assert_int_equal(stat(path, &status), 0);
    return status.st_mode & 07777;
}

static void test_everything_is_made_for_its_owner_alone(void **state) {
    char home[PATH_MAX];

    (void)state;
    strcpy(home, below("a/b/home"));
    umask(0);
    assert_int_equal(home_create(home, error), 0);
    assert_int_equal(home_create(home, error), 0); /* it is there already */
    assert_int_equal(mode_of(home), 0700);
    assert_int_equal(mode_of(below("a/b")), 0700);
    assert_int_equal(mode_of(below("a/b/home/logs")), 0700);
    assert_int_equal(mode_of(below("a/b/home/pids")), 0700);
    assert_int_equal(mode_of(below("a/b/home/workers")), 0700);
}

/* PM2 makes its home with the user's mask, which may be 002. */
static void test_others_lose_the_right_to_write(void **state) {
    (void)state;
    assert_int_equal(chmod(folder, 0777), 0);
    assert_int_equal(home_create(folder, error), 0);
    assert_int_equal(mode_of(folder), 0755);
}

static void test_another_users_home_is_refused(void **state) {
    (void)state;
    if (geteuid() == 0)
        assert_int_equal(chown(folder, 65534, 65534), 0);
    assert_int_equal(home_create(geteuid() == 0 ? folder : "/", error), UV_EPERM);
    assert_non_null(strstr(error, "belongs to user"));
}

static void test_a_file_in_the_way_is_named(void **state) {
    int descriptor = open(below("file"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    (void)state;
    close(descriptor);
    assert_int_equal(home_create(below("file"), error), UV_ENOTDIR);
    assert_non_null(strstr(error, "/file is no directory"));
    assert_int_equal(home_create(below("file/home"), error), UV_ENOTDIR);
    assert_non_null(strstr(error, "cannot make"));
}

static void test_a_name_stays_in_its_folder(void **state) {
    static const struct {
        const char *name;
        const char *begins; /* then comes the hash, if it is not the name itself */
    } cases[] = {
        {"api", "api"},
        {"api-2.old_x", "api-2.old_x"},
        {"m\xc3\xbc", "m\xc3\xbc"},
        {"with blank", "with blank"},
        {"../../etc/passwd", "_._.._etc_passwd"},
        {"..", "_."},
        {".", "_"},
        {"", ""},
        {"a/b", "a_b"},
        {"a\nb\x7f", "a_b_"},
    };
    char text[HOME_NAME_MAX + 16];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t length = strlen(cases[i].begins);

        home_safe_name(cases[i].name, text);
        assert_memory_equal(text, cases[i].begins, length);
        assert_null(strchr(text, '/'));
        assert_int_not_equal(text[0], '.');
        if (length > 0 && strcmp(cases[i].name, cases[i].begins) == 0)
            assert_string_equal(text, cases[i].name);
        else
            assert_int_equal(strlen(text), length + 9);
    }
}

static void test_two_names_never_share_a_file(void **state) {
    char one[HOME_NAME_MAX + 16];
    char other[HOME_NAME_MAX + 16];
    char long_name[1000];

    (void)state;
    home_safe_name("a/b", one);
    home_safe_name("a_b", other);
    assert_string_not_equal(one, other);
    home_safe_name("a\nb", other);
    assert_string_not_equal(one, other);
    memset(long_name, 'x', sizeof long_name);
    long_name[999] = '\0';
    home_safe_name(long_name, one);
    long_name[998] = 'y';
    home_safe_name(long_name, other);
    assert_string_not_equal(one, other);
    assert_int_equal(strlen(one), HOME_NAME_MAX + 9);
}

static void test_a_long_name_is_cut_between_characters(void **state) {
    char name[2 * HOME_NAME_MAX];
    char text[HOME_NAME_MAX + 16];

    (void)state;
    memset(name, 'x', sizeof name);
    strcpy(name + HOME_NAME_MAX - 1, "\xe2\x82\xac"); /* begins at the last byte that there is */
    home_safe_name(name, text);
    assert_int_equal(text[HOME_NAME_MAX - 2], 'x');
    assert_int_equal(text[HOME_NAME_MAX - 1], '-');
}

static void test_pid_files(void **state) {
    char path[HOME_FILE_MAX];
    char text[32] = "";
    FILE *file;

    (void)state;
    assert_int_equal(home_create(folder, error), 0);
    assert_int_equal(home_pid_path(folder, "api", 7, path, sizeof path), 0);
    assert_string_equal(path, below("pids/api-7.pid"));
    assert_int_equal(home_pid_path(folder, "api", 7, path, 10), UV_ENAMETOOLONG);
    assert_int_equal(home_pid_path(folder, "api", 7, path, sizeof path), 0);
    assert_int_equal(home_write_pid(path, 123456), 0);
    assert_int_equal(home_write_pid(path, 42), 0); /* shorter: nothing of the old one stays */
    file = fopen(path, "re");
    assert_non_null(file);
    assert_int_equal(fread(text, 1, sizeof text, file), 3);
    fclose(file);
    assert_string_equal(text, "42\n");
    assert_int_equal(home_write_pid(below("none/x.pid"), 1), UV_ENOENT);
    assert_int_equal(home_write_pid(below("pids/other"), 1), 0);
    home_remove_pids(folder);
    assert_int_equal(access(below("pids/api-7.pid"), F_OK), -1);
    assert_int_equal(access(below("pids/other"), F_OK), 0); /* not one of ours */
    home_remove_pid(path);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(everything_is_made_for_its_owner_alone),
        TEST(others_lose_the_right_to_write),
        TEST(another_users_home_is_refused),
        TEST(a_file_in_the_way_is_named),
        cmocka_unit_test(test_a_name_stays_in_its_folder),
        cmocka_unit_test(test_two_names_never_share_a_file),
        cmocka_unit_test(test_a_long_name_is_cut_between_characters),
        TEST(pid_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
