"""Nobody loses a request: reload, restart, scale and stop under load, one and several at once."""
import json
import subprocess

import pytest

from support import procfs
from support.clients import KeptLoad, Load, get, open_socket, outcomes, read_reply, request_bytes
from support.loads import KINDS, PATIENT, all_ok, load_until
from support.ports import free_port
from support.wait import until


@pytest.fixture
def port():
    return free_port()

def reload_under(home, kind, port):
    with kind(port, threads=8, path="/sleep/5") as load:
        load_until(load, lambda: home.cli("reload", "web").ok())
    all_ok(load)

@KINDS
def test_reload_of_a_graceful_app_loses_nobody(home, port, kind):
    before = home.start("graceful.js", "-n", "web", "-i", "2", *PATIENT, port=port)
    reload_under(home, kind, port)
    after = home.wait_status("web", "online", 2)
    assert not {one.pid for one in before} & {one.pid for one in after}
    until(lambda: not any(procfs.alive(one.pid) for one in before), 15, "the old ones' end")


def test_reload_of_an_app_without_a_handler_loses_no_short_connection(home, port):
    home.start("plain.js", "-n", "web", "-i", "2", *PATIENT, port=port)
    reload_under(home, Load, port)


def test_reload_of_an_app_that_knows_the_shutdown_message(home, port):
    """It has its clients close their connections, before Node would: "disconnect" closes those that
    are idle, though a client may just have asked."""
    home.write("app.js", """
let ends = false;
const server = require('http').createServer((request, response) => {
  if (ends) response.setHeader('Connection', 'close');
  setTimeout(() => response.end('{}'), 5);
});
let open = 0;
server.on('connection', (socket) => { open++; socket.on('close', () => { open--; }); });
server.keepAliveTimeout = 0;
server.listen(process.env.PORT);
process.on('message', (message) => {
  if (message !== 'shutdown') return;
  ends = true;
  setInterval(() => { if (open === 0) server.close(); }, 10);
});""")
    before = home.start("app.js", "-n", "web", "-i", "2", *PATIENT,
                        "--shutdown-with-message", port=port)
    reload_under(home, KeptLoad, port)
    until(lambda: not any(procfs.alive(one.pid) for one in before), 15, "the old ones' end")


def test_reload_serves_the_new_version(home, port):
    home.program("graceful.js")
    home.write("app.js", "process.argv[2] = '1'; require('./graceful.js')")
    home.start("app.js", "-n", "web", "-i", "2", *PATIENT, port=port)
    assert get(port).json()["version"] == "1"
    home.write("app.js", "process.argv[2] = '2'; require('./graceful.js')")
    home.cli("reload", "web").ok()
    assert {get(port).json()["version"] for _ in range(10)} == {"2"}


@pytest.mark.parametrize("action", ["reload", "restart"])
@KINDS
def test_never_fewer_than_all_but_one_are_ready(home, port, action, kind):
    home.start("graceful.js", "-n", "web", "-i", "4", *PATIENT, port=port)
    with kind(port, threads=4, path="/sleep/2") as load:
        load.wait_more(50)
        process = home.start_aside(action, "web")
        counts = [4]
        while process.poll() is None:
            counts.append(sum(one.status == "online" for one in home.jlist()))
        load.wait_more(50)
    assert process.returncode == 0, process.communicate()
    assert min(counts) >= 3, counts
    all_ok(load)


@KINDS
def test_restart_of_several_loses_nobody(home, port, kind):
    home.start("graceful.js", "-n", "web", "-i", "2", *PATIENT, port=port)
    with kind(port, threads=8, path="/sleep/5") as load:
        load_until(load, lambda: home.cli("restart", "web").ok())
    all_ok(load)


@KINDS
def test_scale_loses_nobody(home, port, kind):
    def scale():
        for count in ("4", "1", "3", "+1", "-2"):
            load.wait_more(50)
            home.cli("scale", "web", count).ok()

    home.start("graceful.js", "-n", "web", "-i", "2", *PATIENT, port=port)
    with kind(port, threads=8, path="/sleep/5") as load:
        load_until(load, scale, 1)
    all_ok(load)
    home.wait_status("web", "online", 2)


