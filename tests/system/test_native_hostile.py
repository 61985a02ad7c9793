"""Whoever speaks to the worker socket, and does it badly: the master lives, and stays as it was."""
import errno
import os
import random
import socket
import subprocess
import time

import pytest

from support import native, procfs
from support.clients import Crowd, get, outcomes
from support.primary import FRUGAL
from support.signals import stop
from support.wait import until


class Target:
    """An app, one of its workers, and what the master looks like before the attack."""

    def __init__(self, app):
        self.app = app
        self.worker = native.Worker(app.workers()[0])
        self.attack_nothing()
        self.descriptors = procfs.descriptors(app.pid)
        self.memory = procfs.own_kilobytes(app.pid)

    def attack_nothing(self):
        """What is allocated once, is so before the memory is looked at."""
        assert outcomes(Crowd(self.app.port, 20).finish()) == {"ok": 20}
        for _ in range(50):
            native.ask(self.worker, b"")
        self.app.wait_status(lambda now: now.total("acknowledged") == 20)

    def assert_sound(self, restarts=0):
        """The master has kept nothing, and all workers serve."""
        until(lambda: procfs.descriptors(self.app.pid) <= self.descriptors, 5,
              lambda: f"{self.descriptors} descriptors, not {procfs.descriptors(self.app.pid)}")
        assert procfs.own_kilobytes(self.app.pid) - self.memory < 500
        replies = [get(self.app.port, "/whoami") for _ in range(8)]
        assert outcomes(replies) == {"ok": 8}
        assert {reply.json()["pid"] for reply in replies} == set(self.app.workers())
        status = self.app.status()
        assert status.total("restarts") == restarts
        assert len(status.ready()) == 2


@pytest.fixture
def target(start):
    return Target(start("baton", "native_worker", policy="rr", environment=FRUGAL,
                        flags=["--slow-after", 20_000]))


def refusal(target, message, descriptors=()):
    """The error that the message is answered with, or None when it is not answered at all."""
    reply, received = native.ask(target.worker, message, descriptors)
    assert received == []
    return reply.error if reply else None


# --- requests ---


@pytest.mark.parametrize("kind", [native.LISTEN, native.CLOSE, native.READY, native.LOAD])
def test_wrong_token(target, kind):
    tokens = [bytes(16), b"\xff" * 16, target.worker.token[::-1], os.urandom(16),
              target.worker.token[:15] + bytes([target.worker.token[15] ^ 1])]
    for token in tokens * 20:
        message = native.request(target.worker, kind, token=token)
        assert refusal(target, message) == -errno.EACCES
    target.assert_sound()


def test_records_that_are_no_requests(target):
    """Too short, too long, of another magic: closed without an answer."""
    good = native.request(target.worker, native.READY)
    wrong = [good[:length] for length in range(1, len(good))]
    wrong += [good + b"\0", good * 2, good * 100, b"\0" * 65536, os.urandom(len(good)),
              native.request(target.worker, native.READY, magic=0x4E544143),
              native.request(target.worker, native.READY, length=129),
              native.request(target.worker, native.READY, length=2**32 - 1)]
    assert [refusal(target, message) for message in wrong] == [None] * len(wrong)
    assert refusal(target, b"") is None
    target.assert_sound()


def test_requests_that_make_no_sense(target):
    def error(kind, **fields):
        return refusal(target, native.request(target.worker, kind, **fields))

    assert [error(native.READY, version=version) for version in (0, 2, 65535)] \
        == [-errno.EPROTO] * 3
    assert [error(kind) for kind in (0, 10, 65535)] == [-errno.ENOTSUP] * 3
    assert [error(native.CLOSE, listener=number) for number in (1, 7, 2**32 - 1)] \
        == [-errno.ENOENT] * 3
    assert error(native.LOAD, value=-1) == -errno.EINVAL
    assert [error(native.LOAD, value=value) for value in (0, 1, 2**31 - 1)] == [0] * 3
    assert [error(native.READY) for _ in range(3)] == [0] * 3
    target.assert_sound()


def test_random_requests(target):
    """A right token, everything else by chance (but no CLOSE of what the worker has)."""
    chance = random.Random(1)
    for _ in range(2000):
        message = bytearray(chance.randbytes(native.REQUEST.size))
        message[:8] = native.request(target.worker, chance.choice([0, 1, 3, 4, 9]))[:8]
        message[8:24] = target.worker.token
        message[36:40] = chance.choice([0, 2, 16, 28, 110, 128]).to_bytes(4, "little")
        message[40:42] = chance.choice([2, 10]).to_bytes(2, "little")
        message[44:] = b"\xfe" * len(message[44:])  # an address that this machine has not
        refusal(target, bytes(message))
    target.assert_sound()


@pytest.mark.parametrize("count", [1, 2, 16, 253])
def test_descriptors_sent_along(target, count):
    """No request brings any: they are closed, whether or not it is answered."""
    with open("/dev/null", "rb") as null:
        rights = [null.fileno()] * count
        for _ in range(10):
            assert refusal(target, native.request(target.worker, native.READY), rights) == 0
            assert refusal(target, b"short", rights) is None
            assert refusal(target, native.request(target.worker, native.READY, token=bytes(16)),
                           rights) == -errno.EACCES
    target.assert_sound()


