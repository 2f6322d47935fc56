"""A Redis of several servers on loopback: a primary with replicas under Sentinels, and a cluster.

What the tests break is mended before the next test.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import redis

from support.nodes import FAILOVER_MS, NODE_TIMEOUT_MS, SERVICE, ClusterNode, Node, Watcher

WITHIN_S = 20
SLOT_COUNT = 16_384
VOTES_LAST_S = 2.2
"""A node that was elected counts these votes for another death, too, for twice its node timeout but at least 2 s."""


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait until it holds; a server that does not answer yet counts as not."""
    until = time.monotonic() + WITHIN_S
    while time.monotonic() < until:
        with suppress(redis.RedisError):
            if holds():
                return
        time.sleep(0.05)  # real servers fail and heal in real time
    raise AssertionError(f"waited in vain for {holds}")


class Several(ABC):
    """The servers of one Redis, each in a folder of its own."""

    nodes: Sequence[Node]
    url: str

    @abstractmethod
    def start(self) -> None:
        """Start all, and wait until all is well."""

    @abstractmethod
    def primary(self) -> Node:
        """The server that takes writes to our keys now."""

    def kill_primary(self) -> Node:
        """Kill it, and return it."""
        found = self.primary()
        found.kill()
        return found

    @abstractmethod
    def fail_over(self) -> None:
        """Begin a failover although all is well."""

    @abstractmethod
    def mend(self) -> None:
        """Start what was killed, and wait until all is well."""

    def empty(self) -> None:
        """Leave no key on any server: a replica that has some yet may become the primary on a busy machine."""
        wait_until(self._is_emptied)

    def close(self) -> None:
        """End all servers."""
        for node in self.nodes:
            node.kill()

    @abstractmethod
    def _is_whole(self) -> bool:
        """Tell whether all is well."""

    @abstractmethod
    def _list_stores(self) -> Sequence[Node]:
        """Return the servers that hold keys."""

    def _is_emptied(self) -> bool:
        stores = self._list_stores()
        for node in stores:
            if node.say("replication")["role"] == "master":
                node.ask("FLUSHALL")
        return self._is_whole() and not any(node.ask("DBSIZE") for node in stores)

    def _start_missing(self) -> None:
        for node in self.nodes:
            if not node.runs:
                node.start()


class Sentinels(Several):
    """A primary and two replicas, and three Sentinels that watch them."""

    def __init__(self, folder: Path, *, tls: bool = False) -> None:
        self.servers = [Node(folder / f"server{number}", tls=tls) for number in (1, 2, 3)]
        self.watchers = [Watcher(folder / f"sentinel{number}", number, tls=tls) for number in (1, 2, 3)]
        self.nodes = [*self.servers, *self.watchers]
        hosts = ",".join(f"127.0.0.1:{watcher.port}" for watcher in self.watchers)
        self.url = f"redis{'s' * tls}+sentinel://{hosts}/{SERVICE}"

    def start(self) -> None:
        """Start all, and wait until all is well."""
        for server in self.servers:
            server.start()
            if server is not self.servers[0]:
                server.ask("REPLICAOF", "127.0.0.1", self.servers[0].port)
        for watcher in self.watchers:
            others = [other for other in self.watchers if other is not watcher]
            watcher.write(self.servers[0].port, self.servers[1:], others)
            watcher.start()
        self.mend()

    def primary(self) -> Node:
        """The server that the Sentinel with the newest epoch names; the others hear of a failover a moment later."""
        running = (watcher for watcher in self.watchers if watcher.runs)
        newest = max(running, key=lambda watcher: int(watcher.ask("SENTINEL", "MASTER", SERVICE)["config-epoch"]))
        _, port = newest.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
        return next(server for server in self.servers if server.port == int(port))

    def replicas(self) -> list[Node]:
        """The others."""
        primary = self.primary()
        return [server for server in self.servers if server is not primary]

    def fail_over(self) -> None:
        """Begin a failover although all is well; nobody would begin it again if it ran out of time."""
        self._limit_failovers(10_000)
        wait_until(lambda: bool(self.watchers[0].ask("SENTINEL", "FAILOVER", SERVICE)))  # not while one is in progress

    def mend(self) -> None:
        """Start what was killed, and wait until both replicas follow the primary that all Sentinels name."""
        self._start_missing()
        wait_until(self._is_whole)
        self._limit_failovers(FAILOVER_MS)

    def _list_stores(self) -> Sequence[Node]:
        return self.servers

    def _limit_failovers(self, limit_ms: int) -> None:
        self.watchers[0].ask("SENTINEL", "SET", SERVICE, "failover-timeout", limit_ms)

    def _is_whole(self) -> bool:
        named = {tuple(watcher.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)) for watcher in self.watchers}
        primary = self.primary().say("replication")
        linked = [primary.get(f"slave{number}", {}).get("state") == "online" for number in (0, 1)]
        seen = [
            "master-link-status" in replica and replica["master-link-status"] == "ok" and replica["flags"] == "slave"
            for watcher in self.watchers
            for replica in map(dict, watcher.ask("SENTINEL", "REPLICAS", SERVICE))
        ]
        return len(named) == 1 and primary["role"] == "master" and all(linked) and len(seen) == 6 and all(seen)


