"""Programs that call the kernel without libc, a static one and one in Go: the master answers their
bind, listen and accept by seccomp user notification."""
import collections
import os
import shutil
import signal
import subprocess
import time

import pytest

from support import procfs
from support.clients import Load, ask, get, open_socket, outcomes
from support.primary import APPS, BUILD
from support.wait import until

PATIENT = ["--intercept", "seccomp", "--slow-after", 20_000]
STATIC_SERVER = BUILD / "tests" / "static_server"
WAYS = ["blocking", "epoll", "threads", "prefork"]


@pytest.fixture(scope="session")
def go_server(tmp_path_factory):
    """The program in Go, built without libc."""
    compiler = shutil.which("go")
    if not compiler:
        pytest.skip("there is no Go compiler")
    program = tmp_path_factory.mktemp("go") / "go_server"
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod", "GO111MODULE": "off"}
    environment.setdefault("HOME", str(program.parent))
    subprocess.run([compiler, "build", "-o", program, APPS / "go_server.go"], check=True,
                   env=environment, timeout=80)
    return program


@pytest.fixture
def start_static(start):
    """start_static(way, ...) is an App of static_server."""
    if not STATIC_SERVER.exists():
        pytest.skip("there is no static libc to build static_server with")

    def start_app(way, **options):
        return start("baton", STATIC_SERVER, arguments=[way], policy="rr",
                     flags=options.pop("flags", PATIENT), **options)

    return start_app


def ask_who(port):
    """One request: who answered, having checked that it knows who asked."""
    with open_socket(port) as client:
        reply = ask(client)
        own = client.getsockname()
    assert reply.outcome == "ok"
    answer = reply.json()
    assert (answer["peer"], answer["port"]) == (list(own), port)
    return answer


def assert_shared_evenly(app, count=1000):
    shares = collections.Counter(ask_who(app.port)["slot"] for _ in range(count))
    assert len(shares) == app.instances
    assert max(shares.values()) - min(shares.values()) <= 1, shares


def session_of(worker):
    """The pids of a worker and of all that it started."""
    return [worker, *(pid for child in procfs.children(worker) for pid in session_of(child))]


def assert_only_the_master_listens(app):
    assert app.port in procfs.listening_ports(app.pid)
    for worker in app.workers():
        assert not any(procfs.listening_ports(pid) for pid in session_of(worker))


# --- shares ---


@pytest.mark.parametrize("instances", [2, 4])
@pytest.mark.parametrize("way", WAYS)
def test_a_static_program_serves_in_turn(start_static, way, instances):
    app = start_static(way, instances=instances)
    assert_only_the_master_listens(app)
    before = procfs.descriptors(app.pid)
    assert_shared_evenly(app)
    until(lambda: procfs.descriptors(app.pid) <= before, 5, "the end of the last client's descriptor")
    status = app.wait_status(lambda now: now.total("acknowledged") == 1000)
    assert (status.accepted(), status.total("returned"), status.total("stuck")) == (1000, 0, 0)


@pytest.mark.parametrize("instances", [2, 4])
def test_a_go_program_serves_in_turn(start, go_server, instances):
    app = start("baton", go_server, instances=instances, policy="rr", flags=PATIENT)
    assert_only_the_master_listens(app)
    assert_shared_evenly(app)


def test_it_is_chosen_for_what_a_library_does_not_reach(start, go_server):
    app = start("baton", go_server)
    assert "--intercept seccomp" in app.stderr.text()
    assert_only_the_master_listens(app)


def test_without_privileges(start_static, unprivileged):
    app = start_static("threads", wrap=unprivileged)
    assert_only_the_master_listens(app)
    assert_shared_evenly(app, 20)


def test_as_another_user(start_static, nobody):
    app = start_static("blocking", flags=[*PATIENT, "--uid", nobody])
    assert_only_the_master_listens(app)
    assert_shared_evenly(app, 20)


def test_bursts_are_served(start_static):
    app = start_static("epoll", instances=4)
    with Load(app.port, threads=16) as load:
        load.wait_more(2000, timeout=60)
    assert outcomes(load.replies) == {"ok": len(load.replies)}


# --- deaths and signals ---


