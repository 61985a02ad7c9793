"""Which worker is started again, when, and as what; and what ends with it."""
import time

import pytest

from support import procfs
from support.clients import Load, get, outcomes
from support.daemon import kill
from support.ports import free_port
from support.wait import PATIENCE, until


@pytest.fixture
def port():
    return free_port()


def test_a_crash_loop_ends(home):
    home.write("app.js", "console.error('no configuration'); process.exit(3)")
    home.cli("start", "app.js", "-n", "a", "--max-restarts", "3", "--min-uptime", "20000",
             "--exp-backoff-restart-delay", "20")
    process = home.wait_status("a", "errored")[0]
    assert process.restarts in (2, 3) and process.env["exit_code"] == 3
    until(lambda: home.log("a", "error").count("no configuration") == process.restarts + 1, 10,
          lambda: home.log("a", "error"))
    assert "3" in process.baton["reason"]


def test_the_log_says_whose_worker_it_was(home):
    """All apps share the daemon's log."""
    home.write("idle.js", "require('net').createServer().listen(0)")
    for name in ("api", "web"):
        home.start("idle.js", "-n", name)
    for name in ("api", "web"):
        pid = home.pids(name)[0]
        kill(pid)
        until(lambda: f"worker 0 of {name} (pid {pid}) was ended by SIGKILL" in home.daemon_log(),
              10, home.daemon_log)


def test_a_crash_loop_that_begins_late_ends_too(home):
    """pm2 counts only what happens in the first max_restarts * min_uptime (#1496)."""
    home.write("app.js", "if (require('fs').existsSync('broken')) process.exit(3);"
                         "require('net').createServer().listen(0)")
    home.start("app.js", "-n", "a", "--max-restarts", "3", "--min-uptime", "100",
               "--exp-backoff-restart-delay", "20")
    time.sleep(1)  # longer than 3 * 100 ms
    home.write("broken", "")
    kill(home.pids("a")[0])
    assert home.wait_status("a", "errored")[0].restarts >= 3


def test_a_crash_loop_backs_off_by_default(home):
    """It costs neither the processors nor the disk."""
    home.write("app.js", "process.exit(3)")
    home.cli("start", "app.js", "-n", "a", "--max-restarts", "1000")
    seen = set()
    until(lambda: seen.add(home.process("a").status) or "waiting restart" in seen, 10, str(seen))
    before = home.process("a").restarts
    time.sleep(2)
    assert home.process("a").restarts - before < 20


def test_a_restart_after_it_was_given_up(home):
    home.write("app.js", "if (!require('fs').existsSync('mended')) process.exit(3);"
                         "require('net').createServer().listen(0)")
    home.cli("start", "app.js", "-n", "a", "--max-restarts", "1", "--min-uptime", "20000",
             "--exp-backoff-restart-delay", "10")
    home.wait_status("a", "errored")
    home.write("mended", "")
    home.cli("restart", "a").ok()
    home.wait_status("a", "online")


def test_not_ready_in_time_is_an_error(home, port):
    """pm2 calls it online and sends it clients (#5716)."""
    home.program("ready.js")
    home.write("app.js", "process.argv[2] = '1000000'; require('./ready.js')")
    result = home.cli("start", "app.js", "-n", "a", "-i", "2", "--wait-ready",
                      "--listen-timeout", "800", "--max-restarts", "1", env={"PORT": port})
    assert result.code == 1, str(result)
    home.wait_status("a", "errored")
    assert get(port, timeout=1).outcome in ("refused", "hung")


def test_no_client_before_ready(home, port):
    home.write("app.js", """
let ready = false;
require('http').createServer((q, r) => r.end(JSON.stringify({ ready })))
  .listen(process.env.PORT, () => {
    console.log('listening');
    setTimeout(() => { ready = true; process.send('ready'); }, 1500);
  });""")
    process = home.start_aside("start", "app.js", "-n", "a", "-i", "2", "--wait-ready",
                               "--listen-timeout", "8000", env={"PORT": port})
    until(lambda: "listening" in home.log("a", number=0), 10, "the first to listen")
    reply = get(port)
    assert reply.outcome in ("ok", "refused")
    assert reply.outcome == "refused" or reply.json()["ready"]
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0


