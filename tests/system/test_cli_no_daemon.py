"""Commands where no daemon is: what only looks never starts one."""
import json
import os
import re
import shutil
import subprocess

import pytest

from support.primary import BATON


@pytest.fixture
def cli(tmp_path):
    def run(*words, program=BATON, **options):
        return subprocess.run(
            [program, *words], capture_output=True, text=True, timeout=40, check=False,
            cwd=tmp_path, stdin=subprocess.DEVNULL,
            env={**os.environ, "BATON_HOME": str(tmp_path / "home"), "HOME": str(tmp_path),
                 **options})

    yield run
    assert not (tmp_path / "home").exists(), "it has looked, and made something"


@pytest.mark.parametrize("words, out", [
    (["jlist"], "[]\n"), (["prettylist"], "[]\n"), (["id", "nope"], "[]\n"), (["pid", "nope"], "\n"),
    (["flush", "nope"], "[baton] Logs flushed\n"), (["kill"], "[baton] No daemon runs\n"),
    (["completion", "names"], ""), (["logs", "--nostream"], "")])
def test_what_is_true_of_nothing(cli, words, out):
    done = cli(*words)
    assert (done.returncode, done.stdout, done.stderr) == (0, out, "")


@pytest.mark.parametrize("words", [["list"], ["save"], ["flush"], ["reloadLogs"], ["report"]])
def test_what_succeeds(cli, words):
    assert cli(*words).returncode == 0


@pytest.mark.parametrize("words", [
    ["stop", "x"], ["stop", "all"], ["restart", "x"], ["reload", "all"], ["delete", "0"],
    ["describe", "x"], ["scale", "x", "2"], ["env", "0"], ["logs"], ["logs", "x"], ["ping"],
    ["send", "0", "x"], ["sendSignal", "USR2", "x"], ["attach", "0"], ["reset", "x"], ["monit"]])
def test_what_fails(cli, words):
    done = cli(*words)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1


def test_a_daemon_that_died_is_nobody(cli, tmp_path):
    """Its socket is still there."""
    code = ("import socket, sys\n"
            "s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen()")
    home = tmp_path / "dead"
    home.mkdir()
    subprocess.run(["/usr/bin/python3", "-c", code, home / "control.sock"], check=True, timeout=40)
    assert (home / "control.sock").exists()
    done = cli("jlist", BATON_HOME=str(home))
    assert (done.returncode, done.stdout) == (0, "[]\n")


def test_init_and_validate(cli, tmp_path):
    assert cli("init").returncode == 0
    written = (tmp_path / "ecosystem.config.js").read_text()
    assert cli("validate", "ecosystem.config.js").returncode == 0
    assert cli("ecosystem").returncode == 1
    assert (tmp_path / "ecosystem.config.js").read_text() == written


@pytest.mark.parametrize("text, code, word", [
    ('{"script": "a.js"}', 0, "1 app"), ('{"script": "a.js", "instnaces": 2}', 0, "instances"),
    ('{"script": "a.js", "instances": {}}', 1, "instances"), ("{", 1, "x.json"),
    ('{"script": "missing.js"}', 1, "missing.js")])
def test_validate(cli, tmp_path, text, code, word):
    (tmp_path / "a.js").write_text("")
    (tmp_path / "x.json").write_text(text)
    done = cli("validate", "x.json")
    assert done.returncode == code
    assert word in done.stdout + done.stderr


def test_validate_says_all_is_well_only_where_it_is(cli, tmp_path):
    (tmp_path / "a.js").write_text("")
    (tmp_path / "x.json").write_text('[{"name": "good", "script": "a.js"},'
                                     ' {"name": "bad", "script": "missing.js"}]')
    good = cli("validate", "x.json", "--only", "good")
    assert (good.returncode, good.stderr) == (0, "")
    assert "1 app, nothing is wrong" in good.stdout
    assert cli("validate", "x.json", "--only", "bad").returncode == 1
    assert cli("validate", "x.json", "--only", "good, bad").returncode == 1
    none = cli("validate", "x.json", "--only", "nobody")
    assert none.returncode == 1 and "nobody" in none.stderr
    (tmp_path / "y.json").write_text('{"name": "odd", "script": "a.js", "instnaces": 2}')
    odd = cli("validate", "y.json")
    assert odd.returncode == 0 and "nothing is wrong" not in odd.stdout
    assert "instnaces" in odd.stderr and "1 app, which would start" in odd.stdout


# --- the command line itself ---

@pytest.mark.parametrize("words", [["-h"], ["--help"], ["help"]])
def test_help(cli, words):
    out = cli(*words).stdout
    for command in ("run", "start", "stop", "reload", "list", "logs", "monit", "startOrReload"):
        assert f"\n  {command} " in out
    assert "\nApps\n  start " in out


