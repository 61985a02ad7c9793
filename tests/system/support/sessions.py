"""The sessions that documents print, typed as they stand.

In a block marked `console`, what follows "$ " is typed, and the lines below it are what it prints.
A line `…` stands for any lines, a `…` within a line for any text. Numbers, paths of programs and
the width of columns may differ. The table that commands print at their end may be left out; of one
that is there, columns may be. `echo $?` is the exit code of what was typed before.
"""
import dataclasses
import getpass
import os
import re
import shutil
import subprocess
import time

from .primary import BATON

TYPED_BY = "ann"  # in the documents
END = "\x1e"
# What changes nothing is typed again until it shows what it is to show.
LOOKS = re.compile(r"(baton (list|logs|describe|jlist|prettylist|pid|id|env|ping|report)|curl|cat) ?")


@dataclasses.dataclass
class Step:
    line: int  # in the document
    command: str
    expected: list


def steps_of(text, first_line=1):
    """[Step] of the console blocks of a text."""
    steps, inside = [], False
    for number, line in enumerate(text.splitlines(), first_line):
        if line.startswith("```"):
            inside = line == "```console"
        elif inside and line.startswith("$ "):
            steps.append(Step(number, line[2:], []))
        elif inside:
            steps[-1].expected.append(line)
    return steps


class Shell:
    """A bash that goes on from command to command."""

    def __init__(self, environment, directory):
        self.process = subprocess.Popen(
            ["bash", "--norc", "--noprofile"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", cwd=directory, env=environment)
        self.code = 0

    def type(self, command):
        """The lines that it printed."""
        if command == "echo $?":
            return [str(self.code)]
        self.process.stdin.write(f"{{ {command}\n}} < /dev/null\nprintf '{END}%d\\n' $?\n")
        self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            text, end, code = line.partition(END)
            if text and end:
                lines.append(text)
            if end:
                self.code = int(code)
                return lines
            lines.append(line.rstrip("\n"))
        raise AssertionError(f"the shell has ended: {command}\n{lines}")

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


def _plain(line):
    """Without what may differ."""
    line = re.sub(r"\d+(\.\d+)*", "#", line)
    line = re.sub(r"#(b|kb|mb|gb)\b", "#b", line)
    line = re.sub(r"#[smhD]\b", "#", line)
    line = re.sub(r"([#…]) ms\b", r"\1 s", line)
    line = re.sub(r"(/[\w.-]+)*/bin/", "/bin/", line)
    return re.sub(r"\s+", " ", re.sub("─+", "─", line)).strip()


def _cells(line):
    return [_plain(cell) for cell in line.strip("│").split("│")]


def _split(lines):
    """(the rest, [tables of the list as [{column: cell}]])"""
    rest, tables, header = [], [], None
    for number, line in enumerate(lines):
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if line.startswith("┌") and following.startswith("│ id "):
            header = _cells(following)
            tables.append([])
        elif header and line.startswith("│") and not line.startswith("│ id "):
            tables[-1].append(dict(zip(header, _cells(line))))
        elif header and line.startswith("└"):
            header = None
        elif not header:
            rest.append(line)
    return rest, tables


def _pattern(lines):
    any_lines = r"(?:[^\n]*\n)*?"
    return "".join(any_lines if line.strip() == "…" else
                   re.escape(_plain(line)).replace("…", ".*") + r"\n" for line in lines)


def _same_table(expected, shown):
    return len(expected) == len(shown) and all(
        row.items() <= other.items() for row, other in zip(expected, shown))


def agree(expected, shown):
    """Whether what was printed is what the document says."""
    text, tables = _split(expected)
    shown_text, shown_tables = _split(shown)
    plain = "".join(_plain(line) + "\n" for line in shown_text)
    if not re.fullmatch(_pattern(text), plain):
        return False
    return not tables or (len(tables) == len(shown_tables) and
                          all(map(_same_table, tables, shown_tables)))


class Session:
    """Types at a Home as somebody who stands in a directory with copies {name: of what}."""

    def __init__(self, home, directory, copies, port):
        self.home = home
        home.path = home.root / ".baton"
        self.directory = home.root / directory
        for name, original in copies.items():
            shutil.copytree(original, self.directory / name)
        (home.root / ".curlrc").write_text("silent\n")  # as on a terminal
        self.environment = {
            **home.environment, "BATON_HOME": str(home.path), "PORT": str(port), "COLUMNS": "250",
            "LANG": "C.UTF-8", "PWD": str(self.directory),
            "PATH": f"{os.path.dirname(BATON)}:{os.environ['PATH']}"}
        home.environment = self.environment
        self.port = port
        self.shell = Shell(self.environment, self.directory)

    def _type(self, command):
        lines = self.shell.type(re.sub(r"localhost:\d+", f"localhost:{self.port}", command))
        name = re.escape(getpass.getuser())
        user = re.compile(rf"│ {name} +│")
        reported = re.compile(rf"^user +{name} ")
        lines = [reported.sub(f"user {TYPED_BY} ", user.sub(f"│ {TYPED_BY} │", line))
                 for line in lines]
        return [line.replace(str(self.home.root), f"/home/{TYPED_BY}") for line in lines]

    def run(self, steps):
        for step in steps:
            end = time.monotonic() + (30 if LOOKS.match(step.command) else 0)
            shown = self._type(step.command)
            while not agree(step.expected, shown) and time.monotonic() < end:
                time.sleep(0.05)
                shown = self._type(step.command)
            said = "\n".join(shown)
            told = "\n".join(step.expected)
            assert agree(step.expected, shown), (
                f"line {step.line}: $ {step.command}\n--- the document:\n{told}\n--- now:\n{said}")

    def close(self):
        self.shell.close()