def test_the_instance_number_belongs_to_the_slot(home, port):
    """pm2 numbers them anew (#4502)."""
    home.start("plain.js", "-n", "a", "-i", "3", port=port)
    numbers = {one.id: one.env["NODE_APP_INSTANCE"] for one in home.jlist()}
    assert sorted(numbers.values()) == [0, 1, 2]
    middle = next(one for one in home.jlist() if one.env["NODE_APP_INSTANCE"] == 1)
    home.cli("delete", middle.id).ok()
    home.cli("scale", "a", "3").ok()
    home.cli("restart", "a").ok()
    home.wait_status("a", "online", 3)
    assert sorted(one.env["NODE_APP_INSTANCE"] for one in home.jlist()) == [0, 1, 2]
    assert {get(port).json()["instance"] for _ in range(30)} == {"0", "1", "2"}


def test_a_killed_worker_comes_back_in_its_slot(home, port):
    home.start("plain.js", "-n", "a", "-i", "2", port=port)
    victim = home.jlist()[1]
    kill(victim.pid)
    home.wait(lambda all_: all_[1].pid != victim.pid and all_[1].status == "online")
    again = home.jlist()[1]
    assert (again.id, again.env["NODE_APP_INSTANCE"], again.restarts) == \
        (victim.id, victim.env["NODE_APP_INSTANCE"], 1)


@pytest.mark.parametrize("mode", ["fork", "cluster"])
def test_children_end_with_their_worker(home, port, mode):
    """pm2 leaves them, and the port that they inherited stays taken (#6084)."""
    home.write("app.js", """
const { spawn } = require('child_process');
spawn('sleep', ['1000'], { stdio: 'ignore' });
spawn('sh', ['-c', 'sleep 1001 & sleep 1002 & exit 0'], { stdio: 'ignore' });
require('http').createServer((q, r) => r.end('{}')).listen(process.env.PORT);""")
    home.start("app.js", "-n", "a", *(["-i", "2"] if mode == "cluster" else []), port=port)
    count = 2 if mode == "cluster" else 1
    until(lambda: len(home.leftovers()) >= 1 + 4 * count, 10, lambda: home.leftovers())
    home.cli("stop", "a").ok()
    until(lambda: home.leftovers() == [home.daemon_pid()], 10, lambda: home.leftovers())
    home.cli("start", "a").ok()
    until(lambda: get(port).outcome == "ok", 10, "the port to serve again")


def test_children_of_a_worker_that_is_killed_end(home):
    home.write("app.js", "require('child_process').spawn('sleep', ['1000'], { stdio: 'ignore' });"
                         "require('net').createServer().listen(0)")
    home.start("app.js", "-n", "a", "--no-autorestart")
    until(lambda: len(home.leftovers()) == 3, 10, lambda: home.leftovers())
    kill(home.pids("a")[0])
    until(lambda: home.leftovers() == [home.daemon_pid()], 10, lambda: home.leftovers())


def test_no_treekill_ends_the_worker_alone(home):
    home.write("app.js", "require('child_process').spawn('sleep', ['30'], { stdio: 'ignore' });"
                         "require('net').createServer().listen(0)")
    home.start("app.js", "-n", "a", "--no-treekill")
    until(lambda: len(home.leftovers()) == 3, 10, lambda: home.leftovers())
    home.cli("stop", "a").ok()
    left = set(home.leftovers()) - {home.daemon_pid()}
    assert len(left) == 1
    kill(left.pop())


def test_whatever_ignores_its_signal_is_killed(home):
    home.write("app.js", "process.on('SIGINT', () => console.log('no')); require('net').createServer()"
                         ".listen(0);"
                         "console.log('up')")
    home.start("app.js", "-n", "a", "--kill-timeout", "2500")  # for it to hear the signal, too
    until(lambda: "up" in home.log("a"), 10, "its first line")
    pid = home.pids("a")[0]
    home.cli("stop", "a").ok()
    assert not procfs.alive(pid)
    until(lambda: "no" in home.log("a").splitlines(), 10, lambda: home.log("a"))


