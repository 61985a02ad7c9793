"""Unmodified programs under the preload library when something goes wrong: workers that die, stop,
close, are busy or full, and a master that is killed."""
import os
import re
import signal
import threading
import time

import pytest

from support import procfs
from support.clients import Crowd, Load, ask, ask_more, get, one_processor, open_socket, outcomes
from support.gate import Gate
from support.signals import kill, stop
from support.wait import PATIENCE, until

SERVER = "drop_in_server"
MODES = ["blocking", "poll", "edge"]
PATIENT = ["--slow-after", 20_000]
SOON = ["--slow-after", 1000]  # but not so soon that a worker is taken for stuck that waits for its processor
QUIET_SECONDS = 0.6
TABLE = 64  # descriptors, where a worker is to have few


def start_server(start, mode, instances=2, flags=(), server=SERVER, **options):
    return start("baton", server, instances=instances, arguments=[mode],
                 flags=["--intercept", "preload", *flags], policy="rr", **options)


def pids_of(replies):
    assert outcomes(replies) == {"ok": len(replies)}
    return {reply.json()["pid"] for reply in replies}


def client_of(app, slot):
    """A connection that this worker has accepted."""
    while True:
        client = open_socket(app.port)
        if ask_more(client).json()["slot"] == slot:
            return client
        client.close()


# --- death ---


@pytest.mark.parametrize("mode", MODES)
def test_kill_of_a_worker_with_clients_in_its_window(start, mode):
    """It was stopped before it could accept them: another answers them all."""
    app = start_server(start, mode, flags=PATIENT, window=16)
    victim = app.workers()[0]
    stop(victim)
    crowd = Crowd(app.port, 60)
    app.wait_status(lambda now: now.worker(victim).waiting >= 15)
    os.kill(victim, signal.SIGKILL)
    assert victim not in pids_of(crowd.finish())


@pytest.mark.parametrize("mode", MODES)
def test_kill_under_load(start, mode):
    """Only what the killed had accepted is lost: a blocking server has one client, the others at
    most one for each thread of the load."""
    threads, kills = 8, 5
    app = start_server(start, mode, 4)
    with Load(app.port, threads=threads) as load:
        for number in range(kills):
            load.wait_more(100)
            victim = app.status().slot(number % 4).pid
            os.kill(victim, signal.SIGKILL)
            app.wait_replaced([victim])
        load.wait_more(100)
    counts = outcomes(load.replies)
    assert set(counts) <= {"ok", "reset"}, counts
    assert counts.get("reset", 0) <= kills * (1 if mode == "blocking" else threads), counts
    assert app.status().total("restarts") == kills


def test_all_workers_restarting(start, tmp_path):
    """Clients wait, none is refused, and the first worker that is back serves."""
    gate = Gate(tmp_path, SERVER)
    app = start_server(start, "poll", server=gate.script)
    victims = app.workers()
    gate.shut()
    for victim in victims:
        kill(victim)
    crowd = Crowd(app.port, 100)
    assert crowd.read(0.2) == []
    gate.open()
    assert not pids_of(crowd.finish()) & set(victims)


def test_reload_under_load(start):
    app = start_server(start, "poll", 3)
    before = set(app.workers())
    with Load(app.port, threads=4) as load:
        load.wait_more(50)
        app.signal(signal.SIGHUP)
        app.wait_status(lambda now: now.reloads == 1)
        load.wait_more(50)
    counts = outcomes(load.replies)
    assert set(counts) <= {"ok", "reset"}, counts
    app.wait_replaced(before)


# --- giving the listener up ---


