"""Workers on accept sockets: bursts, windows, take-back, few descriptors, overload."""
import collections
import os
import random
import resource
import signal
import time

import pytest

from support import procfs
from support.clients import Crowd, Load, abort, ask, ask_more, get, open_socket, outcomes
from support.primary import script_path
from support.signals import kill, stop
from support.wait import until

# A worker that the machine keeps from its processor for a while is not the one that is tested.
PATIENT = ["--slow-after", 20_000]
SOON = ["--slow-after", 1000]  # but not so soon that it takes such a worker for stuck
LINE = 16  # clients that a listener keeps beside the workers' windows


def shares_of(replies, field="slot"):
    """How many of the clients, all of them answered, each worker has served."""
    assert outcomes(replies) == {"ok": len(replies)}
    return collections.Counter(reply.json()[field] for reply in replies)


def client_of(app, slot, count=20):
    """A kept connection that the worker of that slot has accepted."""
    for _ in range(count):
        client = open_socket(app.port)
        if ask_more(client, "/whoami").json()["slot"] == slot:
            return client
        client.close()
    raise AssertionError(f"no client reached worker {slot} of {count}")


# --- shares ---


@pytest.mark.parametrize("window", [None, 1, 2, 16])
def test_a_burst_is_shared_evenly(start, window):
    """160 at once over 8 event-driven workers: 20 each."""
    app = start("baton", "native_worker", instances=8, policy="rr", window=window, flags=PATIENT)
    shares = shares_of(Crowd(app.port, 160, "/whoami").finish())
    assert shares == {slot: 20 for slot in range(8)}
    status = app.status()
    assert [worker.handed for worker in status.workers] == [20] * 8
    assert (status.accepted(), status.total("returned"), status.total("stuck")) == (160, 0, 0)


def test_a_burst_is_shared_evenly_by_serve(start, tmp_path):
    app = start("serve", tmp_path, instances=8, policy="rr", flags=PATIENT)
    shares = shares_of(Crowd(app.port, 160, "/whoami").finish())
    assert shares == {slot: 20 for slot in range(8)}


@pytest.mark.parametrize("instances", [1, 3, 64])
def test_one_after_the_other(start, instances):
    app = start("baton", "native_worker", instances=instances, policy="rr", flags=PATIENT)
    shares = shares_of([get(app.port, "/whoami") for _ in range(500)])
    assert len(shares) == instances
    assert max(shares.values()) - min(shares.values()) <= 1, shares


# --- windows ---


@pytest.mark.parametrize("window", [1, 2, 3, 4, 7, 16, 64])
def test_window_bounds_what_a_worker_holds(start, window):
    """A stopped worker holds its window, the master a line of 16, the kernel the rest."""
    app = start("baton", "native_worker", instances=1, window=window, flags=PATIENT)
    (worker,) = app.workers()
    stop(worker)
    crowd = Crowd(app.port, 120, "/whoami")
    held = min(window, 120)
    status = app.wait_status(lambda now: now.accepted() == held + LINE)
    assert (status.worker(worker).handed, status.worker(worker).waiting) == (held, held)
    assert status.waiting() == LINE
    until(lambda: procfs.backlog(app.port) == 120 - held - LINE, 5, "the rest in the kernel's queue")
    os.kill(worker, signal.SIGCONT)
    assert shares_of(crowd.finish()) == {0: 120}
    status = app.wait_status(lambda now: now.total("acknowledged") == 120)
    assert (status.total("handed"), status.total("returned"), status.waiting()) == (120, 0, 0)


def test_overload_pauses_accepting(start):
    """More clients than windows: the kernel's backlog is the queue, and nobody is dropped."""
    app = start("baton", "native_worker", instances=2, policy="rr", window=4, flags=PATIENT)
    for worker in app.workers():
        stop(worker)
    crowd = Crowd(app.port, 400, "/whoami")
    status = app.wait_status(
        lambda now: now.accepted() == 2 * 4 + LINE and now.listeners[0].paused)
    assert status.listeners[0].paused_total == 1
    until(lambda: procfs.backlog(app.port) == 400 - status.accepted(), 5,
          "the rest in the kernel's queue")
    used = procfs.cpu_seconds(app.pid)
    assert crowd.read(0.5) == []
    assert procfs.cpu_seconds(app.pid) - used < 0.1
    for worker in app.workers():
        os.kill(worker, signal.SIGCONT)
    assert shares_of(crowd.finish()) == {0: 200, 1: 200}
    assert not app.status().listeners[0].paused
    assert app.status().listeners[0].gave_up == 0


