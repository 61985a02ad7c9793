"""Where pm2 fails its users: the rows of the table in the documentation, each observed under both.
intended.py says what is seen."""
import json
import time

from scenarios import scenario
from support import procfs
from support.clients import KeptLoad, Load, get, open_socket, outcomes, read_reply, request_bytes
from support.daemon import kill
from support.wait import until


def slow_request(run, milliseconds=1500):
    """One that is being served when it returns."""
    client = open_socket(run.port)
    client.sendall(request_bytes(f"/{milliseconds}"))
    time.sleep(0.3)
    return client


def serve(run, script, *flags):
    run("start", script, "-n", "web", *flags)
    until(lambda: get(run.port).outcome == "ok", 15, "an answer")


def lost(load):
    return len(load.replies) - outcomes(load.replies).get("ok", 0)


@scenario
def better_reload_under_load(run):
    """Short connections of an app that has never heard of signals; as many reloads as it takes to
    lose one, and no more than 12."""
    serve(run, "slow.js", "-i", "2")
    reloads = 0
    with Load(run.port, threads=8, path="/20", timeout=3) as load:
        while not lost(load) and reloads < 12:
            load.wait_more(50)
            run.home.cli("reload", "web")
            reloads += 1
        time.sleep(1)
    run.see("lost some", lost(load) > 0)


@scenario
def better_reload_of_a_graceful_app(run):
    serve(run, "graceful.js", "-i", "2")
    with KeptLoad(run.port, threads=8, path="/2", timeout=3) as load:
        for _ in range(3):
            load.wait_more(50)
            run("reload", "web")
        load.wait_more(50)
    run.see("lost some", lost(load) > 0)


@scenario
def better_reload_to_a_broken_version(run):
    serve(run, "graceful.js", "-i", "2", "--listen-timeout", "1000")
    run.home.write("graceful.js", "console.error('broken on purpose'); process.exit(1)")
    result = run("reload", "web", settle=False)
    run.see("shows why", "broken on purpose" in result.out + result.err)
    time.sleep(1)
    run.see("serves", get(run.port, timeout=2).outcome == "ok")


@scenario
def better_when_the_daemon_is_killed(run):
    serve(run, "graceful.js", "-i", "2")
    workers = run.home.pids("web")
    client = slow_request(run)
    kill(run.home.daemon_pid())
    run.see("the request", read_reply(client).outcome)
    run.see("workers that live", sum(map(procfs.alive, workers)))
    run("ls")


@scenario
def better_memory(run):
    run("start", "idle.js", "-n", "a", "-i", "2")
    kilobytes = procfs.resident_kilobytes(run.home.daemon_pid())
    run.see("the daemon has less than 10 MB", kilobytes < 10_000)


@scenario
def better_crash_loop_that_begins_late(run):
    run.home.write("app.js", "if (require('fs').existsSync('broken')) process.exit(3);"
                             "setInterval(() => {}, 1000)")
    run.home.write("a.json", json.dumps({"name": "a", "script": "app.js", "max_restarts": 3,
                                         "min_uptime": 100}))
    run("start", "a.json")
    time.sleep(1)
    run.home.write("broken", "")
    kill(run.home.pids("a")[0])
    time.sleep(8)
    run.see("given up after 8 s", run.home.process("a").status == "errored")
    (run.home.work / "broken").unlink()


@scenario
def better_not_ready_in_time(run):
    run("start", "ready.js", "-n", "a", "-i", "1", "--wait-ready", "--listen-timeout", "800",
        "--max-restarts", "0", settle=False)
    time.sleep(1.5)
    run.see("status", run.home.process("a").status)


@scenario
def better_cluster_mode_for_other_programs(run):
    run.home.write("app.py", """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(os.getpid()).encode())
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
""")
    run.home.write("a.json", json.dumps({"name": "a", "script": "app.py", "instances": 2,
                                         "exec_mode": "cluster", "interpreter": "python3"}))
    run("start", "a.json", settle=False)
    time.sleep(2)
    run.see("several answer", len({get(run.port).body for _ in range(20)} - {b""}) > 1)


@scenario
def better_scale_down(run):
    serve(run, "slow.js", "-i", "2")
    clients = [slow_request(run) for _ in range(2)]
    run("scale", "web", "1")
    run.see("requests", sorted(read_reply(client).outcome for client in clients))


@scenario
def better_stop(run):
    serve(run, "slow.js", "-i", "1")
    client = slow_request(run)
    run("stop", "web")
    run.see("request", read_reply(client).outcome)


@scenario
def better_watch(run):
    run.home.write("watched/app.js", "require('../slow.js')")
    serve(run, "watched/app.js", "-i", "1", "--watch", "watched")
    time.sleep(1)
    client = slow_request(run, 2500)
    run.home.write("watched/app.js", "require('../slow.js') // changed")
    run.see("request", read_reply(client, 8).outcome)


@scenario
def better_restart_of_two(run):
    serve(run, "slow.js", "-i", "2")
    with Load(run.port, threads=4, path="/2", timeout=3) as load:
        load.wait_more(50)
        run("restart", "web")
        load.wait_more(50)
    run.see("lost some", lost(load) > 0)


@scenario
def better_logs_that_do_not_fill_the_disk(run):
    run.home.write("app.js", "let n = 0; const timer = setInterval(() => {"
                             "console.log('x'.repeat(10000)); if (++n === 100) clearInterval(timer);"
                             "}, 5); setInterval(() => {}, 1000)")
    run.home.write("a.json", json.dumps({"name": "a", "script": "app.js", "max_log_size": "64K"}))
    run("start", "a.json")
    time.sleep(3)
    run.see("above the limit", (run.home.path / "logs/a-out.log").stat().st_size > 200_000)


@scenario
def better_children(run):
    run.home.write("app.js", "require('child_process').spawn('sh', ['-c', 'sleep 100 & exit 0'],"
                             "{ stdio: 'ignore' }); setInterval(() => {}, 1000)")
    run("start", "app.js", "-n", "a")
    time.sleep(0.5)
    run("stop", "a")
    time.sleep(0.5)
    run.see("left behind", len(run.home.leftovers()) - 1)


@scenario
def better_environment(run):
    file = {"name": "a", "script": "surroundings.js", "env": {"GREETING": "old", "COUNTER": "1"}}
    run.home.write("a.json", json.dumps(file))
    run("start", "a.json")
    run.see("before", run.surroundings("a")["env"].get("GREETING"))
    del file["env"]["GREETING"]
    run.home.write("a.json", json.dumps(file))
    run("restart", "a.json")
    until(lambda: run.home.log("a").count("}\n") == 2, 10, "the second line")
    run.see("after it was taken out", run.surroundings("a")["env"].get("GREETING"))


@scenario
def better_instance_numbers(run):
    run("start", "idle.js", "-n", "a", "-i", "3")
    run("delete", "1")
    run("scale", "a", "3")
    run.see("numbers", sorted(one.env["NODE_APP_INSTANCE"] for one in run.home.processes("a")))


@scenario
def better_memory_limit(run):
    serve(run, "slow.js", "-i", "1", "--max-memory-restart", "150M")
    assert get(run.port, "/grow").outcome == "ok"
    time.sleep(5)
    run.see("restarts after 5 s", run.home.process("web").restarts)
