"""What the daemon remembers, and what happens when it dies."""
import concurrent.futures
import contextlib
import json
import shutil
import signal
import subprocess
import time

import pytest

from support import procfs
from support.clients import (Load, ask_more, get, open_socket, outcomes, read_reply, request_bytes)
from support.daemon import kill
from support.ports import free_port
from support.wait import PATIENCE, until


@pytest.fixture
def port():
    return free_port()


def kill_daemon(home):
    pid = home.signal_daemon(signal.SIGKILL)
    until(lambda: not procfs.alive(pid), 5, "its end")


def known(home):
    return [(one.name, one.status, one.env["NODE_APP_INSTANCE"]) for one in home.jlist()]


def test_workers_survive_the_daemon(home, port):
    """With pm2 every app dies within 20 ms, and the list is gone (#4798)."""
    home.start("graceful.js", "-n", "web", "-i", "2", port=port)
    before = home.pids("web")
    kept = [open_socket(port) for _ in range(8)]
    assert {ask_more(client, "/whoami").outcome for client in kept} == {"ok"}
    running = open_socket(port)
    running.sendall(request_bytes("/sleep/1000"))
    assert get(port).outcome == "ok"
    kill_daemon(home)
    assert read_reply(running).outcome == "ok"
    assert {ask_more(client, "/whoami").outcome for client in kept} == {"ok"}
    assert all(map(procfs.alive, before))
    for client in kept:
        client.close()
    home.begin()
    home.wait_status("web", "online", 2)
    assert get(port).outcome == "ok"
    until(lambda: not any(map(procfs.alive, before)), 20, "the end of those that were left behind")
    until(lambda: set(home.leftovers()) == {home.daemon_pid(), *home.pids("web")}, 20,
          lambda: home.leftovers())


def test_the_list_is_there_again(home, port):
    home.start("plain.js", "-n", "web", "-i", "2", port=port)
    home.write("idle.js", "require('net').createServer().listen(0)")
    home.start("idle.js", "-n", "job", "--namespace", "space", env={"GREETING": "hello"})
    home.start("idle.js", "-n", "gone", "-f")
    home.cli("delete", "gone").ok()
    home.start("idle.js", "-n", "resting", "-f")
    home.cli("stop", "resting").ok()
    home.cli("scale", "web", "3").ok()
    before = known(home)
    kill_daemon(home)
    home.begin()
    home.wait(lambda all_: len(all_) == 5 and all(one.status in ("online", "stopped")
                                                  for one in all_), 20)
    assert sorted(known(home)) == sorted(before)
    job = home.process("job")
    assert job.env["namespace"] == "space" and job.env["env"].get("GREETING") == "hello"


def test_a_daemon_that_ends_soon_after_a_crash_leaves_nobody(home):
    """It was told to end before it had got to the workers of the one before."""
    home.write("slow.js", "setTimeout(() => require('net').createServer().listen(0), 300);"
                          "setInterval(() => {}, 1000)")
    home.start("slow.js", "-n", "a", "-i", "3")
    before = home.pids("a")
    kill_daemon(home)
    home.cli("ls").ok()
    home.cli("kill").ok()
    assert not any(map(procfs.alive, before))
    assert home.leftovers() == []


def test_what_was_answered_survives_whatever_happens_next(home):
    """Killed as soon as a command has returned, and not waited for either: the next command meets
    one that is still dying."""
    home.write("idle.js", "require('net').createServer().listen(0)")
    for words, expected in ((["start", "idle.js", "-n", "a"], [("a", "online")]),
                            (["stop", "a"], [("a", "stopped")]),
                            (["start", "idle.js", "-n", "b", "-f"],
                             [("a", "stopped"), ("b", "online")]),
                            (["delete", "a"], [("b", "online")]),
                            (["restart", "b", "-n", "c"], [("c", "online")]),
                            (["delete", "all"], [])):
        home.cli(*words).ok()
        home.signal_daemon(signal.SIGKILL)
        home.cli("ping")
        home.cli("ls").ok()
        home.wait(lambda all_: sorted((one.name, one.status) for one in all_) == expected)


