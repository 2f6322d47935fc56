"""Servers on loopback that are part of one Redis: with a port, as a Sentinel, or as a node of a cluster.

They are made to notice failures in a fraction of a second.
"""

from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from support.networks import AUTHORITY
from support.redis_binaries import binaries
from support.servers import Server, free_port

CERTIFICATES = AUTHORITY.parent
SERVICE = "main"
FAILOVER_MS = 1000
NODE_TIMEOUT_MS = 400
QUICK = ("--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")


def tls_options(port: int, *, certificate: str = "server", asks: bool = False) -> dict[str, str]:
    """The settings of a server that speaks TLS alone; with `asks` its clients need certificates, too."""
    file = str(CERTIFICATES / f"{certificate}.pem")
    files = {"tls-cert-file": file, "tls-key-file": file, "tls-ca-cert-file": str(AUTHORITY)}
    return {"port": "0", "tls-port": str(port), "tls-auth-clients": "yes" if asks else "no", **files}


class Node(Server):
    """A redis-server with a port, which speaks TLS there if it is told to."""

    def __init__(self, folder: Path, *options: str, tls: bool = False) -> None:
        self.port = free_port()
        self.place = tls_options(self.port) | {"tls-replication": "yes"} if tls else {"port": str(self.port)}
        folder.mkdir()
        place = [word for name, value in self.place.items() for word in (f"--{name}", value)]
        super().__init__(folder, *place, *QUICK, *options)

    def start(self) -> "Node":
        """Start it without the data that it was sent before."""
        (self.folder / "dump.rdb").unlink(missing_ok=True)
        super().start()
        return self

    def ask(self, *command: Any) -> Any:
        """The reply to a command, over the socket."""
        with self.connect() as client:
            return client.execute_command(*command)

    def connect(self) -> redis.Redis:
        """A client of this server alone."""
        retry = Retry(NoBackoff(), 0)
        return redis.Redis(unix_socket_path=str(self.socket), protocol=3, decode_responses=True, retry=retry)

    def say(self, section: str) -> dict[str, Any]:
        """A section of INFO."""
        return dict(self.ask("INFO", section))


class Watcher(Node):
    """A Sentinel that watches `primary`; it knows the others from the start."""

    READY = "Sentinel ID is"

    def __init__(self, folder: Path, number: int, *, tls: bool) -> None:
        super().__init__(folder, tls=tls)
        self.id = f"{number:040x}"

    def write(self, port: int, replicas: list[Node], others: list["Watcher"]) -> None:
        """Write its file; the primary has that port."""
        lines = [*(f"{name} {value}" for name, value in self.place.items()), "bind 127.0.0.1"]
        lines += [f"unixsocket {self.socket}", f"sentinel myid {self.id}"]
        lines += [f"sentinel monitor {SERVICE} 127.0.0.1 {port} 2"]
        lines += [
            f"sentinel down-after-milliseconds {SERVICE} 500",
            f"sentinel failover-timeout {SERVICE} {FAILOVER_MS}",
        ]
        lines += [f"sentinel known-replica {SERVICE} 127.0.0.1 {replica.port}" for replica in replicas]
        lines += [f"sentinel known-sentinel {SERVICE} 127.0.0.1 {other.port} {other.id}" for other in others]
        (self.folder / "sentinel.conf").write_text("\n".join(lines))

    def start(self) -> "Watcher":
        """Start it, and let it hurry."""
        super().start()
        self.hurry()
        return self

    def hurry(self) -> None:
        """Look and speak ten times as often as usual."""
        periods = {"info": 100, "ping": 400, "ask": 100, "publish": 300, "election": 1000}
        names = {"election": "ELECTION-TIMEOUT"}
        for name, period_ms in periods.items():
            self.ask("SENTINEL", "DEBUG", names.get(name, f"{name}-PERIOD"), period_ms)

    def _make_command(self) -> list[str]:
        return [str(binaries().server), "sentinel.conf", "--sentinel"]


class ClusterNode(Node):
    """A node of a cluster, with another port for the others."""

    def __init__(self, folder: Path, *, tls: bool) -> None:
        self.bus = free_port()
        options = {"enabled": "yes", "port": self.bus, "node-timeout": NODE_TIMEOUT_MS, "replica-validity-factor": 0}
        words = [word for name, value in options.items() for word in (f"--cluster-{name}", str(value))]
        super().__init__(folder, *words, *(["--tls-cluster", "yes"] if tls else []), tls=tls)
