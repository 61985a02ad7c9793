"""A worker with a right token that misuses BIND and what follows it: the master lives, keeps
nothing, and the others are served."""
import contextlib
import ctypes
import errno
import os
import random
import resource
import select
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest

from support import native, procfs
from support.clients import Crowd, get, outcomes
from support.ports import free_port
from support.primary import FRUGAL
from support.signals import stop
from support.wait import PATIENCE, until

BIND, GET_OPTION, SET_OPTION, CHECK, RETRIEVE = 5, 6, 7, 8, 9
TCP_LEVELS = [socket.SOL_SOCKET, socket.IPPROTO_IP, socket.IPPROTO_TCP, socket.IPPROTO_IPV6]
OTHER_LEVELS = [17, 58, 132, 255, 262, 284, 2**32 - 1]
CONTROL_LENGTHS = [0, 1, 4, 8, 16, 128]
pytestmark = pytest.mark.usefixtures("enough_descriptors")
MANY = 1200  # more listeners than one worker may have


def request(worker, kind, *, listener=0, value=0, flags=0, address=b"", length=None):
    return native.REQUEST.pack(native.MAGIC, native.VERSION, kind, worker.token, listener, value,
                               flags, len(address) if length is None else length, address)


def error_of(worker, kind, descriptors=(), **fields):
    """What it is answered with; it must bring no descriptors."""
    reply, received = native.ask(worker, request(worker, kind, **fields), descriptors)
    assert reply and received == []
    return reply.error


def bind_error(worker, port, *descriptors):
    address = native.pack_address("127.0.0.1", port)
    return error_of(worker, BIND, descriptors, address=address)


class Bound:
    """A listener that a worker got by BIND: its number, the two descriptors that came, and the
    worker's own copy of the socket that it brought."""

    def __init__(self, worker, port, host="127.0.0.1"):
        self.worker = worker
        self.port = port
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        message = request(worker, BIND, address=native.pack_address(host, port))
        reply, self.descriptors = native.ask(worker, message, [self.socket.fileno()])
        assert reply and reply.error == 0 and len(self.descriptors) == 2
        self.number = reply.listener

    def ask(self, kind, **fields):
        return error_of(self.worker, kind, listener=self.number, **fields)

    def listen(self, backlog=100):
        return self.ask(native.LISTEN, value=backlog)

    def accept(self):
        """Receives one client on the accept socket."""
        with socket.socket(fileno=os.dup(self.descriptors[0])) as accepting:
            accepting.settimeout(PATIENCE)
            while True:
                _, descriptors, _, _ = socket.recv_fds(accepting, 512, 2)
                if descriptors:
                    return socket.socket(fileno=descriptors[0])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):  # the master may have ended
            native.ask(self.worker, request(self.worker, native.CLOSE, listener=self.number))
        native.close_all(self.descriptors)
        self.socket.close()


def be_quiet(app):
    """Waits until the master has done all that it was told of before: it hears signals last."""
    app.wait_status(lambda now: now.total("acknowledged") == now.total("handed"))
    app.status()


class Target:
    """An app, its two workers, and what the master looks like before the attack."""

    def __init__(self, app):
        self.app = app
        self.workers = [native.Worker(pid) for pid in app.workers()]
        self.worker = self.workers[0]
        with Bound(self.worker, free_port()):
            pass  # what is allocated once
        assert outcomes(Crowd(app.port, 20).finish()) == {"ok": 20}
        be_quiet(app)
        self.descriptors = procfs.descriptors(app.pid)

    def kept(self):
        return procfs.descriptors(self.app.pid) - self.descriptors

    def assert_serves(self):
        assert outcomes([get(self.app.port) for _ in range(6)]) == {"ok": 6}

    def assert_sound(self, restarts=0):
        self.assert_serves()
        until(lambda: self.kept() == 0, 5, lambda: f"{self.kept()} descriptors too many")
        assert self.app.wait_status(lambda now: len(now.ready()) == 2).total("restarts") == restarts

    def assert_stops(self):
        assert self.app.stop() == 0


@pytest.fixture
def target(start):
    return Target(start("baton", "native_worker", policy="rr", environment=FRUGAL))


def connects(port, host="127.0.0.1"):
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError:
        return False
    return True


# --- what comes with BIND ---


