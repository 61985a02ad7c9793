"""monit on a real terminal (tmux), against a daemon with canned answers."""
import itertools
import os
import re
import shlex
import shutil
import signal
import subprocess

import pytest

from support.fake_daemon import FakeDaemon, process, sample
from support.primary import BATON
from support.wait import until

if not shutil.which("tmux"):
    pytest.skip("tmux is not installed", allow_module_level=True)


class Screen:
    """A terminal of some size with a shell script in it."""

    def __init__(self, directory, script, columns, rows, environment):
        self._tmux = ["tmux", "-S", str(directory / "tmux"), "-f", "/dev/null"]
        exports = " ".join(f"{name}={shlex.quote(value)}" for name, value in environment.items())
        self._run("new-session", "-d", "-x", str(columns), "-y", str(rows),
                  f"env {exports} sh -c {shlex.quote(script)}")

    def _run(self, *arguments):
        return subprocess.run([*self._tmux, *arguments], check=True, capture_output=True,
                              timeout=30, encoding="utf-8").stdout

    def press(self, *keys):
        self._run("send-keys", *keys)

    def resize(self, columns, rows):
        self._run("resize-window", "-x", str(columns), "-y", str(rows))

    def text(self, colours=False):
        return self._run("capture-pane", "-p", *(["-e"] if colours else []))

    def shows(self, *patterns, without=()):
        """Waits for a screen that has each of these regular expressions and none of the others,
        and answers it. One screen has to have them all: a terminal can be looked at while it is
        being drawn, when its upper half is already new and its lower half still old."""
        seen = [""]

        def there():
            seen[0] = self.text()
            return (all(re.search(pattern, seen[0]) for pattern in patterns)
                    and not any(re.search(pattern, seen[0]) for pattern in without))

        until(there, 10, lambda: f"not on one screen: {patterns} without {without}\n{seen[0]}")
        return seen[0]

    def close(self):
        subprocess.run([*self._tmux, "kill-server"], check=False, capture_output=True, timeout=10)


@pytest.fixture
def daemon(tmp_path):
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    with FakeDaemon(home / "control.sock", sample()) as fake:
        fake.history = [(0, "it was said before")]
        yield fake


@pytest.fixture
def monit(tmp_path, daemon):
    """Starts `baton monit` in a terminal; afterwards the shell says its exit code and whether the
    terminal is set as it was."""
    screens = []

    def start(columns=80, rows=24, **environment):
        script = (f"trap : INT; stty -g > before; echo $$ > shell; {shlex.quote(BATON)} monit;"
                  "echo code=$?; stty -g > after; cmp before after && echo terminal=same; exec sleep 60")
        environment = {"BATON_HOME": str(tmp_path / "home"), "LC_ALL": "C.UTF-8",
                       "TERM": "screen-256color", **environment}
        screens.append(Screen(tmp_path, f"cd {tmp_path}; {script}", columns, rows, environment))
        return screens[-1]

    yield start
    for screen in screens:
        screen.close()


def is_left(screen, code):
    return screen.shows(r"terminal=same", rf"code={code}\n")


def pid_of_monit(tmp_path):
    shell = (tmp_path / "shell").read_text().strip()
    children = subprocess.run(["ps", "-o", "pid=,comm=", "--ppid", shell], check=True,
                              capture_output=True, encoding="utf-8").stdout.split("\n")
    return int(next(line.split()[0] for line in children if "baton" in line))


@pytest.mark.parametrize("columns, rows", [(80, 24), (40, 12), (200, 60)])
def test_apps_output_and_details_at_every_size(monit, columns, rows):
    screen = monit(columns, rows)
    text = screen.shows(r"it was said before", r"▾ api 2/4", r"output of api",
                        r"api  4 processes, 2 online", r"q quit")
    assert all(len(line) <= columns for line in text.split("\n"))
    screen.press("q")
    is_left(screen, 0)


def test_bars_of_connections_cpu_and_memory(monit):
    monit(120, 30).shows(r"(?m)^    1 +█+░* +5 +█+░* +8% █+░* +50\.7mb",
                         r"errored: exited with code 1 after 80 ms")


def test_resized_while_it_runs(monit):
    screen = monit(80, 24)
    screen.shows(r"│ output of api")
    screen.resize(40, 12)
    text = screen.shows(r"(?m)^output of api", r"q quit")
    assert len(text.rstrip("\n").split("\n")) <= 12
    screen.resize(200, 60)
    screen.shows(r"│ output of api")
    screen.press("q")
    is_left(screen, 0)


def test_output_comes_as_it_is_printed_and_cannot_move_the_cursor(monit, daemon):
    screen = monit()
    screen.shows(r"api 2/4")
    until(lambda: daemon.followers, 10, "nobody follows the events")
    daemon.log(1, "\x1b[31mred\x1b[0m and \x1b[2Jevil")
    screen.shows(r"1\|red and \\x1b\[2Jevil")
    daemon.log(5, "of another app")
    daemon.log(0, "the end")
    screen.shows(r"0\|the end", without=[r"of another app"])


