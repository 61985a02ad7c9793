"""docs/process-files.md: every attribute there is, none that is not, and examples that can be used."""
import re
import subprocess

import pytest

from support.primary import BATON, REPOSITORY

PAGE = (REPOSITORY / "docs" / "process-files.md").read_text()
# The control API's alone: the whole environment of whoever asks.
NOT_IN_FILES = {"environment"}
ENDINGS = {"js": "config.js", "yaml": "yml", "json": "json"}


def attributes_of_source():
    """{first name: {other names}}"""
    source = (REPOSITORY / "src" / "config" / "attribute_table.c").read_text()
    table = source[source.index('    {"script",'):]
    rows = re.findall(r'^    \{"(\w+)", (?:NULL|"([\w ]*)"),', table, re.MULTILINE)
    return {name: set(others.split()) for name, others in rows if name not in NOT_IN_FILES}


def names_of_page():
    """What stands in backquotes in the first columns of the tables, and of their text."""
    part = PAGE.split("## Attributes\n")[1].split("## Cron expressions")[0]
    names = set()
    for line in part.splitlines():
        cells = line.split("|")
        if line.startswith("| `"):
            names |= set(re.findall(r"`([a-z]\w*)`", cells[1]))
            if len(cells) == 6:
                names |= set(re.findall(r"`([a-z]\w*)`", cells[2]))
    return names


def test_page_has_every_attribute_and_no_other():
    known = {word for name, others in attributes_of_source().items() for word in {name, *others}}
    assert len(known) > 60
    page = names_of_page() - {"env_NAME"}
    assert page <= known, page - known
    missing = {word for word in known - page if f"`{word}`" not in PAGE}
    assert not missing


def examples():
    for number, (language, text) in enumerate(
            re.findall(r"^```(js|yaml|json)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)):
        yield pytest.param(ENDINGS[language], text, id=f"{number}-{language}")


@pytest.mark.parametrize("ending, text", examples())
def test_examples_can_be_used(tmp_path, ending, text):
    path = tmp_path / f"apps.{ending}"
    path.write_text(text)
    for name in ("api.js", "jobs.py", "site.py", "old.py"):
        (tmp_path / name).write_text("")
    for name in ("src", "config"):
        (tmp_path / name).mkdir()
    done = subprocess.run([BATON, "validate", path.name], cwd=tmp_path, capture_output=True,
                          text=True, timeout=30)
    said = done.stdout + done.stderr
    assert done.returncode == 0 and len(said.splitlines()) == 1, said  # no warning either


def test_an_example_has_each_attribute():
    example = PAGE.split("## All attributes, once")[1]
    missing = {name for name in attributes_of_source()
               if not re.search(rf"^[ -]*{name}:", example, re.MULTILINE)}
    assert not missing
