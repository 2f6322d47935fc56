"""The tape of one provider: the trades of the last minutes as running candles, and what may be missing of them (pure).

Minutes are cut by the exchange's time. A minute is whole when nothing of it can be missing by the provider's own
evidence: the numbers of its trades, or an unbroken connection since before it began. After a reconnect the trades that
the exchange sends to catch up have to join those on the tape; otherwise the minute is not whole.
"""

from collections import deque
from dataclasses import dataclass, field

from btcts.domain.candles import minute_of
from btcts.domain.continuity import Continuity
from btcts.domain.layout import FUTURE_SLACK_MS
from btcts.domain.model import MINUTE_MS, Candle, Reading, StreamState
from btcts.domain.trades import NS_PER_MS, Arrival, Closed, Opened, Quote, StreamEvent, Trade

KEPT_MS = 3 * MINUTE_MS
"""Age up to which trades may still enter a minute."""

MOST_TRADES = 100_000
"""Most trades of a minute that are told apart, with about 10 MB; one with more is not whole."""

AUDITED_MS = 20 * MINUTE_MS
"""Age up to which the candles of whole minutes are compared with those that the provider publishes."""

ALIVE_MS = 5_000
"""Longest silence of a stream that counts; each one sends something every 2 s, or is asked to."""

BOOKED_MS = 2_000
"""Time in which an exchange reports the last trades of a minute: what it sends later shows that none is missing."""

OLD_TRADE_MS = 10_000
QUOTE_MS = 5_000
WIDEST_SPREAD = 0.002
"""A last trade older than 10 s gives way to the middle of bid and ask, no older than 5 s and no wider than 20 bps."""

COMPARED = 20
LEAST_COMPARED = 10
"""Minutes over which the candles of a provider are compared with its trades."""


@dataclass(slots=True)
class _Minute:
    """The trades of a minute, each counted once."""

    first: Trade
    last: Trade
    low: float
    high: float
    numbers: set[int] = field(default_factory=set)

    def add(self, trade: Trade) -> None:
        self.numbers.add(trade.number)
        self.first, self.last = min(self.first, trade), max(self.last, trade)
        self.low, self.high = min(self.low, trade.price), max(self.high, trade.price)

    def build_candle(self, minute_ms: int) -> Candle:
        return Candle(minute_ms, self.first.price, self.high, self.low, self.last.price)


