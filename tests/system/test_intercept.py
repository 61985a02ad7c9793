"""How a worker gets its clients: what is chosen, what is passed through, what is said of programs
that go past the master, and the systemd way."""
import os
import shutil
import signal
import socket
import subprocess

import pytest

from support import procfs
from support.clients import Crowd, Load, get, outcomes
from support.ports import free_port
from support.primary import BATON, BUILD, script_path
from support.wait import PATIENCE, until

SERVER = "surroundings.py"
LIBRARY = "libbaton-preload.so"

# Python takes its time to start and to end where the machine is busy.
PATIENT = ["--listen-timeout", "60s", "--kill-timeout", "60s", "--slow-after", "20s"]


def start_server(start, *words, **options):
    return start("baton", SERVER, arguments=words, quiet=True, **options)


def run_baton(*words, **variables):
    """A `baton run` that is expected to end by itself."""
    return subprocess.run([BATON, "run", *map(str, words)], capture_output=True, text=True,
                          timeout=PATIENCE, env={**os.environ, **variables}, check=False)


def told_by(app):
    return get(app.port).json()


def told_by_both(app, what):
    """What the two workers say of themselves."""
    found = set()

    def tell():
        found.add(told_by(app)[what])
        return len(found) >= 2

    until(tell, 15, lambda: f"{found}\n{app.transcript()}")
    return found


def wait_said(app, words):
    until(lambda: words in app.stderr.text(), 5, app.transcript)


# --- what is chosen ---


def test_a_python_script_gets_the_library(start):
    app = start_server(start)
    assert told_by(app)["environment"]["LD_PRELOAD"].endswith("/" + LIBRARY)
    assert procfs.listening_ports(app.pid) == {app.port}


def test_a_node_script_gets_the_channel(start):
    app = start("baton", "hello.js")
    for pid in app.workers():
        assert LIBRARY not in open(f"/proc/{pid}/maps", encoding="ascii").read()


def test_a_command_is_looked_up_in_path_with_its_arguments_behind_dashes(start):
    app = start("baton", "python3", arguments=[script_path(SERVER)], quiet=True,
                environment={"PATH": "/usr/bin:/bin"})
    assert told_by_both(app, "pid") == set(app.workers())


def test_other_preloaded_libraries_stay_before_ours(start):
    app = start_server(start, environment={"LD_PRELOAD": "libdl.so.2"})
    first, second = told_by(app)["environment"]["LD_PRELOAD"].split(":")
    assert first == "libdl.so.2" and second.endswith(LIBRARY)


@pytest.mark.parametrize("kind", ["native", "none"])
def test_other_kinds_do_without_the_library(start, kind):
    app = start_server(start, instances=1, flags=["--intercept", kind], ready=False)
    until(lambda: get(app.port).outcome == "ok", 5, app.transcript)
    assert "LD_PRELOAD" not in told_by(app)["environment"]


@pytest.mark.parametrize("has_library", [True, False])
def test_node_gets_an_accept_socket_only_where_the_library_is(start, tmp_path, has_library):
    script = tmp_path / "app.sh"
    script.write_text(f'exec {"" if has_library else "env -u LD_PRELOAD "}node '
                      f'{script_path("hello.js")}\n')
    app = start("baton", script, flags=["--interpreter", "sh", "--intercept", "node-fast",
                                        "--trace"])
    assert outcomes(get(app.port) for _ in range(20)) == {"ok": 20}
    wait_said(app, "client 10 of listener 0" if has_library else '"act":"newconn"')
    assert ('"act":"newconn"' in app.stderr.text()) != has_library


# --- what is passed through ---


def test_a_private_port_is_each_workers_own(start):
    port = free_port()
    app = start_server(start, "also", port, flags=["--private-port", port])
    assert [procfs.listening_ports(pid) for pid in app.workers()] == [{port}, {port}]
    assert procfs.listening_ports(app.pid) == {app.port}
    assert told_by(app)["also"] == port


def test_port_zero_is_each_workers_own(start):
    app = start_server(start, "also", 0)
    ports = told_by_both(app, "also")
    assert set().union(*(procfs.listening_ports(pid) for pid in app.workers())) == ports
    assert procfs.listening_ports(app.pid) == {app.port}


def test_a_port_that_is_taken(start):
    with socket.create_server(("127.0.0.1", 0)) as holder:
        app = start_server(start, port=holder.getsockname()[1], ready=False)
        assert app.wait_exit() == 1
    wait_said(app, "is in use by another program")


def test_a_program_that_listens_on_nothing_shared_is_told_of_x(tmp_path):
    """Unix and UDP sockets are each worker's own, so the master never hears of it."""
    script = tmp_path / "datagrams.py"
    script.write_text("import socket, time\n"
                      "server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                      "server.bind(('127.0.0.1', 0))\n"
                      "time.sleep(60)\n")
    done = run_baton(script, "--listen-timeout", "1s")
    assert done.returncode == 1
    assert "with -x" in done.stderr and "Unix and UDP sockets" in done.stderr


# --- programs that go past the master ---


# Baton looks while a worker is young, and at the end of this.
LOOKED_AT = ["--listen-timeout", "15s"]


@pytest.fixture
def bare_server(tmp_path):
    """A script that starts its server without our environment."""
    script = tmp_path / "bare.sh"
    script.write_text("#!/bin/sh\n"
                      f'exec env -i PORT="$PORT" /usr/bin/python3 {script_path(SERVER)}\n')
    script.chmod(0o755)
    return script


def wait_named(app):
    wait_said(app, "listens past the master")


