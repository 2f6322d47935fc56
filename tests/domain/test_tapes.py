"""What several tapes come to: bounds, settled candles, and who is left out."""

from statistics import median

from hypothesis import given
from hypothesis import strategies as st

from btcts.domain.candle_agreement import Reach
from btcts.domain.model import DAY_MS, MINUTE_MS, Bounds, Candle, Candles, Span
from btcts.domain.tape import BOOKED_MS, Tape
from btcts.domain.tapes import ANEW_MS, WAITED_MS, Tapes
from btcts.domain.trades import NS_PER_MS, Arrival, Closed, Frame, Opened, Trade

NOON_MS = 1_795_867_200_000
END_MS = NOON_MS + MINUTE_MS
NAMES = ("bitfinex", "bitstamp", "coinbase", "gemini", "kraken")
REACH = Reach(dict.fromkeys(NAMES, DAY_MS))


class _Scene:
    """Tapes of five exchanges, whole since before noon."""

    def __init__(self, *, able: int = 5, quorum: int = 1) -> None:
        self.tapes = Tapes([Tape(name, contiguous=True) for name in NAMES], able=able, quorum=quorum)
        self._numbers = dict.fromkeys(NAMES, 0)
        for name in NAMES:
            self.tapes.take(name, Opened(NOON_MS - 2000))
            self.trade(name, -1000, 100.0)

    def trade(self, name: str, offset_ms: int, price: float, *, late_ms: int = 0) -> None:
        """Trade on one exchange."""
        self._numbers[name] += 1
        time_ms = NOON_MS + offset_ms
        trade = Trade(time_ms * NS_PER_MS, self._numbers[name], price)
        self.tapes.take(name, Arrival(time_ms + late_ms, Frame(trades=(trade,))))

    def beat(self, now_ms: int, *names: str) -> None:
        """Send the time, from all exchanges or some."""
        for name in names or NAMES:
            self.tapes.take(name, Arrival(now_ms, Frame(stamp_ns=now_ms * NS_PER_MS)))

    def settle(self, now_ms: int) -> list[Candle]:
        """Settle what can be settled."""
        found = self.tapes.find_settleable(now_ms, REACH, frozenset())
        self.tapes.note_settled(found, now_ms)
        return [settleable.candle for settleable in found]


def test_bounds_are_the_medians_of_the_lows_and_highs() -> None:
    scene = _Scene()
    for name, low, high in zip(NAMES, (99.0, 98.9, 99.1, 98.8, 99.2), (101.0, 101.4, 101.1, 101.2, 101.3), strict=True):
        scene.trade(name, 100, low)
        scene.trade(name, 200, high)

    assert scene.tapes.find_bounds(NOON_MS + 300) == [Bounds(NOON_MS, 99.0, 101.2)]


def test_two_tapes_that_lie_make_no_bounds_with_the_only_other_one_that_is_whole() -> None:
    scene = _Scene()
    for name in NAMES[:2]:
        scene.tapes.take(name, Closed(NOON_MS - 500, "lost"))
    for name, price in zip(NAMES[2:], (100.0, 150.0, 150.0), strict=True):
        scene.trade(name, 100, price)

    assert scene.tapes.find_bounds(NOON_MS + 300) == []


def test_two_tapes_make_no_bounds_beside_five_providers_but_do_when_they_are_all() -> None:
    for able, expected in ((5, []), (2, [Bounds(NOON_MS, 100.0, 100.0)])):
        found = Tapes([Tape(name, contiguous=True) for name in ("gemini", "kraken")], able=able, quorum=1)
        for name in ("gemini", "kraken"):
            found.take(name, Opened(NOON_MS - 2000))
            found.take(name, Arrival(NOON_MS - 1000, Frame(trades=(_trade(1, -1000),))))
            found.take(name, Arrival(NOON_MS + 100, Frame(trades=(_trade(2, 100),))))
        assert found.find_bounds(NOON_MS + 300) == expected


def test_a_minute_is_settled_once_every_whole_tape_is_complete() -> None:
    scene = _traded()
    scene.beat(END_MS, "kraken")
    scene.beat(END_MS + BOOKED_MS + 100, *NAMES[:4])
    early = scene.settle(END_MS + BOOKED_MS + 100)

    scene.beat(END_MS + BOOKED_MS + 200, "kraken")
    settled = scene.settle(END_MS + BOOKED_MS + 200)

    assert early == []
    assert [candle.start_ms for candle in settled] == [NOON_MS]
    assert scene.tapes.find_bounds(END_MS + BOOKED_MS + 300) == []


def test_a_tape_without_evidence_is_left_out_after_five_seconds() -> None:
    scene = _traded()
    scene.trade("kraken", 30_000, 100.5)
    scene.beat(END_MS + WAITED_MS - 1, *NAMES[:4])
    scene.tapes.take("kraken", Arrival(END_MS + WAITED_MS - 1, Frame()))

    waited = scene.settle(END_MS + WAITED_MS - 1)
    settled = scene.settle(END_MS + WAITED_MS)

    assert waited == []
    assert [candle.high for candle in settled] == [100.0]


