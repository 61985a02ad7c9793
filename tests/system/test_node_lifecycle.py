"""Reload, stop, second signal: from outside, as an operator or a container sees it."""
import os
import signal
import subprocess
import time

import pytest

from support import procfs
from support.clients import Load, get, open_socket, outcomes, read_reply, request_bytes
from support.wait import until

STOP_SIGNALS = [signal.SIGTERM, signal.SIGINT]
PATIENT = ["--drain-timeout", 30000, "--kill-timeout", 30000]
IMPATIENT = ["--drain-timeout", 300, "--kill-timeout", 300]


def start_request(port, path):
    client = open_socket(port)
    client.sendall(request_bytes(path))
    return client


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_stop_lets_requests_finish(start, primary, number):
    app = start(primary, "routes.js", instances=2)
    clients = [start_request(app.port, "/sleep/1000") for _ in range(4)]
    assert get(app.port, "/whoami").outcome == "ok"
    app.signal(number)
    assert outcomes(map(read_reply, clients)) == {"ok": 4}
    assert app.wait_exit() == 0
    assert get(app.port).outcome == "refused"
    if primary == "baton":
        assert not app.leftovers()


def test_stop_waits_for_clients_that_a_busy_worker_has_not_taken(start, tmp_path):
    app = start("baton", "routes.js", instances=1, flags=[*PATIENT, "--slow-after", 30000])
    clients = [start_request(app.port, "/block-until/go")]
    app.wait_events("blocking")
    clients += [start_request(app.port, "/whoami") for _ in range(4)]
    app.signal(signal.SIGTERM)
    until(lambda: "stopping routes" in app.transcript(), 30, "the end to begin")
    (tmp_path / "go").touch()
    assert outcomes(map(read_reply, clients)) == {"ok": 5}
    assert app.wait_exit() == 0


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_second_signal_ends_at_once(start, number):
    app = start("baton", "routes.js", instances=2, flags=PATIENT)
    client = start_request(app.port, "/hold")
    app.wait_events("holding")
    app.signal(number)
    until(lambda: get(app.port).outcome == "refused", 5, "the drain to begin")
    time.sleep(0.2)  # closer together they would be one signal that came through several hands
    assert app.process.poll() is None
    app.signal(number)
    assert app.wait_exit() == 128 + number  # and not when the request ends
    assert read_reply(client).outcome == "reset"
    assert not app.leftovers()


def test_signal_that_comes_twice_at_once_is_one(start):
    """The terminal sends Ctrl-C to all, and a shell or make passes it on as well."""
    app = start("baton", "routes.js", instances=2, flags=PATIENT)
    client = start_request(app.port, "/hold")
    (event,) = app.wait_events("holding")
    for number in (signal.SIGSTOP, signal.SIGINT, signal.SIGTERM, signal.SIGCONT):
        app.signal(number)  # so that it hears of both at the same time
    until(lambda: get(app.port).outcome == "refused", 5, "the drain to begin")
    os.kill(event["pid"], signal.SIGUSR2)
    assert read_reply(client).outcome == "ok"
    assert app.wait_exit() == 0


@pytest.mark.parametrize("path", ["/hold", "/block-until/never"])
def test_worker_that_does_not_stop_is_ended(start, path):
    app = start("baton", "routes.js", instances=2, flags=IMPATIENT)
    client = start_request(app.port, path)
    assert get(app.port, "/whoami").outcome == "ok"
    app.stop()
    assert read_reply(client).outcome == "reset"
    assert not app.leftovers()


def test_idle_connections_do_not_hold_up_the_end(start):
    """Silent and upgraded clients are never finished: they get the drain time and no more."""
    app = start("baton", "upgrade.js", instances=2, flags=IMPATIENT)
    silent = [open_socket(app.port) for _ in range(4)]
    upgraded = open_socket(app.port)
    upgraded.sendall(b"GET / HTTP/1.1\r\nHost: test\r\n"
                     b"Upgrade: echo\r\nConnection: Upgrade\r\n\r\n")
    assert upgraded.recv(12) == b"HTTP/1.1 101"
    app.stop()
    assert not app.leftovers()
    for client in [*silent, upgraded]:
        client.close()


