#!/usr/bin/python3
"""Measures Baton beside other masters, in one run and in turns, and prints tables.

    bench/run.py [--quick] [--rounds N] [--only floor,baton-c] [--json FILE]
    bench/report.py FILE [--write docs/performance.md]     the tables once more

All systems run at the same time and only one of them is busy; a round asks each of them in turn,
so that whatever else the machine does meets all alike. Figures are medians over the rounds.
docs/performance.md says what each column means and why it is measured so."""

import argparse
import json
import os
import pathlib
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import measure
import report
import systems

ROOT = pathlib.Path(__file__).resolve().parent.parent
SCALE_SYSTEMS = (systems.Floor, systems.BatonC)
KILL_SYSTEMS = (systems.BatonC, systems.BatonPlain, systems.BatonNode, systems.BatonNodeFast,
                systems.Node, systems.Pm2)
KILL_PAUSE = 1.5  # s; a worker that lived less than a second may be started again more slowly


def note(text):
    print(text, file=sys.stderr, flush=True)


def options():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    names = ",".join(system.name for system in systems.ALL)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "release",
                        help="build directory (default: build/release)")
    parser.add_argument("--packages", type=pathlib.Path, default=ROOT / "build" / "bench",
                        help="where scripts/install-bench put pm2 (default: build/bench)")
    parser.add_argument("--only", default=names, help=f"of {names}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2, help="of one measurement")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--connections", type=int, default=64, help="open at a time")
    parser.add_argument("--kills", type=int, default=15)
    parser.add_argument("--scale", default="2,8,32,128,512", help="numbers of workers, or nothing")
    parser.add_argument("--quick", action="store_true",
                        help="a look: 1 round of 1 s, 3 kills, 2 and 32 workers")
    parser.add_argument("--json", type=pathlib.Path, help="write every sample to this file")
    if parser.parse_args().quick:
        parser.set_defaults(rounds=1, seconds=1, kills=3, scale="2,32")
    chosen = parser.parse_args()
    unknown = set(chosen.only.split(",")) - set(names.split(","))
    if unknown:
        parser.error(f"unknown system {', '.join(sorted(unknown))}; there are {names}")
    return chosen


class Group:
    """Systems that run at the same time; leaving the block ends them all."""

    def __init__(self, kinds, places, workers):
        self.kinds, self.places, self.workers = kinds, places, workers
        self.running, self.started = [], []

    def __enter__(self):
        try:
            for kind in self.kinds:
                self.start(kind(self.places, self.workers))
        except BaseException:
            self.__exit__()
            raise
        return self.running

    def start(self, system):
        self.started.append(system)
        try:
            system.start()
            self.running.append(system)
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            note(f"left out: {system.name}: {error}")
            system.stop()

    def __exit__(self, *_):
        for system in self.started:
            system.stop()
            shutil.rmtree(system.directory)


def compare(running, clients, chosen):
    """{name: {mode: [sample per round]}}"""
    samples = {system.name: {mode: [] for mode in report.MODES} for system in running}
    for system in running:
        clients.run(system.port, 0.5, "short")
    for number in range(chosen.rounds):
        note(f"round {number + 1} of {chosen.rounds}")
        for mode in report.MODES:
            for system in running:
                samples[system.name][mode].append(clients.measure(system, chosen.seconds, mode))
                time.sleep(0.1)
    return samples


def kill_one(system):
    """From the kill of the newest worker to the start of the one that replaces it, in ms."""
    before = measure.stamps(system.stamps)
    killed = time.monotonic_ns()
    os.kill(before[-1][0], signal.SIGKILL)
    measure.wait_for(lambda: len(measure.stamps(system.stamps)) > len(before), 30,
                     f"{system.name}: replacement")
    return (measure.stamps(system.stamps)[len(before)][1] - killed) / 1e6


def kill_workers(running, kills):
    """{name: [ms]}, the systems in turns."""
    victims = [system for system in running if type(system) in KILL_SYSTEMS]
    samples = {system.name: [] for system in victims}
    if not victims:
        return samples
    note(f"{kills} kills each")
    for _ in range(kills):
        time.sleep(KILL_PAUSE)
        for system in victims:
            samples[system.name].append(kill_one(system))
    return samples


def scale(kinds, places, clients, chosen):
    """{workers: {name: {"cost_us": [µs], "rss_kb": KB}}}"""
    result = {}
    for workers in filter(None, chosen.scale.split(",")):
        note(f"{workers} workers")
        with Group(kinds, places, int(workers)) as running:
            for system in running:
                clients.run(system.port, 0.5, "short")
            cost = {system.name: [] for system in running}
            for _ in range(chosen.rounds):
                for system in running:
                    sample = clients.measure(system, chosen.seconds / 2, "short")
                    cost[system.name].append(sample["cost_us"])
            result[workers] = {
                system.name: {"cost_us": cost[system.name],
                              "rss_kb": measure.memory_kb(system.master_pids())[0]}
                for system in running}
    return result


def accept_calls(places, rounds):
    """{"native": {call: [ns]}, "baton": …}, one process after the other, in turns."""
    result = {"native": {}, "baton": {}}
    note("accept and other calls")
    for _ in range(rounds):
        for where, calls in result.items():
            for name, ns in systems.measure_accept(places, where == "baton").items():
                calls.setdefault(name, []).append(ns)
    return result


def run(chosen, places):
    kinds = [kind for kind in systems.ALL if kind.name in chosen.only.split(",")]
    clients = measure.Clients(places.load, chosen.connections)
    with Group(kinds, places, chosen.workers) as running:
        result = {
            "machine": f"{platform.release()}, {os.cpu_count()} processors",
            "settings": {name: getattr(chosen, name)
                         for name in ("rounds", "seconds", "workers", "connections")},
            "titles": {system.name: system.title for system in running},
            "runs": compare(running, clients, chosen),
            "memory_kb": {system.name: measure.memory_kb(system.master_pids())
                          for system in running},
            "kills_ms": kill_workers(running, chosen.kills),
        }
    if "baton-plain" in result["runs"]:
        result["calls"] = accept_calls(places, chosen.rounds)
    result["scale"] = scale([kind for kind in SCALE_SYSTEMS if kind in kinds], places, clients,
                            chosen)
    return result


def interrupt(*_):
    """Once: what was started is then ended undisturbed, which is bounded in time."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def conduct(chosen, measure_all, text, missing):
    """Measures, prints the text of the result, and ends what was started in any case. `missing`
    tells what is not built yet, or nothing."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    # A short path, for sockets are in it.
    with tempfile.TemporaryDirectory(prefix="bb-", dir="/tmp") as scratch:
        places = systems.Places(chosen.build.resolve(), chosen.packages.resolve(),
                                pathlib.Path(scratch))
        lack = missing(places)
        if lack:
            sys.exit(lack)
        try:
            result = measure_all(chosen, places)
        except KeyboardInterrupt:
            sys.exit("interrupted")
    if chosen.json:
        chosen.json.write_text(json.dumps(result, indent=1) + "\n")
    print(text(result))


def missing_load(places):
    if not places.load.exists():
        return f"{places.load} is missing: build the target 'bench' first"
    return None


if __name__ == "__main__":
    conduct(options(), run, report.text, missing_load)