def environment_of(home, name):
    """The variables of a worker, as the kernel has them once its program runs."""
    pid = home.pids(name)[0]

    def look():
        with open(f"/proc/{pid}/environ", "rb") as file:
            pairs = [one.partition(b"=") for one in file.read().split(b"\0") if one]
        found = {key.decode(): value.decode() for key, _, value in pairs}
        return found if "pm_id" in found else None

    return until(look, 10, "the program to run")


def test_a_process_file_is_exactly_what_runs(home):
    """pm2 keeps a variable that was taken out of the file (#3192)."""
    home.write("app.js", "require('net').createServer().listen(0)")
    home.write("a.json", '{"name": "a", "script": "app.js", "env": {"OLD": "1", "KEPT": "1"}}')
    home.cli("start", "a.json").ok()
    assert environment_of(home, "a")["OLD"] == "1"
    home.write("a.json", '{"name": "a", "script": "app.js", "env": {"NEW": "1", "KEPT": "2"}}')
    for command in ("restart", "reload", "startOrReload", "start"):
        home.cli(command, "a.json").ok()
        variables = environment_of(home, "a")
        assert "OLD" not in variables and (variables["NEW"], variables["KEPT"]) == ("1", "2")


def test_update_env_is_the_callers(home):
    home.write("app.js", "require('net').createServer().listen(0)")
    home.start("app.js", "-n", "a", env={"ONE": "1"})
    home.cli("restart", "a", env={"TWO": "2"}).ok()
    assert "ONE" in environment_of(home, "a") and "TWO" not in environment_of(home, "a")
    home.cli("restart", "a", "--update-env", env={"TWO": "2"}).ok()
    assert "ONE" not in environment_of(home, "a") and environment_of(home, "a")["TWO"] == "2"


def test_a_worker_does_not_learn_of_another_ones_environment(home):
    home.write("app.js", "require('net').createServer().listen(0)")
    home.start("app.js", "-n", "a", env={"SECRET": "1"})
    home.start("app.js", "-n", "b", "-f")
    assert "SECRET" not in environment_of(home, "b")


def test_another_policy_than_round_robin(home, port):
    """pm2 has one (#4503), and no sticky sessions (#389)."""
    home.start("plain.js", "-n", "a", "-i", "3", "--policy", "hash", port=port)
    assert len({get(port).json()["pid"] for _ in range(12)}) == 1


def test_cluster_mode_is_for_any_program(home, port):
    """pm2's is for Node alone (#3260)."""
    home.write("app.py", """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = str(os.getpid()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        pass
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
""")
    home.write("a.json", '{"name": "a", "script": "app.py", "interpreter": "python3",'
                         '"instances": 2, "exec_mode": "cluster", "listen_timeout": 30000}')
    home.cli("start", "a.json", env={"PORT": port}).ok()
    home.wait_status("a", "online", 2)
    assert len({get(port).body for _ in range(20)}) == 2
    with Load(port, threads=4) as load:
        load.wait_more(50)
        home.cli("reload", "a").ok()
        load.wait_more(50)
    assert outcomes(load.replies) == {"ok": len(load.replies)}


@pytest.mark.parametrize("mode", ["cluster", "fork"])
def test_a_port_that_another_app_has(home, port, mode):
    """Whose it is is the first question, and the answer is known here."""
    home.program("plain.js")
    home.start("plain.js", "-n", "api", *(["-x"] if mode == "fork" else ["-i", "2"]), port=port)
    until(lambda: get(port).outcome == "ok", 10, "it listens")
    result = home.cli("start", "plain.js", "-n", "web", "-i", "2", env={"PORT": str(port)}).failed()
    said = f"web: [::]:{port} is in use by the app 'api'"
    assert said in result.out + result.err and said in home.daemon_log()
    assert get(port).outcome == "ok"