@contextlib.contextmanager
def odd_descriptors(worker):
    with contextlib.ExitStack() as stack:
        reading, writing = os.pipe()
        plain = [reading, writing, os.memfd_create("nothing"), os.open("/etc", os.O_PATH),
                 os.open("/dev/null", os.O_RDONLY)]
        stack.callback(native.close_all, plain)
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        bound = stack.enter_context(socket.socket())
        bound.bind(("127.0.0.1", 0))
        opened = [stack.enter_context(one) for one in (
            select.epoll(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
            socket.socket(socket.AF_UNIX), socket.socket(socket.AF_INET6), native.connect(worker),
            socket.create_connection(listening.getsockname()))]
        yield plain + [one.fileno() for one in [listening, bound, *opened]]


def test_descriptors_that_are_no_unbound_socket(target):
    port = free_port()
    with odd_descriptors(target.worker) as descriptors, Bound(target.worker, free_port()) as other:
        for descriptor in [*descriptors, other.socket.fileno(), *other.descriptors]:
            assert bind_error(target.worker, port, descriptor) == -errno.EINVAL
    assert bind_error(target.worker, port) == -errno.EBADF
    target.assert_sound()


@pytest.mark.parametrize("count", [2, 4, 253])
def test_several_descriptors(target, count):
    """One becomes the listener, the others are closed."""
    with contextlib.ExitStack() as stack:
        rights = [stack.enter_context(socket.socket()).fileno() for _ in range(count)]
        message = request(target.worker, BIND, address=native.pack_address("127.0.0.1",
                                                                           free_port()))
        reply, received = native.ask(target.worker, message, rights)
        assert reply.error == 0
        until(lambda: target.kept() == 3, 5, lambda: f"{target.kept()} descriptors, not 3")
        native.close_all(received)
        assert error_of(target.worker, native.CLOSE, listener=reply.listener) == 0
    target.assert_sound()


def test_addresses_of_all_lengths(target):
    """Of all families, with and without a socket that might fit."""
    wrong = [-errno.EINVAL, -errno.EBADF, -errno.ENAMETOOLONG]
    with socket.socket() as ours, socket.socket(socket.AF_INET6) as wide:
        for family in [0, 1, 2, 10, 16, 17, 40, 65535]:
            for length in range(129):
                if (family, length) in [(2, 16), (10, 28)]:
                    continue
                address = (struct.pack("=H", family) + b"\x01" * 126)[:length].ljust(128, b"\1")
                fields = {"address": address, "length": length}
                rights = [(wide if family == 10 else ours).fileno()]
                assert error_of(target.worker, BIND, rights, **fields) in wrong
    target.assert_sound()


@contextlib.contextmanager
def no_free_descriptor(pid):
    """Its lowest free number is its limit."""
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = set(map(int, os.listdir(f"/proc/{pid}/fd")))
    lowest = next(number for number in range(len(used) + 1) if number not in used)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (lowest, limits[1]))
    yield
    resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)


def test_no_descriptor_left_for_the_socket(target):
    """The kernel drops it on the way: the worker is told why."""
    address = native.pack_address("127.0.0.1", free_port())
    with socket.socket() as ours, native.connect(target.worker) as client:
        until(lambda: target.kept() == 1, 5, "the connection")
        with no_free_descriptor(target.app.pid):
            socket.send_fds(client, [request(target.worker, BIND, address=address)],
                            [ours.fileno()])
            reply = native.Reply(*native.REPLY.unpack(client.recv(native.REPLY.size)))
    assert reply.error == -errno.EMFILE
    target.assert_sound()


def test_no_descriptor_left_for_connections(target):
    """They wait, without work for the master, and are answered later."""
    with no_free_descriptor(target.app.pid):
        client = native.connect(target.worker)
        client.send(request(target.worker, native.READY))
        time.sleep(0.1)
        used = procfs.cpu_seconds(target.app.pid)
        time.sleep(0.5)
        assert procfs.cpu_seconds(target.app.pid) - used < 0.1
    assert native.Reply(*native.REPLY.unpack(client.recv(native.REPLY.size))).error == 0
    client.close()
    target.assert_sound()


# --- too much of it ---


