"""What commands say when the daemon is not there, dies, or does not answer."""
import contextlib
import http.server
import json
import os
import pty
import signal
import socketserver
import subprocess
import threading

from support.daemon import kill
from support.terminal import read_terminal
from support.wait import PATIENCE, until

MILD = "require('net').createServer().listen(0); console.log('up')"
STUBBORN = ("require('net').createServer().listen(0);"
            "process.on('SIGINT', () => console.log('I stay')); console.log('up')")


def begin(home, script=MILD, kill_timeout=2000):
    home.write("app.js", script)
    home.start("app.js", "-n", "a", "--kill-timeout", kill_timeout)
    until(lambda: "up" in home.log("a"), 10, "its first line")


class Aside:
    """A command that runs beside the test."""

    def __init__(self, home, *words):
        self.files = [home.root / f"aside.{name}" for name in ("out", "err")]
        with open(self.files[0], "wb") as out, open(self.files[1], "wb") as errors:
            self.process = subprocess.Popen([*home.command, *words], stdin=subprocess.DEVNULL,
                                            stdout=out, stderr=errors, cwd=home.work,
                                            env=home.environment)

    def output(self):
        return self.files[0].read_text()

    def errors(self):
        return self.files[1].read_text()

    def wait(self):
        return self.process.wait(PATIENCE)


@contextlib.contextmanager
def stopped(home):
    pid = home.daemon_pid()
    kill(pid, signal.SIGSTOP)
    try:
        yield pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            kill(pid, signal.SIGCONT)


def test_a_daemon_that_does_not_answer_is_named(home):
    """And waited for: the answer comes when it goes on."""
    begin(home)
    for words in ("jlist", "list", "reset a"):
        with stopped(home):
            aside = Aside(home, *words.split())
            until(lambda: "does not answer" in aside.errors(), 20, aside.errors)
            assert aside.process.poll() is None
        assert aside.wait() == 0, aside.errors()


def test_a_daemon_that_dies_during_a_command_is_named(home):
    begin(home, STUBBORN)
    aside = Aside(home, "stop", "a")
    until(lambda: "I stay" in home.log("a"), 10, "the stop")
    kill(home.daemon_pid())
    assert aside.wait() == 1
    assert "ended before it answered" in aside.errors() and "daemon.log" in aside.errors()
    assert "crashed" in home.cli("delete", "a").ok().err


def test_whoever_asks_is_told_of_a_crash_and_gets_the_answer(home):
    """On standard error: a list is still one line of JSON."""
    begin(home)
    kill(home.daemon_pid())
    done = home.cli("jlist").ok()
    assert [one["name"] for one in json.loads(done.out)] == ["a"]
    assert "crashed" in done.err
    assert home.cli("jlist").ok().err == ""


def test_whoever_leaves_is_told_that_it_goes_on(home):
    """Ctrl-C on a terminal ends the command, not what it has begun."""
    begin(home, "require('net').createServer().listen(0); let asked = false;"
                "process.on('SIGINT', () => { asked = true; console.log('I stay') });"
                "setInterval(() => { if (asked && require('fs').existsSync('go'))"
                "process.exit(0) }, 20); console.log('up')", 30000)
    master, terminal = pty.openpty()
    aside = subprocess.Popen([*home.command, "stop", "a"], stdin=terminal, stdout=terminal,
                             stderr=terminal, cwd=home.work, env=home.environment)
    os.close(terminal)
    until(lambda: "I stay" in home.log("a"), 10, "the stop")
    aside.send_signal(signal.SIGINT)
    assert aside.wait(PATIENCE) == -signal.SIGINT
    assert b"goes on" in read_terminal(master)
    assert home.processes("a")[0].status == "stopping"
    home.write("go", "")
    home.wait_status("a", "stopped")


class OldDaemon(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Of another version, and without apps."""
    daemon_threads = True

    class RequestHandlerClass(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            body = b'{"name": "baton", "version": "0.0.9"}' if self.path == "/v1" else b"[]"
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass


def test_a_daemon_of_another_version_is_named(home):
    home.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    with OldDaemon(str(home.path / "control.sock"), OldDaemon.RequestHandlerClass) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = home.cli("jlist").ok()
        server.shutdown()
    assert json.loads(done.out) == []
    assert "0.0.9" in done.err and "baton update" in done.err
    home.path.joinpath("control.sock").unlink()
