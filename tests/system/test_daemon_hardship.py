"""What happens around the daemon: it is held up, short of descriptors or memory, its home is full,
read-only or gone, and it is killed in the middle of a save."""
import contextlib
import http.client
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import pytest

from support import procfs
from support.clients import Load, get, outcomes
from support.daemon import kill
from support.ports import free_port
from support.wait import PATIENCE, until

IDLE = "require('net').createServer().listen(0)"


def names_of(home):
    """Of the apps that are saved; nothing may be saved yet."""
    path = home.path / "state.json"
    entries = json.loads(path.read_text()) if path.exists() else []
    return {entry["description"]["name"] for entry in entries}


# Time.


def test_a_daemon_that_is_stopped_and_continued(home):
    """Workers go on meanwhile, but for new clients; those wait. Commands wait, too."""
    port = free_port()
    home.start("plain.js", "-n", "web", "-i", "2", port=port)
    pid = home.daemon_pid()
    before = [(one.pid, one.restarts) for one in home.processes("web")]
    os.kill(pid, signal.SIGSTOP)
    until(lambda: procfs.state(pid) == "T", 5, "its stop")
    asked = home.start_aside("jlist")
    assert get(port, timeout=1).outcome == "hung"
    time.sleep(2)
    assert asked.poll() is None
    os.kill(pid, signal.SIGCONT)
    asked.communicate(timeout=PATIENCE)
    assert asked.returncode == 0
    assert get(port).outcome == "ok"
    assert [(one.pid, one.restarts) for one in home.processes("web")] == before


# Descriptors.


@contextlib.contextmanager
def limited(home, **limits):
    """A daemon in the foreground with limits of its own."""
    def lower():
        for name, value in limits.items():
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))

    daemon = subprocess.Popen([*home.command, "daemon"], preexec_fn=lower, cwd=home.work,
                              env=home.environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: daemon.poll() is not None or home.daemon_pid() == daemon.pid
              and home.socket_path().exists(), 15, lambda: home.daemon_log())
        yield daemon
    finally:
        daemon.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            daemon.wait(PATIENCE)


@pytest.mark.parametrize("descriptors", [64, 110])
def test_more_apps_than_descriptors(home, descriptors):
    """Those that get none fail, with the reason; the others go on. With room again all is well."""
    home.write("idle.js", IDLE)
    apps = [{"name": f"a{number}", "script": "idle.js"} for number in range(20)]
    home.write("many.json", json.dumps(apps))
    with limited(home, NOFILE=descriptors) as daemon:
        result = home.cli("start", "many.json").failed()
        assert "too many open files" in result.err + result.out
        states = home.wait(lambda all_: all(
            one.status in ("online", "errored", "stopped") for one in all_), 20)
        if descriptors > 64:
            assert "online" in {one.status for one in states}
        home.cli("delete", "all")
        home.start("idle.js", "-n", "again", "-f")
        assert home.daemon_pid() == daemon.pid


def test_no_descriptor_for_a_client_is_not_asked_for_without_pause(home):
    """EMFILE at accept: the client waits, and the daemon sleeps meanwhile."""
    with limited(home, NOFILE=64) as daemon:
        clients = []
        with contextlib.ExitStack() as stack:
            for _ in range(100):
                client = stack.enter_context(socket.socket(socket.AF_UNIX))
                client.connect(str(home.socket_path()))
                clients.append(client)
            until(lambda: procfs.descriptors(daemon.pid) >= 60, 10,
                  lambda: procfs.descriptors(daemon.pid))
            before = procfs.cpu_seconds(daemon.pid)
            time.sleep(2)
            assert procfs.cpu_seconds(daemon.pid) - before <= 0.2
        assert home.cli("ping").code == 0


def test_little_memory(home):
    """A limit on addresses that leaves some MB: requests may be refused, but it lives."""
    if "asan" in os.environ.get("BATON", ""):
        pytest.skip("a sanitizer needs terabytes of addresses")
    home.write("idle.js", IDLE)
    with limited(home, AS=400 * 1024 * 1024) as daemon:
        resource.prlimit(daemon.pid, resource.RLIMIT_AS, (
            virtual_bytes(daemon.pid) + 4 * 1024 * 1024,) * 2)
        body = json.dumps({"targets": ["x" * 7_000_000]})
        for _ in range(3):
            with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
                home.api("POST", "/v1/actions/stop", body)
        assert daemon.poll() is None
        assert home.cli("jlist").code == 0


