"""Real servers under Baton: pytest tests/servers [--clients N] [--table FILE]

FILE gets what came out, as the tables of docs/servers.md.
"""
import pathlib
import signal
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "system")]

pytest.register_assert_rewrite("checks")

from support.fixtures import certificate, start  # noqa: E402, F401 (fixtures)
from table import Table  # noqa: E402

TEST_SECONDS = 120

results = Table()


def pytest_addoption(parser):
    parser.addoption("--table", help="the file to write the table to")
    parser.addoption("--clients", type=int, default=1000, help="how many ask one after the other")


def pytest_runtest_logreport(report):
    if report.when == "call" or not report.passed:
        results.add(report.nodeid, report.outcome, dict(report.user_properties))


def pytest_sessionfinish(session):
    path = session.config.getoption("--table")
    if path:
        pathlib.Path(path).write_text(results.markdown())


@pytest.fixture
def clients(request):
    return request.config.getoption("--clients")


@pytest.fixture(scope="session")
def built_root(tmp_path_factory):
    return tmp_path_factory.mktemp("built")


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
