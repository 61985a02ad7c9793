"""What README and manual say that commands print is what they print: their sessions, typed."""
import pytest

from support.ports import free_port
from support.primary import REPOSITORY
from support.sessions import Session, agree, steps_of


def part_of(document, title):
    """(the text from a heading of the second level to the next one, its first line)"""
    lines = (REPOSITORY / document).read_text().splitlines()
    first = lines.index(f"## {title}")
    end = next((number for number in range(first + 1, len(lines))
                if lines[number].startswith("## ")), len(lines))
    return "\n".join(lines[first:end]), first + 1


@pytest.mark.parametrize("document, title, directory, copies", [
    ("README.md", "Keep it running", "baton", {"examples": "examples"}),
    ("docs/manual.md", "Commands", "shop", {".": "examples/shop"}),
])
def test_session(home, document, title, directory, copies):
    steps = steps_of(*part_of(document, title))
    assert len(steps) > 12
    copies = {name: REPOSITORY / source for name, source in copies.items()}
    session = Session(home, directory, copies, free_port())
    try:
        session.run(steps)
    finally:
        session.close()


# --- the comparison itself: a test that cannot fail is a defect ---

TABLE = """
┌────┬──────┬─────────┐
│ id │ name │ status  │
├────┼──────┼─────────┤
│ 0  │ api  │ online  │
└────┴──────┴─────────┘
"""


@pytest.mark.parametrize("expected, shown, same", [
    ("done in 3 s", "done in  17 s", True),
    ("done", "failed", False),
    ("after 900 ms", "after 12 s", True),
    ("one\n…\nfour", "one\ntwo\nthree\nfour", True),
    ("one\n…\nfour", "one\ntwo", False),
    ("exited … ms", "exited with code 1 after 9 ms", True),
    ("", TABLE, True),
    (TABLE, "", False),
    (TABLE, TABLE.replace("online ", "errored"), False),
    (TABLE, TABLE.replace("│ status ", "│ mem │ status ").replace("│ online ", "│ 3mb │ online "),
     True),
])
def test_comparison(expected, shown, same):
    assert agree(expected.strip().splitlines(), shown.strip().splitlines()) == same
