"""The documents say what is: options, kinds, policies, folders, links, commands, man pages."""
import functools
import itertools
import pathlib
import re
import shlex
import shutil
import subprocess

import pytest

from support.primary import BATON, REPOSITORY
from support.wait import PATIENCE

MANUAL = REPOSITORY / "docs" / "manual.md"
PAGE = REPOSITORY / "man" / "baton.1"
DOCUMENTS = sorted(path for pattern in ("*.md", "docs/**/*.md", "examples/*.md", "bench/*.md")
                   for path in REPOSITORY.glob(pattern))
PAGES = sorted((REPOSITORY / "man").glob("*.[0-9]"))

# Tools of the machine that a document may tell people to type.
TOOLS = {"cat", "cmake", "cp", "ctest", "curl", "echo", "git", "kill", "logrotate", "ln", "strace"}


@functools.cache
def help_of(command):
    words = [command, "--help"] if command != "help" else ["help"]
    return subprocess.run([BATON, *words], check=True, capture_output=True, text=True,
                          timeout=PATIENCE).stdout


def options_of_help(command="run"):
    return set(re.findall(r"^  (?:-\w, |    )--([a-z-]+)", help_of(command), re.MULTILINE))


def letters_of_help(command="run"):
    return dict(re.findall(r"^  (-\w), --([a-z-]+)", help_of(command), re.MULTILINE))


def listed_in_help(title):
    listed = help_of("run").split(f"\n{title}:\n")[1].split("\n\n")[0]
    return re.findall(r"^  ([\w-]+)", listed, re.MULTILINE)


def policies_of_help():
    return listed_in_help("Policies")


def kinds_of_help():
    return listed_in_help("Kinds, for --intercept")


def section(text, title):
    """From a heading to the next one of its depth or above."""
    match = re.search(rf"^(#+) {re.escape(title)}$", text, re.MULTILINE)
    assert match, f"no section {title!r}"
    rest = text[match.end():]
    end = re.search(rf"^#{{1,{len(match[1])}}} ", rest, re.MULTILINE)
    return rest[:end.start()] if end else rest


def rows(text):
    """The first column of every table row, without headings."""
    return [line.split("|")[1] for line in text.splitlines()
            if line.startswith("| ") and not line.startswith("| |")]


# --- options ---

def options_of_manual():
    table = section(MANUAL.read_text(), "Options")
    return {name for row in rows(table) for name in re.findall(r"--([a-z][a-z-]*)", row)}


def options_of_page():
    names = set()
    for line in PAGE.read_text().splitlines():
        if line.startswith(".It Fl"):
            names |= set(re.findall(r"Fl -([a-z][a-z-]*)", line))
    return names


def test_help_lists_options():
    assert len(options_of_help()) > 20
    assert options_of_help("serve") == options_of_help("run") | {"spa"}


def test_manual_has_every_option_and_no_other():
    assert options_of_manual() == options_of_help()


def test_page_has_every_option_and_no_other():
    assert options_of_page() == options_of_help() | options_of_help("start") | {"spa"}


@functools.cache
def commands_of_help():
    """{name: its other names}"""
    names = re.findall(r"^  (\w+)  +\w", help_of("help"), re.MULTILINE)
    return {name: re.findall(r"^Also: (.*)", help_of(name), re.MULTILINE) for name in names}


def test_page_and_manual_have_every_command():
    page = PAGE.read_text()
    manual = section(MANUAL.read_text(), "Commands")
    assert len(commands_of_help()) > 30
    for name, others in commands_of_help().items():
        for word in [name, *" ".join(others).split()]:
            assert re.search(rf"[ ,]{word}\b", page), word
            assert re.search(rf"`(baton )?{word}\b", manual), word


def test_manual_has_every_option_of_every_command():
    """Beside it, in the chapter of commands, or among the options of all."""
    manual = MANUAL.read_text()
    for name in commands_of_help():
        for option in options_of_help(name):
            assert f"`--{option}" in manual, f"{name} --{option}"


def test_manual_has_a_section_for_every_command():
    headings = " ".join(re.findall(r"^##+ (.*)$", MANUAL.read_text(), re.MULTILINE))
    for name in commands_of_help():
        assert re.search(rf"\b{name}\b", headings), name


def test_page_has_every_option_of_every_command():
    page = PAGE.read_text()
    for name in commands_of_help():
        for option in options_of_help(name):
            assert re.search(rf"(Fl -|--){option}\b", page), f"{name} --{option}"


def test_page_and_manual_have_every_file_of_the_home():
    header = (REPOSITORY / "src" / "daemon" / "home.h").read_text()
    names = re.findall(r'#define HOME_[A-Z]+ +"([\w.]+)"', header)
    assert len(names) > 4
    for name in [*names, "control.sock", "daemon.pid"]:
        assert f"~/.baton/{name}" in PAGE.read_text(), name
        assert f"`{name}" in section(MANUAL.read_text(), "daemon"), name


