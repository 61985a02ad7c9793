/* What it costs the master to take what workers print: CPU seconds per GB, all threads of it.
 *
 *   log_cost [MEGABYTES [BYTES_PER_WRITE [FORMAT]]]
 *
 * Two processes print lines of 100 bytes, BYTES_PER_WRITE at a time (100: a system call a line),
 * together at 100 MB/s at most, into log files that rotate as usual; raw, dated, as JSON, and raw
 * with somebody who follows. Everything is in a directory of its own under TMPDIR or /tmp. */
#include "base/clock.h"
#include "daemon/app_log.h"
#include "master/output_source.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINE        100
#define WRITERS     2
#define MB          1000000.0
#define RATE        50 /* MB/s of each */
#define LARGEST     65536
#define SECONDS_MAX 120

struct run {
    const char *name;
    bool json;
    bool follow;
    char *date_format;
};

struct bench {
    uv_loop_t loop;
    struct app_log log;
    uv_timer_t look;
    uint64_t started_ms;
    uint64_t announced;
    unsigned closed;
};

static char home[256];

static void print_lines(int descriptor, uint64_t bytes, size_t size) {
    static char block[LARGEST];
    uint64_t start = clock_ns();
    uint64_t done = 0;

    memset(block, 'x', sizeof block);
    for (size_t i = LINE - 1; i < sizeof block; i += LINE)
        block[i] = '\n';
    size -= size % LINE;
    while (done < bytes) {
        uint64_t due = start + done * 1000 / RATE;
        ssize_t written = write(descriptor, block, size);

        if (written <= 0)
            _exit(1);
        done += (uint64_t)written;
        if (due > clock_ns() + 1000000)
            usleep(1000);
    }
    _exit(0);
}

static int start_writer(struct bench *bench, uint32_t slot, uint64_t bytes, size_t size) {
    struct output_origin origin = {.slot = slot};
    struct output_source *source;
    int ends[2];
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) < 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0)
        return -1;
    pid = fork();
    if (pid == 0) {
        close(ends[0]);
        print_lines(ends[1], bytes, size);
    }
    close(ends[1]);
    origin.pid = pid;
    return pid < 0 ? -1
                   : output_source_start(&source, &bench->loop, &bench->log.sink, ends[0], &origin);
}

static uint32_t process_id(void *owner, uint32_t slot) {
    (void)owner;
    return slot;
}

static void on_line(void *owner, const struct log_line *line) {
    struct bench *bench = owner;

    bench->announced += line->length;
}

static void on_problem(void *owner, const struct log_problem *problem) {
    (void)owner;
    fprintf(stderr, "cannot %s %s: %s\n", problem->action, problem->path,
            uv_strerror(problem->error));
}

static void on_look(uv_timer_t *timer) {
    struct bench *bench = timer->data;
    int status;

    while (waitpid(-1, &status, WNOHANG) > 0)
        bench->closed++;
    if (bench->closed < WRITERS && clock_ms() - bench->started_ms < SECONDS_MAX * 1000)
        return;
    uv_close((uv_handle_t *)timer, NULL);
    app_log_close(&bench->log, NULL, NULL);
}

static double cpu_seconds(void) {
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static int measure(const struct run *run, uint64_t bytes, size_t size) {
    struct bench bench = {.closed = 0};
    struct settings settings;
    struct app_log_options options = {.loop = &bench.loop,
                                      .settings = &settings,
                                      .home = home,
                                      .name = run->name,
                                      .process_id = process_id,
                                      .on_line = on_line,
                                      .on_problem = on_problem,
                                      .owner = &bench};
    double cpu;
    double seconds;

    settings_init(&settings);
    settings.instances = WRITERS;
    settings.log_type_json = run->json;
    settings.log_date_format = run->date_format;
    if (uv_loop_init(&bench.loop) < 0 || app_log_start(&bench.log, &options) < 0)
        return 1;
    app_log_follow(&bench.log, run->follow);
    for (uint32_t slot = 0; slot < WRITERS; slot++)
        if (start_writer(&bench, slot, bytes / WRITERS, size) < 0)
            return 1;
    uv_timer_init(&bench.loop, &bench.look);
    bench.look.data = &bench;
    uv_timer_start(&bench.look, on_look, 20, 20);
    bench.started_ms = clock_ms();
    cpu = cpu_seconds();
    uv_run(&bench.loop, UV_RUN_DEFAULT);
    cpu = cpu_seconds() - cpu;
    seconds = (double)(clock_ms() - bench.started_ms) / 1000;
    printf("%-10s %8.2f %8.0f %10.0f\n", run->name, cpu / ((double)bytes / 1e9),
           (double)bytes / MB / seconds, (double)bench.announced / MB);
    fflush(stdout);
    uv_loop_close(&bench.loop);
    settings.log_date_format = NULL;
    settings_clear(&settings);
    return 0;
}

static int remove_one(const char *name, const struct stat *status, int type, struct FTW *walk) {
    (void)status;
    (void)type;
    (void)walk;
    return remove(name);
}

int main(int count, char **arguments) {
    static char date_format[] = "YYYY-MM-DD HH:mm:ss.SSS Z";
    static const struct run runs[] = {{.name = "raw"},
                                      {.name = "dated", .date_format = date_format},
                                      {.name = "json", .json = true},
                                      {.name = "followed", .follow = true}};
    uint64_t bytes = (uint64_t)((count > 1 ? atof(arguments[1]) : 1000) * MB);
    long size = count > 2 ? atol(arguments[2]) : 4096;
    const char *directory = getenv("TMPDIR");
    int result = 0;

    if (size < LINE || size > LARGEST || bytes == 0 || bytes > (uint64_t)(10000 * MB)) {
        fprintf(stderr, "usage: log_cost [MEGABYTES [BYTES_PER_WRITE [FORMAT]]]\n");
        return 2;
    }
    snprintf(home, sizeof home, "%s/log_cost.XXXXXX", directory ? directory : "/tmp");
    if (!mkdtemp(home))
        return 1;
    printf("format     cpu s/GB     MB/s  announced MB\n");
    for (size_t i = 0; i < sizeof runs / sizeof runs[0] && result == 0; i++)
        if (count < 4 || strcmp(arguments[3], runs[i].name) == 0)
            result = measure(&runs[i], bytes, (size_t)size);
    nftw(home, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return result;
}
