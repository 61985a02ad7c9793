/* Workers are pipes here, and sometimes processes; the files are in a directory of the test's. */
#include "daemon/app_log.h"
#include "daemon/log_tail.h"
#include "master/output_source.h"

#include "component/loop.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

/* The disk: each write to it may take some time. */
static unsigned write_delay_ms;
static unsigned slow_writes;

ssize_t write(int descriptor, const void *bytes, size_t length) {
    struct stat status;

    if (write_delay_ms && fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode)) {
        usleep(write_delay_ms * 1000);
        slow_writes++;
    }
    return syscall(SYS_write, descriptor, bytes, length);
}

static char home[64];
static struct settings settings;
static struct app_log app_log;
static char announced[1 << 20];
static size_t announced_length;
static size_t longest;
static unsigned problems;
static bool closed;
static uint32_t first_id; /* of the processes' numbers */

static uint32_t process_id(void *owner, uint32_t slot) {
    assert_ptr_equal(owner, &app_log);
    return first_id + slot;
}

/* "slot[o|e] text|" */
static void on_line(void *owner, const struct log_line *line) {
    size_t length = line->length;

    assert_ptr_equal(owner, &app_log);
    longest = length > longest ? length : longest;
    if (length > 100)
        length = 100;
    announced_length += (size_t)snprintf(
        announced + announced_length, sizeof announced - announced_length, "%u%c %.*s|", line->slot,
        line->error ? 'e' : 'o', (int)length, line->text);
}

static void on_problem(void *owner, const struct log_problem *problem) {
    (void)problem;
    assert_ptr_equal(owner, &app_log);
    problems++;
}

static void on_closed(void *owner) {
    assert_ptr_equal(owner, &app_log);
    closed = true;
}

static int set_up(void **state) {
    strcpy(home, "/tmp/app_log.XXXXXX");
    announced_length = 0;
    announced[0] = '\0';
    longest = 0;
    problems = 0;
    closed = false;
    first_id = 40;
    settings_init(&settings);
    settings.intercept = SETTINGS_INTERCEPT_NONE;
    settings.instances = 1;
    return mkdtemp(home) ? loop_set_up(state) : -1;
}

static int remove_one(const char *name, const struct stat *status, int type, struct FTW *walk) {
    (void)status;
    (void)type;
    (void)walk;
    return remove(name);
}

static int tear_down(void **state) {
    settings_clear(&settings);
    if (nftw(home, remove_one, 8, FTW_DEPTH | FTW_PHYS) < 0)
        return -1;
    return loop_tear_down(state);
}

static void start(void) {
    struct app_log_options options = {.loop = &loop,
                                      .settings = &settings,
                                      .home = home,
                                      .name = "my app",
                                      .rest_ms = 20,
                                      .process_id = process_id,
                                      .on_line = on_line,
                                      .on_problem = on_problem,
                                      .owner = &app_log};

    assert_int_equal(app_log_start(&app_log, &options), 0);
}

static void end(void) {
    app_log_close(&app_log, on_closed, &app_log);
    LOOP_UNTIL(closed);
}

/* A worker's pipe: what it writes to. */
static int start_source(uint32_t slot, bool error, pid_t pid, struct output_source **ret_source) {
    struct output_origin origin = {.slot = slot, .error = error, .pid = pid};
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(output_source_start(ret_source, &loop, &app_log.sink, ends[0], &origin), 0);
    return ends[1];
}

/* A worker that prints this and ends. */
static void print_bytes(uint32_t slot, bool error, const char *bytes, size_t length) {
    struct output_source *source;
    int worker = start_source(slot, error, 100 + (pid_t)slot, &source);

    assert_int_equal(write(worker, bytes, length), length);
    close(worker);
    output_source_release(source);
}

static void print(uint32_t slot, bool error, const char *text) {
    print_bytes(slot, error, text, strlen(text));
}

