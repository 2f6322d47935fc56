"""The state of the embedded Redis as seen from outside."""

import re
from dataclasses import dataclass
from pathlib import Path

from btcts.embedded.places import Places, is_in_use
from btcts.embedded.wire import ask


@dataclass(frozen=True, slots=True)
class ServerStatus:
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
        stopped=places.stopped.exists(),
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
