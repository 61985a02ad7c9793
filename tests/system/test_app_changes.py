"""Apps that are changed by the flags of a command on them, and how a description is completed."""
import json

import pytest

from support.primary import BATON
from support.wait import until


@pytest.fixture
def api(home):
    home.write("idle.sh", "echo \"$*\"; exec sleep 1000\n")
    home.cli("start", "idle.sh", "-n", "api").ok()
    return home


def test_flags_of_a_restart_change_the_app(api):
    api.cli("restart", "api", "--namespace", "other", "--no-autorestart", "-o", "out.txt").ok()
    env = api.process("api").env
    assert (env["namespace"], env["autorestart"]) == ("other", False)
    assert env["pm_out_log_path"] == str(api.work / "out.txt")
    api.cli("restart", "api").ok()
    assert api.process("api").env["namespace"] == "other"


def test_arguments_of_a_restart(api):
    api.cli("restart", "api", "--", "one", "two").ok()
    assert api.process("api").env["args"] == ["one", "two"]
    until(lambda: "one two" in api.log("api"), 10, lambda: api.log("api"))


@pytest.mark.parametrize("command", ["restart", "reload"])
def test_another_name(api, command):
    done = api.cli(command, "api", "-n", "renamed").ok()
    assert "[renamed](0)" in done.out
    assert api.process("renamed").id == 0
    assert not list(api.path.glob("pids/api-*"))
    assert (api.path / "pids/renamed-0.pid").read_text().strip() == str(api.pids("renamed")[0])
    api.cli("stop", "renamed").ok()
    assert not list(api.path.glob("pids/*"))


def test_a_name_belongs_to_one_app(api):
    api.cli("start", "idle.sh", "-n", "other").ok()
    before = api.pids("api") + api.pids("other")
    assert "other" in api.cli("restart", "api", "-n", "other").failed().err
    assert "called" in api.cli("restart", "all", "-n", "third").failed().err
    assert api.pids("api") + api.pids("other") == before


@pytest.mark.parametrize("name", ["", "all", "-", "/api/"])
def test_a_name_is_one_that_targets_can_mean(api, name):
    """Neither by a flag, a process file, the control API, nor by a change."""
    before = api.pids("api")
    script = str(api.work / "idle.sh")
    api.write("apps.json", json.dumps([{"name": name, "script": script}]))
    api.cli("start", "idle.sh", f"--name={name}").failed()
    api.cli("restart", "api", f"--name={name}").failed()
    for command in ("validate", "start"):
        sentence = f"cannot be called '{name}'" if name else "name takes a name"
        assert sentence in api.cli(command, "apps.json").failed().err
    status, body = api.api("POST", "/v1/apps", {"apps": [{"name": name, "script": script}]})
    assert (status, body["error"]["code"]) == (400, "bad_app")
    assert len(api.jlist()) == len(before) and api.pids("api") == before


@pytest.mark.parametrize("name, text, place", [
    ("a.json", '{"apps": [\n {"name": "x" "script": "idle.sh"}]}', "line 2"),
    ("a.yml", "apps:\n  - name: x\n   script: idle.sh\n", "line 3"),
    ("a.config.js", "module.exports = {\n apps: [,,{]\n}", "SyntaxError: "),
    ("a.json", '[{"name": "x", "script": "idle.sh", "instances": "many"}]', "app 'x': instances"),
    ("a.json", '[{"name": "x", "script": "nowhere.sh"}]', "app 'x': there is no file"),
    ("a.json", '[{"name": "x", "script": "idle.sh", "wotch": 1, "cwd": "/none"}]', "app 'x': "),
])
def test_what_is_wrong_with_a_file_names_it(api, name, text, place):
    """As many are given, and one may be made by a program, the place is what helps."""
    api.write(name, text)
    for command in ("validate", "start"):
        first = api.cli(command, name).failed().err.splitlines()[0]
        assert f"{name}: {place}" in first, first
    assert [process.name for process in api.jlist()] == ["api"]


def test_the_daemon_names_the_app_that_cannot_work(api):
    good = {"name": "good", "script": str(api.work / "idle.sh")}
    _, body = api.api("POST", "/v1/apps", {"apps": [good, {**good, "name": "bad", "cwd": "/none"}]})
    assert body["error"]["message"].startswith("app 'bad': "), body


