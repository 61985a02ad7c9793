/* Our standard output and error are pipes here, which the test reads as slowly as it likes. */
#include "master/output.h"
#include "master/output_source.h"

#include "component/loop.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static struct output output;
static struct output_source *source;
static int worker;     /* what the worker writes to */
static int readers[2]; /* of our output and error */
static int saved[2];
static char *text; /* read from our output so far */
static size_t length;
static bool closed;

static void on_closed(void *owner) {
    assert_ptr_equal(owner, &output);
    closed = true;
}

/* What we say goes into small pipes meanwhile. */
static void redirect(void) {
    fflush(stdout);
    for (int i = 0; i < 2; i++) {
        int ends[2];

        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        assert_true(fcntl(ends[1], F_SETPIPE_SZ, 16384) > 0);
        assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
        saved[i] = fcntl(STDOUT_FILENO + i, F_DUPFD_CLOEXEC, 20);
        assert_true(dup2(ends[1], STDOUT_FILENO + i) >= 0);
        close(ends[1]);
        readers[i] = ends[0];
    }
}

static void restore(void) {
    for (int i = 0; i < 2; i++) {
        dup2(saved[i], STDOUT_FILENO + i);
        close(saved[i]);
    }
}

static void start_source(uint32_t slot, bool error) {
    struct output_origin origin = {.slot = slot, .error = error};
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    worker = ends[1];
    assert_true(fcntl(worker, F_SETPIPE_SZ, 65536) > 0);
    assert_int_equal(output_source_start(&source, &loop, &output.sink, ends[0], &origin), 0);
}

static int set_up(void **state) {
    signal(SIGPIPE, SIG_IGN);
    output_init(&output, false, false);
    output.prefix = true;
    length = 0;
    closed = false;
    text = calloc(1, 4 << 20);
    return text ? loop_set_up(state) : -1;
}

static int tear_down(void **state) {
    free(text);
    return loop_tear_down(state);
}

static void read_output(int index) {
    ssize_t count;

    while ((count = read(readers[index], text + length, (4 << 20) - 1 - length)) > 0)
        length += (size_t)count;
    text[length] = '\0';
}

/* Runs the loop until as much has come of it, and then no more. */
static void pass_on(int index, size_t expected) {
    LOOP_UNTIL((read_output(index), length >= expected));
    loop_run(36);
    read_output(index);
}

static void expect(int index, const char *expected) {
    pass_on(index, strlen(expected));
    assert_string_equal(text, expected);
}

static void close_source(void) {
    output_sink_close(&output.sink, on_closed, &output);
    while (!closed)
        loop_run(1);
}

static void end(void) {
    if (worker >= 0)
        close(worker);
    restore();
    close(readers[0]);
    close(readers[1]);
}

static void test_each_line_gets_its_prefix(void **state) {
    (void)state;
    redirect();
    start_source(3, false);
    assert_int_equal(write(worker, "one\ntwo\nth", 10), 10);
    expect(0, "3 | one\n3 | two\n");
    assert_int_equal(write(worker, "ree\n\n", 5), 5);
    expect(0, "3 | one\n3 | two\n3 | three\n3 | \n");
    close_source();
    end();
}

static void test_standard_error_stays_standard_error(void **state) {
    (void)state;
    redirect();
    start_source(0, true);
    assert_int_equal(write(worker, "oops\n", 5), 5);
    expect(1, "0 | oops\n");
    length = 0;
    expect(0, "");
    close_source();
    end();
}

static void test_an_unfinished_line_comes_at_the_end(void **state) {
    (void)state;
    redirect();
    start_source(1, false);
    assert_int_equal(write(worker, "last words", 10), 10);
    loop_run(10);
    close(worker);
    worker = -1;
    loop_run(10);
    close_source();
    read_output(0);
    assert_string_equal(text, "1 | last words\n");
    end();
}

static void test_a_time_comes_first(void **state) {
    int year;
    int millisecond;
    char rest[32];

    (void)state;
    output.prefix = false;
    output.time = true;
    redirect();
    start_source(1, false);
    assert_int_equal(write(worker, "x\n", 2), 2);
    pass_on(0, 1);
    close_source();
    end();
    assert_int_equal(
        sscanf(text, "%4d-%*2d-%*2dT%*2d:%*2d:%*2d.%3d %31s", &year, &millisecond, rest), 3);
    assert_string_equal(rest, "x");
}

