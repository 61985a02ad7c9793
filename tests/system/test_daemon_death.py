"""What becomes of the workers, and of what they have started, when it is the daemon that dies."""
import os
import signal
import subprocess
import time

import pytest

from support import procfs
from support.background import (PYTHON, app, background, command_line, gone,  # noqa: F401
                                kill_daemon, start)
from support.clients import ask_more, get, open_socket, read_reply, request_bytes
from support.daemon import kill
from support.ports import free_port
from support.wait import until


@pytest.fixture
def port():
    return free_port()


def is_as_new(home, count=2):
    """The daemon and its workers, and nothing of before."""
    expected = {home.daemon_pid(), *home.pids("a")}
    until(lambda: set(home.leftovers()) - set(background(home)) == expected and
          len(background(home)) == count, 20, lambda: (home.leftovers(), expected))


@pytest.mark.parametrize("deaf", [False, True], ids=["hears", "deaf"])
def test_the_next_daemon_ends_what_is_in_the_background(home, app, port, deaf):
    before = start(home, app, port, deaf=deaf)
    kill_daemon(home)
    assert all(map(procfs.alive, before))
    home.begin()
    home.wait_status("a", "online", 2)
    gone(before)
    is_as_new(home)
    files = home.path / "workers"
    until(lambda: len(os.listdir(files)) in (0, 2), 10, lambda: os.listdir(files))


def test_the_next_daemon_ends_what_a_dead_worker_left(home, app, port):
    """The worker dies when nobody is there to end what it started."""
    before = start(home, app, port)
    workers = home.pids("a")
    kill_daemon(home)
    for pid in workers:
        kill(pid)
    assert all(map(procfs.alive, before))
    home.begin()
    home.wait_status("a", "online", 2)
    gone(before)


@pytest.mark.parametrize("flags", [[], ["--intercept", "seccomp"]], ids=["usual", "seccomp"])
def test_connected_clients_are_served_on(home, app, port, flags):
    if flags and app == "app.js":
        pytest.skip("seccomp is for other programs")
    home.start(app, "-n", "a", "-i", "2", *flags, port=port)
    kept = [open_socket(port) for _ in range(8)]
    assert {ask_more(client, "/").outcome for client in kept} == {"ok"}
    running = open_socket(port)
    running.sendall(request_bytes("/sleep"))
    until((home.work / "asleep").exists, 10, "the worker to have it")
    kill_daemon(home)
    assert read_reply(running).outcome == "ok"
    assert {ask_more(client, "/").outcome for client in kept} == {"ok"}
    for client in [*kept, running]:
        client.close()
    home.begin()
    is_as_new(home, 0)


def test_they_are_not_ended_before_the_others_serve(home, port):
    """Each takes a second to listen, and those of before answer meanwhile."""
    home.write("app.py", PYTHON.replace("class Handler", "time.sleep(1)\nclass Handler", 1))
    home.start("app.py", "-n", "a", "-i", "1", "--listen-timeout", "30000", port=port)
    client = open_socket(port)
    assert ask_more(client, "/").outcome == "ok"
    before = home.pids("a")
    kill_daemon(home)
    home.begin()
    while ask_more(client, "/").outcome == "ok":
        time.sleep(0.05)
    assert home.process("a").status == "online"
    gone(before)


def test_a_worker_that_drains_is_found_too(home, port):
    """It has been replaced, and still answers somebody when the daemon dies."""
    home.start("graceful.js", "-n", "a", "-i", "1", "--kill-timeout", "8000", port=port)
    (old,) = home.pids("a")
    client = open_socket(port)
    client.sendall(request_bytes("/sleep/60000"))
    assert get(port).outcome == "ok"
    home.start_aside("reload", "a")
    until(lambda: home.pids("a") not in ([old], [0]), 10, lambda: home.jlist())
    assert procfs.alive(old)
    kill_daemon(home)
    home.begin()
    home.wait_status("a", "online", 1)
    gone([old])


def test_the_end_of_the_next_daemon_is_theirs_too(home, port):
    """Told to end before it has ended them, it does so."""
    home.write("app.py", PYTHON.replace("class Handler", "time.sleep(1)\nclass Handler", 1))
    home.start("app.py", "-n", "a", "-i", "1", "--listen-timeout", "30000", port=port)
    before = home.pids("a")
    kill_daemon(home)
    home.start_aside("resurrect")
    until(home.daemon_pid, 10, "the next daemon")
    until(lambda: home.cli("kill").code == 0 and not home.daemon_pid(), 10, "its end")
    assert not any(map(procfs.alive, before))


@pytest.mark.parametrize("deaf", [False, True], ids=["heeds its signal", "ignores its signal"])
def test_kill_ends_what_a_dead_daemon_left(home, deaf):
    """And starts nothing for that, not even for a moment."""
    home.write("app.sh", ("trap '' INT TERM\n" if deaf else "") +
               "echo begun >>begun\nwhile :; do sleep 0.1; done\n")
    home.start("app.sh", "-n", "a", "-i", "2", "-x", "--kill-timeout", "200")
    before = home.pids("a")
    begun = home.work / "begun"
    until(lambda: begun.exists() and begun.read_text().count("begun") == 2, 10, "both")
    kill_daemon(home)
    home.cli("kill").ok()
    assert not any(map(procfs.alive, before)) and not home.daemon_pid()
    assert begun.read_text().count("begun") == 2
    assert "No daemon runs" in home.cli("kill").ok().out
    assert home.jlist() == []


def test_who_cannot_print_can_still_end_in_order(home, port):
    """Nobody reads its output after the daemon's death until the next one does."""
    home.write("app.js", """
process.on('SIGINT', () => {
  console.log('x'.repeat(300000));
  require('fs').writeFileSync('ended', '');
  process.exit();
});
require('http').createServer((q, r) => r.end('{}')).listen(process.env.PORT);""")
    home.start("app.js", "-n", "a", "-i", "1", "--kill-timeout", "10000",
               "--listen-timeout", "30000", port=port)
    before = home.pids("a")
    kill_daemon(home)
    home.begin()
    gone(before)
    assert (home.work / "ended").exists()


def test_a_daemon_that_dies_while_it_starts_a_worker(home):
    """The worker is known although nobody lived to note it."""
    if subprocess.run(["strace", "-o", "/dev/null", "true"], check=False).returncode:
        pytest.skip("strace may not trace here")
    home.write("app.py", "import time\ntime.sleep(1000)\n")
    home.begin()
    daemon = home.daemon_pid()
    tracer = subprocess.Popen(
        ["strace", "-f", "-qq", "-o", "/dev/null", "-p", str(daemon), "-e", "trace=setsid",
         "-e", "inject=setsid:delay_enter=1000000"], stderr=subprocess.PIPE)
    until(lambda: procfs.tracer(daemon) != 0, 10, "strace at work")
    starting = home.start_aside("start", "app.py", "-n", "a", "--interpreter", "python3")
    until(lambda: procfs.children(daemon), 10, "a child")
    (child,) = procfs.children(daemon)
    os.kill(daemon, signal.SIGKILL)
    until(lambda: not procfs.alive(daemon), 5, "its end")
    starting.communicate(timeout=40)
    home.begin()  # waits for the child, which has the lock as well until it is the program
    assert b"app.py" in command_line(child) or not procfs.alive(child)
    tracer.terminate()
    tracer.wait()
    gone([child])
