"""What workers print: nothing is lost, nothing fills the disk or the memory, and it can be read."""
import contextlib
import gzip
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import pytest

from support import procfs
from support.clients import Load, outcomes
from support.ports import free_port
from support.wait import until

TALKER = """
const [count, rate] = process.argv.slice(2).map(Number);
let number = 0;
const timer = setInterval(() => {
  for (let i = 0; i < rate && number < count; i++) console.log(`line ${number++}`);
  if (number >= count) { clearInterval(timer); require('net').createServer().listen(0); }
}, 5);
"""
NUMBERED = re.compile(r"line (\d+)$")


def numbers(text):
    """Of whole lines: the last may just be written."""
    text = text[:text.rfind("\n") + 1]
    found = (NUMBERED.search(line) for line in text.splitlines())
    return [int(match.group(1)) for match in found if match]


def whole_log(home, name):
    """A log file with those that were rotated away before it, the oldest first."""
    directory = home.path / "logs"
    rotated = sorted(directory.glob(f"{name}-out.log.[0-9]*"),
                     key=lambda path: -int(path.name.split(".log.")[1].split(".")[0]))
    return "".join(map(_read, rotated)) + home.log(name)


def sizes(directory):
    """Of the app's files; None while one of them is just renamed."""
    try:
        return [path.stat().st_size for path in directory.glob("a-out*")]
    except FileNotFoundError:
        return None


def _read(path):
    """"" for what has just got another name."""
    with contextlib.suppress(FileNotFoundError):
        if path.suffix == ".gz":
            with gzip.open(path, "rt", errors="replace") as file:
                return file.read()
        return path.read_text(errors="replace")
    return ""


def test_the_last_words_of_a_crash_are_kept(home):
    """However many, and although the process is gone at once."""
    home.write("app.js", "let text = ''; for (let i = 0; i < 20000; i++) text += `line ${i}\\n`;"
                         "require('fs').writeSync(2, text); process.abort()")
    home.cli("start", "app.js", "-n", "a", "--no-autorestart")
    home.wait_status("a", "stopped")
    until(lambda: numbers(home.log("a", "error"))[-1:] == [19999], 10, "the last line")
    assert numbers(home.log("a", "error")) == list(range(20000))


def test_a_line_without_an_end_is_kept(home):
    home.write("app.js", "process.stdout.write('unfinished'); process.stderr.write('too');"
                         "setTimeout(() => process.exit(1), 100)")
    home.cli("start", "app.js", "-n", "a", "--no-autorestart")
    home.wait_status("a", "stopped")
    until(lambda: "unfinished" in home.log("a") and "too" in home.log("a", "error"), 10, "both")


def test_what_a_child_prints_after_its_worker_is_kept(home):
    home.write("app.js", "require('child_process').spawn('sh', ['-c', 'sleep 0.3; echo the child'],"
                         "{ stdio: 'inherit' }); process.exit(0)")
    home.cli("start", "app.js", "-n", "a", "--no-autorestart", "--no-treekill")
    until(lambda: "the child" in home.log("a"), 10, "the child's line")


def test_logs_are_rotated(home):
    home.write("app.js", TALKER)
    home.write("a.json", json.dumps({"name": "a", "script": "app.js", "args": ["30000", "500"],
                                     "max_log_size": "64K", "log_keep": 20}))
    home.cli("start", "a.json").ok()
    until(lambda: numbers(home.log("a"))[-1:] == [29999], 20, lambda: home.log("a")[-200:])
    until(lambda: numbers(whole_log(home, "a")) == list(range(30000)), 10,
          "all lines, also while a file is compressed")
    assert list((home.path / "logs").glob("a-out.log.*"))
    assert max(until(lambda: sizes(home.path / "logs"), 10, "files that keep their names")) \
        <= 64 * 1024 + 4096


