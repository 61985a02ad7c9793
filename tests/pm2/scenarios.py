"""Sequences of commands that a user of pm2 types. Each is run under both, and every exit code,
every list after a command and whatever else is `see`n must be the same, but for intended.py."""
import json
import time

from sequence import inspected, messages
from support import procfs
from support.clients import get
from support.daemon import kill
from support.wait import until

SCENARIOS = []


def scenario(function):
    SCENARIOS.append(function)
    return function


# Without a daemon, or without an app.


@scenario
def commands_without_a_daemon(run):
    run("kill")
    for words in (["ping"], ["jlist"], ["ls"], ["pid"], ["save", "--force"], ["resurrect"]):
        run(*words, settle=False)
        run("kill", settle=False)


@scenario
def unknown_targets(run):
    run("ls")
    for command in ("stop", "restart", "reload", "delete", "describe", "reset", "pid", "id",
                    "flush", "env", "start"):
        run(command, "nope")
    for command in ("stop", "restart", "reload", "delete", "reset"):
        run(command, "7")
        run(command, "all")
    run("scale", "nope", "2")
    run("sendSignal", "SIGUSR2", "nope")
    run("send", "7", "text")


@scenario
def watch_and_the_next_word(run):
    """The word behind --watch is a path of it where it can be meant so."""
    run.home.write("watched/app.js", "setInterval(() => {}, 1000)")
    run("start", "watched/app.js", "--watch", "watched", "-n", "a")
    run("start", "watched/app.js", "--watch=watched", "-n", "b")
    for process in run.home.jlist():
        run.see(f"watch {process.id}", process.env["watch"])
    run("restart", "a", "--watch", "watched")
    run("stop", "a", "--watch")
    run.see("watch after stop", run.home.process("a").env["watch"])


@scenario
def another_script_of_the_same_name(run):
    run.home.write("loop.sh", "exec sleep 1000\n")
    run("start", "idle.js", "-n", "loop")
    run("start", "loop.sh")
    run("start", "loop.sh")
    run("start", "idle.js", "-n", "loop")
    run("delete", "all")
    run("start", "loop.sh")


@scenario
def unknown_words(run):
    run("ls")
    run("frobnicate")
    run()
    run("start", "missing.js")
    run("start", "missing.json")
    run("start", "idle.js", "--cwd", "/nonexistent")
    run("start")


@scenario
def wrong_process_files(run):
    run("ls")
    run.home.write("broken.json", '{"apps": [{')
    run.home.write("noscript.json", '{"apps": [{"name": "a"}]}')
    run.home.write("type.json", '{"apps": [{"script": "idle.js", "instances": {"a": 1}}]}')
    run.home.write("throws.config.js", "throw new Error('no')")
    for name in ("broken.json", "noscript.json", "type.json", "throws.config.js"):
        run("start", name)


@scenario
def version_and_help(run):
    run("ls")
    for words in (["-v"], ["--version"], ["-h"], ["--help"], ["help"], ["start", "--help"]):
        run(*words, settle=False)


@scenario
def ids_and_pids(run):
    run("start", "idle.js", "-n", "a")
    run("start", "idle.js", "-n", "b", "-i", "2")
    run.see("id nope", run("id", "nope").out.strip())
    run.see("id a", run("id", "a").out.strip())
    run.see("id b", run("id", "b").out.strip())
    run.see("pid nope", run("pid", "nope").out.strip())
    run.see("pid a", run("pid", "a").out.split() == [str(one) for one in run.home.pids("a")])
    run.see("pid b", sorted(run("pid", "b").out.split()) ==
            sorted(str(one) for one in run.home.pids("b")))
    run.see("pid of all", len(run("pid").out.split()))


# Start.


@scenario
def start_a_script(run):
    result = run("start", "server.js")
    run.see("messages", messages(result)[-2:])
    until(lambda: get(run.port).outcome == "ok", 15, "an answer")
    run.see_fields("process", run.home.process("server"))
    run("stop", "server")
    run.see_fields("stopped", run.home.process("server"))
    run.see("refused", get(run.port).outcome)
    run.see_files("home", "logs/*", "pids/*")


