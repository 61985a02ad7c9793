"""A version that does not come up leaves the one before, which serves on."""
import json

import pytest

from support.clients import Load, get
from support.loads import all_ok
from support.ports import free_port
from support.wait import until

BROKEN = {
    "throws": ("throw new Error('broken on purpose');", "broken on purpose"),
    "never listens": ("console.log('I just sit here'); setInterval(() => {}, 1000);",
                      "I just sit here"),
    "dies young": ("const http = require('http'); http.createServer(() => {})"
                   ".listen(process.env.PORT, () => setTimeout(() => {"
                   "console.error('short of breath'); process.exit(3); }, 200));",
                   "short of breath"),
}

@pytest.fixture
def port():
    return free_port()

@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_version_leaves_the_old_one(home, port, name):
    program, words = BROKEN[name]
    home.program("graceful.js")
    home.write("app.js", "require('./graceful.js')")
    before = home.start("app.js", "-n", "web", "-i", "2", "--listen-timeout", "6000",
                        "--min-uptime", "60000", port=port)
    home.write("app.js", program)
    with Load(port, threads=4, path="/sleep/2") as load:
        load.wait_more(50)
        result = home.cli("reload", "web").failed()  # and not only after min_uptime
        load.wait_more(100)
    all_ok(load)
    assert words in result.out + result.err, str(result)
    after = home.wait_status("web", "online", 2)
    assert [one.pid for one in after] == [one.pid for one in before]
    assert [one.restarts for one in after] == [0, 0], "nothing was replaced"
    assert get(port).outcome == "ok"


@pytest.mark.parametrize("program, words", [
    ("throw new Error('broken on purpose');", ["broken on purpose"]),
    ("setInterval(() => {}, 1000);", []),
], ids=["speaks", "is silent"])
def test_the_lines_shown_are_those_of_the_new_version(home, port, program, words):
    """Though the old one goes on printing, and has printed last."""
    home.write("app.js", "setInterval(() => console.log('the old one chatters'), 1);"
                         "require('http').createServer().listen(process.env.PORT)")
    home.start("app.js", "-n", "web", "-i", "2", "--listen-timeout", "6000", port=port)
    home.write("app.js", program)
    shown = home.cli("reload", "web").failed()
    assert "the old one chatters" not in shown.out + shown.err, str(shown)
    assert all(word in shown.out + shown.err for word in words), str(shown)


def test_a_version_that_never_says_ready_leaves_the_old_one(home, port):
    home.program("ready.js")
    home.write("app.js", "process.argv[2] = '10'; require('./ready.js')")
    before = home.start("app.js", "-n", "web", "-i", "2", "--wait-ready", "--listen-timeout",
                        "6000", port=port)
    home.write("app.js", "process.argv[2] = '1000000'; require('./ready.js')")
    with Load(port, threads=4) as load:
        load.wait_more(50)
        home.cli("reload", "web").failed()
        load.wait_more(50)
    all_ok(load)
    assert home.pids("web") == [one.pid for one in before]


def test_a_mended_version_can_be_reloaded_after_a_broken_one(home, port):
    home.program("graceful.js")
    home.write("app.js", "require('./graceful.js')")
    before = home.start("app.js", "-n", "web", "-i", "2", port=port)
    home.write("app.js", "throw new Error('broken')")
    home.cli("reload", "web").failed()
    home.write("app.js", "process.argv[2] = '2'; require('./graceful.js')")
    home.cli("reload", "web").ok()
    assert not {one.pid for one in before} & set(home.pids("web"))
    assert get(port).json()["version"] == "2"


def test_a_broken_version_is_not_restarted_into(home, port):
    """`restart` stops before it starts: what remains is the other one, which serves."""
    home.program("graceful.js")
    home.write("app.js", "require('./graceful.js')")
    home.start("app.js", "-n", "web", "-i", "2", port=port)
    home.write("app.js", "throw new Error('broken on purpose')")
    with Load(port, threads=4, path="/sleep/2") as load:
        load.wait_more(50)
        result = home.cli("restart", "web").failed()
        load.wait_more(50)
    all_ok(load)
    assert "broken on purpose" in result.out + result.err

def test_a_version_whose_health_fails_leaves_the_old_one(home, port):
    home.program("graceful.js")
    home.write("app.js", "require('./graceful.js')")
    home.write("apps.json", json.dumps({
        "name": "web", "script": "app.js", "instances": 2, "exec_mode": "cluster", "port": port,
        "listen_timeout": 6000, "health": {"path": "/health", "interval": 60000}}))
    home.cli("start", "apps.json").ok()
    before = home.pids("web")
    home.write("app.js", "console.log('not well'); require('http').createServer((q, r) => "
                         "r.writeHead(500).end()).listen(process.env.PORT)")
    with Load(port, threads=2) as load:
        load.wait_more(20)
        result = home.cli("reload", "web").failed()
        load.wait_more(20)
    all_ok(load)
    assert "status 500" in result.err and "not well" in result.err
    assert home.pids("web") == before
    home.write("app.js", "process.argv[2] = '2'; require('./graceful.js')")
    home.cli("reload", "web").ok()
    assert get(port).json()["version"] == "2" and not set(before) & set(home.pids("web"))


def test_a_version_whose_health_fails_is_seen(home, port):
    """It is tried again and again, and what there is serves."""
    home.write("app.js", "require('http').createServer((q, r) => r.writeHead(q.url === '/health' ?"
                         "500 : 200).end('{}')).listen(process.env.PORT)")
    home.write("apps.json", json.dumps({
        "name": "web", "script": "app.js", "instances": 2, "exec_mode": "cluster", "port": port,
        "listen_timeout": 4000, "health": {"path": "/health", "interval": 200, "failures": 2}}))
    home.cli("start", "apps.json").ok()
    with Load(port, threads=2) as load:
        until(lambda: home.daemon_log().count("could not be replaced") >= 2, 60, home.daemon_log)
        load.wait_more(20)
    all_ok(load)
    until(lambda: "status 500" in home.cli("describe", 0).ok().out, 15, "its reason")
