"""docs/api.md: its examples work as they stand, and it has every route and code that is there."""
import json
import os
import pathlib
import re
import subprocess

from support import routes
from support.wait import until

REPOSITORY = pathlib.Path(__file__).parents[2]
DOCUMENT = (REPOSITORY / "docs/api.md").read_text()
UNTIL_STOPPED = 28  # curl's exit code after --max-time


def examples():
    """The commands of the document that are for the Unix socket, in their order."""
    blocks = "\n".join(re.findall(r"^```\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL))
    return re.findall(r"^curl --unix-socket .*(?:\n +.*)*", blocks, re.MULTILINE)


def test_the_examples_work(home):
    app = "setInterval(() => console.log('a line'), 20); process.on('SIGUSR2', () => {})"
    for name in ("api", "web"):
        home.write(f"{name}.js", app)
    home.start("api.js", "-n", "api")
    until(lambda: home.log("api"), 10, "a line")
    (home.root / ".baton").symlink_to(home.path)
    commands = examples()
    assert len(commands) > 8
    for command in commands:
        text = command.replace("/srv/", f"{home.work}/")
        text = text.replace("curl ", "curl -s -w '%{stderr}%{http_code}' ", 1)
        done = subprocess.run(["sh", "-c", text], capture_output=True, text=True, timeout=30,
                              check=False, env={**os.environ, "HOME": str(home.root)})
        assert done.returncode == (UNTIL_STOPPED if "--max-time" in command else 0), (text, done)
        assert done.stderr.endswith("200"), (text, done)
        if "event-stream" in command or "/v1/events" in command or "/v1/logs" in command:
            assert done.stdout.startswith("event: "), (text, done)
        else:
            assert "failed" not in json.loads(done.stdout), (text, done)
    assert len(home.processes("web")) == 3


def test_every_route_is_documented_and_there():
    documented = {(method, path) for method, path
                  in re.findall(r"`([A-Z]+) (/v1[a-z/-]*)`", DOCUMENT)}
    assert documented == set(routes.table()) - {("POST", "/v1/actions/*")}
    assert set(re.findall(r"`…/actions/(\w+)`", DOCUMENT)) == set(routes.actions())


def test_every_code_is_documented_and_there():
    sources = [path.name for path in (REPOSITORY / "src/daemon").glob("*.c")]
    codes = routes.constants(r'(?:REFUSAL\(\d+|_error\([^;]*?\d{3}|control_error\()[,\s]*"(\w+)"',
                             *sources)
    codes += routes.constants(r'"code\\":\\"(\w+)', *sources)
    codes += ["bad_request", "unauthorized", "method_not_allowed"]
    table = DOCUMENT[DOCUMENT.index("| status | code"):DOCUMENT.index("## Reading")]
    assert set(re.findall(r"\| `(\w+)` \|", table)) == set(codes)
