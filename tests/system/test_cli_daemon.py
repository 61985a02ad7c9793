"""How commands start the daemon and end it."""
import json
import os
import signal
import stat

from support import procfs
from support.wait import until

PRINTS = "console.log('it runs'); setInterval(() => {}, 1000)"


def test_the_first_command_that_needs_it_starts_it(home):
    home.write("app.js", PRINTS)
    home.cli("list").ok()
    assert not home.daemon_pid()
    out = home.cli("start", "app.js", "-x").ok().out
    assert str(home.path) in out and "online" in out
    pid = home.daemon_pid()
    assert pid and stat.S_IMODE(os.stat(home.socket_path()).st_mode) == 0o600
    assert os.getsid(pid) == pid, "a session of its own"
    assert str(home.path) not in home.cli("restart", "app").ok().out, "it was there"
    assert home.daemon_pid() == pid


def test_many_commands_at_once_start_one(home):
    home.write("app.js", PRINTS)
    commands = [home.start_aside("start", "app.js", "-x", "-n", f"app-{i}", "-f") for i in range(6)]
    for command in commands:
        out, err = command.communicate(timeout=40)
        assert command.returncode == 0, (out, err)
    assert len({one.name for one in home.jlist()}) == 6
    assert home.daemon_log().count("serves") == 1


def test_a_daemon_that_cannot_begin_says_why(home):
    home.write("app.js", PRINTS)
    home.path.write_text("a file where the home should be")
    result = home.cli("start", "app.js").failed()
    assert len(result.err.strip().splitlines()) == 1 and str(home.path) in result.err


def test_kill_returns_when_it_is_gone(home):
    home.write("app.js", PRINTS)
    home.cli("start", "app.js", "-x").ok()
    pids = [home.daemon_pid(), home.process("app").pid]
    home.cli("kill").ok()
    assert not any(procfs.alive(pid) for pid in pids)
    assert home.jlist() == []
    home.cli("start", "app.js", "-x").ok()
    assert home.daemon_pid() not in pids


def test_the_command_becomes_the_daemon(home):
    home.write("app.js", PRINTS)
    with home.following("start", "app.js", "-x", "--no-daemon") as output:
        until(lambda: "0|app  | it runs" in output.text(), 20, "what the app prints")
        home.cli("start", "app.js", "--no-daemon").failed()
        assert home.end_daemon(signal.SIGINT)


def test_its_process_is_the_daemon_s(home):
    home.write("app.js", PRINTS)
    command = home.start_aside("start", "app.js", "-x", "--no-daemon")
    until(lambda: home.daemon_pid() == command.pid, 20, "the daemon")
    home.wait_status("app", "online")
    # A start that has no answer yet when the daemon is told to end has failed.
    assert any(line.startswith("└") for line in command.stdout)
    command.send_signal(signal.SIGINT)
    command.communicate(timeout=40)
    assert command.returncode == 0


def test_jlist_is_what_the_api_says(home):
    home.write("app.js", PRINTS)
    home.cli("start", "app.js", "-x").ok()
    _, answer = home.api("GET", "/v1/processes")
    (entry,) = json.loads(home.cli("jlist").ok().out)
    assert entry["pm2_env"]["created_at"] == answer[0]["pm2_env"]["created_at"]
    assert entry["pm2_env"]["env"] == answer[0]["pm2_env"]["env"]
