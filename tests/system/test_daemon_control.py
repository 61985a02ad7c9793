"""The control API: what it answers, whom it lets in, and what it does with garbage."""
import http.client
import json
import os
import socket
import stat
import subprocess
import sys
import time

import pytest

from support import procfs
from support.clients import connect_unix
from support.daemon import UnixConnection, kill
from support.ports import free_port
from support.primary import SANITIZED
from support.routes import CHANGING, READING
from support.wait import PATIENCE, until

IDLE = "require('net').createServer().listen(0)"


@pytest.fixture
def daemon(home):
    """A home with a daemon and one app."""
    home.write("idle.js", IDLE)
    home.start("idle.js", "-n", "a", "-i", "2")
    return home


def code_of(answer):
    return answer[1]["error"]["code"]


def test_the_daemon_says_who_it_is(daemon):
    status, answer = daemon.api("GET", "/v1")
    assert (status, answer["name"], answer["api"]) == (200, "baton", 1)
    assert (answer["pid"], answer["home"]) == (daemon.daemon_pid(), str(daemon.path))
    assert answer["uptime_ms"] >= 0 and answer["version"]


def test_processes_are_what_jlist_prints(daemon):
    status, answer = daemon.api("GET", "/v1/processes")
    assert status == 200
    listed = [one.entry for one in daemon.jlist()]
    assert [one["pm_id"] for one in answer] == [0, 1]
    for ours, theirs in zip(answer, listed):
        assert set(theirs) <= set(ours)
        assert set(theirs["pm2_env"]) == set(ours["pm2_env"])
    for target, count in (("a", 2), ("0", 1), ("all", 2), ("/^a/", 2), ("default", 2)):
        assert len(daemon.api("GET", f"/v1/processes?target={target}")[1]) == count
    assert code_of(daemon.api("GET", "/v1/processes?target=nope")) == "unknown_target"


@pytest.mark.parametrize("method, target, body, status, code", [
    ("GET", "/v1/nope", None, 404, "not_found"),
    ("GET", "/", None, 404, "not_found"),
    ("GET", "/v2/processes", None, 404, "not_found"),
    ("DELETE", "/v1/processes", None, 405, "method_not_allowed"),
    ("GET", "/v1/actions/stop", None, 405, "method_not_allowed"),
    ("POST", "/v1/actions/frobnicate", {"targets": ["a"]}, 404, "not_found"),
    ("POST", "/v1/actions/stop", {"targets": ["nope"]}, 404, "unknown_target"),
    ("POST", "/v1/actions/stop", {"targets": "a"}, 400, "bad_request"),
    ("POST", "/v1/actions/stop", {}, 400, "bad_request"),
    ("POST", "/v1/actions/stop", [], 400, "bad_request"),
    ("POST", "/v1/actions/stop", b"{broken", 400, "bad_request"),
    ("POST", "/v1/actions/stop", b"\xff\xfe", 400, "bad_request"),
    ("POST", "/v1/actions/stop", b"[" * 100_000, 400, "bad_request"),
    ("POST", "/v1/actions/scale", {"targets": ["a"], "instances": "x"}, 400, "bad_request"),
    ("POST", "/v1/actions/scale", {"targets": ["a"], "instances": 100_000_000}, 400, "bad_request"),
    ("POST", "/v1/actions/signal", {"targets": ["a"], "signal": "NOPE"}, 400, "bad_request"),
    ("POST", "/v1/actions/signal", {"targets": ["a"], "signal": 0}, 400, "bad_request"),
    ("POST", "/v1/actions/signal", {"targets": ["a"], "signal": 2 ** 32 + 9}, 400, "bad_request"),
    ("POST", "/v1/apps", {"apps": [{"name": "x"}]}, 400, "bad_app"),
    ("POST", "/v1/apps", {"apps": [{"script": "/nonexistent.js"}]}, 400, "bad_app"),
    ("POST", "/v1/apps", {"apps": [{"script": "/x.js", "instances": "many"}]}, 400, "bad_app"),
])
def test_errors_are_sentences(daemon, method, target, body, status, code):
    answer = daemon.api(method, target, body)
    assert (answer[0], code_of(answer)) == (status, code), answer
    assert len(answer[1]["error"]["message"]) > 5
    assert len(daemon.jlist()) == 2