@scenario
def start_a_cluster(run):
    result = run("start", "server.js", "-n", "web", "-i", "2")
    run.see("messages", messages(result)[-2:])
    until(lambda: get(run.port).outcome == "ok", 10, "an answer")
    for process in run.home.processes("web"):
        run.see_fields(f"process {process.id}", process)
    run.see_files("home", "logs/*", "pids/*")
    run.wait_log("web", "listening", number=0)
    run.wait_log("web", "listening", number=1)


@scenario
def start_counts_of_instances(run):
    for index, count in enumerate(["max", "0", "-1", "1", "3"]):
        run("start", "idle.js", "-n", f"n{index}", "-i", count)


@scenario
def start_what_is_known(run):
    run("start", "idle.js", "-n", "a")
    run("start", "idle.js", "-n", "a")
    run("start", "idle.js")
    run("start", "idle.js")
    run("start", "idle.js", "-f")
    run("start", "a")
    run("stop", "a")
    run("start", "a")
    run("start", "0")
    run("stop", "all")
    run("start", "all")


@scenario
def start_a_path_that_is_absolute(run):
    run("start", run.home.work / "idle.js", "--name", "a")
    run("start", "./crash.js", "--no-autorestart", settle=False)
    run.home.wait_status("crash", "stopped")
    run.home.write("sub/app.js", "setInterval(() => {}, 1000)")
    run("start", "sub/app.js")
    run.see_fields("sub", run.home.process("app"))


@scenario
def start_other_interpreters(run):
    run.home.write("loop.py", "import time\nprint('python', flush=True)\ntime.sleep(1000)\n")
    run.home.write("loop.sh", "echo shell\nexec sleep 1000\n")
    run.home.write("binary", "#!/bin/sh\necho binary\nexec sleep 1000\n", 0o755)
    run("start", "loop.py", "--interpreter", "python3")
    run("start", "loop.sh")
    run("start", "binary", "-n", "none", "--interpreter", "none")
    for name, text in (("loop", "shell"), ("none", "binary")):
        run.see(f"log of {name}", text in run.wait_log(name, text))
    for process in run.home.jlist():
        run.see(f"interpreter {process.id}", process.env["exec_interpreter"])


@scenario
def start_a_program_without_an_extension(run):
    run.home.write("binary", "#!/bin/sh\necho binary\nexec sleep 1000\n", 0o755)
    run("start", "binary", "--max-restarts", "2", settle=False)
    until(lambda: run.home.log("binary") or run.home.log("binary", "error"), 60, "a word of it")
    run.see("runs", run.home.log("binary").strip() or "an error")
    run.see("interpreter", run.home.process("binary").env["exec_interpreter"].rpartition("/")[2])


@scenario
def start_a_command_line(run):
    run("start", "sleep 1000")
    run("start", "sleep 1001", "-n", "second")
    run.see_fields("process", run.home.process("second"))


@scenario
def arguments(run):
    run("start", "surroundings.js", "--", "one", "two words", "--three")
    run.see("plain", run.surroundings("surroundings")["args"])
    run.see_fields("process", run.home.process("surroundings"))
    run("delete", "all")
    run("start", "surroundings.js", "-n", "b", "--node-args", "--max-old-space-size=100")
    run.see("node arguments", run.surroundings("b")["execArgv"])
    run.see_fields("node arguments", run.home.process("b"))


@scenario
def surroundings_of_a_worker(run):
    run("ls")
    run("start", "surroundings.js", "-n", "a", "--namespace", "space", env={"GREETING": "hello"})
    run.see("fork", run.surroundings("a"))
    run("start", "surroundings.js", "-n", "b", "-i", "2")
    run.see("first", run.surroundings("b", 1))
    run.see("second", run.surroundings("b", 2))
    run("start", run.home.work / "surroundings.js", "-n", "c", "--cwd", "/")
    run.see("cwd", run.surroundings("c")["cwd"])


