"""What the kernel knows about processes, read from /proc."""
import os
import pathlib
import re

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def _stat(pid):
    """The fields of /proc/PID/stat from the state on, or None when the process is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text.rpartition(")")[2].split()


def alive(pid):
    """Whether the process runs (one that only waits to be reaped does not)."""
    fields = _stat(pid)
    return fields is not None and fields[0] not in "ZX"


def state(pid):
    fields = _stat(pid)
    return fields[0] if fields else None


def cpu_seconds(pid):
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def with_environment(entry):
    """The pids of all living processes whose environment holds `entry` ("NAME=value")."""
    wanted = entry.encode()
    return [pid for pid in _all_pids() if wanted in _environment(pid) and alive(pid)]


def limit_of_files(pid):
    """(soft, hard) of RLIMIT_NOFILE."""
    text = pathlib.Path(f"/proc/{pid}/limits").read_text()
    soft, hard = re.search(r"^Max open files\s+(\d+)\s+(\d+)", text, re.MULTILINE).groups()
    return int(soft), int(hard)


def _all_pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _environment(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []
