"""Each command under Baton's own name; tests/pm2 compares the rest with pm2's."""
import json
import os
import pty
import re
import select
import signal
import subprocess
import time

import pytest

from support.clients import get
from support.ports import free_port
from support.terminal import read_terminal
from support.wait import until

IDLE = "require('net').createServer().listen(0)"


@pytest.fixture
def app(home):
    """A home with one app of two instances, called a."""
    home.write("idle.js", IDLE)
    home.start("idle.js", "-n", "a", "-i", "2")
    return home


@pytest.mark.parametrize("words", [
    ["stop", "nope"], ["restart", "nope"], ["reload", "nope"], ["delete", "nope"],
    ["describe", "nope"], ["reset", "nope"], ["scale", "nope", "2"], ["scale", "a"],
    ["scale", "a", "x"], ["scale", "a", "2"], ["sendSignal", "SIGUSR2", "nope"],
    ["sendSignal", "NOPE", "a"], ["env", "99"], ["start", "missing.js"], ["stop"], ["frobnicate"],
    ["list", "--nope"], ["start", "idle.js", "-i", "x"],
    ["start", "idle.js", "--kill-timeout", "-1"],
    ["start", "idle.js", "--max-memory-restart", "much"], ["start", "idle.js", "-n", "c",
                                                           "--cron-restart", "nonsense"],
])
def test_what_cannot_be_is_an_error(app, words):
    before = app.states()
    result = app.cli(*words).failed()
    assert result.err.strip() and len(result.err.strip().splitlines()) <= 3, str(result)
    assert app.states() == before


@pytest.mark.parametrize("words", [["pid", "nope"], ["id", "nope"], ["flush", "nope"], ["ping"],
                                   ["list"], ["ls"], ["l"], ["ps"], ["status"], ["jlist"],
                                   ["prettylist"], ["report"], ["save"], ["flush"], ["reloadLogs"],
                                   ["list", "-m"], ["list", "--sort", "name:desc"], ["env", "0"],
                                   ["describe", "a"], ["desc", "0"], ["info", "a"], ["show", "a"],
                                   ["completion"], ["completion", "bash"], ["completion", "zsh"]])
def test_what_only_tells_succeeds(app, words):
    before = app.states()
    app.cli(*words).ok()
    assert app.states() == before


@pytest.mark.parametrize("target, ids", [("a", {0, 1}), ("1", {1}), ("all", {0, 1, 2, 3}),
                                         ("/^b/", {2, 3}), ("space", {3})])
def test_targets(app, target, ids):
    app.start("idle.js", "-n", "b", "-f")
    app.start("idle.js", "-n", "bc", "-f", "--namespace", "space")
    app.cli("stop", target).ok()
    assert {one.id for one in app.jlist() if one.status == "stopped"} == ids
    app.cli("start", target).ok()
    app.wait(lambda all_: all(one.status == "online" for one in all_))
    app.cli("delete", target).ok()
    assert {one.id for one in app.jlist()} == {0, 1, 2, 3} - ids


def test_a_target_that_looks_like_an_option_or_a_path(app):
    app.start("idle.js", "-n", "x/../y", "-f")
    app.cli("stop", "x/../y").ok()
    assert app.process("x/../y").status == "stopped"
    assert all(path.parent.name in ("logs", "pids") for path in app.path.rglob("*y*"))


def test_numbers_are_not_used_again(app):
    app.cli("delete", "1").ok()
    app.cli("scale", "a", "2").ok()
    assert [one.id for one in app.jlist()] == [0, 2]


def test_several_targets_at_once(app):
    app.start("idle.js", "-n", "b", "-f")
    app.cli("stop", "0", "b").ok()
    assert [one.status for one in app.jlist()] == ["stopped", "online", "stopped"]
    app.cli("stop", "1", "nope").failed()


def test_a_script_as_a_target(app):
    """PM2's users restart app.js: all apps that run this file, where nothing is called so."""
    app.write("other.js", IDLE)
    app.start("other.js", "-n", "b")
    app.start("idle.js", "-n", "c", "-f")
    app.cli("stop", "idle.js").ok()
    assert [one.status for one in app.jlist()] == ["stopped", "stopped", "online", "stopped"]
    app.cli("restart", app.work / "idle.js", "b").ok()
    assert [(one.status, one.restarts) for one in app.jlist()] == \
        [("online", 0), ("online", 0), ("online", 1), ("online", 0)]
    app.write("unused.js", IDLE)
    app.cli("delete", "unused.js").failed()
    app.start("idle.js", "-n", "other.js", "-f")
    app.cli("delete", "./other.js", "other.js").ok()
    assert [one.name for one in app.jlist()] == ["a", "a", "c"]


