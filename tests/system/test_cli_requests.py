"""What each command asks the daemon for, and what it makes of the answer: against a daemon that
only answers."""
import json
import os
import pathlib
import pty
import pwd
import re
import subprocess
import tempfile

import pytest

from support.fake_daemon import FakeDaemon
from support.primary import BATON
from support.terminal import read_terminal

ACTIONS = "/v1/actions/"


class Desk:
    """A home with such a daemon, and a directory to work in."""

    def __init__(self, root, daemon):
        self.root, self.daemon = root, daemon
        self.work = root / "work"
        self.work.mkdir()
        self.program = BATON

    def cli(self, *words, stdin=None, env=None):
        kept = {name: value for name, value in os.environ.items()
                if not name.startswith(("PM2_", "BATON_"))}
        return subprocess.run(
            [self.program, *words], capture_output=True, text=True, timeout=40, check=False,
            cwd=self.work, input=stdin, stdin=subprocess.DEVNULL if stdin is None else None,
            env={**kept, "BATON_HOME": str(self.root), "PM2_HOME": str(self.root), "LANG": "C.UTF-8",
                 "GREETING": "hello", **(env or {})})

    def ok(self, *words, **options):
        done = self.cli(*words, **options)
        assert done.returncode == 0, (done.stdout, done.stderr)
        return done

    def failed(self, *words, **options):
        done = self.cli(*words, **options)
        assert done.returncode == 1 and done.stderr, (done.returncode, done.stdout, done.stderr)
        assert len(done.stderr.splitlines()) == 1, done.stderr
        return done

    def asked(self):
        """The one action that there was."""
        (action,) = self.daemon.actions
        self.daemon.actions.clear()
        return action

    def write(self, name, text):
        path = self.work / name
        path.write_text(text if isinstance(text, str) else json.dumps(text))
        return path


@pytest.fixture
def desk():
    with tempfile.TemporaryDirectory(prefix="bt-", dir="/tmp") as root:
        root = pathlib.Path(root)
        with FakeDaemon(root / "control.sock") as daemon:
            yield Desk(root, daemon)


@pytest.fixture
def pm2(desk):
    """The same by the name pm2."""
    desk.program = desk.root / "pm2"
    desk.program.symlink_to(BATON)
    return desk


# --- actions ---

@pytest.mark.parametrize("command, action", [
    ("stop", "stop"), ("restart", "restart"), ("reload", "reload"), ("delete", "delete"),
    ("del", "delete"), ("reset", "reset")])
@pytest.mark.parametrize("targets", [["api"], ["0"], ["all"], ["/^a/"], ["api", "5"], ["default"]])
def test_an_action_on_targets(desk, command, action, targets):
    done = desk.ok(command, *targets)
    assert desk.asked() == (ACTIONS + action, {"targets": targets})
    assert f"on app [{' '.join(targets)}](ids: [ 0, 1" in done.stdout or targets == ["0"]


@pytest.mark.parametrize("command", ["stop", "restart", "reload", "delete", "reset", "describe",
                                     "env"])
def test_an_unknown_target(desk, command):
    done = desk.failed(command, "nope")
    assert "nope" in done.stderr and not desk.daemon.actions


def test_a_daemon_of_another_version_is_named(desk):
    """Nothing fails of it; `update` is what replaces it."""
    assert desk.ok("stop", "api").stderr == ""
    desk.daemon.version = "0.0.9"
    (line,) = desk.ok("stop", "api").stderr.splitlines()
    assert "0.0.9" in line and "baton update" in line


@pytest.mark.parametrize("command", ["stop", "restart", "delete"])
def test_all_of_nothing(desk, command):
    desk.daemon.processes = []
    assert "No process found" in desk.failed(command, "all").stderr


@pytest.mark.parametrize("command", [
    "stop", "restart", "reload", "delete", "scale", "describe", "reset", "env", "id", "sendSignal",
    "send", "attach", "validate", "startOrRestart", "startOrReload"])
def test_a_target_is_needed(desk, command):
    desk.failed(command)
    assert not desk.daemon.actions


def test_the_environment_is_renewed_when_asked_for(desk):
    desk.ok("restart", "api", "--update-env")
    path, body = desk.asked()
    assert path == ACTIONS + "restart" and body["env"]["GREETING"] == "hello"


@pytest.mark.parametrize("words, instances", [(["api", "6"], 6), (["api", "+2"], "+2"),
                                              (["api", "-1"], "-1")])
def test_scale(desk, words, instances):
    desk.ok("scale", *words)
    assert desk.asked() == (ACTIONS + "scale", {"targets": ["api"], "instances": instances})


