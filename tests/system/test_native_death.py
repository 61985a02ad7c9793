"""Workers on accept sockets that die: who is lost with them, who is not, who comes after them."""
import collections
import os
import random
import signal
import time

import pytest

from support import procfs
from support.clients import (Crowd, KeptLoad, Load, Reply, ask, ask_more, get, open_socket,
                             outcomes, read_reply, request_bytes)
from support.gate import Gate
from support.primary import FRUGAL, REPOSITORY
from support.signals import kill, stop
from support.wait import until

KILLS = 900 if os.environ.get("BATON_SOAK") else 300

SITE = REPOSITORY / "examples" / "site"
PATIENT = ["--slow-after", 20_000]
# What is in work may take its time, so that its end is another event than the end of a limit.
DRAINING = ["--drain-timeout", "60s", "--kill-timeout", "60s"]


def pids_of(replies):
    assert outcomes(replies) == {"ok": len(replies)}
    return {reply.json()["pid"] for reply in replies}


# --- dead in turn, all but one, all ---


@pytest.mark.parametrize("policy", ["node", "rr", "random", "least", "p2c", "hash", "none"])
def test_every_worker_dead_in_turn(start, policy):
    """While one is away the others serve everybody, without a wait for its return."""
    for slot in range(4):
        app = start("baton", "native_worker", instances=4, policy=policy,
                    flags=["--restart-delay", 60_000])
        victim = app.status().slot(slot).pid
        kill(victim)
        assert victim not in pids_of(Crowd(app.port, 40, "/whoami").finish())
        app.wait_status(lambda now: len(now.ready()) == 3)


@pytest.mark.parametrize("policy", ["node", "rr", "least", "hash"])
def test_all_but_one_dead(start, policy):
    app = start("baton", "native_worker", instances=4, policy=policy,
                flags=["--restart-delay", 60_000])
    *victims, last = app.workers()
    for victim in victims:
        kill(victim)
    assert pids_of(Crowd(app.port, 100, "/whoami").finish()) == {last}
    assert pids_of([get(app.port, "/whoami") for _ in range(50)]) == {last}
    assert len(app.status().ready()) == 1


def test_all_but_one_stopped(start):
    app = start("baton", "native_worker", instances=4, policy="rr")
    *victims, last = app.workers()
    for victim in victims:
        stop(victim)
    assert pids_of(Crowd(app.port, 100, "/whoami").finish()) == {last}
    for victim in victims:
        os.kill(victim, signal.SIGCONT)
    assert outcomes(Crowd(app.port, 100).finish()) == {"ok": 100}


@pytest.mark.parametrize("instances", [1, 3])
def test_all_dead(start, tmp_path, instances):
    """Clients wait, none is refused, and the first worker that is back serves."""
    gate = Gate(tmp_path, "native_worker")
    app = start("baton", gate.script, instances=instances, flags=["--intercept", "native"])
    victims = app.workers()
    gate.shut()
    for victim in victims:
        kill(victim)
    crowd = Crowd(app.port, 200, "/whoami")
    assert crowd.read(0.2) == []
    gate.open()
    assert not pids_of(crowd.finish()) & set(victims)
    status = app.wait_status(lambda now: now.total("acknowledged") == 200)
    assert (status.accepted(), status.waiting()) == (200, 0)


# --- before and after accepting ---


@pytest.mark.parametrize("policy, queued", [("rr", 16), ("node", 16), ("least", None)])
def test_kill_of_a_worker_with_clients_in_its_window(start, policy, queued):
    """It was stopped before it could accept them: others answer them all."""
    app = start("baton", "native_worker", instances=2, policy=policy, flags=PATIENT)
    victim = app.workers()[0]
    stop(victim)
    crowd = Crowd(app.port, 60, "/whoami")
    if queued:
        app.wait_status(lambda now: now.worker(victim).waiting == queued)
    else:
        app.wait_status(lambda now: now.worker(victim).waiting > 0)
    before = crowd.read(0.1)
    assert len(before) < 60
    os.kill(victim, signal.SIGKILL)
    assert victim not in pids_of(crowd.finish())
    app.wait_replaced([victim])
    assert app.status().accepted() == 60