def test_several_that_go_past_the_master_are_named_and_ended(start, bare_server):
    app = start("baton", bare_server, instances=3, quiet=True, ready=False, flags=LOOKED_AT)
    wait_named(app)
    assert app.wait_exit() == 1
    said = app.stderr.text()
    assert "--intercept seccomp" in said
    assert said.count("listens past the master") == 1
    assert "is in use by" not in said


def test_one_that_goes_past_the_master_is_named_and_serves(start, bare_server):
    app = start("baton", bare_server, instances=1, quiet=True, ready=False, flags=LOOKED_AT)
    wait_named(app)
    app.wait_ready()
    assert outcomes(get(app.port) for _ in range(5)) == {"ok": 5}


def test_the_library_must_be_there(tmp_path):
    lonely = tmp_path / "baton"
    shutil.copy(BATON, lonely)
    done = subprocess.run([lonely, "run", script_path(SERVER)], capture_output=True, text=True,
                          timeout=PATIENCE, check=False)
    assert done.returncode == 1
    assert LIBRARY in done.stderr and "neither beside the program nor" in done.stderr


def test_a_path_that_the_dynamic_linker_cannot_express(tmp_path):
    place = tmp_path / "a b"
    place.mkdir()
    for name in ("baton", LIBRARY):
        shutil.copy(BUILD / name, place / name)
    done = subprocess.run([place / "baton", "run", script_path(SERVER)], capture_output=True,
                          text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 1
    assert "no blank and no colon" in done.stderr


# --- the systemd way ---


def test_workers_inherit_the_listening_socket(start):
    port = free_port()
    app = start_server(start, "inherited", instances=3, port=port, ready=False,
                       flags=["--listen", f"127.0.0.1:{port}"],
                       environment={"LISTEN_PID": "1", "LISTEN_FDS": "7", "LISTEN_FDNAMES": "x"})
    app.wait_ready()
    replies = Crowd(port, 60).finish()
    assert outcomes(replies) == {"ok": 60}
    for reply in replies:
        told = reply.json()
        assert told["environment"]["LISTEN_PID"] == str(told["pid"])
        assert told["environment"]["LISTEN_FDS"] == "1"
        assert "LISTEN_FDNAMES" not in told["environment"]
        assert told["blocking"]
    assert {reply.json()["pid"] for reply in replies} <= set(app.workers())


def test_the_inherited_socket_outlives_a_worker(start):
    port = free_port()
    app = start_server(start, "inherited", instances=1, port=port, flags=["--listen", port])
    (worker,) = app.workers()
    os.kill(worker, signal.SIGKILL)
    assert get(port).outcome == "ok"
    assert app.wait_replaced([worker]) != [worker]


@pytest.mark.parametrize("words, complaint", [
    (["--intercept", "listen-fds"], "needs --listen"),
    (["--intercept", "preload", "--listen", "8080"], "--listen is for --intercept listen-fds"),
    (["--listen", "localhost:80"], "--listen takes [HOST:]PORT or the path"),
    (["--private-port", "0"], "--private-port takes a port from 1 to 65535"),
    (["--private-port", "9090", "-x"], "every port that the program binds is its own"),
    (["--private-port", "9090", "--listen", "0"], "--private-port is for --intercept preload"),
    (["--private-port", "9090", "--intercept", "native"], "--private-port is for --intercept"),
    (["--private-port", "9090", "--intercept", "none"], "--private-port is for --intercept"),
    (["--private-port", "9090", "--intercept", "node"], "`exclusive: true`"),
    (["--private-port", "9090", "--intercept", "node-fast"], "`exclusive: true`"),
    (["--intercept", "preload", "-x"], "-x is the same as --intercept none"),
    (["-x", "--intercept", "node"], "-x is the same as --intercept none"),
    (["--intercept", "magic"], "--intercept takes auto, node, node-fast, preload, seccomp"),
])
def test_what_cannot_be_is_refused_in_a_sentence(words, complaint):
    done = run_baton(script_path(SERVER), *words)
    assert done.returncode == 1
    assert complaint in done.stderr and done.stderr.count("\n") == 1


def test_a_node_script_has_another_way_to_a_private_port():
    done = run_baton(script_path("hello.js"), "--private-port", "9090")
    assert done.returncode == 1
    assert "`exclusive: true`" in done.stderr and done.stderr.count("\n") == 1


# --- the end of a worker that does not know of the master ---


def test_a_reload_waits_for_open_connections(start):
    """The server ends at once when it is told to; so it is told when it is idle."""
    app = start_server(start, "slow", instances=2, flags=PATIENT)
    old = app.workers()
    crowd = Crowd(app.port, 8)
    app.signal(signal.SIGHUP)
    assert outcomes(crowd.finish()) == {"ok": 8}
    app.wait_replaced(old)


def test_a_stop_serves_whoever_has_connected(start):
    app = start_server(start, "slow", instances=2, flags=PATIENT)
    crowd = Crowd(app.port, 4)
    app.wait_status(lambda now: now.accepted() == 4)
    app.signal(signal.SIGTERM)
    assert outcomes(crowd.finish()) == {"ok": 4}
    assert app.wait_exit() == 0


def test_reloads_under_load_lose_nobody(start):
    app = start_server(start, instances=2, flags=PATIENT)
    with Load(app.port, 2) as load:
        for reloads in range(1, 4):
            app.signal(signal.SIGHUP)
            app.wait_status(lambda now, wanted=reloads: now.reloads == wanted, 40)
    assert outcomes(load.replies) == {"ok": len(load.replies)}
