"""Programs that know nothing of the master and end by themselves, go to the background, or accept in
a session of their own."""
import os
import signal
import time

import pytest

from support import procfs
from support.clients import Load, get, outcomes
from support.wait import until

# Python takes its time to start and to end where the machine is busy.
PATIENT = ["--listen-timeout", "60s", "--kill-timeout", "60s", "--min-uptime", 0]


def start_script(start, tmp_path, *lines, **options):
    script = tmp_path / "server.py"
    script.write_text("import os, socket, time\n"
                      "server = socket.create_server(('127.0.0.1', int(os.environ['PORT'])))\n"
                      + "\n".join(lines) + "\n")
    return start("baton", script, quiet=True,
                 flags=["--interpreter", "/usr/bin/python3", *PATIENT], **options)


@pytest.mark.parametrize("instances", [1, 2])
@pytest.mark.parametrize("way", ["exception", "exit", "interrupt"])
def test_clients_wait_while_all_workers_end_in_good_order(start, way, instances):
    """Such a program closes its listener before it ends; its successor wants it again."""
    app = start("baton", "surroundings.py", instances=instances, quiet=True, flags=PATIENT,
                environment={"LEAVE": way})
    old = app.workers()
    with Load(app.port, 2) as load:
        for pid in old:
            if way == "interrupt":
                os.kill(pid, signal.SIGINT)
        while way != "interrupt" and any(map(procfs.alive, old)):
            get(app.port, "/leave")
        app.wait_replaced(old, 40)
        load.wait_more(10)
    counts = outcomes(load.replies)
    assert "refused" not in counts and "hung" not in counts, counts
    assert app.stderr.text().count("serves on") == 1


@pytest.mark.parametrize("session", ["os.setsid()", "pass"])
def test_a_program_that_puts_itself_in_the_background(start, tmp_path, session):
    app = start_script(start, tmp_path, "server.listen()", "if os.fork():", "    os._exit(0)",
                       session, "time.sleep(60)", instances=2, ready=False)
    assert app.wait_exit() == 1  # and not after the kill timeout, when the orphans heed SIGTERM
    until(lambda: "puts itself in the background" in app.stderr.text(), 5, app.transcript)
    until(lambda: procfs.with_environment(app.mark) == [], 5, lambda: "the end of what it started")


def test_a_child_in_a_session_of_its_own_still_has_the_listener(start, tmp_path):
    app = start_script(
        start, tmp_path, "if os.fork():", "    time.sleep(0.3)", "    server.close()", "    os.wait()",
        "os.setsid()",
        "while True:", "    client, _ = server.accept()", "    client.recv(4096)",
        "    client.sendall(b'HTTP/1.0 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n')",
        "    client.close()", instances=2)
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        assert get(app.port).outcome == "ok", app.transcript()