@pytest.mark.parametrize("host", ["evil", "evil.example:80", "127.0.0.1", "localhost.evil"])
def test_another_host_is_refused_on_every_route(daemon, host):
    for method, targets in (("GET", READING), ("POST", CHANGING), ("GET", ["/", "/nope"])):
        for target in targets:
            body = {"targets": ["all"]} if method == "POST" else None
            status, _ = daemon.api(method, target, body, {"Host": host})
            assert status == 421, target
    assert [one.status for one in daemon.jlist()] == ["online"] * 2


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "",
                                  "multipart/form-data", "application/json5"])
def test_only_json_is_taken(daemon, kind):
    for target in CHANGING:
        status, _ = daemon.api("POST", target, b'{"targets": ["all"]}', {"Content-Type": kind})
        assert status == 415, target
    assert [one.status for one in daemon.jlist()] == ["online"] * 2


@pytest.mark.parametrize("announced", [True, False], ids=["length", "chunked"])
def test_a_body_may_have_8_mebibytes(daemon, announced):
    connection = UnixConnection(str(daemon.socket_path()))
    body = b'{"targets": ["' + b"x" * (10 << 20) + b'"]}'
    try:
        connection.request("POST", "/v1/actions/stop", body if announced else iter([body]),
                           {"Host": "localhost", "Content-Type": "application/json"},
                           encode_chunked=not announced)
        assert connection.getresponse().status == 413
    except (BrokenPipeError, ConnectionResetError):
        pass  # it did not wait for the rest
    finally:
        connection.close()
    assert daemon.api("GET", "/v1")[0] == 200


def test_nobody_else_can_reach_the_socket(daemon, unprivileged):
    assert stat.S_IMODE(daemon.path.stat().st_mode) == 0o700
    assert stat.S_IMODE(daemon.socket_path().stat().st_mode) == 0o600
    assert stat.S_IMODE((daemon.path / "daemon.log").stat().st_mode) == 0o600
    assert "Permission" in as_another(daemon, unprivileged)


def test_another_user_is_refused_although_the_modes_let_it_in(daemon, unprivileged):
    daemon.root.chmod(0o755)
    daemon.path.chmod(0o755)
    daemon.socket_path().chmod(0o666)
    answer = as_another(daemon, unprivileged)
    assert any(word in answer for word in ("403", "reset", "Broken pipe")), answer
    assert len(daemon.jlist()) == 2


def as_another(daemon, wrap):
    """What somebody else is told who wants the list."""
    program = ("import socket, sys\n"
               "s = socket.socket(socket.AF_UNIX)\n"
               "try:\n"
               "    s.connect(sys.argv[1])\n"
               "    s.sendall(b'GET /v1/processes HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n')\n"
               "    print(s.recv(4096).decode())\n"
               "except OSError as error:\n"
               "    print(error)\n")
    done = subprocess.run([*wrap, sys.executable, "-c", program, daemon.socket_path()],
                          capture_output=True, text=True, timeout=PATIENCE, check=False, cwd="/")
    return done.stdout + done.stderr


def open_control(daemon):
    return connect_unix(str(daemon.socket_path()))


GARBAGE = [
    b"\x00" * 100, os.urandom(2000), b"GET", b"GET / HTTP/9.9\r\n\r\n", b"\r\n" * 1000,
    b"GET /v1 HTTP/1.1\r\n\r\n", b"GET /v1 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET /v1 HTTP/1.1\nHost: localhost\n\n", b"GET " + b"/" * 100_000 + b" HTTP/1.1\r\n",
    b"GET /v1 HTTP/1.1\r\n" + b"X: y\r\n" * 10_000,
    b"POST /v1/kill HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding : chunked\r\nContent-Length: 2\r\n\r\n{}",
    b"POST /v1/kill HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    b"POST /v1/kill HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: 99999999999999999999\r\n\r\n",
    b"POST /v1/kill HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: 10\r\n\r\n{",
]


@pytest.mark.parametrize("number", range(len(GARBAGE)))
def test_garbage(daemon, number):
    client = open_control(daemon)
    try:
        client.sendall(GARBAGE[number])
        client.shutdown(socket.SHUT_WR)
        answer = client.recv(100)
        assert answer == b"" or b"HTTP/1.1 4" in answer or b"HTTP/1.1 5" in answer, answer
    except (BrokenPipeError, ConnectionResetError):
        pass
    client.close()
    assert len(daemon.jlist()) == 2