def test_rotated_logs_are_compressed_once_they_rest(home):
    """The newest may still be read by somebody who follows it; an old one is not."""
    home.write("app.js", TALKER)
    home.write("a.json", json.dumps({"name": "a", "script": "app.js", "args": ["30000", "500"],
                                     "max_log_size": "64K", "log_keep": 20}))
    home.cli("start", "a.json").ok()
    until(lambda: numbers(home.log("a"))[-1:] == [29999], 20, lambda: home.log("a")[-200:])
    home.cli("stop", "a").ok()
    for path in (home.path / "logs").glob("a-out.log.*"):
        with contextlib.suppress(FileNotFoundError):  # one that was compressed already
            os.utime(path, (time.time() - 100_000,) * 2)
    home.cli("start", "a").ok()
    until(lambda: list((home.path / "logs").glob("a-out.log.*.gz")), 30,
          lambda: sorted((home.path / "logs").iterdir()))


def test_only_so_many_rotated_logs_are_kept(home):
    home.write("app.js", TALKER)
    home.write("a.json", json.dumps({"name": "a", "script": "app.js", "args": ["40000", "500"],
                                     "max_log_size": "16K", "log_keep": 3}))
    home.cli("start", "a.json").ok()
    until(lambda: numbers(home.log("a"))[-1:] == [39999], 20, lambda: home.log("a")[-200:])
    until(lambda: len(list((home.path / "logs").glob("a-out.log.*"))) <= 3, 10,
          lambda: list((home.path / "logs").iterdir()))


def test_rotation_is_on_by_default(home):
    """It is said in the list of all that is known of the app; nobody prints that much here."""
    home.write("app.js", "require('net').createServer().listen(0)")
    home.start("app.js", "-n", "a")
    assert re.search(r"log.*(size|rotat)", home.cli("describe", "a").ok().out, re.IGNORECASE)


def test_logs_follow_through_rotation_and_restarts(home):
    """The first worker talks until it is ended, the second for so many lines."""
    home.write("app.js", "if (require('fs').existsSync('second')) process.argv[2] = '4000';\n"
               + TALKER)
    home.write("a.json", json.dumps({"name": "a", "script": "app.js", "args": ["Infinity", "8"],
                                     "max_log_size": "8K"}))
    home.cli("start", "a.json").ok()
    with home.following("logs", "a", "--raw", "--lines", "0") as output:
        until(lambda: numbers(output.text()), 10, "the first line")
        home.write("second", "")
        home.cli("restart", "a").ok()
        until(lambda: 3999 in numbers(output.text()), 25, lambda: output.text()[-300:])
        seen = numbers(output.text())
    again = len(seen) - 1 - seen[::-1].index(0)
    assert seen[again:] == list(range(4000)), "what the new worker has printed, each line once"
    assert seen[:again] == list(range(seen[0], seen[0] + again)), "what the old one has"


MISSING = re.compile(r"^\((\d+) lines are missing here", re.MULTILINE)


def test_between_the_last_lines_and_the_next_none_is_lost_and_none_comes_twice(home):
    """Whoever comes while much is printed, in pieces that are no whole lines, and rotated. A client
    that a busy machine makes too slow is told how many lines it lacks; none may lack besides."""
    home.write("app.js", "let n = 0; setInterval(() => { for (let i = 0; i < 20; i++) {"
                         "process.stdout.write(`line ${n++}\\nli`);"
                         "process.stdout.write(`ne ${n++}\\n`); } }, 5);")
    home.write("a.json", json.dumps({"name": "a", "script": "app.js", "max_log_size": "16K",
                                     "log_keep": 50}))
    home.cli("start", "a.json").ok()
    until(lambda: len(numbers(whole_log(home, "a"))) > 500, 10, "some lines")
    for _ in range(15):
        with home.following("logs", "a", "--raw", "--lines", "300") as output:
            until(lambda: len(numbers(output.text())) > 1000, 10, lambda: output.text()[-300:])
            text = output.text()
        seen = numbers(text)
        missing = sum(map(int, MISSING.findall(text[:text.rindex("line ")])))
        assert seen == sorted(set(seen))
        assert seen[-1] - seen[0] + 1 == len(seen) + missing, f"{missing} are told to be missing"


