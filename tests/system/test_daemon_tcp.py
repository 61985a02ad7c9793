"""The control API on TCP: for whom it is open, and how far."""
import http.client
import itertools
import json
import os
import re
import socket
import stat

import pytest

from support import routes
from support.ports import free_port
from support.routes import CHANGING
from support.wait import PATIENCE, until

READING = [target for target in routes.READING if not target.startswith("/v1/logs")]
LOGS = [*set(routes.READING).difference(READING), "/v1/events?logs=1"]
IDLE = "console.log('a line'); require('net').createServer().listen(0)"


class Tcp:
    """The daemon's API at a port, with a token or without."""

    def __init__(self, port, token, address="127.0.0.1"):
        self.port, self.token, self.address = port, token, address

    def ask(self, method, target, body=None, token=True, **headers):
        """Status, headers and JSON; of a stream, its headers alone."""
        connection = http.client.HTTPConnection(self.address, self.port, timeout=30)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
            body = json.dumps(body)
        if token:
            sent["Authorization"] = f"Bearer {self.token if token is True else token}"
        try:
            connection.request(method, target, body, sent)
            answer = connection.getresponse()
            stream = answer.headers["Content-Type"] == "text/event-stream"
            return answer.status, answer.headers, None if stream else json.loads(answer.read())
        finally:
            connection.close()

    def status(self, *arguments, **more):
        return self.ask(*arguments, **more)[0]


def token_path(home):
    return home.path / "api-token"


@pytest.fixture
def tcp(home):
    port = free_port()
    home.environment["BATON_API"] = str(port)
    home.environment["SECRET"] = "hunter2hunter2"
    home.write("idle.js", IDLE)
    home.start("idle.js", "-n", "a", "-i", "2")
    return Tcp(port, token_path(home).read_text().strip())


def test_it_is_not_there_unless_asked_for(home):
    home.write("idle.js", IDLE)
    home.start("idle.js", "-n", "a")
    assert "tcp" not in home.api("GET", "/v1")[1]
    assert not token_path(home).exists()


def test_whoever_has_the_token_may_do_everything(home, tcp):
    assert home.api("GET", "/v1")[1]["tcp"] == f"127.0.0.1:{tcp.port}"
    assert tcp.ask("GET", "/v1")[2] == {**home.api("GET", "/v1")[1],
                                        "uptime_ms": pytest.approx(0, abs=1e9)}
    status, _, answer = tcp.ask("POST", "/v1/actions/restart", {"targets": ["a"]})
    assert status == 200 and len(answer["processes"]) == 2
    for target in LOGS:
        assert tcp.status("GET", target) == 200
    status, headers, _ = tcp.ask("POST", "/v1/actions/reload", {"targets": ["a"]},
                                 Accept="text/event-stream")
    assert (status, headers["Content-Type"]) == (200, "text/event-stream")
    assert tcp.status("POST", "/v1/kill", {}) == 200
    until(lambda: not home.socket_path().exists(), 10, "its end")


def test_without_it_one_may_see_what_runs_and_no_more(home, tcp):
    for target in READING:
        assert tcp.status("GET", target, token=False) == 200
    for wrong in (False, "x", tcp.token[:-1], tcp.token + "0", "0" * 64, "bearer"):
        for target in LOGS:
            status, headers, answer = tcp.ask("GET", target, token=wrong)
            assert (status, headers["WWW-Authenticate"]) == (401, "Bearer"), target
            assert answer["error"]["code"] == "unauthorized"
        for target in [*CHANGING, "/v1/nope"]:
            assert tcp.status("POST", target, {"targets": ["all"]}, token=wrong) == 401, target
    assert [one.status for one in home.jlist()] == ["online"] * 2


@pytest.mark.parametrize("token", [True, False], ids=["token", "none"])
def test_environments_are_never_shown(home, tcp, token):
    assert "hunter2hunter2" in json.dumps(home.api("GET", "/v1/processes")[1])
    for target in ("/v1/processes", "/v1/processes?env=1", "/v1/processes?env=1&target=a"):
        answer = tcp.ask("GET", target, token=token)[2]
        assert len(answer) == 2 and "hunter2hunter2" not in json.dumps(answer)
    answer = tcp.ask("POST", "/v1/actions/restart", {"targets": ["a"]})[2]
    assert "hunter2hunter2" not in json.dumps(answer)


HOSTS = ["evil", "evil.example:{port}", "localhost", "127.0.0.1", "127.0.0.1:{port}0",
         "127.0.0.1:1", "localhost.evil:{port}", "127.0.0.1:{port}@evil", "0.0.0.0:{port}", "", " "]


def test_another_host_is_refused_on_every_route(home, tcp):
    for host in (host.format(port=tcp.port) for host in HOSTS):
        for method, targets in (("GET", [*READING, *LOGS, "/nope"]), ("POST", CHANGING)):
            for target in targets:
                body = {"targets": ["all"]} if method == "POST" else None
                status = tcp.status(method, target, body, Host=host)
                assert status == (400 if "@" in host else 421), (host, target)
    assert [one.status for one in home.jlist()] == ["online"] * 2


def test_its_names_are_taken(tcp):
    for name in ("localhost", "LOCALHOST", "127.0.0.1", "[::1]"):
        assert tcp.status("GET", "/v1", Host=f"{name}:{tcp.port}") == 200


