"""Agreement over the tapes of several providers: the price, the bounds of unsettled minutes, their candles (pure).

The open minute is built as its candle will be: per provider a running candle of its trades, then the median of each
field over the providers that saw the minute whole.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import NamedTuple

from btcts.domain.candle_agreement import Reach, agree_candles
from btcts.domain.candles import minute_of
from btcts.domain.model import MINUTE_MS, Bounds, Candle, Candles, Reading, Span, StreamState
from btcts.domain.tape import KEPT_MS, Tape
from btcts.domain.trades import StreamEvent

LEAST_TAPES = 3
"""Whole tapes with trades that an agreement needs, unless fewer providers with candles are configured."""

WAITED_MS = 5_000
"""Time after the end of a minute in which its tapes may prove that they are complete; later they are left out."""

ANEW_MS = 5_000
"""Shortest time from one candle of a minute to the next one, with late trades."""


class TapeCandle(NamedTuple):
    """A candle that can be written, and the providers whose trades it is made of."""

    candle: Candle
    providers: frozenset[str]


class _Settled(NamedTuple):
    written_ms: int
    settleable: TapeCandle


class Tapes:
    """The tapes of one collector: `able` counts its providers with candles, `quorum` is that of prices."""

    def __init__(self, tapes: Sequence[Tape], *, able: int, quorum: int) -> None:
        self._tapes = {tape.provider: tape for tape in tapes}
        self._able = able
        self._least = max(quorum, min(LEAST_TAPES, able))
        self._settled: dict[int, _Settled] = {}

    def begin_anew(self) -> None:
        """Forget all trades and times, as when the clock was set."""
        for tape in self._tapes.values():
            tape.begin_anew()
        self._settled = {}

    def take(self, provider: str, event: StreamEvent) -> None:
        """Take in what the stream of a provider brought."""
        self._tapes[provider].take(event)

    def find_readings(self, now_ms: int) -> list[Reading]:
        """Return the prices of the streams that have one."""
        readings = (tape.find_reading(now_ms) for tape in self._tapes.values())
        return [reading for reading in readings if reading]

    def find_bounds(self, now_ms: int) -> list[Bounds]:
        """Return the agreed low and high of the running minute and the latest ones before it, ascending.

        A minute is among them if enough whole tapes have trades in it, a majority of the providers is near the median
        of these, and no candle was agreed on yet.
        """
        return [
            Bounds(minute, candle.low, candle.high)
            for minute in _list_recent(now_ms)
            if minute not in self._settled and (candle := self._agree(minute, self._find_whole(minute, now_ms)))
        ]

    def find_settleable(self, now_ms: int, reach: Reach, others: Set[int]) -> list[TapeCandle]:
        """Return the candles of minutes that are over, and those that late trades have changed since.

        A minute among the settled ones of `others` is left alone, unless its candle was noted as written from here.
        All whole tapes of a minute get up to 5 s to prove that they are complete. A majority of the providers that
        reach the minute has to support its candle. A written candle is replaced at most once in 5 s, and never by one
        of fewer providers.
        """
        found = []
        for minute in _list_recent(now_ms)[:-1]:
            written_ms, written = self._settled.get(minute, (0, None))
            if written is None and minute in others:
                continue
            settleable = self._find_candle(minute, now_ms, reach)
            if settleable and (written is None or _replaces(settleable, written, now_ms - written_ms)):
                found.append(settleable)
        return found

    def note_settled(self, settled: Iterable[TapeCandle], now_ms: int) -> None:
        """Note what was written."""
        self._settled.update((written.candle.start_ms, _Settled(now_ms, written)) for written in settled)

    def find_awaited(self, now_ms: int) -> frozenset[int]:
        """Return the minutes that the tapes may still settle, for which nobody need be asked yet."""
        return frozenset(
            minute
            for minute in _list_recent(now_ms)[:-1]
            if now_ms < minute + MINUTE_MS + WAITED_MS + 1_000 and self._agree(minute, self._find_whole(minute, now_ms))
        )

    def compare(self, answer: Candles) -> None:
        """Compare the candles that a provider publishes with its trades."""
        tape = self._tapes.get(answer.provider)
        if tape is None or answer.covered is None:
            return
        published = {candle.start_ms: candle for candle in answer.candles}
        for minute in answer.covered.minutes():
            tape.compare(minute, published.get(minute))

    def forget_old(self, now_ms: int) -> None:
        """Forget what is too old for any use."""
        for tape in self._tapes.values():
            tape.forget_old(now_ms)
        recent = _list_recent(now_ms)
        self._settled = {minute: settled for minute, settled in self._settled.items() if minute in recent}

    def describe(self, now_ms: int) -> Mapping[str, StreamState]:
        """Return the state of each stream."""
        return {provider: tape.describe(now_ms) for provider, tape in self._tapes.items()}

    def _find_candle(self, minute: int, now_ms: int, reach: Reach) -> TapeCandle | None:
        """Return the candle of a minute that is over, if it can be settled by now."""
        whole = self._find_whole(minute, now_ms)
        complete = [tape for tape in whole if tape.is_complete(minute)]
        if len(complete) < len(whole) and now_ms < minute + MINUTE_MS + WAITED_MS:
            return None
        candle = self._agree(minute, complete, reach, now_ms)
        return TapeCandle(candle, frozenset(tape.provider for tape in complete)) if candle else None

    def _find_whole(self, minute: int, now_ms: int) -> list[Tape]:
        return [
            tape
            for tape in self._tapes.values()
            if tape.is_alive(now_ms) and tape.is_settling and tape.is_whole(minute)
        ]

    def _agree(self, minute: int, tapes: Sequence[Tape], reach: Reach | None = None, now_ms: int = 0) -> Candle | None:
        """Return the candle that enough tapes agree on, and that a majority of the providers is near.

        With `reach`, only those providers count that reach the minute.
        """
        if len(tapes) < self._least:
            return None
        agreed = agree_candles(_make_answers(minute, tapes), quorum=self._least)
        near = agreed.backing[minute].near
        proven = reach.has_majority(near, minute, now_ms) if reach else 2 * len(near) > self._able
        return agreed.candles.get(minute) if proven and minute not in agreed.sparse else None


def _replaces(new: TapeCandle, old: TapeCandle, after_ms: int) -> bool:
    return new.candle != old.candle and new.providers >= old.providers and after_ms >= ANEW_MS


def _make_answers(minute: int, tapes: Sequence[Tape]) -> Iterator[Candles]:
    """Yield the trades of a minute in the form in which providers answer for candles."""
    for tape in tapes:
        candle = tape.find_candle(minute)
        yield Candles(tape.provider, Span(minute, minute + MINUTE_MS), (candle,) if candle else ())


def _list_recent(now_ms: int) -> range:
    """Return the minutes that trades may still enter, and the running one last."""
    running = minute_of(now_ms)
    return range(running - KEPT_MS + MINUTE_MS, running + 1, MINUTE_MS)
