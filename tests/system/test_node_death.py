"""Workers that die: who is lost with them, who is not, and who comes after them."""
import os
import select
import signal

import pytest

from support import procfs
from support.clients import Crowd, Load, get, open_socket, outcomes, read_reply, request_bytes
from support.primary import APPS, by_accept_socket
from support.wait import PATIENCE, until


@pytest.mark.parametrize("action", ["throw", "exit/0", "exit/7"])
def test_a_worker_that_ends_is_started_again(start, primary, action):
    app = start(primary, "routes.js", instances=2)
    before = app.workers()
    assert get(app.port, f"/{action}").outcome == "reset"
    (ended,) = {event["pid"] for event in app.wait_events("exit")}
    after = app.wait_replaced([ended])
    assert set(before) & set(after) == set(before) - {ended}
    until(lambda: {get(app.port, "/whoami").json()["pid"] for _ in range(8)} == set(after), 15,
          "an answer of both")
    if primary == "baton":
        status = app.status()
        assert sorted(worker.restarts for worker in status.workers) == [0, 1]
        assert sorted(worker.slot for worker in status.workers) == [0, 1]


def test_the_instance_number_belongs_to_the_slot(start):
    app = start("baton", "routes.js", instances=3)
    before = {answer["pid"]: answer["instance"] for answer in
              (get(app.port, "/whoami").json() for _ in range(9))}
    victim = app.workers()[1]
    os.kill(victim, signal.SIGKILL)
    app.wait_replaced([victim])
    after = {answer["pid"]: answer["instance"] for answer in
             (get(app.port, "/whoami").json() for _ in range(9))}
    (newcomer,) = set(after) - set(before)
    assert after[newcomer] == before[victim]


def test_each_worker_dead_in_turn(start, primary):
    """One stale worker must stall nobody while others are ready. Node's primary may lose the
    client that it hands over before it has seen the end of the worker; Baton takes it back."""
    app = start(primary, "hello.js", instances=3)
    for victim in app.workers():
        os.kill(victim, signal.SIGKILL)
        until(lambda: not procfs.alive(victim), 5, "the victim's end")
        replies = [get(app.port, timeout=3 if primary == "node" else PATIENCE) for _ in range(9)]
        lost = 9 - outcomes(replies).get("ok", 0)
        assert lost <= (1 if primary == "node" else 0), outcomes(replies)
        app.wait_replaced([victim])


def test_all_but_one_dead(start, primary):
    app = start(primary, "hello.js", instances=4)
    victims = app.workers()[:3]
    for victim in victims:
        os.kill(victim, signal.SIGKILL)
    until(lambda: not any(map(procfs.alive, victims)), 5, "the victims' end")
    crowd = Crowd(app.port, 30)
    wanted = 27 if primary == "node" else 30
    until(lambda: outcomes(crowd.read(0.1)).get("ok", 0) >= wanted, PATIENCE, crowd.replies)
    app.wait_replaced(victims)


@pytest.mark.parametrize("instances", [1, 3])
def test_clients_wait_while_all_workers_are_dead(start, primary, instances, tmp_path):
    """Node's primary closes the port with the last worker: clients are refused, or hang with a
    dead worker. Baton keeps it open, and the replacements serve them."""
    script = tmp_path / "gated.js"
    script.write_text("const fs = require('fs');"
                      "const nothing = new Int32Array(new SharedArrayBuffer(4));"
                      "while (fs.existsSync('gate')) Atomics.wait(nothing, 0, 0, 10);"
                      f"require({str(APPS / 'hello.js')!r});")
    app = start(primary, script, instances=instances)
    victims = app.workers()
    (tmp_path / "gate").touch()
    for victim in victims:
        os.kill(victim, signal.SIGKILL)
    until(lambda: not any(map(procfs.alive, victims)), 5, "the victims' end")
    if primary == "node":
        assert get(app.port, timeout=3).outcome in {"refused", "hung", "reset"}
        (tmp_path / "gate").unlink()
    else:
        crowd = Crowd(app.port, 10)
        assert crowd.read(0.3) == [] and app.workers() == []
        (tmp_path / "gate").unlink()
        assert outcomes(crowd.finish()) == {"ok": 10}
    app.wait_replaced(victims)


def test_kill_under_load_costs_only_what_the_worker_had(start, primary):
    """16 clients at a time over 4 workers. A client may be lost only when the killed worker had
    it, so at most all 16 each time; Node's primary, besides, lets clients hang."""
    app = start(primary, "routes.js", instances=4)
    kills, threads = 4, 16
    patience = 2 if primary == "node" else PATIENCE
    with Load(app.port, threads=threads, path="/sleep/10", timeout=patience) as load:
        for _ in range(kills):
            load.wait_more(40)
            victim = app.workers()[0]
            os.kill(victim, signal.SIGKILL)
            app.wait_replaced([victim])
        load.wait_more(40)
    counts = outcomes(load.replies)
    assert set(counts) <= {"ok", "reset", "hung"}
    assert counts.get("reset", 0) <= kills * threads
    if primary == "baton":
        assert "hung" not in counts, counts
        status = app.wait_status(lambda now: now.waiting() == 0)
        assert sum(worker.restarts for worker in status.workers) == kills


