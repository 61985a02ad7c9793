"""Memory and system calls that fail under the daemon, one after the other: it lives on, and so do
its apps. `BATON_FAULTS=all` tries each allocation and call in turn instead of some; with
`BATON_FAULTS_PART=K/N` every Nth from the Kth, so that N of them run side by side."""
import collections
import contextlib
import itertools
import json
import mmap
import os
import pathlib
import re
import signal
import struct
import subprocess

import pytest

from support import procfs
from support.clients import get
from support.ports import free_port
from support.primary import APPS, SANITIZED
from support.wait import until
from test_run_faults import strace_works  # noqa: F401 (a fixture for all here)

THOROUGH = os.environ.get("BATON_FAULTS") == "all"
PART, PARTS = map(int, os.environ.get("BATON_FAULTS_PART", "1/1").split("/"))
SOME = [1, 2, 4, 7, 11, 17, 26, 39, 59]
PATHS = ["start", "reload", "logs", "list", "state"]
CALLS = {
    "accept4": ["EMFILE", "ECONNABORTED"], "access": ["EACCES"], "bind": ["EADDRINUSE"],
    "clone": ["EAGAIN"], "clone3": ["EAGAIN"], "dup3": ["EMFILE"],
    "epoll_ctl": ["ENOMEM"], "fdatasync": ["EIO"], "fchmod": ["EPERM"], "fcntl": ["EINVAL"],
    "fsync": ["EIO"], "ftruncate": ["EIO"], "getdents64": ["EIO"], "getrandom": ["ENOSYS"],
    "getsockname": ["ENOBUFS"], "getsockopt": ["ENOBUFS"], "inotify_add_watch": ["ENOSPC"],
    "ioctl": ["EIO"], "kill": ["EPERM"], "link": ["EPERM"], "listen": ["EADDRINUSE"],
    "lseek": ["EIO"], "mkdir": ["ENOSPC"], "mmap": ["ENOMEM"], "mprotect": ["ENOMEM"],
    "munmap": ["ENOMEM"], "newfstatat": ["EIO"], "openat": ["ENOSPC", "EMFILE", "EACCES"],
    "openat2": ["ENOSYS", "EMFILE", "ENOSPC"], "pidfd_open": ["EMFILE"],
    "pidfd_send_signal": ["ESRCH"], "pipe2": ["EMFILE"], "pread64": ["EIO"], "read": ["EIO"],
    "readlink": ["EIO"], "recvfrom": ["ECONNRESET"], "recvmsg": ["ENOMEM"], "rename": ["ENOSPC"],
    "renameat": ["EIO"], "sched_getaffinity": ["EINVAL"], "sendmsg": ["ENOBUFS"],
    "sendto": ["EPIPE"], "setsockopt": ["ENOBUFS"], "socket": ["EMFILE"], "socketpair": ["ENFILE"],
    "splice": ["EINVAL"], "statx": ["EIO"], "unlink": ["EIO"], "unlinkat": ["EIO"],
    "vfork": ["EAGAIN"], "write": ["ENOSPC", "EPIPE"], "writev": ["ENOSPC"],
}
ENDLESS = {"accept4", "epoll_ctl", "recvfrom", "recvmsg", "sendto", "fcntl"}  # no answer could come
NOT_TRIED = {
    "epoll_wait": "libuv ends the process", "rt_sigprocmask": "libuv ends the process",
    "wait4": "libuv ends the process, or knows of no child",
    "close": "the kernel closes even if it says that it failed; the tracer would leave it open",
    "brk": "the kernel answers with the end as it was, and the tracer with an address that is none",
    "futex": "glibc ends the process",
    **dict.fromkeys(["getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid",
                     "rt_sigreturn", "sched_yield", "restart_syscall", "madvise", "exit"],
                    "it cannot fail, or nobody looks"),
}
PAIRS = [(call, error) for call, errors in CALLS.items() for error in errors]
SOME_PAIRS = [("accept4", "EMFILE"), ("fcntl", "EINVAL"), ("openat", "ENOSPC"), ("pipe2", "EMFILE"),
              ("recvmsg", "ENOMEM"), ("rename", "ENOSPC"), ("sendto", "EPIPE"), ("write", "ENOSPC")]
