"""Speaks the native protocol in the place of a worker, well or badly."""
import array
import collections
import os
import pathlib
import socket
import struct

from .clients import connect_unix

MAGIC, VERSION = 0x4E544142, 1
LISTEN, CLOSE, READY, LOAD = 1, 2, 3, 4
REQUEST = struct.Struct("=IHH16sIiII128s")
REPLY = struct.Struct("=IHHiIII128s")

Reply = collections.namedtuple("Reply",
                               "magic version type error listener flags address_length address")


class Worker:
    """What a worker was told: where to ask, and its token."""

    def __init__(self, pid):
        pairs = (entry.partition(b"=") for entry in
                 pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"))
        variables = {name: value for name, _, value in pairs}
        self.name = b"\0" + variables[b"BATON_SOCKET"]
        self.token = bytes.fromhex(variables[b"BATON_TOKEN"].decode())


def request(worker, kind, *, listener=0, value=0, address=b"", **changes):
    """The bytes of a request; `changes` to its magic, version, token or length."""
    return REQUEST.pack(changes.get("magic", MAGIC), changes.get("version", VERSION), kind,
                        changes.get("token", worker.token), listener, value, 0,
                        changes.get("length", len(address)), address)


def pack_address(host, port):
    if ":" in host:
        return struct.pack("=H", socket.AF_INET6) + struct.pack("!HI", port, 0) \
            + socket.inet_pton(socket.AF_INET6, host) + bytes(4)
    return struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) \
        + socket.inet_pton(socket.AF_INET, host) + bytes(8)


def connect(worker, timeout=30):
    return connect_unix(worker.name, timeout, socket.SOCK_SEQPACKET)


def ask(worker, message, descriptors=()):
    """Sends the bytes, with descriptors, and receives: (Reply, descriptors); (None, []) when the
    master just closes the connection."""
    with connect(worker) as client:
        rights = array.array("i", descriptors)
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)] if rights else []
        client.sendmsg([message], control)
        try:
            received, fds, _, _ = socket.recv_fds(client, REPLY.size, 4, socket.MSG_CMSG_CLOEXEC)
        except ConnectionResetError:
            return None, []
    return (Reply(*REPLY.unpack(received)), fds) if received else (None, [])


def listen(worker, address):
    return ask(worker, request(worker, LISTEN, value=511, address=pack_address(*address)))


def close_all(descriptors):
    for descriptor in descriptors:
        os.close(descriptor)
