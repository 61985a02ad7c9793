"""The built-in HTTP worker, `baton serve DIR`, standing alone, over raw sockets."""
import concurrent.futures
import contextlib
import email.utils
import hashlib
import json
import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import time

import pytest

from support import procfs, wait

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
BATON = os.environ.get("BATON", str(REPOSITORY / "build/release/baton"))
BIG_SIZE = 50 * 1024 * 1024


class Server:
    def __init__(self, directory, port=0):
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith(("BATON_", "NODE_"))}
        self.process = subprocess.Popen([BATON, "serve", str(directory), str(port)],
                                        stderr=subprocess.PIPE, env=environment)
        line = self.process.stderr.readline().decode()
        match = re.fullmatch(r"listening on http://localhost:(\d+) and all other addresses\n", line)
        assert match, line
        self.port = int(match[1])

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=wait.PATIENCE)

    def refuses(self):
        try:
            self.connect().close()
        except ConnectionRefusedError:
            return True
        except ConnectionResetError:  # it was in line when the line was closed
            return False
        return False

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.wait()

    def wait(self):
        """Its exit code."""
        return self.process.wait(timeout=wait.PATIENCE)

    def close(self):
        """Ends it; what it said on standard error beyond its first line."""
        if self.process.poll() is None:
            self.process.kill()
            self.wait()
        return self.process.stderr.read().decode()


class Response:
    def __init__(self, head, body):
        lines = head.decode("latin-1").split("\r\n")
        self.version, status, self.reason = lines[0].split(" ", 2)
        self.status = int(status)
        self.names = [line.partition(":")[0] for line in lines[1:]]
        self.headers = {name.lower(): value.strip() for name, _, value in
                        (line.partition(":") for line in lines[1:])}
        assert len(self.headers) == len(self.names), head
        self.body = body


class Client:
    """Reads responses one by one; a response needs a length, so that nothing is guessed."""

    def __init__(self, connection):
        self.connection = connection
        self.file = connection.makefile("rb")

    def send(self, data):
        self.connection.sendall(data)

    def receive(self, head_only=False):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self.file.readline()
            if not line:
                assert head == b"", f"cut off: {head}"
                return None
            head += line
        response = Response(head[:-4], b"")
        if not head_only and response.status >= 200 and response.status != 304:
            length = int(response.headers["content-length"])
            response.body = self.file.read(length)
            assert len(response.body) == length
        return response

    def at_end(self):
        return self.file.read(1) == b""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    directory = tmp_path_factory.mktemp("serve") / "site"
    (directory / "sub/deep").mkdir(parents=True)
    (directory / "index.html").write_text("<h1>index</h1>")
    (directory / "sub/index.html").write_text("sub index")
    (directory / "sub/deep/data.bin").write_bytes(bytes(range(256)))
    (directory / "letters.txt").write_text("abcdefghij")
    (directory / "with space & ü.css").write_text("a{}")
    (directory / "empty.json").write_text("")
    (directory / "no_index").mkdir()
    (directory / "evil.example").mkdir()
    (directory / "c:d").mkdir()
    (directory / ".hidden").write_text("secret")
    (directory / ".git").mkdir()
    (directory / ".git/config").write_text("secret")
    (directory / "unreadable").write_text("secret")
    (directory / "unreadable").chmod(0)
    (directory.parent / "outside.txt").write_text("secret")
    (directory / "link_out").symlink_to(directory.parent / "outside.txt")
    (directory / "link_up").symlink_to("../outside.txt")
    (directory / "link_in").symlink_to("letters.txt")
    (directory / "loop").symlink_to("loop")
    os.mkfifo(directory / "fifo")
    return directory


