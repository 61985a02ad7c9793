"""What the kernel knows about processes and their sockets, read from /proc."""
import collections
import os
import pathlib
import re

TCP_LISTEN = 10  # as /proc/net/tcp numbers the states
TcpSocket = collections.namedtuple("TcpSocket", "port state waiting inode")
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


def parent(pid):
    """The pid of its parent, 0 when it has none or is gone."""
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def tracer(pid):
    """The pid of whoever traces it, or 0."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^TracerPid:\s*(\d+)", status, re.M).group(1))


def session(pid):
    """The session that it is in, 0 when it is gone."""
    fields = _stat(pid)
    return int(fields[3]) if fields else 0


def in_sessions(sessions):
    """The pids of all living processes of these sessions."""
    stats = ((pid, _stat(pid)) for pid in _all_pids())
    return [pid for pid, fields in stats
            if fields and int(fields[3]) in sessions and fields[0] not in "ZX"]


def children(pid):
    """The pids of its children, those that only wait to be reaped included."""
    text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def zombies(pid):
    return [child for child in children(pid) if state(child) == "Z"]


def descriptors(pid):
    """How many it has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def resident_kilobytes(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text).group(1))


def own_kilobytes(pid):
    """What it has allocated, wherever that is: the pages of files come and go as the system likes,
    so what is there afterwards is compared without them."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return sum(int(re.search(rf"{name}:\s+(\d+)", text).group(1)) for name in ("RssAnon", "VmSwap"))


def listening_ports(pid):
    """The TCP ports that a process holds listening sockets of."""
    return {entry.port for entry in _tcp_sockets_of(pid) if entry.state == TCP_LISTEN}


def listeners(pids, port):
    """Those of the pids that hold a listening socket of a port. The table is read once, for it is
    long after many short connections."""
    inodes = {entry.inode for entry in _tcp_sockets() if (entry.port, entry.state) ==
              (port, TCP_LISTEN)}
    return [pid for pid in pids if inodes & _socket_inodes_if_alive(pid)]


def open_connections(pid, port):
    """How many connections of a local port the process holds."""
    return len({entry.inode for entry in _tcp_sockets_of(pid)
                if entry.port == port and entry.state != TCP_LISTEN})


def backlog(port):
    """How many clients the kernel has connected to a port that nobody has accepted."""
    waiting = {entry.inode: entry.waiting for entry in _tcp_sockets()
               if entry.port == port and entry.state == TCP_LISTEN}
    return sum(waiting.values())


def cpu_seconds(pid):
    """What it has used, 0 when it is gone."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND if fields else 0


def started(pid):
    """When it began, in s since the boot."""
    return int(_stat(pid)[19]) / TICKS_PER_SECOND


def with_environment(entry):
    """The pids of all living processes whose environment holds `entry` ("NAME=value")."""
    wanted = entry.encode()
    return [pid for pid in _all_pids() if wanted in _environment(pid) and alive(pid)]


def has_in_environment(pid, entry):
    """Whether the environment that the process was given holds `entry`."""
    return entry.encode() in _environment(pid)


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


def _tcp_sockets():
    """While others open and close, one may be listed twice, or be left out."""
    for name in ("tcp", "tcp6"):
        for line in pathlib.Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            fields = line.split()
            yield TcpSocket(int(fields[1].rpartition(":")[2], 16), int(fields[3], 16),
                            int(fields[4].partition(":")[2], 16), fields[9])


def _tcp_sockets_of(pid):
    inodes = _socket_inodes(pid)
    return [entry for entry in _tcp_sockets() if entry.inode in inodes]


def _socket_inodes_if_alive(pid):
    try:
        return _socket_inodes(pid)
    except FileNotFoundError:
        return set()


def open_files(pid):
    """What its descriptors are, as the links in /proc/PID/fd name it."""
    return {_link(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")}


def _socket_inodes(pid):
    return {link[len("socket:["):-1] for link in open_files(pid) if link.startswith("socket:")}


def _link(path):
    try:
        return os.readlink(path)
    except OSError:
        return ""