def test_overload_of_slow_workers(start, tmp_path):
    """Workers that do nothing else for 5 ms for each client: all come to their turn."""
    app = start("serve", tmp_path, instances=4, window=1)
    replies = Crowd(app.port, 400, "/burn/5").finish()
    assert outcomes(replies) == {"ok": 400}
    assert app.status().listeners[0].paused_total > 0


# --- take-back ---


def test_a_stopped_worker_keeps_nobody_waiting(start):
    """What it holds is taken back after a while; it is back in rotation when it goes on."""
    app = start("baton", "native_worker", instances=2, policy="rr", window=16, flags=SOON)
    stopped, working = app.workers()
    stopped_slot = app.status().worker(stopped).slot
    stop(stopped)
    assert shares_of(Crowd(app.port, 60, "/whoami").finish()) == {1 - stopped_slot: 60}
    status = app.status()
    assert (status.worker(stopped).stuck, status.worker(working).stuck) == (1, 0)
    assert 1 <= status.worker(stopped).returned <= 16
    returned = status.worker(stopped).returned
    assert shares_of([get(app.port, "/whoami") for _ in range(60)]) == {1 - stopped_slot: 60}
    status = app.status()
    assert (status.worker(stopped).stuck, status.worker(stopped).returned) == (1, returned), \
        "nobody waits again"
    os.kill(stopped, signal.SIGCONT)
    until(lambda: get(app.port, "/whoami").json()["pid"] == stopped, 5, app.transcript)
    shares = shares_of([get(app.port, "/whoami") for _ in range(20)])
    assert shares == {0: 10, 1: 10}


@pytest.mark.parametrize("script", ["native_worker", "serve"])
def test_a_busy_worker_keeps_nobody_waiting(start, tmp_path, script):
    """One worker is in a loop: none of 60 clients, and of 20 more, waits for its end. The built-in
    one has no loop that ends when it is told to, so it is stopped in its work."""
    if script == "serve":
        app = start("serve", tmp_path, instances=2, policy="rr", flags=SOON)
    else:
        app = start("baton", script, instances=2, policy="rr", window=16, flags=SOON)
    busy = Crowd(app.port, 1, "/sleep/100" if script == "serve" else "/block")
    status = app.wait_status(lambda now: now.total("acknowledged") == 1)
    (pid,) = [worker.pid for worker in status.workers if worker.acknowledged]
    if script == "serve":
        stop(pid)
    assert outcomes(Crowd(app.port, 60, "/whoami").finish()) == {"ok": 60}
    assert outcomes([get(app.port, "/whoami") for _ in range(20)]) == {"ok": 20}
    assert script == "serve" or busy.read(0) == []
    assert sorted(worker.stuck for worker in app.status().workers) == [0, 1]
    os.kill(pid, signal.SIGCONT)
    (tmp_path / "go").touch()
    assert outcomes(busy.finish()) == {"ok": 1}
    until(lambda: len({get(app.port, "/whoami").json()["slot"] for _ in range(2)}) == 2, 5,
          "both in rotation")
    assert shares_of([get(app.port, "/whoami") for _ in range(20)]) == {0: 10, 1: 10}


def test_all_workers_stopped_and_one_goes_on(start):
    """What was taken back from all goes to whoever receives first."""
    app = start("baton", "native_worker", instances=4, policy="rr")
    workers = app.workers()
    for worker in workers:
        stop(worker)
    crowd = Crowd(app.port, 100, "/whoami")
    app.wait_status(lambda now: now.total("stuck") == 4)
    used = procfs.cpu_seconds(app.pid)
    assert crowd.read(0.5) == []
    assert procfs.cpu_seconds(app.pid) - used < 0.1
    os.kill(workers[2], signal.SIGCONT)
    assert shares_of(crowd.finish(), "pid") == {workers[2]: 100}
    for worker in workers:
        os.kill(worker, signal.SIGCONT)


@pytest.mark.parametrize("policy", ["node", "rr", "least"])
def test_workers_that_stop_and_go_on_at_random(start, policy):
    """Clients are taken back and dealt again all the time: each is accepted exactly once."""
    chance = random.Random(7)
    app = start("baton", "native_worker", instances=4, policy=policy, window=4,
                flags=["--slow-after", 20])
    workers = app.workers()
    with Load(app.port, threads=16, path="/whoami") as load:
        for _ in range(12):
            stopped = chance.sample(workers, chance.randint(1, 4))
            for worker in stopped:
                os.kill(worker, signal.SIGSTOP)
            time.sleep(chance.uniform(0.02, 0.12))
            for worker in stopped:
                os.kill(worker, signal.SIGCONT)
            load.wait_more(20)
    assert outcomes(load.replies) == {"ok": len(load.replies)}
    status = app.wait_status(lambda now: now.total("acknowledged") == len(load.replies))
    assert (status.accepted(), status.waiting()) == (len(load.replies), 0)
    assert status.total("returned") > 0 and status.total("stuck") > 0
    assert status.total("handed") == status.accepted() + status.total("returned")


