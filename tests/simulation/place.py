"""A place for collectors: a Redis of its own, exchanges whose answers can be broken, a clock that can be wrong."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from support.clocks import FakeClock
from support.exchanges import Exchanges, Fault
from support.servers import Server, connect

CANDLES = {"coinbase": "candles", "kraken": "OHLC", "bitstamp": "ohlc", "bitfinex": "candles", "gemini": "candles"}
PRICES = {"coinbase": "ticker", "kraken": "Trades", "bitstamp": "ticker", "bitfinex": "trades", "gemini": "trades"}
"""What the paths of their candles and of their prices contain."""


class WrongClock:
    """The clock of the Redis server: goes with the true one, `wrong_ms` ahead of it."""

    follows_server = False
    source = "the Redis server"

    def __init__(self, true: FakeClock) -> None:
        self.true = true
        self.wrong_ms = 0

    def err(self, wrong_ms: int) -> None:
        """Be wrong by so much from now on."""
        self.wrong_ms = wrong_ms

    def now_ms(self) -> int:
        """The time that it shows."""
        return self.true.now_ms() + self.wrong_ms

    def observe(self, server_ms: int) -> int:
        """Its own time, whatever the server says."""
        return self.now_ms()

    def sleep(self, seconds: float) -> None:
        """Move the true time on."""
        self.true.sleep(seconds)


@dataclass
class Place:
    """A Redis that can be killed, and the exchanges of these names; `admin` sees Redis as it is."""

    server: Server
    exchanges: Exchanges
    clock: WrongClock
    names: Sequence[str]
    alive: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        self.admin = connect(self.server.socket)

    @property
    def true(self) -> FakeClock:
        """The time by which the market is traded."""
        return self.clock.true

    def go_to(self, moment_ms: int) -> None:
        """Let time pass until then; collectors that got in each other's way have used up a little of it."""
        self.true.advance(moment_ms - self.true.now_ms())

    def fault(self, fault: Fault | None, paths: Mapping[str, str] | None = None) -> None:
        """Let all providers do this wrong, where the path contains what is given for each; None heals them."""
        for name in self.names:
            self.exchanges.fault(name, fault and replace(fault, path=(paths or {}).get(name, "")))

    def kill(self) -> None:
        """End Redis as a power cut would; what is not on the disk yet may be lost."""
        self.server.kill()
        self.alive = False

    def revive(self) -> None:
        """Start Redis again where it is dead."""
        if not self.alive:
            self.server.start()
            self.alive = True


@contextmanager
def open_redis(fsync: str = "everysec") -> Iterator[Server]:
    """Start a Redis that logs to its disk, which ends with the block."""
    with tempfile.TemporaryDirectory(prefix="btcts-") as folder:
        server = Server(Path(folder), "--appendonly", "yes", "--appendfsync", fsync)
        try:
            yield server.start()
        finally:
            server.kill()
