#!/usr/bin/python3
"""Measures Baton's daemon beside pm2's, in one run and in turns, and prints a table.

    bench/daemon_run.py [--quick] [--rounds N] [--only baton,pm2] [--apps 1,25,100] [--json FILE]

Every app is one idle Node process, or one that serves a word. Figures are medians over the rounds;
only one manager has apps at a time, so that none is measured while the other works."""

import argparse
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import time

import daemon_report
import daemon_systems
import measure
from run import conduct, note

ROOT = pathlib.Path(__file__).resolve().parent.parent
KILL_PAUSE = 1.5  # s; a worker that lived less than a second may be started again more slowly
COMMANDS = 20


def options():
    names = ",".join(kind.name for kind in daemon_systems.ALL)
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "release")
    parser.add_argument("--packages", type=pathlib.Path, default=ROOT / "build" / "bench")
    parser.add_argument("--only", default=names, help=f"of {names}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--apps", default="1,25,100")
    parser.add_argument("--kills", type=int, default=15)
    parser.add_argument("--idle", type=float, default=30, help="s that the idle daemon is watched")
    parser.add_argument("--output", type=int, default=500, help="MB that two workers print")
    parser.add_argument("--quick", action="store_true",
                        help="1 round, 1 and 10 apps, 3 kills, 5 s, 50 MB")
    parser.add_argument("--json", type=pathlib.Path, help="write every sample to this file")
    if parser.parse_args().quick:
        parser.set_defaults(rounds=1, apps="1,10", kills=3, idle=5, output=50)
    chosen = parser.parse_args()
    unknown = set(chosen.only.split(",")) - set(names.split(","))
    if unknown:
        parser.error(f"unknown manager {', '.join(sorted(unknown))}; there are {names}")
    return chosen


class Samples:
    """{manager: {figure: [value]}}"""

    def __init__(self):
        self.values = {}

    def add(self, manager, figure, value):
        self.values.setdefault(manager.name, {}).setdefault(figure, []).append(value)


def with_manager(kind, places, case, *arguments):
    """Runs a case under a manager of its own, which ends with it."""
    manager = kind(places)
    try:
        return case(manager, *arguments)
    finally:
        manager.close()


def cold_start(manager, samples):
    """From the first command on a machine without a daemon to the first answer."""
    began = time.monotonic()
    took, _, _ = manager.command("start", "web.js", "-n", "web")
    manager.wait_answer()
    samples.add(manager, "cold command ms", took * 1000)
    samples.add(manager, "cold serving ms", (time.monotonic() - began) * 1000)


def memory(manager, samples, count):
    """Of the daemon, a second after everything is there; with none it is the empty one's."""
    if count:
        samples.add(manager, f"start {count} ms", manager.start_idle(count) * 1000)
    else:
        manager.command("resurrect")  # of nothing: what only looks does not start a daemon
    time.sleep(1)
    rss, pss = measure.memory_kb([manager.daemon()])
    samples.add(manager, f"rss {count} MB", rss / 1024)
    samples.add(manager, f"pss {count} MB", pss / 1024)
    if count:
        pids = manager.online()
        samples.add(manager, "rss of a worker MB",
                    statistics.median(measure.memory_kb([pid])[0] for pid in pids) / 1024)


def full(manager, samples, count, idle):
    """Memory and start with the most apps, what the commands then take, and the idle daemon."""
    memory(manager, samples, count)
    for words in (["list"], ["jlist"], ["ping"]):
        for _ in range(COMMANDS):
            took, spent, _ = manager.command(*words)
            samples.add(manager, f"{words[0]} ms", took * 1000)
            samples.add(manager, f"{words[0]} cpu ms", spent * 1000)
    time.sleep(1)
    before = measure.cpu_ns([manager.daemon()])
    time.sleep(idle)
    spent = (measure.cpu_ns([manager.daemon()]) - before) / 1e9
    samples.add(manager, "idle s/h", spent / idle * 3600)


def deaths(manager, samples, kills):
    manager.start_web(1)
    for _ in range(kills):
        time.sleep(KILL_PAUSE)
        (victim,) = manager.online()
        to_process, to_serving = daemon_systems.kill_and_wait(manager, victim)
        samples.add(manager, "kill to process ms", to_process)
        samples.add(manager, "kill to serving ms", to_serving)


def renewal(manager, samples, rounds):
    manager.start_web(2)
    for _ in range(rounds):
        for action in ("reload", "restart"):
            time.sleep(1)
            took, _, _ = manager.command(action, "web")
            manager.wait_answer()
            samples.add(manager, f"{action} ms", took * 1000)