def virtual_bytes(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


# The home.


@contextlib.contextmanager
def mounted(path, *options):
    path.mkdir(parents=True, exist_ok=True)
    if os.getuid() != 0:
        pytest.skip("only root may mount")
    done = subprocess.run(["mount", *options, path], check=False, capture_output=True)
    if done.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", path], check=False)


def test_a_full_disk_under_the_home(home):
    """What was saved stays as it was, which is said; with room again it is saved."""
    with mounted(home.path, "-t", "tmpfs", "-o", "size=256k,mode=700", "none"):
        home.write("idle.js", IDLE)
        home.start("idle.js", "-n", "a")
        until(lambda: names_of(home) == {"a"}, 5, "the first state")
        filler = home.path / "filler"
        with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        home.cli("start", "idle.js", "-n", "b", "-f", "-o", "NULL", "-e", "NULL")
        home.wait(lambda all_: len(all_) == 2)
        assert names_of(home) in ({"a"}, {"a", "b"})
        assert home.cli("save").failed().err
        assert home.cli("ping").code == 0
        filler.unlink()
        home.cli("stop", "b").ok()
        until(lambda: names_of(home) == {"a", "b"}, 5, lambda: home.daemon_log())
        home.cli("save").ok()
        home.end_daemon()


def test_a_home_that_cannot_be_written_to(home):
    """Directories in the place of files stop everybody, root included."""
    home.write("idle.js", IDLE)
    home.start("idle.js", "-n", "a")
    until(lambda: names_of(home) == {"a"}, 5, "the first state")
    for name in ("state.json.new", "dump.json.new"):
        (home.path / name).mkdir()
    result = home.cli("save").failed()
    assert "dump.json" in result.err
    home.start("idle.js", "-n", "b", "-f")
    until(lambda: "cannot be saved" in home.daemon_log(), 5, "a sentence about it")
    assert names_of(home) == {"a"}
    for name in ("state.json.new", "dump.json.new"):
        (home.path / name).rmdir()
    home.cli("save").ok()
    home.cli("stop", "b").ok()
    until(lambda: names_of(home) == {"a", "b"}, 5, lambda: home.daemon_log())


def test_a_home_that_is_removed_beneath_it(home):
    """The daemon cannot be asked any more, but it serves, and commands say so; `kill` ends it, and
    then a command starts a new one."""
    port = free_port()
    home.start("plain.js", "-n", "web", "-i", "2", port=port)
    pid = home.daemon_pid()
    until(lambda: shutil.rmtree(home.path, ignore_errors=True) or not home.path.exists(), 5,
          "its removal")
    assert get(port).outcome == "ok"
    worker = max(set(procfs.children(pid)))
    kill(worker)
    until(lambda: get(port).outcome == "ok" and len(procfs.children(pid)) >= 2, 10, "a new worker")
    assert procfs.alive(pid)
    for words in (["list"], ["ping"], ["start", "plain.js"], ["stop", "web"]):
        said = home.cli(*words).failed()
        assert f"a daemon runs as process {pid}, but its home {home.path} was removed" in said.err
    workers = procfs.children(pid)
    assert "The daemon and its apps have ended" in home.cli("kill").ok().out
    assert not any(procfs.alive(one) for one in [pid, *workers])
    assert "No daemon runs" in home.cli("kill").ok().out
    home.begin()
    assert home.daemon_pid() != pid


def say_elsewhere(home, path, *words):
    """What a command says of the home at the path."""
    done = subprocess.run([*home.command, *words], env={**home.environment, "BATON_HOME": str(path)},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


def test_a_socket_whose_name_looks_like_a_line_of_the_table(home, monkeypatch):
    """Anybody may name a socket so; `kill` must not end the daemon that the forged line points to."""
    home.begin()
    pid = home.daemon_pid()
    own = str(home.path / "control.sock")
    with open("/proc/net/unix", errors="replace") as table:
        inode = next(line.split()[6] for line in table
                     if line.split()[3] == "00010000" and line.rstrip("\n").endswith(own))
    other = home.root / "o"
    monkeypatch.chdir(home.root)
    name = f"x\n0: 2 0 10000 1 1 {inode} {other}/control.sock"
    os.makedirs(os.path.dirname(name))
    with socket.socket(socket.AF_UNIX) as forged:
        forged.bind(name)
        assert "No daemon runs" in say_elsewhere(home, other, "kill")
    assert home.daemon_pid() == pid and procfs.alive(pid)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root sees the descriptors of other users")
def test_another_user_listens_under_the_name_of_a_removed_home(home):
    """Who is root must not be kept from starting a daemon by whoever calls himself one."""
    other = pathlib.Path(tempfile.mkdtemp(prefix="bt-"))
    other.chmod(0o777)
    other.joinpath("daemon").write_text(
        "import socket, sys\ns = socket.socket(socket.AF_UNIX)\n"
        "s.bind(sys.argv[1])\ns.listen()\nprint('up', flush=True)\nsys.stdin.read()\n")
    stranger = subprocess.Popen([sys.executable, "daemon", f"{other}/control.sock"], cwd=other,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, user=65534,
                                group=65534, extra_groups=[])
    try:
        assert stranger.stdout.readline() == b"up\n"
        shutil.rmtree(other)
        assert "No daemon runs" in say_elsewhere(home, other, "kill")
        assert stranger.poll() is None
    finally:
        stranger.communicate()
        shutil.rmtree(other, ignore_errors=True)


def test_a_home_that_cannot_be_made(home):
    home.path.parent.mkdir(exist_ok=True)
    home.path.write_text("a file")
    result = home.cli("start", "x.js").failed()
    assert str(home.path) in result.err
    home.path.unlink()


def test_the_apps_serve_after_each_kill(home):
    """Nothing is lost but the clients of the moment: workers are the next daemon's to replace."""
    port = free_port()
    home.start("plain.js", "-n", "web", "-i", "2", port=port)
    for _ in range(3):
        home.end_daemon(signal.SIGKILL)
        home.begin()
        home.wait_status("web", "online", 2)
    with Load(port, threads=2) as load:
        load.wait_more(50, 20)
    assert outcomes(load.replies) == {"ok": len(load.replies)}
