"""startup and unstartup: what they write, what they run, and what they say.

systemctl is a script that writes down how it was called."""
import os
import pathlib
import shlex
import shutil
import subprocess
import tempfile

import pytest

from support.primary import BATON
from support.wait import PATIENCE

SYSTEMCTL = """#!/bin/sh
echo "$@" >> "$CALLS"
case "$*" in *"$FAILS"*) test -n "$FAILS" && exit 3;; esac
exit 0
"""


class Place:
    """A directory that is the system's, with a systemctl of its own."""

    def __init__(self, path):
        self.path = path
        self.units = path / "units"
        self.calls_file = path / "calls"
        self.home = path / "ho me"
        (path / "bin").mkdir()
        systemctl = path / "bin" / "systemctl"
        systemctl.write_text(SYSTEMCTL)
        systemctl.chmod(0o755)

    def run(self, *words, program=BATON, user=None, **variables):
        environment = {**os.environ, "CALLS": str(self.calls_file), "FAILS": "",
                       "PATH": f"{self.path / 'bin'}:/usr/bin:/bin", "BATON_HOME": str(self.home),
                       "PM2_HOME": str(self.home), "BATON_SYSTEMD_DIR": str(self.units),
                       **variables}
        return subprocess.run([program, *map(str, words)], capture_output=True, text=True,
                              timeout=PATIENCE, check=False, stdin=subprocess.DEVNULL,
                              env=environment, cwd=self.path, user=user, group=user)

    @property
    def calls(self):
        return self.calls_file.read_text().splitlines() if self.calls_file.exists() else []

    @property
    def unit(self):
        (unit,) = self.units.glob("*")
        return unit


