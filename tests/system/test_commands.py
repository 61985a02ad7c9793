"""`baton` itself: its commands, and what it says to others."""
import pytest

from support.primary import run_baton


@pytest.mark.parametrize("arguments, code", [([], 1), (["help"], 0), (["-h"], 0), (["--help"], 0)])
def test_help_names_the_commands(arguments, code):
    result = run_baton(*arguments)
    assert (result.returncode, result.stderr) == (code, "")
    for command in ["run", "serve", "version", "help"]:
        assert f"\n  {command} " in result.stdout


@pytest.mark.parametrize("name", ["version", "-v", "--version"])
def test_version(name):
    result = run_baton(name)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == run_baton("version").stdout != ""


@pytest.mark.parametrize("name, hint", [("serv", "did you mean 'serve'?"), ("frobnicate", "--help"),
                                        ("\x1b[31m", "--help")])
def test_an_unknown_command(name, hint):
    result = run_baton(name)
    assert (result.returncode, result.stdout) == (1, "")
    assert hint in result.stderr and len(result.stderr.splitlines()) == 1
    assert "\x1b" not in result.stderr