def test_more_listeners_than_one_may_have(target):
    """There is a limit, others are served meanwhile, and other workers may still listen."""
    numbers, refused, port = [], 0, free_port()
    with contextlib.ExitStack() as stack:
        for number in range(MANY):
            ours = stack.enter_context(socket.socket())
            address = native.pack_address(f"127.1.{number // 200}.{number % 200 + 1}", port)
            reply, received = native.ask(target.worker, request(target.worker, BIND,
                                                                address=address), [ours.fileno()])
            native.close_all(received)
            if reply.error:
                refused = reply.error
                break
            numbers.append(reply.listener)
        assert refused == -errno.EMFILE and 200 <= len(numbers) <= 1024
        target.assert_serves()
        with Bound(target.workers[1], free_port()) as other:
            assert other.listen() == 0 and connects(other.port)
        for number in numbers:
            assert error_of(target.worker, native.CLOSE, listener=number) == 0
    target.assert_sound()


def test_bind_and_retrieve_again_and_again(target):
    for _ in range(200):
        with Bound(target.worker, free_port()) as bound:
            reply, received = native.ask(target.worker, request(target.worker, RETRIEVE,
                                                                listener=bound.number))
            assert reply.error == 0 and len(received) == 1
            native.close_all(received)
    target.assert_sound()


def test_bind_of_those_that_leave(target):
    """Without a look at the reply, and with a request that is half a one."""
    message = request(target.worker, BIND, address=native.pack_address("127.0.0.1", free_port()))
    for number in range(300):
        with socket.socket() as ours, native.connect(target.worker) as client:
            socket.send_fds(client, [message[:168 - number % 2]], [ours.fileno()])
    with socket.socket() as ours:
        reply, received = native.ask(target.worker, message, [ours.fileno()])
    assert reply.error == 0, "nobody has it any more"
    native.close_all(received)
    assert error_of(target.worker, native.CLOSE, listener=reply.listener) == 0
    target.assert_sound()


@pytest.mark.parametrize("kind", [BIND, native.LISTEN])
def test_request_of_one_that_has_left(target, kind):
    """The master gets to it only when nobody is there any more to take, or to close, what it would
    be answered with: it keeps nothing, and the address is free."""
    port = free_port()
    message = request(target.worker, kind, address=native.pack_address("127.0.0.1", port))
    with socket.socket() as ours, native.connect(target.worker) as client:
        until(lambda: target.kept() == 1, 30, "the connection")
        os.kill(target.app.pid, signal.SIGSTOP)
        until(lambda: procfs.state(target.app.pid) == "T", 30, "the stop")
        socket.send_fds(client, [message], [ours.fileno()])
    os.kill(target.app.pid, signal.SIGCONT)
    target.assert_sound()
    with socket.socket() as ours:
        ours.bind(("127.0.0.1", port))


def test_crowd_that_says_nothing(target):
    """A thousand connections; some bring descriptors; a BIND in between is answered."""
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(socket.socket())
        for number in range(1000):
            client = stack.enter_context(native.connect(target.worker))
            if number % 3 == 0:
                with contextlib.suppress(OSError):
                    socket.send_fds(client, [b"half"], [ours.fileno()] * 10)
        assert target.kept() <= 100
        with Bound(target.worker, free_port()) as bound:
            assert bound.listen() == 0 and connects(bound.port)
    target.assert_sound()


# --- numbers and backlogs ---


def test_numbers_that_are_not_its_own(target):
    foreign = [1, 7, 2**31, 2**32 - 1]
    with Bound(target.workers[1], free_port()) as other:
        assert other.number in foreign
        for number in foreign:
            fields = {"listener": number}
            assert error_of(target.worker, native.LISTEN, **fields) == -errno.EINVAL
            assert error_of(target.worker, native.CLOSE, **fields) == -errno.ENOENT
            assert error_of(target.worker, CHECK, **fields) == -errno.ENOENT
            assert error_of(target.worker, RETRIEVE, **fields) == -errno.ENOENT
            for kind in (GET_OPTION, SET_OPTION):
                assert error_of(target.worker, kind, value=2, flags=1, address=bytes(4),
                                **fields) == -errno.EBADF
        assert other.listen() == 0 and connects(other.port)
    target.assert_sound()


def backlog_of(port):
    """As the kernel tells it: the column Send-Q of a listening socket."""
    lines = subprocess.run(["ss", "-ltnH", f"sport = :{port}"], capture_output=True, text=True,
                           check=True, timeout=PATIENCE).stdout.split()
    return int(lines[2])