def test_a_worker_that_hangs_is_killed_in_the_end(start):
    app = start("baton", "native_worker", instances=2, policy="rr",
                flags=["--kill-stuck-after", 2000])
    victim = app.workers()[0]
    stop(victim)
    assert outcomes(Crowd(app.port, 40).finish()) == {"ok": 40}
    app.wait_replaced([victim])
    assert app.status().total("restarts") == 1


@pytest.mark.parametrize("flags", [PATIENT, []], ids=["in the window", "taken back"])
def test_clients_that_hang_up_while_they_wait(start, flags):
    """In a window, in the line, in the backlog: those who stay are all served."""
    app = start("baton", "native_worker", instances=2, flags=flags)
    for worker in app.workers():
        stop(worker)
    crowds, leavers = [], []
    for number in range(60):
        crowds.append(Crowd(app.port, 1))
        leavers.append(open_socket(app.port))
        if number % 2:
            abort(leavers.pop())
    if not flags:
        app.wait_status(lambda now: now.total("stuck") == 2)
    for leaver in leavers:
        leaver.close()
    for worker in app.workers():
        os.kill(worker, signal.SIGCONT)
    assert outcomes(crowd.finish()[0] for crowd in crowds) == {"ok": 60}
    status = app.wait_status(lambda now: now.total("acknowledged") == 120)
    assert (status.accepted(), status.waiting(), status.total("waiting")) == (120, 0, 0)


# --- giving a listener up ---


def test_clients_queued_at_a_worker_that_closes(start, tmp_path):
    """It was busy while they came, and then closes its listener: they go to the others."""
    app = start("baton", "native_worker", instances=2, policy="rr", flags=PATIENT)
    retiring = client_of(app, 0)
    retiring.sendall(b"GET /block-and-close HTTP/1.1\r\n\r\n")
    app.wait_events("blocking", slot=0)
    crowd = Crowd(app.port, 40, "/whoami")
    app.wait_status(lambda now: now.slot(0).waiting == 16)
    (tmp_path / "go").touch()
    assert shares_of(crowd.finish()) == {1: 40}
    assert shares_of([get(app.port, "/whoami") for _ in range(20)]) == {1: 20}
    retiring.recv(65536)
    assert ask_more(retiring, "/listen/0").outcome == "ok"
    app.wait_events("listening", count=2, slot=0)
    assert shares_of([get(app.port, "/whoami") for _ in range(20)]) == {0: 10, 1: 10}
    assert app.status().total("restarts") == 0


def test_the_only_worker_closes_and_listens_again(start, tmp_path):
    """Nobody wants the port then, so it is closed, and whoever was queued is reset, as a plain
    listening socket does; until it is opened again."""
    app = start("baton", "native_worker", instances=1, flags=PATIENT)
    client = client_of(app, 0)
    client.sendall(b"GET /block-and-close HTTP/1.1\r\n\r\n")
    app.wait_events("blocking")
    crowd = Crowd(app.port, 10)
    (tmp_path / "go").touch()
    until(lambda: get(app.port, timeout=0.05).outcome == "refused", 5, "the end of the listener")
    assert outcomes(crowd.finish()) == {"reset": 10}
    client.recv(65536)
    assert ask_more(client, "/listen/0").outcome == "ok"
    app.wait_events("listening", count=2)
    assert outcomes(Crowd(app.port, 40).finish()) == {"ok": 40}


# --- few descriptors ---


def start_poor(start, tmp_path, limit, **options):
    """Workers with so few descriptors."""
    script = tmp_path / "poor.sh"
    script.write_text(f"ulimit -n {limit}; exec {script_path('native_worker')}\n")
    return start("baton", script, flags=["--intercept", "native"], **options)


def test_workers_out_of_descriptors(start, tmp_path):
    """Kept connections fill their tables; whoever comes then waits, and is served later."""
    app = start_poor(start, tmp_path, 16, instances=2)
    holders = [open_socket(app.port) for _ in range(30)]
    app.wait_events("full", count=2)
    used = procfs.cpu_seconds(app.pid)
    crowd = Crowd(app.port, 40, "/whoami")
    assert crowd.read(0.5) == []
    assert procfs.cpu_seconds(app.pid) - used < 0.1
    for holder in holders[:20]:
        holder.close()
    assert outcomes(crowd.finish()) == {"ok": 40}
    assert {ask(holder).outcome for holder in holders[20:]} == {"ok"}
    status = app.status()
    assert (status.accepted(), status.listeners[0].gave_up) == (70, 0)
    assert status.total("restarts") == 0