class Tape:
    """The tape of one provider; `contiguous` if the numbers of its trades count 1, 2, 3 ..."""

    def __init__(self, provider: str, *, contiguous: bool) -> None:
        self.provider = provider
        self._contiguous = contiguous
        self._closed: dict[int, Candle] = {}
        self._differences: deque[bool] = deque(maxlen=COMPARED)
        self._state = StreamState()
        self._connections = 0
        self._connected = self._serving = False
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget all trades and times, as when the clock was set; the connection stays."""
        self._minutes: dict[int, _Minute] = {}
        self._continuity = Continuity(contiguous=self._contiguous)
        self._last: Trade | None = None
        self._quote: tuple[int, Quote] | None = None
        self._heard_ms = 0
        self._forget_connection()

    def take(self, event: StreamEvent) -> None:
        """Take in what the stream brought."""
        match event:
            case Opened():
                self._open(event)
            case Closed():
                self._connected = False
                self._forget_connection()
                self._state = self._state._replace(problem=event.reason, problem_code=event.code)
            case Arrival():
                self._hear(event)

    def is_alive(self, now_ms: int) -> bool:
        """Tell whether the exchange was heard in the last seconds and reports no maintenance."""
        return self._connected and self._serving and abs(now_ms - self._heard_ms) < ALIVE_MS

    def is_whole(self, minute_ms: int) -> bool:
        """Tell whether no trade of a minute is missing up to now."""
        return self._continuity.is_whole(minute_ms)

    def is_complete(self, minute_ms: int) -> bool:
        """Tell whether a minute is whole, and the exchange has sent something since it reported its last trades."""
        return self.is_whole(minute_ms) and self._evidence_ms >= minute_ms + MINUTE_MS + BOOKED_MS

    @property
    def is_settling(self) -> bool:
        """True while its trades make the candles that the provider publishes."""
        differing = sum(self._differences)
        return len(self._differences) < LEAST_COMPARED or 2 * differing <= len(self._differences)

    def find_candle(self, minute_ms: int) -> Candle | None:
        """Return the candle of the trades of a minute; None without any."""
        minute = self._minutes.get(minute_ms)
        return minute.build_candle(minute_ms) if minute else None

    def find_reading(self, now_ms: int) -> Reading | None:
        """Return the price: the last trade, or the middle of bid and ask where that is old; None while it has none."""
        if not self.is_alive(now_ms) or self._last is None or not self._continuity.joined:
            return None
        price, traded_ms = self._last.price, self._last.time_ns // NS_PER_MS
        if now_ms - traded_ms > OLD_TRADE_MS and self._quote is not None:
            quoted_ms, (bid, ask) = self._quote
            if now_ms - quoted_ms <= QUOTE_MS and 0 <= ask - bid <= WIDEST_SPREAD * bid:
                price, traded_ms = (bid + ask) / 2, quoted_ms
        date_ms = None if self._offset_ms is None else now_ms - self._offset_ms
        return Reading(self.provider, price, now_ms, traded_ms, date_ms)

    def describe(self, now_ms: int) -> StreamState:
        """Return its state for other processes."""
        since_ns = self._continuity.since_ns
        whole = self.is_alive(now_ms) and self.is_whole(minute_of(now_ms))
        return self._state._replace(
            whole_since_ms=since_ns // NS_PER_MS if whole and since_ns is not None else None,
            reconnects=max(0, self._connections - 1),
            steady=not self.is_settling,
        )

    def compare(self, minute_ms: int, published: Candle | None) -> None:
        """Compare the candle that the provider publishes for a minute with its trades, if these were whole."""
        if minute_ms in self._closed:
            differs = self._closed.pop(minute_ms) != published
            self._differences.append(differs)
            state = self._state
            self._state = state._replace(compared=state.compared + 1, corrected=state.corrected + differs)

    def forget_old(self, now_ms: int) -> None:
        """Close the minutes that no trade may enter any more, and forget what is too old to be compared."""
        for minute_ms in [minute for minute in self._minutes if minute < minute_of(now_ms - KEPT_MS)]:
            if self.is_complete(minute_ms):
                self._closed[minute_ms] = self._minutes[minute_ms].build_candle(minute_ms)
            del self._minutes[minute_ms]
        self._closed = {minute: held for minute, held in self._closed.items() if minute > now_ms - AUDITED_MS}
        self._continuity.forget_old((now_ms - KEPT_MS) * NS_PER_MS)

    def _open(self, opened: Opened) -> None:
        self._connections += 1
        self._connected = self._serving = True
        self._heard_ms = opened.at_ms
        self._state = self._state._replace(problem="", problem_code="")
        self._forget_connection()
        if not opened.overlaps:
            self._continuity.note_break()

    def _forget_connection(self) -> None:
        """Forget what holds for one connection alone."""
        self._offset_ms: int | None = None
        self._evidence_ms = 0

    def _hear(self, arrival: Arrival) -> None:
        frame = arrival.frame
        self._heard_ms = arrival.received_ms
        if frame.serving is not None:
            self._serving = frame.serving
            if not frame.serving:
                self._continuity.note_break()
        if frame.stamp_ns is not None:
            self._note_stamp(frame.stamp_ns // NS_PER_MS, arrival.received_ms)
        if frame.lost:
            self._miss(arrival.received_ms)
        if frame.quote:
            self._quote = arrival.received_ms, frame.quote
        if arrival.asked_ms is not None and self._offset_ms is not None:
            self._note_evidence(arrival.asked_ms - self._offset_ms, arrival.received_ms)
        if frame.catch_up:
            self._catch_up(frame.trades, arrival.received_ms)
        else:
            for trade in frame.trades:
                self._add_live(trade, arrival.received_ms)

    def _note_stamp(self, stamp_ms: int, received_ms: int) -> None:
        """Learn the difference of the clocks: the newest one, for the least of all would outlast a step of ours."""
        self._offset_ms = received_ms - stamp_ms
        self._note_evidence(stamp_ms, received_ms)

    def _note_evidence(self, time_ms: int, received_ms: int) -> None:
        """Note that all trades have arrived that the exchange reported until then."""
        if _is_credible(time_ms, received_ms):
            self._evidence_ms = max(self._evidence_ms, time_ms)

    def _miss(self, at_ms: int) -> None:
        """Note that trades are missing, or may be."""
        self._continuity.note_break()
        self._note_gap(at_ms)

    def _note_gap(self, at_ms: int) -> None:
        self._state = self._state._replace(gap_ms=at_ms)

    def _add_live(self, trade: Trade, received_ms: int) -> None:
        time_ms = trade.time_ns // NS_PER_MS
        if not _is_credible(time_ms, received_ms):  # its minute cannot be known
            self._miss(received_ms)
            return
        if not self._is_known(trade):
            lag_ms = received_ms - time_ms
            before_ms = lag_ms if self._state.lag_ms is None else self._state.lag_ms
            self._state = self._state._replace(lag_ms=before_ms + round((lag_ms - before_ms) / 8))
        self._note_stamp(time_ms, received_ms)
        if self._continuity.add(trade):
            self._note_gap(received_ms)
        self._add(trade, received_ms)

    def _catch_up(self, trades: tuple[Trade, ...], received_ms: int) -> None:
        """Add the trades from before the subscription, and find out whether they join those on the tape."""
        latest_ns = (received_ms + FUTURE_SLACK_MS) * NS_PER_MS
        fresh = [trade for trade in sorted(trades) if trade.time_ns <= latest_ns]
        if self._continuity.add_catch_up(fresh, self._is_known):
            self._note_gap(received_ms)
        for trade in fresh:
            self._add(trade, received_ms)
        if len(fresh) < len(trades):
            self._miss(received_ms)

    def _add(self, trade: Trade, received_ms: int) -> None:
        minute_ms = minute_of(trade.time_ns // NS_PER_MS)
        if minute_ms >= minute_of(received_ms - KEPT_MS) and not self._is_known(trade):
            minute = self._minutes.setdefault(minute_ms, _Minute(trade, trade, trade.price, trade.price))
            if len(minute.numbers) < MOST_TRADES:
                minute.add(trade)
            else:  # nothing that came up to now is whole
                self._continuity = Continuity(contiguous=self._contiguous)
                self._note_gap(received_ms)
        self._last = max(self._last or trade, trade)

    def _is_known(self, trade: Trade) -> bool:
        minute = self._minutes.get(minute_of(trade.time_ns // NS_PER_MS))
        return minute is not None and trade.number in minute.numbers


def _is_credible(time_ms: int, received_ms: int) -> bool:
    """Tell whether an exchange can have meant a time that arrives now."""
    return received_ms - KEPT_MS <= time_ms <= received_ms + FUTURE_SLACK_MS
