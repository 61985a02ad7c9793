"""`--trace`: what crosses between the master and a worker, as docs/ipc-protocol.md explains it."""
import re

from support.clients import get

LINE = re.compile(r"\d\d:\d\d:\d\d\.\d{6} (->|<-) worker 0  (\d+) bytes  (?:fd (\d+)  )?(.*)")


def conversation(start, script):
    """Of one worker with one client, from its start to its end: (arrow, bytes, descriptor, text)."""
    app = start("baton", script, instances=1, flags=["--trace", "--slow-after", 60_000])
    assert get(app.port, "/whoami").outcome == "ok"
    app.stop()
    app.stderr.join()
    return [match.groups() for match in map(LINE.fullmatch, app.stderr.text().splitlines())
            if match]


def outline(lines, words):
    """The arrow, whether there was a descriptor, and which of the words the text has."""
    return [(arrow, bool(descriptor), next((word for word in words if word in text), text))
            for arrow, _, descriptor, text in lines]


def test_a_conversation_with_node(start):
    lines = conversation(start, "hello.js")
    words = ["online", "queryServer", "sockname", "listening", "newconn", "NODE_HANDLE_ACK",
             "accepted", "disconnect", "close", "end of file"]
    assert outline(lines, words) == [
        ("<-", False, "online"), ("<-", False, "queryServer"), ("->", False, "sockname"),
        ("<-", False, "listening"), ("->", True, "newconn"), ("<-", False, "NODE_HANDLE_ACK"),
        ("<-", False, "accepted"), ("->", False, "disconnect"), ("<-", False, "close"),
        ("<-", False, "end of file")]
    for _, size, _, text in lines[:-1]:
        assert int(size) == len(text) + len("\n"), text


def test_a_conversation_with_a_native_worker(start):
    lines = conversation(start, "native_worker")
    words = ["reply to LISTEN: done", "LISTEN", "client 1 of listener 0, from ",
             "reply to CLOSE: done", "CLOSE"]
    assert outline(lines, words) == [
        ("<-", False, "LISTEN"), ("->", True, "reply to LISTEN: done"),
        ("->", True, "client 1 of listener 0, from "),
        ("<-", False, "CLOSE"), ("->", False, "reply to CLOSE: done")]
