"""Memory and system calls that fail under the daemon, one after the other: it lives on, and so do
its apps. `BATON_FAULTS=all` tries each allocation and call in turn instead of some."""
import contextlib
import json
import mmap
import os
import signal
import struct
import subprocess

import pytest

from support import procfs
from support.clients import get
from support.ports import free_port
from support.primary import APPS
from support.wait import until
from test_run_faults import strace_works  # noqa: F401 (a fixture for all here)

THOROUGH = os.environ.get("BATON_FAULTS") == "all"
PATHS = ["start", "reload", "logs", "list", "state"]
CALLS = [
    ("openat", "ENOSPC"), ("openat", "EMFILE"), ("openat", "EACCES"), ("pipe2", "EMFILE"),
    ("socketpair", "ENFILE"), ("socket", "EMFILE"), ("clone3", "EAGAIN"), ("clone", "EAGAIN"),
    ("vfork", "EAGAIN"), ("bind", "EADDRINUSE"), ("listen", "EADDRINUSE"), ("read", "EIO"),
    ("write", "ENOSPC"), ("write", "EPIPE"), ("writev", "ENOSPC"), ("fsync", "EIO"),
    ("fdatasync", "EIO"), ("rename", "ENOSPC"), ("renameat", "EIO"), ("epoll_ctl", "ENOMEM"),
    ("sendmsg", "ENOBUFS"), ("recvmsg", "ENOMEM"), ("accept4", "EMFILE"), ("dup3", "EMFILE"),
    ("pidfd_open", "EMFILE"), ("pidfd_send_signal", "ESRCH"), ("mmap", "ENOMEM"),
    ("unlink", "EIO"), ("mkdir", "ENOSPC"), ("fcntl", "EINVAL"), ("statx", "EIO"),
    ("inotify_add_watch", "ENOSPC"), ("splice", "EINVAL"), ("getdents64", "EIO"),
]


def exercise(home, path, port):
    """One of the daemon's ways; it may fail, but it must end."""
    if path == "start":
        home.cli("start", "plain.js", "-n", "more", "-i", "1", "-f", env={"PORT": port}, timeout=30)
        home.cli("delete", "more", timeout=30)
    elif path == "reload":
        home.cli("reload", "web", timeout=30)
    elif path == "logs":
        home.cli("logs", "talk", "--nostream", "--lines", "5", timeout=30)
        home.cli("flush", "talk", timeout=30)
        home.cli("reloadLogs", timeout=30)
    elif path == "list":
        home.cli("jlist", timeout=30)
        home.cli("describe", "web", timeout=30)
    else:
        home.cli("scale", "web", "+1", timeout=30)
        home.cli("save", timeout=30)
        home.cli("scale", "web", "2", timeout=30)


def prepare(home, port):
    home.program("plain.js")
    home.write("talk.js", "require('net').createServer().listen(0);"
                          "setInterval(() => console.log('y'.repeat(1000)), 20)")
    home.start("plain.js", "-n", "web", "-i", "2", port=port)
    home.start("talk.js", "-n", "talk")


def assert_sound(home, pid, port):
    """The same daemon, and everything works again, if need be after a restart."""
    assert procfs.alive(pid) and home.daemon_pid() == pid, home.daemon_log()[-4000:]
    assert home.cli("jlist", timeout=10).code == 0
    home.cli("restart", "web", timeout=30)
    until(lambda: get(port).outcome == "ok", 15, lambda: home.daemon_log()[-3000:])


class Memory:
    """The numbers that apps/failing_memory.c and we share."""

    def __init__(self, home):
        self.library = home.root / "failing_memory.so"
        built = subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", self.library,
                                APPS / "failing_memory.c", "-ldl"], capture_output=True, text=True,
                               check=False)
        if built.returncode:
            pytest.skip(f"no compiler: {built.stderr}")
        self.path = home.root / "orders"
        self.path.write_bytes(bytes(4096))
        with open(self.path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 4096)

    def fail(self, number):
        self.map[:16] = struct.pack("qq", number, 0)

    def failed(self):
        """Whether so many allocations were made."""
        return struct.unpack("qq", self.map[:16])[1] > 0

    def off(self):
        self.map[:8] = bytes(8)


