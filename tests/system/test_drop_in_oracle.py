"""Under the preload library a program sees what it sees natively: the semantics oracle
(apps/oracle*.c) runs each group of calls both ways, and the lines are compared one by one."""
import difflib
import os
import socket
import subprocess

import pytest

from support.ports import free_port
from support.primary import script_path
from support.wait import until

GROUPS = ["bind", "bind_twice", "families", "accept", "accept_addresses", "accept_errors",
          "blocking", "shutdown", "readiness", "epoll", "options", "option_errors", "inherited",
          "names", "pointers", "duplicates", "processes", "crowds", "contexts", "listen", "connect", "full", "untouched"]
PORTS = 40

# What is different under Baton; docs/drop-in.md tells users why.
DIFFERENCES = {
    # The master has the address already, so the second bind fails, not the second listen.
    "bind_twice.reuse_address": "EADDRINUSE",
    # An accept socket that is shut down is at end of file for poll(), and is used up.
    "shutdown.reading_poll": "in 1",
    "shutdown.both_poll": "in 1",
    "shutdown.listen_after": "EINVAL",
    "shutdown.serves_after": "0",
    # A Unix socket may always be written to, and has not hung up before it listens.
    "readiness.poll_empty_writing": "1 events 0x4",
    "readiness.poll_bound": "0 events 0",
    # bind() puts another socket in the place of the one that was watched.
    "epoll.watched_since_socket": "0",
    # The master's own close of a client could be the last, and would wait for that time.
    "inherited.before_bind_accepted_linger": "ok length 8 bytes 000000000b000000eeeeeeeeeeeeeeee",
    "inherited.after_bind_accepted_linger": "ok length 8 bytes 000000000c000000eeeeeeeeeeeeeeee",
    "inherited.after_listen_accepted_linger": "ok length 8 bytes 000000000d000000eeeeeeeeeeeeeeee",
    # The protocol has room for 128 bytes of an option's value.
    "options.information": "ok state 10 length 128",
    "option_errors.set_long": "EINVAL",
    # The master looks at the level before it asks the kernel.
    "option_errors.get_unknown_level": "ENOPROTOOPT value -1 length 4",
    "option_errors.get_udp_level": "ENOPROTOOPT value -1 length 4",
    # The kernel writes the accept socket's longer name there; what of it is behind the address the
    # library clears.
    "names.room_17": "ok length 16 filled 17",
    "names.room_28": "ok length 16 filled 28",
    "names.room_128": "ok length 16 filled 54",
    "names.room_200": "ok length 16 filled 54",
    # The library reads and writes what the kernel otherwise would, and is not told what is mapped.
    "pointers.bind_unmapped": "killed",
    "pointers.peer_null": "EFAULT",
    "pointers.get_unmapped": "killed",
    "pointers.get_type_unmapped": "killed",
    "pointers.set_unmapped": "killed",
    "pointers.accept_unmapped": "killed",
    "pointers.accept_unmapped_length": "killed",
    # The library needs two free descriptors for a moment, and one for as long as it listens.
    "contexts.full_table": "EMFILE",
    # A program that is started so has no library, and finds a Unix socket.
    "contexts.exec_without_environment": "2",
    # Whom the last worker leaves behind the master closes, which has nothing unread to reset for.
    "listen.waiting_client": "ok",
}


@pytest.fixture(name="held")
def held_port():
    """A port that another process listens on: this one."""
    with socket.create_server(("127.0.0.1", free_port())) as listener:
        yield listener.getsockname()[1]


def variables(output, held):
    ports = ",".join(str(free_port()) for _ in range(PORTS))
    return {"ORACLE_OUTPUT": output.name, "ORACLE_HELD": str(held), "ORACLE_PORTS": ports}


def lines_of(output):
    return output.read_text().splitlines() if output.exists() else []


def run_natively(group, output, held, wrap=()):
    subprocess.run([*wrap, script_path("oracle"), group], check=False, timeout=70,
                   cwd=output.parent, stdin=subprocess.DEVNULL, env={**os.environ, **variables(output, held)})
    return lines_of(output)


def is_over(lines):
    return any(name_of(line).endswith((".end", ".gave_up")) for line in lines)


def run_under_baton(start, group, output, held, wrap=()):
    app = start("baton", "oracle", instances=1, ready=False, wrap=wrap, arguments=[group],
                flags=["--intercept", "preload", "--no-autorestart", "--slow-after", "60s"],
                environment=variables(output, held))
    until(lambda: is_over(lines_of(output)) or app.process.poll() is not None, 70,
          lambda: f"{lines_of(output)[-3:]}\n{app.transcript()}")
    return lines_of(output)


def name_of(line):
    return line.partition(": ")[0]


def as_expected(lines):
    """What Baton makes of what the kernel says."""
    for line in lines:
        name, _, value = line.partition(": ")
        yield f"{name}: {DIFFERENCES.get(name, value)}"


def assert_alike(expected, actual):
    different = [line for line in difflib.ndiff(list(expected), actual) if line[0] in "-+"]
    assert not different, "\n".join(["- expected, + under Baton", *different])


def differences_of(group):
    return {name for name in DIFFERENCES if name.partition(".")[0] == group}


@pytest.mark.parametrize("group", GROUPS)
def test_group(start, tmp_path, held, group):
    native = run_natively(group, tmp_path / "native", held)
    assert native and native[-1] == f"{group}.end: reached", native[-3:]
    assert differences_of(group) <= {name_of(line) for line in native}, "no such observation"
    assert_alike(as_expected(native), run_under_baton(start, group, tmp_path / "baton", held))


def test_privileged_ports(start, tmp_path, held, unprivileged):
    """For somebody who may not have them."""
    tmp_path.chmod(0o777)
    native = run_natively("privileged", tmp_path / "native", held, unprivileged)
    assert native and native[-1] == "privileged.end: reached", native
    assert_alike(native, run_under_baton(start, "privileged", tmp_path / "baton", held,
                                         unprivileged))


def test_every_difference_is_of_a_group():
    """And that the group makes this observation the group's own test says."""
    assert set().union(*map(differences_of, GROUPS)) == set(DIFFERENCES)