def test_clients_queued_at_a_worker_that_closes(start, tmp_path):
    """It was busy while they came, and then closes its listener: they go to the other."""
    app = start_server(start, "poll", flags=PATIENT, window=16)
    retiring = client_of(app, 0)
    retiring.sendall(b"GET /block-and-close HTTP/1.1\r\n\r\n")
    app.wait_events("blocking", slot=0)
    crowd = Crowd(app.port, 40)
    app.wait_status(lambda now: now.slot(0).waiting >= 15)
    other = app.status().slot(1).pid
    (tmp_path / "go").touch()
    assert pids_of(crowd.finish()) == {other}
    assert pids_of([get(app.port) for _ in range(20)]) == {other}
    retiring.recv(65536)
    assert ask_more(retiring, "/listen/0").outcome == "ok"
    app.wait_events("listening", count=2, slot=0)
    until(lambda: get(app.port).json()["slot"] == 0, 5, app.transcript)
    assert len(pids_of([get(app.port) for _ in range(20)])) == 2


def test_clients_queued_at_a_worker_that_closes_while_descriptors_are_short(start):
    """The master has not enough for all that it had sent: none of them goes with the listener."""
    app = start_server(start, "poll", flags=PATIENT, window=16, wrap=["prlimit", "--nofile=56"])
    retiring = client_of(app, 0)
    pids = [app.status().slot(number).pid for number in range(2)]
    for pid in pids:
        stop(pid)
    crowd = Crowd(app.port, 80)
    app.wait_status(lambda now: now.total("waiting") == 32 and now.waiting() == 16)
    retiring.sendall(b"GET /close HTTP/1.1\r\n\r\n")
    os.kill(pids[0], signal.SIGCONT)
    assert retiring.recv(65536).startswith(b"HTTP/1.1 200")
    app.wait_status(lambda now: now.slot(0).waiting == 0)
    os.kill(pids[1], signal.SIGCONT)
    assert outcomes(crowd.finish()) == {"ok": 80}


@pytest.mark.parametrize("way", [0, 1, 2], ids=["system call", "dup2", "close_range"])
def test_a_listener_closed_out_of_sight(start, way):
    """Not by close(), which is all that the library sees: nobody waits for that worker, and it is
    not taken for one that hangs."""
    app = start_server(start, "poll", flags=["--kill-stuck-after", 2000])
    retiring, other = (app.status().slot(slot).pid for slot in range(2))
    kept = client_of(app, 0)
    assert ask_more(kept, f"/close-unseen/{way}").outcome == "ok"
    assert pids_of(Crowd(app.port, 60).finish()) == {other}
    assert pids_of([get(app.port) for _ in range(20)]) == {other}
    time.sleep(2.5)
    assert procfs.alive(retiring)
    assert ask(kept).json()["pid"] == retiring


# --- stuck and busy ---


@pytest.mark.parametrize("mode", MODES)
def test_a_stopped_worker_keeps_nobody_waiting(start, mode):
    """What it holds is taken back, it is reported, and it is back in rotation when it goes on."""
    app = start_server(start, mode, flags=SOON)
    stopped, working = app.workers()
    stop(stopped)
    assert pids_of(Crowd(app.port, 60).finish()) == {working}
    status = app.status()
    assert (status.worker(stopped).stuck, status.worker(working).stuck) == (1, 0)
    assert status.worker(stopped).returned >= 1
    os.kill(stopped, signal.SIGCONT)
    until(lambda: get(app.port).json()["pid"] == stopped, 5, app.transcript)
    assert len(pids_of([get(app.port) for _ in range(20)])) == 2


@pytest.mark.parametrize("mode", MODES)
def test_a_busy_worker_keeps_nobody_waiting(start, tmp_path, mode):
    """One of two does not look at its clients: 60 requests are answered meanwhile."""
    app = start_server(start, mode, window=16)
    busy = Crowd(app.port, 1, "/block")
    app.wait_events("blocking")
    assert outcomes(Crowd(app.port, 60).finish()) == {"ok": 60}
    assert busy.read(0) == []
    (tmp_path / "go").touch()
    assert outcomes(busy.finish()) == {"ok": 1}


