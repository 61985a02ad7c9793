"""Clients that count: what became of each request, never how fast it was.

The outcome of a client is one of
  ok       a whole HTTP response with status 200 came
  error    a whole HTTP response with another status came
  refused  the connection was refused
  reset    the connection ended before a whole response came
  hung     nothing more came within the time limit, which is for what hangs, unless a test says less
"""
import collections
import contextlib
import dataclasses
import http.client
import json
import os
import selectors
import socket
import struct
import threading
import time

from .wait import PATIENCE, until

LOOPBACK = "127.0.0.1"


@dataclasses.dataclass
class Reply:
    outcome: str
    status: int = 0
    body: bytes = b""

    def json(self):
        return json.loads(self.body)


def open_socket(address, timeout=PATIENCE, source=None):
    """A connected socket. An address is a port on 127.0.0.1, a (host, port), or a Unix path (an
    abstract one begins with NUL); `source` is the host that it comes from."""
    if isinstance(address, int):
        address = (LOOPBACK, address)
    if isinstance(address, tuple):
        return socket.create_connection(address, timeout, (source, 0) if source else None)
    return connect_unix(str(address), timeout)


def connect_unix(path, timeout=PATIENCE, kind=socket.SOCK_STREAM):
    """A connected socket. It waits for room in the listener's line of clients, where connect() of a
    socket that has Python's own time limit would fail."""
    client = socket.socket(socket.AF_UNIX, kind)
    try:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", PATIENCE, 0))
        client.connect(path)
    except OSError:
        client.close()
        raise
    client.settimeout(timeout)
    return client


def request_bytes(path="/", keep_alive=False):
    connection = "keep-alive" if keep_alive else "close"
    return f"GET {path} HTTP/1.1\r\nHost: test\r\nConnection: {connection}\r\n\r\n".encode()


def get(address, path="/", timeout=PATIENCE, source=None):
    """One request on a connection of its own."""
    try:
        client = open_socket(address, timeout, source)
    except ConnectionRefusedError:
        return Reply("refused")
    except ConnectionResetError:
        return Reply("reset")
    except TimeoutError:
        return Reply("hung")
    with client:
        return ask(client, path, timeout)


def ask(client, path="/", timeout=PATIENCE):
    """One request on `client`, which the server is asked to close after it."""
    client.settimeout(timeout)
    try:
        client.sendall(request_bytes(path))
    except OSError:
        return Reply("reset")
    return read_reply(client, timeout)


def ask_more(client, path="/", timeout=PATIENCE):
    """One request on `client`, which stays open for more: only for answers with a length."""
    client.settimeout(timeout)
    received = b""
    try:
        client.sendall(request_bytes(path, keep_alive=True))
        while True:
            piece = client.recv(65536)
            received += piece
            reply = parse_reply(received)
            if reply.outcome != "reset" or not piece:
                return reply
    except TimeoutError:
        return Reply("hung")
    except OSError:
        return Reply("reset")


def read_reply(client, timeout=PATIENCE):
    """Reads to the end of the connection."""
    received = bytearray()
    end = time.monotonic() + timeout
    try:
        while True:
            client.settimeout(max(0.001, end - time.monotonic()))
            piece = client.recv(65536)
            if not piece:
                return parse_reply(bytes(received))
            received += piece
    except (TimeoutError, BlockingIOError):
        return Reply("hung")
    except OSError:
        return Reply("reset")


def parse_reply(received):
    """The Reply that all bytes of a connection make."""
    head, separator, body = received.partition(b"\r\n\r\n")
    if not separator or not head.startswith(b"HTTP/1."):
        return Reply("reset")
    headers = _headers(head)
    if headers.get("transfer-encoding") == "chunked":
        body, whole = _unchunk(body)
    else:
        whole = len(body) == int(headers.get("content-length", len(body)))
    if not whole:
        return Reply("reset")
    status = int(head[9:12])
    return Reply("ok" if status == 200 else "error", status, body)


def _headers(head):
    pairs = (line.split(":", 1) for line in head.decode().split("\r\n")[1:])
    return {name.strip().lower(): value.strip() for name, value in pairs}


