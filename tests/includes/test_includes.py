"""Who may include whom: the #include lines of src/ against the table of docs/architecture.md."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Folder (or file) -> the folders, or single headers, that it may include besides itself.
FOLDERS = {
    "base": set(),
    "config": {"base"},
    "daemon": {"base", "config", "http", "master", "policy"},
    "policy": {"base"},
    "ipc": {"base"},
    "http": {"base"},
    "master": {"base", "config", "ipc", "policy"},
    "worker": {"base", "http", "baton/worker.h"},
    "cli": {"base", "config", "http", "ipc", "policy"},
}
PRELOAD = {path.name for path in (ROOT / "src" / "worker").glob("preload*.[ch]")} | {
    "system_call.h"}
PROTOCOL = {"ipc/native_protocol.h", "ipc/native_token.h"}
PRELOAD_MAY = PROTOCOL | {"ipc/shared_bind.h"}
FILES = {
    "worker/worker.c": {"baton/worker.h"} | PROTOCOL,
    **{f"worker/{name}": PRELOAD_MAY for name in PRELOAD},
    "cli/daemon_start.c": {"base", "config", "http", "policy"} | PROTOCOL,
    "main.c": {"base", "cli", "daemon", "master", "worker"},
}

# Library header -> patterns of the files that may include it.
LIBRARIES = {
    "uv.h": [r"(config|policy|cli|http|master|daemon)/.*", r"ipc/node_channel\.[ch]", r"worker/serve.*"],
    "jansson.h": [r"base/json_read\.[ch]", r"ipc/node_message.*\.c", r"master/status\.c", r"(config|daemon|cli)/.*"],
    "http_parser.h": [r"http/request\.c", r"http/response_reader\.c"],
}

# Where libuv is there for its error codes alone: the calls that are no part of a loop.
ERROR_CODES_ONLY = ("config", "policy", "cli")
PURE_CALLS = {"uv_strerror", "uv_translate_sys_error", "uv_exepath"}

# What decides is pure: these files of the master see neither loop nor clock.
PURE_FILES = ("dispatcher", "restart", "child_state", "client", "member", "trace", "status",
              "address", "app_status")


def sources():
    for path in sorted((ROOT / "src").rglob("*.[ch]")):
        yield path.relative_to(ROOT / "src").as_posix(), path.read_text(encoding="utf-8")


def includes(text, quote):
    left, right = ('"', '"') if quote else ("<", ">")
    return re.findall(rf"^\s*#\s*include\s*{left}([^{right}]+){right}", text, re.MULTILINE)


def code_of(text):
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)


def test_folders_include_only_what_the_table_allows():
    wrong = []
    for name, text in sources():
        folder = name.split("/")[0]
        allowed = FILES.get(name, FOLDERS.get(folder))
        assert allowed is not None, f"{name} is in no folder of the table"
        for header in includes(text, quote=True):
            if "/" not in header:
                wrong.append(f"{name}: {header} names no folder")
            elif header not in allowed and header.split("/")[0] not in allowed | {folder}:
                wrong.append(f"{name}: {header}")
    assert not wrong


def test_the_preload_library_knows_the_protocol_and_itself():
    own = {f"worker/{name}" for name in PRELOAD} | PRELOAD_MAY
    assert len(own) > 5
    for name, text in sources():
        if name in own:
            assert set(includes(text, quote=True)) <= own, name


def test_project_headers_exist():
    for name, text in sources():
        for header in includes(text, quote=True):
            assert (ROOT / "src" / header).exists() or (ROOT / "include" / header).exists(), name


def test_libraries_stay_where_they_belong():
    wrong = [f"{name}: {header}"
             for name, text in sources()
             for header in includes(text, quote=False)
             if header in LIBRARIES
             and not any(re.fullmatch(pattern, name) for pattern in LIBRARIES[header])]
    assert not wrong


def test_only_edges_touch_the_loop():
    wrong = []
    for name, text in sources():
        folder, _, file = name.partition("/")
        pure = folder == "master" and file.rsplit(".", 1)[0] in PURE_FILES
        if folder not in ERROR_CODES_ONLY and not pure:
            continue
        code = code_of(text)
        calls = set(re.findall(r"\buv_\w+", code)) - PURE_CALLS
        if pure:
            calls |= set(re.findall(r"\b(?:clock_\w+|time|gettimeofday)\s*\(", code))
        wrong += [f"{name}: {call}" for call in sorted(calls)]
    assert not wrong


def test_every_header_is_guarded_by_its_path():
    for name, text in sources():
        if name.endswith(".h"):
            guard = "BATON_" + re.sub(r"[/.]", "_", name).upper()
            assert f"#ifndef {guard}\n#define {guard}\n" in text, name


def test_the_documented_table_is_this_one():
    """The worker's row is in words, for it differs by file, and so is what follows a semicolon."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `src/(\w+)` \|[^|]*\|([^|]*)\|", text, re.MULTILINE)
    assert {folder for folder, _ in rows} == set(FOLDERS)
    for folder, cell in rows:
        if folder != "worker":
            assert set(re.findall(r"\w+", cell.partition(";")[0])) == FOLDERS[folder], folder
