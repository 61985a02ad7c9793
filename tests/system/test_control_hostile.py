"""Clients of the control socket that mean ill, or have stopped: the daemon serves the others, keeps
its memory within bounds, and gives it back."""
import contextlib
import os
import socket
import subprocess
import time

import pytest

from support import procfs
from support.clients import connect_unix
from support.daemon import Home
from support.wait import until

HEAD = b"POST /v1/actions/stop HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
EVENTS = b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
BOUND = 110_000  # kilobytes: 64 MiB of requests and answers, what they are made into, and the daemon

pytestmark = pytest.mark.usefixtures("enough_descriptors")
MEASURED = "asan" not in os.environ.get("BATON", "")  # a sanitizer's own memory says nothing


@pytest.fixture(scope="module")
def daemon():
    """A home whose daemon has no apps."""
    home = Home()
    with contextlib.closing(home):
        home.begin()
        yield home


class Crowd:
    """Many clients that send the same and read nothing."""

    def __init__(self, daemon):
        self.path = str(daemon.socket_path())
        self.clients = []

    def join(self, count, text=b"", patience=0.2):
        """Each gives up sending what is not taken for `patience` s."""
        for _ in range(count):
            client = connect_unix(self.path, patience)
            self.clients.append(client)
            with contextlib.suppress(OSError):  # whoever is refused cannot send the rest
                client.sendall(text)

    def leave(self):
        for client in self.clients:
            client.close()
        self.clients = []


@pytest.fixture
def crowd(daemon):
    """Leaves when the test is over; then everything must be as before."""
    pid = daemon.daemon_pid()
    memory, descriptors = procfs.own_kilobytes(pid), procfs.descriptors(pid)
    everybody = Crowd(daemon)
    yield everybody
    everybody.leave()
    until(lambda: procfs.descriptors(pid) <= descriptors, 10,
          lambda: f"{procfs.descriptors(pid)} descriptors")
    if MEASURED:
        until(lambda: procfs.own_kilobytes(pid) < memory + 4000, 10,
              lambda: f"{procfs.own_kilobytes(pid)} kB, {memory} kB before")
    assert daemon.daemon_pid() == pid


def check_served(daemon):
    assert daemon.api("GET", "/v1", timeout=30)[0] == 200
    assert not MEASURED or procfs.resident_kilobytes(daemon.daemon_pid()) < BOUND


def test_more_clients_than_there_is_room_for(daemon, crowd):
    crowd.join(1500)
    check_served(daemon)
    assert daemon.cli("jlist", timeout=30).code == 0
    assert procfs.descriptors(daemon.daemon_pid()) < 1200


LARGE = b"[" + b" " * (10 << 20)
KINDS = {
    "silence": b"",
    "garbage": os.urandom(2000),
    "zeros": b"\x00" * 5000,
    "half a request": b"GET /v1 HT",
    "half a body": HEAD + b"Content-Length: 8000000\r\n\r\n" + b"[" * 10_000,
    "10 MB announced": HEAD + b"Content-Length: %d\r\n\r\n" % len(LARGE) + LARGE,
    "10 MB in a chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(LARGE) + LARGE,
    "answers unread": b"GET /v1 HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200,
    "events unread": EVENTS,
    "evil": b"POST /v1/kill HTTP/1.1\r\nHost: evil\r\nContent-Length: 2\r\n\r\n{}",
}
REFUSED = {"garbage": {b"400"}, "zeros": {b"400"}, "10 MB announced": {b"413"},
           "10 MB in a chunk": {b"413", b"503"}, "evil": {b"421"}}


def status_of(client):
    """That of the first answer; b"" where the connection was cut before it could be read."""
    client.settimeout(30)
    with contextlib.suppress(ConnectionError):
        return client.recv(100)[9:12]
    return b""


def test_a_thousand_clients_of_every_kind(daemon, crowd):
    """A hundred of each, in turn, and all stay; whoever behaves is served between them."""
    for _ in range(100):
        for kind, text in KINDS.items():
            # A request that is to be refused for what comes late in it is sent as far as that.
            crowd.join(1, text, 30 if kind in REFUSED else 0.2)
        if len(crowd.clients) % 100 == 0:
            check_served(daemon)
    assert len(crowd.clients) == 1000
    assert daemon.cli("jlist", timeout=30).code == 0
    for number, kind in enumerate(KINDS):
        if kind in REFUSED:
            answers = {status_of(client) for client in crowd.clients[number::len(KINDS)]} - {b""}
            assert answers and answers <= REFUSED[kind], (kind, answers)


