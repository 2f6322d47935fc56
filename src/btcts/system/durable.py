"""Files that survive a crash of the process or the machine, and locks that end with the process."""

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from btcts.system.ownership import require_private

ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
"""The errors of a path that leads to nothing."""


def make(folder: Path) -> None:
    """Create the folder and its parents durably, with access for us alone.

    Raises:
        OSError: it cannot be created, or others can change it.
    """
    require_private(folder)
    for place in reversed((folder, *folder.parents)):
        if not exists(place):
            place.mkdir(mode=0o700, exist_ok=True)
            sync(place.parent)


def exists(path: Path) -> bool:
    """Tell whether a file is there; from Python 3.14 on `Path.exists` answers no where that cannot be told.

    Raises:
        OSError: it cannot be told.
    """
    try:
        path.stat()
    except OSError as exc:
        if exc.errno not in ABSENT:
            raise
        return False
    return True


def replace(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Replace the file atomically, one writer after the other; the content is on the disk when this returns."""
    draft = path.with_name(f".{path.name}.new")
    while not _replace_by(draft, path, content, mode):
        pass
    sync(path.parent)


def read(path: Path, limit: int) -> bytes:
    """Return the content of a file of at most `limit` bytes, without waiting for a pipe or a device.

    Raises:
        OSError: it cannot be read, is larger, is not a regular file, or others can change its folder.
    """
    with _open_to_read(path) as file:
        if os.fstat(file.fileno()).st_size > limit:
            raise OSError(errno.EFBIG, f"{path.name} is larger than {limit} bytes")
        return file.read(limit)


def read_end(path: Path, limit: int) -> bytes:
    """Return the last `limit` bytes of a file, or all of a shorter one.

    Raises:
        OSError: as for `read`, except for the size.
    """
    with _open_to_read(path) as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - limit))
        return file.read(limit)


def append(path: Path, lines: bytes) -> None:
    """Append lines to a file and sync it to the disk; a failure leaves the file unchanged.

    If a crash left an incomplete line, the new ones start on a line of their own.
    """
    with _open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND) as descriptor:
        size = os.fstat(descriptor).st_size
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        try:
            _write(descriptor, b"\n" + lines if torn else lines)
            os.fsync(descriptor)
        except OSError:
            with suppress(OSError):
                os.ftruncate(descriptor, size)
            raise


def sync(folder: Path) -> None:
    """Sync the folder to the disk, so that files created or renamed in it survive a crash."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def create(path: Path) -> int:
    """Create the file for us alone unless it is there, and return its size.

    Raises:
        OSError: it cannot be created, or is not a regular file.
    """
    with _open(path, os.O_WRONLY | os.O_CREAT) as descriptor:
        return os.fstat(descriptor).st_size


def lock(path: Path, *, waits: bool = False) -> int | None:
    """Return a descriptor that holds the lock until it is closed or the process ends; None if it is taken.

    With `waits`, wait until it is free.

    Raises:
        OSError: it cannot be created, is not a regular file, or others can change its folder.
    """
    require_private(path.parent)
    descriptor = _move_above_streams(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK, 0o600))
    try:
        _require_file(descriptor, path)
        fcntl.flock(descriptor, fcntl.LOCK_EX if waits else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _replace_by(draft: Path, path: Path, content: bytes, mode: int) -> bool:
    """Write the draft and rename it; return False if another writer has just renamed or removed the same draft."""
    with _open(draft, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, mode) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if not _is_at(draft, descriptor):
            return False
        try:
            os.ftruncate(descriptor, 0)
            _write(descriptor, content)
            os.fsync(descriptor)
            draft.replace(path)
        except OSError:
            with suppress(OSError):
                draft.unlink()
            raise
    return True


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


@contextmanager
def _open_to_read(path: Path) -> Iterator[BinaryIO]:
    require_private(path.parent)
    with _open(path, os.O_RDONLY) as descriptor, os.fdopen(descriptor, "rb", closefd=False) as file:
        yield file


@contextmanager
def _open(path: Path, flags: int, mode: int = 0o600) -> Iterator[int]:
    """Open a regular file until the block ends, without waiting for a pipe or a device; a new one is for us alone."""
    descriptor = os.open(path, flags | os.O_NONBLOCK, mode)
    try:
        _require_file(descriptor, path)
        yield descriptor
    finally:
        os.close(descriptor)


def _require_file(descriptor: int, path: Path) -> None:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise OSError(errno.EINVAL, f"{path.name} is not a file")


def _move_above_streams(descriptor: int) -> int:
    """Return a descriptor of the file above 2: lower ones may be free, but a child process replaces them."""
    if descriptor > 2:
        return descriptor
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    finally:
        os.close(descriptor)


def _write(descriptor: int, content: bytes) -> None:
    """Write all of the content; a disk that fills up may accept only a part per call."""
    while content:
        content = content[os.write(descriptor, content) :]