@scenario
def environment_of_whoever_started_the_daemon(run):
    run("ls", env={"GREETING": "hello"})
    run("start", "surroundings.js", "-n", "a")
    run.see("fork", run.surroundings("a")["env"].get("GREETING"))
    run("start", "surroundings.js", "-n", "b", "-i", "1")
    run.see("cluster", run.surroundings("b", 1)["env"].get("GREETING"))


@scenario
def environment_of_a_restart(run):
    run("start", "surroundings.js", "-n", "a", env={"GREETING": "one"})
    run.see("at first", run.surroundings("a")["env"].get("GREETING"))
    run("restart", "a", env={"GREETING": "two"})
    until(lambda: run.home.log("a").count("}\n") == 2, 10, "the second line")
    run.see("restart", run.surroundings("a")["env"].get("GREETING"))
    run("restart", "a", "--update-env", env={"GREETING": "three"})
    until(lambda: run.home.log("a").count("}\n") == 3, 10, "the third line")
    run.see("update", run.surroundings("a")["env"].get("GREETING"))


@scenario
def filtered_environment(run):
    run("start", "surroundings.js", "-n", "a", "--filter-env", "SECRET_ONE",
        env={"SECRET_ONE": "1", "SECRET_TWO": "2"})
    run.see("env", run.surroundings("a")["env"])


# Process files.

# pm2 starts two at a time, so that the numbers of an app with several processes that comes first
# have gaps.
APPS = [{"name": "job", "script": "./surroundings.js", "args": ["a", "b"],
         "env": {"GREETING": "plain", "COUNTER": 7},
         "env_production": {"GREETING": "production", "NODE_ENV": "production"}},
        {"name": "api", "script": "idle.js", "instances": 2, "exec_mode": "cluster"}]


def start_file(run, name):
    run("start", name)
    run.see("env", run.surroundings("job"))
    run.see_fields("job", run.home.process("job"))
    run("stop", name)
    run("restart", name)
    run("delete", name)
    run.see_files("files", "logs/*")


@scenario
def process_file_json(run):
    run.home.write("apps.json", json.dumps({"apps": APPS}))
    start_file(run, "apps.json")


@scenario
def process_file_javascript(run):
    run.home.write("apps.config.js", f"module.exports = {{ apps: {json.dumps(APPS)} }}")
    start_file(run, "apps.config.js")


@scenario
def process_file_yaml(run):
    run.home.write("apps.yml", """apps:
  - name: job
    script: ./surroundings.js
    args: [a, b]
    env:
      GREETING: plain
      COUNTER: 7
  - name: api
    script: idle.js
    instances: 2
    exec_mode: cluster
""")
    start_file(run, "apps.yml")


@scenario
def process_file_by_default(run):
    run.home.write("ecosystem.config.js", f"module.exports = {json.dumps({'apps': APPS})}")
    run("start")


@scenario
def process_file_with_literals(run):
    run.home.write("apps.json", """// apps
{ apps: [ /* the only one */
    { name: 'api', 'script': "idle.js", // its program
      args: ['x'], },
  ] }""")
    run("start", "apps.json")


@scenario
def process_file_of_one_app_and_of_an_array(run):
    run.home.write("one.json", json.dumps({"name": "one", "script": "idle.js"}))
    run.home.write("two.json", json.dumps([{"name": "two", "script": "idle.js"},
                                           {"name": "three", "script": "idle.js"}]))
    run("start", "one.json")
    run("start", "two.json")
    run("start", "-", stdin=json.dumps({"name": "four", "script": "idle.js"}))


