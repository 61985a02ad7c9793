"""An HTTP server of the standard library that tells what it was started with.

Arguments: "inherited" serves on descriptor 3 (sd_listen_fds(3)); "also N" binds port N, too, with
SO_REUSEPORT; "slow" answers after half a second. Who asks for /leave makes it end in good order:
by sys.exit(), or by an exception when LEAVE says so."""
import http.server
import json
import os
import socket
import sys
import time

WORDS = sys.argv[1:]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        global leaving  # pylint: disable=global-statement
        leaving = leaving or self.path == "/leave"
        if "slow" in WORDS:
            time.sleep(0.5)
        body = json.dumps({"pid": os.getpid(), "also": also, "environment": dict(os.environ),
                           "blocking": server.socket.getblocking()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def leave_if_asked():
    if leaving and os.environ.get("LEAVE") == "exception":
        raise RuntimeError("asked to leave")
    if leaving:
        sys.exit()


def bind_also(port):
    other = socket.socket()
    other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    other.bind(("127.0.0.1", port))
    other.listen()
    return other


leaving = False
also = None
if "also" in WORDS:
    kept = bind_also(int(WORDS[WORDS.index("also") + 1]))
    also = kept.getsockname()[1]
if "inherited" in WORDS:
    server = http.server.HTTPServer(None, Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = socket.socket(fileno=3)
else:
    server = http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
server.service_actions = leave_if_asked
server.serve_forever()
