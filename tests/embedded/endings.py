"""End the servers that the tests started, and no others."""

import contextlib
import os
import shutil
import signal
import time
from pathlib import Path

from btcts.embedded.places import Places, is_in_use
from btcts.embedded.status import ask


def kill(data_dir: Path) -> None:
    """End the server of the data directory with SIGKILL and wait until it is gone."""
    pid = Places(data_dir).read_pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_until_free(data_dir / "lock")


def wait_until_free(lock: Path) -> None:
    """Wait until the process that has the lock is gone, which takes milliseconds."""
    deadline = time.monotonic() + 5
    while is_in_use(lock):
        assert time.monotonic() < deadline, f"{lock} is still held"


def bury(data_dir: Path, socket_folder: Path) -> None:
    """Leave neither the server of the data directory nor the folder of its socket behind."""
    with contextlib.suppress(OSError):
        ask(socket_folder / "redis.sock", "SHUTDOWN NOSAVE")
    pid = Places(data_dir).read_pid()
    if pid is not None and is_in_use(data_dir / "lock"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until_free(data_dir / "lock")
    if socket_folder.is_symlink():
        socket_folder.unlink()
    else:
        shutil.rmtree(socket_folder, ignore_errors=True)
