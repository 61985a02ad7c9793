"""System calls of the master that fail under it, as strace injects them: nobody is lost."""
import subprocess

import pytest

from support.clients import Crowd, get, outcomes


@pytest.fixture(scope="module", autouse=True)
def strace_works():
    """A container may forbid to trace."""
    try:
        probe = subprocess.run(["strace", "-D", "-qq", "-o", "/dev/null", "true"],
                               capture_output=True, check=False, timeout=10)
    except FileNotFoundError:
        pytest.skip("strace is not installed")
    if probe.returncode:
        pytest.skip("strace may not trace here")


@pytest.mark.parametrize("call, error, when", [
    ("accept4", "EMFILE", "2+3"),
    ("accept4", "ENFILE", "2+3"),
    ("accept4", "ENOBUFS", "2+3"),
    ("accept4", "ECONNABORTED", "1+2"),
    ("accept4", "EINTR", "1+2"),
    ("sendmsg", "EAGAIN", "6+3"),
    ("sendmsg", "ETOOMANYREFS", "6+3"),
    ("sendmsg", "ENOBUFS", "6+3"),
    ("sendmsg", "EINTR", "6+2"),
    ("recvmsg", "EINTR", "6+2"),
])
def test_failing_call(start, tmp_path, call, error, when):
    trace = tmp_path / "trace"
    app = start("baton", "hello.js", instances=2, wrap=[
        "strace", "-D", "-qq", "-o", trace, "-e", f"trace={call}",
        "-e", f"inject={call}:error={error}:when={when}"])
    assert outcomes(Crowd(app.port, 40).finish()) == {"ok": 40}
    assert outcomes(get(app.port) for _ in range(10)) == {"ok": 10}
    status = app.wait_status(lambda now: now.total("acknowledged") == 50)
    assert status.total("restarts") == 0
    assert "(INJECTED)" in trace.read_text()
