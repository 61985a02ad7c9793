#include "cli/daemon_end.h"

#include "cli/action.h"
#include "cli/message.h"

#include <errno.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Its answer comes before its end; how long its end takes after that. */
#define END_TIMEOUT_MS 30000

/* A descriptor of the daemon's process, which is readable once it has ended; -1 when that is not to
 * be had. */
static int open_process(const struct cli_client *client) {
    int64_t pid = draw_member_number(client->about, "pid", 0);

    return pid > 0 ? (int)syscall(SYS_pidfd_open, (pid_t)pid, 0) : -1;
}

static int wait_for_end(const struct cli_call *call, int process) {
    struct pollfd waited = {.fd = process, .events = POLLIN};
    int count;

    do {
        count = poll(&waited, process >= 0 ? 1 : 0, process >= 0 ? END_TIMEOUT_MS : 0);
    } while (count < 0 && errno == EINTR);
    if (process >= 0 && count == 0)
        return cli_fail(call, "the daemon has stopped its apps, but has not ended");
    return 0;
}

int cli_daemon_end(struct cli_client *client) {
    int process = open_process(client);
    json_t *answer;
    int code = cli_action_post(client, "/v1/kill", json_object(), &answer);

    cli_action_show_done(client->call, json_object_get(answer, "processes"), answer);
    json_decref(answer);
    if (code == 0)
        code = wait_for_end(client->call, process);
    if (process >= 0)
        close(process);
    return code;
}
