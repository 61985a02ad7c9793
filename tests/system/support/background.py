"""Programs that serve, and start others that put themselves in the background."""
import os
import pathlib
import shutil
import signal

import pytest

from . import procfs
from .primary import APPS
from .wait import until

# Both serve at PORT, /sleep answers after a second, from whose beginning on there is a file `asleep`, and start what
# ARGS say at first.
PYTHON = """
import http.server, os, subprocess, sys, time
if sys.argv[1:]:
    subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if "sleep" in self.path:
            open("asleep", "w").close()
            time.sleep(1)
        body = b'{"pid": %d}' % os.getpid()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        print("asked", flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
NODE = """
if (process.argv.length > 2)
  require('child_process').spawn(process.argv[2], process.argv.slice(3),
                                 { stdio: 'ignore', detached: true });
require('http').createServer({ keepAliveTimeout: 600000 }, (request, response) => {
  console.log('asked');
  if (request.url.includes('sleep')) require('fs').writeFileSync('asleep', '');
  setTimeout(() => response.end(JSON.stringify({ pid: process.pid })),
             request.url.includes('sleep') ? 1000 : 0);
}).listen(process.env.PORT);
"""


@pytest.fixture(params=["python", "node"])
def app(request, home):
    """The file's name."""
    name, text = {"python": ("app.py", PYTHON), "node": ("app.js", NODE)}[request.param]
    home.write(name, text)
    shutil.copy(APPS / "background.py", home.work)
    return name


def background(home):
    """The processes that have put themselves in the background."""
    return [pid for pid in home.leftovers() if name_of(pid) == "background"]


def name_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def command_line(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""


def start(home, app, port, *flags, count=2, deaf=False):
    """As many workers, each with a process in the background."""
    home.start(app, "-n", "a", "-i", count, "--kill-timeout", "400", *flags, "--",
               "python3", "background.py", *(["deaf"] if deaf else []), port=port)
    until(lambda: len(background(home)) == count, 10, lambda: home.leftovers())
    return background(home)


def gone(pids):
    until(lambda: not any(map(procfs.alive, pids)), 15, lambda: pids)


def kill_daemon(home):
    pid = home.signal_daemon(signal.SIGKILL)
    until(lambda: not procfs.alive(pid), 5, "its end")
