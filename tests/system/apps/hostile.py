"""A worker that speaks Node's channel and misbehaves, as its first argument says; after that, and
in every other slot, it is an honest Node program.

It tells {"event": "sent"} when all is sent; the master may cut it off before.
"""
import array
import json
import os
import pathlib
import socket
import sys

QUERY = {"cmd": "NODE_CLUSTER", "act": "queryServer", "index": 0, "data": None, "address": None,
         "port": int(os.environ["PORT"]), "addressType": 4, "backlog": 0, "seq": 1}


def main():
    mode, marker = sys.argv[1], pathlib.Path(sys.argv[2])
    if os.environ.get("NODE_APP_INSTANCE") != "0" or marker.exists():
        script = pathlib.Path(__file__).with_name("hello.js")
        os.execvp("node", ["node", str(script)])
    marker.touch()
    channel = socket.socket(fileno=int(os.environ["NODE_CHANNEL_FD"]))
    send(channel, {"cmd": "NODE_CLUSTER", "act": "online", "seq": 0})
    MODES[mode](channel)
    event("sent")
    while channel.recv(65536):
        pass


def event(name):
    line = json.dumps({"event": name, "pid": os.getpid()}) + "\n"
    os.write(sys.stdout.fileno(), line.encode())


def send(channel, *messages):
    for message in messages:
        channel.sendall(json.dumps(message).encode() + b"\n")


def ignorable(channel):
    """What Node ignores: unknown words, and user messages of every type."""
    send(channel, {"cmd": "NODE_CLUSTER", "act": "dance", "seq": 1},
         {"cmd": "NODE_CLUSTER", "seq": 2}, {"cmd": "NODE_"}, {"cmd": "NODE_UNKNOWN"},
         {"cmd": 5}, {}, [], [[{}]], None, True, 5, -1.5, "", "text", "\u0000\U0001f600",
         {"cmd": "NODE_CLUSTER", "act": "close", "key": "unknown", "seq": 3})


def wrong_types(channel):
    for name, values in {
        "port": ["80", 70000, -5, 1e300, {}, True],
        "address": [12, "x" * 10000, "not an address", []],
        "addressType": [99, "udp9", None, {}], "index": [-1, 10**18, "0"],
        "backlog": ["x", -1, 10**18, []], "flags": ["x", -1, 1.5, 10**18], "fd": [-7, 10**9, "3"],
        "seq": ["a", None, -1, 1e300, []],
    }.items():
        for value in values:
            send(channel, {**QUERY, name: value})
    send(channel, {"cmd": "NODE_CLUSTER", "act": 5, "seq": 1}, {"cmd": "NODE_CLUSTER", "act": None},
         {"cmd": "NODE_CLUSTER", "act": "close", "key": 5}, {"cmd": "NODE_CLUSTER", "ack": "x"})


def wrong_acknowledgements(channel):
    send(channel, *({"cmd": "NODE_CLUSTER", "ack": ack, "accepted": accepted, "seq": 1}
                    for ack in (0, 1, 7, -1, 10**18) for accepted in (True, False, None, "x")),
         {"cmd": "NODE_HANDLE_ACK"}, {"cmd": "NODE_HANDLE_NACK"}, {"cmd": "NODE_HANDLE_ACK"})


def no_json(channel):
    channel.sendall(b"\x00\xff{{{ no JSON at all\n")


def deep(channel):
    """A message, and a user's message, that nest deeper than any stack."""
    nested = b"[" * 20_000 + b"]" * 20_000
    channel.sendall(nested + b"\n")
    channel.sendall(b'{"cmd":"NODE_CLUSTER","act":"queryServer","data":' + nested + b"}\n")


def endless(channel):
    """100 MB without a newline."""
    for _ in range(1600):
        channel.sendall(b"x" * 65536)


def descriptors(channel):
    """Descriptors where none, or one, is expected."""
    for count in (1, 2, 50):
        with open("/dev/null", "rb") as null:
            rights = array.array("i", [null.fileno()] * count)
            for message in ("text", {"cmd": "NODE_CLUSTER", "act": "dance"},
                            {"cmd": "NODE_HANDLE", "type": "net.Socket", "msg": 1, "key": "k"}):
                channel.sendmsg([json.dumps(message).encode() + b"\n"],
                                [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])


def acquire(channel):
    """Asks for the port and reads until the reply."""
    send(channel, QUERY)
    received = b""
    while b'"sockname"' not in received:
        received += channel.recv(65536)
    send(channel, {**QUERY, "act": "listening", "seq": 2})


def refuses(channel):
    """Takes its turn and then refuses every client."""
    answer_clients(channel, [False])


def answers_twice(channel):
    answer_clients(channel, [False, True])


def answer_clients(channel, answers):
    acquire(channel)
    event("listening")
    buffer = b""
    while True:
        piece, fds, _, _ = socket.recv_fds(channel, 65536, 32)
        if not piece:
            break
        for fd in fds:
            os.close(fd)
        *lines, buffer = (buffer + piece).split(b"\n")
        for line in filter(None, lines):
            message = json.loads(line)
            if message.get("cmd") == "NODE_HANDLE":
                send(channel, {"cmd": "NODE_HANDLE_ACK"},
                     *({"cmd": "NODE_CLUSTER", "ack": message["msg"]["seq"], "accepted": answer,
                        "seq": 9} for answer in answers))


MODES = {function.__name__: function for function in (
    ignorable, wrong_types, wrong_acknowledgements, no_json, deep, endless, descriptors, refuses,
    answers_twice)}

main()
