"""Who gets the next client, under each policy, with native workers, with Node's and with serve."""
import collections
import os
import signal

import pytest

from support import native, procfs
from support.clients import (Crowd, Load, abort, ask, ask_more, get, open_socket, outcomes)
from support.gate import Gate
from support.primary import run_baton, script_path
from support.wait import until

SERVERS = {"native": ("baton", "native_worker"), "node": ("baton", "routes.js"),
           "serve": ("serve", None)}
PATIENT = ["--slow-after", 60_000]


@pytest.fixture
def start_server(start, tmp_path):
    """start_server(kind, policy, ...): all three kinds answer /whoami with their pid."""
    def start_kind(kind, policy, **options):
        primary, script = SERVERS[kind]
        return start(primary, script or tmp_path, policy=policy, **options)

    return start_kind


def server_of(client):
    reply = ask_more(client, "/whoami")
    assert reply.outcome == "ok", reply
    return reply.json()["pid"]


def open_one_by_one(address, count):
    """Kept connections, each opened when the one before is served: (clients, pids)."""
    clients, pids = [], []
    for _ in range(count):
        clients.append(open_socket(address))
        pids.append(server_of(clients[-1]))
    return clients, pids


def server_pid(app):
    reply = get(app.port, "/whoami")
    assert reply.outcome == "ok", reply
    return reply.json()["pid"]


def shares_of(replies):
    assert outcomes(replies) == {"ok": len(replies)}
    return collections.Counter(reply.json()["pid"] for reply in replies)


# --- rr and node ---


@pytest.mark.parametrize("kind", SERVERS)
def test_rr_is_strict(start_server, kind):
    app = start_server(kind, "rr", instances=4, flags=PATIENT)
    turns = [get(app.port, "/whoami").json()["pid"] for _ in range(40)]
    assert turns == turns[:4] * 10
    assert set(turns) == set(app.workers())


@pytest.mark.parametrize("kind", SERVERS)
def test_node_goes_by_who_has_been_free_for_longest(start_server, kind):
    """One at a time, that is each in turn."""
    app = start_server(kind, "node", instances=4, flags=PATIENT)
    shares = shares_of([get(app.port, "/whoami") for _ in range(100)])
    assert set(shares) == set(app.workers())
    assert max(shares.values()) - min(shares.values()) <= 10, shares


def test_node_passes_a_busy_worker_over(start_server, tmp_path):
    app = start_server("native", "node", instances=2, window=1, flags=PATIENT)
    busy = open_socket(app.port)
    busy.sendall(b"GET /block HTTP/1.1\r\n\r\n")
    (event,) = app.wait_events("blocking")
    queued = Crowd(app.port, 1)  # at most one is behind it, as its window is 1
    crowd = Crowd(app.port, 40, "/whoami")
    until(lambda: len(crowd.read(0.1)) >= 39, 10, "the other one to answer all but one at most")
    shares = shares_of(crowd.read(0))
    assert event["pid"] not in shares and 39 <= sum(shares.values()) <= 40
    (tmp_path / "go").touch()
    assert outcomes(queued.finish()) == {"ok": 1}


# --- random ---


@pytest.mark.parametrize("kind", ["native", "serve"])
def test_random_is_uniform(start_server, kind):
    """1200 draws among 4: a share is further than six standard deviations from 300 once in a
    hundred million times."""
    app = start_server(kind, "random", instances=4, flags=PATIENT)
    shares = shares_of([get(app.port, "/whoami") for _ in range(1200)])
    assert set(shares) == set(app.workers())
    assert all(210 <= share <= 390 for share in shares.values()), shares
    turns = [get(app.port, "/whoami").json()["pid"] for _ in range(40)]
    assert turns != turns[:4] * 10


# --- least and p2c ---


@pytest.fixture(params=["least", "p2c"])
def counting(request):
    """A policy that goes by open connections."""
    return request.param


