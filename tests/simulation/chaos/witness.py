"""Knows what each collector with streams was told, and finds claims of exact slots that this does not bear out."""

import math
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from statistics import median
from typing import NamedTuple

from btcts.domain.model import Slot
from btcts.domain.trades import NS_PER_MS, Arrival, StreamEvent
from btcts.store.reads import Snapshot
from simulation.chaos.floor import Floor
from support import oracle
from support.exchanges import Market, Traded
from support.series import MINUTE

ALIVE_MS = 5_000
KEPT = 3
"""Minutes before the running one that may be within bounds."""

LASTING = 80
"""Moments that are remembered: a claim lasts for 12 s after the tick that it stands on."""

LENGTH = {name: length for name, (length, _) in oracle.KEPT.items()}

Range = tuple[float, float]


@dataclass
class Known:
    """The first trades of a minute, in the order in which the exchange told of them: their count and their range."""

    count: int = 0
    low: float = math.inf
    high: float = 0.0

    def extend(self, reported: Sequence[tuple[int, float]], told: Collection[int]) -> None:
        """Add those after them up to the first one that was not told."""
        while self.count < len(reported) and reported[self.count][0] in told:
            price = reported[self.count][1]
            self.count, self.low, self.high = self.count + 1, min(self.low, price), max(self.high, price)


@dataclass
class Witness:
    """What the collector of one process was told of the exchanges, by provider, minute and number."""

    floors: Mapping[str, Floor]
    told: dict[tuple[str, int], set[int]] = field(default_factory=lambda: defaultdict(set))
    heard_ms: dict[str, int] = field(default_factory=dict)
    known: dict[tuple[str, int], Known] = field(default_factory=lambda: defaultdict(Known))

    def note(self, provider: str, event: StreamEvent) -> None:
        """Take note of what the collector takes in; trades that never took place are left out."""
        if not isinstance(event, Arrival):
            return
        floor = self.floors[provider]
        self.heard_ms[provider] = floor.at_ms
        for trade in event.frame.trades:
            minute = trade.time_ns // NS_PER_MS // MINUTE * MINUTE
            if (minute, trade.number) in floor.numbers:
                self.told[provider, minute].add(trade.number)

    def find_ranges(self, minute: int) -> list[Range]:
        """Return the ranges of a minute by the providers of which nothing is missing, and that were just heard."""
        ranges = []
        for name, floor in self.floors.items():
            told, known = self.told[name, minute], self.known[name, minute]
            known.extend(floor.reported.get(minute, ()), told)
            fresh = floor.at_ms - self.heard_ms.get(name, 0) <= ALIVE_MS
            if told and fresh and known.count == len(told):
                ranges.append((known.low, known.high))
        return ranges


class View(NamedTuple):
    """The store as a reader sees it: the ticks from `first_ms` on by minute and offset."""

    snapshot: Snapshot
    first_ms: int
    minutes: Mapping[int, Mapping[int, float]]

    @property
    def newest_ms(self) -> int:
        """The time of the newest tick."""
        return self.snapshot.newest.time_ms if self.snapshot.newest else 0


def view(snapshot: Snapshot, first_ms: int, ticks: Mapping[int, float]) -> View:
    """Return the view of a snapshot, and of all ticks from `first_ms` on."""
    minutes: dict[int, dict[int, float]] = {}
    for stamp, price in ticks.items():
        minutes.setdefault(stamp // MINUTE * MINUTE, {})[stamp % MINUTE] = price
    return View(snapshot, first_ms, minutes)


def find_wrong(view: View, find_candle: Callable[[int], Traded | None]) -> Iterator[str]:
    """Tell of each minute that is settled with another candle than that of its trades."""
    for minute, found in view.minutes.items():
        if MINUTE - 1 in found:
            candle, stored = find_candle(minute), tuple(found.get(offset) for offset in oracle.OF_A_CANDLE)
            if candle is None or stored != (candle.open, candle.low, candle.high, candle.close):
                yield f"{minute} was settled with {stored}, not {candle}"


@dataclass
class Claims:
    """Claims that slots are exact, against what was known at the moment of the newest tick.

    Bounds are made of `least` tapes. `checked` counts the minutes within bounds that claims were about.
    """

    market: Market
    least: int
    checked: int = 0
    known: deque[tuple[int, Mapping[int, list[list[Range]]]]] = field(default_factory=lambda: deque(maxlen=LASTING))

    def note(self, now_ms: int, witnesses: Sequence[Witness]) -> None:
        """Remember what is known at a moment of the clock."""
        running = now_ms // MINUTE * MINUTE
        minutes = range(running - KEPT * MINUTE, running + MINUTE, MINUTE)
        self.known.append((now_ms, {minute: [each.find_ranges(minute) for each in witnesses] for minute in minutes}))

    def judge(self, view: View) -> Iterator[str]:
        """Tell of each exact slot whose minimum or maximum is not that of what was known."""
        for name, slots in view.snapshot.slots.items():
            for slot in slots[-2:]:
                if slot.exact and slot.start_ms >= view.first_ms:
                    yield from (f"{name} {slot.start_ms}: {problem}" for problem in self._judge(view, name, slot))

    def _judge(self, view: View, name: str, slot: Slot) -> Iterator[str]:
        prices: list[float] = []
        for minute in range(slot.start_ms, min(slot.start_ms + LENGTH[name], view.snapshot.now_ms + 1), MINUTE):
            found = view.minutes.get(minute, {})
            prices += found.values()
            claimed = min(found.values(), default=0.0), max(found.values(), default=0.0)
            if MINUTE - 1 in found:
                if claimed != (found.get(20_000), found.get(40_000)):
                    yield f"{minute} leaves its candle"
            elif not found:
                if self.market.candle(minute) is not None:
                    yield f"nothing of {minute}"
            elif not self._is_known(view.newest_ms, minute, claimed):
                yield f"{minute} is {claimed} by {view.newest_ms}, not {self._find(view.newest_ms, minute)}"
        if (slot.min, slot.max) != (min(prices, default=None), max(prices, default=None)):
            yield f"{slot.min}, {slot.max} are not those of its ticks"

    def _find(self, newest_ms: int, minute: int) -> list[list[Range]]:
        """Return what each collector knew of a minute about that time, a millisecond or two earlier."""
        return [
            ranges
            for now_ms, known in self.known
            if newest_ms - 3 <= now_ms < newest_ms + 1_000
            for ranges in known.get(minute, [])
        ]

    def _is_known(self, newest_ms: int, minute: int, claimed: Range) -> bool:
        self.checked += 1
        return any(
            (median(low for low, _ in some), median(high for _, high in some)) == claimed
            for ranges in self._find(newest_ms, minute)
            for count in range(self.least, len(ranges) + 1)
            for some in combinations(ranges, count)
        )
