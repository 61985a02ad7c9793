"""The servers that are run under Baton, each as its documentation says to run it.

In `arguments` and `build`, {apps} is the folder of the programs, {built} where `build` puts what it
makes, {directory} the directory that the server runs in and {port} its port; the port is in the
environment too, as PORT.
"""
import dataclasses
import functools
import os
import pathlib
import re
import shlex
import shutil
import subprocess

APPS = pathlib.Path(__file__).resolve().parent / "apps"

# Debian's own interpreters before any other ones, for its packages are installed for those.
PATH = "/usr/sbin:/usr/bin:/sbin:/bin:" + os.environ.get("PATH", "")
INTERPRETERS = {".py": "python3", ".js": "node", ".rb": "ruby", ".pl": "perl", ".php": "php"}


@dataclasses.dataclass(frozen=True)
class Server:
    name: str
    script: str  # what `baton run` is given: a command in PATH, or a file in apps/
    arguments: str = ""  # what stands after --, in the words of a shell
    flags: tuple = ()  # of Baton
    environment: tuple = ()  # pairs, beside PORT
    template: str = ""  # a file of apps/ that is copied to the server's directory, @WORDS@ replaced
    words: tuple = ()  # pairs, beside PORT and DIRECTORY
    build: str = ""  # a command that compiles the program
    compiler: str = ""  # what that needs beside the packages
    protocol: str = "http"  # how to ask it: see talk.py
    keeps_alive: bool = True
    tells_pid: bool = True  # its answer is {"pid": …}, of the process that made it
    small: bool = False  # is also in `make test`
    version: str = ""  # a command whose first line with a number in it tells the version
    special: str = ""  # for the documents: what is to be known

    @property
    def key(self):
        """What names it in a test's id."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")

    def words_of(self, text, **places):
        return [word.format(**places) for word in shlex.split(text)]

    def typed(self):
        """The command as a person types it."""
        places = {"apps": "", "built": "", "directory": "/srv", "port": 8000}
        text = self.arguments
        for name in ("apps", "built"):
            text = text.replace("{" + name + "}/", "").replace("{" + name + "}", ".")
        script = self.script.replace("{built}/", "./")
        before = [f"{name}={value}".replace(str(APPS), ".") for name, value in self.environment]
        parts = [*before, "baton run", script, *self.flags, "-i 4"]
        return " ".join(parts + (["--", text.format(**places)] if text else []))

    def missing(self):
        """What this machine lacks for it, or None."""
        for command in filter(None, [self.compiler, self._command()]):
            if not shutil.which(command, path=PATH):
                return f"no {command}"
        return None if self.read_version() else f"{self.name} is not installed"

    def _command(self):
        suffix = pathlib.Path(self.script).suffix
        return None if self.script.startswith("{built}") else INTERPRETERS.get(suffix, self.script)

    @functools.cache
    def read_version(self):
        """Its version, "" when it cannot be asked."""
        if not self.version:
            return "-"
        done = subprocess.run(["sh", "-c", self.version], capture_output=True, text=True,
                              timeout=20, check=False, env={**os.environ, "PATH": PATH})
        found = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
        return found.group() if found and done.returncode == 0 else ""


def python_module(name):
    return f"python3 -c 'from importlib.metadata import version; print(version(\"{name}\"))'"


PYTHON = "python3 --version"
NODE = "node --version"
RUBY = "ruby --version"
PERL = "perl --version"
JAVA = "java -version"

SERVERS = [
    # Python
    Server("Python http.server", "http_server.py", small=True, version=PYTHON,
           special="one request at a time: a kept connection occupies the worker"),
    Server("Python ThreadingHTTPServer", "http_server.py", "threads", small=True,
           version=PYTHON, special="a thread for each connection"),
    Server("python3 -m http.server", "python3", "-m http.server {port}",
           tells_pid=False, keeps_alive=False, version=PYTHON,
           special="HTTP/1.0: closes after each response"),
    Server("Python asyncio", "asyncio_server.py", small=True, version=PYTHON),
    Server("Python, prefork", "prefork.py", small=True, keeps_alive=False,
           version=PYTHON, special="two children share a worker's accept socket"),
    Server("gunicorn, sync", "gunicorn", "--chdir {apps} -b 127.0.0.1:{port} wsgi:app",
           keeps_alive=False, version="gunicorn --version",
           special="the arbiter binds, its child accepts; the sync worker closes each connection"),
    Server("gunicorn, gthread", "gunicorn",
           "--chdir {apps} -b 127.0.0.1:{port} -k gthread --threads 4 wsgi:app",
           version="gunicorn --version", special="four threads"),
    Server("gunicorn, prefork", "gunicorn",
           "--chdir {apps} -b 127.0.0.1:{port} -w 2 wsgi:app", keeps_alive=False,
           version="gunicorn --version",
           special="the same with two children"),
    Server("uvicorn", "uvicorn", "--app-dir {apps} --port {port} asgi:app",
           version="uvicorn --version"),
    Server("hypercorn", "hypercorn", "-b 127.0.0.1:{port} {apps}/asgi:app",
           version=python_module("hypercorn"),
           keeps_alive=False, special="Debian's closes each connection"),
    Server("waitress", "waitress-serve", "--listen=127.0.0.1:{port} wsgi:app",
           environment=(("PYTHONPATH", str(APPS)),), version=python_module("waitress")),
    Server("tornado", "tornado_server.py", version=python_module("tornado")),
    Server("aiohttp", "aiohttp_server.py", version=python_module("aiohttp")),
    Server("Twisted", "twisted_server.py", version=python_module("twisted")),
    Server("gevent", "gevent_server.py", version=python_module("gevent")),
    Server("eventlet", "eventlet_server.py", version=python_module("eventlet")),
    Server("cheroot", "cheroot_server.py", version=python_module("cheroot")),
    Server("uWSGI", "uwsgi", "--plugin python3 --http-socket 127.0.0.1:{port} --chdir {apps} "
           "--wsgi-file wsgi.py --die-on-term", keeps_alive=False,
           version="uwsgi --version"),
    Server("uWSGI, prefork", "uwsgi", "--plugin python3 --http-socket 127.0.0.1:{port} "
           "--chdir {apps} --wsgi-file wsgi.py --master -p 2 --die-on-term",
           keeps_alive=False, version="uwsgi --version"),
    # Node
    Server("Node", "http.js", flags=("--intercept", "preload"), small=True,
           version=NODE, special="without --intercept a Node script gets the Node channel"),
    Server("Node, TLS", "https.js", flags=("--intercept", "preload"), small=True,
           protocol="https", version=NODE, special="each worker ends TLS itself"),
    # Ruby
    Server("WEBrick", "webrick.rb", version=RUBY),
    Server("puma", "puma", "-b tcp://127.0.0.1:{port} {apps}/config.ru",
           version="puma --version"),
    Server("puma, cluster", "puma", "-w 2 -b tcp://127.0.0.1:{port} {apps}/config.ru",
           version="puma --version", special="two children share a worker's accept socket"),
    Server("unicorn", "unicorn", "-l 127.0.0.1:{port} {apps}/config.ru",
           keeps_alive=False, version="unicorn --version"),
    Server("thin", "thin", "-q -a 127.0.0.1 -p {port} -R {apps}/config.ru start",
           version="thin --version"),
    # PHP
    Server("php -S", "php", "-S 127.0.0.1:{port} {apps}/index.php",
           keeps_alive=False, version="php --version",
           special="one request at a time; closes after each response"),
    Server("php -S, prefork", "php", "-S 127.0.0.1:{port} {apps}/index.php",
           environment=(("PHP_CLI_SERVER_WORKERS", "2"),), keeps_alive=False,
           version="php --version", special="the same with two children"),
    # Perl
    Server("HTTP::Daemon", "http_daemon.pl", small=True,
           version="perl -MHTTP::Daemon -e 'print \"$HTTP::Daemon::VERSION\"'",
           special="one connection at a time"),
    Server("Mojolicious", "mojolicious.pl", "daemon -l http://127.0.0.1:{port}",
           version="perl -MMojolicious -e 'print \"$Mojolicious::VERSION\"'"),
    Server("Starman", "starman", "--workers 2 --listen 127.0.0.1:{port} {apps}/app.psgi",
           version="perl -MStarman -e 'print \"$Starman::VERSION\"'"),
    Server("Twiggy", "twiggy", "--listen 127.0.0.1:{port} {apps}/app.psgi",
           keeps_alive=False, version="perl -MTwiggy -e 'print \"$Twiggy::VERSION\"'"),
    # JVM
    Server("Java HttpServer", "java", "-cp {built} Server",
           build="javac -d {built} {apps}/Server.java", compiler="javac", version=JAVA),
    Server("Java HttpServer, source", "java", "{apps}/Server.java",
           compiler="javac", version=JAVA, special="compiles at each start"),
    Server("Java ServerSocket", "java", "-cp {built} SocketServer",
           build="javac -d {built} {apps}/SocketServer.java", compiler="javac", keeps_alive=False,
           version=JAVA),
    # Compiled
    Server("Rust std", "{built}/server-rs",
           build="rustc -o {built}/server-rs {apps}/server.rs", compiler="rustc",
           version="rustc --version", special="a thread for each connection"),
    Server("Go net/http", "{built}/server-go",
           build="go build -o {built}/server-go {apps}/server.go", compiler="go",
           version="go version",
           special="calls no libc, so Baton chooses --intercept seccomp"),
    Server("libevent", "{built}/libevent",
           build="gcc -o {built}/libevent {apps}/libevent.c -levent", compiler="gcc",
           version="pkg-config --modversion libevent"),
    Server("libmicrohttpd", "{built}/microhttpd",
           build="gcc -o {built}/microhttpd {apps}/microhttpd.c -lmicrohttpd", compiler="gcc",
           version="pkg-config --modversion libmicrohttpd"),
    Server("Erlang gen_tcp", "erl", "-noshell -pa {built} -s server main",
           build="erlc -o {built} {apps}/server.erl", compiler="erlc",
           version="dpkg-query -W erlang-base"),
    Server("Tcl socket", "tclsh", "{apps}/server.tcl", keeps_alive=False,
           version="echo 'puts $tcl_patchLevel' | tclsh"),
    Server("LuaSocket", "lua", "{apps}/server.lua", keeps_alive=False,
           version="lua -e \"print(require('socket')._VERSION)\""),
    # Web servers
    Server("nginx", "nginx", "-g 'daemon off;' -p {directory} -c nginx.conf",
           template="nginx.conf", words=(("WORKERS", "1"),), version="nginx -v",
           special="its own master binds, its worker accepts"),
    Server("nginx, 2 workers", "nginx", "-g 'daemon off;' -p {directory} -c nginx.conf",
           template="nginx.conf", words=(("WORKERS", "2"),), version="nginx -v",
           special="the same with two workers of its own"),
    Server("nginx, one process", "nginx",
           "-g 'daemon off; master_process off;' -p {directory} -c nginx.conf",
           template="nginx.conf", words=(("WORKERS", "1"),), version="nginx -v",
           special="accepts in the process that binds"),
    Server("lighttpd", "lighttpd", "-D -f lighttpd.conf",
           template="lighttpd.conf", tells_pid=False, version="lighttpd -v"),
    Server("Apache, event", "sh", "-c 'exec apache2 -DFOREGROUND -f {directory}/apache.conf "
           "-c \"PidFile apache-$$.pid\"'", template="apache.conf",
           words=(("MPM", "event"),), tells_pid=False, version="apache2 -v",
           special="refuses to start beside another with its PidFile, so each process has one; "
           "when it is killed its children, which heed no SIGTERM, get SIGKILL after kill-timeout"),
    Server("Apache, prefork", "sh", "-c 'exec apache2 -DFOREGROUND -f {directory}/apache.conf "
           "-c \"PidFile apache-$$.pid\"'", template="apache.conf",
           words=(("MPM", "prefork"),), tells_pid=False, version="apache2 -v",
           special="needs a PidFile for each process, too"),
    Server("HAProxy", "haproxy", "-db -f haproxy.cfg",
           template="haproxy.cfg", version="haproxy -v", special="binds with SO_REUSEPORT"),
    Server("h2o", "h2o", "-c h2o.conf", template="h2o.conf",
           tells_pid=False, version="h2o --version"),
    Server("mini_httpd", "mini_httpd", "-D -h 127.0.0.1 -p {port} -d {directory}",
           tells_pid=False, keeps_alive=False, version="mini_httpd -V",
           special="a child for each connection"),
    Server("busybox httpd", "busybox", "httpd -f -p 127.0.0.1:{port} -h {directory}",
           tells_pid=False, keeps_alive=False, version="busybox",
           special="a child for each connection"),
    Server("webfsd", "webfsd", "-F -i 127.0.0.1 -p {port} -r {directory} -f index.html",
           tells_pid=False, version="dpkg-query -W webfs"),
    # Other protocols
    Server("redis", "redis-server", "--port {port} --save ''",
           protocol="redis", version="redis-server --version",
           special="each worker has its own data"),
    Server("memcached", "memcached", "-u nobody -l 127.0.0.1 -p {port}",
           protocol="memcached", version="memcached -V", special="each worker has its own data"),
    Server("socat", "socat", "TCP-LISTEN:{port},fork,reuseaddr EXEC:'{apps}/one_answer.sh'",
           tells_pid=False, keeps_alive=False, version="socat -V",
           special="a child for each connection"),
]
