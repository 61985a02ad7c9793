#include "cli/show.h"

#include "cli/draw_list.h"
#include "cli/message.h"
#include "cli/terminal.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct draw_style cli_show_style(const struct cli_call *call) {
    struct terminal terminal;

    terminal_look(&terminal, STDOUT_FILENO, call->flags.no_color);
    return terminal.style;
}

int64_t cli_show_now(void) {
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* 0 or a negative errno. */
static int write_all(const char *bytes, size_t length) {
    fflush(stdout); /* what was said before stands before it */
    while (length > 0) {
        ssize_t count = write(STDOUT_FILENO, bytes, length);

        if (count < 0 && errno != EINTR)
            return -errno;
        if (count > 0) {
            bytes += count;
            length -= (size_t)count;
        }
    }
    return 0;
}

int cli_show(const struct cli_call *call, struct buffer *out, int drawn) {
    int error = drawn < 0 ? 0 : write_all(buffer_data(out), buffer_length(out));

    buffer_clear(out);
    if (drawn == -ENOMEM)
        return cli_fail_memory(call);
    if (drawn < 0)
        return cli_fail(call, "what the daemon has answered cannot be shown");
    if (error < 0 && error != -EPIPE)
        return cli_fail(call, "standard output cannot be written: %s", strerror(-error));
    return error < 0;
}

int cli_show_list(struct cli_client *client) {
    const struct cli_call *call = client->call;
    struct draw_list_options options = {.style = cli_show_style(call), .now_ms = cli_show_now()};
    json_t *processes;
    struct buffer out;
    int drawn;

    if (call->flags.silent)
        return 0;
    if (cli_client_table(client, &processes) < 0)
        return 1;
    buffer_init(&out);
    drawn = draw_list(&out, processes, &options);
    json_decref(processes);
    return cli_show(call, &out, drawn);
}