def test_kill_while_idle_costs_nobody(start, primary):
    """Clients of the other workers notice nothing: exact loss is none."""
    app = start(primary, "routes.js", instances=2)
    with open_socket(app.port) as other:
        other.sendall(request_bytes("/sleep/400"))
        victim = next(reply.json()["pid"] for reply in [get(app.port, "/whoami")])
        os.kill(victim, signal.SIGKILL)
        reply = read_reply(other)
        assert reply.outcome == "ok" and reply.json()["pid"] != victim
    app.wait_replaced([victim])


def hand_one_to_the_blocked(app):
    """Blocks a worker and gives it a client that it cannot acknowledge: (pid, the clients)."""
    lost = open_socket(app.port)
    lost.sendall(request_bytes("/block-until/never"))
    (event,) = app.wait_events("blocking")
    if app.primary == "node":  # which keeps its copy until it is acknowledged
        until(lambda: procfs.open_connections(app.pid, app.port) == 0, PATIENCE, app.transcript)
    # Of those that come in turn one is the blocked worker's, and the other one answers the rest.
    clients = [open_socket(app.port) for _ in range(1 if app.instances == 1 else 5)]
    for client in clients:
        client.sendall(request_bytes("/whoami"))
    if app.instances == 1:
        wait_handed_over(app)
    until(lambda: len(answered(clients)) == len(clients) - 1, PATIENCE, app.transcript)
    (waiting,) = set(clients) - answered(clients)
    return event["pid"], lost, waiting


def answered(clients):
    return set(select.select(clients, [], [], 0)[0])


def wait_handed_over(app):
    """Waits until the client that came after the blocking one is on its way to the worker."""
    if app.primary == "baton":
        app.wait_status(lambda now: now.total("handed") == 2)
    else:
        until(lambda: procfs.open_connections(app.pid, app.port) > 0, PATIENCE, app.transcript)


@pytest.mark.parametrize("instances", [1, 2])
def test_kill_before_the_acknowledgement(start, primary, instances):
    """Under Node's primary that client hangs for ever; under Baton another worker serves it."""
    if by_accept_socket(primary) and instances > 1:
        pytest.skip("no client waits for a blocked worker when there is another one")
    app = start(primary, "routes.js", instances=instances)
    victim, lost, waiting = hand_one_to_the_blocked(app)
    os.kill(victim, signal.SIGKILL)
    reply = read_reply(waiting, timeout=3 if primary == "node" else PATIENCE)
    if primary == "node":
        assert reply.outcome == "hung"
    else:
        assert reply.outcome == "ok" and reply.json()["pid"] != victim
        app.wait_status(lambda now: now.total("acknowledged") >= 1)
    assert read_reply(lost).outcome == "reset"
    app.wait_replaced([victim])


def test_kill_with_many_unacknowledged(start):
    """A stopped worker with a window of 8 full: all 8 go to the other, and are counted."""
    app = start("baton", "routes.js", instances=2, window=8,
                flags=["--slow-after", 3000 if by_accept_socket("baton") else 20_000])
    victim = app.workers()[0]
    os.kill(victim, signal.SIGSTOP)
    crowd = Crowd(app.port, 40, "/whoami")
    if by_accept_socket("baton"):
        assert outcomes(crowd.read_all_but(0)) == {"ok": 40}
        assert app.status().worker(victim).returned == 8
    else:
        assert outcomes(crowd.read_all_but(8)) == {"ok": 32}
        assert app.status().worker(victim).handed == 8
    os.kill(victim, signal.SIGKILL)
    assert outcomes(crowd.finish()) == {"ok": 40}
    app.wait_replaced([victim])
    assert app.status().total("handed") - app.status().total("returned") <= 40


def test_a_client_that_all_workers_fail_is_not_served_twice(start, primary):
    """A request that kills its worker has been acknowledged: no second worker gets it."""
    app = start(primary, "routes.js", instances=2)
    assert get(app.port, "/throw").outcome == "reset"
    (event,) = app.wait_events("exit")
    app.wait_replaced([event["pid"]])
    assert len(app.events("exit")) == 1


@pytest.mark.parametrize("script, reason, code", [
    ("young_death.js", "no configuration found", 1),
    ("short_life.js", "short of breath", 2),
], ids=["before it serves", "after it served"])
def test_worker_that_dies_young_is_given_up(start, script, reason, code):
    """Again and again, backing off, and then no more: the reason can be read."""
    app = start("baton", script, ready=False, instances=1,
                flags=["--max-restarts", 3, "--exp-backoff-restart-delay", 10,
                       "--min-uptime", 60_000])  # it takes its time to start, too
    assert app.wait_exit() == code
    app.stdout.join()
    app.stderr.join()
    own = [line for line in app.stderr.text().splitlines() if line.startswith("[baton]")]
    assert app.stderr.text().count(f"Error: {reason}" if code == 2 else reason) == 3
    assert "3 times" in own[-1] and "exited with code" in own[-1], own
    assert not app.leftovers()


def test_many_kills_leave_the_right_number(start):
    app = start("baton", "hello.js", instances=2, flags=["--min-uptime", 0])
    for _ in range(20):
        victim = app.workers()[0]
        os.kill(victim, signal.SIGKILL)
        app.wait_replaced([victim])
        assert get(app.port).outcome == "ok"
    status = app.wait_status(lambda now: len(now.ready()) == 2)
    assert sum(worker.restarts for worker in status.workers) == 20
    assert len(app.leftovers()) == 3
    assert len(os.listdir(f"/proc/{app.pid}/fd")) < 40