def test_scale_ends_the_highest_slots(home, port):
    """pm2 ends the oldest: instance 0 stays here, for it may be the one with special duties."""
    before = home.start("graceful.js", "-n", "web", "-i", "3", *PATIENT, port=port)
    home.cli("scale", "web", "1").ok()
    (left,) = home.wait_status("web", "online", 1)
    assert (left.pid, left.env["NODE_APP_INSTANCE"]) == (before[0].pid, 0)


def test_scale_counts_the_app_whatever_it_is_called(home):
    home.write("idle.js", "setInterval(() => {}, 1000)")
    home.write("apps.json", json.dumps([{"name": name, "script": "idle.js", "namespace": "both"}
                                        for name in ("a", "b")]))
    home.cli("start", "apps.json").ok()
    assert "one app" in home.cli("scale", "both", "1").failed().err
    home.cli("scale", "0", "2").ok()
    assert "Nothing to do" in home.cli("scale", "0", "2").failed().err
    home.wait_status("a", "online", 2)
    home.wait_status("b", "online", 1)


@KINDS
def test_stop_of_some_loses_nobody(home, port, kind):
    def stop_and_start():
        for number in (0, 1):
            home.cli("stop", number).ok()
            load.wait_more(50)
            home.cli("start", number).ok()
            home.wait_status("web", "online", 3)

    home.start("graceful.js", "-n", "web", "-i", "3", *PATIENT, port=port)
    with kind(port, threads=8, path="/sleep/5") as load:
        load_until(load, stop_and_start)
    all_ok(load)


def test_stop_lets_requests_finish(home, port):
    home.start("graceful.js", "-n", "web", "-i", "2", *PATIENT, port=port)
    clients = [open_socket(port) for _ in range(4)]
    for client in clients:
        client.sendall(request_bytes("/sleep/1000"))
    assert get(port).outcome == "ok"
    home.cli("stop", "web").ok()
    assert outcomes(map(read_reply, clients)) == {"ok": 4}
    assert get(port).outcome == "refused"


def test_delete_lets_requests_finish(home, port):
    home.start("plain.js", "-n", "web", "-i", "2", *PATIENT, port=port)
    client = open_socket(port)
    client.sendall(request_bytes("/sleep/1000"))
    assert get(port).outcome == "ok"
    home.cli("delete", "web").ok()
    assert read_reply(client).outcome == "ok"
    assert home.jlist() == []

def test_overlapping_reloads_queue_or_refuse(home, port):
    home.start("graceful.js", "-n", "web", "-i", "3", *PATIENT, port=port)
    with Load(port, threads=8, path="/sleep/5") as load:
        load.wait_more(50)
        reloads = [home.start_aside("reload", "web") for _ in range(4)]
        codes = [_code(one) for one in reloads]
        load.wait_more(50)
    assert set(codes) <= {0, 1} and 0 in codes
    all_ok(load)
    assert_no_orphan(home, "web", 3)


def test_reload_and_scale_and_stop_at_once(home, port):
    home.start("graceful.js", "-n", "web", "-i", "3", *PATIENT, port=port)
    words = [("reload", "web"), ("scale", "web", "5"), ("restart", "web"), ("scale", "web", "2")]
    codes = [_code(one) for one in [home.start_aside(*each) for each in words]]
    assert set(codes) <= {0, 1}
    home.wait_settled()
    assert get(port).outcome == "ok"
    home.cli("stop", "web").ok()
    assert_no_orphan(home, "web", 0)


