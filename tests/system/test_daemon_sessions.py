"""Everything that a worker has started ends with it, however it went away; and what becomes of the
workers when it is the daemon that dies."""
import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest

from support import procfs
from support.clients import ask_more, get, open_socket, read_reply, request_bytes
from support.daemon import kill
from support.ports import free_port
from support.primary import APPS
from support.wait import until

# Both serve at PORT, /sleep answers after a second, and start what ARGS say at first.
PYTHON = """
import http.server, os, subprocess, sys, time
if sys.argv[1:]:
    subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        time.sleep(1 if "sleep" in self.path else 0)
        body = b'{"pid": %d}' % os.getpid()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        print("asked", flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
NODE = """
if (process.argv.length > 2)
  require('child_process').spawn(process.argv[2], process.argv.slice(3),
                                 { stdio: 'ignore', detached: true });
require('http').createServer((request, response) => {
  console.log('asked');
  setTimeout(() => response.end(JSON.stringify({ pid: process.pid })),
             request.url.includes('sleep') ? 1000 : 0);
}).listen(process.env.PORT);
"""


@pytest.fixture
def port():
    return free_port()


@pytest.fixture(params=["python", "node"])
def app(request, home):
    """The file's name."""
    name, text = {"python": ("app.py", PYTHON), "node": ("app.js", NODE)}[request.param]
    home.write(name, text)
    shutil.copy(APPS / "background.py", home.work)
    return name


def background(home):
    """The processes that have put themselves in the background: who led their session is gone."""
    sessions = {pid: procfs.session(pid) for pid in home.leftovers()}
    return [pid for pid, session in sessions.items() if session and not procfs.alive(session)]


