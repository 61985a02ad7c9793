"""A daemon with a home of its own, and the commands that talk to it.

The same class drives Baton under its own name, Baton by the name `pm2` and pm2 itself (support/
pm2.py), so that a sequence of commands can be run under each.
"""
import contextlib
import dataclasses
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid

from . import procfs
from .clients import connect_unix
from .output import Output
from .primary import APPS, BATON, MARK, SANITIZER_REPORTS
from .wait import PATIENCE, until

# What a test's own surroundings must not decide.
_FOREIGN = ("PM2_", "BATON", "NODE_APP_INSTANCE", "PORT", "NOTIFY_SOCKET", "LISTEN_", "COLUMNS",
            "NO_COLOR", "FORCE_COLOR", "OLDPWD")
SETTLED = {"online", "stopped", "errored"}
TABLE = tuple("┌├└│")


def kill(pid, number=signal.SIGKILL):
    """os.kill(), but never of process 0, which a list names where no worker is: that would be our
    own group."""
    assert pid > 1, "there is no such process"
    os.kill(pid, number)


@dataclasses.dataclass
class Result:
    """How a command ended, and what it wrote."""
    words: list
    code: int
    out: str
    err: str

    def __str__(self):
        said = "\n".join(line for line in self.out.splitlines() if not line.startswith(TABLE))
        return f"{' '.join(self.words)}: exit code {self.code}\n{said}\n--- stderr\n{self.err}"

    def ok(self):
        assert self.code == 0, str(self)
        return self

    def failed(self, code=1):
        assert self.code == code, str(self)
        return self


@dataclasses.dataclass
class Process:
    """One entry of `jlist`, which stays whole in `entry`."""
    entry: dict

    @property
    def pid(self):
        return self.entry["pid"]

    @property
    def name(self):
        return self.entry["name"]

    @property
    def id(self):
        return self.entry["pm_id"]

    @property
    def env(self):
        return self.entry["pm2_env"]

    @property
    def status(self):
        return self.env["status"]

    @property
    def restarts(self):
        return self.env["restart_time"]

    @property
    def baton(self):
        return self.entry["baton"]


