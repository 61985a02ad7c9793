"""Starts a program under a primary: Node's own (reference/primary.js) or Baton.

A test that is given `primary` in ("node", "baton") runs the same program in both. The third one,
"serve", is Baton with its built-in HTTP worker, whose "script" is a directory.
"""
import os
import pathlib
import signal
import subprocess
import time
import uuid

from . import procfs
from .output import Output
from .ports import free_port
from .status import Status, is_status
from .wait import PATIENCE, until

SYSTEM = pathlib.Path(__file__).resolve().parent.parent
APPS = SYSTEM / "apps"
REFERENCE = SYSTEM / "reference" / "primary.js"
REPOSITORY = SYSTEM.parent.parent
BATON = os.environ.get("BATON", str(REPOSITORY / "build" / "release" / "baton"))
BUILD = pathlib.Path(BATON).resolve().parent
NODE = os.environ.get("NODE", "node")

MARK = "BATON_TEST_MARK"
CRASHES = {-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS, -signal.SIGILL, -signal.SIGFPE}
SANITIZED = "asan" in BATON  # its memory says nothing: a sanitizer keeps what was freed
SANITIZER_REPORTS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:",
                     "WARNING: ThreadSanitizer")

# The environment in which a sanitizer does not keep what was freed, for tests that look at memory.
FRUGAL = {"ASAN_OPTIONS": "quarantine_size_mb=0:thread_local_quarantine_size_kb=0"}


def kind_of(script, flags):
    """What a program gets beside the test's own flags. The sanitizers are in native_worker, too,
    and want no other library before them. BATON_NODE_INTERCEPT runs the tests of Node with another
    kind than the default; a Node that waits 100 ms for its processor is not to be stuck then."""
    if str(script) == "native_worker":
        return ["--intercept", "native"]
    if os.environ.get("BATON_NODE_INTERCEPT") and str(script).endswith((".js", ".mjs")):
        patience = [] if "--slow-after" in flags else ["--slow-after", "2000"]
        return ["--intercept", os.environ["BATON_NODE_INTERCEPT"], *patience]
    return []


def by_accept_socket(primary):
    """Whether Node's clients come so: what a worker has not received is taken back from it, and
    what it does with a client that it has, its `maxConnections` say, the master does not know."""
    return primary == "baton" and os.environ.get("BATON_NODE_INTERCEPT") == "node-fast"


def start_limit(script):
    """How long a worker may take to start, where a test says nothing of it: Node takes some seconds
    on a busy machine. In a process file that is an attribute."""
    is_file = str(script).endswith((".json", ".yaml", ".yml", ".config.js"))
    return [] if is_file else ["--listen-timeout", "30s"]