def test_backlogs(target):
    """A negative one is very large, as to listen(2); it grows and does not shrink."""
    with open("/proc/sys/net/core/somaxconn", encoding="ascii") as file:
        largest = int(file.read())
    with Bound(target.worker, free_port()) as bound:
        for backlog, actual in [(0, 0), (5, 5), (3, 5), (-1, largest), (-2**31, largest),
                                (2**31 - 1, largest)] + [(1, largest)] * 500:
            assert bound.listen(backlog) == 0
            assert actual == largest and backlog == 1 or backlog_of(bound.port) == actual
        assert connects(bound.port)
    target.assert_sound()


def test_listen_with_an_address_that_is_only_bound(target):
    """By a worker that never listens: the other does, and gets the clients."""
    with Bound(target.worker, free_port()) as bound:
        assert not connects(bound.port)
        reply, received = native.listen(target.workers[1], ("127.0.0.1", bound.port))
        assert reply.error == 0 and connects(bound.port)
        native.close_all(received)
        assert error_of(target.workers[1], native.CLOSE, listener=reply.listener) == 0
    target.assert_sound()


def test_retrieve_where_it_may_not(target):
    with Bound(target.worker, free_port()) as bound:
        with Bound(target.workers[1], bound.port) as other:
            assert bound.ask(RETRIEVE) == other.ask(RETRIEVE) == -errno.EADDRINUSE
            assert other.listen() == 0
            waiting = socket.create_connection(("127.0.0.1", bound.port), timeout=5)
        assert bound.ask(RETRIEVE) == -errno.EADDRINUSE, "it listens, and somebody waits"
        assert bound.listen() == 0
        with bound.accept() as accepted:
            waiting.sendall(b"x")
            assert accepted.recv(1) == b"x"
        waiting.close()
    target.assert_sound()


# --- what it kept a copy of ---


def test_shut_down_copy(target):
    """It ends listening for all that share the socket, so the master listens again."""
    with Bound(target.worker, free_port()) as bound, Bound(target.workers[1], bound.port) as other:
        assert bound.listen() == other.listen() == 0
        for how in [socket.SHUT_RD, socket.SHUT_RDWR] * 5:
            bound.socket.shutdown(how)
            until(lambda: connects(bound.port), 5, "a listener")
    target.assert_sound()


def test_connected_copy(target):
    """Nobody can listen there while the worker has it, and all are told so."""
    with Bound(target.worker, free_port()) as bound, Bound(target.workers[1], bound.port) as other:
        with socket.create_server(("127.0.0.1", 0)) as elsewhere:
            bound.socket.setblocking(False)
            bound.socket.connect_ex(elsewhere.getsockname())
            assert bound.listen() == other.listen() == -errno.EINVAL
    target.assert_sound()


def test_blocking_copy(target):
    """O_NONBLOCK belongs to both: the master does not wait in accept, not even when it ends."""
    with Bound(target.worker, free_port()) as bound:
        assert bound.listen() == 0
        bound.socket.setblocking(True)
        assert connects(bound.port)
        target.assert_serves()
        bound.socket.setblocking(True)
        target.assert_stops()


@pytest.mark.parametrize("end", [0, 1])
def test_accept_socket_that_is_shut_down(target, end):
    """By either end: no work without an end for the master, and other workers get the clients."""
    with Bound(target.worker, free_port()) as bound, Bound(target.workers[1], bound.port) as other:
        assert bound.listen() == other.listen() == 0
        with socket.socket(fileno=os.dup(bound.descriptors[end])) as mine:
            mine.shutdown(socket.SHUT_RDWR)
        clients = [socket.create_connection(("127.0.0.1", bound.port), timeout=5)
                   for _ in range(10)]
        for _ in clients:
            other.accept().close()
        used = procfs.cpu_seconds(target.app.pid)
        time.sleep(0.3)
        assert procfs.cpu_seconds(target.app.pid) - used < 0.1
        for client in clients:
            client.close()
    target.assert_sound()


# --- options ---