@pytest.mark.parametrize("words, left", [(("scale", "web", "2"), 2), (("delete", "1"), 2)],
                         ids=["scale", "delete"])
def test_an_app_that_lost_a_process_comes_back_as_it_was(home, words, left):
    """That the process is to end was saved long before it is forgotten, and is not enough."""
    home.write("slow.js", "require('net').createServer().listen(0);"
                          "process.on('SIGINT', () => setTimeout(process.exit, 300))")
    home.start("slow.js", "-n", "web", "-i", "3")
    home.cli(*words).ok()
    kill_daemon(home)
    home.begin()
    assert len(home.processes("web")) == left
    home.wait_status("web", "online", left)


@pytest.mark.parametrize("words", [["ls"], ["jlist"], ["describe", "a"], ["restart", "a"],
                                   ["logs", "a", "--nostream"]], ids=lambda words: words[0])
def test_the_next_command_whatever_it_is_knows_the_apps(home, words):
    """Workers that live on and a list that seems empty would be the worst of both."""
    home.write("idle.js", "require('net').createServer().listen(0); console.log('a works')")
    home.start("idle.js", "-n", "a")
    until(lambda: "a works" in home.log("a"), 10, "its output")
    kill_daemon(home)
    result = home.cli(*words).ok()
    assert "a" in result.out
    home.wait_status("a", "online")


def test_a_daemon_that_ends_in_order_takes_its_apps_with_it(home):
    home.write("idle.js", "require('net').createServer().listen(0)")
    home.start("idle.js", "-n", "a", "-i", "2")
    home.end_daemon(signal.SIGTERM)
    until(lambda: not home.leftovers(), 10, lambda: home.leftovers())
    assert not home.socket_path().exists()


def test_the_state_is_private(home):
    home.write("idle.js", "require('net').createServer().listen(0)")
    home.start("idle.js", "-n", "a", env={"SECRET": "word"})
    home.cli("save").ok()
    assert home.path.stat().st_mode & 0o777 == 0o700
    for path in home.path.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # one that was written has its name now
            mode = path.stat().st_mode & 0o777
            assert mode & 0o077 == 0, f"{path} {mode:o}"


def state_file(home):
    return home.path / "state.json"