def output(manager, samples, megabytes):
    """What it costs to take what two workers print, 100 MB/s at most, into rotated files."""
    manager.start_talkers(megabytes)
    measure.wait_idle(manager.daemon(), 60, manager.name)
    before, began = measure.cpu_ns([manager.daemon()]), time.monotonic()
    manager.let_talk()
    spent, took = measure.cpu_ns([manager.daemon()]) - before, time.monotonic() - began
    samples.add(manager, "output cpu s/GB", spent / 1e9 / (megabytes / 1000))
    samples.add(manager, "output MB/s", megabytes / took)


class Alone:
    """The same by bare processes of node: what nobody can be faster than."""

    name = "node"

    def __init__(self, places):
        self.scratch = places.scratch
        self.port = measure.free_port()
        self.web = places.scratch / "alone-web.js"
        self.idle = places.scratch / "alone-idle.js"
        self.web.write_text(daemon_systems.WEB)
        self.idle.write_text(daemon_systems.IDLE)
        self.processes = []

    def spawn(self, script, **more):
        process = subprocess.Popen(["node", str(script)], stdin=subprocess.DEVNULL,
                                   env={**os.environ, "PORT": str(self.port)},
                                   start_new_session=True, **more)
        self.processes.append(process)
        return process

    def end(self):
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()
        self.processes.clear()

    def cold_start(self, samples):
        began = time.monotonic()
        self.spawn(self.web)
        daemon_systems.wait_answer(self.port, self.name)
        samples.add(self, "cold serving ms", (time.monotonic() - began) * 1000)

    def start(self, samples, count):
        began = time.monotonic()
        for _ in range(count):
            self.spawn(self.idle)
        samples.add(self, f"start {count} ms", (time.monotonic() - began) * 1000)

    def output(self, samples, megabytes):
        """Into files by `cat` alone."""
        directory = self.scratch / f"output-{time.monotonic_ns()}"
        directory.mkdir()
        self.idle.write_text(daemon_systems.talk(megabytes))
        cats = [self.cat(directory / f"file-{number}") for number in range(daemon_systems.TALKERS)]
        daemon_systems.let_talk(directory, self.name)
        self.end()  # of the talkers, and with it that of what the cats read
        spent = 0
        for cat in cats:
            _, _, usage = os.wait4(cat.pid, 0)
            cat.returncode = 0
            spent += usage.ru_utime + usage.ru_stime
        shutil.rmtree(directory)
        samples.add(self, "output cpu s/GB", spent / (megabytes / 1000))

    def cat(self, path):
        """One that brings what a talker prints into a file."""
        talker = self.spawn(self.idle, stdout=subprocess.PIPE, cwd=path.parent)
        with talker.stdout, open(path, "wb") as file:
            return subprocess.Popen(["cat"], stdin=talker.stdout, stdout=file)

    def deaths(self, samples, kills):
        victim = self.spawn(self.web)
        for _ in range(kills):
            daemon_systems.wait_answer(self.port, self.name)
            began = time.monotonic()
            victim.kill()
            victim.wait()
            victim = self.spawn(self.web)
            samples.add(self, "kill to process ms", (time.monotonic() - began) * 1000)
            daemon_systems.wait_answer(self.port, self.name)
            samples.add(self, "kill to serving ms", (time.monotonic() - began) * 1000)


def alone(places, case, *arguments):
    one = Alone(places)
    try:
        getattr(one, case)(*arguments)
    finally:
        one.end()


def run(chosen, places):
    kinds = [kind for kind in daemon_systems.ALL if kind.name in chosen.only.split(",")]
    counts = [int(count) for count in chosen.apps.split(",")]
    samples = Samples()
    for number in range(chosen.rounds):
        note(f"round {number + 1} of {chosen.rounds}")
        alone(places, "cold_start", samples)
        for count in counts:
            alone(places, "start", samples, count)
        for kind in kinds:
            with_manager(kind, places, cold_start, samples)
            with_manager(kind, places, memory, samples, 0)
            for count in counts[:-1]:
                with_manager(kind, places, memory, samples, count)
    alone(places, "deaths", samples, chosen.kills)
    for _ in range(chosen.rounds):
        alone(places, "output", samples, chosen.output)
    for kind in kinds:
        note(f"{kind.name}: {counts[-1]} apps, kills, reloads")
        with_manager(kind, places, full, samples, counts[-1], chosen.idle)
        with_manager(kind, places, deaths, samples, chosen.kills)
        with_manager(kind, places, renewal, samples, chosen.rounds)
        for _ in range(chosen.rounds):
            with_manager(kind, places, output, samples, chosen.output)
    return {"machine": f"{platform.release()}, {os.cpu_count()} processors", "apps": counts,
            "settings": {"rounds": chosen.rounds, "kills": chosen.kills, "idle": chosen.idle,
                         "output": chosen.output},
            "titles": {kind.name: kind.title for kind in kinds}, "samples": samples.values}


def missing_program(places):
    return None if places.baton.exists() else f"{places.baton} is missing: build it first"


if __name__ == "__main__":
    conduct(options(), run, daemon_report.text, missing_program)