@pytest.mark.parametrize("words, sentence", [(["api", "4"], "Nothing to do"),
                                             (["api", "+0"], "Nothing to do"), (["api", "x"], "'x'"),
                                             (["nope", "2"], "nope"), (["api"], "number"),
                                             (["api", "0"], "at least one"),
                                             (["api", "-4"], "at least one")])
def test_scale_that_cannot_be(desk, words, sentence):
    assert sentence in desk.failed("scale", *words).stderr
    assert not desk.daemon.actions


def test_a_signal_and_a_line(desk):
    desk.ok("sendSignal", "SIGUSR2", "api")
    assert desk.asked() == (ACTIONS + "signal", {"targets": ["api"], "signal": "SIGUSR2"})
    desk.ok("send", "0", "reload now")
    assert desk.asked() == (ACTIONS + "send", {"targets": ["0"], "line": "reload now"})


def test_what_went_wrong_is_shown(desk):
    desk.daemon.answers[ACTIONS + "reload"] = {
        "processes": [{"pm_id": 0, "name": "api"}, {"pm_id": 1, "name": "api"}], "warnings": [],
        "failed": [{"pm_id": 1, "name": "api", "reason": "exited with code 3",
                    "output": ["cannot find \x1b[31mconfig"]}]}
    done = desk.cli("reload", "api")
    assert done.returncode == 1
    assert "[api](0) ✓" in done.stdout and "[api](1) ✓" not in done.stdout
    assert "[api](1) exited with code 3" in done.stderr
    assert "cannot find" in done.stderr and "\x1b" not in done.stderr


def test_what_was_deleted_is_named(desk):
    """It is in no answer any more."""
    assert "[api](3) ✓" in desk.ok("delete", "api").stdout


def test_an_error_is_one_sentence(desk):
    desk.daemon.failure = (409, "busy", "api is being reloaded")
    assert "api is being reloaded" in desk.failed("restart", "api").stderr


def test_silent(desk):
    assert desk.ok("restart", "api", "-s").stdout == ""
    assert desk.ok("-s", "restart", "api").stdout == ""


def test_the_list_follows_an_action(desk):
    assert "wörker-日本" in desk.ok("stop", "api").stdout


def test_progress_is_shown_on_a_terminal(desk):
    desk.daemon.progress = [{"done": 1, "of": 4, "pm_id": 0, "name": "api", "status": "online"}]
    terminal, other = pty.openpty()
    process = subprocess.Popen([BATON, "reload", "api"], stdin=subprocess.DEVNULL, cwd=desk.work,
                               stdout=subprocess.DEVNULL, stderr=other,
                               env={**os.environ, "BATON_HOME": str(desk.root)})
    os.close(other)
    assert process.wait(40) == 0
    assert b"1/4" in read_terminal(terminal)


# --- start ---

def started(desk, known="refuse"):
    path, body = desk.asked()
    assert (path, body["known"]) == ("/v1/apps", known)
    return body["apps"]


def test_start_a_script(desk):
    desk.write("web.js", "")
    done = desk.ok("start", "web.js", "-i", "2", "-n", "web", "--max-memory-restart", "200M",
                   "--no-autorestart", "--", "-l", "--port=1")
    (app,) = started(desk)
    assert f"Starting {desk.work}/web.js in cluster_mode (2 instances)" in done.stdout
    assert app.pop("environment")["GREETING"] == "hello"
    assert app == {"script": f"{desk.work}/web.js", "cwd": str(desk.work), "args": ["-l", "--port=1"],
                   "instances": "2", "name": "web", "max_memory_restart": "200M",
                   "autorestart": False}


@pytest.mark.parametrize("flags, mode", [([], "fork"), (["-i", "1"], "cluster"), (["-x"], "fork"),
                                         (["--policy", "rr"], "cluster")])
def test_fork_mode_unless_asked(desk, flags, mode):
    desk.write("web.js", "")
    out = desk.ok("start", "web.js", *flags).stdout
    assert f"web.js in {mode}_mode (1 instance)" in out


def test_start_a_script_again(desk):
    desk.write("web.js", "")
    desk.daemon.failure = (409, "exists", "web runs already")
    assert "-f" in desk.failed("start", "web.js").stderr
    desk.daemon.actions.clear()
    desk.daemon.failure = None
    desk.ok("start", "web.js", "-f")
    started(desk, "duplicate")


def test_start_a_command_line(desk):
    desk.ok("start", "sleep 1000")
    (app,) = started(desk)
    assert (app["script"], "args" in app) == ("sleep 1000", False)