def test_a_number_as_a_name_is_warned_of(api):
    result = api.cli("start", "idle.sh", "-n", "1200").ok()
    assert "'1200' is a number, too" in result.out + result.err
    api.cli("stop", "1200").ok()
    assert api.process("1200").status == "stopped"


def test_a_change_that_cannot_work_is_none(api):
    before = api.pids("api")
    api.cli("restart", "api", "--cwd", "/nonexistent").failed()
    status, body = api.api("POST", "/v1/actions/restart",
                           {"targets": ["api"], "app": {"max_restarts": "many"}})
    assert (status, body["error"]["code"]) == (400, "bad_app")
    assert api.pids("api") == before


def test_the_number_of_processes(api):
    api.cli("restart", "api", "-i", "3").ok()
    assert len(api.processes("api")) == 3
    api.cli("reload", "api", "-i", "1").ok()
    assert len(api.processes("api")) == 1


def test_scaling_fills_gaps(api):
    api.cli("scale", "api", "3").ok()
    api.cli("delete", "1").ok()
    api.cli("scale", "api", "3").ok()
    assert sorted(one.env["NODE_APP_INSTANCE"] for one in api.processes("api")) == [0, 1, 2]
    assert {one.status for one in api.processes("api")} == {"online"}


def test_targets_by_turns_under_the_name_pm2(home):
    home.write("idle.sh", "exec sleep 1000\n")
    link = home.root / "bin" / "pm2"
    link.parent.mkdir()
    link.symlink_to(BATON)
    home.environment.update(PM2_HOME=str(home.path), PM2_DISCRETE_MODE="1")
    home.command = [str(link)]
    assert "Spawning" not in home.cli("start", "idle.sh", "-n", "a").ok().out
    home.cli("stop", "nope", "a").failed()
    assert home.process("a").status == "stopped"


def test_a_restart_of_what_is_stopped_is_a_start(api):
    api.cli("stop", "api").ok()
    api.cli("restart", "api").ok()
    assert api.process("api").restarts == 0
    api.cli("restart", "api").ok()
    assert api.process("api").restarts == 1


def test_watch_is_turned_on_and_off(api):
    def watched(*words):
        api.cli(*words).ok()
        return api.process("api").env["watch"]

    api.write("src/x", "")
    assert watched("restart", "api", "--watch") is True
    assert watched("restart", "api", "--watch") is False
    assert watched("start", "api", "--watch") is True
    assert watched("stop", "api", "--watch") is False
    assert watched("restart", "api", "--watch", "src") == ["src"]


def test_flags_over_a_process_file(home):
    home.write("idle.sh", "exec sleep 1000\n")
    home.write("apps.json", json.dumps({"apps": [{"name": "a", "script": "idle.sh"},
                                                 {"name": "b", "script": "idle.sh"}]}))
    home.cli("start", "apps.json", "--namespace", "flag").ok()
    assert {one.env["namespace"] for one in home.jlist()} == {"flag"}


def test_watch_takes_the_next_word_where_it_can(home):
    home.write("src/app.sh", "exec sleep 1000\n")
    home.cli("start", "src/app.sh", "--watch", "src", "-n", "a").ok()
    home.cli("start", "--watch", "src", "src/app.sh", "-n", "b").ok()
    home.cli("start", "--watch", "src/app.sh", "-n", "c").ok()
    assert [home.process(name).env["watch"] for name in "abc"] == [["src"], ["src"], True]


def test_the_same_script_under_the_name_is_refused_another_is_not(api):
    api.write("other.sh", "exec sleep 1000\n")
    assert "already launched" in api.cli("start", "idle.sh", "-n", "api").failed().err \
        or "runs already" in api.cli("start", "idle.sh", "-n", "api").failed().err
    api.cli("start", "other.sh", "-n", "api").ok()
    assert len(api.processes("api")) == 2


def test_numbers_begin_anew_when_no_app_is_left(api):
    api.cli("start", "idle.sh", "-n", "b").ok()
    api.cli("delete", "api").ok()
    api.cli("start", "idle.sh", "-n", "c").ok()
    assert sorted(one.id for one in api.jlist()) == [1, 2]
    api.cli("delete", "all").ok()
    api.cli("start", "idle.sh", "-n", "d").ok()
    assert api.process("d").id == 0