class Home:
    """A home in a short temporary path, for a socket's name has at most 107 bytes, and a directory
    `work` for the test's programs. Close it: nothing that was started from it is left then."""

    variable = "BATON_HOME"

    def __init__(self, program=(BATON,)):
        self.command = [str(word) for word in program]
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="bt-", dir="/tmp"))
        self.path = self.root / "home"
        self.work = self.root / "work"
        self.work.mkdir()
        self.mark = f"{MARK}={uuid.uuid4()}"
        self.environment = self._environment()
        self.results = []
        self._followers = []

    def _environment(self):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        name, _, value = self.mark.partition("=")
        return {**kept, name: value, "HOME": str(self.root), "PWD": str(self.work),
                self.variable: str(self.path)}

    # Programs and commands.

    def write(self, name, text, mode=0o644):
        """A file in `work`."""
        path = self.work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def replace(self, name, text):
        """A file in `work` that is another at once: whoever reads it meanwhile reads the old one or
        the new, and whoever watches sees one change."""
        new = self.root / "new"
        new.write_text(text)
        os.replace(new, self.work / name)

    def program(self, name):
        """A copy of apps/NAME in `work`, for it to be changed."""
        self.write("event.js", (APPS / "event.js").read_text())
        return self.write(name, (APPS / name).read_text())

    def cli(self, *words, stdin=None, timeout=40, env=None, cwd=None):
        """Runs a command to its end, which comes only when nobody has its output open any more: a
        daemon that kept it would hang here."""
        changes = {name: str(value) for name, value in (env or {}).items()}
        done = subprocess.run([*self.command, *map(str, words)], capture_output=True, text=True,
                              errors="replace", timeout=timeout, check=False, input=stdin,
                              cwd=cwd or self.work, env={**self.environment, **changes},
                              stdin=subprocess.DEVNULL if stdin is None else None)
        result = Result([str(word) for word in words], done.returncode, done.stdout, done.stderr)
        self.results.append(result)
        return result

    @contextlib.contextmanager
    def following(self, *words, env=None):
        """A command that does not end by itself, such as `logs`: its stdout as an Output."""
        process = subprocess.Popen(
            [*self.command, *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", cwd=self.work,
            env={**self.environment, **(env or {})})
        output = Output(process.stdout)
        try:
            yield output
        finally:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()
            output.join()

    def start(self, script, *flags, port=None, env=None, timeout=40):
        """Starts a program, and waits until all of it is online."""
        extra = {**(env or {}), **({"PORT": port} if port else {})}
        name = flags[flags.index("-n") + 1] if "-n" in flags else str(script).partition(".")[0]
        if not (self.work / script).exists() and (APPS / script).exists():
            self.program(script)
        self.cli("start", script, *flags, env=extra, timeout=timeout).ok()
        return self.wait_status(name, "online")

    def start_aside(self, *words, env=None):
        """A command that runs beside the test: its Popen, with output to be read by communicate."""
        process = subprocess.Popen(
            [*self.command, *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, cwd=self.work,
            env={**self.environment, **{k: str(v) for k, v in (env or {}).items()}})
        self._followers.append(process)
        return process

    # What is there.

    def jlist(self):
        """[Process], by pm_id."""
        result = self.cli("jlist").ok()
        lines = [line for line in result.out.splitlines() if line.startswith("[{") or line == "[]"]
        assert len(lines) == 1, f"no JSON line\n{result}"
        return [Process(entry) for entry in json.loads(lines[0])]

    def processes(self, name):
        return [process for process in self.jlist() if process.name == name]

    def process(self, name):
        (only,) = self.processes(name)
        return only

    def states(self):
        """{(name, pm_id): status}"""
        return {(process.name, process.id): process.status for process in self.jlist()}

    def wait(self, condition, timeout=15):
        """The first list for which condition(list) is true."""
        seen = []

        def look():
            seen[:] = self.jlist()
            return condition(seen)

        until(look, timeout, lambda: "\n".join(
            str((process.id, process.name, process.pid, process.status, process.restarts))
            for process in seen) + f"\n{self.daemon_log()[-3000:]}")
        return seen

    def wait_status(self, name, status, count=None, timeout=15):
        """Waits until all processes of an app are of that status; they."""
        def all_so(processes):
            own = [process for process in processes if process.name == name]
            return own and all(process.status == status for process in own) and \
                (count is None or len(own) == count)

        return [process for process in self.wait(all_so, timeout) if process.name == name]

    def wait_settled(self, timeout=20):
        """Waits until nothing starts, stops or waits for its restart."""
        return self.wait(lambda all_: all(one.status in SETTLED for one in all_), timeout)

    def pids(self, name):
        return [process.pid for process in self.processes(name)]

    # The daemon.

    def pid_file(self):
        files = list(self.path.glob("*.pid"))
        return files[0] if files else None

    def daemon_pid(self):
        """0 when there is none."""
        try:
            pid = int(self.pid_file().read_text())
        except (AttributeError, ValueError, FileNotFoundError):
            return 0
        return pid if pid and self.mark_of(pid) else 0

    def begin(self):
        """A daemon, if there is none; its pid. Commands that only look start none."""
        self.cli("resurrect").ok()
        pid = self.daemon_pid()
        assert pid, f"no daemon\n{self.daemon_log()}"
        return pid

    def signal_daemon(self, number):
        pid = self.daemon_pid()
        assert pid, f"no daemon\n{self.daemon_log()}"
        os.kill(pid, number)
        return pid

    def mark_of(self, pid):
        """Whether the process is of this home: a number may have gone to a stranger."""
        return procfs.alive(pid) and pid in procfs.with_environment(self.mark)

    def daemon_log(self):
        texts = [path.read_text(errors="replace") for path in self.path.glob("*.log")]
        return "\n".join(texts)

    def leftovers(self):
        """The pids of everything that was started from here and still runs."""
        return [pid for pid in procfs.with_environment(self.mark) if pid != os.getpid()]

    def log(self, name, stream="out", number=None):
        """What is in a log file of an app; "" where there is none. Without a number: in the one
        that all processes share, or in that of the only one."""
        suffix = "" if number is None else f"-{number}"
        path = self.path / "logs" / f"{name}-{stream}{suffix}.log"
        numbered = list((self.path / "logs").glob(f"{name}-{stream}-*.log"))
        if number is None and len(numbered) == 1 and not path.exists():
            path = numbered[0]
        try:
            return path.read_text(errors="replace")
        except FileNotFoundError:  # also for a moment while it is rotated
            return ""

    # The control API.

    def socket_path(self):
        return self.path / "control.sock"

    def api(self, method, target, body=None, headers=None, timeout=30):
        """(status, what the JSON says)"""
        connection = UnixConnection(str(self.socket_path()), timeout)
        fields = {"Host": "localhost", **(headers or {})}
        if body is not None:
            fields.setdefault("Content-Type", "application/json")
            body = body if isinstance(body, (bytes, str)) else json.dumps(body)
        try:
            connection.request(method, target, body, fields)
            response = connection.getresponse()
            text = response.read()
            return response.status, json.loads(text) if text else None
        finally:
            connection.close()

    # The end.

    def end_daemon(self, number=signal.SIGTERM, timeout=15):
        """Ends the daemon by its pid, and waits for its end."""
        pid = self.daemon_pid()
        if pid:
            os.kill(pid, number)
            until(lambda: not procfs.alive(pid), timeout, "the daemon's end")
        return pid

    def close(self):
        """Ends everything. Ended in order, the daemon takes all that it started with it."""
        orderly = True
        try:
            self._end()
            orderly = self._wait_nothing_left(PATIENCE)
        finally:
            left = self._describe_leftovers()
            self._kill_leftovers()
            log = self.daemon_log()
            shutil.rmtree(self.root, ignore_errors=True)
        assert orderly, f"left behind: {left}\n{log[-3000:]}"
        assert not any(report in log for report in SANITIZER_REPORTS), log[-6000:]

    def _end(self):
        for process in self._followers:
            if process.poll() is None:
                process.kill()
            process.communicate()
        self.end_daemon()

    def _wait_nothing_left(self, timeout):
        end = time.monotonic() + timeout
        while self.leftovers():
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True

    def _describe_leftovers(self):
        return {pid: _command_line(pid) for pid in self.leftovers()}

    def _kill_leftovers(self):
        for _ in range(50):
            pids = self.leftovers()
            if not pids:
                return
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path, timeout=PATIENCE):
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self):
        self.sock = connect_unix(self._path, self.timeout)


def _command_line(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""
