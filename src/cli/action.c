#include "cli/action.h"

#include "base/text.h"
#include "cli/message.h"
#include "cli/progress.h"
#include "cli/terminal.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void on_progress(void *owner, const json_t *data) {
    progress_step(owner, data);
}

/* A bar on a terminal alone: elsewhere the lines that follow say it all. */
static void start_progress(const struct cli_call *call, struct progress *progress) {
    struct terminal terminal;
    bool shown;

    terminal_look(&terminal, STDERR_FILENO, call->flags.no_color);
    shown = terminal.style.terminal && !call->flags.silent;
    progress_init(progress, shown ? stderr : NULL, &terminal.style);
}

/* Who presses Ctrl-C shall not believe that it was called off. */
static void on_interrupt(int number) {
    static const char text[] = "\nWhat has begun goes on in the daemon.\n";

    if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
        _exit(1);
    raise(number); /* which ends us: SA_RESETHAND */
}

/* Only where a terminal is, and where it ends us anyway. */
static void watch_interrupt(const struct cli_client *client, struct sigaction *before) {
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};

    sigaction(SIGINT, NULL, before);
    if (before->sa_handler == SIG_DFL && !client->here && isatty(STDERR_FILENO))
        sigaction(SIGINT, &action, NULL);
}

static void show_output(const json_t *lines) {
    const json_t *line;
    size_t index;

    json_array_foreach(lines, index, line) {
        const char *text = json_string_value(line);
        char safe[4096];

        text_escape_utf8(safe, sizeof safe, text ? text : "", text ? strlen(text) : 0);
        fprintf(stderr, "    %s\n", safe);
    }
}

/* A failure of a process, or of an app that never had one. */
static void fail_process(const struct cli_call *call, const json_t *process) {
    const char *name = draw_member_text(process, "name", "?");
    const char *reason = draw_member_text(process, "reason", "failed");
    long long pm_id = (long long)draw_member_number(process, "pm_id", -1);

    if (pm_id < 0)
        cli_fail(call, "[%s] %s", name, reason);
    else
        cli_fail(call, "[%s](%lld) %s", name, pm_id, reason);
}

/* The exit code. */
static int show_failed(const struct cli_call *call, const json_t *failed) {
    const json_t *process;
    size_t index;

    json_array_foreach(failed, index, process) {
        fail_process(call, process);
        show_output(json_object_get(process, "output"));
    }
    return json_array_size(failed) > 0;
}

static void show_warnings(const struct cli_call *call, const json_t *warnings) {
    const json_t *warning;
    size_t index;

    json_array_foreach(warnings, index, warning) {
        if (json_is_string(warning))
            cli_warn(call, "%s", json_string_value(warning));
    }
}

static bool has_failed(const json_t *failed, int64_t pm_id) {
    const json_t *process;
    size_t index;

    json_array_foreach(failed, index, process) {
        if (draw_member_number(process, "pm_id", -1) == pm_id)
            return true;
    }
    return false;
}

/* What a process is called now: by what was done it may have another name. */
static const char *name_of(const json_t *process, const json_t *after) {
    int64_t pm_id = draw_member_number(process, "pm_id", -1);
    const json_t *other;
    size_t index;

    json_array_foreach(after, index, other) {
        if (draw_member_number(other, "pm_id", -1) == pm_id)
            process = other;
    }
    return draw_member_text(process, "name", "?");
}

void cli_action_show_done(const struct cli_call *call, const json_t *processes,
                          const json_t *answer) {
    const json_t *failed = json_object_get(answer, "failed");
    const json_t *process;
    size_t index;

    json_array_foreach(processes, index, process) {
        int64_t pm_id = draw_member_number(process, "pm_id", -1);

        if (!has_failed(failed, pm_id))
            cli_say(call, "[%s](%lld) ✓", name_of(process, json_object_get(answer, "processes")),
                    (long long)pm_id);
    }
}

int cli_action_post(struct cli_client *client, const char *target, json_t *body,
                    json_t **ret_body) {
    const struct cli_call *call = client->call;
    struct progress progress;
    struct cli_request request = {.method = "POST",
                                  .target = target,
                                  .body = body,
                                  .on_progress = on_progress,
                                  .owner = &progress};
    struct sigaction interrupt;
    struct cli_answer answer;
    int error;
    int code;

    if (ret_body)
        *ret_body = NULL;
    if (!body)
        return cli_fail_memory(call);
    start_progress(call, &progress);
    watch_interrupt(client, &interrupt);
    error = cli_client_ask(client, &request, &answer);
    sigaction(SIGINT, &interrupt, NULL);
    progress_end(&progress);
    json_decref(body);
    if (error < 0)
        return 1;
    code = cli_answer_check(call, &answer);
    if (code == 0) {
        show_warnings(call, json_object_get(answer.body, "warnings"));
        code = show_failed(call, json_object_get(answer.body, "failed"));
        if (ret_body)
            *ret_body = json_incref(answer.body);
    }
    cli_answer_clear(&answer);
    return code;
}