@pytest.mark.parametrize("document", [MANUAL, PAGE], ids=lambda path: path.name)
def test_short_options_stand_beside_their_long_ones(document):
    text = document.read_text()
    for letter, name in letters_of_help().items():
        manual, page = f"`{letter}`, `--{name}", f".It Fl {letter[1]} , Fl -{name}"
        assert manual in text or page in text, f"{letter} of --{name}"


def test_options_without_effect_are_accepted():
    sentence = re.search(r"Accepted and without effect[^\n]*\n?[^\n]*", MANUAL.read_text())[0]
    names = re.findall(r"`(--[a-z-]+)`", sentence)
    assert len(names) == 5
    done = subprocess.run([BATON, "run", *names, "/nonexistent/script.js"], capture_output=True,
                          text=True, timeout=PATIENCE)
    assert done.returncode == 1
    assert "there is no file" in done.stderr


# --- policies ---

def names_of_table(text):
    return [name for row in rows(text) for name in re.findall(r"^ `([\w-]+)` $", row)]


def names_of_page(title):
    part = PAGE.read_text().split(f".Ss {title}\n")[1].split(".Ss")[0]
    return re.findall(r"^\.It Cm ([\w-]+)", part, re.MULTILINE)


def test_policies_of_manual():
    assert names_of_table(section(MANUAL.read_text(), "Policies")) == policies_of_help()


def test_policies_of_readme():
    tour = section((REPOSITORY / "README.md").read_text(), "Five minutes")
    assert names_of_table(tour) == policies_of_help()


def test_policies_of_page():
    assert names_of_page("Policies") == policies_of_help()


# --- kinds of interception ---

def test_kinds_of_manual():
    part = section(MANUAL.read_text(), "How workers get clients")
    assert set(names_of_table(part)) == set(kinds_of_help())


def test_kinds_of_page():
    assert set(names_of_page("Kinds")) == set(kinds_of_help())


def test_kinds_of_help_are_those_that_are_taken():
    assert "preload" in kinds_of_help()
    for kind in kinds_of_help():
        done = subprocess.run([BATON, "run", "--intercept", kind, "/nonexistent/script.js"],
                              capture_output=True, text=True, timeout=PATIENCE)
        assert "there is no file" in done.stderr, kind


# --- the status ---

def test_status_fields_of_manual():
    """The names of the JSON fields, as status.c writes them, are explained, not only shown."""
    source = (REPOSITORY / "src" / "master" / "status.c").read_text()
    fields = set(re.findall(r'"([a-z_]+)",\s', source.split("status_table")[1]))
    text = section(MANUAL.read_text(), "The status")
    assert fields >= {"slot", "handed", "acknowledged", "accepted", "listeners"}
    assert {name for name in fields if f"`{name}`" not in text} == set()


# --- folders: the table in architecture.md against the #include lines ---

ARCHITECTURE = REPOSITORY / "docs" / "architecture.md"
FOLDERS = sorted(path.name for path in (REPOSITORY / "src").iterdir() if path.is_dir())


def allowed_of(folder):
    """What the table lets a folder include besides itself."""
    row = re.search(rf"^\| `src/{folder}` \|[^|]*\|([^|]*)\|", ARCHITECTURE.read_text(),
                    re.MULTILINE)
    assert row, f"src/{folder} is not in the table"
    return set(re.findall(rf"\b({'|'.join(FOLDERS)})\b", row[1])) | {folder}


def includes_of(path, form):
    return re.findall(rf"^#include {form}", path.read_text(), re.MULTILINE)


@pytest.mark.parametrize("folder", FOLDERS)
def test_folder_includes_only_what_it_may(folder):
    files = sorted((REPOSITORY / "src" / folder).glob("*.[ch]"))
    assert files
    for path in files:
        used = {name for name, _ in includes_of(path, r'"(\w+)/([\w.]+)"')} - {"baton"}
        assert used <= allowed_of(folder), path.name


def test_libbaton_needs_libc_alone():
    source = REPOSITORY / "src" / "worker" / "worker.c"
    assert set(includes_of(source, r'"([\w/.]+)"')) == {
        "baton/worker.h", "ipc/native_protocol.h", "ipc/native_token.h"}
    assert not set(includes_of(source, r"<([\w/.]+)>")) & {"uv.h", "jansson.h", "http_parser.h"}


@pytest.mark.parametrize("header, users", [
    ("jansson.h", {"base/json_read.h", "ipc/node_message.c",
                   "ipc/node_message_write.c", "master/status.c", "config", "daemon", "cli"}),
    ("http_parser.h", {"http/request.c", "http/response_reader.c"}),
])
def test_library_is_known_to_few(header, users):
    """Files, or whole folders in which what is read or drawn is JSON."""
    paths = [path.relative_to(REPOSITORY / "src") for path in (REPOSITORY / "src").rglob("*.[ch]")
             if header in includes_of(path, r"<([\w/.]+)>")]
    assert {path.parts[0] if path.parts[0] in users else str(path) for path in paths} == users