/* Counts what stands between the prefixes; the pieces of a long line are lines. */
static void check_long_line(size_t size) {
    size_t payload = 0;
    size_t lines = 0;
    char *line = malloc(size + 1);

    assert_non_null(line);
    memset(line, 'x', size);
    line[size] = '\n';
    length = 0;
    closed = false;
    output_init(&output, false, false);
    output.prefix = true;
    redirect();
    start_source(7, false);
    for (size_t written = 0; written <= size;) {
        ssize_t count = write(worker, line + written, size + 1 - written);

        written += count > 0 ? (size_t)count : 0;
        loop_run(1);
        read_output(0);
        assert_true(source->line.capacity <= 262144); /* bounded memory */
    }
    for (int i = 0; i < 50; i++) {
        loop_run(3);
        read_output(0);
    }
    close_source();
    read_output(0);
    end();
    for (char *start = text; *start; start = strchr(start, '\n') + 1, lines++) {
        size_t piece = strcspn(start, "\n");

        assert_memory_equal(start, "7 | ", 4);
        assert_true(piece - 4 <= OUTPUT_LINE_MAX);
        payload += piece - 4;
    }
    assert_int_equal(payload, size);
    assert_int_equal(lines, size == 0 ? 1 : (size + OUTPUT_LINE_MAX - 1) / OUTPUT_LINE_MAX);
    free(line);
}

static void test_a_long_line_is_written_in_pieces(void **state) {
    (void)state;
    check_long_line(OUTPUT_LINE_MAX - 1);
    check_long_line(OUTPUT_LINE_MAX);
    check_long_line(OUTPUT_LINE_MAX + 1);
    check_long_line(OUTPUT_LINE_MAX * 3);
    check_long_line(100000);
}

/* The worker waits as long as our reader does; nothing is lost and the loop goes on. */
static void test_a_slow_reader_slows_the_worker_and_loses_nothing(void **state) {
    unsigned written = 0;
    unsigned seen = 0;
    char line[64];
    uint64_t start = uv_hrtime();

    (void)state;
    redirect();
    start_source(0, false);
    for (int round = 0; round < 200; round++) {
        for (;;) {
            int size = snprintf(line, sizeof line, "line %08u\n", written);

            if (written == 30000 || write(worker, line, (size_t)size) != size)
                break;
            written++;
        }
        loop_run(1); /* nobody reads */
    }
    assert_true(written < 30000);
    assert_true(uv_hrtime() - start < LOOP_WAIT_MS * UINT64_C(1000000));
    while (seen < 30000 && uv_hrtime() - start < 2 * LOOP_WAIT_MS * UINT64_C(1000000)) {
        while (written < 30000) {
            int size = snprintf(line, sizeof line, "line %08u\n", written);

            if (write(worker, line, (size_t)size) != size)
                break;
            written++;
        }
        loop_run(1);
        length = 0;
        read_output(0);
        for (size_t i = 0; i < length; i++)
            seen += text[i] == '\n';
    }
    close_source();
    end();
    assert_int_equal(seen, 30000);
}

static void test_a_reader_that_is_gone_harms_nobody(void **state) {
    (void)state;
    redirect();
    close(readers[0]);
    start_source(0, false);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(write(worker, "nobody reads this\n", 18), 18);
        loop_run(1);
    }
    close_source();
    readers[0] = dup(readers[1]);
    end();
}

static void test_a_worker_that_goes_on_writing_does_not_hold_up_the_close(void **state) {
    static char flood[65536];

    (void)state;
    redirect();
    start_source(0, false);
    memset(flood, '\n', sizeof flood);
    while (write(worker, flood, sizeof flood) > 0)
        ;
    close_source();
    end();
}

static void test_a_table_stands_below_the_lines(void **state) {
    (void)state;
    redirect();
    start_source(0, false);
    output_table(&output, "a\nb\n", 4);
    output.table_lines = 2; /* as on a terminal */
    assert_int_equal(write(worker, "line\n", 5), 5);
    expect(0, "a\nb\n\r\x1b[2A\x1b[J0 | line\n");
    assert_int_equal(output.table_lines, 0);
    close_source();
    end();
}

static void test_our_own_lines_go_to_standard_error(void **state) {
    (void)state;
    redirect();
    output_log_line(&output, "[baton] hello");
    read_output(1);
    worker = -1;
    end();
    assert_string_equal(text, "[baton] hello\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(each_line_gets_its_prefix),
        TEST(standard_error_stays_standard_error),
        TEST(an_unfinished_line_comes_at_the_end),
        TEST(a_time_comes_first),
        TEST(a_long_line_is_written_in_pieces),
        TEST(a_slow_reader_slows_the_worker_and_loses_nothing),
        TEST(a_reader_that_is_gone_harms_nobody),
        TEST(a_worker_that_goes_on_writing_does_not_hold_up_the_close),
        TEST(a_table_stands_below_the_lines),
        TEST(our_own_lines_go_to_standard_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