def test_a_thousand_clients(daemon):
    """Silent ones, half requests and garbage, while others are served."""
    pid = daemon.daemon_pid()
    before = procfs.own_kilobytes(pid)
    beginnings = [b"", b"GET /v1 HT", GARBAGE[0],
                  b"POST /v1/kill HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                  b"Content-Length: 8000000\r\n\r\n" + b"x" * 10_000]
    clients = []
    for index in range(1000):
        client = open_control(daemon)
        client.setblocking(False)
        try:
            client.send(beginnings[index % len(beginnings)])
        except OSError:
            pass
        clients.append(client)
    for _ in range(3):
        assert daemon.cli("jlist").code == 0
    assert SANITIZED or procfs.own_kilobytes(pid) - before < 64 * 1024
    for client in clients:
        client.close()
    until(lambda: procfs.descriptors(pid) < 100, 10, lambda: procfs.descriptors(pid))
    assert daemon.daemon_pid() == pid


def test_bodies_of_10_megabytes_at_once(daemon):
    pid = daemon.daemon_pid()
    clients = []
    head = (b"POST /v1/apps HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 8388608\r\n\r\n")
    for _ in range(20):
        client = open_control(daemon)
        client.settimeout(0.5)
        try:
            client.sendall(head + b" " * (8 << 20 - 1))
        except OSError:
            pass
        clients.append(client)
    assert daemon.cli("jlist").code == 0
    assert SANITIZED or procfs.resident_kilobytes(pid) < 120_000, "all bodies together at most 64 MiB"
    for client in clients:
        client.close()
    assert daemon.daemon_pid() == pid


class Events:
    """Server-sent events as they come."""

    def __init__(self, home, target, method="GET", body=None):
        self.connection = UnixConnection(str(home.socket_path()), 30)
        headers = {"Host": "localhost", "Accept": "text/event-stream"}
        if body is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(body)
        self.connection.request(method, target, body, headers)
        self.response = self.connection.getresponse()

    def __iter__(self):
        name, data = "", ""
        for line in iter(self.response.readline, b""):
            text = line.decode().rstrip("\n")
            if text.startswith("event: "):
                name = text[7:]
            elif text.startswith("data: "):
                data += text[6:]
            elif not text and name:
                yield name, json.loads(data)
                name, data = "", ""

    def close(self):
        self.connection.close()


def test_an_action_reports_its_progress(daemon):
    events = Events(daemon, "/v1/actions/reload", "POST", {"targets": ["a"]})
    assert events.response.status == 200
    assert events.response.headers["Content-Type"].startswith("text/event-stream")
    seen = list(events)
    assert seen[-1][0] == "result" and seen[-1][1]["status"] == 200
    assert [one["pm_id"] for one in seen[-1][1]["body"]["processes"]] == [0, 1]
    progress = [data for name, data in seen if name == "progress"]
    assert progress and progress[-1]["done"] == progress[-1]["of"] == 2
    events.close()


def test_events_tell_what_happens(daemon):
    events = Events(daemon, "/v1/events?target=a")
    victim = daemon.pids("a")[0]
    kill(victim, 9)
    seen = []
    for name, data in events:
        if name == "process" and data["pm_id"] == 0:
            seen.append(data)
            if data["status"] == "online" and data["pid"] != victim:
                break
    assert all(one["name"] == "a" for one in seen)
    events.close()


def test_each_change_of_a_process_is_told_once(daemon):
    """From its start until it is forgotten."""
    daemon.write("one.js", IDLE)
    events = Events(daemon, "/v1/events?target=one")
    seen = []

    def wait_for(status):
        for name, data in events:
            assert (name, data["name"]) == ("process", "one")
            seen.append((data["status"], data["pid"]))
            if data["status"] == status:
                return

    daemon.start("one.js", "-n", "one", "-i", "1")
    wait_for("online")
    first = daemon.pids("one")[0]
    daemon.cli("restart", "one").ok()
    wait_for("online")
    second = daemon.pids("one")[0]
    daemon.cli("reload", "one").ok()
    wait_for("online")
    third = daemon.pids("one")[0]
    daemon.cli("stop", "one").ok()
    wait_for("stopped")
    daemon.cli("delete", "one").ok()
    wait_for("deleted")
    assert seen == [("launching", first), ("online", first), ("stopping", 0), ("launching", second),
                    ("online", second), ("online", third), ("stopping", 0), ("stopped", 0),
                    ("deleted", 0)]
    events.close()


def test_logs_are_events_too(daemon):
    daemon.write("talk.js", "require('net').createServer().listen(0); let n = 0;"
                            "setInterval(() => console.log(`line ${n++}`), 20)")
    daemon.start("talk.js", "-n", "talk")
    events = Events(daemon, "/v1/logs?target=talk&lines=2&follow=1")
    lines = []
    for name, data in events:
        assert (name, data["name"], data["stream"]) == ("log", "talk", "out")
        lines.append(int(data["line"].split()[1]))
        if len(lines) == 20:
            break
    assert lines == list(range(lines[0], lines[0] + 20)), "none is lost, none comes twice"
    events.close()


UNREAD = 8 << 20  # more than the daemon keeps for a client and the kernel for a socket


def test_a_client_that_reads_nothing_is_told_what_it_missed(daemon):
    daemon.write("talk.js", "require('net').createServer().listen(0);"
                            "setInterval(() => { for (let i = 0; i < 200; i++)"
                            "console.log('x'.repeat(500)); }, 10)")
    daemon.start("talk.js", "-n", "talk")
    pid = daemon.daemon_pid()
    events = Events(daemon, "/v1/logs?target=talk&lines=0&follow=1")
    log = daemon.process("talk").env["pm_out_log_path"]
    until(lambda: os.path.exists(log), 30, "a log")
    read = os.path.getsize(log)
    until(lambda: os.path.getsize(log) > read + UNREAD, 30, lambda: os.path.getsize(log))
    assert SANITIZED or procfs.resident_kilobytes(pid) < 30_000
    assert daemon.cli("jlist").code == 0
    end = time.monotonic() + 30
    missed = 0
    for name, data in events:
        if name == "lost":
            missed = data["lines"]
            break
        assert time.monotonic() < end, "nothing was lost?"
    assert missed > 0
    events.close()


def test_apps_are_started_and_acted_on(daemon):
    port = free_port()
    script = str(daemon.program("plain.js"))
    status, answer = daemon.api("POST", "/v1/apps", {"apps": [
        {"name": "web", "script": script, "instances": 2, "exec_mode": "cluster",
         "cwd": str(daemon.work), "environment": {**daemon.environment, "PORT": str(port)}}]})
    assert status == 200, answer
    assert [one["pm2_env"]["status"] for one in answer["processes"]] == ["online"] * 2
    status, answer = daemon.api("POST", "/v1/apps", {"apps": [
        {"name": "web", "script": script, "environment": daemon.environment}], "known": "refuse"})
    assert (status, answer["error"]["code"]) == (409, "exists")
    for name, body, expected in (("scale", {"instances": "+1"}, 3), ("scale", {"instances": 1}, 1),
                                 ("reload", {}, 1), ("restart", {}, 1), ("stop", {}, 1),
                                 ("start", {}, 1), ("reset", {}, 1), ("flush", {}, 1)):
        status, answer = daemon.api("POST", f"/v1/actions/{name}", {"targets": ["web"], **body})
        assert status == 200, (name, answer)
        assert len(daemon.processes("web")) == expected
    assert daemon.api("POST", "/v1/actions/delete", {"targets": ["web"]})[0] == 200
    assert not daemon.processes("web")


def test_an_unknown_attribute_is_a_warning(daemon):
    status, answer = daemon.api("POST", "/v1/apps", {"apps": [
        {"name": "w", "script": str(daemon.work / "idle.js"), "instnaces": 2,
         "environment": daemon.environment}]})
    assert status == 200
    assert any("instnaces" in one and "instances" in one for one in answer["warnings"])


def test_environments_are_kept_from_the_log(daemon):
    daemon.start("idle.js", "-n", "s", "-f", env={"SECRET": "hunter2hunter2"})
    daemon.cli("restart", "s").ok()
    assert "hunter2hunter2" not in daemon.daemon_log()


def test_curl_speaks_it(daemon):
    done = subprocess.run(["curl", "-s", "--unix-socket", daemon.socket_path(),
                           "http://localhost/v1/processes"], capture_output=True, timeout=PATIENCE,
                          check=True)
    assert len(json.loads(done.stdout)) == 2


def test_a_long_home_is_reached_too(home):
    """A socket's name has at most 107 bytes."""
    home.path = home.root / ("long" * 30) / "home"
    home.path.parent.mkdir(mode=0o700)
    home.environment["BATON_HOME"] = str(home.path)
    home.write("idle.js", IDLE)
    home.start("idle.js", "-n", "a")
    assert home.socket_path().exists()


def test_requests_one_after_the_other_on_one_connection(daemon):
    connection = UnixConnection(str(daemon.socket_path()))
    for _ in range(50):
        connection.request("GET", "/v1", headers={"Host": "localhost"})
        response = connection.getresponse()
        assert response.status == 200
        response.read()
    connection.close()
    assert isinstance(connection, http.client.HTTPConnection)