def test_process_file_as_a_target(app):
    app.write("two.json", json.dumps([{"name": "x", "script": "idle.js"},
                                      {"name": "y", "script": "idle.js"}]))
    app.cli("start", "two.json").ok()
    app.cli("stop", "two.json", "--only", "x").ok()
    assert (app.process("x").status, app.process("y").status) == ("stopped", "online")
    app.cli("delete", "two.json").ok()
    assert {one.name for one in app.jlist()} == {"a"}


@pytest.mark.parametrize("name, text", [
    ("a.json", '{"name": "p", "script": "idle.js"} // one'),
    ("a.yaml", "name: p\nscript: idle.js\n"),
    ("a.yml", "- name: p\n  script: idle.js\n"),
    ("a.config.js", "module.exports = { name: 'p', script: 'idle.js' }"),
    ("a.config.cjs", "exports.apps = [{ name: 'p', script: 'idle.js' }]"),
    ("a.config.mjs", "export default { apps: [{ name: 'p', script: 'idle.js' }] }"),
])
def test_process_files(home, name, text):
    home.write("idle.js", IDLE)
    home.write(name, text)
    home.cli("start", name).ok()
    assert home.process("p").env["pm_cwd"] == str(home.work)


def test_validate(home):
    home.write("idle.js", IDLE)
    home.write("good.json", '{"name": "p", "script": "idle.js"}')
    home.write("odd.json", '{"name": "p", "script": "idle.js", "instnaces": 2}')
    home.write("bad.json", '{"name": "p", "script": "idle.js", "instances": {}}')
    home.cli("validate", "good.json").ok()
    odd = home.cli("validate", "odd.json")
    assert "instnaces" in odd.out + odd.err and "instances" in odd.out + odd.err
    bad = home.cli("validate", "bad.json").failed()
    assert "instances" in bad.err
    assert not home.daemon_pid(), "it needs no daemon"


def test_the_same_script_again(app):
    app.cli("start", "idle.js").ok()
    result = app.cli("start", "idle.js").failed()
    assert "-f" in result.err
    app.cli("start", "idle.js", "-f").ok()
    assert len(app.jlist()) == 4


@pytest.mark.parametrize("flags, mode", [([], "fork_mode"), (["-x"], "fork_mode"),
                                         (["-i", "2"], "cluster_mode")])
def test_a_program_that_serves_nobody_is_online(home, flags, mode):
    """A worker of jobs, as pm2 has it; only -i makes cluster mode of a script."""
    home.write("idle.js", "setInterval(() => {}, 1000)")
    home.cli("start", "idle.js", "-n", "a", *flags).ok()
    assert {one.status for one in home.jlist()} == {"online"}
    assert {one.env["exec_mode"] for one in home.jlist()} == {mode}


def test_describe_says_all(app):
    out = app.cli("describe", "a").ok().out
    for word in ("status", "name", "namespace", "restarts", "uptime", "script", "idle.js",
                 "interpreter", "exec mode", "created at", "policy"):
        assert word in out, word
    assert "PATH" not in out, "an environment's values are shown by `env` only"


def test_a_failed_start_shows_why(home):
    home.write("app.js", "console.error('no configuration found'); process.exit(3)")
    result = home.cli("start", "app.js", "-n", "a", "-i", "2", "--max-restarts", "0").failed()
    assert "no configuration found" in result.out + result.err


def test_env_and_secrets(home):
    home.write("idle.js", IDLE)
    home.start("idle.js", "-n", "a", env={"GREETING": "hello \x1b[31m"})
    out = home.cli("env", "0").ok().out
    assert "GREETING: hello " in out and "\x1b[31m" not in out


def test_a_wrong_signal_is_refused_before_anything_is_said(home):
    home.write("idle.js", IDLE)
    home.start("idle.js", "-n", "a")
    refused = home.cli("sendSignal", "NOPE", "a").failed()
    assert "there is no signal 'NOPE'" in refused.err and refused.out == ""


def test_send_a_line(home):
    home.write("app.js", "process.stdin.on('data', (data) => console.log(`got ${data}`))")
    home.start("app.js", "-n", "a")
    home.cli("send", "0", "some text").ok()
    until(lambda: "got some text" in home.log("a"), 10, "the line")


def test_serve_a_directory(home):
    port = free_port()
    home.write("site/index.html", "<p>hello")
    process = home.start_aside("serve", "site", port)
    until(lambda: get(port).outcome == "ok", 10, "an answer")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=40)


def test_init_writes_an_example_that_is_valid(home):
    home.cli("init").ok()
    (written,) = home.work.glob("ecosystem*")
    text = written.read_text()
    home.cli("validate", written).ok()
    home.cli("init").failed()
    assert written.read_text() == text, "what is there is not overwritten"