def test_two_complete_tapes_settle_nothing() -> None:
    scene = _traded()
    scene.beat(END_MS + WAITED_MS, "gemini", "kraken")

    assert scene.settle(END_MS + WAITED_MS) == []


def test_tapes_that_do_not_agree_settle_nothing() -> None:
    scene = _traded()
    for name in ("coinbase", "gemini"):
        scene.trade(name, 500, 150.0)
    for name in ("bitfinex", "bitstamp"):
        scene.trade(name, 500, 200.0)
    scene.beat(END_MS + WAITED_MS)

    assert scene.settle(END_MS + WAITED_MS) == []


def test_late_trades_change_a_settled_minute_once_in_five_seconds() -> None:
    scene = _traded()
    settled_ms = END_MS + BOOKED_MS + 100
    scene.beat(settled_ms)
    scene.settle(settled_ms)
    for name in NAMES:
        scene.trade(name, 59_000, 101.0, late_ms=4_000)

    at_once = scene.settle(settled_ms + ANEW_MS - 1)
    scene.beat(settled_ms + ANEW_MS)
    anew = scene.settle(settled_ms + ANEW_MS)

    assert at_once == []
    assert [candle.high for candle in anew] == [101.0]


def test_a_candle_does_not_give_way_to_one_of_fewer_tapes() -> None:
    scene = _traded()
    scene.trade("kraken", 59_000, 100.4)
    scene.trade("gemini", 59_000, 100.4)
    scene.trade("bitstamp", 59_000, 100.2)
    settled_ms = END_MS + BOOKED_MS + 100
    scene.beat(settled_ms)
    scene.settle(settled_ms)

    scene.tapes.take("coinbase", Closed(settled_ms + 1, "gone"))
    scene.beat(settled_ms + ANEW_MS + 1, "bitfinex", "bitstamp", "gemini", "kraken")

    assert scene.settle(settled_ms + ANEW_MS + 1) == []


def test_a_minute_that_streams_may_settle_is_awaited_for_six_seconds() -> None:
    scene = _traded()
    scene.beat(END_MS + WAITED_MS)

    assert scene.tapes.find_awaited(END_MS + WAITED_MS + 999) == {NOON_MS}
    assert scene.tapes.find_awaited(END_MS + WAITED_MS + 1_000) == frozenset()


def test_candles_are_compared_with_the_trades_of_their_provider() -> None:
    scene = _traded()
    now_ms = NOON_MS + 5 * MINUTE_MS
    scene.beat(now_ms)
    scene.tapes.forget_old(now_ms)

    for name, high in (("kraken", 100.0), ("gemini", 101.0)):
        candle = Candle(NOON_MS, 100.0, high, 100.0, 100.0)
        scene.tapes.compare(Candles(name, Span(NOON_MS, END_MS), (candle,)))

    states = scene.tapes.describe(now_ms)
    assert [(states[name].compared, states[name].corrected) for name in ("kraken", "gemini", "bitstamp")] == [
        (1, 0),
        (1, 1),
        (0, 0),
    ]


_PRICES = st.lists(st.sampled_from([99.8, 99.9, 100.0, 100.1, 100.2]), min_size=1, max_size=6)


@given(
    prices=st.lists(_PRICES, min_size=5, max_size=5),
    gone=st.sets(st.sampled_from(NAMES), max_size=3),
    joining=st.sets(st.sampled_from(NAMES), max_size=2),
)
def test_bounds_equal_an_independent_aggregation_of_the_whole_tapes(
    prices: list[list[float]], gone: set[str], joining: set[str]
) -> None:
    scene = _Scene()
    for name in joining:  # again, without what it missed: its numbers show that
        scene._numbers[name] += 5
    for name, paid in zip(NAMES, prices, strict=True):
        for offset_ms, price in enumerate(paid, 1):
            scene.trade(name, offset_ms, price)
    for name in gone:
        scene.tapes.take(name, Closed(NOON_MS + 100, "gone"))

    counted = [paid for name, paid in zip(NAMES, prices, strict=True) if name not in gone | joining]
    expected = [Bounds(NOON_MS, median(map(min, counted)), median(map(max, counted)))] if len(counted) >= 3 else []
    assert [bounds for bounds in scene.tapes.find_bounds(NOON_MS + 200) if bounds.minute_ms == NOON_MS] == expected


def _traded() -> _Scene:
    """Return tapes with a trade each in the minute of noon."""
    scene = _Scene()
    for name in NAMES:
        scene.trade(name, 100, 100.0)
    return scene


def _trade(number: int, offset_ms: int) -> Trade:
    return Trade((NOON_MS + offset_ms) * NS_PER_MS, number, 100.0)