def test_of_a_line_that_is_not_finished_the_rest_is_awaited(home):
    home.write("app.js", "process.stdout.write('first\\nbegun and');"
                         "process.stdin.on('data', () => console.log(' finished'));"
                         "require('net').createServer().listen(0)")
    home.start("app.js", "-n", "a")
    until(lambda: "begun" in home.log("a"), 10, "its beginning")
    assert "begun and" in home.cli("logs", "a", "--raw", "--nostream").ok().out
    with home.following("logs", "a", "--raw") as output:
        until(lambda: "first" in output.text(), 10, "the line before it")
        home.cli("send", "0", "go").ok()
        until(lambda: "finished" in output.text(), 10, output.text)
        assert output.text().splitlines()[-1] == "begun and finished"


def test_as_many_last_lines_as_are_asked_for(home):
    """Which is far more than the daemon sends ahead of a client."""
    home.write("app.js", "for (let i = 0; i < 60000; i++) console.log(`line ${i}`);"
                         "require('net').createServer().listen(0)")
    home.start("app.js", "-n", "a")
    until(lambda: numbers(home.log("a"))[-1:] == [59999], 10, "its lines")
    done = home.cli("logs", "a", "--raw", "--nostream", "--lines", "59990").ok()
    assert numbers(done.out) == list(range(10, 60000))
    assert "lost" not in done.err


def test_logs_of_all_apps_are_told_apart(home):
    home.write("app.js", "console.log('hello from ' + process.env.name);"
                         "require('net').createServer().listen(0)")
    home.start("app.js", "-n", "first")
    home.start("app.js", "-n", "second", "-f")
    until(lambda: home.log("first") and home.log("second"), 10, "their lines")
    out = home.cli("logs", "--nostream", "--lines", "5").ok().out
    assert re.search(r"^0\|first +\| hello from first$", out, re.MULTILINE), out
    assert re.search(r"^1\|second +\| hello from second$", out, re.MULTILINE), out


def test_the_options_of_logs(home):
    home.write("app.js", "for (let i = 0; i < 40; i++) console.log(`line ${i}`);"
                         "console.error('an error'); require('net').createServer().listen(0)")
    home.start("app.js", "-n", "a")
    until(lambda: "an error" in home.log("a", "error") and 39 in numbers(home.log("a")), 10,
          "its lines")
    assert numbers(home.cli("logs", "a", "--nostream", "--out").ok().out) == list(range(25, 40))
    assert numbers(home.cli("logs", "a", "--nostream", "--out", "--lines", "3").out) == [37, 38, 39]
    errors = home.cli("logs", "a", "--nostream", "--err", "--raw").ok().out
    assert "an error" in errors and not numbers(errors)
    lines = home.cli("logs", "a", "--nostream", "--json", "--err").ok().out.splitlines()
    entries = [json.loads(line) for line in lines if line.startswith("{")]
    assert [entry["message"].strip() for entry in entries] == ["an error"]
    assert {"timestamp", "type", "process_id", "app_name"} <= set(entries[0])


def test_what_others_print_does_not_command_the_terminal(home):
    home.write("app.js", "process.stdout.write("
                         "Buffer.from('\\x1b]0;title\\x07 \\xff\\r\\n', 'latin1'));"
                         "require('net').createServer().listen(0)")
    home.start("app.js", "-n", "a")
    until(lambda: "title" in home.log("a"), 10, "the line")
    out = home.cli("logs", "a", "--nostream").ok().out
    assert "title" in out and "\x1b]" not in out and "\x07" not in out
    assert "\x1b]" in home.log("a"), "the file has it as it was"


def test_flush_and_reload_logs(home):
    home.write("app.js", "let n = 0; setInterval(() => console.log(`line ${n++}`), 20);"
                         "require('net').createServer().listen(0)")
    home.start("app.js", "-n", "a")
    until(lambda: len(numbers(home.log("a"))) > 10, 10, "some lines")
    home.cli("flush", "a").ok()
    assert 0 not in numbers(home.log("a"))
    path = home.path / "logs" / "a-out.log"
    for reopen in (lambda: home.cli("reloadLogs").ok(),
                   lambda: home.signal_daemon(signal.SIGUSR2)):
        until(lambda: numbers(path.read_text()), 10, "a line")
        path.rename(path.with_suffix(".moved"))
        reopen()
        until(lambda: path.exists() and numbers(path.read_text()), 10, "a new file")
        moved = numbers(path.with_suffix(".moved").read_text())
        now = numbers(path.read_text())
        assert moved[-1] + 1 == now[0], "a line was lost between both files"
        path.with_suffix(".moved").unlink()


