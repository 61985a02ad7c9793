"""Each server with 2 and 4 workers, unmodified: an equal share of the clients, one listening
socket, kept connections, a killed worker, a reload, the end. And how it accepts by itself."""
import pathlib
import subprocess

import pytest

import observe
from catalogue import APPS, INTERPRETERS, PATH, SERVERS
from checks import LISTEN_SECONDS, Running, check_all, environment_of, prepare, script_of
from support.ports import free_port
from talk import PROTOCOLS, get

each = pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.key)


@pytest.fixture
def built(server, built_root):
    """Where the program is that the server's `build` makes, once in a session."""
    missing = server.missing()
    if missing:
        pytest.skip(missing)
    folder = built_root / server.key
    if server.build and not folder.exists():
        folder.mkdir()
        subprocess.run(server.words_of(server.build, apps=APPS, built=folder), check=True,
                       timeout=100, env={**environment_of(server, ""), "PATH": PATH,
                                         "GOCACHE": str(built_root), "GO111MODULE": "off"})
    return folder


def command_of(server, built, directory, port):
    script = str(script_of(server, built))
    suffix = pathlib.Path(script).suffix
    before = [INTERPRETERS[suffix]] if suffix in INTERPRETERS else []
    return [*before, script, *server.words_of(server.arguments, apps=APPS, built=built,
                                              directory=directory, port=port)]


@pytest.mark.parametrize("instances", [2, 4])
@each
def test_server(start, server, instances, built, tmp_path, certificate, clients, record_property):
    record_property("version", server.read_version())
    running = Running(start, server, instances, directory=tmp_path, built=built,
                      certificate=certificate)
    check_all(running, clients, lambda name: record_property("check", name))


@each
def test_accepts(server, built, tmp_path, certificate, record_property):
    """Not about Baton: the server alone, to see how it accepts."""
    port = free_port()
    prepare(server, tmp_path, port)
    log = tmp_path / "strace"
    process = observe.strace(command_of(server, built, tmp_path, port), log, cwd=tmp_path,
                             env={**environment_of(server, certificate), "PORT": str(port)})
    try:
        observe.wait_listening(port, 3 * LISTEN_SECONDS)
        for _ in range(10):
            get(PROTOCOLS[server.protocol], port)
    finally:
        observe.end(process)
    accepts = observe.describe(log)
    record_property("accepts", accepts)
    assert accepts