@pytest.fixture
def place():
    """Where others may look, which each start of pytest denies them in its own directories."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="bt-", dir="/tmp"))
    path.chmod(0o755)
    yield Place(path)
    shutil.rmtree(path)


def me():
    return subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()


def test_the_unit_is_written_and_enabled(place):
    done = place.run("startup")
    assert (done.returncode, done.stderr) == (0, "")
    assert place.unit.name == f"baton-{me()}.service"
    assert place.unit.stat().st_mode & 0o777 == 0o644 & ~current_umask()
    assert place.calls == ["daemon-reload", f"enable {place.unit.name}"]
    text = place.unit.read_text()
    assert f'Environment="BATON_HOME={place.home}"' in text
    assert f'ExecStart="@{pathlib.Path(BATON).resolve()}" baton daemon --resurrect' in text
    assert f"User={me()}\n" in text
    for word in (str(place.unit), "Enabled", "baton save", "baton unstartup"):
        assert word in done.stdout


def current_umask():
    umask = os.umask(0o022)
    os.umask(umask)
    return umask


def test_it_is_taken_back(place):
    place.run("startup", "systemd")
    unit = place.unit
    place.calls_file.unlink()
    done = place.run("unstartup", "systemd")
    assert (done.returncode, done.stderr) == (0, "")
    assert place.calls == [f"disable {unit.name}", "daemon-reload"]
    assert not unit.exists()
    assert str(unit) in done.stdout
    again = place.run("unstartup")
    assert again.returncode == 0 and "nothing to undo" in again.stdout


def test_systemd_understands_the_unit(place):
    if not shutil.which("systemd-analyze"):
        pytest.skip("there is no systemd-analyze")
    place.run("startup")
    checked = subprocess.run(["systemd-analyze", "--man=no", "verify", place.unit],
                             capture_output=True, text=True, timeout=2 * PATIENCE, check=False)
    complaints = [line for line in checked.stderr.splitlines() if place.unit.name in line]
    assert not complaints


def test_names_and_homes_of_others(place):
    done = place.run("startup", "-u", "nobody", "--hp", "/srv/no body", "--service-name", "web",
                     BATON_HOME="")
    assert done.returncode == 0, done.stderr
    assert place.unit.name == "web.service"
    text = place.unit.read_text()
    assert "User=nobody\n" in text
    assert 'Environment="BATON_HOME=/srv/no body/.baton"' in text


def test_under_the_name_pm2(place):
    link = place.path / "pm2"
    link.symlink_to(pathlib.Path(BATON).resolve())
    done = place.run("startup", program=link)
    assert done.returncode == 0, done.stderr
    assert place.unit.name == f"pm2-{me()}.service"
    text = place.unit.read_text()
    assert f'Environment="PM2_HOME={place.home}"' in text
    assert '" pm2 daemon --resurrect' in text
    assert done.stdout.startswith("[PM2] ")


def test_into_an_image(place):
    """Its systemd does not run: there is nothing to reload."""
    image = place.path / "image"
    done = place.run("startup", "--root", image, "-u", "some-user-of-the-image", "--hp", "/home/x",
                     BATON_HOME="")
    assert done.returncode == 0, done.stderr
    unit = image / "etc/systemd/system/baton-some-user-of-the-image.service"
    assert 'BATON_HOME=/home/x/.baton"' in unit.read_text()
    assert place.calls == [f"--root={image} enable {unit.name}"]
    done = place.run("unstartup", "--root", image, "-u", "some-user-of-the-image", "--hp", "/home/x")
    assert done.returncode == 0 and not unit.exists()


def test_without_the_right_to(place):
    """What is printed does it, when it is run by somebody who may; here: by ourselves."""
    place.units.mkdir(mode=0o555)
    root = os.geteuid() == 0
    done = place.run("startup", user=65534 if root else None)
    assert done.returncode == 1 and "root" in done.stdout
    words = shlex.split(done.stdout.splitlines()[-1])
    assert words[:2] == ["sudo", "env"] and place.calls == []
    assert f"BATON_HOME={place.home}" in words and "-u" in words and "--hp" in words
    place.units.chmod(0o755)
    again = subprocess.run(words[1:], capture_output=True, text=True, timeout=PATIENCE, check=False,
                           env={**os.environ, "CALLS": str(place.calls_file), "FAILS": ""})
    assert again.returncode == 0, again.stderr
    assert f'BATON_HOME={place.home}"' in place.unit.read_text()


@pytest.mark.parametrize("fails, said", [("daemon-reload", "systemctl daemon-reload has failed"),
                                         ("enable", "systemctl enable baton-")])
def test_systemctl_fails(place, fails, said):
    done = place.run("startup", FAILS=fails)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Enabled" not in done.stdout


def test_there_is_no_systemctl(place):
    empty = place.path / "empty"
    empty.mkdir()
    done = place.run("startup", PATH=str(empty))
    assert done.returncode == 1 and "cannot run systemctl" in done.stderr


def test_the_disk_says_no(place):
    place.units.write_text("a file in the way")
    done = place.run("startup")
    assert done.returncode == 1 and "cannot write" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(os.path.exists("/run/systemd/system"), reason="systemd runs here")
def test_where_there_is_no_systemd(place):
    environment = {key: value for key, value in os.environ.items() if key != "BATON_SYSTEMD_DIR"}
    done = subprocess.run([BATON, "startup"], capture_output=True, text=True, timeout=PATIENCE,
                          check=False, env=environment)
    assert done.returncode == 1
    assert "does not run systemd" in done.stderr


@pytest.mark.parametrize("words, said", [
    (["upstart"], "systemd only"), (["-u", "no-such-user-here"], "no user 'no-such-user-here'"),
    (["--hp", "relative"], "absolute path"), (["--service-name", "a/b"], "a name"),
    (["--root"], "--root")])
def test_what_cannot_be(place, words, said):
    for command in ("startup", "unstartup"):
        done = place.run(command, *words)
        assert done.returncode == 1 and said in done.stderr
    assert place.calls == [] and not place.units.exists()


def test_a_home_that_no_unit_can_name(place):
    done = place.run("startup", BATON_HOME="/srv/a\nExecStartPre=/bin/evil")
    assert done.returncode == 1
    assert not place.units.exists() or not list(place.units.glob("*"))
