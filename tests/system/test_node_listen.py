"""What a program may listen on, and the errors it gets when it cannot."""
import json
import os
import socket
import ssl
import stat

import pytest

from support.clients import Crowd, get, open_socket, outcomes
from support.ports import free_port
from support.wait import PATIENCE, until


def start_listening(start, primary, *options, instances=2, **more):
    """listen.js with one server for each of `options`."""
    return start(primary, "listen.js", instances=instances,
                 arguments=[json.dumps(one) for one in options], **more)


def pids_that_answer(address, clients=10):
    replies = [get(address) for _ in range(clients)]
    assert outcomes(replies) == {"ok": clients}
    return {reply.json()["pid"] for reply in replies}


def servers_that_answer(address, clients=10):
    return {get(address).json()["index"] for _ in range(clients)}


def test_two_ports_in_one_worker(start, primary):
    ports = [free_port(), free_port()]
    app = start_listening(start, primary, *({"port": port} for port in ports))
    app.wait_events("listening", 4)
    assert servers_that_answer(ports[0]) == {0}
    assert servers_that_answer(ports[1]) == {1}
    assert pids_that_answer(ports[0]) == pids_that_answer(ports[1]) == set(app.workers())


def test_two_servers_on_port_0_in_one_worker(start, primary):
    """All workers share the port that the n-th listen(0) of a worker was given."""
    app = start_listening(start, primary, {"port": 0}, {"port": 0}, instances=3)
    events = app.wait_events("listening", 6)
    first, second = ({event["at"]["port"] for event in events if event["index"] == index}
                     for index in (0, 1))
    assert len(first) == len(second) == 1 and first != second and 0 not in first | second
    for index, port in enumerate([first.pop(), second.pop()]):
        assert servers_that_answer(port) == {index}
        assert pids_that_answer(port) == set(app.workers())


def test_port_0_survives_a_worker(start, primary):
    app = start_listening(start, primary, {"port": 0})
    (port,) = {event["at"]["port"] for event in app.wait_events("listening", 2)}
    victim = app.workers()[0]
    os.kill(victim, 9)
    app.wait_replaced([victim])
    assert {event["at"]["port"] for event in app.wait_events("listening", 3)} == {port}
    assert pids_that_answer(port) == set(app.workers())


def accepts(host, port):
    return get((host, port)).outcome


def is_known(host):
    try:
        return bool(socket.getaddrinfo(host, None))
    except socket.gaierror:
        return False


@pytest.mark.parametrize("options, over_ipv4, over_ipv6", [
    ({}, "ok", "ok"),
    ({"host": "::"}, "ok", "ok"),
    ({"host": "0.0.0.0"}, "ok", "refused"),
    ({"host": "::", "ipv6Only": True}, "refused", "ok"),
    ({"host": "localhost"}, None, None),
    ({"host": "127.0.0.1"}, "ok", "refused"),
    ({"host": "::1"}, "refused", "ok"),
], ids=lambda value: json.dumps(value) if isinstance(value, dict) else "")
def test_address_families(start, primary, options, over_ipv4, over_ipv6):
    if not is_known(options.get("host", "::")):
        pytest.skip("this machine does not know the name")
    port = free_port()
    start_listening(start, primary, {**options, "port": port}, instances=1)
    seen = accepts("127.0.0.1", port), accepts("::1", port)
    if over_ipv4:
        assert seen == (over_ipv4, over_ipv6)
    else:
        assert "ok" in seen


def test_same_port_once_for_each_family(start, primary):
    port = free_port()
    app = start_listening(start, primary, {"port": port, "host": "0.0.0.0"},
                          {"port": port, "host": "::", "ipv6Only": True})
    app.wait_events("listening", 4)
    assert servers_that_answer(("127.0.0.1", port)) == {0}
    assert servers_that_answer(("::1", port)) == {1}


def test_unix_socket(start, primary, tmp_path):
    path = tmp_path / "socket"
    app = start_listening(start, primary,
                          {"path": str(path), "readableAll": True, "writableAll": True})
    assert pids_that_answer(path) == set(app.workers())
    assert stat.S_IMODE(path.stat().st_mode) & 0o666 == 0o666
    assert app.stop() == 0
    assert not path.exists()


def test_relative_unix_socket(start, primary, tmp_path):
    app = start_listening(start, primary, {"path": "relative"})
    assert pids_that_answer(tmp_path / "relative") == set(app.workers())


def test_unix_socket_in_a_missing_directory(start, primary, tmp_path):
    """libuv, and so Node, reports a missing directory as EACCES."""
    app = start_listening(start, primary, {"path": str(tmp_path / "missing" / "socket")},
                          ready=False)
    for event in app.wait_events("error", 2):
        assert (event["code"], event["syscall"]) == ("EACCES", "bind")


def test_address_of_another_machine(start, primary):
    app = start_listening(start, primary, {"host": "192.0.2.1", "port": free_port()}, ready=False)
    for event in app.wait_events("error", 2):
        assert (event["code"], event["syscall"]) == ("EADDRNOTAVAIL", "bind")


