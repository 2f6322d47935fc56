"""Data directories whose servers do not outlive the test."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from btcts.embedded import Embedded
from embedded.endings import bury
from support.redis_binaries import binaries


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A folder that is not there yet, on a path short enough for a socket."""
    parent = Path(tempfile.mkdtemp(prefix="bt-", dir="/tmp")).resolve()
    yield parent / "data"
    bury(parent / "data", parent / "data")
    shutil.rmtree(parent)


@pytest.fixture
def deep_dir(data_dir: Path) -> Iterator[Path]:
    """A folder that is not there yet, on a path too long for a socket."""
    deep = data_dir / ("deep" * 30)
    socket_folder = Embedded(deep).socket.parent
    yield deep
    bury(deep, socket_folder)


@pytest.fixture
def embedded(data_dir: Path) -> Embedded:
    """The pinned server, which nobody has started yet."""
    return Embedded(data_dir, redis_server=binaries().server)


@pytest.fixture
def said() -> list[str]:
    """The list that receives the messages of the embedded Redis."""
    return []


@pytest.fixture
def another_server(tmp_path: Path) -> Path:
    """A redis-server with its module beside it that writes its environment down and hands over to the pinned one."""
    server = tmp_path / "redis-server"
    server.write_text(f'#!/bin/sh\n/usr/bin/env > "$0.environment"\nexec {binaries().server} "$@"\n')
    server.chmod(0o755)
    (tmp_path / "redistimeseries.so").symlink_to(binaries().module)
    return server