def sweep_options(bound):
    """Sets and gets each; returns the errors."""
    errors = set()
    values = [bytes(128), b"\xff" * 128, b"\x01" + bytes(127)]
    for level in TCP_LEVELS + OTHER_LEVELS:
        lengths = CONTROL_LENGTHS if level in TCP_LEVELS else [4]
        for name in list(range(90 if level in TCP_LEVELS else 10)) + [128, 299, -1, 2**31 - 1]:
            fields = {"value": name, "flags": level}
            for number, length in enumerate(lengths):
                value = values[(name + number) % 3][:length]
                errors.add(bound.ask(SET_OPTION, address=value, **fields))
            errors.add(bound.ask(GET_OPTION, length=lengths[name % len(lengths)], **fields))
    return errors


@pytest.mark.parametrize("listening", [False, True])
def test_options_of_all_kinds(target, listening):
    """None harms the master or another listener."""
    with Bound(target.worker, free_port(), "::1") as bound:
        assert not listening or bound.listen() == 0
        errors = sweep_options(bound)
        assert {0, -errno.ENOPROTOOPT, -errno.EINVAL} < errors and -errno.EFAULT not in errors
        bound.listen()
        connects(bound.port, "::1")
    target.assert_sound()


def test_option_lengths(target):
    with Bound(target.worker, free_port()) as bound:
        for length in range(129):
            error = bound.ask(SET_OPTION, value=socket.SO_KEEPALIVE, flags=socket.SOL_SOCKET,
                              address=b"\x01".ljust(length, b"\0")[:length])
            assert error == (0 if length >= 4 else -errno.EINVAL)
    target.assert_sound()


AS_NOBODY = """
import os, socket, sys
name, *requests = map(bytes.fromhex, sys.argv[1:])
for request in requests:
    client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    client.connect(name)
    client.send(request)
    print(int.from_bytes(client.recv(4096)[8:12], "little", signed=True))
"""


def test_options_that_only_the_master_may_set(start, nobody):
    """It runs as root and the workers do not: they get what they might set themselves."""
    app = start("baton", "native_worker", flags=["--uid", nobody])
    worker = native.Worker(app.workers()[0])
    options = {socket.SO_MARK: -errno.EPERM, 33: -errno.EPERM,  # SO_RCVBUFFORCE
               socket.SO_KEEPALIVE: 0, socket.SO_PRIORITY: -errno.EPERM}
    with Bound(worker, free_port()) as bound:
        requests = [request(worker, SET_OPTION, listener=bound.number, value=option,
                            flags=socket.SOL_SOCKET, address=struct.pack("=i", 65536)).hex()
                    for option in options]
        result = subprocess.run(["/usr/bin/python3", "-c", AS_NOBODY, worker.name.hex(), *requests],
                                user=65534, group=65534, extra_groups=[], cwd="/",
                                capture_output=True, text=True, timeout=PATIENCE, check=True)
        assert [int(line) for line in result.stdout.split()] == list(options.values())
        assert bound.ask(SET_OPTION, value=socket.SO_MARK, flags=socket.SOL_SOCKET,
                         address=struct.pack("=i", 1)) == 0, "root may, and the master still can"
    assert outcomes([get(app.port) for _ in range(4)]) == {"ok": 4}


# --- by chance ---


class Chance:
    """Two workers that ask for whatever comes, and remember what they got."""

    def __init__(self, workers, seed):
        self.random = random.Random(seed)
        self.ports = [free_port() for _ in range(6)]
        self.held = {worker: {} for worker in workers}  # number: what came with it

    def bind(self, worker):
        with socket.socket() as ours:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            address = native.pack_address("127.0.0.1", self.random.choice(self.ports))
            reply, received = native.ask(worker, request(
                worker, BIND, address=address, flags=self.random.choice([0, 1, 2**32 - 1])),
                [ours.fileno()])
            self.keep(worker, reply, received)

    def listen(self, worker):
        self.keep(worker, *native.listen(worker, ("127.0.0.1", self.random.choice(self.ports))))

    def keep(self, worker, reply, received):
        assert bool(received) == (reply.error == 0)
        if received:
            native.close_all(self.held[worker].pop(reply.listener, []))
            self.held[worker][reply.listener] = received

    def ask(self, worker):
        """Something else, of one that it has or has not. Never number 0, which the program has."""
        fields = {"listener": self.random.choice([*self.held[worker], 3, 2**32 - 1]),
                  "value": self.random.choice([-1, 0, 1, 2, 9, 100, 2**31 - 1]),
                  "flags": self.random.choice([0, 1, 6, 41])}
        kind = self.random.choice([native.LISTEN, native.CLOSE, native.LOAD, GET_OPTION,
                                   SET_OPTION, CHECK, RETRIEVE])
        if kind in (GET_OPTION, SET_OPTION):
            fields["address"] = self.random.randbytes(self.random.choice([0, 4, 8, 128]))
        reply, received = native.ask(worker, request(worker, kind, **fields))
        assert reply.type == kind
        native.close_all(received)

    def connect(self, _):
        with socket.socket() as client:
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", self.random.choice(self.ports)))

    def step(self):
        worker = self.random.choice(list(self.held))
        self.random.choice([self.bind, self.listen, self.ask, self.ask, self.connect])(worker)

    def end(self):
        for worker, held in self.held.items():
            for number, received in held.items():
                native.close_all(received)
                native.ask(worker, request(worker, native.CLOSE, listener=number))


