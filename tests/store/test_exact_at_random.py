"""Slots that are called exact, whatever two collectors do with one store."""

import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from btcts.domain.candles import CANDLE_OFFSETS_MS, minute_of, move_off_the_mark
from btcts.domain.model import Bounds, Candle, Gap, Tick
from btcts.store import State, Store
from support.clocks import FakeClock
from support.oracle import Observed, Oracle
from support.samples import ALL
from support.series import MINUTE, NOW, assert_right

START = NOW - NOW % (5 * MINUTE)
CADENCE_S = 10.0

prices = st.integers(1, 30).map(float)
ranges = st.tuples(prices, prices).map(sorted)
offsets = st.sampled_from([0, 1, 2, 3, 500, 20_000, 40_000, 59_998, 59_999]) | st.integers(0, MINUTE - 1)


class Play:
    """Two collectors of one store, one of them with streams, and what must have become of the store."""

    def __init__(self, client: redis.Redis, store: Store, clock: FakeClock) -> None:
        self.client, self.store, self.clock = client, store, clock
        self.oracle = Oracle()
        self.settled: dict[int, tuple[float, float]] = {}
        self.bounded: dict[int, tuple[float, float]] = {}
        self.quiet: set[int] = set()
        self.since: int | None = None

    def write(self, live: list[Tick], candles: list[Candle], bounds: list[Bounds]) -> None:
        """Write, and work out what comes of it."""
        now_ms = self.clock.now_ms()
        for candle in candles:
            told = Observed(candle.open, candle.high, candle.low, candle.close)
            self.oracle.candle(now_ms, candle.start_ms, told)
            self.settled[candle.start_ms] = (candle.low, candle.high)
        for time_ms, price in live:
            self.oracle.tick(now_ms, time_ms, price)
            self.bounded.pop(minute_of(time_ms), None)

        written = self.store.write(live, candles, bounds=bounds)

        candle_stamps = {candle.start_ms + offset for candle in candles for offset in CANDLE_OFFSETS_MS}
        # Of two on a stamp the candle's counts.
        added = [tick for tick in map(move_off_the_mark, live) if tick.time_ms not in candle_stamps]
        held = {minute: bound for minute, *bound in bounds if self.oracle.bound(minute, *bound)} if added else {}
        assert not written.rebuilt
        self.bounded |= {minute: (low, high) for minute, (low, high) in held.items()}
        if added:
            self.since = self._find_since(min((minute for minute, *_ in bounds), default=None), held)

    def rebuild(self) -> None:
        """Write everything anew."""
        self.store.rebuild()
        self.since = None

    def record_quiet(self, minute: int) -> None:
        """Learn that a minute had no trades."""
        self.store.record_gaps({minute: Gap("no_trades", 1, minute)})
        self.quiet.add(minute)

    def check(self) -> None:
        """Compare the store with what must have become of it."""
        now_ms, newest = self.clock.now_ms(), self.oracle.newest()
        snapshot = self.store.snapshot()
        assert_right(self.client, self.oracle, now_ms)
        assert snapshot.newest == newest
        assert snapshot.state.exact_since_ms == self.since
        for resolution, slots in snapshot.slots.items():
            length = slots[1].start_ms - slots[0].start_ms
            for slot in slots:
                if slot.exact:
                    assert (slot.min, slot.max) == self._find_extremes(slot.start_ms, length), (resolution, slot)

    def _find_since(self, earliest: int | None, held: dict[int, list[float]]) -> int | None:
        newest = self.oracle.newest()
        since, minute = None, minute_of(newest[0]) if newest else 0
        while earliest is not None and minute >= earliest and (minute in self.settled or minute in held):
            since, minute = minute, minute - MINUTE
        return since

    def _find_extremes(self, start_ms: int, length: int) -> tuple[float, float]:
        """The extremes by the settled candles and by the bounds that were passed last."""
        known = self.bounded | self.settled
        found = [known[minute] for minute in range(start_ms, start_ms + length, MINUTE) if minute in known]
        return min(low for low, _ in found), max(high for _, high in found)


@st.composite
def _candles(draw: st.DrawFn, minutes: list[int]) -> Candle:
    low, first, second, high = sorted(draw(st.tuples(prices, prices, prices, prices)))
    opened, close = draw(st.permutations([first, second]))
    return Candle(draw(st.sampled_from(minutes)), opened, high, low, close)


def _draw_live(data: st.DataObject, minutes: list[int], now_ms: int, used: set[int]) -> list[Tick]:
    """Draw prices of stamps that no price has had yet."""
    drawn = data.draw(st.lists(st.builds(Tick, st.builds(int.__add__, st.sampled_from(minutes), offsets), prices)))
    live = []
    for tick in drawn:
        stored = move_off_the_mark(tick)
        if stored.time_ms <= now_ms and stored.time_ms not in used:
            used.add(stored.time_ms)
            live.append(tick)
    return live


@settings(deadline=None, max_examples=60 if ALL else 30, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_is_called_exact_equals_the_settled_candles_and_the_bounds_passed_last(
    client: redis.Redis, store: Store, data: st.DataObject
) -> None:
    client.flushall()
    clock = FakeClock(START + 30_000)
    play = Play(client, Store(client, store.market, clock=clock, where="test"), clock)
    play.store.rebuild()
    play.store.remember(State(cadence_s=CADENCE_S))
    used: set[int] = set()

    for _ in range(data.draw(st.integers(1, 12))):
        newest = play.oracle.newest()
        clock.advance(data.draw(st.sampled_from([0, 1_000, 1_000, 13_000, 29_000])))
        now_ms = clock.now_ms()
        minutes = list(range(START, now_ms + 1, MINUTE))
        filled = {minute_of(stamp) for stamp, _ in play.oracle.ticks()}
        known = [minute for minute in minutes if minute in filled or newest is None or minute > newest[0]]
        ended = [minute for minute in filled if minute + MINUTE <= now_ms]
        match data.draw(st.sampled_from(["streams", "streams", "streams", "polls", "candles", "rebuild", "quiet"])):
            case "streams":
                live = _draw_live(data, known, now_ms, used)
                candles = (
                    data.draw(st.lists(_candles(ended), max_size=2, unique_by=lambda c: c.start_ms)) if ended else []
                )
                bounds = [Bounds(minute, *data.draw(ranges)) for minute in minutes if data.draw(st.integers(0, 4))]
                play.write(live, candles, bounds)
            case "polls":
                play.write(_draw_live(data, known, now_ms, used), [], [])
            case "candles" if ended:
                play.write([], [data.draw(_candles(ended))], [])
            case "rebuild":
                play.rebuild()
            case "quiet":
                play.record_quiet(data.draw(st.sampled_from(minutes)))
        play.check()
