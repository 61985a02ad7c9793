"""The examples: each as it stands, under the master and, where it can, alone."""
import collections
import os
import re
import signal
import subprocess

import pytest

from support import procfs
from support.clients import Crowd, get, outcomes
from support.ports import free_port
from support.primary import BUILD, NODE, REPOSITORY
from support.wait import PATIENCE, until

NATIVE = ["poll_worker", "uv_worker", "worker.py"]
ALONE = ["poll_worker", "uv_worker"]
# A worker that waits for its processor is not stuck, and keeps its share.
PATIENT = ["--slow-after", 20_000]


def example(name):
    """A program in C is in the build tree, a script in the source tree."""
    path = BUILD / "examples" / name
    return path if path.exists() else REPOSITORY / "examples" / name


def answered_by(reply):
    """The process of "Hello from slot 0, process 4711"."""
    assert reply.outcome == "ok", reply
    return int(re.search(rb"process (\d+)", reply.body)[1])


@pytest.fixture
def start_alone():
    processes = []

    def start(*command, **variables):
        environment = {key: text for key, text in os.environ.items()
                       if not key.startswith(("BATON_", "NODE_"))}
        process = subprocess.Popen(list(map(str, command)), env={**environment, **variables},
                                   stdin=subprocess.DEVNULL)
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait(PATIENCE)


@pytest.mark.parametrize("instances", [2, 4])
@pytest.mark.parametrize("name", NATIVE)
def test_even_split(start, name, instances):
    app = start("baton", example(name), instances=instances, policy="rr", quiet=True, flags=PATIENT)
    shares = collections.Counter(answered_by(get(app.port)) for _ in range(1000))
    assert sorted(shares) == sorted(app.workers())
    assert max(shares.values()) - min(shares.values()) <= 1, shares
    status = app.status()
    assert {worker.pid: worker.handed for worker in status.workers} == shares
    assert status.accepted() == 1000
    assert app.stop() == 0
    assert not app.leftovers()


@pytest.mark.parametrize("name", [*NATIVE, "hello.js"])
def test_only_the_master_listens(start, name):
    app = start("baton", example(name), instances=2, quiet=True)
    assert procfs.listening_ports(app.pid) == {app.port}
    assert [procfs.listening_ports(pid) for pid in app.workers()] == [set(), set()]


@pytest.mark.parametrize("name", NATIVE)
def test_at_once_and_after_a_death(start, name):
    app = start("baton", example(name), instances=2, quiet=True, flags=PATIENT)
    assert outcomes(Crowd(app.port, 100).finish()) == {"ok": 100}
    victim = app.workers()[0]
    os.kill(victim, signal.SIGKILL)
    app.wait_replaced([victim])
    pids = {answered_by(get(app.port)) for _ in range(20)}
    assert pids == set(app.workers())
    assert app.status().total("restarts") == 1


@pytest.mark.parametrize("name", ALONE)
def test_they_say_that_they_are_ready(start, name):
    app = start("baton", example(name), quiet=True, flags=["--wait-ready"])
    assert outcomes(Crowd(app.port, 40).finish()) == {"ok": 40}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("name", ALONE)
def test_alone(start_alone, name, number):
    port = free_port()
    process = start_alone(example(name), PORT=str(port))
    until(lambda: port in procfs.listening_ports(process.pid), 5, "the example's listener")
    assert get(port).body == b"Hello from slot -1, process %d\n" % process.pid
    replies = Crowd(port, 50).finish()
    assert [answered_by(reply) for reply in replies] == [process.pid] * 50
    process.send_signal(number)
    assert process.wait(PATIENCE) == 0


def test_hello_js_alone(start_alone):
    port = free_port()
    process = start_alone(NODE, example("hello.js"), PORT=str(port))
    until(lambda: port in procfs.listening_ports(process.pid), 10, "the example's listener")
    assert get(port).body == b"Hello from process %d\n" % process.pid


@pytest.mark.parametrize("policy", ["node", "rr"])
def test_hello_js(start, policy):
    app = start("baton", example("hello.js"), instances=4, policy=policy, quiet=True)
    shares = collections.Counter(answered_by(get(app.port)) for _ in range(200))
    assert sorted(shares) == sorted(app.workers())
    assert max(shares.values()) - min(shares.values()) <= (1 if policy == "rr" else 20), shares
    assert app.stop() == 0


def test_the_site(start):
    app = start("serve", REPOSITORY / "examples" / "site", instances=2)
    for path, name in ("/", "index.html"), ("/style.css", "style.css"):
        reply = get(app.port, path)
        assert reply.outcome == "ok"
        assert reply.body == (REPOSITORY / "examples" / "site" / name).read_bytes()
