"""Everything the store ever does to Redis."""

import redis

from btcts.domain.model import Candle, Gap, Tick
from btcts.store import State, Store
from support.series import DAY, HOUR, MINUTE, NOW, TICK, put, wave


def all_kinds_of_writes(client: redis.Redis, store: Store) -> None:
    """Write in each way and repair in each way, at `NOW`."""
    minute = NOW - NOW % MINUTE
    store.write(wave(NOW - 3 * HOUR, NOW - HOUR, 20_000))
    store.write([Tick(NOW, 9)])
    store.write([Tick(NOW - 2 * HOUR, 8)], [Candle(minute - MINUTE, 10, 12, 9, 11)])
    store.write([Tick(NOW - HOUR // 2, 7)])
    client.execute_command("TS.ALTER", TICK, "RETENTION", 0)
    store.repair(store.inspect())
    client.delete("btc:price:hour:min")
    store.repair(store.inspect())
    put(client, TICK, {NOW + DAY: 1.0})
    store.write([Tick(NOW - 1, 9)])
    client.delete(TICK)
    store.write([Tick(NOW - 2 * HOUR, 8)], [Candle(minute - 2 * MINUTE, 10, 12, 9, 11)])
    store.write([Tick(NOW, 9)])
    store.remember(State(cadence_s=10.0))
    store.record_gaps({minute: Gap("no_trades", 1, NOW)}, forget=[minute - MINUTE])
