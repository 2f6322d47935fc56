"""Five exchanges that trade the recorded hour over and over: their candles by REST, their trades by streams.

The recording is the crash of 29 November 2017 on Bitstamp. Each exchange has a part of its trades, at prices a few bps
off, and tells of them a while after they took place. Nothing here uses the rules of btcts: what buckets should hold is
worked out from what the servers were told to send.
"""

import csv
import threading
import time
import zlib
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator
from itertools import count, groupby
from pathlib import Path
from typing import NamedTuple, Self

from btcts.domain.trades import Trade
from support.exchanges import Traded
from support.exchanges.stream_server import StreamServer

RECORDING = Path(__file__).parents[2] / "shared/data/bitstamp_btcusd_trades_2017-11-29_0507-0607.csv"
HOUR_MS = 3_600_000
MINUTE_MS = 60_000
LEAD_MS = 120_000
"""Length of the trades before the beginning that an exchange sends to catch up."""


class Trait(NamedTuple):
    """Tenths of the trades that an exchange has, its price in bps off, and the delay of its stream beside others."""

    tenths: int
    bps: float
    delay: float
    step: int
    """From the number of a trade to that of the next one."""


TRAITS = {
    "coinbase": Trait(9, 0, 0.025, 1),
    "kraken": Trait(8, 3, 0.06, 1),
    "bitstamp": Trait(7, -2, 0.2, 3),
    "bitfinex": Trait(6, 6, 0.5, 5),
    "gemini": Trait(5, -5, 1.0, 7),
}
BEATING = ("coinbase", "kraken")
"""Exchanges that send a sign of life each second unasked."""


def read_recording() -> list[tuple[int, int, float]]:
    """Return offset in ms, number and price of each trade; those of one second are spread over it in their order."""
    with RECORDING.open(newline="") as file:
        rows = [(int(row["timestamp"]), int(row["trade_id"]), float(row["price"])) for row in csv.DictReader(file)]
    begin = rows[0][0]
    found = []
    for second, group in groupby(rows, key=lambda row: row[0]):
        trades = list(group)
        for place, (_, number, price) in enumerate(trades):
            found.append(((second - begin) * 1000 + place * 1000 // len(trades), number, price))
    return found


class VenueMarket:
    """The market of one exchange, from long before `origin_ms`, a whole minute at which the recording begins."""

    def __init__(self, name: str, recording: list[tuple[int, int, float]], origin_ms: int) -> None:
        self.name = name
        self.trait = TRAITS[name]
        self._origin_ms = origin_ms
        kept = [row for row in recording if zlib.crc32(f"{name} {row[1]}".encode()) % 10 < self.trait.tenths]
        self._offsets = [offset for offset, _, _ in kept]
        self._prices = [round(price * (1 + self.trait.bps / 10_000), 2) for _, _, price in kept]

    def price(self, time_ms: int) -> float | None:
        """The price of the last trade."""
        return self._find(time_ms).price

    def traded_ms(self, time_ms: int) -> int | None:
        """When that trade was."""
        return self._find(time_ms).time_ns // 10**6

    def candle(self, minute_ms: int, until_ms: int | None = None) -> Traded | None:
        """Return what was traded in the minute so far."""
        last_ms = minute_ms + MINUTE_MS - 1 if until_ms is None else min(until_ms, minute_ms + MINUTE_MS - 1)
        round_ms = (minute_ms - self._origin_ms) // HOUR_MS * HOUR_MS + self._origin_ms
        first = bisect_left(self._offsets, minute_ms - round_ms)
        prices = self._prices[first : bisect_right(self._offsets, last_ms - round_ms)]
        return Traded(prices[0], max(prices), min(prices), prices[-1], float(len(prices))) if prices else None

    def trades_from(self, time_ms: int) -> Iterator[Trade]:
        """Yield the trades after a time, without end."""
        found = self._find(time_ms).number // self.trait.step + 1
        yield from map(self._make_trade, count(found))

    def _find(self, time_ms: int) -> Trade:
        """Return the last trade at or before a time."""
        rounds, offset = divmod(time_ms - self._origin_ms, HOUR_MS)
        return self._make_trade((rounds + 1000) * len(self._offsets) + bisect_right(self._offsets, offset) - 1)

    def _make_trade(self, index: int) -> Trade:
        rounds, place = divmod(index, len(self._offsets))
        time_ms = self._origin_ms + (rounds - 1000) * HOUR_MS + self._offsets[place]
        return Trade(time_ms * 10**6, index * self.trait.step, self._prices[place])


class Told(NamedTuple):
    """A trade, and when its stream was told to send it."""

    sent_ms: int
    trade: Trade


class Venue:
    """The stream of one exchange, which plays its market in real time and records what it sends.

    The slowest exchange tells of a trade `slowest_ms` after it took place.
    """

    def __init__(self, market: VenueMarket, slowest_ms: int) -> None:
        self.market = market
        self._delay_ms = round(market.trait.delay * slowest_ms)
        self.server = StreamServer(market.name)
        self.told: dict[int, list[Told]] = defaultdict(list)
        """What was sent, by minute of the trade, in order."""
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._play, daemon=True)]
        if market.name in BEATING:
            self._threads.append(threading.Thread(target=self._beat, daemon=True))

    def __enter__(self) -> Self:
        self.server.__enter__()
        self._coming = self.market.trades_from(now_ms() - self._delay_ms - LEAD_MS)
        self._next = next(self._coming)
        self.server.miss(self._take_due())
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()
        self.server.__exit__()

    def _take_due(self) -> list[Trade]:
        due = []
        while self._next.time_ns // 10**6 + self._delay_ms <= now_ms():
            due.append(self._next)
            self._next = next(self._coming)
        return due

    def _play(self) -> None:
        while not self._ending.wait(max(0, self._next.time_ns // 10**6 + self._delay_ms - now_ms()) / 1000):
            due, sent_ms = self._take_due(), now_ms()
            for trade in due:
                self.told[trade.time_ns // 10**6 // MINUTE_MS * MINUTE_MS].append(Told(sent_ms, trade))
            self.server.say(due)

    def _beat(self) -> None:
        while not self._ending.wait(1):
            self.server.beat()


def now_ms() -> int:
    """Return the present."""
    return time.time_ns() // 1_000_000
