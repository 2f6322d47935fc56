"""Time for which Redis answers nobody while btcts works on a tick each second for a day, none of it settled.

    python benchmarks/blocking.py [MS_BETWEEN_TICKS]

Another process sends PING all the time; what counts is its longest wait. The bar is 150 ms, however busy the machine.
"""

import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing import Process, Value
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from report import Row, print_rows

from btcts.config import BTC_USD
from btcts.domain.model import Candle, Tick
from btcts.store import Store
from support.clocks import FakeClock
from support.series import FIRST_OF_WINDOW, HOUR, MINUTE, NOW, TICK, put, wave
from support.servers import Server, connect

BAR_MS = 150
MINUTES = range(FIRST_OF_WINDOW, NOW - MINUTE, MINUTE)
CANDLES = [Candle(minute, 59_000, 59_100, 58_900, 59_000) for minute in MINUTES]


def ping(path: str, longest_ms: Any) -> None:
    """Ask again and again, and keep the longest wait, until the server is gone."""
    with suppress(ConnectionError), socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        while True:
            asked = time.perf_counter()
            connection.sendall(b"PING\r\n")
            if not connection.recv(64):
                return
            longest_ms.value = max(longest_ms.value, (time.perf_counter() - asked) * 1000)
            time.sleep(0.001)


def works(store: Store, ticks: list[Tick]) -> dict[str, Callable[[], object]]:
    """The work that is done, each on a store with all ticks unless it says otherwise."""
    return {
        "settle the whole window": lambda: store.write([], CANDLES),
        "settle ten minutes": lambda: store.write([], CANDLES[-300:-290]),
        "settle one minute": lambda: store.write([], CANDLES[-300:-299]),
        "rebuild": store.rebuild,
        "replace a minute": lambda: store.rebuild(candles=CANDLES[-1:]),
        "read all for verify": lambda: store.audit(store.inspect()),
        "read the slots": store.snapshot,
        "write a day of prices that waited": lambda: store.write(ticks),
    }


def measure(server: Server, ticks: list[Tick]) -> Iterator[Row]:
    """Measure for how long each work held Redis, in ms."""
    with connect(server.socket) as client:
        store = Store(client, BTC_USD, clock=FakeClock(NOW), where="the benchmark")
        longest_ms = Value("d", 0.0)
        Process(target=ping, args=(str(server.socket), longest_ms), daemon=True).start()
        for name, work in works(store, ticks).items():
            client.flushall()
            store.rebuild(live=[Tick(FIRST_OF_WINDOW, 5)])
            for start in range(0, 0 if "waited" in name else len(ticks), 1_000):
                put(client, TICK, ticks[start : start + 1_000])
            time.sleep(0.05)
            longest_ms.value = 0.0
            work()
            time.sleep(0.05)  # a PING that waited all the time is counted only now
            yield Row(name, BAR_MS, [longest_ms.value], "ms")


def main() -> int:
    """Print a row for each work; 1 where Redis was held for longer than the bar."""
    step_ms = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    with tempfile.TemporaryDirectory(prefix="btcts-") as folder:
        server = Server(Path(folder)).start()
        try:
            return print_rows(measure(server, wave(NOW - 26 * HOUR, NOW, step_ms)))
        finally:
            server.kill()


if __name__ == "__main__":
    sys.exit(main())
