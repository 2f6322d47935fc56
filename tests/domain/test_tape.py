"""Tapes of trades: what is whole and complete is true, whatever a connection does."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from btcts.domain.candles import minute_of
from btcts.domain.model import MINUTE_MS, Candle
from btcts.domain.tape import ALIVE_MS, BOOKED_MS, KEPT_MS, MOST_TRADES, Tape
from btcts.domain.trades import NS_PER_MS, Arrival, Closed, Frame, Opened, Quote, Trade

NOON_MS = 1_795_867_200_000


def test_the_candle_of_a_minute_is_that_of_its_trades_by_the_exchange_s_time() -> None:
    tape = _open_tape()

    _hear(tape, _trade(1, -500, 100.0), _trade(3, 300, 105.0), _trade(2, 200, 95.0), _trade(4, 400, 101.0))

    assert tape.find_candle(NOON_MS) == Candle(NOON_MS, 95.0, 105.0, 95.0, 101.0)
    assert tape.find_candle(NOON_MS - MINUTE_MS) == Candle(NOON_MS - MINUTE_MS, 100.0, 100.0, 100.0, 100.0)


def test_trades_of_one_moment_are_in_the_order_of_their_numbers() -> None:
    tape = _open_tape()

    _hear(tape, _trade(3, 0, 103.0), _trade(2, 0, 102.0), _trade(1, 0, 101.0))

    candle = tape.find_candle(NOON_MS)
    assert candle
    assert (candle.open, candle.close) == (101.0, 103.0)


def test_a_trade_that_is_sent_twice_counts_once() -> None:
    tape = _open_tape()

    _hear(tape, _trade(1, 0, 101.0), _trade(2, 10, 102.0), _trade(1, 0, 101.0), _trade(2, 10, 102.0))

    assert tape.find_candle(NOON_MS) == Candle(NOON_MS, 101.0, 102.0, 101.0, 102.0)
    assert tape.describe(NOON_MS).gap_ms is None


def test_a_missing_number_makes_its_minute_not_whole_until_it_comes() -> None:
    tape = _open_tape()
    _hear(tape, _trade(1, -1000, 100.0), _trade(2, 10, 100.0), _trade(5, 40, 100.0))
    missing = tape.is_whole(NOON_MS), tape.is_whole(NOON_MS + MINUTE_MS)

    _hear(tape, _trade(4, 30, 100.0))
    half = tape.is_whole(NOON_MS)
    _hear(tape, _trade(3, 20, 100.0))

    assert missing == (False, True)
    assert (half, tape.is_whole(NOON_MS)) == (False, True)


def test_a_minute_with_more_trades_than_are_told_apart_is_not_whole() -> None:
    tape = _open_tape()
    _hear(tape, _trade(1, -1000, 100.0), *(_trade(number, 10, 100.0) for number in range(2, MOST_TRADES + 2)))
    full = tape.is_whole(NOON_MS)

    _hear(tape, _trade(MOST_TRADES + 2, 20, 90.0), _trade(MOST_TRADES + 3, MINUTE_MS + 10, 100.0))

    candle = tape.find_candle(NOON_MS)
    assert candle
    assert (full, tape.is_whole(NOON_MS), candle.low) == (True, False, 100.0)
    assert tape.is_whole(NOON_MS + 2 * MINUTE_MS)


def test_numbers_that_begin_anew_begin_a_new_tape() -> None:
    tape = _open_tape()
    _hear(tape, _trade(1_000_000, -1000, 100.0), _trade(1_000_001, 10, 100.0))

    _hear(tape, _trade(7, 500, 100.0))
    after_reset = tape.is_whole(NOON_MS)
    _hear(tape, _trade(9, MINUTE_MS + 700, 100.0))

    assert not after_reset
    assert not tape.is_whole(NOON_MS + MINUTE_MS)


def test_more_missing_numbers_than_are_remembered_begin_a_new_tape() -> None:
    tape = _open_tape()
    _hear(tape, _trade(1, -1000, 100.0))

    _hear(tape, *(_trade(900 * step, 10 * step, 100.0) for step in range(1, 4)))
    _hear(tape, _trade(2701, MINUTE_MS + 10, 100.0))

    assert tape.describe(NOON_MS + MINUTE_MS + 10).whole_since_ms == NOON_MS + 20


def test_without_numbers_a_reconnect_breaks_the_running_minute() -> None:
    tape = _open_tape(contiguous=False)
    _hear(tape, _trade(1, -1000, 100.0), _trade(2, 10, 100.0))
    before = tape.is_whole(NOON_MS)

    tape.take(Closed(NOON_MS + 1000, "gone"))
    tape.take(Opened(NOON_MS + 2000))
    _hear(tape, _trade(9, 2500, 100.0))

    assert (before, tape.is_whole(NOON_MS), tape.is_whole(NOON_MS + MINUTE_MS)) == (True, False, True)
    assert tape.describe(NOON_MS + 2500).reconnects == 1


def test_a_catch_up_that_joins_closes_the_gap() -> None:
    tape = _open_tape(contiguous=False)
    _hear(tape, _trade(1, -1000, 100.0), _trade(4, 10, 100.0))
    tape.take(Closed(NOON_MS + 1000, "gone"))
    tape.take(Opened(NOON_MS + 2000))

    _hear(tape, _trade(4, 10, 100.0), _trade(6, 900, 90.0), catch_up=True, at_ms=NOON_MS + 2100)

    candle = tape.find_candle(NOON_MS)
    assert tape.is_whole(NOON_MS)
    assert candle
    assert candle.low == 90.0


def test_a_catch_up_that_only_has_trades_from_after_the_loss_does_not_join() -> None:
    tape = _open_tape(contiguous=False)
    _hear(tape, _trade(1, -1000, 100.0), _trade(4, 10, 100.0))
    tape.take(Arrival(NOON_MS + 500, Frame(lost=True)))
    tape.take(Closed(NOON_MS + 1000, "lost a message"))
    tape.take(Opened(NOON_MS + 2000))

    _hear(tape, _trade(6, 900, 90.0), _trade(7, 950, 90.0), catch_up=True, at_ms=NOON_MS + 2100)

    assert not tape.is_whole(NOON_MS)
    assert tape.is_whole(NOON_MS + MINUTE_MS)


def test_a_connection_that_overlaps_the_one_before_misses_nothing() -> None:
    tape = _open_tape(contiguous=False)
    _hear(tape, _trade(1, -1000, 100.0))

    tape.take(Opened(NOON_MS + 2000, overlaps=True))
    _hear(tape, _trade(9, 2500, 100.0))

    assert tape.is_whole(NOON_MS)


def test_a_minute_is_complete_only_once_the_exchange_has_said_something_later() -> None:
    tape = _open_tape()
    end_ms = NOON_MS + MINUTE_MS
    _hear(tape, _trade(1, -1000, 100.0), _trade(2, 10, 100.0))

    def is_complete_after(stamp_ms: int) -> bool:
        tape.take(Arrival(stamp_ms + 40, Frame(stamp_ns=stamp_ms * NS_PER_MS)))
        return tape.is_complete(NOON_MS)

    assert not is_complete_after(end_ms)
    assert not is_complete_after(end_ms + BOOKED_MS - 1)
    assert is_complete_after(end_ms + BOOKED_MS)


def test_the_answer_to_a_ping_is_evidence_by_the_exchange_s_clock() -> None:
    tape = _open_tape(contiguous=False)
    end_ms = NOON_MS + MINUTE_MS
    behind_ms = 700  # the exchange's clock is so far behind ours
    _hear(tape, _trade(1, -1000, 100.0), at_ms=NOON_MS - 1000 + behind_ms)
    _hear(tape, _trade(2, 10, 100.0), at_ms=NOON_MS + 10 + behind_ms)

    def is_complete_after(asked_ms: int) -> bool:
        tape.take(Arrival(asked_ms + 90, Frame(echo=1), asked_ms))
        return tape.is_complete(NOON_MS)

    assert not is_complete_after(end_ms + BOOKED_MS + behind_ms - 1)
    assert is_complete_after(end_ms + BOOKED_MS + behind_ms)


def test_a_step_of_our_clock_is_no_evidence() -> None:
    tape = _open_tape(contiguous=False)
    ahead_ms = 9_000
    end_ms = NOON_MS + MINUTE_MS
    _hear(tape, _trade(1, -1000, 100.0), at_ms=NOON_MS - 1000)
    _hear(tape, _trade(2, MINUTE_MS - 4000, 100.0), at_ms=end_ms - 4000 + ahead_ms)

    asked_ms = end_ms - 1000 + ahead_ms
    tape.take(Arrival(asked_ms + 90, Frame(echo=1), asked_ms))

    reading = tape.find_reading(asked_ms + 90)
    assert not tape.is_complete(NOON_MS)
    assert reading
    assert reading.date_ms == asked_ms + 90 - ahead_ms


def test_a_reading_is_dated_by_the_exchange_although_our_clock_is_an_hour_ahead() -> None:
    tape = _open_tape(contiguous=False)
    _hear(tape, _trade(1, -1000, 100.0))
    ahead_ms = NOON_MS + 60 * MINUTE_MS

    tape.take(Arrival(ahead_ms, Frame(stamp_ns=NOON_MS * NS_PER_MS, quote=Quote(99.0, 101.0))))

    reading = tape.find_reading(ahead_ms)
    assert reading
    assert reading.date_ms == NOON_MS


def test_a_stamp_from_the_future_is_no_evidence_nor_is_the_answer_to_a_ping_after_it() -> None:
    tape = _open_tape(contiguous=False)
    _hear(tape, _trade(1, -1000, 100.0), _trade(2, 10, 100.0))

    tape.take(Arrival(NOON_MS + 100, Frame(stamp_ns=(NOON_MS + 60 * MINUTE_MS) * NS_PER_MS)))
    tape.take(Arrival(NOON_MS + 300, Frame(echo=1), NOON_MS + 200))

    assert not tape.is_complete(NOON_MS)


def test_evidence_of_one_connection_says_nothing_about_the_next() -> None:
    tape = _open_tape()
    _hear(tape, _trade(1, -1000, 100.0), _trade(2, 10, 100.0))
    later_ms = NOON_MS + MINUTE_MS + BOOKED_MS
    tape.take(Arrival(later_ms, Frame(stamp_ns=later_ms * NS_PER_MS)))

    tape.take(Closed(later_ms + 10, "gone"))
    tape.take(Opened(later_ms + 20))
    _hear(tape, _trade(2, 10, 100.0), catch_up=True, at_ms=later_ms + 30)

    assert tape.is_whole(NOON_MS)
    assert not tape.is_complete(NOON_MS)


def test_a_trade_whose_time_cannot_be_true_breaks_the_tape() -> None:
    for time_ms in (NOON_MS + 3_600_000, NOON_MS - 365 * 86_400_000):
        tape = _open_tape(contiguous=False)
        _hear(tape, _trade(1, -1000, 100.0))

        tape.take(Arrival(NOON_MS + 5, Frame(trades=(Trade(time_ms * NS_PER_MS, 2, 1.0),))))

        assert not tape.is_whole(NOON_MS)
        assert tape.find_candle(minute_of(time_ms)) is None


def test_a_silent_stream_is_not_alive_and_has_no_price() -> None:
    tape = _open_tape()
    _hear(tape, _trade(1, 0, 100.0))

    alive = tape.find_reading(NOON_MS + ALIVE_MS - 1)
    silent = tape.find_reading(NOON_MS + ALIVE_MS)

    assert alive
    assert (alive.price, alive.traded_ms) == (100.0, NOON_MS)
    assert silent is None


def test_maintenance_ends_the_price_until_the_exchange_works_again() -> None:
    tape = _open_tape()
    _hear(tape, _trade(1, 0, 100.0))

    tape.take(Arrival(NOON_MS + 1, Frame(serving=False)))
    during = tape.find_reading(NOON_MS + 2)
    tape.take(Arrival(NOON_MS + 3, Frame(serving=True)))
    _hear(tape, _trade(2, 4, 101.0))
    after = tape.find_reading(NOON_MS + 5)

    assert during is None
    assert after
    assert after.price == 101.0


def test_an_old_trade_gives_way_to_a_fresh_narrow_quote() -> None:
    tape = _open_tape()
    _hear(tape, _trade(1, 0, 100.0))
    now_ms = NOON_MS + 11_000

    def read(bid: float, ask: float, at_ms: int) -> float | None:
        tape.take(Arrival(at_ms, Frame(quote=Quote(bid, ask))))
        tape.take(Arrival(now_ms, Frame()))
        reading = tape.find_reading(now_ms)
        return reading.price if reading else None

    assert read(100.5, 100.6, now_ms - 1000) == 100.55
    assert read(100.5, 100.8, now_ms - 1000) == 100.0, "too wide"
    assert read(100.6, 100.5, now_ms - 1000) == 100.0, "crossed"
    assert read(100.5, 100.6, now_ms - 6000) == 100.0, "too old"


def test_a_provider_whose_candles_differ_steadily_does_not_settle() -> None:
    tape = _open_tape()
    settling = []
    for number in range(24):
        minute = NOON_MS + number * MINUTE_MS
        _hear(tape, _trade(number, number * MINUTE_MS - 1000 if number == 0 else number * MINUTE_MS, 100.0))
        tape.forget_old(minute)
        closed = minute - KEPT_MS - MINUTE_MS
        tape.compare(closed, Candle(closed, 100.0, 101.0, 100.0, 100.0))
        settling.append(tape.is_settling)

    state = tape.describe(NOON_MS + 23 * MINUTE_MS)
    assert settling[0]
    assert not settling[-1]
    assert state.steady
    assert state.compared == state.corrected > 10


@dataclass
class _Exchange:
    """Trades of two minutes, as they reach a tape over a connection that loses, repeats and reorders messages."""

    tape: Tape
    trades: Sequence[Trade]
    silent_losses: bool
    sent: int = 0
    held: list[Trade] = field(default_factory=list)
    now_ms: int = NOON_MS - MINUTE_MS

    def send(self, move: int) -> None:
        """Do one thing with the next trades."""
        trade = self.trades[self.sent]
        self.now_ms = max(self.now_ms, trade.time_ns // NS_PER_MS + 20)
        self.sent += 1
        match move:
            case 0 if self.silent_losses:
                pass
            case 1:
                self.held.append(trade)
            case 2:
                self.reconnect(catch_up=move)
            case 3:
                self.reconnect(catch_up=6)
            case 4:
                self.hear(trade, trade)
            case _:
                self.hear(trade)
        if move != 1 and self.held:
            self.hear(*reversed(self.held))
            self.held = []

    def hear(self, *trades: Trade, catch_up: bool = False) -> None:
        self.tape.take(Arrival(self.now_ms, Frame(trades=tuple(trades), catch_up=catch_up)))

    def reconnect(self, *, catch_up: int) -> None:
        """Lose what was under way, and what was sent meanwhile, but for what the exchange sends to catch up."""
        self.held = []
        self.tape.take(Closed(self.now_ms, "gone"))
        self.tape.take(Opened(self.now_ms))
        if catch_up:
            self.hear(*self.trades[max(0, self.sent - catch_up) : self.sent], catch_up=True)

    def end(self) -> None:
        """Deliver what is under way, and send a stamp from after both minutes."""
        if self.held:
            self.hear(*self.held)
        self.now_ms = NOON_MS + MINUTE_MS + BOOKED_MS + 100
        self.tape.take(Arrival(self.now_ms, Frame(stamp_ns=(self.now_ms - 50) * NS_PER_MS)))


_STEPS_MS = st.lists(st.sampled_from([0, 1, 400, 3_000, 9_000]), min_size=30, max_size=50)
_MOVES = st.lists(st.sampled_from([0, 1, 2, 3, 4, *[5] * 20]), min_size=50, max_size=50)


@given(steps_ms=_STEPS_MS, moves=_MOVES, contiguous=st.booleans())
def test_a_complete_minute_has_exactly_the_trades_of_the_exchange(
    steps_ms: list[int], moves: list[int], contiguous: bool
) -> None:
    trades = _make_trades(steps_ms, numbers_by=1 if contiguous else 3)
    exchange = _Exchange(Tape("kraken", contiguous=contiguous), trades, silent_losses=contiguous)
    exchange.tape.take(Opened(exchange.now_ms))

    for _, move in zip(trades, moves, strict=False):
        exchange.send(move)
    exchange.end()

    for minute in (NOON_MS - MINUTE_MS, NOON_MS):
        if exchange.tape.is_complete(minute) and not _ends_in_doubt(exchange, minute):
            assert exchange.tape.find_candle(minute) == _aggregate(minute, trades)


@given(steps_ms=_STEPS_MS, moves=st.lists(st.sampled_from([1, 4, 5]), min_size=50, max_size=50))
def test_order_and_repetition_change_nothing(steps_ms: list[int], moves: list[int]) -> None:
    trades = _make_trades(steps_ms, numbers_by=1)
    exchange = _Exchange(Tape("kraken", contiguous=True), trades, silent_losses=False)
    exchange.tape.take(Opened(exchange.now_ms))

    for _, move in zip(trades, moves, strict=False):
        exchange.send(move)
    exchange.end()

    for minute in (NOON_MS - MINUTE_MS, NOON_MS):
        assert exchange.tape.find_candle(minute) == _aggregate(minute, trades)


def _ends_in_doubt(exchange: _Exchange, minute: int) -> bool:
    """Numbers cannot show that the last trades of all are missing: nothing came after them."""
    last = exchange.trades[-1]
    return last.time_ns // NS_PER_MS < minute + MINUTE_MS


def _make_trades(steps_ms: Iterable[int], *, numbers_by: int) -> list[Trade]:
    trades, time_ms = [], NOON_MS - MINUTE_MS - 2_000
    for index, step_ms in enumerate(steps_ms):
        time_ms += step_ms
        trades.append(Trade(time_ms * NS_PER_MS, 1000 + index * numbers_by, 100.0 + (index * 7) % 11))
    return trades


def _aggregate(minute: int, trades: Iterable[Trade]) -> Candle | None:
    prices = [trade.price for trade in trades if minute_of(trade.time_ns // NS_PER_MS) == minute]
    return Candle(minute, prices[0], max(prices), min(prices), prices[-1]) if prices else None


def _open_tape(*, contiguous: bool = True) -> Tape:
    tape = Tape("kraken", contiguous=contiguous)
    tape.take(Opened(NOON_MS - 2 * MINUTE_MS))
    return tape


def _trade(number: int, offset_ms: int, price: float) -> Trade:
    return Trade((NOON_MS + offset_ms) * NS_PER_MS, number, price)


def _hear(tape: Tape, *trades: Trade, catch_up: bool = False, at_ms: int | None = None) -> None:
    newest_ms = max(trade.time_ns for trade in trades) // NS_PER_MS
    tape.take(Arrival(newest_ms if at_ms is None else at_ms, Frame(trades=trades, catch_up=catch_up)))
