"""The daemon as a service manager sees it: sockets that are opened for it (sd_listen_fds(3)), and
what it tells of itself (sd_notify(3))."""
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys

import pytest

from support import procfs
from support.clients import Load, get, open_socket, outcomes, read_reply, request_bytes
from support.ports import free_port
from support.primary import BATON
from support.wait import PATIENCE, until

# What systemd does between fork(2) and execve(2): descriptors from 3 on, and variables about them.
MANAGER = """
import fcntl, os, sys
descriptors = [fcntl.fcntl(int(word), fcntl.F_DUPFD_CLOEXEC, 100)
               for word in sys.argv[1].split(",") if word]
for number, descriptor in enumerate(descriptors):
    os.dup2(descriptor, 3 + number, inheritable=True)
pid = sys.argv[2] or str(os.getpid())
os.environ.update(LISTEN_FDS=str(len(descriptors)), LISTEN_PID=pid)
os.execv(sys.argv[3], sys.argv[3:])
"""


@pytest.fixture
def sockets():
    with contextlib.ExitStack() as stack:
        yield lambda one: stack.enter_context(contextlib.closing(one))


def listen_tcp(sockets, host="127.0.0.1"):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = sockets(socket.socket(family))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, 0))
    listener.listen(100)
    return listener, listener.getsockname()[1]


def listen_unix(sockets, path):
    path.parent.mkdir(mode=0o700, exist_ok=True)
    listener = sockets(socket.socket(socket.AF_UNIX))
    listener.bind(str(path))
    listener.listen(100)
    return listener


def start_daemon(home, listeners, words=("daemon",), pid="", env=None, wait=True):
    """Passes duplicates with high numbers, as those from 3 on are to be taken by them."""
    copies = [os.dup(listener.fileno()) for listener in listeners]
    numbers = ",".join(map(str, copies))
    daemon = subprocess.Popen(
        [sys.executable, "-c", MANAGER, numbers, pid, BATON, *map(str, words)], pass_fds=copies,
        cwd=home.work, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, env={**home.environment, **(env or {})})
    for copy in copies:
        os.close(copy)
    if wait:
        until(lambda: daemon.poll() is not None or home.daemon_pid() and
              home.cli("ping").code == 0, 15, lambda: home.daemon_log())
    return daemon


# Sockets.


def test_the_control_socket_may_be_the_managers(home, sockets):
    """Whoever asked before there was a daemon is answered, and the socket is there after it."""
    listener = listen_unix(sockets, home.socket_path())
    client = sockets(open_socket(home.socket_path()))
    client.sendall(b"GET /v1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    daemon = start_daemon(home, [listener])
    reply = read_reply(client)
    assert reply.status == 200 and json.loads(reply.body)["pid"] == daemon.pid
    inode = home.socket_path().stat().st_ino
    home.cli("kill").ok()
    daemon.wait(PATIENCE)
    assert home.socket_path().stat().st_ino == inode, "it is the manager's"
    start_daemon(home, [listener])
    assert home.cli("ping").code == 0


@pytest.mark.parametrize("intercept, host", [("node", "::"), ("node", "0.0.0.0"),
                                             ("preload", "::"), ("listen-fds", "127.0.0.1")])
def test_an_app_gets_the_managers_socket(home, sockets, intercept, host):
    """Who connects before the app is there waits, and so does who does while it is stopped."""
    listener, port = listen_tcp(sockets, host)
    early = sockets(open_socket(port))
    early.sendall(request_bytes())
    start_daemon(home, [listener])
    home.program("plain.js")
    extra = ["--intercept", intercept]
    if intercept == "listen-fds":
        extra += ["--listen", f"{host}:{port}"]
        home.write("plain.js", "require('http').createServer((_, response) => response.end('{}'))"
                               ".listen({ fd: 3 })")
    home.start("plain.js", "-n", "web", "-i", "2", *extra, port=port)
    assert read_reply(early).outcome == "ok"
    assert get(port).outcome == "ok"
    home.cli("stop", "web").ok()
    late = sockets(open_socket(port))
    late.sendall(request_bytes())
    home.cli("start", "web").ok()
    home.wait_status("web", "online")
    assert read_reply(late).outcome == "ok"
    assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN), "it is the manager's"


def test_it_is_reloaded_without_loss(home, sockets):
    listener, port = listen_tcp(sockets, "::")
    start_daemon(home, [listener])
    home.start("graceful.js", "-n", "web", "-i", "2", port=port)
    with Load(port, threads=4, timeout=30) as load:  # some wait until the next app is there
        for _ in range(3):
            load.wait_more(50, 20)
            home.cli("reload", "web").ok()
        home.cli("delete", "web").ok()
        home.start("graceful.js", "-n", "again", "-i", "2", port=port)
        load.wait_more(50, 20)
    assert set(outcomes(load.replies)) <= {"ok", "reset"}, outcomes(load.replies)
    assert load.replies[-1].outcome == "ok"


def test_a_socket_serves_one_app(home, sockets):
    listener, port = listen_tcp(sockets, "::")
    start_daemon(home, [listener])
    home.start("plain.js", "-n", "web", "-i", "1", port=port)
    home.program("plain.js")
    home.write("b.json", json.dumps({"name": "b", "script": "plain.js", "exec_mode": "cluster",
                                     "max_restarts": 1}))
    result = home.cli("start", "b.json", env={"PORT": port}).failed()
    assert "in use" in result.out + result.err + home.daemon_log()
    assert get(port).outcome == "ok"