TRIED = PAIRS[PART - 1::PARTS] if THOROUGH else SOME_PAIRS
OF_THE_ALLOCATOR = {"mmap", "mprotect", "munmap"}  # a sanitizer has its own, and ends without memory


def commands(path):
    """[(words, environment)] of one of the daemon's ways."""
    return {
        "start": [(["start", "plain.js", "-n", "more", "-i", "1", "-f"], {"PORT": "0"}),
                  (["delete", "more"], {})],
        "reload": [(["reload", "web"], {})],
        "logs": [(["logs", "talk", "--nostream", "--lines", "5"], {}), (["flush", "talk"], {}),
                 (["reloadLogs"], {})],
        "list": [(["jlist"], {}), (["describe", "web"], {})],
        "state": [(["scale", "web", "+1"], {}), (["save"], {}), (["scale", "web", "2"], {})],
    }[path]


def exercise(home, path):
    """One of the daemon's ways; it may fail, but it must end. Whether all of it was done."""
    results = [home.cli(*words, env=env, timeout=30) for words, env in commands(path)]
    return all(result.code == 0 for result in results)


WHOLE = {("web", "online"): 2, ("talk", "online"): 1}


def mend(home):
    """After a way that failed, so that the next one is as long as the first was."""
    if collections.Counter((one.name, one.status) for one in home.jlist()) == WHOLE:
        return
    home.cli("delete", "more", timeout=30)
    home.cli("restart", "web", timeout=30)
    home.cli("scale", "web", "2", timeout=30)
    home.wait(lambda all_: collections.Counter((one.name, one.status) for one in all_) == WHOLE, 30)


def prepare(home, port):
    home.program("plain.js")
    home.write("talk.js", "require('net').createServer().listen(0);"
                          "setInterval(() => console.log('y'.repeat(1000)), 20)")
    home.start("plain.js", "-n", "web", "-i", "2", port=port)
    home.start("talk.js", "-n", "talk")


def assert_sound(home, pid, port):
    """The same daemon, and everything works again, if need be after a restart."""
    assert procfs.alive(pid) and home.daemon_pid() == pid, home.daemon_log()[-4000:]
    assert home.cli("jlist").code == 0
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
    if SANITIZED:
        pytest.skip("the sanitizer has its own allocator")
    port = free_port()
    memory = Memory(home)
    home.cli("resurrect", env={"LD_PRELOAD": memory.library, "FAILING_MEMORY": memory.path}).ok()
    prepare(home, port)
    pid = home.daemon_pid()
    signal.alarm(7200 if THOROUGH else 120)
    tried = 0
    for number in itertools.count(PART, PARTS) if THOROUGH else SOME:
        done = fail_allocation(home, memory, path, number)
        assert procfs.alive(pid), f"allocation {number}\n{home.daemon_log()[-4000:]}"
        if not memory.failed():
            assert done, f"nothing failed, but: {home.results[-3:]}"
            break
        tried += 1
        if not done:
            mend(home)
    print(f"{path}: {tried} allocations failed, up to the {number}th")
    assert tried >= 3, "the library was not loaded"
    assert_sound(home, pid, port)


def fail_allocation(home, memory, path, number):
    memory.fail(number)
    try:
        return exercise(home, path)
    finally:
        memory.off()


