"""Apps in the foreground: `run FILE`, and whatever pm2-runtime is given."""
import json
import signal
import subprocess

import pytest

from support.primary import BATON
from support.wait import PATIENCE, until

@pytest.fixture
def runtime(home):
    link = home.root / "bin" / "pm2-runtime"
    link.parent.mkdir()
    link.symlink_to(BATON)
    home.environment["PM2_HOME"] = str(home.path)
    home.command = [str(link)]
    return home


def finish(process, timeout=PATIENCE):
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out, err


def begin(home, *words):
    """With its output in files, so that it can be looked at meanwhile."""
    out = open(home.root / "printed", "w+", encoding="utf-8")
    process = subprocess.Popen([*home.command, *words], cwd=home.work, env=home.environment,
                               stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.DEVNULL)
    out.close()
    return process


def printed(home):
    return (home.root / "printed").read_text(encoding="utf-8")


def test_the_apps_of_a_file_until_a_signal(home):
    home.write("a.sh", "echo a runs; exec sleep 1000\n")
    home.write("b.sh", "echo b runs; exec sleep 1000\n")
    home.write("apps.json", json.dumps({"apps": [{"name": "a", "script": "a.sh"},
                                                 {"name": "b", "script": "b.sh"}]}))
    home.command = [BATON]
    for _ in range(2):  # what ran the last time is no part of it, and its output is not shown
        process = begin(home, "run", "apps.json", "--only", "a")
        until(lambda: printed(home) != "", 15, lambda: printed(home))
        assert {one.name: one.status for one in home.wait_status("a", "online")} == {"a": "online"}
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
        assert printed(home) == "a runs\n"
    until(lambda: home.leftovers() == [], 5, home.leftovers)


def test_pm2_runtime_runs_a_script_that_listens_nowhere(runtime):
    runtime.write("loop.sh", "echo \"with $1\"; exec sleep 1000\n")
    process = begin(runtime, "start", "loop.sh", "--", "words")
    until(lambda: printed(runtime) == "with words\n", 15, lambda: printed(runtime))
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 0


def test_the_end_of_all_is_the_end(runtime):
    runtime.write("crash.sh", "echo crashing; exit 3\n")
    runtime.write("once.sh", "echo once\n")
    runtime.write("apps.json", json.dumps([
        {"name": "crash", "script": "crash.sh", "max_restarts": 1},
        {"name": "once", "script": "once.sh", "autorestart": False}]))
    code, out, _ = finish(runtime.start_aside("apps.json"))
    assert code == 2
    assert out.count("once\n") == 1 and out.count("crashing\n") >= 1


@pytest.mark.parametrize("first", [[], [{"name": "first", "script": "crash.sh", "max_restarts": 1,
                                         "wait_ready": True}]])
def test_the_end_of_what_others_wait_for_is_the_end(home, first):
    """Whether it is not there at all, or has given up: who waits for it never starts."""
    home.write("crash.sh", "exit 3\n")
    home.write("waits.sh", "exec sleep 1000\n")
    home.write("apps.json", json.dumps(
        [*first, {"name": "waits", "script": "waits.sh", "depends_on": "first"}]))
    home.command = [BATON]
    code, _, err = finish(home.start_aside("run", "apps.json"), 60)
    assert code == 2, err
    assert "'first', which it depends on, does not run" in err


def test_it_may_stay(runtime):
    runtime.write("once.sh", "echo once\n")
    process = begin(runtime, "once.sh", "--no-autorestart", "--no-auto-exit", "--formatted")
    until(lambda: printed(runtime) == "0|once  | once\n", 15, lambda: printed(runtime))
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(4)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize("words", [["missing.js"], ["missing.json"], ["start", "missing.js"], []])
def test_what_cannot_be_started(runtime, words):
    code, out, err = finish(runtime.start_aside(*words))
    assert (code, out) == (1, "")
    assert "[PM2][ERROR]" in err


def test_no_daemon_that_cannot_start(home):
    code, _, err = finish(home.start_aside("start", "missing.js", "--no-daemon"))
    assert code == 1 and "missing.js" in err