@pytest.mark.parametrize("seed", range(3))
def test_requests_by_chance(target, seed):
    chance = Chance(target.workers, seed)
    for _ in range(1000):
        chance.step()
    chance.end()
    target.assert_sound()


# --- life and death ---


def test_death_between_bind_and_listen(target):
    victim = target.app.workers()[0]
    port = free_port()
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(socket.socket())
        client = stack.enter_context(native.connect(target.worker))
        os.kill(victim, signal.SIGSTOP)
        socket.send_fds(client, [request(target.worker, BIND, address=native.pack_address(
            "127.0.0.1", port))], [ours.fileno()])
        os.kill(victim, signal.SIGKILL)
    target.app.wait_replaced([victim])
    assert error_of(target.worker, CHECK) == -errno.EACCES
    with Bound(target.workers[1], port) as bound:
        assert bound.listen() == 0 and connects(port)
    target.assert_sound(restarts=1)


def test_two_that_bind_at_once(target):
    """Two threads of a worker: one has it, the other is refused, and never both."""
    for _ in range(30):
        port, replies = free_port(), []

        def bind():
            with socket.socket() as ours:
                reply, received = native.ask(target.worker, request(
                    target.worker, BIND, address=native.pack_address("127.0.0.1", port)),
                    [ours.fileno()])
                replies.append((reply, received))

        threads = [threading.Thread(target=bind) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        # Nobody of the worker's session has the first one's accept socket, so it may be over.
        assert 0 in [reply.error for reply, _ in replies]
        for reply, received in replies:
            native.close_all(received)
            if not reply.error:
                error_of(target.worker, native.CLOSE, listener=reply.listener)
    target.assert_sound()


def test_checks_and_closes_at_once(target):
    """Of the same listeners, by several threads."""
    with contextlib.ExitStack() as stack:
        bounds = [stack.enter_context(Bound(target.worker, free_port())) for _ in range(20)]

        def attack(kind):
            for bound in bounds:
                assert bound.ask(kind) in (0, -errno.ENOENT, -errno.EINVAL)

        threads = [threading.Thread(target=attack, args=[kind])
                   for kind in (CHECK, native.CLOSE, native.LISTEN, CHECK)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
    target.assert_sound()


def test_bind_during_reload_and_end(target):
    """Requests of all kinds go on until the master is gone."""
    done = threading.Event()
    port = free_port()

    def attack():
        while not done.is_set():
            for worker in target.workers:
                with contextlib.suppress(OSError, AssertionError), Bound(worker, port) as bound:
                    bound.listen()
                    bound.ask(CHECK)

    before = set(target.app.workers())
    thread = threading.Thread(target=attack)
    thread.start()
    try:
        target.app.signal(signal.SIGHUP)
        target.app.wait_status(lambda now: now.reloads == 1)
        target.assert_serves()
        until(lambda: not before & set(target.app.workers()), 30, target.app.transcript)
        target.workers = [native.Worker(pid) for pid in target.app.workers()]
        target.assert_stops()
    finally:
        done.set()
        thread.join(PATIENCE)


def test_reload_with_stopped_workers_that_have_clients(target):
    """Those that they cannot accept go to their successors."""
    stopped = target.app.workers()
    for pid in stopped:
        stop(pid)
    crowd = Crowd(target.app.port, 40)
    target.app.signal(signal.SIGHUP)
    try:
        assert outcomes(crowd.finish()) == {"ok": 40}
    finally:
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


# --- many questions at once ---


def test_check_while_no_descriptor_is_free(start):
    """Nobody can tell whether the worker has its accept socket still, so it keeps its clients."""
    app = start("baton", "drop_in_server", arguments=["poll"], flags=["--intercept", "preload"],
                policy="rr")
    workers = [native.Worker(pid) for pid in app.workers()]
    for worker in workers:
        with native.connect(worker) as client:
            assert get(app.port).outcome == "ok"
            be_quiet(app)  # the master has accepted the connection by then
            with no_free_descriptor(app.pid):
                client.send(request(worker, CHECK))
                reply = native.Reply(*native.REPLY.unpack(client.recv(native.REPLY.size)))
        assert reply.error == 0
    replies = [get(app.port) for _ in range(4)]
    assert outcomes(replies) == {"ok": 4}
    assert {reply.json()["pid"] for reply in replies} == set(app.workers())


FLOOD = """
import os, socket, sys
name, check, processes = *map(bytes.fromhex, sys.argv[1:3]), int(sys.argv[3])
for _ in range(processes):
    if os.fork() == 0:
        break
os.write(1, b"begun\\n")
while True:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
        try:
            client.connect(name)
            client.send(check)
        except ConnectionError:
            pass
"""


def test_flood_of_checks(start):
    """Of a worker with children, one of which has the accept socket: others are served between."""
    app = start("baton", "drop_in_server", arguments=["poll"], flags=["--intercept", "preload"],
                policy="rr")
    worker = native.Worker(app.workers()[0])
    with subprocess.Popen(["/usr/bin/python3", "-c", FLOOD, worker.name.hex(),
                           request(worker, CHECK).hex(), "3"], stdout=subprocess.PIPE,
                          start_new_session=True) as flood:
        try:
            assert [flood.stdout.readline() for _ in range(4)] == [b"begun\n"] * 4
            assert {get(app.port).status for _ in range(100)} == {200}
            assert flood.poll() is None
        finally:
            os.killpg(flood.pid, signal.SIGKILL)
    assert len(app.wait_status(lambda now: len(now.ready()) == 2).ready()) == 2


def test_bind_again_of_a_shared_socket_that_nobody_has(start):
    """Policy none: the worker has closed it, and the master's copy does not keep the address."""
    app = start("baton", "native_worker", policy="none")
    target = native.Worker(app.workers()[0])
    port = free_port()
    message = request(target, BIND, address=native.pack_address("127.0.0.1", port))
    for _ in range(5):
        with socket.socket() as ours:
            reply, received = native.ask(target, message, [ours.fileno()])
        assert reply.error == 0 and reply.flags == 1 and len(received) == 1
        native.close_all(received)
    assert error_of(target, native.CLOSE, listener=reply.listener) == 0
    assert not connects(port)


def test_records_that_the_worker_itself_has_sent(target):
    """By the master's end, which came with BIND: none of their descriptors is kept."""
    for count in (1, 2, 3, 4, 5, 253):
        with Bound(target.worker, free_port()) as bound, socket.socket() as ours:
            assert bound.listen() == 0
            with socket.socket(fileno=os.dup(bound.descriptors[1])) as end:
                for record in (b"", b"short", bytes(48), bytes(512)):
                    with contextlib.suppress(OSError):
                        socket.send_fds(end, [record], [ours.fileno()] * count)
    target.assert_sound()


def mute(client):
    """The kernel answers nothing more for this socket, as if its machine had vanished."""
    program = struct.pack("HBBI", 6, 0, 0, 0)  # BPF: keep 0 bytes of every packet
    buffer = ctypes.create_string_buffer(program, len(program))
    client.setsockopt(socket.SOL_SOCKET, 26,  # SO_ATTACH_FILTER
                      struct.pack("HxxxxxxP", 1, ctypes.addressof(buffer)))


def test_a_time_to_linger_does_not_hold_up_the_master(target):
    """Clients vanish unserved, and the master closes them: it may not wait for their answer."""
    with Bound(target.worker, free_port()) as bound:
        linger = struct.pack("ii", 1, 1000)
        assert bound.ask(SET_OPTION, flags=socket.SOL_SOCKET, value=socket.SO_LINGER,
                         address=linger) == 0
        assert bound.listen() == 0
        clients = [socket.create_connection(("127.0.0.1", bound.port), 5) for _ in range(2)]
        for client in clients:
            mute(client)
        target.assert_serves()
    target.assert_serves()
    for client in clients:
        client.close()