def test_descriptor_that_the_primary_does_not_have(start, primary):
    app = start_listening(start, primary, {"fd": 999}, ready=False)
    for event in app.wait_events("error", 2):
        assert (event["code"], event["syscall"]) == ("EINVAL", "bind")


def test_second_listen_on_the_same_port_in_one_worker(start, primary):
    port = free_port()
    app = start_listening(start, primary, {"port": port}, {"port": port})
    for event in app.wait_events("error", 2):
        assert (event["code"], event["index"]) == ("EADDRINUSE", 1)
    assert servers_that_answer(port) == {0}


@pytest.mark.parametrize("script", ["retry.js", "https.js"])
def test_port_taken_by_another_process_until_it_is_free(start, primary, script, certificate):
    port = free_port()  # no client gets it for its own when it is free again
    with socket.socket(socket.AF_INET6) as holder:
        holder.bind(("::", port))
        holder.listen()
        app = start(primary, script, port=port, ready=False,
                    environment={"CERTIFICATE": certificate})
        until(lambda: len({event["pid"] for event in app.events("error")}) == 2, 15,
              app.transcript)
        for event in app.events("error"):
            assert (event["code"], event["syscall"], event["port"]) == ("EADDRINUSE", "bind", port)
        assert not app.events("listening")
    app.wait_ready()
    open_socket(port).close()


def test_exclusive_servers_are_the_worker_s_own(start, primary):
    app = start_listening(start, primary, {"port": 0, "exclusive": True}, ready=False)
    ports = {event["pid"]: event["at"]["port"] for event in app.wait_events("listening", 2)}
    assert len(set(ports.values())) == 2
    for pid, port in ports.items():
        assert pids_that_answer(port) == {pid}


def test_exclusive_server_beside_a_shared_one(start, primary):
    port = free_port()
    app = start_listening(start, primary, {"port": port}, {"port": 0, "exclusive": True})
    events = app.wait_events("listening", 4)
    for event in events:
        if event["index"] == 1:
            assert pids_that_answer(event["at"]["port"]) == {event["pid"]}
    assert pids_that_answer(port) == set(app.workers())


def test_worker_with_only_an_exclusive_server_may_stay(start):
    """It asks the master for nothing, but it does serve: not a script that never listens."""
    app = start("baton", "listen.js", flags=["--listen-timeout", 6000], ready=False,
                arguments=[json.dumps({"port": 0, "exclusive": True})])
    ports = {event["at"]["port"] for event in app.wait_events("listening", 2)}
    with pytest.raises(AssertionError):
        app.wait_exit(7)
    assert len(app.events("listening")) == 2
    assert all(get(port).outcome == "ok" for port in ports)


def ask_datagram(port, text):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE)
        client.sendto(text.encode(), ("127.0.0.1", port))
        answer = json.loads(client.recv(1000))
        client.settimeout(0.005)
        with pytest.raises(TimeoutError):
            client.recv(1000)
    return answer


@pytest.mark.parametrize("zero", [False, True], ids=["port", "port 0"])
def test_datagrams_are_answered_once(start, primary, zero):
    app = start(primary, "datagram.js", arguments=["0"] if zero else (), ready=False)
    (port,) = {event["port"] for event in app.wait_events("listening", 2)}
    for number in range(20):
        answer = ask_datagram(port, f"datagram {number}")
        assert answer["text"] == f"datagram {number}"
        assert answer["pid"] in app.workers()
    os.kill(answer["pid"], 9)
    app.wait_events("listening", 3)
    assert ask_datagram(port, "after")["text"] == "after"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3],
                         ids=["TLS 1.2", "TLS 1.3"])
def test_tls_sessions_are_resumed_by_other_workers(start, primary, certificate, version):
    app = start(primary, "https.js", instances=3, environment={"CERTIFICATE": certificate})
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(certificate / "cert.pem")
    context.minimum_version = context.maximum_version = version
    first, session = ask_tls(context, app.port, None)
    assert not first["reused"]
    answers = []
    for _ in range(6):
        answer, session = ask_tls(context, app.port, session)
        answers.append(answer)
    assert all(answer["reused"] for answer in answers)
    assert {answer["pid"] for answer in answers} == set(app.workers())


def ask_tls(context, port, session):
    """The answer as an object, and the session to resume."""
    with open_socket(port) as plain:
        with context.wrap_socket(plain, server_hostname="localhost", session=session) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
            received = b""
            while (piece := client.recv(65536)):
                received += piece
            return json.loads(received.partition(b"\r\n\r\n")[2]), client.session


def test_many_servers_keep_their_clients_apart(start, primary):
    """A client that reaches the wrong server would be answered with the wrong index."""
    ports = [free_port() for _ in range(6)]
    app = start_listening(start, primary, *({"port": port} for port in ports))
    app.wait_events("listening", 12)
    crowds = [Crowd(port, 20) for port in ports]
    for index, crowd in enumerate(crowds):
        replies = crowd.finish()
        assert outcomes(replies) == {"ok": 20}
        assert {reply.json()["index"] for reply in replies} == {index}