def _unchunk(body):
    whole = bytearray()
    while True:
        size, separator, rest = body.partition(b"\r\n")
        if not separator:
            return bytes(whole), False
        length = int(size, 16)
        if length == 0:
            return bytes(whole), True
        whole += rest[:length]
        body = rest[length + 2:]


def abort(client):
    """Closes with a reset."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def outcomes(replies):
    return dict(collections.Counter(reply.outcome for reply in replies))


@contextlib.contextmanager
def one_processor():
    """Clients that connect in here wait to be accepted in that order: each processor has a queue of
    its own for what is sent to a loopback address."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Crowd:
    """Many clients at once, from one thread: all connect, and all ask before any is answered."""

    def __init__(self, address, count, path="/"):
        self._selector = selectors.DefaultSelector()
        self._received = [bytearray() for _ in range(count)]
        self.replies = [None] * count
        self._sockets = [self._open(index, address, path) for index in range(count)]

    def _open(self, index, address, path):
        try:
            client = open_socket(address)
            client.sendall(request_bytes(path))
        except ConnectionRefusedError:
            self.replies[index] = Reply("refused")
            return None
        except OSError:
            self.replies[index] = Reply("reset")
            return None
        client.setblocking(False)
        self._selector.register(client, selectors.EVENT_READ, index)
        return client

    def read(self, timeout):
        """Reads for up to `timeout` seconds, or until all are finished; the finished replies."""
        end = time.monotonic() + timeout
        while self._selector.get_map() and time.monotonic() < end:
            for key, _ in self._selector.select(max(0, end - time.monotonic())):
                self._read_one(key.fileobj, key.data)
        return [reply for reply in self.replies if reply]

    def read_all_but(self, count):
        """Reads until all but so many are finished; more may be soon, and the caller knows if they
        should: the finished replies."""
        wanted = len(self.replies) - count
        until(lambda: len(self.read(0.2)) >= wanted, PATIENCE,
              lambda: f"{wanted} of {self.replies}")
        return self.read(0.2)

    def finish(self, timeout=PATIENCE):
        """Reads to the end and closes; one reply per client, in the order they connected."""
        self.read(timeout)
        for client in filter(None, self._sockets):
            client.close()
        self._selector.close()
        return [reply or Reply("hung") for reply in self.replies]

    def _read_one(self, client, index):
        try:
            piece = client.recv(65536)
        except OSError:
            self.replies[index] = Reply("reset")
        else:
            if piece:
                self._received[index] += piece
                return
            self.replies[index] = parse_reply(bytes(self._received[index]))
        self._selector.unregister(client)
        client.close()


class Load:
    """Threads that ask one request after the other, each on its own connection, until the end of
    the `with` block; then `replies` holds one Reply for each."""

    def __init__(self, address, threads=8, path="/", timeout=PATIENCE):
        self.replies = []
        self._address, self._path, self._timeout = address, path, timeout
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        for thread in self._threads:
            thread.join(self._timeout + 5)

    def wait_more(self, count, timeout=PATIENCE):
        """Waits until `count` more requests are finished, the next one within `timeout` each time."""
        seen = len(self.replies)
        target = seen + count
        end = time.monotonic() + max(timeout, PATIENCE)
        while len(self.replies) < target:
            if len(self.replies) > seen:
                seen = len(self.replies)
                end = time.monotonic() + max(timeout, PATIENCE)
            assert time.monotonic() < end, f"the load stands still: {outcomes(self.replies)}"
            time.sleep(0.005)

    def _run(self):
        while not self._stopping.is_set():
            self.replies.append(get(self._address, self._path, self._timeout))


class KeptLoad(Load):
    """The same over connections that each thread keeps as long as the server lets it: it opens
    another one only after an answer that says "Connection: close"."""

    def _run(self):
        host = self._address if isinstance(self._address, tuple) else (LOOPBACK, self._address)
        client = http.client.HTTPConnection(*host, timeout=self._timeout)
        while not self._stopping.is_set():
            self.replies.append(self._ask(client))
        client.close()

    def _ask(self, client):
        try:
            client.request("GET", self._path)
            response = client.getresponse()
            return Reply("ok" if response.status == 200 else "error", response.status,
                         response.read())
        except TimeoutError:
            client.close()
            return Reply("hung")
        except (OSError, http.client.HTTPException):
            client.close()
            return Reply("reset")