/* What is in the file HOME/NAME; the caller's to free. */
static char *read_file(const char *name, size_t *ret_length) {
    char path[256];
    size_t capacity = 1 << 16;
    size_t length = 0;
    char *text = malloc(capacity);
    gzFile file;
    int count;

    snprintf(path, sizeof path, "%s/%s", home, name);
    file = gzopen(path, "rb"); /* takes plain files, too */
    if (!file) {
        free(text);
        return NULL;
    }
    assert_non_null(text);
    while ((count = gzread(file, text + length, (unsigned)(capacity - length - 1))) > 0) {
        length += (size_t)count;
        if (length + 1 < capacity)
            continue;
        capacity *= 2;
        text = realloc(text, capacity);
        assert_non_null(text);
    }
    assert_int_equal(count, 0);
    gzclose(file);
    text[length] = '\0';
    *ret_length = length;
    return text;
}

static void check(const char *name, const char *expected) {
    size_t length;
    char *text = read_file(name, &length);

    assert_non_null(text);
    assert_string_equal(text, expected);
    free(text);
}

static bool is_there(const char *name) {
    char path[256];

    snprintf(path, sizeof path, "%s/%s", home, name);
    return access(path, F_OK) == 0;
}

static void set_path(char **field, const char *name) {
    char path[256];

    snprintf(path, sizeof path, "%s/%s", home, name);
    assert_int_equal(settings_set_text(field, path), 0);
}

/* --- names --- */

static void test_one_instance_has_files_without_number(void **state) {
    char path[PATH_MAX];
    char expected[256];

    (void)state;
    start();
    assert_true(is_there("logs/my-app-out.log"));
    assert_true(is_there("logs/my-app-error.log"));
    print(0, false, "to out\n");
    print(0, true, "to error\n");
    check("logs/my-app-out.log", "to out\n");
    check("logs/my-app-error.log", "to error\n");
    snprintf(expected, sizeof expected, "%s/logs/my-app-out.log", home);
    assert_int_equal(app_log_path(&app_log, 0, LOG_PATH_OUT, path), 0);
    assert_string_equal(path, expected);
    assert_int_equal(app_log_path(&app_log, 0, LOG_PATH_COMBINED, path), UV_ENOENT);
    end();
}

static void test_several_instances_have_the_number_of_their_process(void **state) {
    (void)state;
    settings.instances = 2;
    set_path(&settings.error_file, "own.err.log");
    start();
    print(0, false, "zero\n");
    print(1, false, "one\n");
    print(1, true, "oops\n");
    check("logs/my-app-out-40.log", "zero\n");
    check("logs/my-app-out-41.log", "one\n");
    check("own.err-41.log", "oops\n");
    end();
}

static void test_a_slot_keeps_its_file_when_others_come(void **state) {
    (void)state;
    start();
    print(0, false, "zero\n");
    assert_int_equal(app_log_resize(&app_log, 2), 0);
    assert_true(is_there("logs/my-app-out-41.log"));
    print(0, false, "still zero\n");
    print(1, false, "one\n");
    check("logs/my-app-out.log", "zero\nstill zero\n");
    check("logs/my-app-out-41.log", "one\n");
    end();
}

static void test_a_slot_that_is_taken_again_has_another_file(void **state) {
    (void)state;
    settings.instances = 2;
    start();
    print(1, false, "first\n");
    first_id = 50;
    print(1, false, "first still\n");
    assert_int_equal(app_log_resize(&app_log, 2), 0);
    print(1, false, "second\n");
    check("logs/my-app-out-41.log", "first\nfirst still\n");
    check("logs/my-app-out-51.log", "second\n");
    end();
}

static void check_mode(const char *name, mode_t mode) {
    char path[256];
    struct stat status;

    snprintf(path, sizeof path, "%s/%s", home, name);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, mode);
}

static void test_only_files_that_were_asked_for_are_for_others(void **state) {
    (void)state;
    set_path(&settings.error_file, "given.log");
    start();
    check_mode("logs", 0700);
    check_mode("logs/my-app-out.log", 0600);
    check_mode("given.log", 0640);
    end();
}

