"""Log files that are none, that are shared, that others rotate, and lines that are no text."""
import json
import os
import subprocess

import pytest

from support import procfs
from support.clients import get
from support.ports import free_port
from support.wait import PATIENCE, until

COUNTER = """
let number = 0;
setInterval(() => console.log(`${process.env.name} ${number++}`), 5);
require('net').createServer().listen(0);
"""


def numbers(text, name):
    """Of whole lines: the last may just be written."""
    text = text[:text.rfind("\n") + 1]
    return [int(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} ")]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has files that others may not write")
@pytest.mark.parametrize("link", ["file", "directory"])
def test_root_follows_no_link_of_another_user_to_a_log_file(home, link):
    """Whoever the worker runs as could have root write to any file what it prints."""
    nobody = 65534
    theirs = home.root / "theirs"
    ours = home.root / "ours"
    theirs.mkdir()
    ours.mkdir()
    if link == "file":
        (theirs / "logs").mkdir()
        (theirs / "logs/a.log").symlink_to(ours / "a.log")
    else:
        (theirs / "logs").symlink_to(ours)
    for path in (theirs, *theirs.rglob("*")):
        os.chown(path, nobody, nobody, follow_symlinks=False)
    home.write("app.js", COUNTER)
    home.start("app.js", "-n", "a", "-i", "1", "--merge-logs", "-o", theirs / "logs/a.log")
    until(lambda: "too many symbolic links" in home.daemon_log(), 10, home.daemon_log)
    assert not list(ours.iterdir())


def test_links_of_our_own_to_log_files_are_followed(home):
    ours = home.root / "ours"
    ours.mkdir()
    (home.root / "logs").symlink_to(ours)
    home.write("app.js", COUNTER)
    home.start("app.js", "-n", "a", "-i", "1", "--merge-logs", "-o", home.root / "logs/a.log")
    path = ours / "a.log"
    until(lambda: path.exists() and "a 3" in path.read_text(), 10, lambda: home.daemon_log())


@pytest.mark.parametrize("kind", ["fifo without a reader", "directory", "missing device"])
def test_a_log_file_that_cannot_be_written_to(home, kind):
    """The app runs all the same, and it is said once why nothing is written."""
    port = free_port()
    path = home.root / "out-0.log"
    if kind.startswith("fifo"):
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to("/proc/none/log")
    home.write("app.js", COUNTER.replace("listen(0)", "listen(0); require('./plain.js')"))
    home.program("plain.js")
    home.start("app.js", "-n", "a", "-i", "1", "-o", home.root / "out.log", port=port)
    until(lambda: get(port).outcome == "ok", 10, "its second listener")
    until(lambda: str(path) in home.daemon_log(), 10, lambda: home.daemon_log())
    home.cli("logs", "a", "--nostream").ok()
    home.cli("flush", "a")
    home.cli("reloadLogs").ok()
    assert get(port).outcome == "ok"
    said = [line for line in home.daemon_log().splitlines() if f"{path}:" in line]
    assert len(said) <= 2, said


def test_a_reader_of_a_fifo_gets_the_lines(home):
    path = home.root / "out.log"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        home.write("app.js", COUNTER)
        home.start("app.js", "-n", "a", "-o", path)
        text = bytearray()

        def read():
            try:
                text.extend(os.read(reader, 65536))
            except BlockingIOError:
                pass
            return len(numbers(text.decode(), "a")) > 20

        until(read, 10, lambda: text)
        assert numbers(text.decode(), "a")[:20] == list(range(20))
    finally:
        os.close(reader)


def test_two_apps_may_have_one_file(home):
    """Whole lines of each, in order."""
    path = home.root / "both.log"
    home.write("app.js", COUNTER)
    home.start("app.js", "-n", "first", "-o", path)
    home.start("app.js", "-n", "second", "-f", "-o", path)
    until(lambda: path.exists() and len(numbers(path.read_text(), "second")) > 100, 15, "lines")
    home.cli("delete", "all").ok()
    text = path.read_text()
    for name in ("first", "second"):
        assert numbers(text, name) == list(range(len(numbers(text, name))))
    assert all(line.split()[0] in ("first", "second") for line in text.splitlines())