def test_start_a_command_of_the_path(desk):
    desk.ok("start", "ls", "--", "-l")
    (app,) = started(desk)
    assert pathlib.Path(app["script"]).is_absolute() and app["script"].endswith("/ls")
    assert app["args"] == ["-l"]


@pytest.mark.parametrize("words", [["missing.js"], ["no-such-command"], ["web.js", "-i", "two"],
                                   ["web.js", "--kill-timeout", "-1"], ["web.js", "--nope"],
                                   ["web.js", "--policy", "nope"], ["web.js", "--cron-restart", "x"],
                                   ["missing.json"], [], ["web.js", "-o"]])
def test_start_of_what_cannot_be(desk, words):
    desk.write("web.js", "")
    desk.failed("start", *words)
    assert not desk.daemon.actions


@pytest.mark.parametrize("target, action", [("mailer", "restart"), ("api", "restart"),
                                            ("broken", "start"), ("6", "start"), ("all", "restart")])
def test_start_of_what_is_known(desk, target, action):
    desk.ok("start", target)
    assert desk.asked() == (ACTIONS + action, {"targets": [target]})


def test_a_file_is_meant_before_a_name(desk):
    desk.write("api", "#!/bin/sh\n").chmod(0o755)
    desk.ok("start", "api")
    assert started(desk)[0]["script"] == f"{desk.work}/api"


TWO = {"apps": [{"name": "one", "script": "web.js", "env": {"A": "1"}, "env_big": {"A": "2"}},
                {"name": "two", "script": "web.js", "maxRestarts": 3}]}


def test_a_process_file(desk):
    desk.write("web.js", "")
    desk.write("two.json", TWO)
    desk.ok("start", "two.json", "--env", "big")
    one, two = started(desk, "restart")
    assert (one["env"], one["cwd"], two["max_restarts"]) == ({"A": "2"}, str(desk.work), 3)
    assert one["environment"]["GREETING"] == two["environment"]["GREETING"] == "hello"
    assert "env_big" not in one


@pytest.mark.parametrize("words, known", [
    (["restart", "two.json"], "restart"), (["reload", "two.json"], "reload"),
    (["startOrRestart", "two.json"], "restart"), (["startOrReload", "two.json"], "reload")])
def test_what_is_done_with_a_process_file(desk, words, known):
    desk.write("web.js", "")
    desk.write("two.json", TWO)
    desk.ok(*words, "--only", "two")
    assert [app["name"] for app in started(desk, known)] == ["two"]


def test_only_what_is_there(desk):
    desk.write("two.json", TWO)
    assert "three" in desk.failed("start", "two.json", "--only", "three").stderr


def test_the_default_file(desk):
    desk.write("web.js", "")
    desk.write("ecosystem.config.js", f"module.exports = {json.dumps(TWO)}")
    desk.ok("start")
    assert [app["name"] for app in started(desk, "restart")] == ["one", "two"]


def test_apps_on_standard_input(desk):
    desk.ok("start", "-", stdin="{apps: [{name: 'three', script: 'sleep 7'}]} // as people write it")
    (app,) = started(desk, "restart")
    assert (app["name"], app["script"]) == ("three", "sleep 7")


def test_the_apps_of_a_file_as_targets(desk):
    desk.write("some.json", [{"name": "api", "script": "a.js"}, {"name": "new", "script": "b.js"}])
    done = desk.ok("stop", "some.json")
    assert desk.asked() == (ACTIONS + "stop", {"targets": ["api"]})
    assert "new" in done.stderr


@pytest.mark.parametrize("text", ["{", '{"apps": 1}', ""])
def test_a_file_that_is_none(desk, text):
    desk.write("bad.json", text)
    assert "bad.json" in desk.failed("start", "bad.json").stderr
    assert not desk.daemon.actions


# --- reading ---

def test_jlist(desk):
    (line,) = desk.ok("jlist").stdout.splitlines()
    assert [one["pm_id"] for one in json.loads(line)] == list(range(8))
    desk.daemon.processes = []
    assert json.loads(desk.ok("jlist").stdout) == []


@pytest.mark.parametrize("words", [["list"], ["ls"], ["l"], ["ps"], ["status"],
                                   ["list", "--sort", "cpu:desc"], ["list", "-m"], ["prettylist"],
                                   ["describe", "api"], ["desc", "api"], ["info", "0"],
                                   ["show", "api"]])
def test_what_shows_processes(desk, words):
    assert "api" in desk.ok(*words).stdout


def test_pid_and_id(desk):
    assert desk.ok("pid", "api").stdout.split() == ["4000", "4001", "4002", "4003"]
    assert desk.ok("id", "api").stdout == "[ 0, 1, 2, 3 ]\n"
    assert desk.ok("id", "nope").stdout == "[]\n"
    assert desk.ok("pid", "nope").stdout.strip() == ""


