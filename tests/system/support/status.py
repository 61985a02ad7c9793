"""Reads the status lines that `baton run --status=json` prints: the one place that knows them."""
import dataclasses


@dataclasses.dataclass
class Worker:
    slot: int
    pid: int
    state: str
    handed: int
    acknowledged: int
    refused: int
    returned: int
    waiting: int
    open: int
    restarts: int
    stuck: int


@dataclasses.dataclass
class Listener:
    address: str
    accepted: int
    waiting: int
    gave_up: int
    paused: bool
    paused_total: int
    starved_total: int


class Status:
    def __init__(self, line):
        self.follows_connections = line["follows_connections"]
        self.reloads = line["reloads"]
        self.listeners = [_pick(Listener, one) for one in line["listeners"]]
        self.workers = [_pick(Worker, one) for one in line["workers"]]

    def total(self, counter):
        """The sum of a counter, such as "handed", over all workers."""
        return sum(getattr(worker, counter) for worker in self.workers)

    def accepted(self):
        return sum(listener.accepted for listener in self.listeners)

    def waiting(self):
        return sum(listener.waiting for listener in self.listeners)

    def ready(self):
        return [worker for worker in self.workers if worker.state == "ready"]

    def slot(self, number):
        """The worker that has this slot now, not one that still drains."""
        return next(worker for worker in self.workers if worker.slot == number)

    def worker(self, pid):
        return next(worker for worker in self.workers if worker.pid == pid)


def is_status(line):
    return "workers" in line and "listeners" in line


def _pick(shape, record):
    return shape(**{field.name: record.get(field.name) for field in dataclasses.fields(shape)})