@pytest.fixture(scope="module")
def big(site):
    content = hashlib.shake_256(b"big").digest(1024 * 1024) * (BIG_SIZE // (1024 * 1024))
    (site / "big.bin").write_bytes(content)
    return content


@pytest.fixture(scope="module")
def server(site):
    server = Server(site)
    yield server
    assert server.process.poll() is None, "the worker has died"
    assert server.stop() == 0
    assert server.close() == ""


@pytest.fixture
def client(server):
    with server.connect() as connection:
        yield Client(connection)


@contextlib.contextmanager
def own_server(site):
    server = Server(site)
    try:
        yield server
    finally:
        server.close()


def request(target, method="GET", headers="", body=b"", version="1.1"):
    return (f"{method} {target} HTTP/{version}\r\nHost: test\r\n{headers}\r\n").encode() + body


def get(server, target, headers="", method="GET"):
    with server.connect() as connection:
        client = Client(connection)
        client.send(request(target, method, headers + "Connection: close\r\n"))
        response = client.receive(head_only=method == "HEAD")
        assert client.at_end()
        return response


# Experiments


def test_hello(server):
    before = time.time()
    response = get(server, "/hello")
    assert (response.status, response.body) == (200, b"Hello, world\n")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.headers["x-content-type-options"] == "nosniff"
    date = email.utils.parsedate_to_datetime(response.headers["date"])
    assert before - 2 < date.timestamp() < time.time() + 1


def test_echo(client):
    client.send(request("/echo?a=b", "PUT", "X-Some: thing\r\nContent-Length: 5\r\n", b"he\0lo"))
    response = client.receive()
    assert response.status == 200
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.body == (b"PUT /echo?a=b HTTP/1.1\nHost: test\nX-Some: thing\n"
                             b"Content-Length: 5\n\nhe\0lo")


def test_echo_of_a_chunked_body(client):
    chunks = b"5\r\nhello\r\n1;x=y\r\n,\r\n6\r\n world\r\n0\r\nTrailer: ignored\r\n\r\n"
    client.send(request("/echo", "POST", "Transfer-Encoding: chunked\r\n", chunks))
    assert client.receive().body.endswith(b"\n\nhello, world")
    client.send(request("/hello"))
    assert client.receive().status == 200


def test_echo_takes_a_mebibyte_and_no_more(client):
    size = 1024 * 1024
    client.send(request("/echo", "POST", f"Content-Length: {size}\r\n", b"x" * size))
    assert client.receive().body.endswith(b"\n\n" + b"x" * size)
    client.send(request("/echo", "POST", f"Content-Length: {size + 1}\r\n"))
    assert client.receive().status == 413
    assert client.at_end()


def test_a_chunked_body_that_is_too_long(client):
    client.send(request("/echo", "POST", "Transfer-Encoding: chunked\r\n"))
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    for _ in range(17):
        client.send(chunk)
    assert client.receive().status == 413
    assert client.at_end()


def test_continue(client):
    client.send(request("/echo", "POST", "Content-Length: 2\r\nExpect: 100-continue\r\n"))
    assert client.receive().status == 100
    client.send(b"hi")
    assert client.receive().body.endswith(b"\n\nhi")


def test_sleep_does_not_keep_others_waiting(site):
    with own_server(site) as server, server.connect() as sleeping, server.connect() as other:
        Client(sleeping).send(request("/sleep/60000"))
        quick = Client(other)
        quick.send(request("/hello"))
        assert quick.receive().status == 200
        assert select.select([sleeping], [], [], 0)[0] == [], "the sleeper was answered first"


def test_sleep_takes_its_time(client):
    start = time.monotonic()
    client.send(request("/sleep/500"))
    assert client.receive().body == b"slept 500 ms\n"
    assert time.monotonic() - start >= 0.49


def test_burn_does(server):
    with server.connect() as burning, server.connect() as other:
        start = time.monotonic()
        burner = Client(burning)
        burner.send(request("/burn/500"))
        time.sleep(0.1)
        quick = Client(other)
        quick.send(request("/hello"))
        assert quick.receive().status == 200
        assert time.monotonic() - start >= 0.49
        assert burner.receive().body == b"burned 500 ms\n"


@pytest.mark.parametrize("target", ["/sleep/", "/sleep/x", "/sleep/-1", "/sleep/60001",
                                    "/sleep/1/2", "/burn/10001", "/burn/1.5"])
def test_a_wrong_number(server, target):
    assert get(server, target).status == 400


def test_whoami_counts(site):
    with own_server(site) as server:
        first = json.loads(get(server, "/whoami").body)
        get(server, "/hello")
        get(server, "/nowhere")
        second = json.loads(get(server, "/whoami").body)
        assert first["slot"] == -1
        assert first["pid"] == server.process.pid
        assert second["count"] == first["count"] + 3


def test_experiments_take_only_their_methods(server):
    response = get(server, "/hello", method="DELETE")
    assert response.status == 405
    assert response.headers["allow"] == "GET, HEAD"
    assert get(server, "/hello", method="HEAD").headers["content-length"] == "13"
    assert get(server, "/hello/there").status == 404


# Files


def test_index_and_content_types(server):
    response = get(server, "/")
    assert (response.status, response.body) == (200, b"<h1>index</h1>")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["accept-ranges"] == "bytes"
    assert get(server, "/sub/").body == b"sub index"
    assert get(server, "/sub/deep/data.bin").body == bytes(range(256))
    response = get(server, "/with%20space%20&%20%c3%bc.css?query")
    assert response.body == b"a{}"
    assert response.headers["content-type"] == "text/css; charset=utf-8"
    assert get(server, "/letters.txt").headers["content-type"] == "text/plain; charset=utf-8"
    assert get(server, "/link_in").body == b"abcdefghij"
    assert get(server, "http://test/letters.txt").body == b"abcdefghij"


def test_an_empty_file(server):
    response = get(server, "/empty.json")
    assert (response.status, response.body) == (200, b"")
    assert get(server, "/empty.json", "Range: bytes=0-\r\n").status == 416


def test_head(client):
    client.send(request("/letters.txt", "HEAD") + request("/letters.txt"))
    head = client.receive(head_only=True)
    assert head.headers["content-length"] == "10"
    response = client.receive()
    assert response.body == b"abcdefghij"
    assert {name: head.headers[name] for name in head.headers if name != "date"} == \
        {name: response.headers[name] for name in response.headers if name != "date"}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_other_methods(server, method):
    response = get(server, "/letters.txt", method=method)
    assert response.status == 405
    assert response.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("target, location", [
    ("/sub", "./sub/"), ("/sub?a=b", "./sub/?a=b"), ("/sub/deep", "./deep/"),
    ("//evil.example", "./evil.example/"), ("/%65vil.example", "./%65vil.example/"),
    ("/c:d", "./c:d/")])
def test_redirect_to_a_slash(server, target, location):
    response = get(server, target)
    assert response.status == 301
    assert response.headers["location"] == location


@pytest.mark.parametrize("target", [
    "/../outside.txt", "/..", "/../", "/sub/../../outside.txt", "/sub/../letters.txt",
    "/%2e%2e/outside.txt", "/.%2e/outside.txt", "/sub/%2E%2E/%2e%2e/outside.txt",
    "/./letters.txt", "//../outside.txt", "/.hidden", "/%2ehidden", "/.git/config", "/.git/",
    "/link_out", "/link_up", "/loop", "/fifo", "/no_index/", "/nowhere", "/letters.txt/",
    "/letters.txt/x", "/..\\outside.txt", pytest.param("/" + "x" * 300, id="long name"),
    pytest.param("/" + "x/" * 3000, id="long path")])
def test_what_is_not_there(server, target):
    response = get(server, target)
    assert response.status == 404
    assert response.body == b"404 Not Found\n"


@pytest.mark.parametrize("target", [
    "/..%2foutside.txt", "/%2e%2e%2foutside.txt", "/letters.txt%00.html", "/%00", "/%", "/%zz",
    "/%2", "nothing", "/a#b", "/%c0%2f", "ftp://test/"])
def test_what_is_refused(server, target):
    response = get(server, target)
    assert response.status == 400
    assert response.body == b"400 Bad Request\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable(server):
    assert get(server, "/unreadable").status == 403


def test_errors_hold_nothing_of_the_request(server):
    response = get(server, "/<script>alert(1)</script>")
    assert response.status == 404
    assert b"script" not in response.body
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("value, content, content_range", [
    ("bytes=0-0", b"a", "bytes 0-0/10"), ("bytes=2-4", b"cde", "bytes 2-4/10"),
    ("bytes=7-", b"hij", "bytes 7-9/10"), ("bytes=-3", b"hij", "bytes 7-9/10"),
    ("bytes=5-100", b"fghij", "bytes 5-9/10"), ("bytes=-100", b"abcdefghij", "bytes 0-9/10")])
def test_range(server, value, content, content_range):
    response = get(server, "/letters.txt", f"Range: {value}\r\n")
    assert (response.status, response.body) == (206, content)
    assert response.headers["content-range"] == content_range


@pytest.mark.parametrize("value", ["bytes=0-1,3-4", "bytes=4-2", "bytes=x", "lines=1-2", "bytes="])
def test_a_range_that_is_ignored(server, value):
    response = get(server, "/letters.txt", f"Range: {value}\r\n")
    assert (response.status, response.body) == (200, b"abcdefghij")
    assert "content-range" not in response.headers


@pytest.mark.parametrize("value", ["bytes=10-", "bytes=10-20", "bytes=-0"])
def test_a_range_that_is_not_there(server, value):
    response = get(server, "/letters.txt", f"Range: {value}\r\n")
    assert response.status == 416
    assert response.headers["content-range"] == "bytes */10"


def test_if_range(server):
    known = get(server, "/letters.txt").headers
    for value in known["etag"], known["last-modified"]:
        headers = f"Range: bytes=0-1\r\nIf-Range: {value}\r\n"
        assert get(server, "/letters.txt", headers).status == 206
    for value in '"other"', "W/" + known["etag"], "Sun, 06 Nov 1994 08:49:37 GMT":
        headers = f"Range: bytes=0-1\r\nIf-Range: {value}\r\n"
        assert get(server, "/letters.txt", headers).body == b"abcdefghij"


def test_conditions(server):
    known = get(server, "/letters.txt").headers
    etag, modified = known["etag"], known["last-modified"]
    assert re.fullmatch(r'"[0-9a-f-]+"', etag)

    def status(headers):
        return get(server, "/letters.txt", headers).status

    assert status(f"If-None-Match: {etag}\r\n") == 304
    assert status(f'If-None-Match: "x", W/{etag}\r\n') == 304
    assert status("If-None-Match: *\r\n") == 304
    assert status('If-None-Match: "x"\r\n') == 200
    assert status(f"If-Modified-Since: {modified}\r\n") == 304
    assert status("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n") == 200
    assert status(f'If-None-Match: "x"\r\nIf-Modified-Since: {modified}\r\n') == 200
    assert status("If-Modified-Since: nonsense\r\n") == 200
    unchanged = get(server, "/letters.txt", f"If-None-Match: {etag}\r\n")
    assert unchanged.headers["etag"] == etag
    assert "content-length" not in unchanged.headers


def test_a_changed_file_has_another_etag(server, site):
    path = site / "changing.txt"
    path.write_text("one")
    first = get(server, "/changing.txt").headers["etag"]
    changed_ns = path.stat().st_mtime_ns
    path.write_text("two")
    os.utime(path, ns=(changed_ns, changed_ns + 1))  # the kernel's clock may not have ticked
    second = get(server, "/changing.txt")
    assert second.body == b"two"
    assert second.headers["etag"] != first


def test_a_big_file_arrives_whole(server, big):
    response = get(server, "/big.bin")
    assert hashlib.sha256(response.body).digest() == hashlib.sha256(big).digest()
    middle = get(server, "/big.bin", f"Range: bytes=1000001-{BIG_SIZE - 2}\r\n")
    assert middle.body == big[1000001:-1]


def test_a_big_file_to_a_slow_reader_beside_a_quick_one(server, big):
    with server.connect() as connection:
        slow = Client(connection)
        slow.send(request("/big.bin", headers="Range: bytes=0-19999999\r\n"))
        time.sleep(0.3)
        assert get(server, "/hello").status == 200
        assert slow.receive().body == big[:20000000]


def test_clients_that_leave_in_the_middle_of_a_big_file(server, big):
    before = len(os.listdir(f"/proc/{server.process.pid}/fd"))
    for _ in range(20):
        with server.connect() as connection:
            connection.sendall(request("/big.bin"))
            assert connection.recv(1000)
    wait.until(lambda: len(os.listdir(f"/proc/{server.process.pid}/fd")) <= before, 10,
               "the worker keeps descriptors")
    assert get(server, "/hello").status == 200


# Connections


def test_keep_alive(client):
    for _ in range(5):
        client.send(request("/letters.txt"))
        response = client.receive()
        assert response.body == b"abcdefghij"
        assert "connection" not in response.headers


def test_http_1_0(server):
    with server.connect() as connection:
        client = Client(connection)
        client.send(b"GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert client.receive().headers["connection"] == "keep-alive"
        client.send(b"GET /hello HTTP/1.0\r\n\r\n")
        assert client.receive().headers["connection"] == "close"
        assert client.at_end()


def test_three_requests_in_one_write(client):
    client.send(request("/letters.txt") + request("/sleep/100") + request("/sub/"))
    assert [client.receive().body for _ in range(3)] == \
        [b"abcdefghij", b"slept 100 ms\n", b"sub index"]


def test_many_requests_in_one_write(client):
    client.send(b"".join(request(f"/echo?{i}") for i in range(1000)))
    for i in range(1000):
        assert client.receive().body.startswith(f"GET /echo?{i} ".encode())


def test_pipelined_big_files(client, big):
    client.send(request("/big.bin", headers="Range: bytes=0-4999999\r\n") + request("/hello") +
                request("/big.bin", headers="Range: bytes=5000000-9999999\r\n"))
    assert client.receive().body == big[:5000000]
    assert client.receive().body == b"Hello, world\n"
    assert client.receive().body == big[5000000:10000000]


def test_one_byte_at_a_time(client):
    client.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    body = request("/echo", "POST", "Content-Length: 5\r\n", b"hello") + request("/hello")
    for byte in body:
        client.send(bytes([byte]))
        time.sleep(0.001)
    assert client.receive().body.endswith(b"\n\nhello")
    assert client.receive().body == b"Hello, world\n"


def test_half_closed_clients_get_their_answers(client):
    client.send(request("/hello") + request("/sleep/200"))
    client.connection.shutdown(socket.SHUT_WR)
    assert client.receive().body == b"Hello, world\n"
    assert client.receive().body == b"slept 200 ms\n"
    assert client.at_end()


def test_a_client_that_closes_half_way(server):
    with server.connect() as connection:
        connection.sendall(b"GET /hello HTT")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""


def test_resets(server):
    for data in b"", b"GET /hel", request("/sleep/50"), request("/sleep/50") * 3:
        with server.connect() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.sendall(data)
    time.sleep(0.1)
    assert get(server, "/hello").status == 200


def test_200_clients_at_once(server):
    with contextlib.ExitStack() as stack:
        clients = [Client(stack.enter_context(server.connect())) for _ in range(200)]
        for client in clients:
            client.send(request("/sleep/100"))
        for client in clients:
            client.send(request("/letters.txt"))
        for client in clients:
            assert client.receive().body == b"slept 100 ms\n"
            assert client.receive().body == b"abcdefghij"


def test_short_connections_from_several_threads(server):
    def fetch(_):
        return get(server, "/letters.txt").body

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        assert set(threads.map(fetch, range(1000))) == {b"abcdefghij"}


# What is refused


HOST = b"GET / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("data", [
    b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\nHost: a\n\n",
    HOST + b"a: b\nc: d\r\n\r\n",
    HOST + b"a: b\rc: d\r\n\r\n",
    HOST + b"a: b\r\n c\r\n\r\n",
    HOST + b"a: \0\r\n\r\n",
    CHUNKED + b"1;a\nx\r\n0\r\n\r\n",
    CHUNKED + b"1\r\nxyz0\r\n\r\n",
    CHUNKED + b"1 \r\nx\r\n0\r\n\r\n",
    HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET /\r\n",
    b"GET / HTTP/0.9\r\n\r\n",
    b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    HOST + b"Host: a\r\n\r\n",
    HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    HOST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
])
def test_malformed_requests(client, data):
    client.send(request("/hello") + data)
    assert client.receive().status == 200
    refusal = client.receive()
    assert refusal.status == 400
    assert refusal.headers["connection"] == "close"
    assert client.at_end()