class Cluster(Several):
    """Three primaries and three replicas; our keys are in one slot."""

    _elected_at = -VOTES_LAST_S

    def __init__(self, folder: Path, *, tls: bool = False) -> None:
        self.nodes = [ClusterNode(folder / f"node{number}", tls=tls) for number in range(6)]
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes[:3])
        self.url = f"redis{'s' * tls}+cluster://{hosts}"

    def start(self) -> None:
        """Start all, make a cluster of them, and wait until all is well."""
        for number, node in enumerate(self.nodes):
            node.start()
            node.ask("CONFIG", "SET", "cluster-node-timeout", 5000)  # who has not been met by then is forgotten
            if number < 3:
                first, end = (SLOT_COUNT * part // 3 for part in (number, number + 1))
                node.ask("CLUSTER", "ADDSLOTSRANGE", first, end - 1)
                node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in self.nodes[1:]:
            node.ask("CLUSTER", "MEET", "127.0.0.1", self.nodes[0].port, self.nodes[0].bus)
        wait_until(lambda: all("known_nodes:6" in node.ask("CLUSTER", "INFO") for node in self.nodes))
        for number in range(3):
            self.nodes[3 + number].ask("CLUSTER", "REPLICATE", self.nodes[number].ask("CLUSTER", "MYID"))
        self.slot = int(self.nodes[0].ask("CLUSTER", "KEYSLOT", "{btc:price}"))
        for node in self.nodes:
            node.ask("CONFIG", "SET", "cluster-node-timeout", NODE_TIMEOUT_MS)
        self.mend()

    def primary(self) -> Node:
        """The primary of our slot."""
        return self._owners()[0]

    def fail_over(self) -> None:
        """Begin a failover of our slot although all is well.

        Should the new primary die while the old one still counts votes for its own election, the old one would need no
        others: with an epoch older than the dead one's, nobody would believe that it has the slots (redis/redis#8752).
        """
        # the servers count in real time
        time.sleep(max(0.0, self._elected_at + VOTES_LAST_S - time.monotonic()))
        self.replicas()[0].ask("CLUSTER", "FAILOVER")
        self._elected_at = time.monotonic()

    def replicas(self) -> list[Node]:
        """The replicas of our slot."""
        return self._owners()[1:]

    def primaries(self) -> list[Node]:
        """All primaries."""
        return [node for node in self.nodes if node.runs and node.say("replication")["role"] == "master"]

    def mend(self) -> None:
        """Start what was killed, and wait until each primary has a replica and all nodes say that all is well."""
        if not all(node.runs for node in self.nodes):
            self._elected_at = time.monotonic()  # at the latest
        self._start_missing()
        wait_until(self._is_whole)

    def move_slot(self, *, at_once: bool = False) -> Iterator[None]:
        """Move our slot to another primary, key by key or at once; yields after each step.

        What is moved at once is moved atomically by servers that can do so (8.4 and later).
        """
        source = self.primary()
        target = next(node for node in self.primaries() if node is not source)
        can_import = any("MIGRATION" in line for line in target.ask("CLUSTER", "HELP"))
        yield from self._import_slot(target) if at_once and can_import else self._move_keys(source, target, at_once)
        wait_until(lambda: self.primary() is target)

    def _import_slot(self, target: Node) -> Iterator[None]:
        yield
        target.ask("CLUSTER", "MIGRATION", "IMPORT", self.slot, self.slot)
        yield

    def _move_keys(self, source: Node, target: Node, at_once: bool) -> Iterator[None]:
        ids = {node: node.ask("CLUSTER", "MYID") for node in (source, target)}
        target.ask("CLUSTER", "SETSLOT", self.slot, "IMPORTING", ids[source])
        source.ask("CLUSTER", "SETSLOT", self.slot, "MIGRATING", ids[target])
        keys = sorted(source.ask("CLUSTER", "GETKEYSINSLOT", self.slot, 1000))
        for some in [keys] if at_once else [[key] for key in keys]:
            yield
            if some:
                source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *some)
        yield
        for node in (target, source, *self.primaries()):
            node.ask("CLUSTER", "SETSLOT", self.slot, "NODE", ids[target])

    def _list_stores(self) -> Sequence[Node]:
        return self.nodes

    def _owners(self) -> list[Node]:
        by_port = {node.port: node for node in self.nodes}
        for node in self.nodes:
            if node.runs:
                for first, last, *owners in node.ask("CLUSTER", "SLOTS"):
                    if first <= self.slot <= last:
                        return [by_port[owner[1]] for owner in owners]
        raise AssertionError("nobody has our slot")

    def _is_whole(self) -> bool:
        well = all("cluster_state:ok" in node.ask("CLUSTER", "INFO") for node in self.nodes)
        lists = [sorted(map(str, self._list_slots(node))) for node in self.nodes]
        full = [len(owners) >= 2 for _, _, *owners in self.nodes[0].ask("CLUSTER", "SLOTS")]
        links = [node.say("replication").get("master_link_status", "up") == "up" for node in self.nodes]
        return well and all(full) and all(links) and all(listed == lists[0] for listed in lists)

    def _list_slots(self, node: Node) -> Iterator[list[Any]]:
        for first, last, *owners in node.ask("CLUSTER", "SLOTS"):
            yield [first, last, owners[0][1], sorted(owner[1] for owner in owners[1:])]