def test_a_killed_worker_takes_only_its_own_along(start_static):
    """SIGKILL again and again under load: nobody is refused or kept waiting."""
    app = start_static("threads", instances=2,
                       flags=[*PATIENT, "--min-uptime", 0, "--restart-delay", 0])
    before = procfs.descriptors(app.pid)
    with Load(app.port, threads=8) as load:
        for _ in range(5):
            load.wait_more(50)
            victim = app.workers()[0]
            os.kill(victim, signal.SIGKILL)
            app.wait_replaced([victim])
    found = outcomes(load.replies)
    assert set(found) <= {"ok", "reset"} and found.get("reset", 0) <= 5 * 8, found
    assert_shared_evenly(app, 100)
    until(lambda: procfs.descriptors(app.pid) <= before, 5, "the master's descriptors to be closed")


@pytest.mark.parametrize("way", ["epoll", "threads"])
def test_a_reload_loses_nobody(start_static, way):
    app = start_static(way, instances=2)
    before = app.workers()
    with Load(app.port, threads=4) as load:
        load.wait_more(20)
        app.signal(signal.SIGHUP)
        app.wait_replaced(before)
        load.wait_more(20)
    assert outcomes(load.replies) == {"ok": len(load.replies)}


def test_a_signal_that_interrupts_accept_loses_nobody(start_static):
    """Every millisecond one, and system calls are not restarted."""
    app = start_static("signals", instances=2)
    replies = [get(app.port) for _ in range(500)]
    assert outcomes(replies) == {"ok": 500}
    assert all(reply.json()["interrupted"] > 0 for reply in replies[-2:])


def test_a_thread_that_is_cancelled_in_accept_loses_nobody(start_static):
    app = start_static("threads", instances=1)
    replies = [get(app.port, "/threads" if number % 5 == 0 else "/") for number in range(300)]
    assert outcomes(replies) == {"ok": 300}


def test_a_stopped_worker_keeps_nobody_waiting(start_static):
    app = start_static("blocking", instances=2, flags=["--intercept", "seccomp"])
    stopped, working = app.workers()
    os.kill(stopped, signal.SIGSTOP)
    until(lambda: procfs.state(stopped) == "T", 5, "the stop")
    replies = [get(app.port) for _ in range(40)]
    assert [reply.json()["pid"] for reply in replies] == [working] * 40
    assert app.status().worker(stopped).stuck == 1
    os.kill(stopped, signal.SIGCONT)
    until(lambda: get(app.port).json()["pid"] == stopped, 5, app.transcript)


def test_idle_workers_cost_nothing(start_static):
    app = start_static("threads", instances=4)
    get(app.port)
    used = [procfs.cpu_seconds(pid) for pid in (app.pid, *app.workers())]
    time.sleep(1)
    assert all(procfs.cpu_seconds(pid) - before < 0.1
               for pid, before in zip((app.pid, *app.workers()), used))


@pytest.mark.parametrize("way", ["blocking", "epoll"])
def test_the_program_idles_when_the_master_is_killed(start_static, way):
    """What it has accepted it finishes; nothing tells it that nobody will come any more."""
    app = start_static(way, instances=1)
    (worker,) = app.workers()
    with open_socket(app.port) as client:
        until(lambda: procfs.open_connections(worker, app.port) == 1, 5, "the client to be accepted")
        os.kill(app.pid, signal.SIGKILL)
        app.wait_exit()
        assert ask(client).outcome == "ok"
    used = procfs.cpu_seconds(worker)
    time.sleep(1)
    assert procfs.alive(worker)
    assert procfs.cpu_seconds(worker) - used < 0.1
    os.kill(worker, signal.SIGTERM)
    until(lambda: not procfs.alive(worker), 5, "the end by a signal")


def wait_said(app, words):
    until(lambda: words in app.stderr.text(), 5, app.transcript)


def test_the_kind_is_chosen_for_a_static_program_and_said(start_static):
    app = start_static("epoll", flags=["--slow-after", 20_000])
    wait_said(app, "static_server is statically linked")
    wait_said(app, "(--intercept seccomp)")
    assert_shared_evenly(app, 40)


def test_the_library_is_refused_to_a_static_program(start_static):
    app = start_static("epoll", flags=["--intercept", "preload"], ready=False)
    assert app.wait_exit() == 1
    wait_said(app, "is statically linked, so the preload library cannot see its calls")


def test_a_kernel_without_notification_is_told_in_a_sentence(start_static):
    app = start_static("epoll", ready=False, wrap=["strace", "-f", "-qq", "-o", "/dev/null", "-e",
                                                   "inject=seccomp:error=EINVAL"])
    assert app.wait_exit() == 1
    wait_said(app, "it takes Linux 5.14 or later")