def test_a_broken_state_is_replaced_by_the_one_before(home):
    home.write("idle.js", "require('net').createServer().listen(0)")
    home.start("idle.js", "-n", "a")
    home.start("idle.js", "-n", "b", "-f")
    until(lambda: state_file(home).with_suffix(".json.bak").exists(), 5, "a copy")
    kill_daemon(home)
    text = state_file(home).read_text()
    state_file(home).write_text(text[:len(text) // 2])
    home.begin()
    home.wait(lambda all_: "a" in {one.name for one in all_})


def test_a_state_that_cannot_be_read_is_not_overwritten(home):
    home.write("idle.js", "require('net').createServer().listen(0)")
    home.start("idle.js", "-n", "a")
    home.cli("save").ok()
    kill_daemon(home)
    for pid in home.leftovers():
        with contextlib.suppress(ProcessLookupError):
            kill(pid)
    for path in home.path.glob("state.json*"):
        path.write_text("{ broken")
    home.begin()
    home.wait_status("a", "online")


def test_a_list_that_is_lost_is_kept_aside_and_told(home):
    """An empty list alone would look as if nothing had ever run."""
    home.write("idle.js", "require('net').createServer().listen(0)")
    home.start("idle.js", "-n", "a")
    kill_daemon(home)
    for path in home.path.glob("state.json*"):
        path.write_text("{ broken")
    told = "[baton] what ran before is not known: "
    first = home.cli("list").ok()
    assert told in first.err and "state.json is broken in line 1" in first.err, str(first)
    assert told in home.cli("list").ok().err
    assert "state.json is broken in line 1" in home.daemon_log()
    home.start("idle.js", "-n", "b")
    home.cli("delete", "b").ok()
    assert told not in home.cli("list").ok().err
    home.start("idle.js", "-n", "b")
    assert told not in home.cli("list").ok().err
    kept = state_file(home).with_suffix(".json.broken")
    assert kept.read_text() == "{ broken"
    kill_daemon(home)
    assert [one.name for one in home.jlist()] == ["b"]
    assert kept.read_text() == "{ broken"


def test_save_does_not_replace_a_dump_by_nothing(home):
    home.write("idle.js", "require('net').createServer().listen(0)")
    home.start("idle.js", "-n", "a")
    home.cli("save").ok()
    home.cli("delete", "a").ok()
    home.cli("save")
    home.cli("resurrect").ok()
    home.wait_status("a", "online")


def test_the_state_is_whole_whenever_the_daemon_dies(home):
    """Killed in the middle of changes: what is there afterwards is one of the states in between."""
    home.write("idle.js", "require('net').createServer().listen(0)")
    home.start("idle.js", "-n", "a", "-i", "1")
    for delay in (0.005, 0.02, 0.05, 0.1):
        changing = home.start_aside("scale", "a", "4")
        time.sleep(delay)
        kill_daemon(home)
        changing.communicate(timeout=PATIENCE)
        for path in home.path.glob("state.json"):
            json.loads(path.read_text())
        home.begin()
        home.wait(lambda all_: all_ and all(one.status == "online" for one in all_), 20)
        assert 1 <= len(home.jlist()) <= 4
        home.cli("scale", "a", "1")
        home.wait_settled()
    until(lambda: len(home.leftovers()) == 2, 20, lambda: home.leftovers())


def test_the_next_command_comes_back_when_the_apps_serve(home, port):
    home.start("plain.js", "-n", "web", "-i", "2", port=port)
    kill_daemon(home)
    home.cli("ls").ok()
    assert get(port).outcome == "ok"
    assert [one.status for one in home.jlist()] == ["online", "online"]


def test_daemon_killed_again_and_again(home, port):
    home.start("plain.js", "-n", "web", "-i", "2", port=port)
    for _ in range(5):
        kill_daemon(home)
        home.begin()
        home.wait_status("web", "online", 2)
        until(lambda: get(port).outcome == "ok", 10, "an answer")
    until(lambda: set(home.leftovers()) == {home.daemon_pid(), *home.pids("web")}, 20,
          lambda: home.leftovers())


def test_many_first_commands_make_one_daemon(home):
    home.write("idle.js", "require('net').createServer().listen(0)")
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        results = list(pool.map(lambda number: home.cli("start", "idle.js", "-n", f"a{number}",
                                                        "-f"), range(10)))
    assert {result.code for result in results} == {0}, "\n".join(map(str, results))
    assert {one.name for one in home.jlist()} == {f"a{number}" for number in range(10)}
    until(lambda: len(home.leftovers()) == 11, 10, lambda: home.leftovers())


def test_update_keeps_the_apps(home, port):
    home.start("plain.js", "-n", "web", "-i", "2", port=port)
    before = home.daemon_pid()
    home.cli("update").ok()
    home.wait_status("web", "online", 2)
    assert home.daemon_pid() != before
    assert get(port).outcome == "ok"


def test_resurrect_under_load_starts_nothing_twice(home, port):
    home.start("plain.js", "-n", "web", "-i", "2", port=port)
    home.cli("save").ok()
    with Load(port, threads=4) as load:
        load.wait_more(50)
        home.cli("resurrect").ok()
        load.wait_more(50)
    assert outcomes(load.replies) == {"ok": len(load.replies)}
    assert len(home.jlist()) == 2


def test_startup_writes_a_unit_that_systemd_takes(home):
    """Into an image that lies in a directory, so that this machine's own is left alone."""
    image = home.root / "image"
    image.mkdir()
    home.cli("startup", "systemd", "--root", image).ok()
    (unit,) = (path for path in image.rglob("*.service") if not path.is_symlink())
    text = unit.read_text()
    assert "Type=notify" in text and str(home.path) in text
    if shutil.which("systemd-analyze"):
        checked = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True,
                                 text=True, check=False)
        assert "Unknown" not in checked.stderr, checked.stderr
    home.cli("unstartup", "systemd", "--root", image).ok()
    assert not list(image.rglob("*.service"))
