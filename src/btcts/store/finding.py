"""Find where Redis is now, and connect to it: the primary or a replica that Sentinels name or that has our slot.

All keys of a market lie in one slot, so that the client of a single server is enough for a cluster, too. It asks each
time that it connects; a client of the wrong server disconnects, and asks again.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import redis
from redis.connection import SSLConnection
from redis.crc import key_slot
from redis.exceptions import InvalidResponse, RedisError, ResponseError

from btcts.errors import ConfigError, StoreError, StoreUnreachable
from btcts.store.connections import PlainConnection, TlsConnection
from btcts.store.explain import TCP, TLS, ServerNotFound, explain, is_transient, is_unknown_command

Place = tuple[str, int]
"""A host and a port."""

UNUSABLE = {"s_down", "o_down", "disconnected"}
"""The flags of a replica that does not answer its Sentinel."""

UNREADABLE = (ValueError, TypeError, LookupError, AttributeError)
"""The exceptions of reading an answer that no Sentinel and no node gives."""

LONGEST_HOST = 255
"""The longest name that DNS knows."""


@dataclass(frozen=True)
class Finder:
    """Asks one node after the other, those that failed last; `where` and `what` name them in messages.

    Each time another one is asked first: a node that the others have lost goes on naming a server that is gone.
    """

    nodes: list[tuple[str, redis.Redis]]
    where: str
    transport: str
    what: str
    ask: Callable[[redis.Redis, str], Place]
    _turns: Iterator[int] = field(default_factory=count)
    _failed: set[str] = field(default_factory=set)

    def find(self) -> Place:
        """Return the place of the server.

        Raises:
            ServerNotFound: no node knows it; the answer of one counts more than the silence of others.
        """
        failures: list[tuple[str, Exception]] = []
        first = next(self._turns) % len(self.nodes)
        for where, node in sorted(self.nodes[first:] + self.nodes[:first], key=lambda named: named[0] in self._failed):
            try:
                found = self.ask(node, where)
                self._failed.discard(where)
                return found
            except (RedisError, OSError, UnicodeError) as exc:
                failures.append((where, exc))
            except UNREADABLE:
                failures.append((where, InvalidResponse()))
            finally:
                node.connection_pool.disconnect(inuse_connections=False)
            self._failed.add(where)
        where, worst = max(failures, key=lambda failure: not _is_silence(failure[1]))
        if isinstance(worst, ServerNotFound):
            raise worst
        place = self.where if _is_silence(worst) else where
        raise ServerNotFound(explain(worst, place, transport=self.transport, what=self.what)) from worst


def _is_silence(exc: Exception) -> bool:
    return not isinstance(exc, ResponseError | InvalidResponse | ServerNotFound | redis.AuthenticationError)


def ask_sentinel(service: str, *, replica: bool) -> Callable[[redis.Redis, str], Place]:
    """Return the question to a Sentinel for the primary of a service, or for one of its replicas."""

    def ask(node: redis.Redis, where: str) -> Place:
        try:
            if replica:
                return _choose_replica(service, node.execute_command("SENTINEL", "REPLICAS", service))
            found = node.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", service)
        except ResponseError as exc:
            if is_unknown_command(exc):
                text = f"{where} is no Sentinel; name Sentinels, or write redis:// for a Redis by itself"
                raise ServerNotFound(StoreError(text)) from exc
            if "No such master" not in str(exc):
                raise
            found = None
        if not found:
            raise ServerNotFound(
                StoreError(f"the Sentinel at {where} does not watch {service!r}; correct the name in the URL")
            )
        return _read_place(*found)

    return ask


def _read_place(host: object, port: object, *_: object) -> Place:
    """Return the place of an answer.

    Raises:
        ValueError: there can be none like it.
    """
    number = int(str(port))
    if not isinstance(host, str) or not 0 < len(host) <= LONGEST_HOST or not host.isprintable() or " " in host:
        raise ValueError("no host")
    if not 0 < number < 65_536:
        raise ValueError("no port")
    return host, number


def _choose_replica(service: str, replicas: Sequence[Mapping[str, str]]) -> Place:
    """Return any replica that is up and linked to its primary, else any that is up."""
    up = [replica for replica in replicas if UNUSABLE.isdisjoint(replica["flags"].split(","))]
    linked = [replica for replica in up if replica.get("master-link-status") == "ok"]
    if not up:
        raise ServerNotFound(
            StoreUnreachable(f"no replica of {service} is up; read from the primary instead"), transient=True
        )
    chosen = random.choice(linked or up)
    return _read_place(chosen["ip"], chosen["port"])


def ask_cluster(prefix: str, *, replica: bool) -> Callable[[redis.Redis, str], Place]:
    """Return the question to a node of a cluster for the primary of our slot, or for one of its replicas.

    Raises:
        ConfigError: the prefix of our keys has no hash tag, so that they would lie in many slots.
    """
    slot = key_slot(f"{prefix}:tick".encode())
    if slot != key_slot(f"{prefix}:state".encode()):
        raise ConfigError(f"keys that begin with {prefix}: lie in many slots of a cluster; write {{{prefix}}}:")

    def ask(node: redis.Redis, where: str) -> Place:
        try:
            slots = node.execute_command("CLUSTER", "SLOTS")
        except ResponseError as exc:
            if "cluster support disabled" not in str(exc) and not is_unknown_command(exc):
                raise
            raise ServerNotFound(StoreError(f"{where} is no node of a cluster; write redis:// instead")) from exc
        owners = next((owners for first, last, *owners in slots if first <= slot <= last), ())
        chosen = random.choice(owners[1:]) if replica and len(owners) > 1 else owners[0] if owners else None
        if chosen is None or (replica and len(owners) == 1):
            lack = "no replica" if chosen else "no primary"
            raise ServerNotFound(
                StoreUnreachable(f"{lack} in the cluster at {where} has our slot {slot}"), transient=True
            )
        host, port, *_ = chosen
        return _read_place(node.get_connection_kwargs()["host"] if host in (None, "", "?") else host, port)

    return ask


class _Finding:
    """Mixin of a connection that finds its server each time; `replica` means one of a cluster."""

    def __init__(self, *, find: Callable[[], Place], replica: bool, **options: Any) -> None:
        super().__init__(**options)
        self._find = find
        self._replica = replica

    def connect(self) -> None:
        """Find the server, and connect to it; a failure names the place that was found."""
        if self.is_connected:  # type: ignore[attr-defined]
            return
        self.host, self.port = self._find()
        try:
            super().connect()  # type: ignore[misc]
        except (redis.ConnectionError, redis.TimeoutError, OSError) as exc:
            transport = TLS if isinstance(self, SSLConnection) else TCP
            error = explain(exc, f"{self.host}:{self.port}", transport=transport)
            raise ServerNotFound(error, transient=is_transient(exc)) from exc
        if self._replica:  # without this a replica in a cluster sends its readers to the primary
            self.send_command("READONLY")  # type: ignore[attr-defined]
            self.read_response()  # type: ignore[attr-defined]


class FindingConnection(_Finding, PlainConnection):
    """A connection without TLS that finds its server."""


class FindingTlsConnection(_Finding, TlsConnection):
    """A connection with TLS that finds its server."""