static void test_merged_logs_are_one_file_of_whole_lines(void **state) {
    struct output_source *sources[2];
    int workers[2];

    (void)state;
    settings.instances = 2;
    settings.merge_logs = true;
    start();
    for (uint32_t i = 0; i < 2; i++)
        workers[i] = start_source(i, false, 1, &sources[i]);
    assert_int_equal(write(workers[0], "ze", 2), 2);
    loop_run(10);
    assert_int_equal(write(workers[1], "one\n", 4), 4);
    loop_run(10);
    assert_int_equal(write(workers[0], "ro\nend", 6), 6);
    loop_run(10);
    close(workers[0]);
    output_source_release(sources[0]);
    assert_int_equal(write(workers[1], "last\n", 5), 5);
    close(workers[1]);
    output_source_release(sources[1]);
    check("logs/my-app-out.log", "one\nzero\nend\nlast\n");
    end();
}

static void test_no_files_where_none_are_wanted(void **state) {
    char path[PATH_MAX];

    (void)state;
    assert_int_equal(settings_set_text(&settings.out_file, "NULL"), 0);
    assert_int_equal(settings_set_text(&settings.error_file, SETTINGS_NO_FILE), 0);
    start();
    app_log_follow(&app_log, true);
    print(0, false, "nowhere\n");
    print(0, true, "nowhere\n");
    assert_string_equal(announced, "0o nowhere|0e nowhere|");
    assert_false(is_there("logs"));
    assert_int_equal(app_log_path(&app_log, 0, LOG_PATH_OUT, path), UV_ENOENT);
    end();
}

static void test_logs_are_disabled(void **state) {
    (void)state;
    settings.disable_logs = true;
    set_path(&settings.log_file, "all.log");
    start();
    print(0, false, "nowhere\n");
    assert_false(is_there("logs"));
    assert_false(is_there("all.log"));
    end();
}

static void test_the_combined_file_has_both(void **state) {
    (void)state;
    set_path(&settings.log_file, "all.log");
    start();
    print(0, false, "out\n");
    print(0, true, "error\n");
    check("all.log", "out\nerror\n");
    check("logs/my-app-out.log", "out\n");
    check("logs/my-app-error.log", "error\n");
    end();
}

static void test_out_and_error_in_one_file_have_each_line_once(void **state) {
    (void)state;
    set_path(&settings.out_file, "all.log");
    set_path(&settings.error_file, "all.log");
    set_path(&settings.log_file, "all.log");
    start();
    print(0, false, "out\n");
    print(0, true, "error\n");
    check("all.log", "out\nerror\n");
    end();
}

static void test_other_settings_give_other_files(void **state) {
    struct settings other;

    (void)state;
    start();
    print(0, false, "before\n");
    settings_init(&other);
    other.intercept = SETTINGS_INTERCEPT_NONE;
    other.instances = 1;
    set_path(&other.out_file, "new.log");
    other.log_type_json = true;
    assert_int_equal(app_log_configure(&app_log, &other), 0);
    print(0, false, "after\n");
    check("logs/my-app-out.log", "before\n");
    assert_true(is_there("new.log"));
    end();
    settings_clear(&other);
}

/* --- formats --- */

static void test_raw_bytes_are_written_as_they_come(void **state) {
    struct output_source *source;
    char *text;
    size_t length;
    int worker;

    (void)state;
    start();
    worker = start_source(0, false, 1, &source);
    assert_int_equal(write(worker, "a\0b\xff\x1b[0m no end", 15), 15);
    loop_run(10); /* it is there before its line has ended */
    text = read_file("logs/my-app-out.log", &length);
    assert_int_equal(length, 15);
    assert_memory_equal(text, "a\0b\xff\x1b[0m no end", 15);
    free(text);
    close(worker);
    output_source_release(source);
    end();
}

static void test_each_line_gets_the_date(void **state) {
    (void)state;
    assert_int_equal(settings_set_text(&settings.log_date_format, "[date]"), 0);
    start();
    print(0, false, "one\n\ntwo\nno end");
    print(0, false, "three\n");
    check("logs/my-app-out.log", "date: one\ndate: \ndate: two\ndate: no end\ndate: three\n");
    end();
}

static void test_time_is_a_date_format(void **state) {
    char *text;
    size_t length;
    int year;
    char line[8];

    (void)state;
    settings.time = true;
    start();
    print(0, true, "x\n");
    text = read_file("logs/my-app-error.log", &length);
    assert_int_equal(sscanf(text, "%4d-%*2d-%*2dT%*2d:%*2d:%*2d: %7s", &year, line), 2);
    assert_string_equal(line, "x");
    free(text);
    end();
}

