"""What the buckets of `storm.py` should hold, worked out without the rules of btcts from what the servers were told."""

from collections.abc import Sequence
from itertools import combinations, product
from statistics import median

from venues import HOUR_MS, MINUTE_MS, Venue, now_ms

from btcts.store.reads import Snapshot
from support.exchanges import Traded
from support.servers import Server, connect

OPEN_MS, LOW_MS, HIGH_MS, CLOSE_MS = 0, 20_000, 40_000, 59_999
"""The stamps of a settled minute's candle."""

LEAST_HOLDERS = 3
ROUNDING = 1e-6

Range = tuple[float, float]
"""The least and the greatest value that would be right."""

Candles = dict[int, tuple[float, float, float, float]]
"""Open, low, high and close by minute."""


class Truth:
    """What the buckets should hold, by the record of what was sent."""

    def __init__(self, venues: Sequence[Venue]) -> None:
        self._venues = venues

    def list_candles(self, minute: int) -> list[Traded]:
        """Return what the exchanges traded in a minute."""
        return [candle for venue in self._venues if (candle := venue.market.candle(minute))]

    def find_open(self, minute: int, sure_ms: int, until_ms: int) -> tuple[Range, Range] | None:
        """Return the ranges of low and high of a minute: all trades sent by one time are in, and some by another."""
        views = []
        for venue in self._venues:
            told = [*venue.told[minute]]
            sure = [each.trade.price for each in told if each.sent_ms <= sure_ms]
            some = [each.trade.price for each in told if each.sent_ms <= until_ms]
            if some:
                least = (min(some), max(some))
                views.append([(min(sure), max(sure)), least] if sure else [(some[0], some[0]), least, None])
        lows, highs = [], []
        for chosen in product(*views):
            held = [view for view in chosen if view]
            if len(held) >= LEAST_HOLDERS:
                lows.append(median(low for low, _ in held))
                highs.append(median(high for _, high in held))
        return ((min(lows), max(lows)), (min(highs), max(highs))) if lows else None

    def find_bucket(
        self, start: int, snapshot: Snapshot, sure_ms: int, settled: Sequence[Candles]
    ) -> tuple[Range, Range] | None:
        """Return the ranges of minimum and maximum of the open bucket that starts there."""
        lows, highs = [], []
        for minute in range(start, snapshot.now_ms, MINUTE_MS):
            if minute in snapshot.coverage.settled:
                stored = [candles[minute] for candles in settled if minute in candles]
                least, most = [low for _, low, _, _ in stored], [high for _, _, high, _ in stored]
                bounds = ((min(least), max(least)), (min(most), max(most)))
            else:
                bounds = self.find_open(minute, sure_ms, snapshot.now_ms)
            if bounds:
                lows.append(bounds[0])
                highs.append(bounds[1])
        if not lows:
            return None
        low = min(least for least, _ in lows), min(most for _, most in lows)
        return low, (max(least for least, _ in highs), max(most for _, most in highs))


def read_candles(server: Server) -> Candles:
    """Return the candles of the settled minutes since the start of the hour before."""
    with connect(server.socket) as client:
        found: list[dict[int, float]] = []
        first = now_ms() // HOUR_MS * HOUR_MS - HOUR_MS // 3
        minutes = range(first, now_ms(), MINUTE_MS)
        for offset in (CLOSE_MS, OPEN_MS, LOW_MS, HIGH_MS):  # the mark first, as more may be settled meanwhile
            stamps = [minute + offset for minute in minutes]
            query = ("TS.RANGE", "btc:price:tick", stamps[0], stamps[-1], "FILTER_BY_TS", *stamps)
            found.append({stamp - offset: float(price) for stamp, price in client.execute_command(*query)})
    closes, opens, lows, highs = found
    return {minute: (opens[minute], lows[minute], highs[minute], closes[minute]) for minute in closes}


def judge_candles(server: Server, truth: Truth) -> tuple[list[str], list[float]]:
    """Return complaints about settled candles that no three exchanges come to, and how far others are from all five."""
    complaints, errors = [], []
    for minute, stored in read_candles(server).items():
        candles = [(each.open, each.low, each.high, each.close) for each in truth.list_candles(minute)]
        possible = {
            tuple(median(prices) for prices in zip(*chosen, strict=True))
            for size in range(min(LEAST_HOLDERS, len(candles)), len(candles) + 1)
            for chosen in combinations(candles, size)
        }
        if stored not in possible:
            complaints.append(f"{minute}: {stored} of {candles}")
        whole = [median(prices) for prices in zip(*candles, strict=True)]
        errors.append(max(10_000 * abs(price / right - 1) for price, right in zip(stored, whole, strict=True)))
    return complaints, errors


def measure_error(value: float, right: Range) -> float:
    """Return how far a value is from what would be right, in bps."""
    distance = max(right[0] - value, value - right[1])
    return 0.0 if distance <= ROUNDING else 10_000 * distance / value
