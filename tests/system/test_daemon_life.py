"""The daemon itself: how it comes, that there is one, and how it goes."""
import os
import signal
import socket
import time

import pytest

from support import procfs
from support.clients import get
from support.ports import free_port
from support.wait import PATIENCE, until

IDLE = "require('net').createServer().listen(0)"


def stat_of(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return file.read().rpartition(")")[2].split()


def test_the_first_command_starts_it_detached(home):
    """In a session of its own, without a terminal, with none of the caller's descriptors; that no
    output is kept open is what home.cli() waits for."""
    read, write = os.pipe()
    os.set_inheritable(write, True)
    home.begin()
    os.close(write)
    pid = home.daemon_pid()
    assert pid and procfs.parent(pid) == 1 or procfs.parent(pid) != os.getpid()
    _, _, _, session, terminal = stat_of(pid)[:5]
    assert int(session) not in (os.getsid(0), 0) and terminal == "0"
    assert os.readlink(f"/proc/{pid}/cwd") in ("/", str(home.path))
    for number in range(3):
        target = os.readlink(f"/proc/{pid}/fd/{number}")
        assert target == "/dev/null" or target.startswith(str(home.path)), target
    os.close(read)


def test_reading_commands_do_not_need_one(home):
    """`kill` starts none, to end it, and whoever only looks leaves nothing behind."""
    for words in (["kill"], ["ls"], ["jlist"], ["pid"]):
        home.cli(*words).ok()
    assert not home.daemon_pid() and not home.socket_path().exists()


def test_there_is_one_for_each_home(home):
    home.begin()
    pid = home.daemon_pid()
    home.begin()
    assert home.daemon_pid() == pid
    second = home.start_aside("daemon")
    said = second.communicate(timeout=PATIENCE)[1]
    assert second.returncode == 1 and f"already (process {pid})" in said
    assert home.daemon_pid() == pid


def test_a_stale_pid_file_is_no_obstacle(home):
    home.begin()
    home.signal_daemon(signal.SIGKILL)
    home.pid_file().write_text(f"{os.getpid()}\n")
    home.begin()
    assert home.daemon_pid() not in (0, os.getpid())


def test_kill_ends_all_of_it(home):
    home.write("idle.js", IDLE)
    home.start("idle.js", "-n", "a", "-i", "2")
    home.cli("kill").ok()
    assert not home.leftovers()
    assert not home.socket_path().exists() and not list((home.path / "pids").iterdir())
    home.begin()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals(home, number):
    """A hang-up of the terminal that it came from is nothing to it."""
    home.write("idle.js", IDLE)
    home.start("idle.js", "-n", "a")
    pid = home.daemon_pid()
    os.kill(pid, number)
    if number == signal.SIGHUP:
        time.sleep(0.3)
        assert home.daemon_pid() == pid and home.process("a").status == "online"
    else:
        until(lambda: not home.leftovers(), 10, lambda: home.leftovers())


def test_a_start_on_a_cold_machine_serves(home):
    port = free_port()
    home.program("plain.js")
    home.cli("start", "plain.js", "-i", "2", env={"PORT": port}).ok()
    assert get(port).outcome == "ok", "it is ready when the command has ended"


def test_no_daemon_stays_in_the_foreground(home):
    home.write("idle.js", IDLE)
    process = home.start_aside("start", "idle.js", "-n", "a", "--no-daemon")
    home.wait_status("a", "online", timeout=20)
    assert process.poll() is None
    assert home.daemon_pid() == process.pid or procfs.parent(home.daemon_pid()) == process.pid
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    until(lambda: not home.leftovers(), 10, lambda: home.leftovers())


def test_the_service_manager_is_told(home):
    """sd_notify(3): ready when it serves, stopping when it ends."""
    path = str(home.root / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(PATIENCE)
        process = home.start_aside("start", "--no-daemon", home.write("idle.js", IDLE), "-n", "a",
                                   env={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "400000"})
        told = _told(manager, "READY=1")
        assert "READY=1" in told
        told = _told(manager, "WATCHDOG=1")
        process.send_signal(signal.SIGTERM)
        told = _told(manager, "STOPPING=1")
        assert "STOPPING=1" in told
    process.communicate(timeout=PATIENCE)


def _told(manager, word):
    """Everything up to a message with that word."""
    texts = ""
    while word not in texts:
        texts += manager.recv(4096).decode() + "\n"
    return texts


def test_workers_do_not_know_the_service_managers_socket(home):
    home.write("app.js", "console.log(JSON.stringify(Object.keys(process.env)));" + IDLE)
    home.start("app.js", "-n", "a", env={"NOTIFY_SOCKET": "/nonexistent", "LISTEN_FDS": "1"})
    until(lambda: "]" in home.log("a"), 10, "its line")
    assert "NOTIFY_SOCKET" not in home.log("a") and "LISTEN_FDS" not in home.log("a")


def test_a_home_of_somebody_else_is_refused(home, unprivileged):
    home.path.mkdir(mode=0o700)
    os.chown(home.path, 65534, 65534)
    result = home.cli("resurrect")
    assert result.code == 1 and result.err, str(result)
    os.chown(home.path, 0, 0)
    assert unprivileged


def test_memory_of_the_daemon(home):
    """At most 3 MB empty and with one app; a sanitizer needs more."""
    if "asan" in os.environ.get("BATON", ""):
        pytest.skip("a sanitizer needs more")
    home.begin()
    assert procfs.resident_kilobytes(home.daemon_pid()) <= 3 * 1024 + 512
    home.write("idle.js", IDLE)
    home.start("idle.js", "-n", "a")
    assert procfs.resident_kilobytes(home.daemon_pid()) <= 3 * 1024 + 512


def test_an_idle_daemon_does_nothing(home):
    """Over 5 s with 3 apps: 1 s an hour would be 1.4 ms; the kernel counts ticks of 10. It may not
    be idle yet when they are online, and whoever does something for nothing does it always."""
    home.write("idle.js", IDLE)
    home.start("idle.js", "-n", "a", "-i", "3")
    pid = home.daemon_pid()

    def spent():
        before = procfs.cpu_seconds(pid)
        time.sleep(5)
        return procfs.cpu_seconds(pid) - before

    until(lambda: spent() <= 0.03, 30, "5 s of rest")
