"""A simulated day of a collector: the memory of its process, which must not grow, and that of Redis.

    python benchmarks/day.py [HOURS]

It collects at 10 s from five providers in fake time, for 26 HOURS, after which the series hold all that they keep. A
tick each second is appended as a collector with streams does, up to the number at which it thins them out.
"""

import os
import sys
from collections.abc import Iterator
from statistics import median

from forever import measure
from report import Row, print_rows

from btcts.config import BTC_USD
from btcts.providers.poller import Poller
from btcts.services.collect.collector import Collector
from btcts.store import Store
from btcts.store.check import THINNED_ABOVE
from store import FIVE, HOUR_MS, LAYOUT, MINUTE_MS, NOW_MS, Named, make_candles, make_ticks, measure_redis, run_server
from support.clocks import FakeClock
from support.servers import Server, connect

CYCLES_PER_HOUR = 360
WARM_UP = 0.2
"""The part of the day in which memory finds its level."""


def collecting(server: Server, hours: float) -> Iterator[Row]:
    """Collect for so long at 10 s."""
    clock = FakeClock(NOW_MS - round(hours * HOUR_MS))
    with Poller([Named(name, clock) for name in FIVE]) as poller, connect(server.socket) as client:
        collector = Collector(Store(client, BTC_USD, clock=clock, where="here"), poller, cadence_s=10.0)
        seen = []
        for _ in range(round(hours * CYCLES_PER_HOUR)):
            collector.cycle()
            clock.advance(10_000)
            seen.append(measure(os.getpid())[0])
        begun, quarter = round(WARM_UP * len(seen)), len(seen) // 4
        growth = median(seen[-quarter:]) - median(seen[begun : begun + quarter])
        yield Row("growth of the process in a day", 1, [growth], "MiB")
        yield Row("Redis memory of a market at 10 s", 100, [measure_redis(client) / 1024], "KiB")
        ticks = client.execute_command("TS.INFO", LAYOUT.tick)["totalSamples"]
        print(f"{ticks} ticks; {client.memory_usage(LAYOUT.tick, samples=0) / ticks:.1f} bytes each")


def filling(server: Server) -> Iterator[Row]:
    """Append a tick each second until they are thinned out."""
    with connect(server.socket) as client:
        store = Store(client, BTC_USD, clock=FakeClock(NOW_MS), where="here")
        client.flushall()
        ticks, candles = make_ticks(THINNED_ABOVE, 1_000), list(make_candles())
        store.rebuild(candles=[candle for candle in candles if candle.start_ms < ticks[0].time_ms - MINUTE_MS])
        for start in range(0, len(ticks), 600):
            part = ticks[start : start + 600]
            over = range(part[0].time_ms - MINUTE_MS, part[-1].time_ms - MINUTE_MS)
            store.write(part, [candle for candle in candles if candle.start_ms in over])
        yield Row("Redis memory of a market at 1 s", 1024, [measure_redis(client) / 1024], "KiB")
        store.rebuild()
        yield Row("the same, thinned out", 1024, [measure_redis(client) / 1024], "KiB")


def main() -> int:
    """Print the table; 1 where a bar is missed."""
    hours = float(sys.argv[1]) if len(sys.argv) > 1 else 26.0
    with run_server() as server:
        return print_rows([*collecting(server, hours), *filling(server)])


if __name__ == "__main__":
    sys.exit(main())
