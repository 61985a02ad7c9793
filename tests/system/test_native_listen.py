"""What native workers can listen on, and what they are answered when they cannot."""
import os
import signal
import socket
import stat

import pytest

from support import native, procfs
from support.clients import Crowd, get, outcomes
from support.ports import free_port
from support.wait import PATIENCE, until


def start_listeners(start, *listeners, instances=2, flags=(), **options):
    """Whose shares do not depend on who waits for a processor."""
    return start("baton", "native_worker", instances=instances, arguments=listeners, policy="rr",
                 flags=["--slow-after", 20_000, *flags], **options)


def served_evenly(app, address, count=20):
    """`count` requests to the address: all served, in turns; the index of the listener."""
    replies = [get(address, "/whoami") for _ in range(count)]
    assert outcomes(replies) == {"ok": count}
    pids = [reply.json()["pid"] for reply in replies]
    assert {pids.count(pid) for pid in app.workers()} == {count // app.instances}
    (index,) = {reply.json()["index"] for reply in replies}
    return index


def reachable(host, port):
    try:
        socket.create_connection((host, port), PATIENCE).close()
    except OSError:
        return False
    return True


def test_several_listeners(start, tmp_path):
    """Four in each worker: a client reaches the listener that it asked for."""
    ports = [free_port(), free_port()]
    path = tmp_path / "socket"
    app = start_listeners(start, ports[0], path, f"127.0.0.1={ports[1]}", f"@test-{os.getpid()}")
    addresses = [ports[0], path, ports[1], f"\0test-{os.getpid()}"]
    app.wait_events("listening", count=8)
    assert [served_evenly(app, address) for address in addresses] == [0, 1, 2, 3]
    crowds = [[Crowd(address, 1, "/whoami") for address in addresses] for _ in range(30)]
    for row in crowds:
        assert [crowd.finish()[0].json()["index"] for crowd in row] == [0, 1, 2, 3]
    status = app.status()
    assert [listener.accepted for listener in status.listeners] == [50] * 4
    assert [worker.handed for worker in status.workers] == [100, 100]
    assert procfs.listening_ports(app.pid) == set(ports)


@pytest.mark.parametrize("host, family, reached", [
    (None, "::", {"127.0.0.1", "127.0.0.9", "::1"}),
    ("0.0.0.0", "0.0.0.0", {"127.0.0.1", "127.0.0.9"}),
    ("127.0.0.1", "127.0.0.1", {"127.0.0.1"}),
    ("::1", "::1", {"::1"}),
    ("::", "::", {"127.0.0.1", "127.0.0.9", "::1"}),
])
def test_hosts(start, host, family, reached):
    """IPv4 only, IPv6 only, and both; the worker learns what it is bound to."""
    port = free_port()
    app = start_listeners(start, f"{host}={port}" if host else port)
    for event in app.wait_events("listening", count=2):
        assert (event["address"], event["port"]) == (family, port)
    hosts = ["127.0.0.1", "127.0.0.9", "::1"]
    assert {candidate for candidate in hosts if reachable(candidate, port)} == reached
    for candidate in reached:
        assert served_evenly(app, (candidate, port)) == 0


def test_port_zero(start):
    """One port for all workers, those that come later included."""
    app = start_listeners(start, 0, instances=4)
    (port,) = {event["port"] for event in app.wait_events("listening", count=4)}
    assert port > 0
    assert served_evenly(app, port) == 0
    victim = app.workers()[0]
    os.kill(victim, signal.SIGKILL)
    app.wait_replaced([victim])
    before = app.workers()
    app.signal(signal.SIGHUP)
    app.wait_replaced(before)
    assert {event["port"] for event in app.events("listening")} == {port}
    assert served_evenly(app, port) == 0


def test_port_zero_twice(start):
    """Two listeners of one worker are two ports, each shared by all workers."""
    app = start_listeners(start, "127.0.0.1=0", "127.0.0.1=0", ready=False)
    until(lambda: len(app.events("listening")) + len(app.events("error")) == 4, 5, app.transcript)
    assert app.events("error") == []
    ports = [{event["port"] for event in app.events("listening", index=index)}
             for index in range(2)]
    assert [len(found) for found in ports] == [1, 1] and ports[0] != ports[1]
    assert [served_evenly(app, *found) for found in ports] == [0, 1]


def test_unix_path(start, tmp_path):
    """It is there while the app runs, also while its workers are replaced, and no longer."""
    path = tmp_path / "socket"
    app = start_listeners(start, path)
    assert stat.S_ISSOCK(path.stat().st_mode)
    assert [event["family"] for event in app.events("listening")] == [socket.AF_UNIX] * 2
    assert outcomes(Crowd(path, 60).finish()) == {"ok": 60}
    for victim in app.workers():
        os.kill(victim, signal.SIGKILL)
    assert outcomes(Crowd(path, 60).finish()) == {"ok": 60}
    assert app.stop() == 0
    assert not path.exists()


def test_abstract_unix(start):
    name = f"test-{os.getpid()}"
    app = start_listeners(start, "@" + name)
    assert outcomes(Crowd("\0" + name, 60).finish()) == {"ok": 60}
    assert app.stop() == 0
    assert get("\0" + name).outcome == "refused"


# --- errors ---


def errors_of(start, *listeners):
    """What each of two workers was told of the first listeners; the last one is all right."""
    port = free_port()
    app = start_listeners(start, *listeners, port)
    codes = [{event["code"] for event in app.events("error", index=index)}
             for index in range(len(listeners))]
    assert len(app.events("error")) == 2 * len(listeners)
    assert served_evenly(app, port) == len(listeners)
    assert app.status().total("restarts") == 0
    return [code for found in codes for code in found]


def test_port_in_use(start):
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1={other.getsockname()[1]}"
        assert errors_of(start, taken, taken) == ["EADDRINUSE"] * 2


def test_unix_path_in_use(start, tmp_path):
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        assert errors_of(start, path) == ["EADDRINUSE"]
    assert path.exists(), "it is not ours to remove"


def test_not_allowed_or_not_there(start, tmp_path):
    assert errors_of(start, tmp_path / "absent" / "socket", "192.0.2.1=0",
                     f"/{'x' * 200}") == ["EACCES", "EADDRNOTAVAIL", "ENAMETOOLONG"]


def test_privileged_port(start, unprivileged):
    port = free_port()
    app = start_listeners(start, "127.0.0.1=1", port, wrap=unprivileged)
    assert {event["code"] for event in app.events("error")} == {"EACCES"}
    assert served_evenly(app, port) == 1


def test_the_same_address_twice(start):
    """In one worker that is an error, as bind(2) gives it."""
    port = free_port()
    app = start_listeners(start, port, port)
    assert [event["code"] for event in app.events("error", index=1)] == ["EADDRINUSE"] * 2
    assert served_evenly(app, port) == 0


def test_port_in_use_ends_the_app(start):
    """Where nobody can listen there is nothing to run."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        app = start_listeners(start, f"127.0.0.1={other.getsockname()[1]}", ready=False,
                              flags=["--listen-timeout", 3000])
        assert app.wait_exit() == 1
        assert "in use" in app.stderr.text()


def test_errors_by_the_protocol(start):
    """Addresses of all wrong kinds are answered, not bound."""
    port = free_port()
    app = start_listeners(start, port)
    worker = native.Worker(app.workers()[0])
    before = procfs.descriptors(app.pid)
    good = native.pack_address("127.0.0.1", 1)
    for address, length in [(good, 1), (good, 2), (good, 15), (good, 17),
                            (b"\x0a\0" + bytes(20), 16), (b"\xff\xff" + bytes(14), 16),
                            (b"\x01\0", 2), (bytes(16), 16), (bytes(128), 128)]:
        reply, descriptors = native.ask(
            worker, native.request(worker, native.LISTEN, address=address, length=length))
        assert reply.error < 0 and descriptors == [], (address, length)
    until(lambda: procfs.descriptors(app.pid) <= before, 3, "the last answered connection's end")
    assert served_evenly(app, port) == 0