@pytest.mark.parametrize("followed", [False, True], ids=["alone", "with a client that is slow"])
def test_a_worker_that_floods_is_slowed_and_the_master_is_not(home, followed):
    port = free_port()
    home.write("flood.js", "const line = 'x'.repeat(1000) + '\\n';"
                           "function more() { while (process.stdout.write(line)); }"
                           "process.stdout.on('drain', more); more();"
                           "require('net').createServer().listen(0)")
    home.start("plain.js", "-n", "web", "-i", "2", port=port)
    home.write("a.json", json.dumps({"name": "a", "script": "flood.js", "max_log_size": "1M",
                                     "log_keep": 2}))
    home.cli("start", "a.json").ok()
    slow = home.start_aside("logs", "a") if followed else None  # nobody reads its pipe
    with Load(port, threads=4) as load:
        load.wait_more(200, 20)
        time.sleep(4)
        assert home.cli("jlist").code == 0
        load.wait_more(200, 20)
    assert outcomes(load.replies) == {"ok": len(load.replies)}
    if "asan" not in os.environ.get("BATON", ""):  # it keeps what was freed
        assert procfs.resident_kilobytes(home.daemon_pid()) < 40_000
    home.cli("stop", "a").ok()
    used = sum(until(lambda: sizes(home.path / "logs"), 10, "files that keep their names"))
    assert used < 5_000_000, "size limit and rotation"
    if slow:
        slow.kill()


def test_a_full_disk_stops_nobody(home):
    """One warning a minute."""
    if os.getuid() != 0:
        pytest.skip("only root may mount")
    port = free_port()
    disk = home.root / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "none", disk],
                             check=False, capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        home.write("app.js", "require('./plain.js');"
                             "setInterval(() => console.log('y'.repeat(20000)), 20)")
        home.program("plain.js")
        home.start("app.js", "-n", "a", "-i", "2", "-o", disk / "out.log", "-e", disk / "err.log",
                   port=port)
        until(lambda: shutil.disk_usage(disk).free == 0, 15, "the disk to be full")
        with Load(port, threads=4) as load:
            load.wait_more(300, 20)
            home.cli("reload", "a").ok()
            load.wait_more(100, 20)
        assert outcomes(load.replies) == {"ok": len(load.replies)}
        warnings = [line for line in home.daemon_log().splitlines()
                    if re.search(r"space|ENOSPC", line)]
        assert 1 <= len(warnings) <= 4, warnings
        home.cli("delete", "a").ok()
    finally:
        subprocess.run(["umount", "-l", disk], check=False)


def test_output_costs_at_most_a_second_of_processor_per_gigabyte(home):
    """Two workers, as fast as they can, into files. Measured on the daemon; who shares its processor
    and caches can only add to that, so the least of some times counts. A sanitizer adds more."""
    if "asan" in os.environ.get("BATON", ""):
        pytest.skip("a sanitizer is slower")
    home.write("flood.sh", "exec head -c 400M /dev/zero | tr '\\0' 'x' | fold -w 200")
    home.write("a.json", json.dumps({"name": "a", "script": "flood.sh", "instances": 2,
                                     "exec_mode": "fork", "autorestart": False,
                                     "interpreter": "sh", "max_log_size": "10M", "log_keep": 1}))
    home.begin()
    spent = []
    while not spent or (min(spent) > 0.8 * 2 and len(spent) < 3):
        before = procfs.cpu_seconds(home.daemon_pid())
        home.cli("start", "a.json").ok()
        home.wait_status("a", "stopped", 2, timeout=60)
        spent.append(procfs.cpu_seconds(home.daemon_pid()) - before)
        home.cli("delete", "a").ok()
    assert min(spent) <= 0.8 * 2, f"{spent} s for 0.8 GB each"


def test_no_log_at_all(home):
    home.write("app.js", "console.log('said'); require('net').createServer().listen(0)")
    home.start("app.js", "-n", "a", "-o", "NULL", "-e", "/dev/null")
    time.sleep(0.3)
    assert not list((home.path / "logs").glob("a-*"))
    assert pathlib.Path("/dev/null").is_char_device()
