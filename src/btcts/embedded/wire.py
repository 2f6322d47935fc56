"""Talk to a server without importing a client of Redis."""

import errno
import socket
from pathlib import Path


def ask(path: Path, command: str, *, timeout_s: float = 1.0) -> str:
    """Return the answer to one command: the line of a status or an error, the text of a bulk reply.

    Raises:
        OSError: nobody answers, or the connection is closed instead (as it is by SHUTDOWN).
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        connection.connect(str(path))
        connection.sendall(command.encode() + b"\r\n")
        with connection.makefile("rb") as answer:
            line = answer.readline()
            if not line:
                raise ConnectionResetError(f"{path} closed without an answer")
            text = answer.read(int(line[1:])) if line.startswith(b"$") else line
    return text.decode(errors="replace").strip()


def listens(path: Path) -> bool:
    """Tell whether a process listens on that socket, though it may never answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(1.0)
        return connection.connect_ex(str(path)) in (0, errno.EAGAIN)  # EAGAIN: too many wait to be answered


def answers(path: Path) -> bool:
    """Tell whether a server there has loaded its data; one that reports a disk error counts."""
    try:
        return not ask(path, "PING").startswith("-LOADING")
    except OSError:
        return False
