"""Thirty simulated hours on real prices: every stored bucket equals an independent aggregation of the same data."""

import csv
from itertools import islice
from pathlib import Path

import pytest
import redis

from btcts.config import BTC_USD
from btcts.providers import open_providers
from btcts.providers.poller import Poller
from btcts.services.collect.collector import Collector
from btcts.services.collect.loop import forever
from btcts.store import Store
from support.clocks import FakeClock
from support.exchanges import BarsMarket, Exchanges
from support.samples import ALL

RECORDING = Path(__file__).parents[3] / "shared/data/coinbase_btcusd_1s_2016-10-07_2016-10-09.csv"
"""Real one-second bars of three days; they are not part of the repository, and pytest skips the test without them."""

RECORDINGS = [RECORDING] if RECORDING.exists() else []

INTERVAL_S = 60.0 if ALL else 1800.0
"""A cycle a minute belongs to `python benchmarks/exhaustive.py`."""

HOURS = 30
MINUTE, HOUR = 60_000, 3_600_000
KEPT = {"minute": (MINUTE, 60), "5min": (5 * MINUTE, 12), "15min": (15 * MINUTE, 4), "hour": (HOUR, 24)}

Minute = tuple[float, float, float]
"""Close, minimum and maximum."""


def truth_of(recording: Path) -> dict[int, Minute]:
    """The minutes with trades, aggregated from the bars without any code of btcts."""
    minutes: dict[int, Minute] = {}
    with recording.open(newline="") as file:
        for row in csv.DictReader(file):
            start = int(row["timestamp"]) // 60 * 60_000
            low, high, close = float(row["low"]), float(row["high"]), float(row["close"])
            _, least, most = minutes.get(start, (close, low, high))
            minutes[start] = (close, min(least, low), max(most, high))
    return minutes


def expected(truth: dict[int, Minute], start: int, length: int) -> Minute | None:
    """Close, minimum and maximum of a bucket."""
    found = [truth[minute] for minute in range(start, start + length, MINUTE) if minute in truth]
    if not found:
        return None
    return found[-1][0], min(low for _, low, _ in found), max(high for _, _, high in found)


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda path: path.stem)
def test_every_bucket_of_thirty_hours_is_the_aggregation_of_the_market(recording: Path, client: redis.Redis) -> None:
    market = BarsMarket(recording)
    clock = FakeClock(market.start_ms + 26 * HOUR + 7_000)
    store = Store(client, BTC_USD, clock=clock, where="test")
    truth = truth_of(recording)
    compared = 0

    names = ["coinbase", "kraken", "bitstamp"]
    with (
        Exchanges(market, now_ms=clock.now_ms) as exchanges,
        open_providers(names, exchanges.endpoints(), market=BTC_USD, clock=clock) as providers,
        Poller(providers) as poller,
    ):
        collector = Collector(store, poller, cadence_s=INTERVAL_S)
        cycles = forever(collector, interval_s=INTERVAL_S, phase_s=7, stopped=lambda: False)
        for number, cycle in enumerate(islice(cycles, round(HOURS * 3600 / INTERVAL_S) + 1)):
            minute = cycle.time_ms // MINUTE * MINUTE
            if cycle.stored and cycle.stored.time_ms // MINUTE * MINUTE not in truth:
                price = cycle.stored.price  # a minute without trades has the polls of the last trade alone
                truth.setdefault(minute, (price, price, price))
            if number % round(3600 / INTERVAL_S) == 0:
                compared += compare(store, truth, clock.now_ms())

    assert compared > 31 * 90


def compare(store: Store, truth: dict[int, Minute], now_ms: int) -> int:
    """Compare every closed slot of every resolution with the truth; how many had a price."""
    compared = 0
    for name, slots in store.snapshot().slots.items():
        length, entries = KEPT[name]
        closed = [slot for slot in slots if slot.closed]
        assert [slot.start_ms for slot in closed] == [
            now_ms // length * length - number * length for number in range(entries, 0, -1)
        ]
        for slot in closed:
            wanted = expected(truth, slot.start_ms, length)
            assert (slot.close, slot.min, slot.max) == (wanted or (None, None, None)), (name, slot)
            compared += wanted is not None
    return compared