def test_the_sockets_of_another_process_are_left_alone(home, sockets):
    """The variables may come from a parent that they were meant for."""
    listener, port = listen_tcp(sockets, "::")
    daemon = start_daemon(home, [listener], pid="1")
    assert daemon.poll() is None
    home.program("plain.js")
    home.write("b.json", json.dumps({"name": "b", "script": "plain.js", "exec_mode": "cluster",
                                     "max_restarts": 1}))
    home.cli("start", "b.json", env={"PORT": port}).failed()


def test_sockets_that_are_not_there(home):
    result = subprocess.run(
        [sys.executable, "-c", "import os, sys\nos.environ.update(LISTEN_FDS='2', "
         "LISTEN_PID=str(os.getpid()))\nos.execv(sys.argv[1], sys.argv[1:])", BATON, "daemon"],
        capture_output=True, text=True, env=home.environment, timeout=PATIENCE, check=False)
    assert result.returncode == 1 and "service manager" in result.stderr, result


def test_a_command_in_the_foreground_passes_them_on(home, sockets):
    listener, port = listen_tcp(sockets, "::")
    home.program("plain.js")
    daemon = start_daemon(home, [listener], ["start", "plain.js", "-n", "web", "-i", "2",
                                             "--no-daemon"], env={"PORT": str(port)})
    home.wait_status("web", "online")
    assert get(port).outcome == "ok"
    daemon.send_signal(signal.SIGINT)
    daemon.wait(PATIENCE)


def test_workers_get_none_of_them(home, sockets):
    listener, _ = listen_tcp(sockets, "::")
    inode = os.readlink(f"/proc/self/fd/{listener.fileno()}")
    start_daemon(home, [listener])
    home.write("idle.js", "require('net').createServer().listen(0)")
    home.start("idle.js", "-n", "a")
    pid = home.process("a").pid
    until(lambda: inode not in procfs.open_files(pid), 10, "its program, which has it no more")


# Messages.


class Manager:
    """A service manager that reads what it is told, message by message."""

    def __init__(self, home, sockets, abstract=False):
        self.address = f"\0{home.root.name}" if abstract else str(home.root / "notify")
        self.socket = sockets(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        self.socket.bind(self.address)
        self.socket.settimeout(PATIENCE)
        self.environment = {"NOTIFY_SOCKET": self.address.replace("\0", "@")}

    def wait(self, word):
        """The next message that has this line."""
        while True:
            message = self.socket.recv(4096).decode()
            if word in message.splitlines():
                return message

    def empty(self):
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while self.socket.recv(4096):
                pass
        self.socket.settimeout(PATIENCE)


@pytest.mark.parametrize("abstract", [False, True])
def test_what_the_manager_is_told(home, sockets, abstract):
    """In this order: ready, a reload from its begin to its end, stopping."""
    manager = Manager(home, sockets, abstract)
    daemon = start_daemon(home, [], env=manager.environment, wait=False)
    ready = manager.wait("READY=1")
    assert f"MAINPID={daemon.pid}" in ready.splitlines()
    home.start("plain.js", "-n", "web", "-i", "2", port=free_port())
    home.cli("reload", "web").ok()
    reloading = manager.wait("RELOADING=1")
    assert re.search(r"^MONOTONIC_USEC=\d+$", reloading, re.MULTILINE)
    manager.wait("READY=1")
    daemon.send_signal(signal.SIGTERM)
    assert "STATUS=" in manager.wait("STOPPING=1")
    daemon.wait(PATIENCE)


def test_a_reload_that_fails_is_over_too(home, sockets):
    manager = Manager(home, sockets)
    start_daemon(home, [], env=manager.environment, wait=False)
    manager.wait("READY=1")
    home.start("plain.js", "-n", "web", "-i", "2", "--listen-timeout", "3000", port=free_port())
    home.write("plain.js", "throw new Error('broken')")
    home.cli("reload", "web").failed()
    manager.wait("RELOADING=1")
    manager.wait("READY=1")


def test_a_manager_that_is_slow_learns_the_latest(home, sockets):
    """Its socket holds few messages, which signs of life fill up."""
    manager = Manager(home, sockets)
    start_daemon(home, [], env={**manager.environment, "WATCHDOG_USEC": "4000"}, wait=False)
    manager.wait("READY=1")
    home.start("plain.js", "-n", "web", "-i", "2", port=free_port())
    home.cli("reload", "web").ok()
    manager.wait("READY=1")


def test_a_daemon_that_hangs_does_not_say_that_it_lives(home, sockets):
    manager = Manager(home, sockets)
    daemon = start_daemon(home, [], env={**manager.environment, "WATCHDOG_USEC": "100000"},
                          wait=False)
    manager.wait("READY=1")
    manager.wait("WATCHDOG=1")
    daemon.send_signal(signal.SIGSTOP)
    until(lambda: procfs.state(daemon.pid) == "T", 5, "its stop")
    manager.empty()
    manager.socket.settimeout(1)
    with pytest.raises(TimeoutError):
        manager.socket.recv(4096)
    daemon.send_signal(signal.SIGCONT)
    manager.socket.settimeout(PATIENCE)
    manager.wait("WATCHDOG=1")


def test_a_manager_that_is_gone_is_no_obstacle(home, sockets):
    manager = Manager(home, sockets)
    start_daemon(home, [], env={**manager.environment, "WATCHDOG_USEC": "10000"}, wait=False)
    manager.wait("READY=1")
    os.unlink(manager.address)
    manager.socket.close()
    assert home.cli("ping").code == 0
