"""What must hold of any server under Baton, whatever it is written in."""
import collections
import os
import signal
import time

from catalogue import APPS, PATH
from support import procfs
from support.clients import outcomes
from support.ports import free_port
from support.wait import until
from talk import PROTOCOLS, Load, get

PATIENT = ["--slow-after", 60_000]  # a busy machine makes no worker slow: shares are counted
LISTEN_SECONDS = 30  # a virtual machine that compiles its program takes a while
LOAD_THREADS = 4
STOP_SECONDS = 30
STRAGGLER_SECONDS = 30  # for children that have been told to end to do so


class Running:
    """A server of the catalogue under Baton, ready to be asked."""

    def __init__(self, start, server, instances, *, directory, built, certificate, flags=()):
        self.server = server
        self.protocol = PROTOCOLS[server.protocol]
        port = free_port()
        places = {"apps": APPS, "built": built, "directory": directory, "port": port}
        prepare(server, directory, port)
        self.app = start(
            "baton", script_of(server, built), instances=instances, port=port, quiet=True,
            flags=["--listen-timeout", LISTEN_SECONDS * 1000, *PATIENT, *server.flags, *flags],
            arguments=server.words_of(server.arguments, **places),
            environment=environment_of(server, certificate), ready=False)
        self.sessions = set()

    def wait_ready(self):
        pids = self.app.wait_ready(timeout=LISTEN_SECONDS)
        self.sessions.update(pids)
        return pids

    def processes(self):
        """Every process of every worker so far, for each worker is a session of its own. Some
        servers write over their environment, where App would look for them."""
        return procfs.in_sessions(self.sessions)

    def get(self):
        return get(self.protocol, self.app.port)

    def handed(self):
        """How many clients each worker has got for good."""
        return {worker.pid: worker.handed - worker.returned for worker in self.app.status().workers}


def script_of(server, built):
    if server.script.startswith("{built}"):
        return server.script.format(built=built)
    inside = APPS / server.script
    return inside if inside.is_file() else server.script


def environment_of(server, certificate):
    return {"PATH": PATH, "PYTHONDONTWRITEBYTECODE": "1", "CERTIFICATE": str(certificate),
            **dict(server.environment)}


def prepare(server, directory, port):
    """What the server finds in the directory that it runs in."""
    (directory / "index.html").write_text("hello\n")
    os.chmod(directory, 0o755)
    if not server.template:
        return
    text = (APPS / server.template).read_text()
    for word, value in [("PORT", port), ("DIRECTORY", directory), *server.words]:
        text = text.replace(f"@{word}@", str(value))
    (directory / server.template).write_text(text)


def check_all(running, clients, note=lambda name: None):
    """One check after the other on a server that has just been started; `note` is called with the
    name of each before it begins."""
    steps = {
        "ready": running.wait_ready,
        "listens": lambda: check_only_master_listens(running),
        "split": lambda: check_split(running, clients),
        "keep-alive": lambda: check_kept_connection(running),
        "idle": lambda: check_idle(running),
        "kill": lambda: check_kill(running),
        "reload": lambda: check_reload(running),
        "listens again": lambda: check_only_master_listens(running),
        "stop": lambda: check_stop(running),
    }
    for name, check in steps.items():
        note(name)
        check()


# --- the checks ---


def check_split(running, count):
    """`count` clients one after the other: an equal share for each worker."""
    before = running.handed()
    owners = OwnerTable(before)
    replies = []
    for _ in range(count):
        replies.append(running.get())
        if running.server.tells_pid:
            owners.count(replies[-1])
    assert outcomes(replies) == {"ok": count}
    after = running.handed()
    assert_even([after[pid] - before[pid] for pid in before], count)
    if running.server.tells_pid:
        assert_even([owners.shares[pid] for pid in before], count)


def assert_even(shares, count):
    assert sum(shares) == count and max(shares) - min(shares) <= 1, shares


class OwnerTable:
    """Counts answers by the worker whose process, or child, has made them."""

    def __init__(self, workers):
        self._workers = set(workers)
        self._owners = {}
        self.shares = collections.Counter()

    def count(self, reply):
        pid = reply.json()["pid"]
        if pid not in self._owners:
            self._owners[pid] = self._find(pid)
        self.shares[self._owners[pid]] += 1

    def _find(self, pid):
        while pid and pid not in self._workers:
            pid = procfs.parent(pid)
        assert pid, "an answer of no worker's process"
        return pid


def check_only_master_listens(running):
    master = running.app.pid
    until(lambda: procfs.listeners([master, *running.processes()], running.app.port) == [master],
          LISTEN_SECONDS, "the master to be the only one that listens")


def check_kept_connection(running):
    """Several questions on one connection, all answered by the process that has it."""
    if not running.server.keeps_alive:
        return
    with running.protocol.open(running.app.port) as client:
        replies = [running.protocol.ask(client) for _ in range(5)]
    assert outcomes(replies) == {"ok": 5}
    if running.server.tells_pid:
        assert len({reply.json()["pid"] for reply in replies}) == 1


def check_idle(running, share=0.05):
    """At rest the workers need next to no processor time; some take a while to come to rest."""
    def used():
        return sum(map(procfs.cpu_seconds, running.processes()))

    def at_rest():
        before, began = used(), time.monotonic()
        time.sleep(0.5)
        return used() - before <= share * running.app.instances * (time.monotonic() - began)

    until(at_rest, 15, "workers at rest")


def check_kill(running):
    """A worker that is killed under load takes its own requests with it and no others."""
    with Load(running.protocol, running.app.port, LOAD_THREADS) as load:
        load.wait_more(20)
        victim = running.app.workers()[0]
        os.kill(victim, signal.SIGKILL)
        load.wait_more(20)
        running.app.wait_replaced([victim], LISTEN_SECONDS)
        load.wait_more(20)
    counts = collections.Counter(outcomes(load.replies))
    assert counts["ok"] + counts["reset"] == len(load.replies), counts
    assert counts["reset"] <= LOAD_THREADS, counts
    running.wait_ready()
    check_split(running, 4 * running.app.instances)


def check_reload(running):
    """All workers are replaced under light load, and no client notices."""
    before = running.wait_ready()
    with Load(running.protocol, running.app.port, 2) as load:
        load.wait_more(20)
        running.app.signal(signal.SIGHUP)
        running.app.wait_replaced(before, LISTEN_SECONDS)
        load.wait_more(20)
    assert outcomes(load.replies) == {"ok": len(load.replies)}
    assert not set(before) & set(running.wait_ready())


def check_stop(running):
    """SIGTERM ends Baton in time and every process of every worker with it."""
    assert running.app.stop(STOP_SECONDS) == 0, running.app.transcript()
    until(lambda: not running.processes(), STRAGGLER_SECONDS,
          lambda: f"the end of {running.processes()}")
