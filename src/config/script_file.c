#include "config/script_file.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/json_read.h"
#include "base/text.h"
#include "config/process_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#define ANSWER_DESCRIPTOR 3 /* of node: where the program below writes */

/* Answers {"value": …} or {"error": "ReferenceError: x is not defined (line 3)"}. A file that is an
 * ES module is imported, whatever its name says, for only node knows which it is. */
static const char program[] =
    "const fs = require('fs'), { pathToFileURL } = require('url');\n"
    "const file = process.argv[1];\n"
    "const answer = (object) => {\n"
    "  const bytes = Buffer.from(JSON.stringify(object));\n"
    "  for (let at = 0; at < bytes.length;) at += fs.writeSync(3, bytes, at);\n"
    "  process.exit(0);\n"
    "};\n"
    "const place = (error) => {\n"
    "  const stack = String(error && error.stack);\n"
    "  const at = stack.indexOf(file + ':');\n"
    "  const line = at < 0 ? NaN : parseInt(stack.slice(at + file.length + 1), 10);\n"
    "  return line > 0 ? ` (line ${line})` : '';\n"
    "};\n"
    "const fail = (error) => answer({ error: String(error).split('\\n')[0] + place(error) });\n"
    "const load = async () => {\n"
    "  if (file.endsWith('.mjs')) return import(pathToFileURL(file));\n"
    "  try { return require(file); } catch (error) {\n"
    "    if (error && error.code === 'ERR_REQUIRE_ESM') return import(pathToFileURL(file));\n"
    "    throw error;\n"
    "  }\n"
    "};\n"
    "const value = async () => {\n"
    "  let got = await load();\n"
    "  if (Object.prototype.toString.call(got) === '[object Module]')\n"
    "    got = got.default !== undefined ? got.default : { ...got };\n"
    "  got = await got;\n"
    "  if (typeof got === 'function') throw new Error('it exports a function');\n"
    "  return got === undefined ? null : got;\n"
    "};\n"
    "process.on('uncaughtException', fail);\n"
    "value().then((got) => answer({ value: got }), fail);\n";

static int complain(char error[SCRIPT_FILE_ERROR_MAX], int result, const char *what) {
    snprintf(error, SCRIPT_FILE_ERROR_MAX, "%s: %s", what, uv_strerror(result));
    return result;
}

/* ---- Starting node ---- */

static int set_descriptors(posix_spawn_file_actions_t *actions, int answers) {
    int result = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);

    if (result == 0)
        result = posix_spawn_file_actions_adddup2(actions, STDERR_FILENO, STDOUT_FILENO);
    if (result == 0)
        result = posix_spawn_file_actions_adddup2(actions, answers, ANSWER_DESCRIPTOR);
    return result;
}

/* What we ignore or block is not node's business. */
static int set_signals(posix_spawnattr_t *attributes) {
    sigset_t none;
    sigset_t all;
    int result;

    sigemptyset(&none);
    sigfillset(&all);
    result = posix_spawnattr_setsigmask(attributes, &none);
    if (result == 0)
        result = posix_spawnattr_setsigdefault(attributes, &all);
    if (result == 0)
        result =
            posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    return result;
}

