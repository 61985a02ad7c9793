#!/usr/bin/python3
"""Measures Baton beside other masters, in one run and in turns, and prints one table.

    bench/run.py [--quick] [--rounds N] [--only floor,baton-c] [--json FILE]

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
import statistics
import subprocess
import sys
import tempfile
import time

import measure
import systems

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODES = ("short", "keep-alive")
SCALE_SYSTEMS = (systems.Floor, systems.BatonC)
KILL_SYSTEMS = (systems.BatonC, systems.BatonNode, systems.Node, systems.Pm2)
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
                        help="a look in under a minute: 1 round of 1 s, 3 kills, 2 and 32 workers")
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
    samples = {system.name: {mode: [] for mode in MODES} for system in running}
    for system in running:
        clients.run(system.port, 0.5, "short")
    for number in range(chosen.rounds):
        note(f"round {number + 1} of {chosen.rounds}")
        for mode in MODES:
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
    victims = [system for system in running if isinstance(system, KILL_SYSTEMS)]
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
                    sample = clients.measure(system, chosen.seconds, "short")
                    cost[system.name].append(sample["cost_us"])
            result[workers] = {
                system.name: {"cost_us": cost[system.name],
                              "rss_kb": measure.memory_kb(system.master_pids())[0]}
                for system in running}
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
    result["scale"] = scale([kind for kind in SCALE_SYSTEMS if kind in kinds], places, clients,
                            chosen)
    return result


def median(result, name, mode, figure):
    return statistics.median(sample[figure] for sample in result["runs"][name][mode])


def ratio(result, name, mode, figure, base):
    """A cell of a column that compares with another system."""
    if base not in result["runs"]:
        return "-"
    return f"{median(result, name, mode, figure) / median(result, base, mode, figure):.2f}"


def table(head, rows):
    """Markdown, aligned so that it reads well on a terminal too."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = [head, ["-" * widths[0]] + ["-" * (width - 1) + ":" for width in widths[1:]], *rows]
    for line in lines:
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]
        print("| " + " | ".join(cells) + " |")
    print()


def comparison_row(result, name):
    rss, pss = result["memory_kb"][name]
    errors = sum(sample["errors"] for mode in MODES for sample in result["runs"][name][mode])
    return [
        result["titles"][name],
        f"{median(result, name, 'short', 'rate'):.0f}",
        ratio(result, name, "short", "rate", "node"),
        f"{median(result, name, 'short', 'cost_us'):.1f}",
        ratio(result, name, "short", "cost_us", "node"),
        ratio(result, name, "short", "cost_us", "floor"),
        f"{median(result, name, 'short', 'p50_us') / 1000:.2f}",
        f"{median(result, name, 'short', 'p99_us') / 1000:.2f}",
        f"{median(result, name, 'keep-alive', 'rate'):.0f}",
        f"{median(result, name, 'keep-alive', 'cost_us'):.3f}",
        f"{median(result, name, 'keep-alive', 'p50_us') / 1000:.2f}",
        f"{median(result, name, 'keep-alive', 'p99_us') / 1000:.2f}",
        f"{rss / 1024:.1f}",
        f"{pss / 1024:.1f}",
        str(errors),
    ]


def print_comparison(result):
    head = ["master", "conn/s", "× node", "master µs/conn", "× node", "× floor", "p50 ms", "p99 ms",
            "keep-alive req/s", "master µs/req", "p50 ms", "p99 ms", "RSS MB", "PSS MB", "errors"]
    table(head, [comparison_row(result, name) for name in result["runs"]])


def print_kills(result):
    rows = [[result["titles"][name], f"{statistics.median(values):.2f}", f"{max(values):.2f}",
             str(len(values))] for name, values in result["kills_ms"].items() if values]
    if rows:
        table(["kill -9 to the replacement's start", "median ms", "max ms", "kills"], rows)


def scale_cost(result, name):
    """[median µs] for the numbers of workers, fewest first, where it was measured."""
    return [statistics.median(figures[name]["cost_us"])
            for figures in result["scale"].values() if name in figures]


def print_scale(result):
    names = [kind.name for kind in SCALE_SYSTEMS if scale_cost(result, kind.name)]
    rows = []
    for workers, figures in result["scale"].items():
        if not all(name in figures for name in names):
            continue  # a system that could not start so many has said so
        cost = [statistics.median(figures[name]["cost_us"]) for name in names]
        rows.append([workers, *(f"{value:.1f}" for value in cost), f"{cost[-1] / cost[0]:.2f}",
                     *(f"{figures[name]['rss_kb'] / 1024:.1f}" for name in names)])
    if rows:
        table(["C workers", *(f"{name} µs/conn" for name in names), "× floor",
               *(f"{name} RSS MB" for name in names)], rows)


def scale_growth(result, name):
    """Cost with the most workers against cost with the fewest."""
    costs = scale_cost(result, name)
    return costs[-1] / costs[0] if len(costs) > 1 else None


def targets(result):
    """[(what, limit, value or None when it was not measured)]"""
    def against(name, base):
        if name not in result["runs"] or base not in result["runs"]:
            return None
        return median(result, name, "short", "cost_us") / median(result, base, "short", "cost_us")

    def of_baton(figure):
        values = [figure(name) for name in ("baton-c", "baton-node") if name in result["runs"]]
        return max(values) if values else None

    kills = result["kills_ms"].get("baton-c")
    return [
        ("master µs/conn, C workers, × floor", 1.15, against("baton-c", "floor")),
        ("master µs/conn, Node workers, × node", 0.45, against("baton-node", "node")),
        ("master µs/conn, Node workers, × pm2", 0.30, against("baton-node", "pm2")),
        ("master µs per keep-alive request", 0.05,
         of_baton(lambda name: median(result, name, "keep-alive", "cost_us"))),
        ("master RSS, MB", 3.0, of_baton(lambda name: result["memory_kb"][name][0] / 1024)),
        ("kill -9 to the C replacement, ms", 2.0, statistics.median(kills) if kills else None),
        ("µs/conn with the most workers, × the fewest", 1.15, scale_growth(result, "baton-c")),
    ]


def print_targets(result):
    rows = [[what, f"{limit:g}", f"{value:.3g}", "met" if value <= limit else "MISSED"]
            for what, limit, value in targets(result) if value is not None]
    if rows:
        table(["target", "at most", "measured", ""], rows)


def report(result):
    settings = result["settings"]
    print(f"Linux {result['machine']}; {settings['workers']} workers, {settings['connections']} "
          f"connections at a time; medians of {settings['rounds']} rounds of "
          f"{settings['seconds']:g} s\n")
    print_comparison(result)
    print_kills(result)
    print_scale(result)
    print_targets(result)


def interrupt(*_):
    """Once: what was started is then ended undisturbed, which is bounded in time."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def main():
    chosen = options()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    with tempfile.TemporaryDirectory(prefix="baton-bench-") as scratch:
        places = systems.Places(chosen.build.resolve(), chosen.packages.resolve(),
                                pathlib.Path(scratch))
        if not places.load.exists():
            sys.exit(f"{places.load} is missing: build the target 'bench' first")
        try:
            result = run(chosen, places)
        except KeyboardInterrupt:
            sys.exit("interrupted")
    if chosen.json:
        chosen.json.write_text(json.dumps(result, indent=1) + "\n")
    report(result)


if __name__ == "__main__":
    main()
