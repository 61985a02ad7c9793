"""Full workers, blocked workers, odd clients, few descriptors: nobody is dropped, nothing spins."""
import collections
import json
import os
import signal
import socket
import time

import pytest

from support import procfs
from support.clients import (Crowd, abort, ask_more, get, open_socket, outcomes, read_reply,
                             request_bytes)
from support.ports import free_port
from support.primary import APPS, by_accept_socket
from support.wait import PATIENCE, until


class Holder:
    """A client of full.js, which holds it until it leaves."""

    def __init__(self, port):
        self.socket = open_socket(port)

    def pid(self, timeout=30):
        """The worker that took it, or None when none did in time."""
        self.socket.settimeout(timeout)
        try:
            return int(self.socket.recv(20))
        except TimeoutError:
            return None

    def is_let_go(self):
        self.socket.settimeout(30)
        return self.socket.recv(20) == b""

    def leave(self):
        self.socket.close()


def test_a_refused_client_goes_to_another_worker(start, primary):
    app = start(primary, "full.js", instances=3, arguments=["2"])
    if by_accept_socket(primary):
        holders = fill_in_turn(app, 2)
        assert Holder(app.port).is_let_go()
        for holder in holders:
            holder.leave()
        return
    holders = [Holder(app.port) for _ in range(6)]
    pids = [holder.pid() for holder in holders]
    assert sorted(pids) == sorted(app.workers() * 2)
    # Only one worker has room again: it gets the next, however many refuse first.
    for holder in holders[:3]:
        holder.leave()
        newcomer = Holder(app.port)
        assert newcomer.pid() == pids[holders.index(holder)]
        holders.append(newcomer)
    for holder in holders:
        holder.leave()


def fill_in_turn(app, each):
    """One client after the other, so that each worker is free again when its turn comes."""
    holders = []
    for _ in range(each * app.instances):
        holders.append(Holder(app.port))
        assert holders[-1].pid() in app.workers()
    return holders


def test_all_workers_full_costs_no_cpu(start, primary):
    """Node's primary hands the waiting client round without pause; Baton waits for a change."""
    app = start(primary, "full.js", instances=2, arguments=["1"])
    holders = [Holder(app.port) for _ in range(2)]
    assert sorted(holder.pid() for holder in holders) == sorted(app.workers())
    waiting = [Holder(app.port) for _ in range(2)]
    if by_accept_socket(primary):
        assert all(holder.is_let_go() for holder in waiting)
        return
    assert waiting[0].pid(timeout=0.3) is None
    before, start_time = procfs.cpu_seconds(app.pid), time.monotonic()
    if primary == "node":
        until(lambda: procfs.cpu_seconds(app.pid) - before > 0.2, 30, "its primary to be busy")
    else:
        assert waiting[0].pid(timeout=1.5) is None
        used = (procfs.cpu_seconds(app.pid) - before) / (time.monotonic() - start_time)
        assert used < 0.05
        assert app.status().total("refused") < 200
    for holder in holders:
        holder.leave()
    assert sorted(holder.pid() for holder in waiting) == sorted(app.workers())


def block_one(app):
    """Blocks one worker until there is a file `go`; its pid, and the client that waits for it."""
    client = open_socket(app.port)
    client.sendall(request_bytes("/block-until/go"))
    (event,) = app.wait_events("blocking")
    return event["pid"], client


@pytest.mark.parametrize("window", [1, 2, 16])
def test_as_many_clients_wait_behind_a_blocked_worker_as_the_window_allows(start, tmp_path, window):
    patient = [] if by_accept_socket("baton") else ["--slow-after", 20_000]
    stuck_behind_a_blocked_worker(start("baton", "routes.js", window=window, flags=patient),
                                  tmp_path, window)


def test_one_client_waits_behind_a_blocked_worker_by_default(start, tmp_path, primary):
    stuck_behind_a_blocked_worker(start(primary, "routes.js"), tmp_path, 1)


