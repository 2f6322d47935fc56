"""The server's own figures, and the memory that our keys take; what it may not tell stays unknown."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from redis.exceptions import ResponseError

from btcts.store.link import Link, now_of

PARAMETERS = ("appendonly", "appendfsync", "save", "maxmemory-policy")
"""The settings of the server that decide whether data is lost."""


class Lag(NamedTuple):
    """The longest that a replica may be behind its primary, in s, and whether it is linked to it; -1 when unknown."""

    behind_s: int
    linked: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """The server as seen from this machine, whose clock is `ahead_ms` ahead of the server's.

    It may use `max_bytes` of memory, 0 for any amount. `database` is the one that our keys are in. `lag` is that of a
    replica; `replication_id` is what a server shares with its replicas alone.

    An ACL or a hosting company may forbid INFO, CONFIG and MEMORY: what they would tell is then None, or missing
    from `parameters`.
    """

    ahead_ms: int
    redis_version: str | None = None
    module_version: str | None = None
    used_bytes: int | None = None
    max_bytes: int | None = None
    own_bytes: int | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    database: int = 0
    lag: Lag | None = None
    replication_id: str | None = None

    @property
    def fill(self) -> float:
        """The share of the memory it may use that is in use, 1 and more when it is full; 0 without a limit."""
        return (self.used_bytes or 0) / self.max_bytes if self.max_bytes else 0.0


def read(link: Link) -> Facts:
    """Read the facts in two round trips."""
    parameters = [("CONFIG GET", name) for name in PARAMETERS]
    sizes = [("MEMORY USAGE", key) for key in (*link.layout.series, link.layout.gaps, link.layout.state)]
    reply, *replies = link.ask_all([("INFO",), *parameters, *sizes], refusable=True)
    info: Mapping[str, Any] = reply if isinstance(reply, dict) else {}
    return Facts(
        ahead_ms=_measure_ahead_ms(link),
        redis_version=info.get("redis_version"),
        module_version=_find_module_version(info.get("modules", ())),
        used_bytes=info.get("used_memory"),
        max_bytes=info.get("maxmemory"),
        own_bytes=_total(replies[len(parameters) :]),
        parameters={name: value for reply in replies if isinstance(reply, dict) for name, value in reply.items()},
        database=link.database,
        lag=_find_lag(info),
        replication_id=info.get("master_replid"),
    )


def _find_lag(info: Mapping[str, Any]) -> Lag | None:
    """Find the lag: a linked replica has all that its primary sent before it was last heard, in whole seconds ago."""
    if info.get("role") != "slave":
        return None
    linked = info.get("master_link_status") == "up"
    if linked:
        return Lag(int(info.get("master_last_io_seconds_ago", -2)) + 1, linked)
    return Lag(int(info.get("master_link_down_since_seconds", -1)), linked)


def _measure_ahead_ms(link: Link) -> int:
    """Measure how far this machine's clock is ahead of the server's, read halfway between two local readings."""
    before = time.time()
    server_ms = now_of(link.ask("TIME"))
    return round((before + time.time()) / 2 * 1000) - server_ms


def _total(sizes: Iterable[Any]) -> int | None:
    """Return the sum in bytes; a missing key counts 0."""
    known = list(sizes)
    return None if any(isinstance(size, ResponseError) for size in known) else sum(size or 0 for size in known)


def _find_module_version(modules: Iterable[Mapping[str, Any]]) -> str | None:
    """Return the version of the TimeSeries module, which Redis states as 11202 for 1.12.2."""
    number = next((int(module["ver"]) for module in modules if module["name"] == "timeseries"), None)
    return None if number is None else f"{number // 10_000}.{number // 100 % 100}.{number % 100}"
