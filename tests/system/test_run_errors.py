"""Bad input to `baton run`: one clear sentence on standard error and a non-zero exit code."""
import json
import os
import re
import socket

import pytest

from support.clients import get
from support.ports import free_port
from support.primary import APPS, run_baton
from support.wait import until

HELLO = APPS / "hello.js"


def refused(*arguments, code=1, **options):
    """Runs it, expects the code, one line on stderr and none on stdout; that line."""
    result = run_baton("run", *arguments, **options)
    assert result.returncode == code, result
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert "\x1b" not in lines[0]
    return lines[0]


def test_no_script():
    assert "script" in refused().lower()


def test_missing_script(tmp_path):
    assert "absent.js" in refused(tmp_path / "absent.js")


def test_directory_as_script(tmp_path):
    assert f"'{tmp_path}' is a directory" in refused(tmp_path)


@pytest.mark.parametrize("value", ["four", "", "1.5", "4x", "99999999999999999999"])
def test_instances_that_are_no_number(value):
    message = refused(HELLO, "-i", value)
    assert "instances" in message or "-i" in message


def test_flag_without_its_value():
    assert "-i" in refused(HELLO, "-i")


def test_unknown_policy_names_the_known_ones():
    message = refused(HELLO, "--policy", "fairest")
    assert "fairest" in message
    for policy in ["node", "rr", "random", "least", "p2c", "hash", "none"]:
        assert re.search(rf"\b{policy}\b", message), message


@pytest.mark.parametrize("value", ["0", "-1", "many"])
def test_wrong_window(value):
    assert "window" in refused(HELLO, "--window", value)


def test_unknown_flag():
    assert "--polcy" in refused(HELLO, "--polcy", "rr")


def test_option_of_the_programs_own_without_dashes():
    message = refused("php", "-S", "0.0.0.0:8000")
    assert "baton run php -- -S 0.0.0.0:8000" in message


def test_unknown_interpreter():
    assert "no-such-node" in refused(HELLO, "--interpreter", "no-such-node")


def test_no_node_in_the_path(tmp_path):
    environment = {**os.environ, "PATH": str(tmp_path)}
    assert "node" in refused(HELLO, env=environment)


def test_script_that_never_listens():
    result = run_baton("run", APPS / "never_listens.js", "-i", "2", "--listen-timeout", "500")
    assert result.returncode == 1
    sentences = [line for line in result.stderr.splitlines() if "to listen" in line]
    assert len(sentences) == 1 and "never_listens" in sentences[0], result.stderr


def test_wrapper_that_keeps_the_channel_for_itself():
    """As npm does: the real program is a child that binds the port on its own."""
    port = free_port()
    result = run_baton("run", APPS / "wrapper.js", "-i", "1", "--listen-timeout", "700",
                       env={**os.environ, "PORT": str(port)})
    assert result.returncode == 1
    assert "wrapper" in result.stderr and "to listen" in result.stderr
    until(lambda: get(port).outcome == "refused", 5, "the real program was left behind")


@pytest.mark.parametrize("name", ["npm", "npx", "yarn"])
def test_npm_is_refused_by_name(tmp_path, name):
    (tmp_path / "package.json").write_text(json.dumps({"scripts": {"start": f"node {HELLO}"}}))
    message = refused(name, "-i", "2", "--", "start", cwd=tmp_path)
    assert name in message


def test_port_in_use_is_said():
    """The program does not handle the error: it dies of it, and the reason can be read."""
    with socket.socket(socket.AF_INET6) as holder:
        holder.bind(("::", 0))
        holder.listen()
        port = str(holder.getsockname()[1])
        result = run_baton("run", HELLO, "-i", "1", "--max-restarts", "2",
                           env={**os.environ, "PORT": port})
    assert result.returncode != 0
    assert "EADDRINUSE" in result.stderr and port in result.stderr
