"""The price that honest venues trade at: recorded days of an exchange where they are there, or a seeded walk."""

import csv
import random
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from support.series import MIDNIGHT, MINUTE

RECORDED = Path(__file__).parents[4] / "shared/data"
RECORDINGS = {
    "busy": "coinbase_btcusd_1m_2017-12-17_ath.csv",
    "thin": "coinbase_btcusd_1m_2016-10-07_2016-10-09.csv",
}
WALK = "walk"
WALK_MINUTES = 2000


class Row(NamedTuple):
    """The prices of a minute."""

    open: float
    high: float
    low: float
    close: float


class Market:
    """Minutes without end: the rows forwards, then backwards, and so on, so that no two neighbours lie apart."""

    def __init__(self, name: str, rows: Sequence[Row]) -> None:
        self.name = name
        self._rows = rows

    def row(self, minute_ms: int) -> Row:
        """The minute that starts then."""
        turn, index = divmod((minute_ms - MIDNIGHT) // MINUTE, len(self._rows))
        if turn % 2 == 0:
            return self._rows[index]
        row = self._rows[len(self._rows) - 1 - index]
        return Row(row.close, row.high, row.low, row.open)

    def price(self, time_ms: int) -> float:
        """The price at that moment: from open to low to high to close in three steps of 20 s."""
        row = self.row(time_ms - time_ms % MINUTE)
        step, rest = divmod(time_ms % MINUTE, MINUTE // 3)
        begin, end = ((row.open, row.low), (row.low, row.high), (row.high, row.close))[step]
        return begin + (end - begin) * rest / (MINUTE // 3)


def find_markets() -> tuple[str, ...]:
    """The names of the markets that there are on this machine."""
    recorded = (name for name, file in RECORDINGS.items() if (RECORDED / file).exists())
    return (WALK, *recorded)


@cache
def open_market(name: str) -> Market:
    """The market of that name."""
    return Market(name, _walk(random.Random(1)) if name == WALK else _read(RECORDED / RECORDINGS[name]))


def _walk(rng: random.Random) -> list[Row]:
    """Minutes of a market that moves by some 0.1 % in each."""
    rows, price = [], 60_000.0
    for _ in range(WALK_MINUTES):
        close = price * (1 + rng.gauss(0, 0.0008))
        high = max(price, close) * (1 + abs(rng.gauss(0, 0.0004)))
        low = min(price, close) * (1 - abs(rng.gauss(0, 0.0004)))
        rows.append(Row(price, high, low, close))
        price = close
    return rows


def _read(path: Path) -> list[Row]:
    """The minutes of a recording; those without trades stay at the price before them."""
    with path.open(newline="") as file:
        read = {
            int(line["timestamp"]): Row(*(float(line[name]) for name in Row._fields)) for line in csv.DictReader(file)
        }
    rows: list[Row] = []
    for second in range(min(read), max(read) + 1, 60):
        rows.append(read.get(second) or Row(*[rows[-1].close] * 4))
    return rows
