"""`cmake --install` into a fresh place: all that people use is there, and works from there."""
import os
import shutil
import subprocess

import pytest

from support.clients import get
from support.ports import free_port
from support.primary import BUILD, REPOSITORY, SANITIZER_REPORTS
from support.wait import until

POLL_WORKER = REPOSITORY / "examples" / "poll_worker.c"
# What a program must be linked with, too, when the library was built so.
INSTRUMENTS = [flag for flag in ("-fsanitize=address,undefined", "-fsanitize=thread", "--coverage")
               if flag in (BUILD / "compile_commands.json").read_text()]


def run(*command, **options):
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60,
                            check=False, **options)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    """Installed to one place and moved to another, as a package is."""
    directory = tmp_path_factory.mktemp("install")
    run("cmake", "--install", BUILD, "--prefix", directory / "first")
    return (directory / "first").rename(directory / "moved")


def only(prefix, pattern):
    (path,) = prefix.glob(pattern)
    return path


def pkg_config(prefix, *arguments):
    directory = only(prefix, "**/libbaton.pc").parent
    return run("pkg-config", *arguments, "libbaton",
               env={**os.environ, "PKG_CONFIG_PATH": str(directory)}).split()


def test_what_is_installed(prefix):
    installed = {str(path.relative_to(prefix)) for path in prefix.rglob("*") if not path.is_dir()}
    libraries = str(only(prefix, "**/libbaton.so").parent.relative_to(prefix))
    assert installed == {
        "bin/baton", "include/baton/worker.h",
        "share/bash-completion/completions/baton",
        "share/man/man1/baton.1", "share/man/man3/libbaton.3", "share/zsh/site-functions/_baton",
        f"{libraries}/baton/libbaton-preload.so",
        f"{libraries}/libbaton.a", f"{libraries}/libbaton.so", f"{libraries}/libbaton.so.0",
        f"{libraries}/libbaton.so.0.1.0", f"{libraries}/pkgconfig/libbaton.pc"}


def test_binary_runs_from_there(prefix, tmp_path):
    assert run(prefix / "bin" / "baton", "version").strip()
    assert not [line for line in run("ldd", prefix / "bin" / "baton").splitlines()
                if "not found" in line or str(BUILD) in line]
    port = free_port()
    (tmp_path / "index.html").write_text("installed")
    server = subprocess.Popen([prefix / "bin" / "baton", "serve", "-i", "2", tmp_path, str(port)],
                              stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        until(lambda: get(port).body == b"installed", 10, "an answer")
        until(lambda: {get(port, "/whoami").json()["slot"] for _ in range(4)} == {0, 1}, 10, "both")
    finally:
        server.terminate()
        _, errors = server.communicate(timeout=30)
    assert server.returncode == 0
    assert not any(report in errors for report in SANITIZER_REPORTS)


def test_pkg_config(prefix):
    assert pkg_config(prefix, "--modversion") == ["0.1.0"]
    include, library = prefix / "include", only(prefix, "**/libbaton.so").parent
    flags = pkg_config(prefix, "--cflags", "--libs")
    assert {os.path.realpath(flag[2:]) for flag in flags if flag[:2] in ("-I", "-L")} \
        == {str(include), str(library)}


def compile_worker(prefix, output, *flags):
    run("cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE", POLL_WORKER, "-o", output,
        *pkg_config(prefix, "--cflags"), *flags, *INSTRUMENTS)
    return output


def assert_serves(prefix, worker):
    """Two of it serve under the installed master."""
    port = free_port()
    master = subprocess.Popen(
        [prefix / "bin" / "baton", "run", "-i", "2", "--policy", "rr", worker],
        env={**os.environ, "PORT": str(port)}, stdin=subprocess.DEVNULL)
    try:
        until(lambda: get(port).outcome == "ok", 10, "an answer")
        until(lambda: {get(port).body.split()[3] for _ in range(4)} == {b"0,", b"1,"}, 10, "both")
    finally:
        master.terminate()
        assert master.wait(30) == 0


def test_a_worker_with_the_shared_library(prefix, tmp_path):
    libraries = only(prefix, "**/libbaton.so").parent
    worker = compile_worker(prefix, tmp_path / "worker", *pkg_config(prefix, "--libs"),
                            f"-Wl,-rpath,{libraries}")
    assert f"{libraries}/libbaton.so.0" in run("ldd", worker)
    assert_serves(prefix, worker)


def test_a_worker_with_the_static_library(prefix, tmp_path):
    worker = compile_worker(prefix, tmp_path / "worker", only(prefix, "**/libbaton.a"))
    assert "libbaton" not in run("ldd", worker)
    assert_serves(prefix, worker)


def test_header_in_other_dialects(prefix, tmp_path):
    """The header needs no more than itself, in old C and in C++."""
    source = tmp_path / "only_header"
    source.write_text("#include <baton/worker.h>\nint main(void) { return baton_slot() + 1; }\n")
    dialects = [("cc", "c", "c99"), ("cc", "c", "c11")]
    if shutil.which("c++"):
        dialects += [("c++", "c++", "c++98"), ("c++", "c++", "c++17")]
    for compiler, language, dialect in dialects:
        run(compiler, "-x", language, f"-std={dialect}", "-Wall", "-Wextra", "-pedantic", "-Werror",
            "-Wno-long-long", "-fsyntax-only", source, *pkg_config(prefix, "--cflags"))


@pytest.mark.skipif(bool(INSTRUMENTS), reason="instruments bring functions of their own")
def test_library_exports_its_functions_alone(prefix):
    names = {line.split()[2] for line in
             run("nm", "-D", "--defined-only", only(prefix, "**/libbaton.so")).splitlines()}
    header = (prefix / "include" / "baton" / "worker.h").read_text()
    assert names == {name for name in names if f" {name}(" in header}
    assert {"baton_listen", "baton_accept", "baton_close", "baton_ready"} <= names


@pytest.mark.skipif(bool(INSTRUMENTS), reason="instruments bring libraries of their own")
def test_library_needs_libc_alone(prefix):
    needed = [line for line in run("readelf", "-d", only(prefix, "**/libbaton.so")).splitlines()
              if "(NEEDED)" in line]
    assert len(needed) == 1 and "libc.so.6" in needed[0]


@pytest.mark.skipif(not shutil.which("man"), reason="no man")
@pytest.mark.parametrize("page, words", [("1 baton", "--policy"), ("3 libbaton", "baton_accept")])
def test_man_pages(prefix, page, words):
    text = run("man", "-M", prefix / "share" / "man", "-P", "cat", *page.split(),
               env={**os.environ, "MANWIDTH": "100"})
    assert words in text
