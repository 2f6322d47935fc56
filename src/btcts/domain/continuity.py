"""The continuity of a stream of trades: what may be missing of it, by the provider's own evidence (pure).

Where the numbers of trades count 1, 2, 3 ..., a missing one is seen, and may still come. Elsewhere only an unbroken
connection misses nothing, or two of which the exchange's catch-up shows that they join.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from btcts.domain.model import MINUTE_MS
from btcts.domain.trades import NS_PER_MS, Trade

MOST_HOLES = 1_000
"""Missing numbers that are remembered, in case they come late; if there are more, the trades count from then on."""


class _Hole(NamedTuple):
    """The times between which a missing trade took place."""

    from_ns: int
    to_ns: int


class Continuity:
    """The continuity of one stream; `contiguous` if the numbers of its trades count 1, 2, 3 ...

    Its trades are known from `since_ns` on, except in holes; None before the first. It is `joined` unless trades may be
    missing since the last one that came.
    """

    def __init__(self, *, contiguous: bool) -> None:
        self.since_ns: int | None = None
        self.joined = False
        self._contiguous = contiguous
        self._last: Trade | None = None
        self._newest_number: int | None = None
        self._gap: Trade | None = None
        self._holes: dict[int, _Hole] = {}

    def is_whole(self, minute_ms: int) -> bool:
        """Tell whether no trade of a minute is missing up to now."""
        start_ns, end_ns = minute_ms * NS_PER_MS, (minute_ms + MINUTE_MS) * NS_PER_MS
        if not self.joined or self.since_ns is None or self.since_ns > start_ns:
            return False
        return not any(hole.from_ns < end_ns and start_ns <= hole.to_ns for hole in self._holes.values())

    def note_break(self) -> None:
        """Note that trades may be missing from here on."""
        if self.joined:
            self._gap = self._last
        self.joined = False

    def add(self, trade: Trade) -> bool:
        """Add a trade in the order of its arrival; tell whether it shows that others are missing."""
        missed = self._count(trade) if self._contiguous else not self.joined and self._start(trade)
        self._last = max(self._last or trade, trade)
        return missed

    def add_catch_up(self, trades: Sequence[Trade], is_known: Callable[[Trade], bool]) -> bool:
        """Add the trades from before a subscription, ascending; tell whether others are missing before them.

        They join if one of them `is_known` from before the break, for there is no gap among them.
        """
        missed = False
        if trades and not self.joined and not self._contiguous:
            self.joined = self._gap is not None and any(trade <= self._gap and is_known(trade) for trade in trades)
            missed = not self.joined and self._start(trades[0])
        return any([self.add(trade) for trade in trades]) or missed

    def forget_old(self, oldest_ns: int) -> None:
        """Forget the holes before a time."""
        self._holes = {number: hole for number, hole in self._holes.items() if hole.to_ns >= oldest_ns}

    def _start(self, first: Trade) -> bool:
        """Know the trades from after this one, as others of its moment may be missing; tell whether some were known."""
        restarts = self.since_ns is not None
        self.since_ns, self.joined, self._gap = first.time_ns + 1, True, None
        return restarts

    def _count(self, trade: Trade) -> bool:
        """Find the numbers that are missing before a trade, or fill the hole that it leaves."""
        newest, before = self._newest_number, self._last
        step = 0 if newest is None else trade.number - newest
        if newest is None or before is None or not -MOST_HOLES <= step <= MOST_HOLES + 1 - len(self._holes):
            self._newest_number, self._holes = trade.number, {}
            return self._start(trade)
        missing = range(newest + 1, trade.number)
        if missing:
            between = _Hole(min(before.time_ns, trade.time_ns), max(before.time_ns, trade.time_ns))
            self._holes |= dict.fromkeys(missing, between)
        self._holes.pop(trade.number, None)
        self._newest_number = max(newest, trade.number)
        self.joined = True
        return bool(missing)
