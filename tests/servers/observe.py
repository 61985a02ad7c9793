"""How a server accepts when it runs by itself, read from strace."""
import collections
import contextlib
import os
import re
import signal
import subprocess
import time

from support import procfs
from support.clients import LOOPBACK, open_socket
from support.wait import until

WAITS = "poll,ppoll,select,pselect6,epoll_wait,epoll_pwait,epoll_pwait2"
LINE = re.compile(r"^(\d+) +(?:<\.\.\. )?(\w+)(?: resumed>|\()(.*)$")
RETURNED = re.compile(r"= (-?\d+)(?: ([A-Z]+))?(?: \(.*\))?$")


def strace(command, log, **options):
    """Starts the command in a session of its own; every process of it is traced."""
    return subprocess.Popen(
        ["strace", "-f", "-qq", "-e", f"trace=accept,accept4,{WAITS}", "-e", "signal=none", "-o",
         log, *command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True, **options)


def wait_listening(port, timeout):
    def reachable():
        try:
            open_socket(port).close()
        except OSError:
            return False
        return True

    until(reachable, timeout, f"a listener on {LOOPBACK}:{port}")


def describe(log):
    """For example "accept4 after epoll_wait, without blocking": the most frequent of its ways."""
    ways = collections.Counter()
    waited = {}
    for line in open(log, errors="replace"):
        found = LINE.match(line)
        result = RETURNED.search(line)
        if not found or not result:
            continue
        thread, call = found.group(1), found.group(2)
        if not call.startswith("accept"):
            waited[thread] = call if int(result.group(1)) > 0 else waited.get(thread)
        elif int(result.group(1)) >= 0:
            ways[call, waited.get(thread)] += 1
    if not ways:
        return ""
    (call, wait), _ = ways.most_common(1)[0]
    return f"`{call}` after `{wait}`" if wait else f"`{call}`, blocking"


def descendants(pid):
    found = [pid]
    for one in found:
        with contextlib.suppress(FileNotFoundError):  # it has ended meanwhile
            found += procfs.children(one)
    return found[1:]


def end(process, seconds=5):
    """Ends the whole session, and what began a session of its own; strace passes nothing on when it
    is killed."""
    traced = descendants(process.pid)
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(seconds)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
        time.sleep(0.05)
    for pid in filter(procfs.alive, traced):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