def command_line(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""


def start(home, app, port, *flags, count=2, deaf=False):
    """As many workers, each with a process in the background."""
    home.start(app, "-n", "a", "-i", count, "--kill-timeout", "400", *flags, "--",
               "python3", "background.py", *(["deaf"] if deaf else []), port=port)
    until(lambda: len(background(home)) == count, 10, lambda: home.leftovers())
    return background(home)


def gone(pids):
    until(lambda: not any(map(procfs.alive, pids)), 15, lambda: pids)


@pytest.mark.parametrize("deaf", [False, True], ids=["hears", "deaf"])
def test_stop_ends_what_is_in_the_background(home, app, port, deaf):
    """pm2 leaves it, and the port that it has inherited stays taken (#6084)."""
    started = start(home, app, port, deaf=deaf)
    home.cli("stop", "a").ok()
    assert not any(map(procfs.alive, started))
    assert home.leftovers() == [home.daemon_pid()]


def test_the_killed_worker_takes_its_own_with_it_and_no_other(home, app, port):
    before = set(start(home, app, port))
    kill(home.pids("a")[0])
    until(lambda: len(before & set(background(home))) == 1, 10, lambda: home.leftovers())
    until(lambda: len(background(home)) == 2, 10, lambda: home.leftovers())
    home.wait_status("a", "online", 2)


def test_reload_ends_what_the_old_workers_started(home, app, port):
    before = start(home, app, port)
    home.cli("reload", "a").ok()
    gone(before)
    until(lambda: len(background(home)) == 2, 10, lambda: home.leftovers())
    assert get(port).outcome == "ok"


@pytest.mark.parametrize("words", [["delete", "a"], ["kill"]], ids=lambda words: words[0])
def test_nothing_is_left(home, app, port, words):
    start(home, app, port)
    home.cli(*words).ok()
    until(lambda: not set(home.leftovers()) - {home.daemon_pid()}, 10, lambda: home.leftovers())


def test_no_treekill_leaves_it(home, app, port):
    (pid,) = start(home, app, port, "--no-treekill", count=1)
    home.cli("delete", "a").ok()
    assert procfs.alive(pid)
    kill(pid)


def test_without_the_token_it_is_nobodys(home, port):
    """As the manual says: for what is meant to outlive its worker."""
    home.write("app.py", PYTHON)
    shutil.copy(APPS / "background.py", home.work)
    home.start("app.py", "-n", "a", "-i", "1", "--", "env", "-u", "BATON_TOKEN", "python3",
               "background.py", port=port)
    until(lambda: background(home), 10, lambda: home.leftovers())
    (pid,) = background(home)
    home.cli("delete", "a").ok()
    assert procfs.alive(pid)
    kill(pid)


def test_another_daemon_that_a_worker_started_is_nobodys(home, port):
    """A worker that deploys with `baton start` does not take the apps with it when it ends."""
    other = home.root / "other"
    home.write("idle.js", "require('net').createServer().listen(0)")
    home.write("app.py", PYTHON)
    home.start("app.py", "-n", "a", "-i", "1", "--", "env", f"{home.variable}={other}",
               *home.command, "start", str(home.work / "idle.js"), port=port)

    def its_daemon():
        files = list(other.glob("*.pid"))
        return int(files[0].read_text() or 0) if files else 0

    until(lambda: its_daemon() and "online" in home.cli(
        "list", env={home.variable: str(other)}).out, 15, lambda: home.leftovers())
    home.cli("delete", "a").ok()
    assert procfs.alive(its_daemon())
    home.cli("kill", env={home.variable: str(other)}).ok()


# The daemon dies.

def kill_daemon(home):
    pid = home.signal_daemon(signal.SIGKILL)
    until(lambda: not procfs.alive(pid), 5, "its end")


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
    assert not os.listdir(home.path / "workers") or len(os.listdir(home.path / "workers")) == 2


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
    assert get(port).outcome == "ok"
    kill_daemon(home)
    assert read_reply(running).outcome == "ok"
    assert {ask_more(client, "/").outcome for client in kept} == {"ok"}
    for client in [*kept, running]:
        client.close()
    home.begin()
    is_as_new(home, 0)


def test_they_are_not_ended_before_the_others_serve(home, port):
    """Each takes two seconds to listen, and those of before answer meanwhile."""
    home.write("app.py", PYTHON.replace("class Handler", "time.sleep(2)\nclass Handler", 1))
    home.start("app.py", "-n", "a", "-i", "1", port=port)
    client = open_socket(port)
    assert ask_more(client, "/").outcome == "ok"
    before = home.pids("a")
    kill_daemon(home)
    home.begin()
    while home.process("a").status != "online":
        assert ask_more(client, "/").outcome == "ok"
        time.sleep(0.05)
    gone(before)


def test_a_worker_that_drains_is_found_too(home, port):
    """It has been replaced, and still answers somebody when the daemon dies."""
    home.start("graceful.js", "-n", "a", "-i", "1", port=port)
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


def test_who_cannot_print_can_still_end_in_order(home, port):
    """Nobody reads its output after the daemon's death until the next one does."""
    home.write("app.js", """
process.on('SIGINT', () => {
  console.log('x'.repeat(300000));
  require('fs').writeFileSync('ended', '');
  process.exit();
});
require('http').createServer((q, r) => r.end('{}')).listen(process.env.PORT);""")
    home.start("app.js", "-n", "a", "-i", "1", "--kill-timeout", "10000", port=port)
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
    starting.communicate(timeout=20)
    until(lambda: b"app.py" in command_line(child), 10, "the worker's program")
    tracer.terminate()
    tracer.wait()
    home.begin()
    gone([child])


def test_numbers_belong_to_slots(home, port):
    """pm2 gives a worker another number after a restart (#4502)."""
    home.write("app.js", """
const fs = require('fs');
fs.appendFileSync('seen', `${process.env.NODE_APP_INSTANCE} ${process.env.PLACE} ` +
                          `${process.env.BASE} ${process.pid}\\n`);
require('http').createServer((q, r) => r.end('{}')).listen(process.env.PORT);""")
    home.write("a.config.js", "module.exports = {name: 'a', script: 'app.js', instances: 3, "
               f"env: {{BASE: 5000, PORT: {port}}}, increment_var: 'BASE'}}")

    def numbers():
        lines = [line.split() for line in (home.work / "seen").read_text().splitlines()]
        living = {int(line[3]): line for line in lines if int(line[3]) in home.pids("a")}
        return sorted((int(line[0]), int(line[2])) for line in living.values())

    home.cli("start", "a.config.js").ok()
    three = [(0, 5000), (1, 5001), (2, 5002)]
    home.wait_status("a", "online", 3)
    assert numbers() == three
    for words in (["restart", "a"], ["reload", "a"]):
        home.cli(*words).ok()
        home.wait_status("a", "online", 3)
        assert numbers() == three
    kill(home.processes("a")[1].pid)
    until(lambda: numbers() == three, 10, numbers)
    home.cli("scale", "a", "1").ok()
    assert numbers() == three[:1]
    home.cli("scale", "a", "4").ok()
    home.wait_status("a", "online", 4)
    assert numbers() == [*three, (3, 5003)]


# In a control group of its own, as under systemd with Delegate=yes.

@pytest.fixture
def group(home):
    """A delegated group in which the daemon is."""
    mounts = [line.split() for line in pathlib.Path("/proc/self/mounts").read_text().splitlines()]
    own = [line[3:] for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines()
           if line.startswith("0::")]
    roots = [mount[1] for mount in mounts if mount[2] == "cgroup2"]
    if not own or not roots:
        pytest.skip("there is no cgroup of version 2")
    path = pathlib.Path(roots[0] + own[0]) / f"bt-{os.getpid()}"
    try:
        path.mkdir()
        os.setxattr(path, "user.delegate", b"1")
        enter = f"echo $$ > {path}/cgroup.procs && exec \"$@\""
        subprocess.run(["sh", "-c", enter, "-", *home.command, "resurrect"], check=True,
                       cwd=home.work, env=home.environment, stdout=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        shutil.rmtree(path, ignore_errors=True)
        pytest.skip("no group can be made and entered here")
    yield path
    home.end_daemon()
    until(lambda: not list(path.glob("baton-*")), 10, lambda: list(path.iterdir()))
    path.rmdir()


def start_hidden(home, port):
    """A worker with a process in the background that no environment and no session tells of."""
    home.write("app.py", PYTHON)
    shutil.copy(APPS / "background.py", home.work)
    home.start("app.py", "-n", "a", "-i", "1", "--kill-timeout", "400", "--", "env", "-u",
               "BATON_TOKEN", "python3", "background.py", port=port)
    until(lambda: background(home), 10, lambda: home.leftovers())
    return background(home)


def test_nothing_leaves_its_group(home, group, port):
    hidden = start_hidden(home, port)
    assert len(list(group.glob("baton-*"))) == 1
    home.cli("delete", "a").ok()
    assert not any(map(procfs.alive, hidden))
    assert not list(group.glob("baton-*"))


def test_the_next_daemon_sweeps_the_groups(home, group, port):
    hidden = start_hidden(home, port)
    kill_daemon(home)
    for pid in home.leftovers():
        if pid not in hidden:
            kill(pid)
    subprocess.run(["sh", "-c", f"echo $$ > {group}/cgroup.procs && exec \"$@\"", "-",
                    *home.command, "resurrect"], check=True, cwd=home.work, env=home.environment,
                   stdout=subprocess.DEVNULL)
    gone(hidden)
    home.wait_status("a", "online", 1)
