"""Free ports, from below the range that the kernel gives to clients."""
import random
import socket

_handed_out = set()


def free_port():
    for _ in range(1000):
        port = random.randrange(10000, 32000)
        if port not in _handed_out and _can_bind(port):
            _handed_out.add(port)
            return port
    raise AssertionError("no free port found")


def _can_bind(port):
    return all(_binds(kind, port) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM))


def _binds(kind, port):
    with socket.socket(socket.AF_INET6, kind) as probe:
        probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        try:
            probe.bind(("::", port))
        except OSError:
            return False
    return True