def test_completion_of_names_and_none_is_expanded(app):
    for name in ("my app", "$(touch pwned)", "`touch pwned`", "web"):
        app.start("idle.js", "-n", name, "-f", "--namespace", "space")
    script = app.cli("completion", "bash").ok().out + """
        baton() { "$program" "$@"; }
        try() { COMP_WORDS=(baton "$@"); COMP_CWORD=$#; _baton; printf '%s\\n' "${COMPREPLY[@]}"; }
        try stop w; try logs my; try describe '$'; try restart sp; try scale '`'; try start web
        try stop ''
    """
    asked = subprocess.run(["bash"], input=script, text=True, capture_output=True, check=False,
                           timeout=60, cwd=app.work,
                           env={**app.environment, "program": app.command[0]})
    assert asked.stderr == ""
    assert asked.stdout.splitlines()[:6] == [
        "web", "my\\ app", r"\$\(touch\ pwned\)", "space", r"\`touch\ pwned\`", "web"]
    assert {"all", "a", "0", "1", "space"} <= set(asked.stdout.splitlines()[6:])
    assert not (app.work / "pwned").exists()


def test_what_is_unknown_is_named(app):
    result = app.cli("stop", "a", "nope", "none").failed()
    assert result.err.strip() == "[baton] there is no app, namespace or process 'nope'"
    assert {one.status for one in app.jlist()} == {"online"}


def test_an_app_keeps_one_process(app):
    assert "at least one process, and a has 2" in app.cli("scale", "a", "-2").failed().err
    assert len(app.jlist()) == 2


class Screen:
    """A command on a terminal of its own."""

    def __init__(self, home, words, columns=100, lines=30, term="xterm-256color"):
        pid, self.terminal = pty.fork()
        if pid == 0:
            environment = {**home.environment, "TERM": term, "COLUMNS": str(columns),
                           "LINES": str(lines)}
            os.chdir(home.work)
            os.execve(home.command[0], [*home.command, *words], environment)
        self.pid = pid
        subprocess.run(["stty", "rows", str(lines), "cols", str(columns)], check=False,
                       stdin=self.terminal)
        os.kill(pid, signal.SIGWINCH)
        self.received = b""

    @property
    def text(self):
        """All of it: it comes in pieces that end in the middle of a character, too."""
        return self.received.decode(errors="replace")

    def read(self, word, seconds=30):
        end = time.monotonic() + seconds
        while not re.search(word, self.text):
            assert time.monotonic() < end, f"no {word!r} in {self.text[-2000:]!r}"
            if select.select([self.terminal], [], [], 0.2)[0]:
                try:
                    self.received += os.read(self.terminal, 65536)
                except OSError:
                    break
        return self.text

    def type(self, text):
        os.write(self.terminal, text.encode())

    def close(self, seconds=30):
        """Its exit code."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([self.terminal], [], [], 0.05)[0]:
                try:
                    self.received += os.read(self.terminal, 65536)
                except OSError:
                    pass
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.received += read_terminal(self.terminal)
                return os.waitstatus_to_exitcode(status)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        raise AssertionError(f"it does not end: {self.text[-1000:]!r}")


@pytest.mark.parametrize("columns", [40, 60, 80, 100, 200])
def test_the_list_fits_the_terminal(app, columns):
    screen = Screen(app, ["list"], columns)
    assert screen.close() == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.text)
    assert max(len(line.rstrip("\r")) for line in plain.split("\n")) <= columns
    assert "online" in plain and " a " in plain


def test_no_colour_in_a_pipe_and_without_a_wish_for_it(app):
    assert "\x1b" not in app.cli("list").out
    assert "\x1b" in _shown(app, ["list"])
    assert "\x1b[3" not in _shown(app, ["list", "--no-color"])
    assert "\x1b[3" not in _shown(app, ["list"], term="dumb")


def _shown(app, words, **options):
    screen = Screen(app, words, **options)
    assert screen.close() == 0
    return screen.text


@pytest.mark.parametrize("columns, lines", [(120, 40), (60, 15), (20, 5)])
def test_monit(app, columns, lines):
    screen = Screen(app, ["monit"], columns, lines)
    screen.read("a")
    time.sleep(0.5)
    screen.type("q")
    assert screen.close() == 0
    assert "\x1b[?1049l" in screen.text or "\x1b[?47l" in screen.text, "the terminal as it was"


def test_monit_needs_a_terminal(app):
    app.cli("monit").failed()


def test_silent(app):
    assert app.cli("restart", "a", "-s").ok().out == ""


def test_two_names_of_one_program(home):
    """A link named pm2 has pm2's home and messages."""
    link = home.root / "pm2"
    link.symlink_to(home.command[0])
    done = subprocess.run([link, "ping"], capture_output=True, text=True, timeout=40, check=False,
                          env={**home.environment, "PM2_HOME": str(home.path)}, cwd=home.work)
    assert (done.returncode, done.stdout.strip().splitlines()[-1]) == (0, "{ msg: 'pong' }")
