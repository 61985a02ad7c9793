"""A daemon that is none: the control API of docs/api.md over a Unix socket, with canned answers.

For tests of what people see, and for looking at it by hand:

    python3 -m support.fake_daemon /tmp/home/control.sock [APPS]
"""
import contextlib
import http.server
import json
import queue
import re
import socketserver
import subprocess
import sys
import threading
import time
import urllib.parse

from .primary import BATON


def process(pm_id, name, slot=0, status="online", **baton):
    """One entry of GET /v1/processes."""
    now = int(time.time() * 1000)
    fork = baton.get("kind") == "none"
    running = status in ("online", "launching", "stopping")
    return {
        "pid": 4000 + pm_id if running else 0, "name": name, "pm_id": pm_id,
        "monit": {"memory": (52_428_800 + pm_id * 777_777) if running else 0,
                  "cpu": round(0.3 + pm_id * 7.7 % 90, 1) if running else 0},
        "pm2_env": {
            "status": status, "name": name, "namespace": "default", "pm_id": pm_id,
            "exec_mode": "fork_mode" if fork else "cluster_mode", "instances": 4,
            "NODE_APP_INSTANCE": slot, "restart_time": pm_id % 3, "unstable_restarts": 0,
            "created_at": now - 200_000_000, "pm_uptime": now - 60_000 * (pm_id + 1),
            "exit_code": 0, "pm_exec_path": f"/srv/{name}/app.js", "pm_cwd": f"/srv/{name}",
            "args": ["--port", "3000"], "node_args": [], "exec_interpreter": "node",
            "pm_out_log_path": f"/root/.baton/logs/{name}-out-{pm_id}.log",
            "pm_err_log_path": f"/root/.baton/logs/{name}-error-{pm_id}.log",
            "pm_pid_path": f"/root/.baton/pids/{name}-{pm_id}.pid", "watch": False,
            "autorestart": True, "merge_logs": False, "version": "1.2.0",
            "node_version": "20.20.2", "username": "root", "unique_id": f"u{pm_id}",
            "env": {"NODE_ENV": "production", "API_TOKEN": "hunter2",
                    "DATABASE_URL": "postgres://app:hunter2@db/app", "REGION": "eu-1"},
            "treekill": True},
        "baton": {"app": name, "slot": slot, "kind": "node", "policy": "node", "window": 1,
                  "handed": 12 + pm_id, "acknowledged": 12 + pm_id, "refused": 0, "returned": 0,
                  "waiting": 0, "open": None if fork else (pm_id * 5) % 40, "stuck": 0,
                  "listeners": [] if fork else [
                      {"address": "0.0.0.0:3000", "accepted": 48, "waiting": 0}], **baton},
    }


def sample():
    """Apps of all sorts."""
    states = ["online", "online", "launching", "stopping"]
    return ([process(i, "api", i, state) for i, state in enumerate(states)]
            + [process(4, "wörker-日本", 0, kind="none"),
               process(5, "broken", 0, "errored", reason="exited with code 1 after 80 ms"),
               process(6, "mailer", 0, "stopped"), process(7, "mailer", 1, "waiting restart")])


def is_meant(one, target):
    """Whether a process is one of a target."""
    if len(target) > 2 and target[0] == target[-1] == "/":
        return re.search(target[1:-1], one["name"]) is not None
    return target in ("all", str(one["pm_id"]), one["name"], one["pm2_env"]["namespace"])


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *arguments):
        self.connections = []
        super().__init__(*arguments)

    def get_request(self):
        """Noted before it is another thread's, so that all are known when accepting has ended."""
        request = super().get_request()
        self.connections.append(request[0])
        return request

    def handle_error(self, request, client_address):
        """Clients leave when they like."""