def test_one_worker_out_of_descriptors(start):
    """The other one serves meanwhile."""
    app = start("baton", "native_worker", instances=2, policy="rr")
    kept = client_of(app, 0)
    poor, other = (app.status().slot(number).pid for number in range(2))
    highest = max(map(int, os.listdir(f"/proc/{poor}/fd")))
    resource.prlimit(poor, resource.RLIMIT_NOFILE, (highest + 1, highest + 1))
    assert shares_of(Crowd(app.port, 60, "/whoami").finish(), "pid") == {other: 60}
    app.wait_events("full", pid=poor)
    assert ask(kept, "/whoami").outcome == "ok"
    kept.close()
    until(lambda: get(app.port, "/whoami").json()["pid"] == poor, 5, app.transcript)


@pytest.mark.parametrize("path", ["/whoami", "/sleep/50"])
def test_master_and_workers_with_few_descriptors(start, tmp_path, path):
    """300 clients at once with room for 64 descriptors everywhere."""
    app = start("serve", tmp_path, instances=2, wrap=["prlimit", "--nofile=64:64"])
    assert outcomes(Crowd(app.port, 300, path).finish()) == {"ok": 300}
    status = app.status()
    assert status.accepted() == 300
    assert (status.listeners[0].gave_up, status.total("restarts")) == (0, 0)


def test_windows_beyond_the_limit_of_descriptors(start):
    """300 clients would fit into the windows, and there is room for 64."""
    app = start("baton", "native_worker", instances=2, window=1024, flags=PATIENT,
                wrap=["prlimit", "--nofile=64:64"])
    hold_all(app, lambda now: now.total("waiting") >= 24)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_more_come_back_than_the_master_may_open(start, number):
    """A worker dies, or is stuck, with a window of 1024 full of clients; the master has room for
    64."""
    flags = PATIENT if number == signal.SIGKILL else ["--slow-after", 1000]
    app = start("baton", "native_worker", instances=1, window=1024, flags=flags,
                wrap=["prlimit", "--nofile=64:64"])
    (worker,) = app.workers()
    stop(worker)
    crowd = Crowd(app.port, 200, "/whoami")
    app.wait_status(lambda now: now.total("waiting") >= 24)
    os.kill(worker, number)
    if number == signal.SIGSTOP:
        app.wait_status(lambda now: now.total("stuck") == 1)
        os.kill(worker, signal.SIGCONT)
    assert outcomes(crowd.finish()) == {"ok": 200}


def test_limit_of_descriptors_in_flight(start, unprivileged):
    """The unprivileged may not have more on their way than they may have open (ETOOMANYREFS)."""
    app = start("baton", "native_worker", instances=2, window=1024, flags=PATIENT,
                wrap=[*unprivileged, "prlimit", "--nofile=128:128"])
    hold_all(app, lambda now: 64 < now.total("waiting") < 200 and now.waiting() > 0)


def test_a_successor_while_too_many_descriptors_are_in_flight(start, unprivileged):
    """It can listen then, too, or it would never serve."""
    app = start("baton", "native_worker", instances=2, window=1024, flags=PATIENT,
                wrap=[*unprivileged, "prlimit", "--nofile=128:128"])
    survivor, killed = (app.status().slot(slot).pid for slot in (0, 1))
    for worker in (survivor, killed):
        stop(worker)
    crowd = Crowd(app.port, 300, "/whoami")
    app.wait_status(lambda now: now.total("waiting") > 64 and now.waiting() > 0)
    kill(killed)
    app.wait_status(lambda now: now.slot(1).pid not in (0, killed))
    os.kill(survivor, signal.SIGCONT)
    assert outcomes(crowd.finish()) == {"ok": 300}
    assert app.events("error") == []
    app.wait_events("listening", count=2, timeout=3, slot=1)


def hold_all(app, condition):
    """300 clients of stopped workers: once the status is so, all go on, and all are served."""
    for worker in app.workers():
        stop(worker)
    crowd = Crowd(app.port, 300, "/whoami")
    app.wait_status(condition)
    used = procfs.cpu_seconds(app.pid)
    assert crowd.read(0.5) == []
    assert procfs.cpu_seconds(app.pid) - used < 0.1
    for worker in app.workers():
        os.kill(worker, signal.SIGCONT)
    assert outcomes(crowd.finish()) == {"ok": 300}
    assert app.status().accepted() == 300


def test_limit_of_descriptors(start):
    """The master takes as many as it may; workers get what it was started with."""
    app = start("baton", "native_worker", wrap=["prlimit", "--nofile=256:4096"])
    assert procfs.limit_of_files(app.pid) == (4096, 4096)
    assert {procfs.limit_of_files(pid) for pid in app.workers()} == {(256, 4096)}