static void test_json_lines(void **state) {
    static const char head[] =
        "{\"message\":\"say \\\"hi\\\"\\n\",\"timestamp\":\"when\",\"type\":\"err\","
        "\"process_id\":40,\"app_name\":\"my app\"}\n";
    char expected[512];

    (void)state;
    settings.log_type_json = true;
    assert_int_equal(settings_set_text(&settings.log_date_format, "[when]"), 0);
    start();
    print(0, true, "say \"hi\"\n\xff");
    snprintf(expected, sizeof expected, "%s%s", head,
             "{\"message\":\"\xef\xbf\xbd\",\"timestamp\":\"when\",\"type\":\"err\","
             "\"process_id\":40,\"app_name\":\"my app\"}\n");
    check("logs/my-app-error.log", expected);
    end();
}

/* --- followers --- */

static void test_lines_are_announced_only_while_somebody_follows(void **state) {
    struct output_source *source;
    int worker;

    (void)state;
    start();
    worker = start_source(0, false, 1, &source);
    assert_int_equal(write(worker, "unheard\n", 8), 8);
    loop_run(10);
    app_log_follow(&app_log, true);
    assert_int_equal(write(worker, "one\ntw", 6), 6);
    loop_run(10);
    assert_string_equal(announced, "0o one|");
    assert_int_equal(write(worker, "o\n\nbad \xff\n", 9), 9);
    loop_run(10);
    assert_string_equal(announced, "0o one|0o two|0o |0o bad \xef\xbf\xbd|");
    app_log_follow(&app_log, false);
    assert_int_equal(write(worker, "unheard\n", 8), 8);
    loop_run(10);
    app_log_follow(&app_log, true);
    assert_int_equal(write(worker, "no end", 6), 6);
    close(worker);
    output_source_release(source);
    assert_string_equal(announced, "0o one|0o two|0o |0o bad \xef\xbf\xbd|0o no end|");
    check("logs/my-app-out.log", "unheard\none\ntwo\n\nbad \xff\nunheard\nno end");
    end();
}

/* Twenty megabytes without a newline, in every format: all of it in the files, in bounded memory.
 */
static void pass_giant_line(const char *file, size_t least) {
    static char block[65536];
    struct output_source *source;
    struct stat status;
    char path[256];
    size_t written = 0;
    int worker;

    start();
    app_log_follow(&app_log, true);
    worker = start_source(0, false, 1, &source);
    assert_int_equal(fcntl(worker, F_SETFL, O_NONBLOCK), 0);
    memset(block, 'x', sizeof block);
    while (written < 20 << 20) {
        ssize_t count = write(worker, block, sizeof block);

        written += count > 0 ? (size_t)count : 0;
        loop_run(0);
        assert_true(source->line.capacity <= 524288);
        assert_true(app_log.lines.capacity <= 2097152 && app_log.text.capacity <= 2097152);
        announced_length = 0;
    }
    close(worker);
    output_source_release(source);
    LOOP_UNTIL(list_empty(&app_log.sink.sources));
    snprintf(path, sizeof path, "%s/%s", home, file);
    assert_int_equal(stat(path, &status), 0);
    assert_true((size_t)status.st_size >= written + least);
    assert_true(longest <= 3 * 65536 + 262144);
    end();
    closed = false;
    assert_int_equal(unlink(path), 0);
}

static void test_a_giant_line_takes_no_giant_memory(void **state) {
    (void)state;
    settings.max_log_size = 0;
    pass_giant_line("logs/my-app-out.log", 0);
    assert_int_equal(settings_set_text(&settings.log_date_format, "[date]"), 0);
    pass_giant_line("logs/my-app-out.log", 7);
    settings.log_type_json = true;
    pass_giant_line("logs/my-app-out.log", 50);
}

/* --- the last lines --- */

