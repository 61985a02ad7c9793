"""One sequence of commands under one process manager, and what is seen after each of them.

What is seen is kept under names, so that two runs can be compared: {name: value}, where paths,
ports and pids are replaced by words."""
import json
import pathlib
import re
import shutil
import subprocess

from support.ports import free_port
from support.primary import NODE
from support.wait import until

APPS = pathlib.Path(__file__).resolve().parent / "apps"

# What scripts read of jlist, as CLI.md lists it; values of these must be the same.
SAME = ["status", "name", "namespace", "pm_id", "exec_mode", "instances", "NODE_APP_INSTANCE",
        "restart_time", "exit_code", "pm_exec_path", "pm_cwd", "args", "node_args",
        "exec_interpreter", "pm_out_log_path", "pm_err_log_path", "pm_log_path", "pm_pid_path",
        "watch", "autorestart", "version", "node_version", "username", "vizion", "pmx",
        "automation", "treekill"]
# … and of these the type.
TYPED = ["unstable_restarts", "created_at", "pm_uptime", "unique_id", "env", "merge_logs"]


class Sequence:
    def __init__(self, home):
        self.home = home
        self.port = free_port()
        self.seen = {}
        self.transcript = []
        home.environment["PORT"] = str(self.port)
        shutil.copytree(APPS, home.work, dirs_exist_ok=True)

    def __call__(self, *words, stdin=None, env=None, settle=True, timeout=60):
        """Runs a command; its exit code is seen, and then the list once it is at rest."""
        result = self.home.cli(*words, stdin=stdin, env=env, timeout=timeout)
        self.transcript.append(str(result))
        step = f"{len(self.transcript):02} {self.plain(' '.join(map(str, words)))}"
        self.seen[f"{step}: code"] = result.code
        if settle:
            self.seen[f"{step}: list"] = self.list()
        return result

    def see(self, name, value):
        self.seen[name] = self.plain(value)

    def list(self):
        return [self.row(process) for process in self.home.wait_settled()]

    def row(self, process):
        return (process.id, process.name, process.env["namespace"], process.status,
                process.env["exec_mode"], f"restarts {process.restarts}")

    def see_fields(self, title, process):
        """The fields of jlist; more of them than pm2 has are allowed (names begin with "+")."""
        for name in SAME:
            if name in process.env:
                self.see(f"+{title}: {name}", process.env[name])
        for name in TYPED:
            if name in process.env:
                self.see(f"+{title}: type of {name}", type(process.env[name]).__name__)
        self.see(f"{title}: outer", sorted(set(process.entry) - {"baton"}))
        self.see(f"{title}: monit", sorted(process.entry["monit"]))

    def see_files(self, title, *patterns):
        """The names of files in the home, and who may read the dump."""
        names = [str(path.relative_to(self.home.path)) for pattern in patterns
                 for path in self.home.path.glob(pattern)]
        self.see(f"{title}: files", sorted(names))

    def wait_log(self, name, text, stream="out", number=None):
        until(lambda: text in self.home.log(name, stream, number), 15,
              lambda: f"{text!r} in {self.home.log(name, stream, number)!r}")
        return self.home.log(name, stream, number)

    def surroundings(self, name, number=None):
        """The last line that apps/surroundings.js has printed."""
        return json.loads(self.wait_log(name, "}\n", number=number).splitlines()[-1])

    def plain(self, value):
        if isinstance(value, str):
            for path, word in ((self.home.path, "HOME"), (self.home.work, "WORK"),
                               (self.home.root, "ROOT"), (str(self.port), "PORT")):
                value = value.replace(str(path), word)
            return value
        if isinstance(value, dict):
            return {self.plain(key): self.plain(one) for key, one in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self.plain(one) for one in value)
        return value


def messages(result):
    """The lines that begin with [PM2], without their ids' times."""
    colourless = re.sub(r"\x1b\[[0-9;]*m", "", result.out)
    return [line.strip() for line in colourless.splitlines() if line.startswith("[PM2] ")]


def inspected(text):
    """Whether a text is as util.inspect prints the value that it says: (is it, the value)."""
    script = ("const text = require('fs').readFileSync(0, 'utf8').trim();"
              "const value = eval('(' + text + ')');"
              "const again = require('util').inspect(value, { depth: 100, maxArrayLength: null });"
              "console.log(JSON.stringify([again === text, value]))")
    done = subprocess.run([NODE, "-e", script], input=text, capture_output=True, text=True,
                          timeout=20, check=False)
    assert done.returncode == 0, f"no literal: {text[:2000]}\n{done.stderr}"
    return json.loads(done.stdout)
