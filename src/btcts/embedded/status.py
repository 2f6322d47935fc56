"""Ask a server how it is, without a client of Redis."""

import errno
import re
import socket
from pathlib import Path
from typing import NamedTuple

from btcts.embedded.places import Places, is_in_use
from btcts.system import durable

TIMEOUT_S = 1.0


def ask(path: Path, command: str) -> str:
    """Return the answer to one command: the line of a status or an error, the text of a bulk reply.

    Raises:
        OSError: nobody answers, or the connection is closed instead (as it is by SHUTDOWN).
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(TIMEOUT_S)
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
        connection.settimeout(TIMEOUT_S)
        return connection.connect_ex(str(path)) in (0, errno.EAGAIN)  # EAGAIN: too many wait to be answered


def answers(path: Path) -> bool:
    """Tell whether a server there has loaded its data; one that reports a disk error counts."""
    try:
        return not ask(path, "PING").startswith("-LOADING")
    except OSError:
        return False


class ServerStatus(NamedTuple):
    """The state of one server.

    `running` means that it answers; a `pid` without that is a process that has the lock and does not answer.
    `stopped` means that on-demand starts wait for `btcts server start`. Only a running server tells its versions.
    """

    running: bool
    stopped: bool
    socket: Path
    data_dir: Path
    pid: int | None
    version: str | None
    module_version: str | None


def read_status(places: Places) -> ServerStatus:
    """Ask the server that has its files in these places for its versions, and look for its process.

    Raises:
        OSError: the places cannot be looked at; a server that does not answer is one that does not run.
    """
    try:
        info = ask(places.socket, "INFO")
    except OSError:
        info = ""
    return ServerStatus(
        running=bool(info),
        stopped=durable.exists(places.stopped),
        socket=places.socket,
        data_dir=places.data_dir,
        pid=places.read_pid() if is_in_use(places.lock) else None,
        version=_find_field(r"^redis_version:(\S+)", info),
        module_version=_format_version(_find_field(r"^module:name=timeseries,ver=(\d+)", info)),
    )


def _find_field(pattern: str, info: str) -> str | None:
    found = re.search(pattern, info, re.MULTILINE)
    return found[1] if found else None


def _format_version(number: str | None) -> str | None:
    """Format a module's version: 11202 is 1.12.2."""
    if number is None:
        return None
    return f"{int(number) // 10000}.{int(number) // 100 % 100}.{int(number) % 100}"