@scenario
def process_file_environments(run):
    run.home.write("apps.json", json.dumps({"apps": APPS}))
    run("start", "apps.json", "--only", "job", "--env", "production")
    run.see("env", run.surroundings("job")["env"])
    run("delete", "all")
    run("start", "apps.json", "--only", "job", "--env", "nope")
    run("start", "apps.json", "--only", "nope")
    run("start", "apps.json", "--only", "api,job")


@scenario
def start_or_restart(run):
    run.home.write("apps.json", json.dumps({"apps": APPS}))
    run("startOrRestart", "apps.json")
    run("startOrRestart", "apps.json")
    run("startOrReload", "apps.json")
    run("stop", "job")
    run("startOrReload", "apps.json")
    run("startOrRestart", "missing.json")


@scenario
def attributes_of_a_process_file(run):
    run.home.write("apps.json", json.dumps({"apps": [
        {"name": "a", "script": "surroundings.js", "instances": 2, "exec_mode": "cluster",
         "instance_var": "NUMBER", "increment_var": "COUNTER", "env": {"COUNTER": 10},
         "namespace": "space", "out_file": "out.txt", "error_file": "err.txt",
         "merge_logs": True, "autorestart": False, "cwd": "/"},
        {"name": "late", "script": "idle.js", "autostart": False}]}))
    run.home.write("surroundings.js", (run.home.work / "surroundings.js").read_text())
    data = json.loads((run.home.work / "apps.json").read_text())
    data["apps"][0]["script"] = str(run.home.work / "surroundings.js")
    data["apps"][0]["out_file"] = str(run.home.work / "out.txt")
    data["apps"][0]["error_file"] = str(run.home.work / "err.txt")
    run.home.write("apps.json", json.dumps(data))
    run("start", "apps.json")
    out = run.home.work / "out.txt"
    until(lambda: out.exists() and out.read_text().count("}\n") == 2, 10, "both lines")
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    run.see("numbers", sorted((line["env"]["NUMBER"], line["env"]["COUNTER"]) for line in lines))
    run.see_fields("a", run.home.processes("a")[0])
    run("start", "late")


# Acting on what is there.


@scenario
def act_by_id_name_namespace_and_pattern(run):
    run("start", "idle.js", "-n", "a", "--namespace", "one")
    run("start", "idle.js", "-n", "b", "--namespace", "two")
    run("start", "idle.js", "-n", "ab", "--namespace", "two", "-i", "2")
    for command in ("stop", "restart", "reload"):
        run(command, "0")
        run(command, "b")
        run(command, "two")
        run(command, "/^a/")
        run(command, "0", "b")
        run(command, "all")
    run("delete", "/^ab/")
    run("delete", "two")
    run("delete", "0")


@scenario
def messages_of_actions(run):
    run("start", "idle.js", "-n", "a", "-i", "2")
    for command in ("restart", "reload", "stop", "delete"):
        run.see(f"{command}", sorted(messages(run(command, "a"))))


@scenario
def restart_with_other_flags(run):
    run("start", "surroundings.js", "-n", "a")
    run("restart", "a", "--max-memory-restart", "300M", "--kill-timeout", "900")
    run.see_fields("limits", run.home.process("a"))
    run("restart", "a", "--namespace", "other")
    run("restart", "a", "-n", "renamed")
    run("start", "surroundings.js", "-n", "b", "--", "one")
    run.wait_log("b", "}\n")
    run("restart", "b", "--", "two")
    until(lambda: run.home.log("b").count("}\n") == 2, 10, "the second line")
    run.see("arguments", run.surroundings("b")["args"])
    run("reload", "surroundings.js")
    run("stop", "surroundings.js")


@scenario
def several_at_once(run):
    run("start", "idle.js", "crash.js", "--no-autorestart", settle=False)
    run.home.wait_status("crash", "stopped")
    run("stop", "idle", "nope")
    run("restart", "idle", "crash", settle=False)
    run("delete", "crash", "0", "nope")