def test_a_flood_of_output_does_not_stop_the_keys(monit, daemon):
    screen = monit()
    screen.shows(r"api 2/4")
    until(lambda: daemon.followers, 10, "nobody follows the events")
    for i in range(20_000):
        daemon.log(0, f"line {i} of many")
    screen.press("q")
    is_left(screen, 0)


def test_figures_are_asked_for_again_and_again(monit, daemon):
    screen = monit()
    screen.shows(r"api 2/4")
    daemon.processes = [process(0, "later")]
    screen.shows(r"later")
    daemon.processes = []
    screen.shows(r"no apps")


def test_keys_act_on_what_is_chosen(monit, daemon):
    screen = monit()
    screen.shows(r"output of api\s")
    screen.press("l")
    screen.shows(r"reload api: done")
    screen.press("Down")
    screen.shows(r"output of api \(0\)")
    screen.press("r")
    screen.shows(r"restart api \(0\): done")
    screen.press("+")
    screen.shows(r"scale api \(0\): done")
    screen.press("s")
    screen.shows(r"stop api \(0\)\? y or n")
    screen.press("y")
    screen.shows(r"stop api \(0\): done")
    assert daemon.actions == [
        ("/v1/actions/reload", {"targets": ["0", "1", "2", "3"]}),
        ("/v1/actions/restart", {"targets": ["0"]}),
        ("/v1/actions/scale", {"targets": ["api"], "instances": "+1"}),
        ("/v1/actions/stop", {"targets": ["0"]})]


def test_what_is_refused_is_said(monit, daemon):
    daemon.failure = (409, "busy", "api is being reloaded")
    screen = monit()
    screen.shows(r"output of api\s")
    screen.press("r")
    screen.shows(r"restart api: api is being reloaded")


def test_enter_folds(monit):
    screen = monit()
    screen.shows(r"▾ api 2/4")
    screen.press("Enter")
    screen.shows(r"▸ api 2/4", without=[r"launching"])
    screen.press("?")
    screen.shows(r"any of them leaves this page")
    screen.press("x")
    screen.shows(r"▸ api 2/4")


def test_a_monochrome_terminal_in_ascii(monit):
    screen = monit(TERM="vt100", LC_ALL="C")
    text = screen.shows(r"api 2/4")
    assert text.isascii(), text
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]", screen.text(colours=True))
    screen.press("q")
    is_left(screen, 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_leave_the_terminal_as_it_was(monit, tmp_path, number):
    screen = monit()
    screen.shows(r"api 2/4")
    os.kill(pid_of_monit(tmp_path), number)
    is_left(screen, 0)


def test_control_c(monit):
    screen = monit()
    screen.shows(r"api 2/4")
    screen.press("C-c")
    is_left(screen, 0)


def test_a_daemon_that_ends_is_waited_for(monit, daemon):
    screen = monit()
    screen.shows(r"api 2/4")
    daemon.end()
    screen.shows(r"the daemon has ended; waiting for it")
    os.unlink(daemon.path)
    with FakeDaemon(daemon.path, [process(0, "another")]) as other:
        other.history = [(0, "said by the other one")]
        screen.shows(r"said by the other one", r"  another ", without=[r"has ended"])
    screen.press("q")
    is_left(screen, 0)


def test_a_daemon_that_does_not_answer_is_said_to(monit, daemon):
    screen = monit()
    screen.shows(r"api 2/4")
    with daemon.silence():
        screen.shows(r"no answer from the daemon for \d+ s")
    screen.shows(r"\? help  q quit")
    screen.press("q")
    is_left(screen, 0)


def test_clients_a_second_where_open_connections_are_not_counted(monit, daemon):
    daemon.processes = [process(0, "api", open=None, handed=10)]
    screen = monit(120, 30)
    screen.shows(r"api .* 0/s ")
    handed = itertools.count(1_000_000, 1_000_000)

    def serves():
        """More and more, for the figure is that of the time since the last look."""
        daemon.processes = [process(0, "api", open=None, handed=next(handed))]
        return re.search(r"api .* [1-9]\d+/s |api +█+ +-", screen.text())

    until(serves, 10, screen.text)


def test_in_a_pipe_it_says_what_to_use(daemon, tmp_path):
    done = subprocess.run([BATON, "monit"], check=False, capture_output=True, timeout=10,
                          stdin=subprocess.DEVNULL, encoding="utf-8",
                          env={**os.environ, "BATON_HOME": str(tmp_path / "home")})
    assert done.returncode == 1
    assert "terminal" in done.stderr
    assert done.stdout == ""
    assert not daemon.followers


def test_a_dumb_terminal_is_refused(monit):
    screen = monit(TERM="dumb")
    screen.shows(r"TERM is 'dumb'")
    is_left(screen, 1)