@pytest.mark.parametrize("path", PATHS)
def test_each_allocation_fails(home, path):
    if "asan" in os.environ.get("BATON", ""):
        pytest.skip("the sanitizer has its own allocator")
    port = free_port()
    memory = Memory(home)
    home.cli("resurrect", env={"LD_PRELOAD": memory.library, "FAILING_MEMORY": memory.path}).ok()
    prepare(home, port)
    pid = home.daemon_pid()
    signal.alarm(7200 if THOROUGH else 120)
    number, step = 1, 1
    while True:
        memory.fail(number)
        exercise(home, path, port)
        reached = memory.failed()
        memory.off()
        assert procfs.alive(pid), f"allocation {number}\n{home.daemon_log()[-4000:]}"
        if not reached or (not THOROUGH and number > 50):
            break
        number += step
        if not THOROUGH:
            step = max(1, number // 2)
    assert number > 3, "the library was not loaded"
    assert_sound(home, pid, port)


@contextlib.contextmanager
def failing(home, pid, call, error, when):
    """strace makes the daemon's calls fail; yields the trace."""
    trace = home.root / "trace"
    tracer = subprocess.Popen(
        ["strace", "-qq", "-y", "-Z", "-o", trace, *_threads(pid), *_files(home, call), "-e", f"trace={call}", "-e",
         f"inject={call}:error={error}:when={when}"], stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True)
    try:
        until(lambda: tracer.poll() is not None or _traced(pid), 5, "the tracer")
        yield trace if tracer.poll() is None else None
    finally:
        end_trace(tracer)


def end_trace(tracer):
    """Killed when it cannot let go of a thread that is in the middle of a call."""
    try:
        tracer.send_signal(signal.SIGINT)
        tracer.communicate(timeout=3)
    except subprocess.TimeoutExpired:
        tracer.kill()
        tracer.communicate(timeout=10)


def _threads(pid):
    """For the tracer: those of the pool save and compress. Children are none of them."""
    return [word for thread in os.listdir(f"/proc/{pid}/task") for word in ("-p", thread)]


def _files(home, call):
    """What is read and written that may fail: libuv has pipes of its own for signals, which no
    kernel has fail, and it hangs or ends when they do."""
    if call not in ("read", "write"):
        return []
    logs = [home.path / "logs" / f"{name}-{stream}{number}.log" for name in ("web", "talk", "more")
            for stream in ("out", "error") for number in ("", *(f"-{id_}" for id_ in range(9)))]
    saved = [home.path / f"{name}.json{suffix}" for name in ("state", "dump")
             for suffix in ("", ".new")]
    return [word for path in (home.path / "daemon.log", *logs, *saved)
            for word in ("-P", str(path))]


def _traced(pid):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as lines:
        return any(line.startswith("TracerPid:") and line.split()[1] != "0" for line in lines)


def failed_inside_libuv(trace):
    """libuv ends a process for which the kernel has no memory when it is to watch a descriptor. The
    workers live on then, and the next daemon takes over."""
    return any("EPOLL_CTL_ADD" in line and "INJECTED" in line for line in trace.splitlines())


@pytest.mark.parametrize("call, error", CALLS if THOROUGH else CALLS[::6])
def test_each_call_fails(home, call, error):
    """The first ones of a kind in each of the daemon's ways, and then all of them."""
    port = free_port()
    prepare(home, port)
    pid = home.daemon_pid()
    signal.alarm(7200 if THOROUGH else 120)
    for path in PATHS:
        for when in (*range(1, 20), "1+") if THOROUGH else (1,):
            if when == "1+" and call in ("read", "write", "epoll_ctl", "recvmsg", "fcntl"):
                continue  # no answer could come
            with failing(home, pid, call, error, when) as trace:
                if trace is None:
                    pytest.skip("strace has no such call here")
                exercise(home, path, port)
            if not procfs.alive(pid) and failed_inside_libuv(trace.read_text()):
                home.begin()
                pid = home.daemon_pid()
            assert procfs.alive(pid), f"{path}, {when}\n{home.daemon_log()[-4000:]}"
            if "INJECTED" not in trace.read_text():
                break
    assert_sound(home, pid, port)


# A save that is cut off.


def names_of(home):
    """Of the apps that are saved; nothing may be saved yet."""
    path = home.path / "state.json"
    entries = json.loads(path.read_text()) if path.exists() else []
    return {entry["description"]["name"] for entry in entries}


SAVING_CALLS = ["openat", "rename", "link", "fchmod", "write", "fsync", "unlink"]


@pytest.mark.parametrize("call", SAVING_CALLS if THOROUGH else SAVING_CALLS[:3])
def test_killed_in_the_middle_of_a_save(home, call):
    """Whichever call it is, the next daemon finds the state before or after."""
    home.write("idle.js", "require('net').createServer().listen(0)")
    home.start("idle.js", "-n", "a", "-o", "NULL", "-e", "NULL")
    until(lambda: names_of(home) == {"a"}, 5, "the first state")
    for number in (1, 2) if call in ("openat", "rename") else (1,):
        pid = home.daemon_pid()
        tracer = trace(home, pid, call, number)
        changing = home.start_aside("start", "idle.js", "-n", f"b{number}", "-f", "-o", "NULL",
                                    "-e", "NULL")
        with contextlib.suppress(AssertionError):
            until(lambda: not procfs.alive(pid), 10, "its end")
        end_trace(tracer)
        changing.communicate(timeout=30)
        assert not procfs.alive(pid), "a save has no such call"
        assert "a" in names_of(home)
        home.begin()
        home.wait(lambda all_: "a" in {one.name for one in all_ if one.status == "online"}, 20)
        assert (home.path / "state.json").stat().st_mode & 0o777 == 0o600


def trace(home, pid, call, number):
    tracer = subprocess.Popen(
        ["strace", "-f", "-qq", "-o", home.root / "trace", "-p", str(pid), "-e", f"trace={call}",
         "-P", home.path / "state.json", "-P", home.path / "state.json.new",
         "-P", home.path / "state.json.next", "-P", home.path / "state.json.bak", "-P", home.path,
         "-e", f"inject={call}:signal=KILL:when={number}"], stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)
    until(lambda: tracer.poll() is not None or _traced(pid), 5, "the tracer")
    return tracer