static void check_last(uint32_t slot, pid_t pid, const char *expected) {
    struct buffer text;

    buffer_init(&text);
    assert_int_equal(app_log_last_lines(&app_log, slot, pid, &text), 0);
    assert_int_equal(buffer_length(&text), strlen(expected));
    if (expected[0])
        assert_memory_equal(buffer_data(&text), expected, strlen(expected));
    buffer_clear(&text);
}

static void test_the_last_lines_are_kept_per_worker(void **state) {
    struct output_source *source;
    int worker;

    (void)state;
    start();
    check_last(0, 0, "");
    check_last(7, 0, "");
    print(0, false, "to out");
    print(0, true, "to error\nbad \xff");
    check_last(0, 0, "to out\nto error\nbad \xef\xbf\xbd\n");
    check_last(0, 100, "to out\nto error\nbad \xef\xbf\xbd\n");
    check_last(0, 200, "");
    worker = start_source(0, false, 200, &source);
    assert_int_equal(write(worker, "the new one\n", 12), 12);
    close(worker);
    output_source_release(source);
    check_last(0, 200, "the new one\n");
    check_last(0, 0, "the new one\n");
    check_last(0, 100, "to out\nto error\nbad \xef\xbf\xbd\n");
    end();
}

static void test_of_many_lines_the_last_are_kept(void **state) {
    char lines[30000];
    char expected[2000];
    size_t length = 0;
    size_t size = 0;

    (void)state;
    for (int i = 0; i < 1000; i++)
        length += (size_t)sprintf(lines + length, "line %d\n", i);
    for (int i = 980; i < 1000; i++)
        size += (size_t)sprintf(expected + size, "line %d\n", i);
    start();
    print_bytes(0, false, lines, length);
    check_last(0, 0, expected);
    memset(lines, 'x', 10000); /* a line longer than what is kept */
    print_bytes(0, false, lines, 10000);
    {
        struct buffer text;

        buffer_init(&text);
        assert_int_equal(app_log_last_lines(&app_log, 0, 0, &text), 0);
        assert_int_equal(buffer_length(&text), 4097);
        buffer_clear(&text);
    }
    end();
}

/* --- ends --- */

/* The worker is gone, its child prints on. */
static void test_a_descendant_that_keeps_the_pipe_is_heard(void **state) {
    struct output_source *source;
    int worker;

    (void)state;
    start();
    worker = start_source(0, false, 1, &source);
    assert_int_equal(write(worker, "the worker\n", 11), 11);
    output_source_release(source);
    check("logs/my-app-out.log", "the worker\n");
    assert_int_equal(write(worker, "its child\n", 10), 10);
    loop_run(20);
    check("logs/my-app-out.log", "the worker\nits child\n");
    assert_false(list_empty(&app_log.sink.sources));
    close(worker);
    LOOP_UNTIL(list_empty(&app_log.sink.sources));
    end();
}

static void test_closing_reads_what_a_descendant_has_printed(void **state) {
    struct output_source *source;
    int worker;

    (void)state;
    start();
    worker = start_source(0, false, 1, &source);
    output_source_release(source);
    assert_int_equal(write(worker, "last words", 10), 10);
    end();
    check("logs/my-app-out.log", "last words");
    close(worker);
}

/* All that a pipe held when its worker crashed. */
static void test_crash_output_is_not_lost(void **state) {
    static char flood[65536];
    struct output_source *source;
    struct stat status;
    char path[256];
    int worker;

    (void)state;
    start();
    worker = start_source(0, true, 1, &source);
    memset(flood, '!', sizeof flood);
    assert_int_equal(write(worker, flood, sizeof flood), sizeof flood);
    close(worker);
    output_source_release(source); /* before the loop has looked once */
    snprintf(path, sizeof path, "%s/logs/my-app-error.log", home);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_size, sizeof flood);
    end();
}

static void test_a_worker_that_closes_its_output_lives_on(void **state) {
    struct output_source *source;
    int worker;

    (void)state;
    start();
    worker = start_source(0, false, 1, &source);
    close(worker);
    loop_run(20);
    assert_false(list_empty(&app_log.sink.sources));
    output_source_release(source);
    LOOP_UNTIL(list_empty(&app_log.sink.sources));
    end();
}

/* --- files --- */

