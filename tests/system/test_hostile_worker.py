"""A worker that misbehaves on its channel: it may be cut off, the master and the others live on."""
import os
import pathlib
import re

import pytest

from support.clients import Crowd, get, outcomes
from support.wait import until

MUST_BE_CUT = ["no_json", "endless"]
MAY_STAY = ["ignorable", "deep", "wrong_types", "wrong_acknowledgements", "descriptors"]


def start_hostile(start, tmp_path, mode, **options):
    return start("baton", "hostile.py", instances=2, ready=False, policy="rr",
                 flags=["--interpreter", "/usr/bin/python3", "--intercept", "node"],
                 arguments=[mode, tmp_path / "marker"], **options)


def resident_megabytes(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024


def descriptors_of(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def restarts(app):
    return app.status().total("restarts")


@pytest.mark.parametrize("mode", MUST_BE_CUT + MAY_STAY)
def test_hostile_messages(start, tmp_path, mode):
    app = start_hostile(start, tmp_path, mode)
    app.wait_events("listening", 1)
    until(lambda: app.events("sent") or restarts(app) > 0, 20, app.transcript)
    assert outcomes(Crowd(app.port, 20).finish()) == {"ok": 20}
    if mode in MUST_BE_CUT:
        app.wait_status(lambda now: now.total("restarts") == 1 and len(now.ready()) == 2)
    if mode == "ignorable":
        assert restarts(app) == 0
    assert resident_megabytes(app.pid) < 60
    assert descriptors_of(app.pid) < 40


def test_a_worker_that_refuses_everybody(start, tmp_path):
    """All clients go to the other, and nobody asks the refusing one without end."""
    app = start_hostile(start, tmp_path, "refuses")
    app.wait_ready()
    (refuser,) = {event["pid"] for event in app.events("listening") if "port" not in event}
    replies = Crowd(app.port, 50).finish()
    assert outcomes(replies) == {"ok": 50}
    assert refuser not in {reply.json()["pid"] for reply in replies}
    status = app.wait_status(lambda now: now.total("acknowledged") == 50)
    assert status.total("refused") <= 100


def test_a_worker_that_answers_twice(start, tmp_path):
    """The second answer belongs to nobody: each client is still served once, by the other."""
    app = start_hostile(start, tmp_path, "answers_twice")
    app.wait_events("listening", 2)
    assert outcomes(Crowd(app.port, 20).finish()) == {"ok": 20}
    assert get(app.port).outcome == "ok"