def stuck_behind_a_blocked_worker(app, directory, count):
    blocked, client = block_one(app)
    crowd = Crowd(app.port, 60, "/whoami")
    held = 0 if by_accept_socket(app.primary) else count
    soon = crowd.read_all_but(held)
    assert outcomes(soon) == {"ok": 60 - held}
    assert blocked not in {reply.json()["pid"] for reply in soon}
    (directory / "go").touch()
    assert outcomes(crowd.finish()) == {"ok": 60}
    assert read_reply(client).json() == {"pid": blocked}


def test_slow_worker_that_does_not_block_keeps_its_turn(start, primary):
    """The acknowledgement says that the event loop lives, not that the worker is idle: each gets
    more clients while it has answered none of those before."""
    app = start(primary, "routes.js", instances=2)
    clients = []
    for number in range(1, 21):
        clients.append(Crowd(app.port, 1, "/hold"))
        app.wait_events("holding", number)
    shares = collections.Counter(event["pid"] for event in app.events("holding"))
    assert all(shares[pid] >= 5 for pid in app.workers()), shares
    for pid in app.workers():
        os.kill(pid, signal.SIGUSR2)
    assert outcomes(client.finish()[0] for client in clients) == {"ok": 20}


def test_silent_clients(start, primary):
    app = start(primary, "hello.js", instances=2)
    silent = [open_socket(app.port) for _ in range(60)]
    assert outcomes(get(app.port) for _ in range(20)) == {"ok": 20}
    for client in silent:
        client.close()
    if primary == "baton":
        status = app.wait_status(lambda now: now.total("acknowledged") == 80)
        assert status.waiting() == 0


def test_client_that_sends_a_byte_at_a_time(start, primary):
    app = start(primary, "hello.js", instances=1)
    with open_socket(app.port) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n":
            client.sendall(bytes([byte]))
            time.sleep(0.005)
        assert read_reply(client).outcome == "ok"


def test_half_closed_clients(start, primary):
    """Those that asked are answered; those that did not are let go."""
    app = start(primary, "hello.js", instances=2)
    clients = [open_socket(app.port) for _ in range(20)]
    for number, client in enumerate(clients):
        if number < 10:
            client.sendall(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
    assert outcomes(map(read_reply, clients[:10])) == {"ok": 10}
    assert [client.recv(1) for client in clients[10:]] == [b""] * 10
    for client in clients:
        client.close()


def test_clients_that_reset_at_once(start, primary):
    app = start(primary, "hello.js", instances=2)
    for _ in range(100):
        abort(open_socket(app.port))
    assert outcomes(get(app.port) for _ in range(20)) == {"ok": 20}
    assert len(app.events("listening")) == 2
    if primary == "baton":
        app.wait_status(lambda now: now.total("handed") == sum(
            map(now.total, ("acknowledged", "refused", "returned"))))


def test_clients_that_hang_up_while_they_wait(start, primary):
    """All workers stopped: some clients wait, some leave. Those who waited are all served."""
    app = start(primary, "hello.js", instances=2)
    for pid in app.workers():
        os.kill(pid, signal.SIGSTOP)
    crowds, leavers = [], []
    for number in range(40):
        crowds.append(Crowd(app.port, 1))
        leavers.append(open_socket(app.port))
        if number % 2:
            abort(leavers.pop())
    for leaver in leavers:
        leaver.close()
    for pid in app.workers():
        os.kill(pid, signal.SIGCONT)
    assert outcomes(crowd.finish()[0] for crowd in crowds) == {"ok": 40}


def test_one_stopped_worker_holds_up_one_client(start, primary):
    app = start(primary, "hello.js", instances=3)
    stopped = app.workers()[0]
    os.kill(stopped, signal.SIGSTOP)
    crowd = Crowd(app.port, 50)
    held = 0 if by_accept_socket(primary) else 1
    assert outcomes(crowd.read_all_but(held)) == {"ok": 50 - held}
    os.kill(stopped, signal.SIGCONT)
    assert outcomes(crowd.finish()) == {"ok": 50}


def test_all_but_one_stopped(start, primary):
    app = start(primary, "hello.js", instances=4)
    stopped, working = app.workers()[:3], app.workers()[3]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    crowd = Crowd(app.port, 40)
    held = 0 if by_accept_socket(primary) else 3
    soon = crowd.read_all_but(held)
    assert outcomes(soon) == {"ok": 40 - held}
    assert {reply.json()["pid"] for reply in soon} == {working}
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)
    assert outcomes(crowd.finish()) == {"ok": 40}