def test_threads_that_ask_beside_a_busy_worker(start, tmp_path):
    """The same, each of them one request."""
    app = start_server(start, "edge", window=16)
    busy = Crowd(app.port, 1, "/block")
    app.wait_events("blocking")
    replies = []
    threads = [threading.Thread(target=lambda: replies.append(get(app.port))) for _ in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert outcomes(replies) == {"ok": 60}
    assert busy.read(0) == []
    (tmp_path / "go").touch()
    assert outcomes(busy.finish()) == {"ok": 1}


# --- full tables ---


def fill_table(app, slot):
    """A connection to that worker, whose end makes room for one descriptor."""
    kept = client_of(app, slot)
    assert ask_more(kept, f"/fill/{TABLE}").outcome == "ok"
    return kept


@pytest.mark.parametrize("mode", ["poll", "edge"])
def test_one_worker_out_of_descriptors(start, mode):
    """accept() says EMFILE, the other one serves whom it cannot, and it is not offered them again
    and again."""
    app = start_server(start, mode)
    kept = fill_table(app, 0)
    poor, other = (app.status().slot(number).pid for number in range(2))
    began = time.monotonic()
    assert pids_of(Crowd(app.port, 60).finish()) == {other}
    app.wait_events("full", pid=poor)
    time.sleep(0.5)
    assert pids_of([get(app.port) for _ in range(20)]) == {other}
    assert app.status().worker(poor).returned <= 16 + 20 * (time.monotonic() - began)
    assert ask(kept).outcome == "ok"
    kept.close()
    until(lambda: get(app.port).json()["pid"] == poor, 5, app.transcript)


def test_all_workers_out_of_descriptors(start):
    """Whoever comes then waits, and is served when there is room."""
    app = start_server(start, "poll")
    kept = [fill_table(app, slot) for slot in range(2)]
    used = procfs.cpu_seconds(app.pid)
    crowd = Crowd(app.port, 40)
    assert crowd.read(0.5) == []
    assert procfs.cpu_seconds(app.pid) - used < 0.2
    for client in kept:
        client.close()
    assert outcomes(crowd.finish()) == {"ok": 40}


def test_limit_of_descriptors_in_flight(start, unprivileged):
    """The unprivileged may not have more on their way than they may have open (ETOOMANYREFS):
    nobody is lost, and all keep their order."""
    app = start_server(start, "poll", instances=1, window=1024, flags=PATIENT,
                       wrap=[*unprivileged, "prlimit", "--nofile=128:128"])
    (worker,) = app.workers()
    stop(worker)
    with one_processor():
        crowd = Crowd(app.port, 300)
    app.wait_status(lambda now: 32 < now.total("waiting") < 200 and now.waiting() > 0)
    used = procfs.cpu_seconds(app.pid)
    assert crowd.read(0.3) == []
    assert procfs.cpu_seconds(app.pid) - used < 0.1
    os.kill(worker, signal.SIGCONT)
    replies = crowd.finish()
    assert outcomes(replies) == {"ok": 300}
    assert [reply.json()["number"] for reply in replies] == list(range(1, 301))


# --- the master's death ---


@pytest.mark.parametrize("mode", MODES)
def test_master_killed(start, mode):
    """Workers serve whom they have, and neither spin nor print: nothing tells them."""
    app = start_server(start, mode, flags=PATIENT)
    workers = app.workers()
    for worker in workers:
        stop(worker)
    crowd = Crowd(app.port, 20)
    app.wait_status(lambda now: now.total("waiting") == 20)
    app.signal(signal.SIGKILL)
    app.wait_exit()
    for worker in workers:
        os.kill(worker, signal.SIGCONT)
    assert outcomes(crowd.finish()) == {"ok": 20}
    used = [procfs.cpu_seconds(worker) for worker in workers]
    written = [bytes_written(worker) for worker in workers]
    time.sleep(QUIET_SECONDS)
    assert all(map(procfs.alive, workers))
    for worker, before, bytes_before in zip(workers, used, written):
        assert procfs.cpu_seconds(worker) - before <= 0.1 * QUIET_SECONDS
        assert bytes_written(worker) - bytes_before < 1000


def bytes_written(pid):
    """What the process has written, to files, pipes and sockets that it used write() for."""
    with open(f"/proc/{pid}/io", encoding="ascii") as counters:
        return int(re.search(r"wchar: (\d+)", counters.read()).group(1))