def start_counting(start_server, kind, policy, **options):
    app = start_server(kind, policy, **options)
    if not app.status().follows_connections:
        pytest.skip("the kernel does not tell of closed connections here")
    return app


def wait_open(app, expected):
    """Waits until the status tells so many open connections of each pid, and the kernel, too."""
    app.wait_status(lambda now: {worker.pid: worker.open for worker in now.ready()} == expected)
    until(lambda: {pid: procfs.open_connections(pid, app.port) for pid in expected} == expected, 3,
          "the same in the kernel")


@pytest.mark.parametrize("kind", SERVERS)
def test_new_connections_go_where_fewer_are_open(start_server, counting, kind):
    """Two workers, 10 connections each; those of one end; it gets the next 10. Each has room for
    them all, for a worker whose window is full is passed over."""
    app = start_counting(start_server, kind, counting, instances=2, window=16, flags=PATIENT)
    clients, pids = open_one_by_one(app.port, 20)
    full, other = app.workers()
    wait_open(app, {full: 10, other: 10})
    for client, pid in zip(clients, pids):
        if pid == other:
            client.close()
    wait_open(app, {full: 10, other: 0})
    newcomers, pids = open_one_by_one(app.port, 10)
    assert set(pids) == {other}
    wait_open(app, {full: 10, other: 10})
    for client in newcomers + clients:
        client.close()
    wait_open(app, {full: 0, other: 0})


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("kind", SERVERS)
def test_open_connections_are_what_the_kernel_has(start_server, kind, host):
    """However they end: closed or reset by the client, closed by the worker, cut by its death."""
    app = start_counting(start_server, kind, "least", instances=2, flags=PATIENT)
    address = (host, app.port)
    clients, pids = open_one_by_one(address, 20)
    victim, other = app.workers()
    wait_open(app, {victim: 10, other: 10})
    mine = [client for client, pid in zip(clients, pids) if pid == other]
    abort(mine[0])
    mine[1].close()
    assert ask(mine[2]).outcome in ("ok", "error")
    wait_open(app, {victim: 10, other: 7})
    os.kill(victim, signal.SIGKILL)
    app.wait_replaced([victim])
    (newcomer,) = set(app.workers()) - {other}
    wait_open(app, {newcomer: 0, other: 7})
    assert server_of(open_socket(address)) == newcomer


@pytest.mark.parametrize("kind", SERVERS)
def test_least_is_even(start_server, kind):
    app = start_counting(start_server, kind, "least", instances=4, flags=PATIENT)
    _, pids = open_one_by_one(app.port, 40)
    assert collections.Counter(pids) == {pid: 10 for pid in app.workers()}


def test_p2c_is_nearly_even(start_server):
    """Of 4 workers the fullest is never one of those that win, so the shares stay close."""
    app = start_counting(start_server, "native", "p2c", instances=4, flags=PATIENT)
    _, pids = open_one_by_one(app.port, 200)
    shares = collections.Counter(pids)
    assert len(shares) == 4
    assert max(shares.values()) - min(shares.values()) <= 8, shares


def test_short_connections_leave_none_open(start_server, counting):
    """Also those that ended before, or while, they were handed over."""
    app = start_counting(start_server, "native", counting, instances=4)
    with Load(app.port, threads=8, path="/whoami") as load:
        load.wait_more(3000)
    assert outcomes(load.replies) == {"ok": len(load.replies)}
    for _ in range(200):
        abort(open_socket(app.port))
    app.wait_status(lambda now: now.accepted() == len(load.replies) + 200
                    and [worker.open for worker in now.workers] == [0] * 4)


def test_taken_back_clients_are_open_where_they_are(start_server, counting):
    """A stopped worker's clients go to the other one, and so does their count."""
    app = start_counting(start_server, "native", counting, instances=2)
    stopped, working = app.workers()
    os.kill(stopped, signal.SIGSTOP)
    clients = [open_socket(app.port) for _ in range(30)]
    assert {server_of(client) for client in clients} == {working}
    wait_open(app, {stopped: 0, working: 30})
    os.kill(stopped, signal.SIGCONT)
    until(lambda: server_pid(app) == stopped, 5, app.transcript)


