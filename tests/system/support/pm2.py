"""pm2 itself, and Baton by the name pm2, each with a home of its own."""
import os
import pathlib
import subprocess

from .daemon import Home
from .primary import BATON, REPOSITORY

PM2 = pathlib.Path(os.environ.get("PM2", REPOSITORY / "build/bench/node_modules/.bin/pm2"))


class Pm2Home(Home):
    """What both have in common: their variable, and how one ends their daemon."""

    variable = "PM2_HOME"

    def _environment(self):
        return {**super()._environment(), "PM2_DISABLE_VERSION_CHECK": "true",
                "PM2_DISCRETE_MODE": "true", "NO_COLOR": "1"}


class RealPm2(Pm2Home):
    """pm2 from npm. It is a program in Node: a command takes it a third of a second."""

    kind = "pm2"

    def __init__(self):
        super().__init__([PM2])

    def _end(self):
        if self.daemon_pid():
            try:
                self.cli("kill", timeout=30)
            except subprocess.TimeoutExpired:
                pass  # what is left is killed with the rest

    def close(self):
        """What pm2 leaves behind is not what the tests are about."""
        self._end()
        self._kill_leftovers()
        super().close()


class BatonAsPm2(Pm2Home):
    """Baton, called pm2."""

    kind = "baton"

    def __init__(self):
        super().__init__()
        link = self.root / "bin" / "pm2"
        link.parent.mkdir()
        link.symlink_to(pathlib.Path(BATON).resolve())
        self.command = [str(link)]