def test_stop_while_workers_start(start, primary):
    app = start(primary, "hello.js", instances=4, ready=False)
    until(lambda: len(app.leftovers()) > 1, 5, "a worker")
    app.stop()
    until(lambda: not app.leftovers(), 5, "the workers' end")


@pytest.mark.parametrize("policy", ["node", "rr"])
def test_reload_under_load_loses_nobody(start, policy):
    app = start("baton", "routes.js", instances=2, policy=policy)
    with Load(app.port, threads=8, path="/sleep/5") as load:
        for _ in range(3):
            load.wait_more(40)
            old = app.workers()
            app.signal(signal.SIGHUP)
            new = app.wait_replaced(old)
            assert len(new) == 2 and not set(new) & set(old)
        load.wait_more(40)
    assert outcomes(load.replies) == {"ok": len(load.replies)}
    app.wait_status(lambda now: len(now.workers) == 2)


def test_reload_lets_requests_finish(start):
    app = start("baton", "routes.js", instances=2)
    old = app.workers()
    clients = [start_request(app.port, "/sleep/1200") for _ in range(4)]
    assert get(app.port, "/whoami").outcome == "ok"
    app.signal(signal.SIGHUP)
    replies = [read_reply(client) for client in clients]
    assert outcomes(replies) == {"ok": 4}
    assert {reply.json()["pid"] for reply in replies} == set(old)
    app.wait_replaced(old)


def test_reload_of_a_port_0_keeps_the_port(start):
    app = start("baton", "hello.js", port=0, instances=2)
    (port,) = {event["port"] for event in app.events("listening")}
    old = app.workers()
    app.signal(signal.SIGHUP)
    app.wait_replaced(old)
    assert {event["port"] for event in app.events("listening")} == {port}
    assert get(port).outcome == "ok"


def test_reload_to_a_broken_version_keeps_the_old_one(start, tmp_path):
    script = tmp_path / "program.js"
    good = ("const http = require('http');"
            "http.createServer((q, r) => r.end('{}')).listen(process.env.PORT, () => "
            "console.log(JSON.stringify({ event: 'listening', pid: process.pid })));")
    script.write_text(good)
    app = start("baton", script, instances=2)
    old = app.workers()
    script.write_text("throw new Error('broken version');")
    app.signal(signal.SIGHUP)
    until(lambda: "broken version" in app.stderr.text(), 10, app.transcript)
    with Load(app.port, threads=2) as load:
        load.wait_more(100)
    assert outcomes(load.replies) == {"ok": len(load.replies)}
    assert app.workers() == old


def test_as_pid_1(start, tmp_path):
    """In a PID name space of its own, as in a container: orphans are reaped, SIGTERM stops."""
    probe = subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", "true"],
                           capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("PID name spaces are not allowed here")
    script = tmp_path / "orphans.js"
    script.write_text(
        "const { spawn } = require('child_process');"
        "spawn('sh', ['-c', 'sleep 0.2 & :']);"
        "require('http').createServer((q, r) => r.end('{}')).listen(process.env.PORT, () => "
        "console.log(JSON.stringify({ event: 'listening', pid: process.pid })));")
    app = start("baton", script, instances=1, ready=False,
                wrap=["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"])
    app.wait_events("listening")
    assert get(app.port).outcome == "ok"
    baton = next(pid for pid in app.leftovers() if _inner_pid(pid) == "1")
    until(lambda: not _zombies_of(baton), 5, "the orphans to be reaped")
    os.kill(baton, signal.SIGTERM)
    assert app.wait_exit() == 0


def _inner_pid(pid):
    """The last of its numbers; None when it is gone."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as lines:
            return next(line.split()[-1] for line in lines if line.startswith("NSpid"))
    except (FileNotFoundError, ProcessLookupError):
        return None


def _zombies_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
        return [child for child in children.read().split() if procfs.state(child) == "Z"]