def test_kill_costs_exactly_what_the_worker_had_accepted(start):
    """40 clients have begun to ask, 10 at each of 4; one worker is killed, and all go on."""
    app = start("serve", SITE, instances=4, flags=PATIENT)
    clients = [open_socket(app.port) for _ in range(40)]
    for client in clients:
        client.sendall(b"GET / HTTP/1.1\r\n")
    status = app.wait_status(lambda now: now.total("acknowledged") == 40)
    assert [worker.handed for worker in status.workers] == [10] * 4
    kill(status.slot(2).pid)
    assert outcomes(map(ask_the_rest, clients)) == {"ok": 30, "reset": 10}


def ask_the_rest(client):
    with client:
        try:
            client.sendall(b"Host: test\r\nConnection: close\r\n\r\n")
        except OSError:
            return Reply("reset")
        return read_reply(client)


def test_kill_under_load(start):
    """A client may be lost only when a killed worker had it, so at most all 16 each time."""
    app = start("serve", SITE, instances=4)
    kills, threads = 8, 16
    with Load(app.port, threads=threads, path="/sleep/5") as load:
        for number in range(kills):
            load.wait_more(100)
            victim = app.status().slot(number % 4).pid
            os.kill(victim, signal.SIGKILL)
            app.wait_replaced([victim])
        load.wait_more(100)
    counts = outcomes(load.replies)
    assert set(counts) <= {"ok", "reset"}, counts
    assert counts.get("reset", 0) <= kills * threads, counts
    status = app.wait_status(lambda now: now.waiting() == 0)
    assert status.accepted() == len(load.replies)
    assert status.total("restarts") == kills


def test_kill_of_idle_workers_under_load_costs_nobody(start):
    """Requests are asked one at a time, and a worker is killed that has answered its own."""
    app = start("baton", "native_worker", instances=4, policy="rr")
    replies = []
    for number in range(60):
        replies.append(get(app.port, "/whoami"))
        if number % 6 == 5:
            os.kill(replies[-1].json()["pid"], signal.SIGKILL)
    assert outcomes(replies) == {"ok": 60}
    assert outcomes(Crowd(app.port, 60).finish()) == {"ok": 60}


# --- hundreds ---


def test_hundreds_of_kills(start):
    """Afterwards there is exactly one worker for each slot, and the master is what it was."""
    app = start("baton", "native_worker", instances=4, flags=["--min-uptime", 0],
                environment=FRUGAL)
    kill_random_workers(app, 100)
    descriptors, memory = procfs.descriptors(app.pid), procfs.own_kilobytes(app.pid)
    kill_random_workers(app, KILLS)
    assert len(procfs.children(app.pid)) == 4
    assert procfs.zombies(app.pid) == []
    assert sorted(app.leftovers()) == sorted([app.pid, *procfs.children(app.pid)])
    until(lambda: procfs.descriptors(app.pid) <= descriptors, 5, "no more descriptors than before")
    assert procfs.own_kilobytes(app.pid) - memory < 400
    replies = Crowd(app.port, 80, "/whoami").finish()
    assert outcomes(replies) == {"ok": 80}
    assert {reply.json()["slot"] for reply in replies} == {0, 1, 2, 3}
    assert app.status().total("restarts") == 100 + KILLS


def kill_random_workers(app, count):
    """One after the other, each followed by its successor's word that it listens."""
    listening = len(app.events("listening"))
    for number in range(1, count + 1):
        os.kill(random.choice(procfs.children(app.pid)), signal.SIGKILL)
        app.wait_events("listening", listening + number)
    app.wait_status(lambda now: len(now.ready()) == 4)


# --- reload and stop ---


