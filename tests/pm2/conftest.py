"""The same sequences of commands under pm2 itself and under Baton by the name pm2, at the same
time, compared: scripts/test-pm2 [-k NAME]

PM2 names pm2 (build/bench/node_modules/.bin/pm2, where scripts/install-pm2 puts it), BATON the
binary. With --against pm2 both are pm2 itself, which shows that what is compared is its behaviour
and not chance."""
import pathlib
import signal
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "system")]

pytest.register_assert_rewrite("sequence", "scenarios")

from support.pm2 import BatonAsPm2, RealPm2  # noqa: E402

TEST_SECONDS = 120


def pytest_addoption(parser):
    parser.addoption("--against", choices=["baton", "pm2"], default="baton")


@pytest.fixture
def pair(request):
    """(pm2's home, Baton's)"""
    other = RealPm2 if request.config.getoption("--against") == "pm2" else BatonAsPm2
    homes = [RealPm2(), other()]
    yield homes
    errors = [error for error in map(_close, homes) if error]
    assert not errors, errors


def _close(home):
    try:
        home.close()
        return None
    except AssertionError as error:
        return f"{home.kind}: {error}"


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