def test_a_request_after_close(client):
    client.send(request("/hello", headers="Connection: close\r\n") + request("/whoami"))
    assert client.receive().status == 200
    assert client.receive().status == 400
    assert client.at_end()


def test_unknown_method(client):
    client.send(request("/hello", "NOSUCH"))
    assert client.receive().status == 501
    assert client.at_end()


@pytest.mark.parametrize("data, status", [
    (b"GET /" + b"x" * 8192 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    (b"GET /" + b"x" * 200000, 414),
    (HOST + b"a: " + b"x" * 16384 + b"\r\n\r\n", 431),
    (HOST + b"a: b\r\n" * 101 + b"\r\n", 431),
    (HOST + b"a: " + b"x" * 1000000, 431),
    (b"POST /letters.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n" + b"x" * 65537, 413),
], ids=["target", "endless target", "header", "headers", "endless header", "body"])
def test_oversize(client, data, status):
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        client.send(data)
    assert client.receive().status == status


def test_just_within_the_limits(client):
    fixed = len(b"GET / HTTP/1.1\r\nHost: test\r\na: \r\n\r\n")
    client.send(request("/echo?" + "x" * (8192 - 6)))
    assert client.receive().status == 200
    client.send(request("/", headers="a: " + "x" * (16384 - fixed) + "\r\n"))
    assert client.receive().status == 200


def test_headers_that_take_too_long(server):
    start = time.monotonic()
    with server.connect() as connection:
        client = Client(connection)
        client.send(b"GET / HTTP/1.1\r\n")
        assert client.receive().status == 408
        assert time.monotonic() - start > 9.5
        assert client.at_end()


# The end


def test_drain_with_a_request_in_flight(site):
    with own_server(site) as server, server.connect() as sleeping, server.connect() as idle:
        client = Client(sleeping)
        client.send(request("/sleep/4000") + request("/hello"))
        with server.connect() as other:
            connected = Client(other)
            connected.send(request("/hello"))
            assert connected.receive().status == 200
        server.process.send_signal(signal.SIGTERM)
        wait.until(server.refuses, 2, "it still listens")
        response = client.receive()
        assert response.body == b"slept 4000 ms\n"
        assert response.headers["connection"] == "close"
        assert client.at_end()
        assert idle.recv(1) == b""
        sleeping.close()
        assert server.wait() == 0


def test_drain_serves_those_in_line(site):
    with own_server(site) as server, contextlib.ExitStack() as stack:
        server.process.send_signal(signal.SIGSTOP)
        clients = [Client(stack.enter_context(server.connect())) for _ in range(20)]
        server.process.send_signal(signal.SIGTERM)
        for client in clients:
            client.send(request("/hello"))
        wait.until(lambda: procfs.backlog(server.port) == 20, 5, "all of them in line")
        server.process.send_signal(signal.SIGCONT)
        for client in clients:
            assert client.receive().status == 200


def test_drain_of_a_saturated_connection_breaks_no_request(site):
    with own_server(site) as server, server.connect() as connection:
        client = Client(connection)
        answered = 0
        closed = False
        while not closed:
            client.send(request("/hello"))
            closed = client.receive().headers.get("connection") == "close"
            answered += 1
            if answered == 100:
                server.process.send_signal(signal.SIGTERM)
        assert client.at_end()
        client.file.close()
        connection.close()
        assert server.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_worker_ends_at_once(site, number):
    """Its drain timeout is 30 s."""
    with own_server(site) as server:
        assert server.stop(number) == 0


def test_a_second_signal_is_immediate(site):
    with own_server(site) as server, server.connect() as connection:
        connection.sendall(request("/sleep/60000"))
        assert get(server, "/hello").status == 200  # and so it has begun to sleep
        server.process.send_signal(signal.SIGTERM)
        wait.until(server.refuses, 2, "it still listens")
        with pytest.raises(subprocess.TimeoutExpired):
            server.process.wait(timeout=0.5)
        server.process.send_signal(signal.SIGTERM)
        assert server.wait() == 128 + signal.SIGTERM


def test_what_cannot_be_served(site):
    missing = subprocess.run([BATON, "serve", str(site / "nowhere"), "0"], capture_output=True,
                             text=True, timeout=wait.PATIENCE)
    assert missing.returncode == 1
    assert "nowhere" in missing.stderr
    assert missing.stderr.count("\n") == 1


def test_the_welcome_page():
    with own_server(REPOSITORY / "examples/site") as server:
        page = get(server, "/").body.decode()
        links = re.findall(r'href="([^"#:]+)"', page)
        assert {"/hello", "/whoami", "/sleep/100", "/burn/50", "/echo", "style.css"} <= set(links)
        for link in links:
            assert get(server, "/" + link.lstrip("/")).status == 200
        assert not re.search(r"https?://", page), "the page must need nothing from elsewhere"


def test_a_port_that_is_taken(site, server):
    second = subprocess.run([BATON, "serve", str(site), str(server.port)], capture_output=True,
                            text=True, timeout=wait.PATIENCE)
    assert second.returncode == 1
    assert f"cannot listen on port {server.port}: Address already in use" in second.stderr
    assert second.stderr.count("\n") == 1


def test_few_descriptors_lose_no_client(site):
    with own_server(site) as server, contextlib.ExitStack() as stack:
        used = len(os.listdir(f"/proc/{server.process.pid}/fd"))
        subprocess.run(["prlimit", "--pid", str(server.process.pid), f"--nofile={used + 10}"],
                       check=True, timeout=wait.PATIENCE)
        clients = [Client(stack.enter_context(server.connect())) for _ in range(40)]
        for client in clients:
            client.send(request("/hello", headers="Connection: close\r\n"))
        for client in clients:
            assert client.receive().status == 200


def test_idle_connections_take_little_memory(site):
    def resident():
        status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1])

    with own_server(site) as server, contextlib.ExitStack() as stack:
        get(server, "/hello")
        before = resident()
        clients = [Client(stack.enter_context(server.connect())) for _ in range(500)]
        for client in clients:
            client.send(request("/hello"))
            assert client.receive().status == 200
        assert resident() - before < 500 * 4