@pytest.mark.parametrize("limit", [50, 64])
def test_more_clients_than_descriptors(start, primary, limit):
    """150 clients at once, all held for a while, with room for few descriptors in the primary and
    in each worker: under Baton they wait, and all are served; libuv's accept drops them. With 50 the
    clients that come back from two windows would fill the primary's table exactly."""
    app = start(primary, "routes.js", instances=2, wrap=["prlimit", f"--nofile={limit}"])
    if primary == "node":
        crowd = Crowd(app.port, 150, "/hold")
        until(lambda: set(outcomes(crowd.read(0.1))) - {"ok"}, PATIENCE, "one that is dropped")
        return
    replies = Crowd(app.port, 150, "/sleep/300").finish()
    assert outcomes(replies) == {"ok": 150}, f"{app.state()}\n{app.transcript()}"
    assert len(app.events("listening")) == 2, "no worker died of it"


def test_descriptor_limit_is_raised_for_the_master_alone(start, tmp_path):
    """`sh` shows what a worker is started with: Node raises its own limit when it starts."""
    limits = tmp_path / "limits"
    script = tmp_path / "worker.sh"
    script.write_text(f"#!/bin/sh\nulimit -Sn > {limits}\nexec node {APPS}/hello.js\n")
    script.chmod(0o755)
    app = start("baton", script, instances=1, flags=["--interpreter", "sh", "--intercept", "node"],
                wrap=["prlimit", "--nofile=256:4096"])
    assert procfs.limit_of_files(app.pid) == (4096, 4096)
    assert limits.read_text() == "256\n"
    assert get(app.port).outcome == "ok"


def test_clients_beyond_the_kernel_backlog_wait_in_the_kernel(start):
    """The only worker is stopped: the master takes a bounded number, the rest stays in the
    backlog; on SIGCONT all are served."""
    app = start("baton", "hello.js", instances=1)
    (worker,) = app.workers()
    os.kill(worker, signal.SIGSTOP)
    crowd = Crowd(app.port, 400)
    status = app.wait_status(lambda now: now.accepted() > 0)
    assert status.accepted() < 400
    os.kill(worker, signal.SIGCONT)
    assert outcomes(crowd.finish()) == {"ok": 400}


def test_full_channel_mixes_up_nobody(start):
    """More hand-overs than a channel holds, to a stopped worker with two servers: on SIGCONT each
    client reaches the server that it asked for."""
    ports = [free_port(), free_port()]
    app = start("baton", "listen.js", instances=1, window=1000,
                arguments=[json.dumps({"port": port}) for port in ports])
    app.wait_events("listening", 2)
    os.kill(app.workers()[0], signal.SIGSTOP)
    crowds = [[Crowd(port, 1) for port in ports] for _ in range(350)]
    os.kill(app.workers()[0], signal.SIGCONT)
    replies = [[crowd.finish()[0] for crowd in pair] for pair in crowds]
    assert outcomes(reply for pair in replies for reply in pair) == {"ok": 700}
    assert all([reply.json()["index"] for reply in pair] == [0, 1] for pair in replies)


def test_idle_master_uses_no_cpu(start):
    app = start("baton", "routes.js", instances=2)
    with open_socket(app.port) as keep_alive:
        assert ask_more(keep_alive, "/whoami").outcome == "ok"
        app.wait_status(lambda now: now.total("acknowledged") == 1)
        before = procfs.cpu_seconds(app.pid)
        for _ in range(300):
            assert ask_more(keep_alive, "/whoami").outcome == "ok"
        assert procfs.cpu_seconds(app.pid) - before <= 0.02
        time.sleep(1)
        assert procfs.cpu_seconds(app.pid) - before <= 0.03