@pytest.mark.parametrize("rest", [b"", b"[" * 100_000, b" " * 1_000_000],
                         ids=["nothing", "a little", "a lot"])
def test_bodies_that_stop_in_the_middle(daemon, crowd, rest):
    crowd.join(300, HEAD + b"Content-Length: 8000000\r\n\r\n" + rest)
    check_served(daemon)
    assert daemon.cli("jlist", timeout=30).code == 0


def test_chunks_that_never_end(daemon, crowd):
    crowd.join(100, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 100_000)
    check_served(daemon)


def test_answers_that_nobody_reads(daemon, crowd):
    # A sanitized daemon takes minutes for the answers to more of them.
    crowd.join(500 if MEASURED else 50, b"GET /v1 HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2000)
    check_served(daemon)


def test_followers_who_read_nothing_cost_nothing(daemon, crowd):
    crowd.join(500, EVENTS)
    for client in crowd.clients[::2]:
        client.shutdown(socket.SHUT_WR)
    check_served(daemon)
    pid = daemon.daemon_pid()
    before = procfs.cpu_seconds(pid)
    time.sleep(1)
    assert procfs.cpu_seconds(pid) - before < 0.1


BURSTING = {
    "nested": (b"[" * 250_000, 400),
    "nested without end": (b"[" * 2_000_000, 413),
    "numbers": (b"[" + b"0," * 3_000_000 + b"0]", 413),
    "objects": (b'{"a":' * 1_000_000, 413),
    "long text": (b'["' + b"x" * 8_000_000 + b'"]', 400),
    "long target": (b'{"targets":["' + b"x" * 8_000_000 + b'"]}', 404),
    "twice the same": (b'{"targets":[], "targets":["all"]}', 400),
    "deep expression": (b'{"targets":["/' + b"(" * 500_000 + b"a" + b")" * 500_000 + b'/"]}', 400),
    "large expression": (b'{"targets":["/((a{1,255}){1,255}){1,255}/"]}', 400),
    "NUL": (b'{"targets":["\\u0000"]}', 400),
    "half a surrogate pair": (b'{"targets":["\\ud800"]}', 400),
    "large exponent": (b"[1e999999999]", 400),
    "long number": (b"[" + b"9" * 1_000_000 + b"]", 400),
}


@pytest.mark.parametrize("body, status", BURSTING.values(), ids=BURSTING.keys())
def test_json_that_is_meant_to_burst(daemon, crowd, body, status):
    del crowd
    assert daemon.api("POST", "/v1/actions/stop", body)[0] == status
    check_served(daemon)


def test_one_byte_at_a_time(daemon):
    with connect_unix(str(daemon.socket_path())) as client:
        for byte in b"GET /v1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n":
            client.sendall(bytes([byte]))
        assert client.recv(100).startswith(b"HTTP/1.1 200 ")


def test_a_daemon_without_free_descriptors_goes_on_later(daemon, crowd):
    pid = daemon.daemon_pid()
    soft, hard = procfs.limit_of_files(pid)
    limit = procfs.descriptors(pid) + 10
    try:
        subprocess.run(["prlimit", f"--pid={pid}", f"--nofile={limit}:{hard}"], check=True)
        crowd.join(50)
        before = procfs.cpu_seconds(pid)
        time.sleep(1)
        assert procfs.cpu_seconds(pid) - before < 0.3, "it waits, and does not try all the time"
    finally:
        subprocess.run(["prlimit", f"--pid={pid}", f"--nofile={soft}:{hard}"], check=True)
    check_served(daemon)


def test_clients_that_come_and_go(daemon, crowd):
    for text in (b"", b"GET", EVENTS, HEAD + b"Content-Length: 10\r\n\r\n{"):
        for _ in range(10):
            crowd.join(50, text)
            crowd.leave()
    check_served(daemon)
