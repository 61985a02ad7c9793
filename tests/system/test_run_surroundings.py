"""What `baton run` is started with, what its workers are started with, and readers that go away."""
import os
import pwd
import re
import signal

from support import procfs
from support.background import name_of
from support.clients import Crowd, Load, get, open_socket, outcomes, read_reply, request_bytes
from support.primary import APPS
from support.wait import until


def start_probed(start, tmp_path, probe, **options):
    """One Node worker; before it becomes Node, a shell runs `probe` with its output in a file."""
    found = tmp_path / "found"
    script = tmp_path / "probed"
    script.write_text(f"#!/bin/sh\n({probe}) > {found} 2>&1\nexec node {APPS}/hello.js\n")
    app = start("baton", script, instances=1, flags=["--interpreter", "sh", "--intercept", "node"],
                **options)
    return app, found.read_text()


def test_descriptors_of_a_worker(start, tmp_path):
    """Standard input, output and error, and the channel: nothing else of the master's."""
    _, found = start_probed(start, tmp_path, "ls -l /proc/$$/fd")
    links = dict(re.findall(r" (\d+) -> (\S+)", found))
    script = [number for number, target in links.items() if target.endswith("/probed")]
    others = set(links) - {"0", "1", "2"} - set(script)
    assert len(others) == 1 and links[others.pop()].startswith("socket:"), found


def test_signals_of_a_worker(start, tmp_path):
    """Nothing is blocked or ignored, whatever the master does with its own."""
    _, found = start_probed(start, tmp_path, "cat /proc/$$/status")
    masks = dict(re.findall(r"(Sig\w+):\s+([0-9a-f]+)", found))
    assert int(masks["SigBlk"], 16) == 0 and int(masks["SigIgn"], 16) == 0, found


def test_workers_of_another_user(start, nobody):
    app = start("baton", "hello.js", instances=1, flags=["--uid", nobody])
    with open(f"/proc/{app.workers()[0]}/status", encoding="utf8") as status:
        lines = dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)
    user = pwd.getpwnam(nobody)
    assert lines["Uid"].split() == [str(user.pw_uid)] * 4
    assert lines["Gid"].split() == [str(user.pw_gid)] * 4
    assert set(lines["Groups"].split()) <= {str(user.pw_gid)}
    assert get(app.port).outcome == "ok"


def test_standard_descriptors_closed(start):
    """Whatever the master opens then must not be taken for its input or output."""
    app = start("baton", "hello.js", ready=False,
                wrap=["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"])
    until(lambda: get(app.port).outcome == "ok", 10, app.transcript)
    assert outcomes(Crowd(app.port, 20).finish()) == {"ok": 20}
    app.signal(signal.SIGTERM)
    assert app.wait_exit() == 0


def test_reader_of_the_output_goes_away(start):
    app = start("baton", "hello.js", ready=False,
                wrap=["sh", "-c", '"$@" 2>&1 | head -n 1', "sh"])
    app.wait_events("listening", 0)
    until(lambda: get(app.port).outcome == "ok", 10, app.transcript)
    until(lambda: len(app.stdout.lines) == 1 and len(app.leftovers()) == 4 and
          len(_batons(app)) == 1, 5, app.transcript)
    (baton,) = _batons(app)
    for _ in range(3):
        os.kill(baton, signal.SIGUSR1)
        assert get(app.port).outcome == "ok"
    os.kill(baton, signal.SIGHUP)
    assert outcomes(get(app.port) for _ in range(20)) == {"ok": 20}


def _batons(app):
    """A worker is one, too, until it has become Node."""
    return [pid for pid in app.leftovers() if name_of(pid) == "baton"]


def test_no_descriptor_is_left_after_a_load(start):
    app = start("baton", "hello.js", instances=2)
    assert get(app.port).outcome == "ok"
    app.wait_status(lambda now: now.total("acknowledged") == 1)
    before = os.listdir(f"/proc/{app.pid}/fd")
    with Load(app.port, threads=8) as load:
        load.wait_more(1000)
    assert outcomes(load.replies) == {"ok": len(load.replies)}
    app.wait_status(lambda now: now.total("acknowledged") == len(load.replies) + 1)
    assert len(os.listdir(f"/proc/{app.pid}/fd")) == len(before)


def test_worker_out_of_descriptors(start, tmp_path):
    """It cannot take what it is handed; the client comes again when it can, without haste."""
    script = tmp_path / "poor"
    script.write_text(f"ulimit -n 40; exec node {APPS}/routes.js\n")
    app = start("baton", script, instances=1, flags=["--interpreter", "sh", "--intercept", "node"])
    before = procfs.cpu_seconds(app.pid)
    assert outcomes(Crowd(app.port, 80, "/sleep/400").finish()) == {"ok": 80}
    assert len(app.events("listening")) == 1
    assert procfs.cpu_seconds(app.pid) - before < 0.3


def test_stop_serves_who_has_connected(start):
    """Clients that wait in the master's line and in the kernel's are served before the end."""
    app = start("baton", "hello.js", instances=1)
    (worker,) = app.workers()
    os.kill(worker, signal.SIGSTOP)
    crowd = Crowd(app.port, 60)
    until(lambda: app.status().accepted() + procfs.backlog(app.port) == 60, 5, app.transcript)
    app.signal(signal.SIGTERM)
    os.kill(worker, signal.SIGCONT)
    assert outcomes(crowd.finish()) == {"ok": 60}
    assert app.wait_exit() == 0


def test_reload_twice_at_once_and_stop_during_it(start):
    app = start("baton", "routes.js", instances=2)
    old = app.workers()
    app.signal(signal.SIGHUP)
    app.signal(signal.SIGHUP)
    assert outcomes(get(app.port, "/whoami") for _ in range(20)) == {"ok": 20}
    new = app.wait_replaced(old)
    with open_socket(app.port) as client:
        client.sendall(request_bytes("/sleep/300"))
        assert get(app.port, "/whoami").outcome == "ok"
        app.signal(signal.SIGHUP)
        until(lambda: len(app.leftovers()) > 3, 5, "a successor")
        assert app.stop() == 0
        assert read_reply(client).outcome == "ok"
    assert not app.leftovers() and new


def test_reload_replaces_a_blocked_worker(start):
    app = start("baton", "routes.js", instances=2,
                flags=["--drain-timeout", 2000, "--kill-timeout", 300])
    with open_socket(app.port) as client:
        client.sendall(request_bytes("/block-until/never"))
        app.wait_events("blocking")
        old = app.workers()
        app.signal(signal.SIGHUP)
        with Load(app.port, threads=2, path="/whoami") as load:
            app.wait_replaced(old)
            load.wait_more(20)
    assert outcomes(load.replies) == {"ok": len(load.replies)}