# --- links ---

def without_code(text):
    blocks = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "", blocks.sub("", text))


def anchors(path):
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_links_lead_somewhere(document):
    for target in re.findall(r"\]\(([^)]+)\)", without_code(document.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (document.parent / name).resolve() if name else document
        assert path.exists(), target
        if anchor:
            assert anchor in anchors(path), target


def test_every_decision_is_listed():
    folder = REPOSITORY / "docs" / "decisions"
    index = (folder / "README.md").read_text()
    pages = sorted(path.name for path in folder.glob("[0-9]*.md"))
    assert pages == re.findall(r"\]\(([0-9][^)]*\.md)\)", index)
    for number, name in enumerate(pages, 1):
        text = (folder / name).read_text()
        assert name.startswith(f"{number:04}-")
        assert all(f"**{part}.**" in text for part in ("Context", "Decision", "Consequences"))


# --- commands: in a block marked `console`, what follows "$ " is typed ---

def commands(document):
    for block in re.findall(r"^```console\n(.*?)^```", document.read_text(),
                            re.MULTILINE | re.DOTALL):
        yield from re.findall(r"^\$ (.*)$", block, re.MULTILINE)


def targets_of_makefile():
    return set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))


@functools.cache
def command_called(word):
    """Its first name, of one of its names."""
    for name, others in commands_of_help().items():
        if word in [name, *" ".join(others).split()]:
            return name
    raise AssertionError(f"there is no command {word}")


def check_baton(words):
    """What is quoted is one word; what stands behind `--` or a sign of the shell is another's."""
    command = command_called(words[0])
    for word in itertools.takewhile(lambda word: word not in ("--", "|", ">", "&"), words[1:]):
        if word.startswith("--"):
            assert word[2:].split("=")[0] in options_of_help(command), word
        elif re.fullmatch(r"-[a-z]", word):
            assert word in letters_of_help(command), word


def check_paths(words):
    """Words that look like files of the repository are files of the repository."""
    for word in words:
        name = word.split("=")[-1]
        if re.match(r"(examples|docs|src|tests|scripts|bench|man)/", name):
            assert (REPOSITORY / name).exists(), name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_commands_name_what_exists(document):
    for line in commands(document):
        words = shlex.split(line)
        program = pathlib.PurePath(words[0])
        check_paths(words)
        if program.name == "baton":
            check_baton(words[1:])
        elif words[0] == "make":
            assert set(word for word in words[1:] if "=" not in word) <= targets_of_makefile(), line
        elif "/" not in words[0]:
            assert words[0] in TOOLS, f"{line}: a new tool? name it in TOOLS"


MIGRATING = REPOSITORY / "docs" / "migrating-from-pm2.md"


def rows_of_migration():
    """[(what was typed, what is typed instead)] of its table of commands."""
    rows_ = re.findall(r"^\| (`pm2.*?) \| (.*) \|$", section(MIGRATING.read_text(), "Commands"),
                       re.MULTILINE)
    assert len(rows_) > 20
    return rows_


def test_commands_that_migrate_exist():
    for before, now in rows_of_migration():
        for words in re.findall(r"`baton ([^`]*)`", now):
            check_baton(shlex.split(words))
        if now.startswith("the same"):
            codes = re.sub(r"`pm2 ", "`", before)
            for name in re.findall(r"[`|]([a-z]\w*)", codes):
                command_called(name)


def test_flags_that_migrate_exist():
    text = section(MIGRATING.read_text(), "Flags")
    kept, _, ignored = text.partition("Accepted and without effect")
    long = set(re.findall(r"`--([a-z-]+)`", kept))
    assert len(long) > 30 and long <= options_of_help("start")
    assert set(re.findall(r"`(-[a-z])`", kept)) <= set(letters_of_help("start"))
    done = subprocess.run([BATON, "start", *re.findall(r"`(--[a-z-]+)`", ignored), "--help"],
                          capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0 and "Usage" in done.stdout, done.stderr


def test_readme_has_commands():
    assert len(list(commands(REPOSITORY / "README.md"))) > 10


# --- man pages ---

@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_page_is_well_formed(page):
    if shutil.which("mandoc"):
        command = ["mandoc", "-T", "lint", "-W", "warning", str(page)]
    elif shutil.which("man"):
        command = ["man", "--warnings", "-l", str(page)]
    else:
        pytest.skip("neither mandoc nor man is installed")
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE,
                          stdin=subprocess.DEVNULL)
    complaints = done.stdout if command[0] == "mandoc" else ""
    assert (done.returncode, complaints + done.stderr) == (0, "")
