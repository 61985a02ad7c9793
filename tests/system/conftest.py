"""System tests: real programs under the real binary, seen from outside.

    pytest tests/system [--primary node|baton] [--manager baton|pm2]

BATON names the binary (build/release/baton), NODE the node to use (the one in PATH). A test that
takes the fixture `primary` runs the same program under Node's own cluster primary as well
(reference/primary.js): if it fails there, the test is wrong. Where Baton differs on purpose, the
test states both outcomes. All others are about Baton alone.
"""
import os
import resource
import signal
import subprocess

import pytest

from support.fixtures import certificate, home, start  # noqa: F401 (fixtures)
from support.primary import BATON

TEST_SECONDS = 90  # some need half a minute on a busy machine, or under a sanitizer

# A shell has what it runs in the background ignore these, and whatever is started would, too.
for _number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, signal.SIG_DFL)

PRIMARIES = ["node", "baton"]


def pytest_addoption(parser):
    parser.addoption("--primary", choices=PRIMARIES, help="only the tests under this primary")
    parser.addoption("--manager", choices=["baton", "pm2"], default="baton",
                     help="what test_daemon_*.py run under; pm2 shows where it fails")


@pytest.fixture(params=PRIMARIES)
def primary(request):
    """Node's own cluster primary, which shows that the test is right, and Baton."""
    return request.param


def pytest_collection_modifyitems(config, items):
    wanted = config.getoption("--primary")
    if not wanted:
        return
    unwanted = [item for item in items if _primary_of(item) != wanted]
    items[:] = [item for item in items if item not in unwanted]
    config.hook.pytest_deselected(items=unwanted)


def _primary_of(item):
    """A test that does not take `primary` is about Baton alone."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    return parameters.get("primary", "baton")


def _needs_others(user):
    """Skips unless that user can run what is built: a checkout in a private directory hides it."""
    wrap = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    if os.getuid() != 0:
        pytest.skip("only root may become somebody else")
    if subprocess.run([*wrap, "test", "-x", BATON], check=False).returncode:
        pytest.skip("others may not run baton from where it is")
    return wrap


@pytest.fixture
def nobody():
    """The name of a user that workers can run as."""
    _needs_others(65534)
    return "nobody"


@pytest.fixture(scope="session")
def unprivileged():
    """What a command is wrapped in to run as a user of its own, for some limits are a user's."""
    return _needs_others(100_000 + os.getpid())


@pytest.fixture
def enough_descriptors():
    """For tests that are a crowd themselves: many systems give a process 1024."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, before[1]), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture(autouse=True)
def time_limit():
    """Every test is bounded, whatever hangs in it."""
    def give_up(*_):
        raise AssertionError(f"the test took longer than {TEST_SECONDS} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(TEST_SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