@scenario
def stopped_and_errored_ones(run):
    run("start", "crash.js", "-n", "bad", "--max-restarts", "1", settle=False)
    run.home.wait_status("bad", "errored")
    run("start", "idle.js", "-n", "good", "-i", "2")
    run("stop", "bad")
    run("stop", "bad")
    run("stop", "good")
    run("reload", "good")
    run("scale", "good", "3")
    run("reset", "bad")
    run("sendSignal", "SIGUSR2", "bad")
    run("delete", "all")


@scenario
def scale(run):
    run("start", "idle.js", "-n", "a", "-i", "2")
    for count in ("2", "4", "1", "+2", "-1", "0", "x"):
        run("scale", "a", count)


@scenario
def scale_a_fork(run):
    run("start", "idle.js", "-n", "a")
    run("scale", "a", "3")


@scenario
def reset_the_counters(run):
    run("start", "idle.js", "-n", "a")
    run("restart", "a")
    run("restart", "a")
    run("reset", "a")
    run("restart", "a")
    run("reset", "all")


@scenario
def new_pids_after_actions(run):
    run("start", "server.js", "-n", "a", "-i", "2")
    before = run.home.pids("a")
    for command in ("reload", "restart"):
        run(command, "a")
        after = run.home.pids("a")
        run.see(f"{command}: all new", not set(before) & set(after))
        before = after
    until(lambda: get(run.port).outcome == "ok", 10, "an answer")


@scenario
def send_signals(run):
    run("start", "signals.js", "-n", "a")
    run.wait_log("a", "started")
    run("sendSignal", "SIGUSR2", "a")
    run.wait_log("a", "SIGUSR2")
    run("sendSignal", "SIGHUP", "0")
    run.wait_log("a", "SIGHUP")
    run("sendSignal", "NOPE", "a")
    run("send", "0", "some text")
    run.wait_log("a", "line some text")
    run("stop", "a")
    run.wait_log("a", "SIGINT")


@scenario
def stop_with_a_message(run):
    run("start", "signals.js", "-n", "a", "-i", "1", "--shutdown-with-message", "--kill-timeout",
        "500")
    run.wait_log("a", "started", number=0)
    run("stop", "a")
    run.see("message", 'message "shutdown"' in run.home.log("a", number=0))
    run.see("signal", "SIGINT" in run.home.log("a", number=0))


@scenario
def a_worker_that_is_killed(run):
    run("start", "idle.js", "-n", "a", "-i", "2")
    victim = run.home.pids("a")[0]
    kill(victim)
    run.home.wait(lambda all_: sum(one.restarts for one in all_) == 1)
    run.see("list", run.list())


# Restart rules.


@scenario
def crash_for_good(run):
    run("start", "crash.js", "-n", "a", "--max-restarts", "3", settle=False)
    run.home.wait_status("a", "errored")
    run.see_fields("process", run.home.process("a"))
    run.see("tries", run.home.log("a", "error").count("no configuration found"))
    run("restart", "a", settle=False)
    time.sleep(1)
    run.home.wait_status("a", "errored")


@scenario
def no_restart_and_stop_exit_codes(run):
    run("start", "crash.js", "-n", "a", "--no-autorestart", settle=False)
    run.home.wait_status("a", "stopped")
    run.see_fields("process", run.home.process("a"))
    run("start", "crash.js", "-n", "b", "--stop-exit-codes", "7", "--", "7",
        settle=False)
    run.home.wait_status("b", "stopped")
    run.see("tries", run.home.log("b", "error").count("no configuration found"))


@scenario
def waiting_before_a_restart(run):
    run("start", "crash.js", "-n", "a", "--restart-delay", "15000", settle=False)
    run.see("waits", run.home.wait_status("a", "waiting restart")[0].status)
    run("start", "crash.js", "-n", "b", "--exp-backoff-restart-delay", "15000", settle=False)
    run.see("backs off", run.home.wait_status("b", "waiting restart")[0].status)
    run("stop", "all")


