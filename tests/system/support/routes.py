"""The control API's routes, as the daemon's own table has them, so that a test that is about all
of them is about a new one too."""
import pathlib
import re

SOURCES = pathlib.Path(__file__).parents[3] / "src" / "daemon"
QUERIES = {"/v1/logs": "?target=all&lines=1"}  # which ends by itself


def constants(pattern, *files):
    """What a pattern finds in the daemon's sources."""
    texts = ((SOURCES / name).read_text() for name in files)
    return sorted({found for text in texts for found in re.findall(pattern, text)})


def actions():
    """["start", …]"""
    return constants(r'{"(\w+)", on_\w+}', "actions.c")


def table():
    """[(method, pattern)]"""
    return constants(r'{"([A-Z]+)", "([^"]+)", \w+}', "routes.c")


def all_of(method):
    """The targets of one method, each action for itself."""
    found = []
    for pattern in (path for name, path in table() if name == method):
        stem = pattern.removesuffix("*")
        names = actions() if stem != pattern else [""]
        found += [f"{stem}{name}{QUERIES.get(pattern, '')}" for name in names]
    assert found, f"no route for {method}"
    return found


READING = all_of("GET")
CHANGING = all_of("POST")