FOREIGN = [
    ("Origin", "http://evil.example"), ("Origin", "null"), ("Origin", "http://127.0.0.1"),
    ("Origin", "https://127.0.0.1:{port}"), ("Origin", "http://127.0.0.1:{port}.evil"),
    ("Sec_Fetch_Site", "cross-site"), ("Sec_Fetch_Site", "same-site"),
]


def test_pages_of_other_sites_may_ask_nothing(home, tcp):
    """Not even one that has found the token."""
    for header, value in FOREIGN:
        headers = {header: value.format(port=tcp.port)}
        for method, targets in (("GET", [*READING, *LOGS]), ("POST", CHANGING)):
            for target in targets:
                body = {"targets": ["all"]} if method == "POST" else None
                assert tcp.status(method, target, body, **headers) == 403, (headers, target)
    assert [one.status for one in home.jlist()] == ["online"] * 2


def test_what_is_said_to_browsers(tcp):
    own = f"http://127.0.0.1:{tcp.port}"
    for target in (*READING, "/nope"):
        status, headers, _ = tcp.ask("GET", target, Origin=own, Sec_Fetch_Site="same-origin")
        assert status in (200, 404)
        assert headers["Content-Security-Policy"] == "default-src 'self'"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert not [name for name in headers if name.lower().startswith("access-control")]
    for origin in (own, "http://evil.example"):
        assert tcp.status("OPTIONS", "/v1/processes", Origin=origin,
                          Access_Control_Request_Method="POST") in (401, 403, 405)


def test_only_json_is_taken(tcp):
    for kind, target in itertools.product(["text/plain", "application/x-www-form-urlencoded", ""],
                                          CHANGING):
        assert tcp.status("POST", target, {"targets": ["all"]}, Content_Type=kind) == 415, target


def test_the_token_is_made_once_and_is_ours_alone(home, tcp):
    path = token_path(home)
    assert re.fullmatch(r"[0-9a-f]{64}\n", path.read_text())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    home.cli("kill").ok()
    home.cli("start", "idle.js").ok()
    assert path.read_text().strip() == tcp.token
    assert tcp.token not in home.daemon_log()


@pytest.mark.parametrize("spoil", [
    lambda path: path.chmod(0o640), lambda path: path.write_text("short\n"),
    lambda path: path.write_text("x" * 64), lambda path: path.write_text(""),
    lambda path: (path.rename(path.with_suffix(".x")), path.symlink_to(path.with_suffix(".x"))),
    lambda path: (path.unlink(), path.mkdir()),
], ids=["readable", "short", "not hexadecimal", "empty", "link", "directory"])
def test_a_token_that_is_none_starts_no_daemon(home, tcp, spoil):
    del tcp
    home.cli("kill").ok()
    spoil(token_path(home))
    failed = home.cli("start", "idle.js").failed()
    assert "api-token" in failed.err
    assert not home.socket_path().exists() and not (home.path / "daemon.pid").exists()


def test_no_other_address_will_do(home):
    home.write("idle.js", IDLE)
    for address in ("0", "65536", "-1", "x", "0.0.0.0:9700", "192.168.0.1:9700", "[::]:9700",
                    "127.0.0.1:", "127.0.0.1:9700:1", "evil:9700"):
        failed = home.cli("start", "idle.js", env={"BATON_API": address}).failed()
        assert address in failed.err and "127.0.0.1:PORT" in failed.err
        assert not home.socket_path().exists()


def test_a_port_that_is_taken_is_named(home):
    home.write("idle.js", IDLE)
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        failed = home.cli("start", "idle.js", env={"BATON_API": str(port)}).failed()
    assert f"127.0.0.1:{port}" in failed.err and "in use" in failed.err
    home.cli("start", "idle.js", env={"BATON_API": str(port)}).ok()


def test_version_6(home):
    port = free_port()
    home.environment["BATON_API"] = f"[::1]:{port}"
    home.begin()
    tcp = Tcp(port, token_path(home).read_text().strip(), "::1")
    assert tcp.ask("GET", "/v1")[2]["tcp"] == f"[::1]:{port}"
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_a_crowd_there_is_no_matter_for_the_socket(home, tcp):
    crowd = []
    for index in range(300):
        client = socket.create_connection(("127.0.0.1", tcp.port), timeout=PATIENCE)
        client.setblocking(False)
        try:
            client.send([b"", b"GET /v1 HT", os.urandom(500), b"POST /v1/kill HTTP/1.1\r\n"
                         b"Content-Length: 8000000\r\n\r\n" + b"x" * 10000][index % 4])
        except OSError:
            pass
        crowd.append(client)
    assert len(home.jlist()) == 2
    assert tcp.status("GET", "/v1") == 200
    for client in crowd:
        client.close()


def test_followers_without_the_token_leave_room(home, tcp):
    """A stream never ends, so that they could keep everybody else out for good."""
    del home
    crowd, heads = [], []
    for _ in range(100):  # one by one: of a crowd that has not asked yet some are sent away
        client = socket.create_connection(("127.0.0.1", tcp.port), timeout=PATIENCE)
        client.sendall(f"GET /v1/events HTTP/1.1\r\nHost: localhost:{tcp.port}\r\n\r\n".encode())
        heads.append(client.recv(12))
        crowd.append(client)
    assert heads.count(b"HTTP/1.1 200") == 32
    assert heads.count(b"HTTP/1.1 503") == 68
    assert tcp.status("GET", "/v1") == 200
    for client in crowd:
        client.close()
