"""The process managers that are compared, each with a home of its own."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import measure

IDLE = "setInterval(() => {}, 3600000);\n"
WEB = """require('http').createServer((request, response) => response.end('hello'))
  .listen(process.env.PORT);
"""
# Prints lines of 100 bytes at 50 MB/s at most once the file `go` is there, and says when it has.
TALK = """const fs = require('fs');
const [total, block] = [%d, ('x'.repeat(99) + '\\n').repeat(40)];
let written = 0, began = 0, rest = '';
function print() {
  try {
    while (written < total && written < (performance.now() - began) * 50000) {
      const count = fs.writeSync(1, rest || block);
      rest = (rest || block).slice(count);
      written += count;
    }
  } catch (error) {
    if (error.code !== 'EAGAIN') throw error;
  }
  if (written < total) setTimeout(print, 1);
  else fs.writeFileSync(`done-${process.pid}`, '');
}
function wait() {
  if (!fs.existsSync('go')) return setTimeout(wait, 5);
  began = performance.now();
  print();
}
wait();
setInterval(() => {}, 3600000);
"""
TALKERS = 2
FOREIGN = ("PM2_", "BATON_", "NODE_APP_INSTANCE", "NOTIFY_SOCKET", "LISTEN_")


class Manager:
    """command() runs one of its commands; close() ends it and everything it has started."""

    name = ""
    title = ""
    variable = ""
    pid_name = ""

    def __init__(self, places):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f"{self.name}-", dir=places.scratch))
        self.home = self.directory / "home"
        self.port = measure.free_port()
        self.mark = f"BENCH_MARK={self.directory}"
        (self.directory / "idle.js").write_text(IDLE)
        (self.directory / "web.js").write_text(WEB)

    def program(self):
        raise NotImplementedError

    def environment(self):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        name, _, value = self.mark.partition("=")
        return {**kept, self.variable: str(self.home), "PORT": str(self.port), name: value,
                "NODE_ENV": "production", "HOME": str(self.directory)}

    def command(self, *words, check=True):
        """(seconds, seconds of processor time, what it printed)"""
        output = self.directory / "output"
        with open(output, "wb") as file:
            began = time.monotonic()
            process = subprocess.Popen(
                [str(word) for word in (*self.program(), *words)], cwd=self.directory, stdout=file,
                stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=self.environment())
            _, status, usage = os.wait4(process.pid, 0)
            took = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        text = output.read_text(errors="replace")
        if check and process.returncode != 0:
            raise RuntimeError(f"{self.name} {' '.join(map(str, words))}: {text[-500:]}")
        return took, usage.ru_utime + usage.ru_stime, text

    def daemon(self):
        return int((self.home / self.pid_name).read_text())

    def processes(self):
        _, _, text = self.command("jlist")
        line = next(line for line in text.splitlines() if line.startswith("["))
        return json.loads(line)

    def online(self):
        return [one["pid"] for one in self.processes() if one["pm2_env"]["status"] == "online"]

    def start_idle(self, count):
        """So many apps of one idle Node process each, from a process file: seconds."""
        file = self.directory / "idle.json"
        file.write_text(json.dumps({"apps": [
            {"name": f"idle-{number}", "script": str(self.directory / "idle.js"),
             "exec_mode": "fork"}
            for number in range(count)]}))
        took, _, _ = self.command("start", file)
        measure.wait_for(lambda: len(self.online()) >= count, 60, f"{self.name}: {count} apps")
        return took

    def start_web(self, instances):
        self.command("start", "web.js", "-n", "web", "-i", instances)
        self.wait_answer()

    def start_talkers(self, megabytes):
        """Two processes that will print so much together."""
        (self.directory / "talk.js").write_text(talk(megabytes))
        file = self.directory / "talk.json"
        file.write_text(json.dumps({"apps": [
            {"name": "talk", "script": str(self.directory / "talk.js"), "exec_mode": "fork",
             "cwd": str(self.directory), "instances": TALKERS}]}))
        self.command("start", file)
        measure.wait_for(lambda: len(self.online()) >= TALKERS, 60, f"{self.name}: talkers")

    def let_talk(self):
        """Until all is printed, and the daemon has done all that comes of it."""
        let_talk(self.directory, self.name)
        measure.wait_idle(self.daemon(), 60, self.name)

    def wait_answer(self):
        wait_answer(self.port, self.name)

    def close(self):
        try:
            if (self.home / self.pid_name).exists():
                self.command("kill", check=False)
        finally:
            measure.end_marked(self.mark)
            shutil.rmtree(self.directory, ignore_errors=True)


class Baton(Manager):
    name, title, variable, pid_name = "baton", "Baton", "BATON_HOME", "daemon.pid"

    def __init__(self, places):
        super().__init__(places)
        self.places = places

    def program(self):
        return [self.places.baton]


class Pm2(Manager):
    name, title, variable, pid_name = "pm2", "pm2", "PM2_HOME", "pm2.pid"

    def __init__(self, places):
        super().__init__(places)
        self.path = places.pm2
        if not self.path.exists():
            raise FileNotFoundError(f"{self.path}: run scripts/install-pm2")

    def environment(self):
        return {**super().environment(), "PM2_DISABLE_VERSION_CHECK": "true",
                "PM2_DISCRETE_MODE": "true"}

    def program(self):
        return [self.path]


ALL = [Baton, Pm2]


def talk(megabytes):
    """The program of TALKERS that print so much together."""
    return TALK % (megabytes * 1_000_000 // TALKERS)


def let_talk(directory, what):
    """Until all of it is printed by the talkers that run there."""
    (directory / "go").touch()
    measure.wait_for(lambda: len(list(directory.glob("done-*"))) == TALKERS, 300,
                     f"{what}: the output")


def wait_answer(port, what, seconds=30):
    """Waits for it without a pause worth speaking of."""
    deadline = time.monotonic() + seconds
    while not measure.answers(port):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: no answer within {seconds} s")
        time.sleep(0.0005)


def children(pid):
    """All threads' children: node spawns from its main one, but not by contract."""
    found = set()
    for path in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found.update(map(int, path.read_text().split()))
        except OSError:
            continue
    return found


def kill_and_wait(manager, victim):
    """kill -9: ms to the replacement's process, and ms until a client that comes then is served."""
    daemon = manager.daemon()
    before = children(daemon)
    began = time.monotonic()
    os.kill(victim, signal.SIGKILL)
    while not children(daemon) - before:
        if time.monotonic() - began > 20:
            raise TimeoutError(f"{manager.name}: no replacement")
    to_process = time.monotonic() - began
    manager.wait_answer()
    return to_process * 1000, (time.monotonic() - began) * 1000