def test_clients_that_hung_up_in_line_are_not_open(start_server, counting):
    """They had been handed over when nobody could accept them, or had not come so far."""
    app = start_counting(start_server, "native", counting, instances=2, flags=PATIENT)
    workers = app.workers()
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)
    for client in [open_socket(app.port) for _ in range(80)]:
        abort(client)
    for worker in workers:
        os.kill(worker, signal.SIGCONT)
    app.wait_status(lambda now: now.total("acknowledged") == now.accepted() == 80)
    wait_open(app, {worker: 0 for worker in workers})


@pytest.mark.parametrize("policy", ["node", "rr", "random", "hash", "none"])
def test_open_connections_are_unknown_to_the_others(start_server, policy):
    app = start_server("native", policy)
    assert get(app.port).outcome == "ok"
    assert [worker.open for worker in app.status().workers] == [None, None]


# --- hash ---

SOURCES = [f"127.0.0.{number}" for number in range(2, 62)]


def slots_by_source(app):
    replies = {source: get(app.port, "/whoami", source=source) for source in SOURCES}
    assert outcomes(replies.values()) == {"ok": len(SOURCES)}
    pids = {worker.pid: worker.slot for worker in app.status().workers}
    return {source: pids[reply.json()["pid"]] for source, reply in replies.items()}


def slots_by_source_without(app, slot):
    """While the worker of a slot is dead; where it was back too early, its next one is killed,
    which is away for longer."""
    for _ in range(10):
        victim = app.status().slot(slot).pid
        os.kill(victim, signal.SIGKILL)
        app.wait_status(lambda now: victim not in [worker.pid for worker in now.ready()])
        slots = slots_by_source(app)
        if len(app.status().ready()) == 3:
            return slots
        app.wait_replaced([victim])
    raise AssertionError("its replacement always came before all sources had asked")


@pytest.mark.parametrize("kind", SERVERS)
def test_hash_keeps_a_source_with_its_worker(start_server, kind):
    """Another worker's death moves only its own sources, and its return brings them back."""
    app = start_server(kind, "hash", instances=4, flags=[
        *PATIENT, "--min-uptime", 600_000, "--restart-delay", 700,
        "--exp-backoff-restart-delay", 700])
    before = slots_by_source(app)
    assert set(before.values()) == {0, 1, 2, 3}
    assert slots_by_source(app) == before
    without = slots_by_source_without(app, slot=2)
    moved = {source for source in SOURCES if without[source] != before[source]}
    assert moved == {source for source in SOURCES if before[source] == 2}
    assert len({without[source] for source in moved}) > 1, "they are spread over the others"
    app.wait_ready()
    assert slots_by_source(app) == before


def test_hash_survives_a_restart_of_the_master(start_server):
    mappings = []
    for _ in range(2):
        app = start_server("native", "hash", instances=4)
        mappings.append(slots_by_source(app))
        assert app.stop() == 0
    assert mappings[0] == mappings[1]


def test_hash_waits_for_a_busy_worker_and_passes_others_by(start_server, tmp_path):
    """A client of the busy worker waits; those of others, who came later, do not."""
    app = start_server("native", "hash", instances=2, window=1, flags=PATIENT)
    slots = slots_by_source(app)
    mine = [source for source in SOURCES if slots[source] == 0]
    others = [source for source in SOURCES if slots[source] == 1]
    busy = open_socket(app.port, source=mine[0])
    busy.sendall(b"GET /block HTTP/1.1\r\n\r\n")
    app.wait_events("blocking")
    waiting = [open_socket(app.port, source=source) for source in mine[:5]]
    assert {get(app.port, "/whoami", source=source).json()["slot"] for source in others} == {1}
    (tmp_path / "go").touch()
    assert {ask(client, "/whoami").json()["slot"] for client in waiting} == {0}


