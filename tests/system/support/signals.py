"""Signals whose effect is waited for: kill(2) answers before the process has had them."""
import os
import signal

from . import procfs
from .wait import PATIENCE, until


def stop(pid):
    """Until it is told to go on it does nothing any more."""
    os.kill(pid, signal.SIGSTOP)
    until(lambda: procfs.state(pid) == "T", PATIENCE, "a stopped process")


def kill(pid):
    os.kill(pid, signal.SIGKILL)
    until(lambda: not procfs.alive(pid), PATIENCE, "the end of the killed")


def go_on(pids):
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