def test_reload_under_load(start):
    app = start("serve", SITE, instances=4)
    before = set(app.workers())
    with Load(app.port, threads=8, path="/sleep/2") as load:
        for number in range(1, 4):
            load.wait_more(100)
            app.signal(signal.SIGHUP)
            app.wait_status(lambda now: now.reloads == number)
        load.wait_more(100)
    assert outcomes(load.replies) == {"ok": len(load.replies)}
    app.wait_replaced(before)
    assert app.status().total("restarts") == 0


def test_reload_under_load_on_kept_connections(start):
    """A connection that is always in use is closed behind an answer that says so: none breaks."""
    app = start("serve", SITE, instances=4)
    with KeptLoad(app.port, threads=8, path="/sleep/1") as load:
        for number in range(1, 4):
            load.wait_more(300)
            app.signal(signal.SIGHUP)
            app.wait_status(lambda now: now.reloads == number)
        load.wait_more(300)
    assert outcomes(load.replies) == {"ok": len(load.replies)}
    assert 8 < app.status().accepted() <= 8 * (1 + 3 * 4), "at most once for each worker replaced"


def test_reload_serves_what_is_in_work(start):
    app = start("serve", SITE, instances=4, flags=DRAINING)
    crowd = Crowd(app.port, 40, "/sleep/600")
    app.wait_status(lambda now: now.total("acknowledged") == 40)
    app.signal(signal.SIGHUP)
    app.wait_status(lambda now: now.reloads == 1)
    assert outcomes(crowd.finish()) == {"ok": 40}


@pytest.mark.parametrize("instances", [1, 2])
def test_reload_of_stopped_workers(start, instances):
    """What they hold goes to their successors."""
    app = start("baton", "native_worker", instances=instances,
                flags=[*PATIENT, "--drain-timeout", 300, "--kill-timeout", 300])
    workers = app.workers()
    for worker in workers:
        stop(worker)
    crowd = Crowd(app.port, 60, "/whoami")
    app.wait_status(lambda now: now.total("waiting") == 16 * instances)
    app.signal(signal.SIGHUP)
    assert not pids_of(crowd.finish()) & set(workers)
    app.wait_replaced(workers)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_serves_what_is_in_work(start, number):
    app = start("serve", SITE, instances=4, flags=DRAINING)
    crowd = Crowd(app.port, 40, "/sleep/3000")
    app.wait_status(lambda now: now.total("acknowledged") == 40)
    app.signal(number)
    until(lambda: get(app.port).outcome == "refused", 5, "the end of the listener")
    assert crowd.read(0) == []
    assert outcomes(crowd.finish()) == {"ok": 40}
    assert app.wait_exit() == 0
    assert not app.leftovers()


@pytest.mark.parametrize("clients", [20, 100], ids=["in the windows", "in line and behind"])
def test_stop_serves_who_has_connected(start, clients):
    """Clients in the windows, in the line and in the kernel's backlog are served before the end."""
    app = start("baton", "native_worker", instances=2, flags=[*PATIENT, *DRAINING])
    workers = app.workers()
    for worker in workers:
        stop(worker)
    crowd = Crowd(app.port, clients, "/whoami")
    app.wait_status(lambda now: now.total("waiting") == min(clients, 32))
    app.signal(signal.SIGTERM)
    until(lambda: "stopping" in app.stderr.text(), 5, app.transcript)
    for worker in workers:
        os.kill(worker, signal.SIGCONT)
    assert outcomes(crowd.finish()) == {"ok": clients}
    assert app.wait_exit() == 0


def test_second_signal_ends_at_once(start):
    app = start("serve", SITE, instances=2, flags=DRAINING)
    crowd = Crowd(app.port, 10, "/sleep/60000")
    app.wait_status(lambda now: now.total("acknowledged") == 10)
    app.signal(signal.SIGTERM)
    until(lambda: "stopping" in app.stderr.text(), 5, app.transcript)
    time.sleep(0.2)  # at once after it, it would be the same wish by another hand
    app.signal(signal.SIGTERM)
    assert app.wait_exit() == 128 + signal.SIGTERM
    assert outcomes(crowd.finish()) == {"reset": 10}
    assert not app.leftovers()


