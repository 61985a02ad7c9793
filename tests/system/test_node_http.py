"""Plain HTTP by unmodified Node programs: distribution, bodies, upgrades, modules."""
import collections
import socket

import pytest

from support.clients import Crowd, Load, get, open_socket, outcomes, read_reply

# Where each client is counted no worker may seem stuck because the machine is busy.
PATIENT = ["--slow-after", 60_000]


def test_every_worker_takes_its_turn(start, primary):
    app = start(primary, "hello.js", instances=4)
    replies = [get(app.port) for _ in range(200)]
    assert outcomes(replies) == {"ok": 200}
    shares = collections.Counter(reply.json()["pid"] for reply in replies)
    assert set(shares) == set(app.workers())
    assert max(shares.values()) - min(shares.values()) <= 20, shares


def test_every_client_is_handed_over_once(start):
    app = start("baton", "hello.js", instances=4, flags=PATIENT)
    assert outcomes(Crowd(app.port, 100).finish()) == {"ok": 100}
    status = app.wait_status(lambda now: now.total("acknowledged") == 100)
    assert status.accepted() == 100
    assert status.total("handed") == 100
    assert status.total("refused") == status.total("returned") == status.waiting() == 0


def test_strict_rotation_of_sequential_clients(start):
    app = start("baton", "hello.js", instances=4, policy="rr", flags=PATIENT)
    pids = [get(app.port).json()["pid"] for _ in range(40)]
    assert len(set(pids[:4])) == 4
    assert pids == pids[:4] * 10


def test_shared_listener(start, primary):
    """Policy none: the workers accept for themselves, so the primary hands over nothing."""
    app = start(primary, "hello.js", instances=2, policy="none")
    assert outcomes(Crowd(app.port, 50).finish()) == {"ok": 50}
    if primary == "baton":
        assert app.status().total("handed") == 0


@pytest.mark.parametrize("policy", ["node", "rr", "random", "least", "p2c", "hash"])
def test_every_policy_serves(start, policy):
    app = start("baton", "hello.js", instances=3, policy=policy, flags=PATIENT)
    assert outcomes(Crowd(app.port, 60).finish()) == {"ok": 60}
    status = app.wait_status(lambda now: now.total("acknowledged") == 60)
    if policy == "hash":
        assert sorted(worker.handed for worker in status.workers) == [0, 0, 60]


def test_keep_alive_connection_costs_one_hand_over(start, primary):
    app = start(primary, "middleware.js", instances=2)
    with open_socket(app.port) as client, client.makefile("rb") as answers:
        pids = {_post(client, answers, b"body %d" % number) for number in range(20)}
    assert len(pids) == 1
    if primary == "baton":
        assert app.wait_status(lambda now: now.total("acknowledged") == 1).total("handed") == 1


def _post(client, answers, body):
    """Posts on a keep-alive connection, checks the echo; the pid that answered."""
    client.sendall(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n%s"
                   % (len(body), body))
    assert answers.readline() == b"HTTP/1.1 200 OK\r\n"
    headers = {}
    while (line := answers.readline().strip()):
        name, _, value = line.partition(b":")
        headers[name.lower()] = value.strip()
    echo = b""
    while (size := int(answers.readline(), 16)):
        echo += answers.read(size)
        answers.readline()
    answers.readline()
    assert echo == body
    return int(headers[b"x-pid"])


def test_large_response_to_a_slow_reader_blocks_nobody(start, primary):
    """The descriptor that a worker gets must not block: one slow reader would freeze it."""
    app = start(primary, "routes.js", instances=1)
    with open_socket(app.port) as slow:
        slow.sendall(b"GET /big/20000000 HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        assert slow.recv(1)
        replies = [get(app.port, "/whoami") for _ in range(5)]
        assert outcomes(replies) == {"ok": 5}
        total = 1
        while (piece := slow.recv(1 << 20)):
            total += len(piece)
        assert total > 20_000_000


def test_upgraded_connection(start, primary):
    app = start(primary, "upgrade.js", instances=2)
    clients = [_upgrade(app.port) for _ in range(4)]
    for round_number in range(3):
        for client in clients:
            text = b"round %d" % round_number
            client.sendall(text)
            assert client.recv(len(text), socket.MSG_WAITALL) == text
    assert get(app.port).outcome == "ok"
    for client in clients:
        client.close()


def _upgrade(port):
    client = open_socket(port)
    client.sendall(b"GET / HTTP/1.1\r\nHost: test\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += client.recv(1)
    assert head.startswith(b"HTTP/1.1 101 ")
    return client


@pytest.mark.parametrize("script", ["hello.mjs", "hello.cjs"])
def test_module_kinds(start, primary, script):
    app = start(primary, script, instances=2)
    replies = [get(app.port) for _ in range(10)]
    assert outcomes(replies) == {"ok": 10}
    assert {reply.json()["pid"] for reply in replies} == set(app.workers())
    assert all(reply.json()["isWorker"] for reply in replies)


def test_burst_is_dealt_evenly(start):
    """Strict round robin: 160 simultaneous connections to 8 workers are 20 each."""
    app = start("baton", "hello.js", instances=8, policy="rr", flags=PATIENT)
    replies = Crowd(app.port, 160).finish()
    assert outcomes(replies) == {"ok": 160}
    shares = collections.Counter(reply.json()["pid"] for reply in replies)
    assert set(shares.values()) == {20}, shares
    status = app.wait_status(lambda now: now.total("acknowledged") == 160)
    assert [worker.handed for worker in status.workers] == [20] * 8


def test_burst_under_the_default_policy_reaches_everybody(start, primary):
    app = start(primary, "hello.js", instances=8)
    replies = Crowd(app.port, 160).finish()
    assert outcomes(replies) == {"ok": 160}
    shares = collections.Counter(reply.json()["pid"] for reply in replies)
    assert len(shares) == 8 and sum(shares.values()) == 160


def test_steady_load(start, primary):
    app = start(primary, "hello.js", instances=2)
    with Load(app.port, threads=4) as load:
        load.wait_more(400)
    assert outcomes(load.replies) == {"ok": len(load.replies)}


def test_arguments_reach_the_script(start, primary):
    app = start(primary, "routes.js", instances=1, arguments=["--color", "two words", ""])
    assert get(app.port, "/whoami").json()["arguments"] == ["--color", "two words", ""]


def test_request_in_pieces_is_one_request(start, primary):
    app = start(primary, "hello.js", instances=1)
    with open_socket(app.port) as client:
        client.sendall(b"GET / HT")
        assert get(app.port).outcome == "ok"
        client.sendall(b"TP/1.1\r\nHost: test\r\n")
        assert get(app.port).outcome == "ok"
        client.sendall(b"Connection: close\r\n\r\n")
        assert read_reply(client).outcome == "ok"
