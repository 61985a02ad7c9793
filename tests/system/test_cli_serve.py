"""`serve --spa`: one page for all paths of an application that runs in the browser."""
import subprocess

import pytest

from support.clients import get
from support.ports import free_port
from support.primary import BATON
from support.wait import until


@pytest.fixture(params=[[], ["-i", "2"]], ids=["alone", "balanced"])
def port(request, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "index.html").write_text("the page")
    (tmp_path / "real.txt").write_text("a file")
    port = free_port()
    process = subprocess.Popen([BATON, "serve", tmp_path, str(port), "--spa", *request.param],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: get(port, "/real.txt").outcome == "ok", 10, "an answer")
    yield port
    process.terminate()
    process.wait(40)


def test_what_is_not_there_is_the_page(port):
    for path in ("/", "/users/7", "/sub/", "/no.txt", "/a/b/c/"):
        assert (get(port, path).status, get(port, path).body) == (200, b"the page"), path
    assert get(port, "/real.txt").body == b"a file"


def test_what_is_refused_stays_refused(port):
    assert get(port, "/.git/config").status == 404
    assert get(port, "/%2e%2e/etc/passwd").status in (400, 404)