# --- the master's death ---


@pytest.mark.parametrize("kind", ["serve", "native", "blocking"])
def test_master_killed(start, kind):
    """Workers serve whom they have, those in their windows included, and end; none is left."""
    primary, script = {"serve": ("serve", SITE), "native": ("baton", "native_worker"),
                       "blocking": ("baton", REPOSITORY / "examples" / "worker.py")}[kind]
    app = start(primary, script, quiet=True, flags=PATIENT)
    workers = app.workers()
    for worker in workers:
        stop(worker)
    crowd = Crowd(app.port, 20, "/whoami")
    app.wait_status(lambda now: now.total("waiting") == 20)
    app.signal(signal.SIGKILL)
    app.wait_exit()
    for worker in workers:
        os.kill(worker, signal.SIGCONT)
    assert outcomes(crowd.finish()) == {"ok": 20}
    until(lambda: not app.leftovers(), 5, "the end of the workers")
    successor = start(primary, script, quiet=True, port=app.port)
    assert get(successor.port, "/whoami").outcome == "ok"


# --- serve under the master ---


def test_whoami_of_serve(start):
    app = start("serve", SITE, instances=3, flags=PATIENT)
    answers = [get(app.port, "/whoami").json() for _ in range(30)]
    by_slot = collections.defaultdict(list)
    for answer in answers:
        by_slot[answer["slot"]].append((answer["pid"], answer["count"]))
    pids = {worker.slot: worker.pid for worker in app.status().workers}
    assert by_slot == {slot: [(pids[slot], count) for count in range(1, 11)] for slot in range(3)}


def test_kept_connections_cost_one_hand_over(start):
    app = start("serve", SITE, instances=2)
    with open_socket(app.port) as client:
        answers = [ask_more(client, "/whoami").json() for _ in range(50)]
    assert [answer["count"] for answer in answers] == list(range(1, 51))
    assert len({answer["pid"] for answer in answers}) == 1
    status = app.wait_status(lambda now: now.total("acknowledged") == 1)
    assert (status.accepted(), status.total("handed")) == (1, 1)


def test_kept_connections_outlive_the_death_of_others(start):
    app = start("serve", SITE, instances=4, flags=PATIENT)
    clients = [open_socket(app.port) for _ in range(8)]
    pids = [ask_more(client, "/whoami").json()["pid"] for client in clients]
    kill(pids[0])
    outcomes_now = [ask(client, "/whoami").outcome for client in clients]
    assert outcomes_now == ["reset" if pid == pids[0] else "ok" for pid in pids]
    assert outcomes_now.count("reset") == 2


# --- process 1 ---


def test_process_one_reaps_orphans(start):
    """As in a container: what workers leave behind is collected, and is no death of a worker."""
    app = start("baton", "native_worker", ready=False,
                wrap=["unshare", "--pid", "--fork", "--mount-proc"])
    until(lambda: len(app.events("listening")) == 2 or app.process.poll() is not None, 10,
          app.transcript)
    if app.process.poll() is not None and "unshare" in app.stderr.text():
        pytest.skip("no namespaces here")
    (master,) = procfs.children(app.pid)
    workers = procfs.children(master)
    assert len(workers) == 2
    for _ in range(10):
        with open_socket(app.port) as client:
            client.sendall(request_bytes("/orphan"))
            assert read_reply(client).outcome == "ok"
    orphans = [pid for pid in procfs.children(master) if pid not in workers]
    assert len(orphans) == 10, "the orphans are children of the master"
    for orphan in orphans:
        os.kill(orphan, signal.SIGKILL)
    until(lambda: procfs.children(master) == workers, 5, "the end of the orphans")
    os.kill(workers[0], signal.SIGKILL)
    app.wait_events("listening", count=3)
    assert outcomes(Crowd(app.port, 20).finish()) == {"ok": 20}
    os.kill(master, signal.SIGTERM)
    assert app.wait_exit() == 0