def commands(cli):
    return re.findall(r"^  ([A-Za-z]+) ", cli("help").stdout, re.MULTILINE)


def test_every_command_has_help(cli):
    names = commands(cli)
    assert len(names) > 30
    for name in names:
        done = cli(name, "--help")
        assert (done.returncode, done.stderr) == (0, ""), name
        assert f"baton {name}" in done.stdout
        if name not in ("startup", "unstartup"):
            assert cli("help", name).stdout == done.stdout


def test_every_command_refuses_a_flag_that_is_none(cli):
    for name in commands(cli):
        done = cli(name, "--frobnicate")
        assert done.returncode == 1 and "--frobnicate" in done.stderr, name


@pytest.mark.parametrize("words, word", [(["strat"], "'start'"), (["lst"], "'list'"),
                                         (["strat", "x"], "'start'"), (["-s", "strat"], "'start'"),
                                         (["frobnicate"], "--help"), (["help", "strat"], "'start'")])
def test_an_unknown_command(cli, words, word):
    done = cli(*words)
    assert (done.returncode, done.stdout) == (1, "")
    assert word in done.stderr and len(done.stderr.splitlines()) == 1


def test_flags_before_the_command(cli):
    assert cli("-s", "jlist").stdout == "[]\n"
    assert cli("--sort", "cpu", "list").returncode == 0
    assert cli("--sort", "nonsense", "list").returncode == 1


def test_no_help_text_is_wider_than_a_terminal(cli):
    for words in [["help"]] + [[name, "--help"] for name in commands(cli)]:
        for line in cli(*words).stdout.splitlines():
            assert len(line) < 80, (words, line)


@pytest.mark.parametrize("name", ["start", "reload", "logs", "list", "completion"])
def test_examples_are_of_the_command(cli, name):
    examples = cli(name, "--help").stdout.partition("\nExamples:\n")[2].splitlines()
    assert examples and examples[0].startswith(f"  baton {name} ")


@pytest.mark.parametrize("name", ["kill", "list", "save", "ping", "monit"])
def test_a_word_too_many(cli, name):
    done = cli(name, "api")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{name} takes no words such as 'api'" in done.stderr


def test_an_option_without_a_command(cli):
    done = cli("--nonsense")
    assert done.returncode == 1
    assert "there is no option '--nonsense'" in done.stderr


# --- completion ---

def test_bash_completes(cli, tmp_path):
    script = cli("completion", "bash").stdout
    ask = """
        {script}
        try() {{ COMP_WORDS=(baton "$@"); COMP_CWORD=$#; _baton; echo "${{COMPREPLY[@]}}"; }}
        try list --so; try start --max-me; try sendS; try help reloadL; try sendSignal SIGUSR
        try completion ''; try start --policy r; try start --intercept l; try run --stat
        try start --max-restarts ''; try -s resu; touch file.js; try start fil; try start x -- fi
        try sta
    """.format(script=script)
    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, timeout=40,
                          check=False, cwd=tmp_path, stdin=subprocess.DEVNULL)
    assert done.stderr == ""
    *others, last = done.stdout.splitlines()
    assert {"start", "startOrReload", "status"} <= set(last.split())
    assert others == ["--sort", "--max-memory-restart", "sendSignal", "reloadLogs",
                      "SIGUSR1 SIGUSR2", "bash zsh", "rr random", "listen-fds", "--status", "",
                      "resurrect", "file.js", "file.js"]


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
def test_zsh_reads_it(cli, tmp_path):
    script = tmp_path / "script"
    script.write_text(cli("completion", "zsh").stdout)
    subprocess.run(["zsh", "-n", script], check=True, timeout=40)


def test_completion_of_another_shell(cli):
    assert cli("completion", "fish").returncode == 1


# --- the names that we are called by ---

def test_called_pm2(cli, tmp_path):
    link = tmp_path / "pm2"
    link.symlink_to(BATON)
    done = cli("stop", "all", program=link, PM2_HOME=str(tmp_path / "home"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "[PM2][WARN] No process found\n"
    assert json.loads(cli("jlist", program=link, PM2_HOME=str(tmp_path / "home")).stdout) == []
    assert cli("-v", program=link).stdout == cli("-v").stdout


def test_called_pm2_runtime(cli, tmp_path):
    link = tmp_path / "pm2-runtime"
    link.symlink_to(BATON)
    for words in (["missing.js"], ["start", "missing.js"]):
        done = cli(*words, program=link)
        assert done.returncode == 1 and "missing.js" in done.stderr
