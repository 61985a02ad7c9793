"""Unmodified servers that need small packages only: a short run of tests/servers."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "servers"))
pytest.register_assert_rewrite("checks")

from catalogue import SERVERS  # noqa: E402
from checks import (Running, check_all, check_only_master_listens, check_split,  # noqa: E402
                    check_stop)

CLIENTS = 100

each = pytest.mark.parametrize("server", [server for server in SERVERS if server.small],
                               ids=lambda server: server.key)


@pytest.fixture
def run(start, server, tmp_path, certificate):
    """run(instances) is the server under Baton, just started."""
    if server.missing():
        pytest.skip(server.missing())
    return lambda instances: Running(start, server, instances, directory=tmp_path, built=tmp_path,
                                     certificate=certificate)


@each
def test_everything(run):
    check_all(run(2), CLIENTS)


@each
def test_four_workers(run):
    running = run(4)
    running.wait_ready()
    check_only_master_listens(running)
    check_split(running, CLIENTS)
    check_stop(running)
