"""How the servers are asked: each protocol has open(port), a connection, and ask(connection), one
Reply on it whose body is {"pid": …} where the server can tell its pid."""
import json
import re
import ssl

from support import clients
from support.clients import Reply


class Http:
    """`ask` leaves the connection open, `ask_last` has the server close it."""
    open = staticmethod(clients.open_socket)
    ask = staticmethod(clients.ask_more)
    ask_last = staticmethod(clients.ask)


def any_certificate():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Https(Http):
    context = any_certificate()  # once, for it reads every authority of the machine

    @classmethod
    def open(cls, port):
        return cls.context.wrap_socket(clients.open_socket(port), server_hostname="localhost")


class Line:
    """Protocols of which one answer to a question tells the pid."""
    question = end = pid = b""
    open = staticmethod(clients.open_socket)

    @classmethod
    def ask(cls, client):
        received = b""
        try:
            client.sendall(cls.question)
            while not received.endswith(cls.end):
                piece = client.recv(65536)
                if not piece:
                    return Reply("reset")
                received += piece
        except TimeoutError:
            return Reply("hung")
        except OSError:
            return Reply("reset")
        pid = int(re.search(cls.pid, received).group(1))
        return Reply("ok", body=json.dumps({"pid": pid}).encode())

    ask_last = ask


class Redis(Line):
    question, end, pid = b"INFO server\r\n", b"\r\n\r\n", rb"process_id:(\d+)"


class Memcached(Line):
    question, end, pid = b"stats\r\n", b"END\r\n", rb"STAT pid (\d+)"


PROTOCOLS = {"http": Http, "https": Https, "redis": Redis, "memcached": Memcached}


def get(protocol, port):
    """One question on a connection of its own."""
    try:
        client = protocol.open(port)
    except ConnectionRefusedError:
        return Reply("refused")
    except TimeoutError:
        return Reply("hung")
    except OSError:
        return Reply("reset")
    with client:
        return protocol.ask_last(client)


class Load(clients.Load):
    """Threads that ask one question after the other, each on its own connection."""

    def __init__(self, protocol, port, threads):
        super().__init__(port, threads)
        self._protocol = protocol

    def _run(self):
        while not self._stopping.is_set():
            self.replies.append(get(self._protocol, self._address))