@contextlib.contextmanager
def failing(home, pid, call, error, when):
    """strace makes the daemon's calls fail; yields the trace."""
    trace = home.root / "trace"
    tracer = subprocess.Popen(
        ["strace", "-qq", "-y", "-Z", "-o", trace, *_threads(pid), *_files(home, pid, call),
         "-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={when}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        until(lambda: tracer.poll() is not None or _traced(pid), 5, "the tracer")
        yield trace if tracer.poll() is None else None
    finally:
        end_trace(tracer)


def end_trace(tracer):
    """Killed when it cannot let go of a thread that is in the middle of a call."""
    try:
        tracer.send_signal(signal.SIGINT)
        tracer.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        tracer.kill()
        tracer.communicate(timeout=30)


def _threads(pid):
    """For the tracer: those of the pool save and compress. Children are none of them."""
    return [word for thread in os.listdir(f"/proc/{pid}/task") for word in ("-p", thread)]


def _files(home, pid, call):
    """What is read and written that may fail: libuv has pipes of its own for signals, which no
    kernel has fail, and it hangs or ends when they do."""
    if call not in ("read", "write"):
        return []
    files = [home.path / "logs" / f"{name}-{stream}{number}.log" for name in ("web", "talk", "more")
             for stream in ("out", "error") for number in ("", *(f"-{id_}" for id_ in range(9)))]
    files += [home.path / f"{name}.json{suffix}" for name in ("state", "dump")
              for suffix in ("", ".new")]
    files += [home.path / "daemon.log", *home.path.glob("pids/*"), "/etc/passwd",
              f"/proc/{pid}/task/{pid}/children", f"/proc/{pid}/stat"]
    files += [f"/proc/{worker}/stat" for worker in children(pid)]
    return [word for path in (*files, *pipes_of_workers(pid)) for word in ("-P", str(path))]


def children(pid):
    return pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def pipes_of_workers(pid):
    """libuv has both ends of its own."""
    names = []
    for path in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            names.append(os.readlink(path))
    return [name for name, count in collections.Counter(names).items()
            if name.startswith("pipe:") and count == 1]


def _traced(pid):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as lines:
        return any(line.startswith("TracerPid:") and line.split()[1] != "0" for line in lines)


def failed_inside_libuv(trace):
    """libuv ends a process for which the kernel cannot watch a descriptor, or no longer. The
    workers live on then, and the next daemon takes over."""
    return any("epoll_ctl(" in line and "INJECTED" in line for line in trace.splitlines())


@pytest.mark.parametrize("call, error", TRIED)
def test_each_call_fails(home, call, error):
    """One after the other of a kind in each of the daemon's ways, and then all of them."""
    if SANITIZED and call in OF_THE_ALLOCATOR:
        pytest.skip("the sanitizer has its own allocator")
    port = free_port()
    prepare(home, port)
    pid = home.daemon_pid()
    signal.alarm(7200 if THOROUGH else 120)
    tried = collections.Counter()
    for path in PATHS:
        for when in itertools.count(1) if THOROUGH else [1]:
            pid, failed = fail_call(home, path, call, error, when)
            if not failed:
                break
            tried[path] += 1
        if THOROUGH and tried[path] and call not in ENDLESS:
            pid, _ = fail_call(home, path, call, error, "1+")
    print(f"{call} {error}: {dict(tried)}")
    assert tried or THOROUGH, "the daemon makes no such call"
    assert_sound(home, pid, port)


def fail_call(home, path, call, error, when):
    """The daemon's pid, another one if libuv has ended it, and whether there was such a call."""
    pid = home.daemon_pid()
    with failing(home, pid, call, error, when) as trace:
        if trace is None:
            pytest.skip("strace has no such call here")
        done = exercise(home, path)
    text = trace.read_text(errors="replace")
    if not procfs.alive(pid) and failed_inside_libuv(text):
        pid = home.begin()
    assert procfs.alive(pid), f"{path}, {when}\n{text[-2000:]}\n{home.daemon_log()[-4000:]}"
    failed = "INJECTED" in text
    assert done or failed, f"nothing failed, but: {home.results[-3:]}"
    if not done:
        mend(home)
    return pid, failed


@pytest.mark.skipif(not THOROUGH, reason="which ones there are is up to the libraries as well")
@pytest.mark.parametrize("path", PATHS)
def test_no_call_is_forgotten(home, path):
    """Whatever the daemon calls in its ways is one of those that fail above."""
    prepare(home, free_port())
    pid = home.daemon_pid()
    trace = home.root / "trace"
    tracer = subprocess.Popen(["strace", "-qq", "-o", trace, *_threads(pid)],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: tracer.poll() is not None or _traced(pid), 5, "the tracer")
    done = exercise(home, path)
    end_trace(tracer)
    assert done, home.results[-3:]
    called = set(re.findall(r"^\d+ +(\w+)\(", trace.read_text(errors="replace"), re.MULTILINE))
    assert "accept4" in called
    assert called <= {*CALLS, *NOT_TRIED}, called.difference(CALLS, NOT_TRIED)


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