static void test_flushing_and_reopening(void **state) {
    char old[256];
    char new[256];

    (void)state;
    start();
    print(0, false, "one\n");
    print(0, true, "one\n");
    app_log_flush(&app_log);
    check("logs/my-app-out.log", "");
    check("logs/my-app-error.log", "");
    print(0, false, "two\n");
    snprintf(old, sizeof old, "%s/logs/my-app-out.log", home);
    snprintf(new, sizeof new, "%s/moved", home);
    assert_int_equal(rename(old, new), 0);
    app_log_reopen(&app_log);
    print(0, false, "three\n");
    check("moved", "two\n");
    check("logs/my-app-out.log", "three\n");
    end();
}

static void test_a_file_that_cannot_be_written_slows_nobody(void **state) {
    (void)state;
    assert_int_equal(settings_set_text(&settings.out_file, "/dev/full"), 0);
    assert_int_equal(settings_set_text(&settings.error_file, "/dev/./full"), 0);
    start();
    app_log_follow(&app_log, true);
    for (int i = 0; i < 100; i++)
        print(0, i % 2, "x\n");
    assert_int_equal(announced_length, 500);
    assert_int_equal(problems, 1); /* not of each file */
    assert_int_equal(app_log_configure(&app_log, &settings), 0);
    print(0, false, "x\n");
    assert_int_equal(problems, 1);
    end();
}

/* A worker that prints as fast as it can would have us wait for the disk all the time. */
static void test_a_slow_disk_slows_the_worker_and_not_us(void **state) {
    static char block[65536];
    struct output_source *source;
    size_t written = 0;
    size_t length;
    char *text;
    uint64_t start_ns;
    uint64_t passed_ms;
    int worker;

    (void)state;
    settings.max_log_size = 0;
    start();
    worker = start_source(0, false, 1, &source);
    assert_int_equal(fcntl(worker, F_SETFL, O_NONBLOCK), 0);
    memset(block, '\n', sizeof block);
    write_delay_ms = 60;
    slow_writes = 0;
    start_ns = uv_hrtime();
    while (slow_writes < 3) {
        ssize_t count = write(worker, block, sizeof block);

        written += count > 0 ? (size_t)count : 0;
        loop_run(1);
    }
    passed_ms = (uv_hrtime() - start_ns) / 1000000;
    assert_true(slow_writes * write_delay_ms * 4 < passed_ms);
    assert_true(source->line.capacity <= 524288);
    write_delay_ms = 0;
    close(worker);
    output_source_release(source);
    end();
    text = read_file("logs/my-app-out.log", &length);
    assert_int_equal(length, written);
    free(text);
}

#define NUMBERED_LINES 300000

/* A worker of its own, which writes as fast as it may. */
static pid_t start_numbering(int descriptor) {
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    for (unsigned i = 0; i < NUMBERED_LINES; i += 10) {
        char lines[400];
        size_t length = 0;

        for (unsigned j = i; j < i + 10; j++)
            length += (size_t)sprintf(lines + length, "%u %.*s\n", j, (int)(j % 20),
                                      "....................");
        if (write(descriptor, lines, length) != (ssize_t)length)
            _exit(1);
    }
    _exit(0);
}

/* Reads the file's lines, which are to go on with number *next. */
static bool check_numbers(const char *name, unsigned *next) {
    size_t length;
    char *text = read_file(name, &length);

    if (!text)
        return false;
    for (char *line = text, *newline; (newline = strchr(line, '\n')); line = newline + 1) {
        char *rest;

        assert_int_equal(strtoul(line, &rest, 10), *next);
        assert_int_equal(newline - rest, 1 + *next % 20);
        ++*next;
    }
    assert_true(length == 0 || text[length - 1] == '\n');
    free(text);
    return true;
}