class FakeDaemon:
    """A context manager. `processes` may be changed at any time; `actions` holds what was asked
    for: (path, body)."""

    def __init__(self, path, processes=None):
        self.path = str(path)
        self.processes = sample() if processes is None else processes
        self.actions = []
        self.version = subprocess.run([BATON, "--version"], capture_output=True, text=True,
                                      check=True).stdout.split()[-1]
        self.failure = None  # (status, code, message): what actions answer
        self.answers = {}  # path: the body of what an action answers, if no failure
        self.progress = []  # what is announced before an answer, to whoever asks for it
        self.log_queries = []  # of GET /v1/logs
        self.history = []  # (pm_id, line): what is in the log files
        self.followers = []
        self.polls = 0  # how often the processes were asked for
        self._speaks = threading.Event()
        self._speaks.set()
        daemon = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def address_string(self):
                return "unix"

            def log_message(self, format, *arguments):
                pass

            def _answer(self, status, value):
                body = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def _chunk(self, text):
                data = text.encode()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                self.wfile.flush()

            def _events(self):
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                events = queue.Queue()
                daemon.followers.append(events)
                try:
                    while True:
                        event, data = events.get()
                        if event is None:
                            self._chunk(data)
                        else:
                            self._chunk(f"event: {event}\ndata: {json.dumps(data)}\n\n")
                except OSError:
                    daemon.followers.remove(events)

            def _begin_events(self):
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()

            def _send_event(self, event, data):
                self._chunk(f"event: {event}\ndata: {json.dumps(data)}\n\n")

            def _answer_action(self, path):
                body = daemon.answers.get(path, {"processes": [], "warnings": []})
                if self.headers.get("Accept") != "text/event-stream":
                    self._answer(200, body)
                    return
                self._begin_events()
                for step in daemon.progress:
                    self._send_event("progress", step)
                self._send_event("result", {"status": 200, "body": body})
                self.wfile.write(b"0\r\n\r\n")

            def _processes(self, query):
                targets = urllib.parse.parse_qs(query).get("target", [])
                meant = [[one for one in daemon.processes if is_meant(one, target)]
                         for target in targets]
                if not all(meant):
                    self._answer(404, {"error": {"code": "unknown_target", "message": "unknown"}})
                elif targets:
                    self._answer(200, [one for one in daemon.processes
                                       if any(one in some for some in meant)])
                else:
                    self._answer(200, daemon.processes)

            def _history(self):
                self._begin_events()
                for pm_id, line in daemon.history:
                    event = json.dumps(daemon.event(pm_id, line))
                    self._chunk(f"event: log\ndata: {event}\n\n")
                self.wfile.write(b"0\r\n\r\n")

            def do_GET(self):
                url = urllib.parse.urlsplit(self.path)
                if url.path == "/v1/processes":
                    daemon.polls += 1
                    daemon._speaks.wait()
                    self._processes(url.query)
                elif url.path == "/v1/events":
                    self._events()
                elif url.path == "/v1/logs":
                    daemon.log_queries.append(urllib.parse.parse_qs(url.query))
                    self._history()
                elif url.path == "/v1":
                    self._answer(200, {"name": "baton", "version": daemon.version, "api": 1, "pid": 1})
                else:
                    self._answer(404, {"error": {"code": "not_found", "message": "no such path"}})

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                daemon.actions.append((self.path, json.loads(body or b"null")))
                if daemon.failure:
                    status, code, message = daemon.failure
                    self._answer(status, {"error": {"code": code, "message": message}})
                else:
                    self._answer_action(self.path)

        self._server = _Server(self.path, Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,),
                                        daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.end()

    def announce(self, event, data):
        for follower in list(self.followers):
            follower.put((event, data))

    def event(self, pm_id, line, stream="out"):
        name = next(p["name"] for p in self.processes if p["pm_id"] == pm_id)
        return {"pm_id": pm_id, "name": name, "stream": stream,
                "time": int(time.time() * 1000), "line": line}

    def log(self, pm_id, line, stream="out"):
        self.announce("log", self.event(pm_id, line, stream))

    @contextlib.contextmanager
    def silence(self):
        """No answer with processes comes."""
        self._speaks.clear()
        try:
            yield
        finally:
            self._speaks.set()

    def end(self):
        """As if it was killed: every connection ends."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        for connection in self._server.connections:
            try:
                connection.shutdown(2)
            except OSError:
                pass


def _demonstrate(path, apps):
    processes = None
    if apps:
        processes = [process(i, f"app-{i // 4}", i % 4) for i in range(apps)]
    with FakeDaemon(path, processes) as daemon:
        daemon.history = [(0, "this was said before")]
        count = 0
        while True:
            time.sleep(0.3)
            count += 1
            for one in daemon.processes:
                if one["pid"]:
                    one["monit"]["cpu"] = (one["monit"]["cpu"] + 3.3) % 100
                    if one["baton"]["open"] is not None:
                        one["baton"]["open"] = (one["baton"]["open"] + count) % 50
            daemon.log(count % len(daemon.processes), f"\x1b[32mline\x1b[0m {count} of the log",
                       "err" if count % 5 == 0 else "out")


if __name__ == "__main__":
    _demonstrate(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0)