def test_merged_logs_of_instances_are_whole_lines(home):
    home.write("app.js", "function begin() { process.stdout.write('x'.repeat(3000));"
                         "setTimeout(end, 3) }"
                         "function end() { process.stdout.write('y'.repeat(3000) + '\\n');"
                         "setTimeout(begin, 3) }"
                         "begin(); require('net').createServer().listen(0)")
    home.start("app.js", "-n", "a", "-i", "3", "--merge-logs")
    until(lambda: home.log("a").count("\n") > 100, 15, "lines")
    home.cli("delete", "a").ok()
    lines = home.log("a").splitlines()
    assert {line for line in lines if len(line) == 6000} == {"x" * 3000 + "y" * 3000}
    assert len([line for line in lines if len(line) != 6000]) <= 3 * 2, "cut by the end"


def test_logrotate_by_hand(home):
    """rename, reloadLogs, compress; copytruncate; and a logrotate that never tells."""
    home.write("app.js", COUNTER)
    home.start("app.js", "-n", "a")
    path = home.path / "logs" / "a-out.log"
    until(lambda: len(numbers(home.log("a"), "a")) > 20, 10, "lines")
    path.rename(path.with_name("a-out.log.1"))
    home.cli("reloadLogs").ok()
    until(lambda: path.exists() and numbers(home.log("a"), "a"), 10, "a new file")
    before = numbers(path.with_name("a-out.log.1").read_text(), "a")
    assert before[-1] + 1 == numbers(home.log("a"), "a")[0]
    os.truncate(path, 0)
    until(lambda: numbers(home.log("a"), "a"), 10, "lines after it was truncated")
    assert "\0" not in home.log("a")
    path.rename(path.with_name("a-out.log.2"))
    until(lambda: path.exists() and numbers(home.log("a"), "a"), 10, "a file that nobody asked for")


def test_flushing_while_it_is_written_to(home):
    home.write("app.js", COUNTER)
    home.start("app.js", "-n", "a")
    for _ in range(5):
        until(lambda: len(numbers(home.log("a"), "a")) > 5, 10, "lines")
        home.cli("flush", "a").ok()
        assert "\0" not in home.log("a")
    seen = numbers(home.log("a"), "a")
    assert seen == list(range(seen[0], seen[0] + len(seen))) if seen else True


@pytest.mark.parametrize("flags", [[], ["--log-type", "json"], ["--time"]], ids=str)
def test_bytes_that_are_no_text(home, flags):
    """NUL, ESC and what is no UTF-8 are in the raw file as they are, and escaped where they are
    shown; JSON stays JSON."""
    home.write("app.js", "process.stdout.write(Buffer.from('a\\0b\\x1b[31mc\\xffd\\x9b\\n', 'latin1'));"
                         "require('net').createServer().listen(0)")
    home.start("app.js", "-n", "a", *flags)
    path = home.path / "logs" / "a-out.log"
    until(lambda: path.exists() and path.read_bytes().endswith(b"\n"), 10, "the line")
    out = subprocess.run([*home.command, "logs", "a", "--nostream"], capture_output=True,
                         env=home.environment, check=True, timeout=PATIENCE).stdout
    assert not set(out) & {0, 0x1b, 0xff}, out
    out.decode()
    if "json" in flags:
        record = json.loads(path.read_bytes())
        assert record["message"].startswith("a\0b") and record["type"] == "out"
        assert {"timestamp", "process_id", "app_name"} <= set(record)
    elif not flags:
        assert path.read_bytes() == b"a\0b\x1b[31mc\xffd\x9b\n"
    else:
        assert path.read_bytes().endswith(b": a\0b\x1b[31mc\xffd\x9b\n")


def test_a_line_of_many_megabytes(home):
    """It is bounded in the daemon's memory, and whole in the file."""
    size = 20_000_000
    home.write("app.js", f"process.stdout.write('x'.repeat({size}) + '\\n', () => "
                         "console.log('the end'));require('net').createServer().listen(0)")
    home.write("a.json", json.dumps({"name": "a", "script": "app.js", "max_log_size": 0}))
    home.cli("start", "a.json").ok()
    until(lambda: home.log("a").endswith("the end\n"), 30, "its end")
    assert len(home.log("a").partition("\n")[0]) == size
    if "asan" not in os.environ.get("BATON", ""):
        assert procfs.resident_kilobytes(home.daemon_pid()) < 12_000
    home.cli("logs", "a", "--nostream", "--lines", "2").ok()
