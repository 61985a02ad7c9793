"""What restarts by itself loses nobody: for its memory, its health, the time, or a changed file."""
import json

import pytest

from support import procfs
from support.clients import Load, get, open_socket, request_bytes
from support.loads import KINDS, PATIENT, all_ok, load_until
from support.ports import free_port
from support.wait import until


@pytest.fixture
def port():
    return free_port()

@KINDS
def test_the_memory_limit_drains(home, port, kind):
    """Looked at every second, and nobody is lost, for it is a reload."""
    home.program("graceful.js")
    home.write("app.js", """
const fs = require('fs');
const kept = [];
setInterval(() => {
  if (kept.length === 0 && fs.existsSync('grow' + process.pid)) kept.push(Buffer.alloc(200e6, 1));
}, 20).unref();
require('./graceful.js');""")
    home.start("app.js", "-n", "web", "-i", "2", *PATIENT, "--max-memory-restart",
               "150M", port=port)

    def grow():
        before = home.pids("web")
        home.write(f"grow{before[0]}", "")
        home.wait(lambda all_: len({one.pid for one in all_} & set(before)) == 1
                  and all(one.status == "online" for one in all_))

    with kind(port, threads=4, path="/sleep/5") as load:
        load_until(load, grow)
    all_ok(load)
    first, second = home.jlist()
    assert first.restarts >= 2 and second.restarts == 0
    until(lambda: "max-memory-restart" in (home.jlist()[0].baton["reason"] or ""), 15,
          "why the last one was replaced")


@KINDS
def test_cron_restarts_lose_nobody(home, port, kind):
    def wait_for_others():
        before = set(home.pids("web"))
        home.wait(lambda all_: not before & {one.pid for one in all_})

    home.start("graceful.js", "-n", "web", "-i", "2", *PATIENT, "--cron-restart",
               "*/2 * * * * *", port=port)
    with kind(port, threads=4, path="/sleep/5") as load:
        load_until(load, wait_for_others)
    all_ok(load)


@KINDS
def test_watch_loses_nobody(home, port, kind):
    def change():
        before = set(home.pids("web"))
        versions.append(str(len(versions)))
        home.replace("watched/app.js",
                     f"process.argv[2] = '{versions[-1]}'; require('../graceful.js')")
        home.wait(lambda all_: not before & {one.pid for one in all_}
                  and all(one.status == "online" for one in all_))
        assert get(port).json()["version"] == versions[-1]

    versions = ["0"]
    home.program("graceful.js")
    home.write("watched/app.js", "require('../graceful.js')")
    home.write("apps.json", json.dumps({
        "name": "web", "script": "watched/app.js", "instances": 2, "exec_mode": "cluster",
        "port": port, "watch": ["watched"]}))
    home.cli("start", "apps.json").ok()
    with kind(port, threads=4, path="/sleep/5") as load:
        load_until(load, change)
    all_ok(load)


def test_an_unhealthy_worker_is_replaced(home, port):
    """It lives, and answers no more: `health` restarts it, and whoever it serves may finish."""
    home.write("app.js", """
const http = require('http');
let ill = false;
http.createServer((request, response) => {
  if (request.url === '/ill') ill = true;
  if (request.url === '/health' && ill) return response.writeHead(503).end();
  response.end(JSON.stringify({ pid: process.pid }));
}).listen(process.env.PORT);""")
    home.write("apps.json", """{"name": "web", "script": "app.js", "instances": 2,
        "exec_mode": "cluster", "port": %d,
        "health": {"path": "/health", "interval": 200, "failures": 3}}""" % port)
    home.cli("start", "apps.json").ok()
    before = home.pids("web")
    with Load(port, threads=2) as load:
        ill = get(port, "/ill").json()["pid"]
        home.wait(lambda all_: ill not in {one.pid for one in all_}
                  and all(one.status == "online" for one in all_))
        load.wait_more(50)
    all_ok(load)
    assert len(set(before) & set(home.pids("web"))) == 1
    (number,) = [one.id for one in home.jlist() if one.pid not in before]
    assert "status 503" in home.cli("describe", number).ok().out
    until(lambda: "unhealthy" in (home.jlist()[number].baton["reason"] or ""), 15, "its reason")


HUNG = """
const http = require('http');
http.createServer((request, response) => {
  if (request.url === '/hang') for (;;);
  response.end(JSON.stringify({ pid: process.pid }));
}).listen(process.env.PORT);"""


def hang_and_wait(home, port, timeout=15):
    """Has a worker hang, and waits for its successor; who it was."""
    before = set(home.pids("web"))
    client = open_socket(port)
    client.sendall(request_bytes("/hang"))
    home.wait(lambda all_: len(before - {one.pid for one in all_}) == 1
              and all(one.status == "online" for one in all_), timeout)
    (hung,) = before - set(home.pids("web"))
    until(lambda: not procfs.alive(hung), 30, "the end of the one that hangs")
    client.close()


@pytest.mark.parametrize("intercept", ["node", "node-fast"])
def test_a_worker_that_hangs_is_replaced(home, port, intercept):
    """It takes no client any more, and its probe must not be answered by another."""
    home.write("app.js", HUNG)
    home.write("apps.json", json.dumps({
        "name": "web", "script": "app.js", "instances": 2, "exec_mode": "cluster", "port": port,
        "intercept": intercept, "kill_timeout": 300, "drain_timeout": 1000,
        "health": {"path": "/", "interval": 200, "timeout": 3000, "failures": 2}}))
    home.cli("start", "apps.json").ok()
    hang_and_wait(home, port)
    assert {one.restarts for one in home.jlist()} == {0, 1}


def test_the_health_of_one_in_fork_mode(home, port):
    home.write("app.js", HUNG)
    description = {"name": "web", "script": "app.js", "exec_mode": "fork", "kill_timeout": 300,
                   "env": {"PORT": str(port)},
                   "health": {"path": "/", "interval": 200, "timeout": 3000, "failures": 2}}
    home.write("apps.json", json.dumps(description))
    assert "health needs a port" in home.cli("start", "apps.json").failed().err
    assert "health needs a port" in home.cli("validate", "apps.json").failed().err
    description["health"]["port"] = port
    home.write("apps.json", json.dumps(description))
    home.cli("start", "apps.json").ok()
    until(lambda: get(port).outcome == "ok", 10, "it to serve")
    until(lambda: home.process("web").baton["health"]["state"] == "healthy", 10, "its health")
    hang_and_wait(home, port)
    until(lambda: home.process("web").baton["health"]["state"] == "healthy", 10, "its health")
