"""Free ports, from below the range that the kernel gives to clients. They stay this process's until
it ends, for other tests run beside it, and a port is bound only later, and not all the time."""
import random
import socket

_claims = []


def free_port():
    for _ in range(1000):
        port = random.randrange(10000, 32000)
        claim = _claim(port)
        if claim and _can_bind(port):
            _claims.append(claim)
            return port
        if claim:
            claim.close()
    raise AssertionError("no free port found")


def _claim(port):
    """A socket with a name that only one can have, which goes with its process; or None."""
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0baton-test-port-{port}")
    except OSError:
        claim.close()
        return None
    return claim


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