@scenario
def ready_by_message(run):
    run("start", "ready.js", "-n", "a", "-i", "1", "--wait-ready", "--listen-timeout", "5000",
        "--", "300")
    run.see("served", get(run.port).outcome)


@scenario
def a_cron_pattern(run):
    run("start", "idle.js", "-n", "a", "--cron-restart", "0 0 * * *")
    run("start", "idle.js", "-n", "b", "--cron-restart", "nonsense")


@scenario
def watch(run):
    run.home.write("watched/app.js", "setInterval(() => {}, 1000)")
    run("start", "watched/app.js", "--watch", "watched")
    run.see_fields("process", run.home.process("app"))
    time.sleep(1)
    run.home.write("watched/other.js", "changed")
    run.home.wait(lambda all_: all_[0].restarts >= 1)
    run("stop", "app")


# Logs.


@scenario
def logs_of_a_fork(run):
    run("start", "lines.js", "-n", "a")
    run.wait_log("a", "a line")
    run.wait_log("a", "an error", "error")
    run.see("out", run.home.log("a"))
    run.see("error", run.home.log("a", "error"))
    shown = run("logs", "a", "--nostream", "--lines", "5").out
    run.see("shown", sorted(" ".join(line.split()) for line in shown.splitlines()
                            if line.startswith("0|")))
    shown = run("logs", "a", "--nostream", "--raw", "--out").out
    run.see("raw", [line for line in shown.splitlines() if "line" in line or "error" in line][-1:])
    run("flush", "a")
    run.see("flushed", run.home.log("a") + run.home.log("a", "error"))
    run("flush")
    run("reloadLogs")
    run("logs", "nope", "--nostream")


@scenario
def names_of_log_files(run):
    run.home.write("a.json", json.dumps([
        {"name": "g", "script": "lines.js", "exec_mode": "cluster"},
        {"name": "h", "script": "lines.js", "instances": 1},
        {"name": "i", "script": "lines.js", "instances": 1, "exec_mode": "fork"}]))
    run("start", "lines.js", "-n", "a")
    run("start", "lines.js", "-n", "b", "-i", "1")
    run("start", "lines.js", "-n", "c", "-x", "-i", "1")
    run("start", "lines.js", "-n", "d", "-x", "-i", "2")
    run("start", "lines.js", "-n", "e", "-i", "1", "--merge-logs")
    run("start", "lines.js", "-n", "f", "-i", "1", "-o", "out.log")
    run("scale", "e", "2")
    run("scale", "b", "2")
    run("start", "a.json")
    run.see("paths", sorted((process.id, process.name, process.env["pm_out_log_path"],
                             process.env["pm_err_log_path"]) for process in run.home.jlist()))
    run("restart", "b")
    run.see_files("home", "logs/*", "work/*.log")
    run("scale", "a", "2")
    run.see("of a second process in fork mode", run.home.processes("a")[1].env["pm_out_log_path"])


@scenario
def log_formats(run):
    run("start", "lines.js", "-n", "a", "--log-date-format", "YYYY")
    run("start", "lines.js", "-n", "b", "--log-type", "json")
    run("start", "lines.js", "-n", "c", "--time")
    run("start", "lines.js", "-n", "d", "--disable-logs")
    run("start", "lines.js", "-n", "e", "-o", "/dev/null", "-e", "NULL")
    run("start", "lines.js", "-n", "f", "-l", "both.log")
    run("start", "lines.js", "-n", "g", "-i", "2", "--merge-logs")
    run.see("date", run.wait_log("a", "a line").replace(time.strftime("%Y"), "YEAR"))
    entry = json.loads(run.wait_log("b", "a line").splitlines()[0])
    run.see("json", {name: value for name, value in entry.items() if name != "timestamp"})
    run.see("json time", type(entry.get("timestamp")).__name__)
    run.see("time", len(run.wait_log("c", "a line").splitlines()[0]))
    both = run.home.work / "both.log"
    until(lambda: both.exists() and both.read_text().count("\n") >= 2, 10, "both lines")
    run.see("both", sorted(both.read_text().splitlines()))
    until(lambda: run.home.log("g").count("a line") == 2, 10, "two lines in one file")
    run.see_files("home", "logs/*")