/* 0 with *ret_pid, or an errno. */
static int spawn(const char *path, int answers, pid_t *ret_pid) {
    char name[] = "node", option[] = "-e", dashes[] = "--";
    char code[sizeof program], file[PATH_MAX];
    char *const arguments[] = {name, option, code, dashes, file, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int result = posix_spawn_file_actions_init(&actions);

    if (result != 0)
        return result;
    memcpy(code, program, sizeof program);
    snprintf(file, sizeof file, "%s", path);
    result = posix_spawnattr_init(&attributes);
    if (result == 0) {
        result = set_descriptors(&actions, answers);
        if (result == 0)
            result = set_signals(&attributes);
        if (result == 0)
            result = posix_spawnp(ret_pid, "node", &actions, &attributes, arguments, environ);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return result;
}

static int start(const char *path, pid_t *ret_pid, int *ret_answers,
                 char error[SCRIPT_FILE_ERROR_MAX]) {
    int ends[2];
    int result;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return complain(error, uv_translate_sys_error(errno), "a pipe cannot be made");
    result = spawn(path, ends[1], ret_pid);
    close(ends[1]);
    if (result == 0) {
        *ret_answers = ends[0];
        return 0;
    }
    close(ends[0]);
    if (result != ENOENT)
        return complain(error, uv_translate_sys_error(result), "node cannot be started");
    snprintf(error, SCRIPT_FILE_ERROR_MAX,
             "it is evaluated by node, which is not installed or not in PATH");
    return UV_ENOENT;
}

/* ---- Reading its answer ---- */

/* One read, at most until `deadline`: how many bytes, 0 at the end, or UV_E*. */
static ssize_t read_some(int answers, struct buffer *text, uint64_t deadline) {
    uint64_t now = clock_ms();
    struct pollfd poll_for = {.fd = answers, .events = POLLIN};
    int ready = poll(&poll_for, 1, now < deadline ? (int)(deadline - now) : 0);
    char *room;
    ssize_t count;

    if (ready == 0)
        return UV_ETIMEDOUT;
    if (ready < 0)
        return errno == EINTR ? UV_EAGAIN : uv_translate_sys_error(errno);
    room = buffer_reserve(text, 65536);
    if (!room)
        return UV_ENOMEM;
    count = read(answers, room, 65536);
    if (count < 0)
        return errno == EINTR ? UV_EAGAIN : uv_translate_sys_error(errno);
    buffer_commit(text, (size_t)count);
    return buffer_length(text) > PROCESS_FILE_SIZE_MAX ? UV_E2BIG : count;
}

static int read_answer(int answers, struct buffer *text, char error[SCRIPT_FILE_ERROR_MAX]) {
    uint64_t deadline = clock_ms() + SCRIPT_FILE_TIMEOUT_MS;
    ssize_t count;

    do
        count = read_some(answers, text, deadline);
    while (count > 0 || count == UV_EAGAIN);
    if (count == UV_ETIMEDOUT)
        snprintf(error, SCRIPT_FILE_ERROR_MAX, "node has not evaluated it in %d s",
                 SCRIPT_FILE_TIMEOUT_MS / 1000);
    else if (count == UV_E2BIG)
        snprintf(error, SCRIPT_FILE_ERROR_MAX, "what it exports is too large");
    else if (count < 0)
        complain(error, (int)count, "node's answer cannot be read");
    return (int)count;
}

/* How it ended. */
static int wait_for(pid_t pid) {
    int status = 0;

    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return status;
}

static int complain_of_end(int status, char error[SCRIPT_FILE_ERROR_MAX]) {
    if (WIFSIGNALED(status))
        snprintf(error, SCRIPT_FILE_ERROR_MAX, "node was ended by signal %d", WTERMSIG(status));
    else
        snprintf(error, SCRIPT_FILE_ERROR_MAX,
                 "node exited with code %d before the file was evaluated", WEXITSTATUS(status));
    return UV_EINVAL;
}

static int take_value(const struct buffer *text, int status, json_t **ret_value,
                      char error[SCRIPT_FILE_ERROR_MAX]) {
    json_t *answer =
        buffer_length(text) > 0 ? json_read(buffer_data(text), buffer_length(text), 0, NULL) : NULL;
    const char *sentence = json_string_value(json_object_get(answer, "error"));
    json_t *value = json_object_get(answer, "value");
    int result = 0;

    if (sentence) {
        text_escape_utf8(error, SCRIPT_FILE_ERROR_MAX, sentence, strlen(sentence));
        result = UV_EINVAL;
    } else if (value) {
        *ret_value = json_incref(value);
    } else if (buffer_length(text) > 0) {
        snprintf(error, SCRIPT_FILE_ERROR_MAX, "what it exports holds a NUL character");
        result = UV_EINVAL;
    } else {
        result = complain_of_end(status, error);
    }
    json_decref(answer);
    return result;
}

int script_file_evaluate(const char *path, json_t **ret_value, char error[SCRIPT_FILE_ERROR_MAX]) {
    struct buffer text;
    int answers = -1;
    int status;
    pid_t pid = -1;
    int result = start(path, &pid, &answers, error);

    if (result < 0)
        return result;
    buffer_init(&text);
    result = read_answer(answers, &text, error);
    close(answers);
    if (result < 0)
        kill(pid, SIGKILL);
    status = wait_for(pid);
    if (result == 0)
        result = take_value(&text, status, ret_value, error);
    buffer_clear(&text);
    return result;
}
