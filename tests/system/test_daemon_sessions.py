"""Everything that a worker has started ends with it, however it went away."""
import contextlib
import os
import pathlib
import shutil
import subprocess

import pytest

from support import procfs
from support.background import PYTHON, app, background, gone, kill_daemon, start  # noqa: F401
from support.clients import get
from support.daemon import kill
from support.ports import free_port
from support.primary import APPS
from support.wait import until


@pytest.fixture
def port():
    return free_port()


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
    victim = home.processes("a")[1].pid
    kill(victim)
    until(lambda: victim not in home.pids("a") and numbers() == three, 10, numbers)
    home.wait_status("a", "online", 3)
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
    until(lambda: not (path / "cgroup.procs").read_text(), 10, "who still is in the group")
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
    for pid in set(home.leftovers()).difference(hidden):
        with contextlib.suppress(ProcessLookupError):
            kill(pid)
    subprocess.run(["sh", "-c", f"echo $$ > {group}/cgroup.procs && exec \"$@\"", "-",
                    *home.command, "resurrect"], check=True, cwd=home.work, env=home.environment,
                   stdout=subprocess.DEVNULL)
    gone(hidden)
    home.wait_status("a", "online", 1)