# State.


@scenario
def save_and_resurrect(run):
    run("start", "idle.js", "-n", "a", "-i", "2")
    run("start", "crash.js", "-n", "b", "--no-autorestart", settle=False)
    run.home.wait_status("b", "stopped")
    run("save")
    run.see_files("saved", "dump*")
    run("save")
    run.see_files("saved again", "dump*")
    run("delete", "all")
    run("resurrect")
    run("resurrect")
    run("kill", settle=False)
    run("resurrect")
    run("delete", "a")
    run("resurrect")
    run("cleardump")
    run("kill", settle=False)
    run("resurrect")


@scenario
def save_an_empty_list(run):
    run("start", "idle.js", "-n", "a")
    run("save")
    run("delete", "a")
    run("save")
    run("resurrect")
    run("delete", "a")
    run("save", "--force")
    run("resurrect")


@scenario
def kill_ends_everything(run):
    run("start", "idle.js", "-n", "a", "-i", "2")
    pids = [*run.home.pids("a"), run.home.daemon_pid()]
    run("kill", settle=False)
    until(lambda: not any(map(procfs.alive, pids)), 10, "the end of all")
    run.see_files("home", "pids/*", "*.sock", "pm2.pid")
    run("ls")


# What is printed.


@scenario
def jlist_and_prettylist(run):
    run("start", "server.js", "-n", "a", "-i", "2")
    run.see("jlist ends its line", run("jlist", settle=False).out.endswith("\n"))
    same, value = inspected(run("prettylist").out)
    run.see("prettylist as inspect prints it", same)
    run.see("prettylist says what jlist says",
            [(one["name"], one["pm_id"], one["pm2_env"]["status"]) for one in value])


@scenario
def describe_and_env(run):
    run("start", "server.js", "-n", "a", env={"GREETING": "hello"})
    text = run("describe", "a").out
    for word in ("status", "name", "namespace", "restarts", "script path", "exec mode",
                 "error log path", "out log path", "pid path", "interpreter", "exec cwd",
                 "created at", "watch & reload"):
        run.see(f"describe {word}", word in text)
    run("describe", "0")
    run.see("env", "GREETING: hello" in run("env", "0").out)
    run("env", "a")


@scenario
def the_table(run):
    run.see("empty table", [[cell.strip() for cell in line.split("│")[1:3]]
                            for line in run("ls").out.splitlines()
                            if "│" in line][:1])
    run("start", "idle.js", "-n", "a")
    rows = [[cell.strip() for cell in line.split("│")[1:-1]]
            for line in run("list").out.splitlines() if "│" in line]
    for index in (0, 1, 2, 3, 4, 7, 8, 11, 12):
        run.see(f"column {index}", [row[index] for row in rows])
    for words in (["ls", "-m"], ["ls", "--sort", "name:desc"], ["status"], ["ps"], ["l"]):
        run(*words)


@scenario
def other_commands(run):
    run.see("ping", run("ping").out.strip())
    run("report", settle=False)
    run("init", settle=False)
    run.see("written", sorted(path.name for path in run.home.work.glob("ecosystem*")))
    run("init", settle=False)
    run("completion", settle=False)
    run("update", settle=False)


@scenario
def silent(run):
    run.see("silent", run("start", "idle.js", "-n", "a", "-s").out.strip())
    run.see("silent list", run("jlist", "-s").out.startswith("[{"))


@scenario
def serve_files(run):
    run.home.write("site/index.html", "<p>hello")
    run("serve", "site", run.port, "--name", "files")
    until(lambda: get(run.port).outcome == "ok", 15, "an answer")
    run.see("index", get(run.port).body.decode())
    run.see("missing", get(run.port, "/nope").status)
    run("delete", "files")
