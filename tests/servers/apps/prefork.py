"""Two children that accept from the socket that their parent listens on."""
import os
import signal
import socket

CHILDREN = 2


def serve(listener):
    while True:
        client, _ = listener.accept()
        body = b'{"pid":%d}' % os.getpid()
        with client:
            client.recv(65536)
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


server = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
signal.signal(signal.SIGINT, signal.SIG_DFL)
for _ in range(CHILDREN):
    if os.fork() == 0:
        serve(server)
for _ in range(CHILDREN):
    os.wait()