# --- none ---


@pytest.mark.parametrize("kind", SERVERS)
def test_none_shares_the_listening_socket(start_server, kind):
    """The kernel chooses; the master sees no client, and restarts and reloads all the same."""
    app = start_server(kind, "none", instances=3)
    assert outcomes(Crowd(app.port, 100, "/whoami").finish()) == {"ok": 100}
    until(lambda: [procfs.listening_ports(pid) for pid in app.workers()] == [{app.port}] * 3, 5,
          "three that listen")
    status = app.status()
    assert (status.accepted(), status.total("handed")) == (0, 0)
    victim = app.workers()[0]
    os.kill(victim, signal.SIGKILL)
    until(lambda: not procfs.alive(victim), 5, "its end")  # until then it may still accept
    assert outcomes(Crowd(app.port, 100, "/whoami").finish()) == {"ok": 100}
    app.wait_replaced([victim])
    before = app.workers()
    with Load(app.port, threads=4, path="/whoami") as load:
        app.signal(signal.SIGHUP)
        app.wait_status(lambda now: now.reloads == 1)
        load.wait_more(50)
    assert outcomes(load.replies) == {"ok": len(load.replies)}
    app.wait_replaced(before)


@pytest.mark.parametrize("kind", SERVERS)
def test_none_ends_soon(start_server, kind):
    """Idle workers have nothing to finish: they end when they are told, not when time is up."""
    app = start_server(kind, "none",
                       flags=["--drain-timeout", 60_000, "--kill-timeout", 60_000])
    assert get(app.port).outcome in ("ok", "error")
    assert app.stop(30) == 0


def test_none_leaves_the_shared_socket_as_workers_want_it(start, tmp_path):
    """O_NONBLOCK belongs to the open file that all share: one that begins to listen must not take
    it from the others, or they wait in accept while their clients wait for them."""
    script = tmp_path / "worker.sh"
    worker = script_path("native_worker")
    script.write_text(f"[ $BATON_SLOT = 0 ] && exec {worker}\nexec sleep 60\n")
    app = start("baton", script, policy="none", flags=["--intercept", "native"], ready=False)
    app.wait_events("listening", slot=0)
    assert get(app.port).outcome == "ok"
    other = app.status().slot(1).pid
    reply, descriptors = native.listen(native.Worker(other), ("::", app.port))
    assert (reply.error, len(descriptors)) == (0, 1)
    os.close(descriptors[0])
    assert [get(app.port).outcome for _ in range(3)] == ["ok"] * 3


def test_none_waits_in_the_kernel_while_all_are_dead(start, tmp_path):
    gate = Gate(tmp_path, "native_worker")
    app = start("baton", gate.script, policy="none", instances=2, flags=["--intercept", "native"])
    gate.shut()
    for victim in app.workers():
        os.kill(victim, signal.SIGKILL)
    app.wait_status(lambda now: not now.ready())
    crowd = Crowd(app.port, 50)
    until(lambda: procfs.backlog(app.port) == 50, 5, "all of them in the kernel")
    gate.open()
    assert outcomes(crowd.finish()) == {"ok": 50}


# --- names ---


@pytest.mark.parametrize("command", ["run", "serve"])
def test_unknown_policy_names_the_known_ones(command, tmp_path):
    arguments = {"run": ["/bin/true"], "serve": [tmp_path, "0"]}[command]
    result = run_baton(command, *arguments, "-i", "2", "--policy", "fairest")
    assert result.returncode == 1 and result.stdout == ""
    (line,) = result.stderr.splitlines()
    for policy in ["fairest", "node", "rr", "random", "least", "p2c", "hash", "none"]:
        assert policy in line.replace(",", " ").replace("'", " ").split(), line
