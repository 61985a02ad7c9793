"""What came out of the tests, as the tables of docs/servers.md."""
import collections
import pathlib
import re
import sys

from catalogue import SERVERS

RESULTS = "| Server | Version | 2 workers | 4 workers | Accepts with | What is special |"
COMMANDS = "| Server | Command |"
BEGIN = "<!-- Written by scripts/test-servers --update -->\n"
END = "<!-- The end of what is written -->\n"


class Table:
    def __init__(self):
        self._works = {}
        self._properties = collections.defaultdict(dict)

    def add(self, test, outcome, properties):
        """`test` is the id of one; `outcome` is passed, failed or skipped."""
        name, key, instances = re.search(r"::(\w+)\[(.*?)(?:-([24]))?\]$", test).groups()
        self._properties[key].update(properties)
        if name == "test_server":
            self._works[key, int(instances)] = {
                "passed": "yes", "failed": f"no: {properties.get('check')}",
                "skipped": "not run"}[outcome]

    def markdown(self):
        """For the servers that were run."""
        ran = [server for server in SERVERS if "version" in self._properties[server.key]]
        lines = [RESULTS, "|---" * 6 + "|", *map(self._row, ran), "", COMMANDS, "|---" * 2 + "|"]
        lines += [f"| {server.name} | `{server.typed()}` |" for server in ran]
        return "\n".join(lines) + "\n"

    def _row(self, server):
        properties = self._properties[server.key]
        cells = [server.name, properties["version"], self._works.get((server.key, 2), ""),
                 self._works.get((server.key, 4), ""), properties.get("accepts", ""),
                 server.special]
        return "| " + " | ".join(cells) + " |"


def update(table, document):
    """Puts the tables into the document, between its two marks; only the rows of what was run, when
    the others are there already."""
    text = document.read_text()
    before, _, rest = text.partition(BEGIN)
    known, _, after = rest.partition(END)
    fresh = table.read_text()
    rows = {row_key(line): line for line in fresh.splitlines()}
    if set(rows) <= {row_key(line) for line in known.splitlines()}:
        fresh = "\n".join(rows.get(row_key(line), line) for line in known.strip().splitlines())
    document.write_text(f"{before}{BEGIN}\n{fresh.strip()}\n\n{END}{after}")


def row_key(line):
    """Which row of which table it is."""
    cells = line.split("|")
    return len(cells) > 4, "".join(cells[:2])


if __name__ == "__main__":
    update(*map(pathlib.Path, sys.argv[1:]))