# --- descriptions, wherever they come from ---

def test_a_command_line_in_a_process_file_and_in_the_api(home):
    home.write("apps.json", json.dumps({"name": "file", "script": "echo hello; exec sleep 1000"}))
    home.cli("start", "apps.json").ok()
    status, _ = home.api("POST", "/v1/apps", {"apps": [
        {"name": "api", "script": "echo hello \"$A\"; exec sleep 1000", "env": {"A": "you"}}]})
    assert status == 200
    home.cli("start", "echo hello", "-n", "more", "--no-autorestart", "--", "one  two").ok()
    until(lambda: "hello\n" == home.log("file"), 10, lambda: home.log("file"))
    until(lambda: "hello you\n" == home.log("api"), 10, lambda: home.log("api"))
    until(lambda: "hello one  two\n" == home.log("more"), 10, lambda: home.log("more"))
    env = home.process("file").env
    assert env["args"] == ["-c", "echo hello; exec sleep 1000"]
    assert (env["exec_mode"], env["exec_interpreter"]) == ("fork_mode", "none")


def test_an_app_is_supervised_only_unless_a_cluster_is_asked_for(home):
    home.write("idle.js", "setInterval(() => {}, 1000)")
    script = str(home.work / "idle.js")
    apps = {"plain": {}, "one": {"instances": 1}, "mode": {"exec_mode": "cluster"},
            "policy": {"policy": "least"}}
    home.begin()
    status, _ = home.api("POST", "/v1/apps", {"apps": [
        {"name": name, "script": script, "listen_timeout": 1, **more}
        for name, more in apps.items()]})
    assert status == 200
    assert {one.name: one.env["exec_mode"] for one in home.jlist()} == {
        "plain": "fork_mode", "one": "cluster_mode", "mode": "cluster_mode",
        "policy": "cluster_mode"}


def test_what_ran_already_is_not_called_launched(home):
    home.write("idle.sh", "exec sleep 1000\n")
    home.write("apps.json", """{"apps": [{"name": "one", "script": "idle.sh"},
                                         {"name": "two", "script": "idle.sh"}]}""")
    home.cli("start", "apps.json", "--only", "one").ok()
    done = home.cli("start", "apps.json").ok()
    assert "App [one] restarted (1 instance)" in done.out
    assert "App [two] launched (1 instance)" in done.out
    assert "App [one] reloaded (1 instance)" in home.cli("startOrReload", "apps.json").ok().out
    home.cli("stop", "one").ok()
    assert "App [one] launched (1 instance)" in home.cli("start", "apps.json").ok().out


def test_the_file_is_named_whose_app_cannot_work(home):
    home.write("idle.sh", "exec sleep 1000\n")
    home.write("good.json", '{"name": "one", "script": "idle.sh"}')
    home.write("bad.json", '{"name": "two", "script": "missing.sh"}')
    home.cli("start", "good.json").ok()
    for command in ("start", "restart", "reload", "startOrReload"):
        words = ["bad.json"] if command == "start" else ["good.json", "bad.json"]
        said = home.cli(command, *words).failed().err
        assert "bad.json: app 'two': " in said, said
    assert home.process("one").restarts == 0
    (home.work / "idle.sh").unlink()
    home.cli("stop", "good.json").ok()  # which needs no script


def test_what_did_not_start_is_not_called_launched(home):
    home.write("idle.sh", "exec sleep 1000\n")
    home.write("apps.json", """{"apps": [
        {"name": "well", "script": "idle.sh"},
        {"name": "orphan", "script": "idle.sh", "depends_on": ["nobody"]}]}""")
    done = home.cli("start", "apps.json").failed()
    assert "App [well] launched (1 instance)" in done.out
    assert "[orphan]" in done.err
    assert "[orphan] launched" not in done.out
    for words in (["restart", "orphan"], ["start", "orphan"], ["reload", "all"]):
        done = home.cli(*words).failed()
        assert "'nobody', which it depends on, does not run" in done.err, words
    assert home.process("orphan").status == "stopped"
