"""Files that survive the end of the process and of the machine, and locks that do not."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from btcts.system.ownership import require_private


def make(folder: Path) -> None:
    """Make the folder and those above it, for nobody but us, and lasting.

    Raises:
        OSError: it cannot be made, or others can change it.
    """
    require_private(folder)
    for place in reversed((folder, *folder.parents)):
        if not place.exists():
            place.mkdir(mode=0o700, exist_ok=True)
            sync(place.parent)


def replace(path: Path, content: bytes) -> None:
    """Put the content in the place of the file at once, whatever happens; it is on the disk when this returns."""
    draft = path.with_name(f"{path.name}.new")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            _write(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        draft.replace(path)
    except OSError:
        with suppress(OSError):
            draft.unlink()
        raise
    sync(path.parent)


def read(path: Path, limit: int) -> bytes:
    """The content of a file that has at most `limit` bytes; a pipe or a device in its place is not waited for.

    Raises:
        OSError: it cannot be read, is larger or is no file at all, or others can change its folder.
    """
    with _open_file(path) as file:
        if os.fstat(file.fileno()).st_size > limit:
            raise OSError(errno.EFBIG, f"{path.name} is larger than {limit} bytes")
        return file.read(limit)


def read_end(path: Path, limit: int) -> bytes:
    """The last `limit` bytes of a file, all of one that has no more.

    Raises:
        OSError: as `read`.
    """
    with _open_file(path) as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - limit))
        return file.read(limit)


@contextmanager
def _open_file(path: Path) -> Iterator[BinaryIO]:
    require_private(path.parent)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        _require_file(descriptor, path)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)


def _require_file(descriptor: int, path: Path) -> None:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise OSError(errno.EINVAL, f"{path.name} is not a file")


def append(path: Path, lines: bytes) -> None:
    """Add to a file and wait until the disk has it; a failure leaves the file as it was.

    After a crash in the middle of a line the next one begins on a line of its own.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK, 0o600)
    try:
        _require_file(descriptor, path)
        size = os.fstat(descriptor).st_size
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        try:
            _write(descriptor, b"\n" + lines if torn else lines)
            os.fsync(descriptor)
        except OSError:
            with suppress(OSError):
                os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)


def sync(folder: Path) -> None:
    """Make what was created or renamed in the folder last."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lock(path: Path) -> int | None:
    """The descriptor that holds the lock, until it is closed or the process ends; None when another one holds it.

    Raises:
        OSError: it cannot be made, or others can change its folder.
    """
    import fcntl  # absent on Windows

    require_private(path.parent)
    descriptor = _move_above_streams(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _move_above_streams(descriptor: int) -> int:
    """The same file above 0 to 2, which a closed stream leaves free, and which a child's streams overwrite."""
    import fcntl  # absent on Windows

    if descriptor > 2:
        return descriptor
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    finally:
        os.close(descriptor)


def _write(descriptor: int, content: bytes) -> None:
    """Write all of it; a disk that fills up takes the first part and refuses the rest."""
    while content:
        content = content[os.write(descriptor, content) :]
