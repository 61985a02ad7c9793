"""node:cluster and process messages, seen from inside a worker."""
import os
import signal

import pytest

from support.clients import Load, get, open_socket, outcomes, read_reply
from support import procfs
from support.wait import until


def ask_everyone(app):
    """{pid: who it says that it is}, once so many have answered as there are to be."""
    answers = {}

    def all_have_answered():
        answer = get(app.port, "/whoami").json()
        answers[answer["pid"]] = answer
        return len(answers) >= app.instances

    until(all_have_answered, 15, lambda: f"{answers}\n{app.transcript()}")
    return answers


def test_a_worker_knows_that_it_is_one(start, primary):
    app = start(primary, "routes.js", instances=3)
    answers = ask_everyone(app)
    assert set(answers) == set(app.workers())
    for answer in answers.values():
        assert answer["isWorker"] and not answer["isPrimary"]
        assert answer["connected"] and answer["workerIsConnected"] and not answer["workerIsDead"]
        assert answer["leaked"] == []
    ids = {answer["id"] for answer in answers.values()}
    assert len(ids) == 3 and all(isinstance(one, int) and one > 0 for one in ids)


def test_environment_of_a_worker(start):
    app = start("baton", "routes.js", instances=3)
    instances = [answer["instance"] for answer in ask_everyone(app).values()]
    assert sorted(instances) == ["0", "1", "2"]


def test_started_by_a_node_parent(start):
    """What such a parent's channel left in the environment must not reach a worker."""
    app = start("baton", "routes.js", environment={
        "NODE_CHANNEL_FD": "99", "NODE_UNIQUE_ID": "7", "NODE_CHANNEL_SERIALIZATION_MODE": "json"})
    answer = get(app.port, "/whoami").json()
    assert answer["connected"] and answer["leaked"] == []


@pytest.mark.parametrize("size", [10, 65_500, 5_000_000])
def test_messages_to_the_primary_disturb_nothing(start, primary, size):
    """Under Baton they reach nobody; the callback is called, and clients go on being served."""
    app = start(primary, "routes.js", instances=1)
    for _ in range(3):
        assert get(app.port, f"/send/{size}").json() in ({"error": None}, {})
        assert get(app.port, "/whoami").outcome == "ok"
    assert len(app.workers()) == 1 and len(app.events("listening")) == 1


@pytest.mark.parametrize("message", ["nested", "surrogate", "nul", "huge", "separators", "proto",
                                     "empty", "command", "number"])
def test_odd_messages_to_the_primary_disturb_nothing(start, primary, message):
    """Whatever JSON.stringify() makes is a message: none may cost the worker its life."""
    app = start(primary, "routes.js", instances=1)
    assert get(app.port, f"/send-odd/{message}").json() in ({"error": None}, {})
    assert outcomes(get(app.port, "/whoami") for _ in range(3)) == {"ok": 3}
    assert len(app.workers()) == 1 and len(app.events("listening")) == 1


def test_messages_under_load(start, primary):
    app = start(primary, "routes.js", instances=2)
    with Load(app.port, threads=4, path="/send/200000") as load:
        load.wait_more(60)
    assert outcomes(load.replies) == {"ok": len(load.replies)}


@pytest.mark.parametrize("action", ["process-disconnect", "worker-disconnect", "worker-kill"])
def test_a_worker_may_leave(start, primary, action):
    app = start(primary, "routes.js", instances=2)
    before = app.workers()
    leaver = get(app.port, f"/{action}").json()["pid"]
    after = app.wait_replaced([leaver])
    (exit_event,) = app.wait_events("exit", pid=leaver)
    assert exit_event["code"] == 0
    assert bool(exit_event.get("voluntary")) == (action != "process-disconnect")
    assert len(after) == 2 and leaver not in after and set(before) - {leaver} <= set(after)
    assert set(ask_everyone(app)) == set(after)


def test_worker_disconnect_under_load_loses_nobody(start, primary):
    app = start(primary, "routes.js", instances=3)
    with Load(app.port, threads=6, path="/sleep/5") as load:
        for _ in range(2):
            load.wait_more(20)
            leaver = get(app.port, "/worker-disconnect").json()["pid"]
            app.wait_replaced([leaver])
        load.wait_more(20)
    assert outcomes(load.replies) == {"ok": len(load.replies)}


def test_worker_disconnect_finishes_its_request(start, primary):
    app = start(primary, "routes.js", instances=1)
    with open_socket(app.port) as slow:
        slow.sendall(b"GET /sleep/600 HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        leaver = get(app.port, "/worker-disconnect").json()["pid"]
        reply = read_reply(slow)
    assert reply.outcome == "ok" and reply.json()["pid"] == leaver
    app.wait_replaced([leaver])


def test_close_and_listen_again_under_load(start, primary):
    app = start(primary, "routes.js", instances=2)
    with Load(app.port, threads=4, path="/sleep/2") as load:
        for times in range(1, 5):
            load.wait_more(20)
            assert get(app.port, "/relisten/30").outcome == "ok"
            app.wait_events("listening", 2 + times)
        load.wait_more(20)
    assert outcomes(load.replies) == {"ok": len(load.replies)}
    assert set(ask_everyone(app)) == set(app.workers())


def test_the_last_server_closes_the_port(start, tmp_path, primary):
    """A close() of the only member closes the listening socket; listen() opens it again."""
    app = start(primary, "routes.js", instances=1)
    assert get(app.port, "/relisten-when/go").outcome == "ok"
    until(lambda: get(app.port, "/whoami").outcome == "refused", 5, "the port to be closed")
    (tmp_path / "go").touch()
    app.wait_events("listening", 2)
    assert get(app.port, "/whoami").outcome == "ok"


def test_socket_given_to_the_primary(start, primary):
    """It is acknowledged, so that what comes after it on the channel still flows, and the server
    can still be closed. Baton, where nobody takes it, closes it."""
    app = start(primary, "give_socket.js", instances=1)
    givers = []
    for number in range(1, 4):
        givers.append(open_socket(app.port))
        givers[-1].sendall(b"give")
        app.wait_events("given", number)
        assert echo(app.port, b"after it") == b"after it"
    if primary == "baton":
        assert [giver.recv(10) for giver in givers] == [b""] * 3
    for giver in givers:
        giver.close()
    assert echo(app.port, b"close") == b"close"
    if primary == "baton":
        app.wait_events("closed")


def echo(port, text):
    with open_socket(port) as client:
        client.sendall(text)
        received = b""
        while (piece := client.recv(1000)):
            received += piece
    return received


def test_clients_wait_for_the_ready_message(start):
    app = start("baton", "ready.js", instances=1, arguments=["when-told"], flags=["--wait-ready"],
                ready=False)
    (worker,) = app.wait_events("listening")
    with open_socket(app.port) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        assert app.status().total("handed") == 0 and not app.events("ready")
        os.kill(worker["pid"], signal.SIGUSR2)
        assert read_reply(client).outcome == "ok"
    app.wait_events("ready")


def test_shutdown_by_message(start):
    app = start("baton", "ready.js", arguments=["0"],
                flags=["--shutdown-with-message", "--kill-timeout", "60s"])
    workers = app.workers()
    assert app.stop() == 0
    assert {event["pid"] for event in app.events("message", message="shutdown")} == set(workers)


def test_nothing_is_left_of_the_workers(start, primary):
    app = start(primary, "routes.js", instances=2)
    workers = app.workers()
    app.signal(signal.SIGKILL)
    app.wait_exit()
    until(lambda: not any(map(procfs.alive, workers)), 5, "the workers' end")
