"""Node programs that something else starts: a shell script, an interpreter with arguments."""
import pytest

from support.clients import get
from support.primary import APPS


@pytest.mark.parametrize("command", ['exec node "$0.js" "$@"', 'node "$0.js" "$@"'],
                         ids=["exec", "child"])
def test_shell_script_around_node(start, tmp_path, command):
    """The channel is inherited by name and number, so whoever runs last has it."""
    script = tmp_path / "program"
    script.write_text(f"#!/bin/sh\n{command}\n")
    (tmp_path / "program.js").write_text(f"require({str(APPS / 'routes.js')!r});\n")
    script.chmod(0o755)
    app = start("baton", script, flags=["--interpreter", "sh", "--intercept", "node"],
                arguments=["an argument"])
    answers = [get(app.port, "/whoami").json() for _ in range(6)]
    assert {answer["pid"] for answer in answers} == set(app.workers())
    assert all(answer["arguments"] == ["an argument"] for answer in answers)
    assert app.status().total("handed") == 6


def test_arguments_of_node(start):
    app = start("baton", "routes.js", instances=1,
                flags=["--node-args", "--max-old-space-size=64 --no-warnings"])
    with open(f"/proc/{app.workers()[0]}/cmdline", encoding="utf8") as cmdline:
        words = cmdline.read().split("\0")
    assert {"--max-old-space-size=64", "--no-warnings"} <= set(words)
    assert get(app.port, "/whoami").json()["arguments"] == []
