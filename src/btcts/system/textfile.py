"""Small text files: settings, and secrets that lie in files of their own.

A file that does not end in time, such as a pipe that nobody writes to, is given up.
"""

import os
import select
import stat
import time
from errno import EPERM
from pathlib import Path

LARGEST_BYTES = 1 << 20

PIPE_PATIENCE_S = 10.0
"""The longest that the writer of a pipe may take, such as the password manager in `API_KEY_FILE=<(pass show key)`."""


def read_text(path: Path, *, pipe_patience_s: float = PIPE_PATIENCE_S) -> str:
    """Return the text of the file without a byte order mark.

    Raises:
        OSError: it cannot be read, is too large, or is a pipe whose writer takes too long.
        UnicodeDecodeError: it is not text in UTF-8.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        content = _read(descriptor, pipe_patience_s)
    finally:
        os.close(descriptor)
    if len(content) > LARGEST_BYTES:
        raise OSError(None, f"Larger than {LARGEST_BYTES} bytes")
    if b"\0" in content:
        raise UnicodeDecodeError("utf-8", content, content.index(b"\0"), len(content), "a zero byte")
    return content.decode("utf-8-sig")


def read_secret(path: Path) -> str:
    """Return the text of a file that has a secret, as `read_text` does.

    Others may be able to read it, as containers can where Docker and Kubernetes put it, but not to change it.

    Raises:
        OSError: also where everybody can change it. On a read-only mount nobody can, and modes may tell nothing there.
        UnicodeDecodeError: it is not text in UTF-8.
    """
    text = read_text(path)
    if _is_open_to_all(path):
        raise PermissionError(EPERM, f"Everybody can change it; chmod o-w {path}")
    return text


def _is_open_to_all(path: Path) -> bool:
    mode = path.stat().st_mode
    return stat.S_ISREG(mode) and bool(mode & stat.S_IWOTH) and not os.statvfs(path).f_flag & os.ST_RDONLY


def _read(descriptor: int, patience_s: float) -> bytes:
    """Return what is there, and what the writer of a pipe sends until it closes it; at most a byte too much."""
    content, deadline = b"", time.monotonic() + patience_s
    watched = select.poll()
    watched.register(descriptor, select.POLLIN)  # a file is always ready
    while len(content) <= LARGEST_BYTES:
        if not watched.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise TimeoutError(None, f"Its writer took more than {patience_s:g} s")
        part = os.read(descriptor, LARGEST_BYTES + 1 - len(content))
        if not part:
            break
        content += part
    return content