/* With rotation, compression and a follower that comes and goes. */
static void test_no_line_is_lost_or_doubled_by_rotation(void **state) {
    struct output_source *source;
    unsigned next = 0;
    unsigned compressed = 0;
    unsigned files = 0;
    pid_t pid;
    int worker;
    int status;

    (void)state;
    settings.max_log_size = 100000;
    settings.log_keep = 100;
    start();
    worker = start_source(0, false, 1, &source);
    pid = start_numbering(worker);
    close(worker);
    while (!source->ended) {
        app_log_follow(&app_log, files++ % 2);
        announced_length = 0;
        loop_run(3);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    output_source_release(source);
    LOOP_UNTIL(is_there("logs/my-app-out.log.1.gz"));
    end();
    files = 0;
    for (unsigned number = 100; number > 0; number--) {
        char name[64];

        snprintf(name, sizeof name, "logs/my-app-out.log.%u.gz", number);
        if (check_numbers(name, &next)) {
            compressed++;
            files++;
            continue;
        }
        snprintf(name, sizeof name, "logs/my-app-out.log.%u", number);
        files += check_numbers(name, &next);
    }
    assert_true(check_numbers("logs/my-app-out.log", &next));
    assert_int_equal(next, NUMBERED_LINES);
    assert_true(files > 40);
    assert_true(compressed > 0);
    assert_false(is_there("logs/my-app-out.log.compressing"));
}

/* --- log_tail --- */

struct tail_result {
    bool done;
    int result;
    char text[4096];
};

static void on_tail(void *owner, struct log_tail *tail) {
    struct tail_result *result = owner;

    result->done = true;
    result->result = tail->result;
    snprintf(result->text, sizeof result->text, "%.*s", (int)buffer_length(&tail->text),
             tail->text.bytes ? buffer_data(&tail->text) : "");
}

static void test_the_tail_goes_back_over_compressed_files(void **state) {
    struct tail_result tail = {.done = false};
    char path[256];
    struct log_tail_wish wish = {.path = path, .lines = 4};

    (void)state;
    settings.max_log_size = 8;
    start();
    print(0, false, "aaa\nbbb\nccc\nddd\neee\n");
    LOOP_UNTIL(is_there("logs/my-app-out.log.1.gz") && is_there("logs/my-app-out.log.2.gz"));
    end();
    snprintf(path, sizeof path, "%s/logs/my-app-out.log", home);
    assert_int_equal(log_tail_look(path, &wish.end), 0);
    assert_int_equal(log_tail_start(&loop, &wish, on_tail, &tail), 0);
    LOOP_UNTIL(tail.done);
    assert_int_equal(tail.result, 0);
    assert_string_equal(tail.text, "bbb\nccc\nddd\neee\n");
    tail.done = false;
    wish.path = "/tmp/there is no such file";
    assert_int_equal(log_tail_start(&loop, &wish, on_tail, &tail), 0);
    LOOP_UNTIL(tail.done);
    assert_int_equal(tail.result, UV_ENOENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(one_instance_has_files_without_number),
        TEST(several_instances_have_the_number_of_their_process),
        TEST(a_slot_keeps_its_file_when_others_come),
        TEST(a_slot_that_is_taken_again_has_another_file),
        TEST(only_files_that_were_asked_for_are_for_others),
        TEST(merged_logs_are_one_file_of_whole_lines),
        TEST(no_files_where_none_are_wanted),
        TEST(logs_are_disabled),
        TEST(the_combined_file_has_both),
        TEST(out_and_error_in_one_file_have_each_line_once),
        TEST(other_settings_give_other_files),
        TEST(raw_bytes_are_written_as_they_come),
        TEST(each_line_gets_the_date),
        TEST(time_is_a_date_format),
        TEST(json_lines),
        TEST(lines_are_announced_only_while_somebody_follows),
        TEST(a_giant_line_takes_no_giant_memory),
        TEST(the_last_lines_are_kept_per_worker),
        TEST(of_many_lines_the_last_are_kept),
        TEST(a_descendant_that_keeps_the_pipe_is_heard),
        TEST(closing_reads_what_a_descendant_has_printed),
        TEST(crash_output_is_not_lost),
        TEST(a_worker_that_closes_its_output_lives_on),
        TEST(flushing_and_reopening),
        TEST(a_file_that_cannot_be_written_slows_nobody),
        TEST(a_slow_disk_slows_the_worker_and_not_us),
        TEST(no_line_is_lost_or_doubled_by_rotation),
        TEST(the_tail_goes_back_over_compressed_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