def test_descriptors_that_nobody_reads(target):
    """Sent, and the connection closed at once."""
    with open("/dev/null", "rb") as null:
        for _ in range(200):
            with native.connect(target.worker) as client:
                socket.send_fds(client, [b"x"], [null.fileno()] * 100)
    target.assert_sound()


# --- connections ---


def test_silent_connections(target):
    """500 that say nothing: few of them are kept, and new workers are answered meanwhile."""
    silent = [native.connect(target.worker) for _ in range(500)]
    assert procfs.descriptors(target.app.pid) - target.descriptors <= 100
    victim = target.app.workers()[1]
    os.kill(victim, 9)
    target.app.wait_replaced([victim])
    assert outcomes(Crowd(target.app.port, 20).finish()) == {"ok": 20}
    for client in silent:
        client.close()
    target.assert_sound(restarts=1)


def test_silent_connections_cost_no_cpu(target):
    silent = [native.connect(target.worker) for _ in range(50)]
    until(lambda: procfs.descriptors(target.app.pid) >= target.descriptors + 50, 5,
          "all to be accepted")
    used = procfs.cpu_seconds(target.app.pid)
    time.sleep(0.5)
    assert procfs.cpu_seconds(target.app.pid) - used < 0.05
    for client in silent:
        client.close()
    target.assert_sound()


def test_connections_that_leave_at_once(target):
    """Before, or without, an answer."""
    for number in range(1000):
        with native.connect(target.worker) as client:
            if number % 2:
                client.send(native.request(target.worker, native.READY))
    target.assert_sound()


def test_a_second_request_on_a_connection_is_not_answered(target):
    with native.connect(target.worker) as client:
        client.send(native.request(target.worker, native.READY))
        assert native.Reply(*native.REPLY.unpack(client.recv(4096))).error == 0
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            until(lambda: client.send(native.request(target.worker, native.READY)) < 0, 5, "an end")
        assert client.recv(4096) == b""
    target.assert_sound()


# --- others ---


@pytest.mark.skipif(os.getuid() != 0, reason="only root may become somebody else")
def test_another_user(target):
    """Who knows the token, but runs as somebody else, is refused."""
    code = ("import socket, sys; name, request = map(bytes.fromhex, sys.argv[1:]);"
            "client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); client.connect(name);"
            "client.send(request); print(client.recv(4096).hex())")
    message = native.request(target.worker, native.READY)
    result = subprocess.run(
        ["/usr/bin/python3", "-c", code, target.worker.name.hex(), message.hex()], user=65534,
        group=65534, extra_groups=[], cwd="/", capture_output=True, text=True, timeout=30,
        check=True)
    reply = native.Reply(*native.REPLY.unpack(bytes.fromhex(result.stdout)))
    assert reply.error == -errno.EACCES
    target.assert_sound()


def test_workers_of_another_user(start, nobody):
    app = start("baton", "native_worker", flags=["--uid", nobody])
    assert outcomes(Crowd(app.port, 40).finish()) == {"ok": 40}


def test_token_of_a_dead_worker(target):
    before = target.worker
    victim = target.app.workers()[0]
    os.kill(victim, 9)
    target.app.wait_replaced([victim])
    reply, _ = native.ask(before, native.request(before, native.READY))
    assert reply.error == -errno.EACCES
    target.assert_sound(restarts=1)


def test_tokens_differ(target):
    tokens = {native.Worker(pid).token for pid in target.app.workers()}
    assert len(tokens) == 2 and all(len(token) == 16 for token in tokens)


# --- a worker that asks for too much ---


def test_listeners_that_nobody_receives_from(target):
    """Somebody with the token listens and forgets about it: nobody's client is lost."""
    reply, descriptors = native.listen(target.worker, ("127.0.0.1", 0))
    native.close_all(descriptors)
    port = int.from_bytes(reply.address[2:4], "big")
    crowd = Crowd(port, 10)
    assert outcomes(crowd.read(0.3)) == {}
    message = native.request(target.worker, native.CLOSE, listener=reply.listener)
    assert refusal(target, message) == 0
    assert "hung" not in outcomes(crowd.finish()), "nobody listens there any more"
    target.assert_sound()


def test_listen_and_close_again_and_again(target):
    for _ in range(300):
        reply, descriptors = native.listen(target.worker, ("127.0.0.1", 0))
        assert reply.error == 0
        native.close_all(descriptors)
        message = native.request(target.worker, native.CLOSE, listener=reply.listener)
        assert refusal(target, message) == 0
    target.assert_sound()


def test_a_worker_that_closes_its_accept_socket(start):
    """Without a word to the master: what it is handed comes back, and goes to the other."""
    app = start("baton", "native_worker", instances=2, policy="rr", ready=False,
                flags=["--kill-stuck-after", 2000])
    (pid, _) = app.wait_ready()
    victim = native.Worker(pid)
    stop(pid)  # or it would end with its accept socket
    message = native.request(victim, native.CLOSE, listener=0)
    assert native.ask(victim, message)[0].error == 0
    reply, descriptors = native.listen(victim, ("::", app.port))
    assert reply.error == 0
    native.close_all(descriptors)
    assert outcomes(Crowd(app.port, 60).finish()) == {"ok": 60}
    assert outcomes([get(app.port) for _ in range(20)]) == {"ok": 20}
    app.wait_status(lambda now: now.total("restarts") == 1 and len(now.ready()) == 2)