class App:
    """One primary with its workers, run in `directory`. Close it: nothing of it is left then.

    `quiet`: the program prints no events, so that Baton's status is all there is to know."""

    def __init__(self, primary, script, *, instances=2, port=None, flags=(), arguments=(),
                 environment=None, policy=None, window=None, wrap=(), quiet=False, directory):
        self.primary = primary
        self.port = free_port() if port is None else port
        self.instances = instances
        self._quiet = quiet or primary == "serve"
        self.mark = f"{MARK}={uuid.uuid4()}"
        flags = ["-i", str(instances), *map(str, flags)]
        if primary == "baton" and "--intercept" not in flags:
            flags += kind_of(script, flags)
        if primary != "node" and "--listen-timeout" not in flags:
            flags += start_limit(script)
        if policy:
            flags += ["--policy", policy]
        if window:
            flags += ["--window", str(window)]
        command = [*map(str, wrap), *command_of(primary), str(script_path(script)), *flags]
        if primary == "serve":
            command.append(str(self.port))
        if arguments:
            command += ["--", *map(str, arguments)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, errors="replace", cwd=directory,
            env=self._environment(environment, directory), start_new_session=True)
        self.pid = self.process.pid
        self.stdout = Output(self.process.stdout)
        self.stderr = Output(self.process.stderr)

    def _environment(self, extra, directory):
        name, _, value = self.mark.partition("=")
        node_directory = os.path.dirname(NODE)
        environment = {**os.environ, name: value, "PORT": str(self.port)}
        if node_directory:
            environment["PATH"] = node_directory + ":" + environment["PATH"]
        environment["BATON_HOME"] = str(directory)
        environment.update({key: str(text) for key, text in (extra or {}).items()})
        return environment

    # What the programs tell.

    def events(self, name, **fields):
        wanted = {"event": name, **fields}
        return self.stdout.select(lambda one: wanted.items() <= one.items())

    def wait_events(self, name, count=1, timeout=15, **fields):
        """The events of that name once there are `count` of them."""
        until(lambda: len(self.events(name, **fields)) >= count, timeout,
              lambda: f"{count} x {name} {fields}\n{self.transcript()}")
        return self.events(name, **fields)

    def workers(self):
        """The pids of the living workers that have told that they listen, oldest first; of quiet
        ones in the order of their slots."""
        if self._quiet:
            return self._ready_workers()
        pids = dict.fromkeys(event["pid"] for event in self.events("listening"))
        return [pid for pid in pids if self._is_of_it(pid)]

    def _is_of_it(self, pid):
        """Whether it lives; the number of one that has ended may be a stranger's by now."""
        return procfs.alive(pid) and procfs.has_in_environment(pid, self.mark)

    def _ready_workers(self):
        """None before the first time that all are ready: then a status may be asked for."""
        if "ready, policy" not in self.stderr.text() or self.process.poll() is not None:
            return []
        return [worker.pid for worker in self.status().ready()]

    def wait_ready(self, count=None, timeout=15):
        """Waits until `count` (default: all) workers listen and are in rotation; their pids."""
        wanted = self.instances if count is None else count
        timeout = max(timeout, PATIENCE)
        until(lambda: self.process.poll() is not None or len(self.workers()) >= wanted, timeout,
              lambda: f"{wanted} workers\n{self.transcript()}")
        assert self.process.poll() is None, f"the primary exited\n{self.transcript()}"
        if self.primary != "node":
            self.wait_status(lambda status: len(status.ready()) >= wanted, timeout)
        return self.workers()

    def state(self):
        """What Baton and the kernel say of it now, for people who look for why it failed."""
        status = self.status()
        lines = [str(vars(one)) for one in [*status.listeners, *status.workers]]
        for pid in [self.process.pid, *(worker.pid for worker in status.workers)]:
            held = subprocess.run(["ls", "-l", f"/proc/{pid}/fd"], capture_output=True, text=True)
            lines += [f"descriptors of {pid}:", held.stdout]
        return "\n".join(lines)

    def wait_replaced(self, pids, timeout=15):
        """Waits until all of `pids` are gone, for Baton, too, and all instances are there again."""
        until(lambda: not any(map(procfs.alive, pids)) and not set(pids) & set(self.workers()),
              timeout, lambda: f"the end of {pids}\n{self.transcript()}")
        return self.wait_ready(timeout=timeout)

    # What Baton tells.

    def status(self, timeout=5):
        """A Status of this moment."""
        before = len(self.stdout.select(is_status))
        self.signal(signal.SIGUSR1)
        until(lambda: len(self.stdout.select(is_status)) > before, timeout,
              lambda: f"a status line\n{self.transcript()}")
        return Status(self.stdout.select(is_status)[-1])

    def wait_status(self, condition, timeout=PATIENCE):
        """The first Status for which condition(status) is true."""
        end = time.monotonic() + max(timeout, PATIENCE)
        while True:
            status = self.status()
            if condition(status):
                return status
            assert time.monotonic() < end, f"status never as wanted\n{self.transcript()}"
            time.sleep(0.05)

    # Signals and the end.

    def signal(self, number):
        os.kill(self.pid, number)

    def wait_exit(self, timeout=PATIENCE):
        """The exit code of the primary. All that was printed has been read then, unless something
        that it left behind still has its output."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"no exit within {timeout} s\n{self.transcript()}") from None
        for output in (self.stdout, self.stderr):
            output.join(1 if self.leftovers() else PATIENCE)
        return code

    def stop(self, timeout=PATIENCE):
        self.signal(signal.SIGTERM)
        return self.wait_exit(timeout)

    def leftovers(self):
        """The pids of everything this app started that still runs, the primary included."""
        return procfs.with_environment(self.mark)

    def transcript(self):
        """What happened, for the message of a failed assertion; only the last status line."""
        lines = self.stdout.text().splitlines()
        statuses = [line for line in lines if '"listeners"' in line]
        shown = [line for line in lines if line not in statuses] + statuses[-1:]
        return (f"{' '.join(map(str, self.process.args))}\n--- exit code {self.process.poll()}\n"
                + "\n".join(["--- stdout", *shown[-60:], "--- stderr"])
                + "\n" + self.stderr.text()[-6000:])

    def close(self):
        """Ends everything; an AssertionError when the primary had crashed."""
        self._end_politely()
        for pid in self.leftovers():
            _kill(pid)
        self.process.wait(PATIENCE)
        self.stdout.join()
        self.stderr.join()
        self._assert_sound()

    def _end_politely(self):
        """Asks twice, so that a sanitizer build can report; what a test left blocked is not waited
        for."""
        for _ in range(2):
            if self.process.poll() is None:
                self.signal(signal.SIGTERM)
                self._wait_up_to(1.5)

    def _wait_up_to(self, seconds):
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            pass

    def _assert_sound(self):
        crashed = self.process.returncode in CRASHES
        reported = any(report in self.stderr.text() for report in SANITIZER_REPORTS)
        assert not crashed and not reported, f"the primary is broken\n{self.transcript()}"


def command_of(primary):
    if primary == "node":
        return [NODE, str(REFERENCE)]
    assert os.access(BATON, os.X_OK), f"no baton at {BATON}: build it, or set BATON"
    return [BATON, "serve" if primary == "serve" else "run", "--status=json"]


def script_path(script):
    """A bare name is one of apps/, or a worker in C that is built from there."""
    for folder in (APPS, BUILD / "tests"):
        if (folder / script).is_file():
            return folder / script
    return script


def run_baton(*arguments, timeout=PATIENCE, **options):
    """Runs `baton ARGUMENTS` to its end: for what is expected to fail at once."""
    assert os.access(BATON, os.X_OK), f"no baton at {BATON}: build it, or set BATON"
    return subprocess.run([BATON, *map(str, arguments)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=timeout, check=False, **options)


def _kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