def test_env(desk):
    assert "REGION: eu-1\n" in desk.ok("env", "0").stdout


def test_logs(desk):
    desk.daemon.history = [(0, "one"), (6, "two")]
    done = desk.ok("logs", "api", "mailer", "--nostream", "--lines", "3", "--err")
    assert desk.daemon.log_queries == [{"target": ["api", "mailer"], "lines": ["3"],
                                        "stream": ["err"]}]
    assert [line.split("|", 1)[0] for line in done.stdout.splitlines()] == ["0", "6"]
    assert desk.ok("logs", "--nostream", "--raw").stdout == "one\ntwo\n"
    assert desk.daemon.log_queries[1] == {"target": ["all"], "lines": ["15"]}
    lines = desk.ok("logs", "--nostream", "--json").stdout.splitlines()
    assert [json.loads(line)["message"] for line in lines] == ["one", "two"]


def test_logs_end_with_the_daemon(desk):
    """The stream is not to end: when it does, the daemon is gone."""
    assert "ended" in desk.failed("logs").stderr


def test_flush(desk):
    desk.ok("flush", "api")
    assert desk.asked() == (ACTIONS + "flush", {"targets": ["api"]})
    desk.ok("flush")
    assert desk.asked() == (ACTIONS + "flush", {"targets": ["all"]})
    desk.ok("flush", "nope")
    assert not desk.daemon.actions


@pytest.mark.parametrize("command, path", [("reloadLogs", "/v1/reopen-logs"),
                                           ("resurrect", "/v1/resurrect"),
                                           ("cleardump", "/v1/cleardump")])
def test_what_the_daemon_does(desk, command, path):
    desk.ok(command)
    assert desk.asked() == (path, {})


def test_save(desk):
    desk.ok("save")
    assert desk.asked() == ("/v1/save", {"force": False})
    desk.daemon.processes = []
    assert "--force" in desk.ok("save").stderr
    assert not desk.daemon.actions
    desk.ok("save", "--force")
    assert desk.asked() == ("/v1/save", {"force": True})


def test_ping_and_report(desk):
    assert "pong" in desk.ok("ping").stdout
    said = desk.ok("report").stdout
    assert str(desk.root) in said
    assert re.search(rf"^user +{re.escape(pwd.getpwuid(os.getuid()).pw_name)} \({os.getuid()}\)$",
                     said, re.MULTILINE), said


# --- the dialect ---

def test_pm2_says_it_so(pm2):
    out = pm2.ok("stop", "api").stdout
    assert "[PM2] Applying action stopProcessId on app [api](ids: [ 0, 1, 2, 3 ])\n" in out
    assert pm2.failed("stop", "nope").stderr == \
        "[PM2][ERROR] Process or Namespace nope not found\n"
    assert pm2.failed("scale", "api", "4").stderr == "[PM2][ERROR] Nothing to do\n"
    assert pm2.ok("ping").stdout == "{ msg: 'pong' }\n"


def test_pm2_is_silent_by_its_variable(pm2):
    silent = {"PM2_SILENT": "true"}
    assert pm2.ok("stop", "api", env=silent).stdout == ""
    assert "nope" in pm2.failed("stop", "nope", env=silent).stderr
    assert pm2.ok("jlist", env=silent).stdout.startswith("[{")


@pytest.mark.parametrize("value, words, parallel", [("3", [], 3), ("3", ["--parallel", "2"], 2),
                                                    ("x", [], None), ("", [], None)])
def test_pm2_concurrent_actions(pm2, value, words, parallel):
    pm2.ok("restart", "api", *words, env={"PM2_CONCURRENT_ACTIONS": value})
    assert pm2.asked()[1].get("parallel") == parallel


def test_pm2_serves_a_directory_as_an_app(pm2):
    pm2.ok("serve", ".", "8123", "-i", "2")
    (app,) = started(pm2)
    assert app["args"] == ["serve", str(pm2.work), "8123"]
    assert (app["name"], app["instances"]) == ("static-page-server-8123", "2")
    pm2.ok("serve", ".", "8124", "--spa")
    assert started(pm2)[0]["args"] == ["serve", str(pm2.work), "8124", "--spa"]
    pm2.failed("serve", "missing")
    pm2.failed("serve", ".", "70000")


def test_pm2_reads_its_own_home(pm2):
    pm2.ok("jlist", env={"BATON_HOME": "/nonexistent"})
    assert json.loads(pm2.ok("jlist", env={"PM2_HOME": "/nonexistent/home"}).stdout) == []
