"""What the benchmark compares: each system is a master with so many workers on one port."""

import json
import os
import pathlib
import shutil
import string
import subprocess

import measure

HERE = pathlib.Path(__file__).resolve().parent


class Places:
    """Where things are: the build directory, pm2's, and a temporary one for what is written."""

    def __init__(self, build, packages, scratch):
        self.baton = build / "baton"
        self.floor = build / "bench" / "bench_floor"
        self.worker = build / "bench" / "bench_worker"
        self.plain = build / "bench" / "bench_plain"
        self.accept = build / "bench" / "bench_accept"
        self.load = build / "bench" / "bench_load"
        self.pm2 = packages / "node_modules" / ".bin" / "pm2"
        self.scratch = scratch


class System:
    """start(), then master_pids() and port, then stop(), also after a start that failed. Each
    worker notes its start in the file `stamps`."""

    name = ""
    title = ""

    def __init__(self, places, workers):
        self.places = places
        self.workers = workers
        self.port = measure.free_port()
        self.directory = places.scratch / f"{self.name}-{workers}"
        self.directory.mkdir()
        self.stamps = self.directory / "stamps"
        self.processes = []

    def environment(self):
        return dict(os.environ, PORT=str(self.port), WORKERS=str(self.workers),
                    BENCH_STAMPS=str(self.stamps), NODE_ENV="production")

    def spawn(self, *command):
        """A session of its own, so that Ctrl-C reaches this program alone."""
        with open(self.directory / "output", "ab") as output:
            process = subprocess.Popen(
                [str(word) for word in command], env=self.environment(), cwd=self.directory,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
        self.processes.append(process)
        return process

    def launch(self):
        raise NotImplementedError

    def is_up(self):
        for process in self.processes:
            if process.poll() is not None:
                raise RuntimeError(f"{self.name} ended: {self.last_words()}")
        return len(measure.stamps(self.stamps)) >= self.workers and measure.answers(self.port)

    def start(self):
        self.launch()
        try:
            measure.wait_for(self.is_up, 60, self.name)
        except TimeoutError as error:
            started = len(measure.stamps(self.stamps))
            raise RuntimeError(f"{error}; {started} of {self.workers} workers had started; "
                               f"{self.last_words()}") from error

    def last_words(self):
        lines = (self.directory / "output").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "without a word"

    def master_pids(self):
        return [self.processes[0].pid]

    def all_pids(self):
        return {*self.master_pids(), *(pid for pid, _ in measure.stamps(self.stamps))}

    def stop(self):
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.end_rest()

    def end_rest(self):
        """What an orderly end has left: whatever was started with our stamp file's name, which is
        in a directory of this run alone."""
        measure.end_marked(f"BENCH_STAMPS={self.stamps}")


class Floor(System):
    name, title = "floor", "floor: raw C loop, C workers"
    read_at = 1

    def launch(self):
        self.spawn(self.places.floor, self.port, self.workers, self.read_at, self.places.worker)


class LazyFloor(Floor):
    """Reads acknowledgements only when it must: the fewest calls that still bound the window."""

    name, title = "floor-lazy", "the same, reads when full"
    read_at = 16  # WINDOW in floor.c


class PlainFloor(Floor):
    """Each acknowledgement is a record that wakes the master: the loop as anyone would write it."""

    name, title = "floor-plain", "raw loop, wakes for each acknowledgement"
    read_at = 0


class BatonC(System):
    name, title = "baton-c", "Baton, C workers"

    def launch(self):
        self.spawn(self.places.baton, "run", "-i", self.workers, "--policy", "rr",
                   "--intercept", "native", self.places.worker, "--", self.port)


class BatonPlain(System):
    name, title = "baton-plain", "Baton, the plain server"

    def launch(self):
        self.spawn(self.places.baton, "run", "-i", self.workers, "--intercept", "preload",
                   self.places.plain, "--", self.port)


class Native(System):
    """The plain server without anybody before it. Each has a line of its own (SO_REUSEPORT), which
    is what costs it least: no accept finds that another process was faster."""

    name, title = "native", "nothing, SO_REUSEPORT"

    def launch(self):
        for _ in range(self.workers):
            self.spawn(self.places.plain, self.port, "reuse-port")

    def master_pids(self):
        return []


class NativeAlone(Native):
    name, title = "native-1", "nothing, one process"

    def __init__(self, places, _):
        super().__init__(places, 1)


class BatonNode(System):
    name, title = "baton-node", "Baton, Node workers"
    intercept = "node"

    def launch(self):
        self.spawn(self.places.baton, "run", "-i", self.workers, "--intercept", self.intercept,
                   HERE / "app.js")


class BatonNodeFast(BatonNode):
    name, title = "baton-node-fast", "Baton, Node workers, node-fast"
    intercept = "node-fast"


class Node(System):
    name, title = "node", "Node's cluster primary"
    policy = "rr"

    def environment(self):
        return dict(super().environment(), NODE_CLUSTER_SCHED_POLICY=self.policy)

    def launch(self):
        self.spawn("node", HERE / "primary.js")


class NodeShared(Node):
    name, title = "node-shared", "Node's shared handle (SCHED_NONE)"
    policy = "none"


class Pm2(System):
    """Its daemon is the cluster primary. It leaves our session and is ended by its own command."""

    name, title = "pm2", "pm2, cluster mode"

    def environment(self):
        return dict(super().environment(), PM2_HOME=str(self.directory / "home"),
                    PM2_DISABLE_VERSION_CHECK="true")

    def command(self, *words):
        subprocess.run([str(self.places.pm2), *map(str, words)], env=self.environment(),
                       cwd=self.directory, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, timeout=60, check=True)

    def launch(self):
        if not self.places.pm2.exists():
            raise FileNotFoundError(f"{self.places.pm2}: run scripts/install-bench")
        self.command("start", HERE / "app.js", "-i", self.workers, "--name", "bench")

    def master_pids(self):
        return [int((self.directory / "home" / "pm2.pid").read_text())]

    def stop(self):
        try:
            if (self.directory / "home" / "pm2.pid").exists():
                self.command("kill")
        except subprocess.SubprocessError:
            pass  # then with the rest
        self.end_rest()


class Proxy(System):
    """A proxy in front of plain servers, each on a port of its own."""

    server_line = ""

    def launch_proxy(self):
        raise NotImplementedError

    def launch(self):
        ports = [measure.free_port() for _ in range(self.workers)]
        self.servers = "\n".join(self.server_line.format(number=number, port=port)
                                 for number, port in enumerate(ports))
        self.proxy = self.launch_proxy()
        for port in ports:
            self.spawn(self.places.plain, port)

    def configure(self, template, **values):
        text = (HERE / template).read_text()
        path = self.directory / template.removesuffix(".in")
        path.write_text(string.Template(text).substitute(
            port=self.port, servers=self.servers, directory=self.directory, **values))
        return path

    def master_pids(self):
        return [self.proxy.pid, *measure.children_of(self.proxy.pid)]


def find(program):
    found = shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin")
    if not found:
        raise FileNotFoundError(f"{program}: run scripts/install-bench")
    return found


class Haproxy(Proxy):
    name, title = "haproxy", "HAProxy, TCP mode"
    server_line = "    server worker{number} 127.0.0.1:{port}"

    def launch_proxy(self):
        return self.spawn(find("haproxy"), "-db", "-f", self.configure("haproxy.cfg.in"))


class Nginx(Proxy):
    name, title = "nginx", "nginx stream"
    server_line = "        server 127.0.0.1:{port};"

    def launch_proxy(self):
        path = self.configure("nginx.conf.in", modules="/usr/lib/nginx/modules")
        return self.spawn(find("nginx"), "-p", self.directory, "-c", path)


def measure_accept(places, under_baton):
    """What bench_accept measures, in ns: {call: ns}."""
    kind = AcceptUnderBaton if under_baton else Accept
    system = kind(places, 1)
    try:
        system.start()
        return json.loads(system.output.read_text())
    finally:
        system.stop()
        shutil.rmtree(system.directory)


class Accept(System):
    """bench_accept, which is up when it is done."""

    name, title = "accept", "bench_accept"

    def __init__(self, places, workers):
        super().__init__(places, workers)
        self.output = self.directory / "calls.json"

    def launch(self):
        self.spawn(self.places.accept, self.port, self.output)

    def is_up(self):
        if self.processes[0].poll() is not None:
            raise RuntimeError(f"{self.name} ended: {self.last_words()}")
        return self.output.exists() and self.output.read_text().endswith("}\n")


class AcceptUnderBaton(Accept):
    def launch(self):
        self.spawn(self.places.baton, "run", "-i", 1, "--intercept", "preload", self.places.accept,
                   "--", self.port, self.output)


ALL = [Floor, LazyFloor, PlainFloor, BatonC, Native, NativeAlone, BatonPlain, BatonNode,
       BatonNodeFast, Node, NodeShared, Pm2, Haproxy, Nginx]
