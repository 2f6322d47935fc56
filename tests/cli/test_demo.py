"""`btcts demo`."""

import fcntl
import signal
import subprocess
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

from cli.conftest import BTCTS, Btcts
from support.redis_binaries import binaries


@pytest.fixture
def lingering_server(tmp_path: Path) -> Path:
    """A redis-server that starts the pinned one in the background, says so in a file, and then lingers for a minute."""
    server = tmp_path / "bin/redis-server"
    server.parent.mkdir()
    server.write_text(f'#!/bin/sh\n{binaries().server} "$@"\n: > "${{0%/*}}/started"\nexec sleep 60\n')
    server.chmod(0o755)
    server.with_name("redistimeseries.so").symlink_to(binaries().module)
    return server


def wait_for(file: Path) -> None:
    """Wait until the file is there, which takes a moment."""
    deadline = time.monotonic() + 20
    while not file.exists():
        assert time.monotonic() < deadline, f"{file} has not come"


def test_the_demo_shows_the_overview_a_table_and_a_chart_and_says_what_comes_next(btcts: Btcts) -> None:
    done = btcts("demo", BTCTS_REDIS_SERVER=str(binaries().server), REDIS_URL=None)

    told = ["$ btcts show\n", "24 h low", "$ btcts show 15min\n", "Parkinson", "$ btcts show hour --chart\n", " up"]
    assert done.code == 0, done.err
    places = [done.out.index(each) for each in told]
    assert places == sorted(places)
    assert "simulated" in done.out
    assert done.out.count("btcts collect --once") == 1


def test_the_picture_is_that_of_a_terminal_with_all_three_pages(btcts: Btcts, tmp_path: Path) -> None:
    done = btcts("demo", "--svg", "terminal.svg", BTCTS_REDIS_SERVER=str(binaries().server), REDIS_URL=None)

    picture = ElementTree.parse(tmp_path / "terminal.svg")
    text = " ".join("".join(each.itertext()) for each in picture.iter("{http://www.w3.org/2000/svg}text"))
    assert done.code == 0, done.err
    assert "terminal.svg" in done.err
    told = ["btcts show", "btcts show 15min", "btcts show hour --chart", "24 h low", "Parkinson"]
    assert [each for each in told if each not in text.replace("\xa0", " ")] == []
    assert "@font-face" not in (tmp_path / "terminal.svg").read_text()


def test_a_picture_for_stdout_is_all_that_is_printed_there(btcts: Btcts) -> None:
    done = btcts("demo", "--svg", "-", BTCTS_REDIS_SERVER=str(binaries().server), REDIS_URL=None)

    assert done.code == 0, done.err
    assert ElementTree.fromstring(done.out).tag == "{http://www.w3.org/2000/svg}svg"


@pytest.mark.parametrize("file", ["missing/terminal.svg", ".", "a" * 300], ids=["missing", "folder", "long"])
def test_a_picture_that_cannot_be_written_is_refused_before_anything_runs(btcts: Btcts, file: str) -> None:
    done = btcts("demo", "--svg", file, BTCTS_REDIS_SERVER=str(binaries().server))

    assert (done.code, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1
    assert done.err.startswith(f"btcts: --svg {file} ")


def test_the_name_of_a_redis_is_refused_for_the_demo_has_its_own(btcts: Btcts) -> None:
    done = btcts("demo", "--redis", "redis://127.0.0.1:9")

    assert (done.code, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1
    assert done.err.endswith(" --redis\n")


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_whatever_ends_it_neither_a_server_nor_a_file_is_left(
    environ: dict[str, str], tmp_path: Path, lingering_server: Path, asked: signal.Signals
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    changed = {**environ, "BTCTS_REDIS_SERVER": str(lingering_server), "TMPDIR": str(temporary)}
    with subprocess.Popen([*BTCTS, "demo"], env=changed, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        wait_for(lingering_server.with_name("started"))
        (folder,) = temporary.iterdir()
        with (folder / "lock").open() as lock:
            running.send_signal(asked)
            running.communicate(timeout=20)

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails as long as its server lives

    assert running.returncode == 128 + asked
    assert list(temporary.iterdir()) == []
