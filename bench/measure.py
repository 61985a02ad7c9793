"""Reads what the kernel knows of processes, and runs the clients."""

import glob
import json
import os
import pathlib
import random
import resource
import signal
import socket
import subprocess
import time
import urllib.request


def cpu_ns(pids):
    """Processor time of all threads of the processes, in ns: the scheduler's own sum, which unlike
    utime and stime is not rounded to ticks. It includes the kernel's work on their behalf."""
    total = 0
    for pid in pids:
        for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
            total += int(pathlib.Path(path).read_text().split()[0])
    return total


def memory_kb(pids):
    """(RSS, PSS) in KB, summed. RSS counts a shared library's pages in full for every process that
    maps it, PSS each process's share of them."""
    total = {"Rss:": 0, "Pss:": 0}
    for pid in pids:
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            word = line.split()
            if word[0] in total:
                total[word[0]] += int(word[1])
    return total["Rss:"], total["Pss:"]


def children_of(parent):
    found = []
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            fields = pathlib.Path(path).read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.append(int(path.split("/")[2]))
    return found


def free_port():
    """A port below the range that clients' own ports are taken from."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def wait_for(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(0.01)


def wait_idle(pid, seconds, what):
    """Until a process needs less than 1 % of a processor."""
    before = [cpu_ns([pid])]

    def idle():
        time.sleep(0.3)
        now = cpu_ns([pid])
        spent, before[0] = now - before[0], now
        return spent < 3e6

    wait_for(idle, seconds, f"{what}: idle")


def answers(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1) as response:
            return response.status == 200
    except OSError:
        return False


def stamps(path):
    """[(pid, ns)] of the worker starts so far, oldest first."""
    try:
        lines = pathlib.Path(path).read_text().splitlines()
    except FileNotFoundError:
        return []
    return [tuple(map(int, line.split())) for line in lines]


def marked_pids(variable):
    """The processes that carry this variable in their environment, zombies not among them."""
    found = []
    for path in glob.glob("/proc/[0-9]*/environ"):
        try:
            if f"{variable}\0".encode() in pathlib.Path(path).read_bytes():
                found.append(int(path.split("/")[2]))
        except OSError:
            continue
    return found


def end_marked(variable):
    """Kills them, again while there are any: one of them may have just started another."""
    for _ in range(20):
        pids = marked_pids(variable)
        if not pids:
            return
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.05)


class Spent:
    """Processor time of a system from now on."""

    def __init__(self, system):
        self.groups = [system.master_pids(), system.all_pids()]
        self.before = [cpu_ns(pids) for pids in self.groups]

    def since(self):
        """[ns of the master, ns of all processes]"""
        return [cpu_ns(pids) - before for pids, before in zip(self.groups, self.before)]


def busy_s():
    """Processor time of the whole machine that was neither idle nor waited for a disk."""
    with open("/proc/stat", encoding="ascii") as stat:
        user, nice, system, _, _, interrupts, soft_interrupts, *_ = map(
            int, stat.readline().split()[1:])
    return (user + nice + system + interrupts + soft_interrupts) / os.sysconf("SC_CLK_TCK")


class Others:
    """What programs beside the system, its clients and this one use of the machine from now on."""

    def __init__(self, system):
        self.spent, self.began, self.before = Spent(system), time.monotonic(), self.strange_s()

    @staticmethod
    def strange_s():
        return busy_s() - sum(sum(resource.getrusage(who)[:2]) for who in
                              (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))

    def share(self):
        strange = self.strange_s() - self.before - self.spent.since()[1] / 1e9
        return max(strange, 0) / (time.monotonic() - self.began) / os.cpu_count()


class Clients:
    """bench_load, and not wrk: measured here against the same master, wrk spends about 15 % more
    processor time per short connection, which on two cores the measured master has to do without,
    and its latency starts only when the request is sent, so that the wait for the connection is
    missing (p50 half as long). On keep-alive connections their rates agree."""

    def __init__(self, program, connections):
        self.program = program
        self.connections = connections

    def start(self, port, seconds, mode):
        return subprocess.Popen(
            [self.program, str(port), str(seconds), str(self.connections), mode],
            stdout=subprocess.PIPE, text=True)

    def finish(self, process, seconds):
        try:
            output, _ = process.communicate(timeout=seconds + 10)
        finally:
            process.kill()
        if process.returncode != 0:
            raise RuntimeError(f"{self.program} failed")
        return json.loads(output)

    def run(self, port, seconds, mode):
        return self.finish(self.start(port, seconds, mode), seconds)

    def measure(self, system, seconds, mode):
        """One run: rate, cost per answer of the master and of all processes, and latencies."""
        measured = self.run_kept if mode == "keep-alive" else self.run_short
        others = Others(system)
        load, spent, answers_meanwhile = measured(system, seconds)
        if load["completed"] == 0:
            raise RuntimeError(f"{system.name}: no answer in {seconds} s")
        return {
            "rate": load["completed"] / load["seconds"],
            "cost_us": spent[0] / 1000 / answers_meanwhile,
            "all_us": spent[1] / 1000 / answers_meanwhile,
            "p50_us": load["p50_us"],
            "p99_us": load["p99_us"],
            "errors": load["errors"] + load["unfinished"],
            "others": others.share(),
        }

    def run_short(self, system, seconds):
        spent = Spent(system)
        load = self.run(system.port, seconds, "short")
        return load, spent.since(), max(load["completed"], 1)

    def run_kept(self, system, seconds):
        """The connections are made in the first moments, and what that costs the master is the
        short connections' figure: only the time in the middle counts here."""
        process = self.start(system.port, seconds, "keep-alive")
        try:
            time.sleep(seconds * 0.2)
            spent, since = Spent(system), time.monotonic()
            time.sleep(seconds * 0.6)
            passed, cost = time.monotonic() - since, spent.since()
        finally:
            load = self.finish(process, seconds)
        return load, cost, max(load["completed"] / load["seconds"] * passed, 1)
