"""Fixtures for all suites that run programs under the real binary."""
import subprocess

import pytest

from .daemon import Home
from .pm2 import RealPm2
from .primary import App


@pytest.fixture
def start(tmp_path):
    """start(primary, script, ...) is an App (see there) that ends with the test."""
    apps = []

    def start_app(primary, script, *, ready=True, **options):
        app = App(primary, script, directory=tmp_path, **options)
        apps.append(app)
        if ready:
            app.wait_ready()
        return app

    yield start_app
    for app in reversed(apps):
        app.close()


@pytest.fixture
def home(request):
    """A Home (see there) without a daemon: the first command that needs one starts it."""
    one = RealPm2() if request.config.getoption("--manager", "baton") == "pm2" else Home()
    yield one
    one.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A directory with key.pem and cert.pem."""
    directory = tmp_path_factory.mktemp("certificate")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                    "/CN=localhost", "-keyout", directory / "key.pem", "-out",
                    directory / "cert.pem"], check=True, capture_output=True, timeout=30)
    return directory
