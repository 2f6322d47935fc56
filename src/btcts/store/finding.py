"""Find where Redis is now: the primary, or a replica, that Sentinels name or that has our slot of a cluster.

All keys of a market lie in one slot, so that the client of a single server does for a cluster, too. It asks each time
that it connects; a client of the wrong server disconnects, and asks again.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import redis
from redis.crc import key_slot
from redis.exceptions import RedisError, ResponseError

from btcts.errors import ConfigError, StoreError, StoreUnreachable
from btcts.store.explain import ServerNotFound, explain, is_unknown_command

Place = tuple[str, int]
"""A host and a port."""

UNUSABLE = {"s_down", "o_down", "disconnected"}
"""The flags of a replica that does not answer its Sentinel."""


@dataclass(frozen=True)
class Finder:
    """Asks one node after the other, those that failed last; `where` and `what` name them in messages."""

    nodes: list[tuple[str, redis.Redis]]
    where: str
    transport: str
    what: str
    ask: Callable[[redis.Redis, str], Place]

    def find(self) -> Place:
        """Return the place of the server.

        Raises:
            ServerNotFound: no node knows it; the answer of one counts more than the silence of others.
        """
        failures: list[tuple[str, Exception]] = []
        for named in tuple(self.nodes):
            where, node = named
            try:
                return self.ask(node, where)
            except (RedisError, OSError, UnicodeError) as exc:
                failures.append((where, exc))
                self.nodes.remove(named)
                self.nodes.append(named)
            finally:
                node.connection_pool.disconnect()
        where, worst = max(failures, key=lambda failure: not _is_silence(failure[1]))
        if isinstance(worst, ServerNotFound):
            raise worst
        place = self.where if _is_silence(worst) else where
        raise ServerNotFound(explain(worst, place, transport=self.transport, what=self.what)) from worst


def _is_silence(exc: Exception) -> bool:
    return not isinstance(exc, ResponseError | ServerNotFound | redis.AuthenticationError)


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
        return str(found[0]), int(found[1])

    return ask


def _choose_replica(service: str, replicas: Sequence[Mapping[str, str]]) -> Place:
    """Return any replica that is up and linked to its primary, else any that is up."""
    up = [replica for replica in replicas if UNUSABLE.isdisjoint(replica["flags"].split(","))]
    linked = [replica for replica in up if replica.get("master-link-status") == "ok"]
    if not up:
        raise ServerNotFound(
            StoreUnreachable(f"no replica of {service} is up; read from the primary instead"), transient=True
        )
    chosen = random.choice(linked or up)
    return chosen["ip"], int(chosen["port"])


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
        host = chosen[0] if chosen[0] not in (None, "", "?") else node.get_connection_kwargs()["host"]
        return str(host), int(chosen[1])

    return ask
