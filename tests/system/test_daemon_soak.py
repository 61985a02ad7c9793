"""Reloads, kills and scales under load, for long: nobody is lost, and nothing grows. Short by
default; BATON_SOAK=1 (make soak) makes 100 reloads, 200 kills and 50 scales of it."""
import os
import random
import signal

import pytest

from support import procfs
from support.clients import KeptLoad, Load, outcomes
from support.daemon import kill
from support.loads import PATIENT
from support.ports import free_port
from support.primary import SANITIZED
from support.wait import until

LONG = bool(os.environ.get("BATON_SOAK"))
RELOADS, KILLS, SCALES = (100, 200, 50) if LONG else (4, 4, 2)
SECONDS = 1800 if LONG else 120


def do_reload(home, _):
    home.cli("reload", "web").ok()


def do_scale(home, dice):
    home.cli("scale", "web", dice.choice([2, 3, 4]))  # 1 when there are so many already


def do_kill(home, dice):
    """An idle worker's clients are none: the load is on the app that is not killed."""
    victim = dice.choice(home.processes("victim"))
    before = sum(one.restarts for one in home.processes("victim"))
    kill(victim.pid)
    home.wait(lambda all_: sum(one.restarts for one in all_ if one.name == "victim") > before
              and all(one.status == "online" for one in all_), 20)


@pytest.mark.parametrize("kind", [Load, KeptLoad], ids=["short", "keep-alive"])
def test_soak(home, kind):
    signal.alarm(SECONDS)
    port, other = free_port(), free_port()
    home.start("graceful.js", "-n", "web", "-i", "3", *PATIENT, port=port)
    home.program("plain.js")
    home.write("a.json", '{"name": "victim", "script": "plain.js", "instances": 2,'
                         '"exec_mode": "cluster", "max_restarts": 100000}')
    home.cli("start", "a.json", env={"PORT": other}).ok()
    dice = random.Random(4)
    actions = [do_reload] * RELOADS + [do_scale] * SCALES + [do_kill] * KILLS
    dice.shuffle(actions)
    pid = home.daemon_pid()
    with kind(port, threads=8, path="/sleep/2") as load:
        for action in actions[:len(actions) // 4]:
            load.wait_more(10, 20)
            action(home, dice)
        descriptors, memory = procfs.descriptors(pid), procfs.own_kilobytes(pid)
        for action in actions[len(actions) // 4:]:
            load.wait_more(10, 20)
            action(home, dice)
        load.wait_more(100, 20)
    assert outcomes(load.replies) == {"ok": len(load.replies)}
    assert home.daemon_pid() == pid
    home.cli("scale", "web", "3")
    home.wait_settled()
    until(lambda: len(home.leftovers()) == 1 + len(home.jlist()), 20, lambda: home.leftovers())
    print(f"{len(load.replies)} requests, {len(actions)} actions; descriptors {descriptors} before, "
          f"{procfs.descriptors(pid)} after; memory {memory} KiB before, "
          f"{procfs.own_kilobytes(pid)} after")
    assert procfs.descriptors(pid) <= descriptors + 12, "open descriptors"
    assert SANITIZED or procfs.own_kilobytes(pid) <= memory + 1024, "memory of its own"
    until(lambda: not procfs.zombies(pid), 15, lambda: procfs.zombies(pid))


def test_kills_under_load_lose_only_what_the_killed_one_had(home):
    signal.alarm(SECONDS)
    port = free_port()
    home.program("plain.js")
    home.write("a.json", '{"name": "victim", "script": "plain.js", "instances": 3,'
                         '"exec_mode": "cluster", "max_restarts": 100000}')
    home.cli("start", "a.json", env={"PORT": port}).ok()
    dice = random.Random(5)
    threads = 6
    with Load(port, threads=threads, path="/sleep/5") as load:
        for _ in range(KILLS):
            load.wait_more(20, 20)
            do_kill(home, dice)
        load.wait_more(50, 20)
    counts = outcomes(load.replies)
    assert set(counts) <= {"ok", "reset"}, counts
    assert counts.get("reset", 0) <= KILLS * threads
