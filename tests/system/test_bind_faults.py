"""System calls of the master that fail while it answers workers, as strace injects them: servers
that do not know of the master come up, or are started again, and nobody is lost."""
import os
import socket

import pytest

from support import native, procfs
from support.clients import Crowd, get, outcomes
from support.wait import until
from test_run_faults import strace_works  # noqa: F401 (a fixture for all here)

CLIENTS = 12


def start_under(start, trace, *faults, **options):
    """`faults`: (call, error, when) each."""
    calls = ",".join(call for call, *_ in faults)
    wrap = ["strace", "-D", "-qq", "-o", trace, "-e", f"trace={calls}"]
    for call, error, when in faults:
        wrap += ["-e", f"inject={call}:error={error}:when={when}"]
    # The leak sanitizer is a tracer itself, and there can be only one.
    sanitizer = ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"), "detect_leaks=0"]))
    return start("baton", "drop_in_server", arguments=["poll"], policy="rr",
                 flags=["--intercept", "preload"], wrap=wrap,
                 environment={"ASAN_OPTIONS": sanitizer}, **options)


def assert_serves(app, trace, faults=1):
    assert outcomes(Crowd(app.port, CLIENTS).finish()) == {"ok": CLIENTS}
    assert outcomes(get(app.port) for _ in range(4)) == {"ok": 4}
    assert trace.read_text().count("(INJECTED)") >= faults


@pytest.mark.parametrize("call, error, when", [
    ("sendmsg", "ETOOMANYREFS", "1..6"),
    ("sendmsg", "EAGAIN", "1..6"),
    ("sendmsg", "EINTR", "1..3"),
    ("recvmsg", "EINTR", "1..3"),
    ("recvmsg", "EAGAIN", "1..2"),
    ("accept4", "EMFILE", "1..3"),
    ("accept4", "ENFILE", "1..3"),
    ("accept4", "ENOMEM", "1..3"),
    ("accept4", "EINTR", "1..2"),
])
def test_passing_failure(start, tmp_path, call, error, when):
    """The workers only wait a little longer."""
    trace = tmp_path / "trace"
    app = start_under(start, trace, (call, error, when))
    assert_serves(app, trace)
    assert app.status().total("restarts") == 0


@pytest.mark.parametrize("faults", [
    [("recvmsg", "ECONNRESET", "1..1")],
    [("recvmsg", "ENOMEM", "3..3")],
    [("sendmsg", "ENOBUFS", "1..1")],
    [("sendmsg", "EPIPE", "2..2")],
    [("getsockopt", "ENOPROTOOPT", "1..1")],
    [("getsockopt", "ENOMEM", "7..7")],
    [("listen", "EADDRINUSE", "2..2")],
    [("socketpair", "EMFILE", "2..2")],
    [("sendmsg", "ETOOMANYREFS", "1..1"), ("fcntl", "EMFILE", "3..3")],
    [("sendmsg", "ETOOMANYREFS", "1..1"), ("fcntl", "EMFILE", "4..4")],
])
def test_failure_of_one_start(start, tmp_path, faults):
    """A worker whose bind(2) failed so ends, and is started again."""
    trace = tmp_path / "trace"
    app = start_under(start, trace, *faults)
    assert_serves(app, trace, len(faults))


@pytest.mark.parametrize("call, error, when", [
    ("bind", "EADDRINUSE", "2+1"),
    ("bind", "EADDRNOTAVAIL", "2+1"),
])
def test_failure_of_the_first_start(start, tmp_path, call, error, when):
    """As natively: the server says why, and nothing is left."""
    app = start_under(start, tmp_path / "trace", (call, error, when), ready=False)
    assert app.wait_exit() in (1, 2)
    until(lambda: not app.leftovers(), 5, lambda: f"left: {app.leftovers()}")


def test_answers_that_can_never_be_sent(start, tmp_path):
    """Too many descriptors in flight, for good: the master keeps few answers, and ends."""
    trace = tmp_path / "trace"
    app = start_under(start, trace, ("sendmsg", "ETOOMANYREFS", "5+"))
    worker = native.Worker(app.workers()[0])
    before = procfs.descriptors(app.pid)
    clients = [send_and_go_on(worker) for _ in range(300)]
    until(lambda: sum(is_over(client) for client in clients) >= 200, 5, "the end of the oldest")
    assert procfs.descriptors(app.pid) - before <= 100
    assert outcomes(get(app.port) for _ in range(4)) == {"ok": 4}
    assert app.stop() == 0


def send_and_go_on(worker):
    client = native.connect(worker)
    client.send(native.request(worker, native.READY))
    client.setblocking(False)
    return client


def is_over(client):
    try:
        return client.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True