@pytest.mark.parametrize("action", ["restart", "reload", "start"])
def test_what_is_being_removed_is_not_started_again(home, port, action):
    home.start("graceful.js", "-n", "web", "-i", "2", *PATIENT, port=port)
    clients = [open_socket(port) for _ in range(2)]
    for client in clients:
        client.sendall(request_bytes("/sleep/1500"))
    scale = home.start_aside("scale", "web", "1")
    until(lambda: [one.status for one in home.jlist()] == ["online", "stopping"], 30, home.jlist)
    late = home.start_aside(action, "1")
    assert _code(scale) == 0
    assert _code(late) in (0, 1)
    assert [one.id for one in home.jlist()] == [0]
    assert outcomes(map(read_reply, clients)) == {"ok": 2}
    assert_no_orphan(home, "web", 1)


def _code(process):
    try:
        process.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        raise AssertionError(f"{process.args} does not end") from None
    return process.returncode


def assert_no_orphan(home, name, count):
    """No process is left but the daemon and the workers that the list knows."""
    known = {one.pid for one in home.jlist() if one.name == name and one.status == "online"}
    assert len(known) == count
    until(lambda: set(home.leftovers()) == known | {home.daemon_pid()}, 15,
          lambda: f"{home.leftovers()}, {known}, {home.daemon_pid()}")


def test_a_reload_goes_on_without_its_client(home, port):
    before = home.start("graceful.js", "-n", "web", "-i", "3", *PATIENT, port=port)
    process = home.start_aside("reload", "web")
    until(lambda: process.poll() is not None or
          len(procfs.children(home.daemon_pid())) > len(before), 15, "the first new one")
    process.kill()
    process.communicate()
    home.wait(lambda all_: len(all_) == 3 and all(one.status == "online" for one in all_)
              and not {one.pid for one in all_} & {one.pid for one in before})

def test_a_reload_waits_for_its_own_renewal(home, port):
    """Of one that began before, with the old settings, it must not take the end for its own."""
    home.program("graceful.js")
    home.write("app.js", "setTimeout(() => require('./graceful.js'), 400)")
    home.start("app.js", "-n", "web", "-i", "1", *PATIENT, port=port)
    first = home.start_aside("reload", "web")
    home.wait(lambda all_: all_[0].restarts == 1)
    home.replace("app.js",
                 "process.argv[2] = '2'; setTimeout(() => require('./graceful.js'), 400)")
    home.cli("reload", "web").ok()
    assert get(port).json()["version"] == "2"
    assert _code(first) == 0


def test_parallel_is_the_number_of_apps_at_once(home):
    home.write("idle.js", "setTimeout(() => require('net').createServer().listen(0), 300)")
    home.write("apps.json", json.dumps([
        {"name": name, "script": "idle.js", "instances": 2, "exec_mode": "cluster"}
        for name in ("a", "b", "c")]))
    home.cli("start", "apps.json").ok()
    for action in ("restart", "reload"):
        counts = {one.id: one.restarts for one in home.jlist()}
        process = home.start_aside(action, "all", "--parallel", "1")
        most = 0
        while process.poll() is None:
            renewed = [one for one in home.jlist() if one.restarts > counts[one.id]]
            by_app = {name: sum(one.name == name for one in renewed) for name in "abc"}
            most = max(most, sum(count == 1 for count in by_app.values()))
        assert process.returncode == 0, process.communicate()
        assert most <= 1, "one app is finished before the next begins"


def test_apps_wait_for_what_they_depend_on(home, port):
    home.program("ready.js")
    home.write("late.js", "process.argv[2] = '1000'; require('./ready.js')")
    home.write("apps.json", """{"apps": [
        {"name": "front", "script": "idle.js", "depends_on": ["back"]},
        {"name": "back", "script": "late.js", "instances": 1, "exec_mode": "cluster",
         "wait_ready": true, "listen_timeout": 8000}]}""")
    home.write("idle.js", "require('net').createServer().listen(0)")
    home.cli("start", "apps.json", env={"PORT": port}).ok()
    front, back = home.process("front"), home.process("back")
    assert front.status == back.status == "online"
    assert procfs.started(front.pid) >= procfs.started(back.pid) + 0.9
