"""Workers that start only when they are let: their beginning is an event, not a time."""
from .primary import script_path


class Gate:
    """A script that starts a program once the gate is open, as it is at first."""

    def __init__(self, directory, program):
        self._file = directory / "gate"
        self.script = directory / "gated.sh"
        self.script.write_text("while [ -e gate ]; do sleep 0.02; done\n"
                               f'exec {script_path(program)} "$@"\n')

    def shut(self):
        self._file.touch()

    def open(self):
        self._file.unlink()
