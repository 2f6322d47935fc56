"""Find the minutes that are settled: for readers by their marks, for writers by their whole candles.

Readers ask for the coverage of a snapshot, in ranges. Of each hour before the previous one they ask for two numbers,
since such hours are mostly settled as a whole; those that are not are asked for minute by minute in a second round
trip. Writers run a script that looks for candles inside Redis, and so need the right to run scripts.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from btcts.domain.candles import minute_of, settled_stamp
from btcts.domain.layout import HOUR, TICK_RETENTION_MS, Layout
from btcts.domain.model import HOUR_MS, MINUTE_MS, NO_TRADES, Gap, Span
from btcts.store.link import Command, Link, call_script
from btcts.store.ranges import Queries, Samples, ask, query_buckets, query_stamps

MINUTES_PER_HOUR = HOUR_MS // MINUTE_MS


class Claim(NamedTuple):
    """A claim that every minute from `since_ms` on is settled or within its bounds, and whether it holds `now`."""

    since_ms: int
    now: bool


@dataclass
class Coverage:
    """The minutes that hold ticks, those of them that are settled, and the ledger.

    `whole` are the hours that are settled as a whole; of all others, `present` are the minutes that hold ticks, and
    `marked` those of them that are settled. `opens` has the first price of a minute; of a whole hour perhaps of its
    first one alone. `changed` are hours that got ticks between the two round trips, so that their buckets may differ.
    """

    whole: set[int] = field(default_factory=set)
    present: set[int] = field(default_factory=set)
    marked: set[int] = field(default_factory=set)
    gaps: Mapping[int, Gap] = field(default_factory=dict)
    opens: dict[int, float] = field(default_factory=dict, compare=False)
    changed: set[int] = field(default_factory=set)

    @property
    def settled(self) -> set[int]:
        """The minutes that are settled."""
        return self.marked.union(*map(_minutes_of, self.whole))

    def find_open(self, minutes: range) -> float | None:
        """Return the first price of these minutes, None where there is none."""
        return next((self.opens[minute] for minute in minutes if minute in self.opens), None)

    def summarize(self, minutes: range, claim: Claim | None) -> tuple[bool, int, str | None, bool]:
        """Return whether those of the minutes that hold ticks are settled, their number, why others are not, and exact.

        The minutes lie within one hour. The reason is the commonest one, if any is known. They are exact if their
        extremes are those of the trades: as settled, or as an append claims.
        """
        hour = minutes.start - minutes.start % HOUR_MS
        if hour in self.whole or self.marked.issuperset(minutes):
            return True, len(minutes), None, hour not in self.changed
        present = self.present.intersection(minutes)
        unsettled = [minute for minute in minutes if minute in self.gaps and minute not in self.marked]
        reasons = Counter(self.gaps[minute].reason for minute in unsettled).most_common(1) if unsettled else []
        exact = hour not in self.changed and self._is_exact(minutes, claim)
        return bool(present) and present <= self.marked, len(present), reasons[0][0] if reasons else None, exact

    def _is_exact(self, minutes: range, claim: Claim | None) -> bool:
        """Tell whether each minute is settled, had no trades, or is within its bounds."""
        if claim and minutes.stop > claim.since_ms:
            if not claim.now:
                return False
            minutes = range(minutes.start, claim.since_ms, MINUTE_MS)
        return all(map(self._is_quiet, set(minutes) - self.marked))

    def _is_quiet(self, minute: int) -> bool:
        """Tell whether a minute had no trades, and holds no price either."""
        return minute not in self.present and minute in self.gaps and self.gaps[minute].reason == NO_TRADES


class WholeHours:
    """Hours that were settled as a whole when a reader last looked, so that it need not ask again.

    They still are while the number of their ticks is the same and nothing was rebuilt or removed: no append takes the
    mark of a minute away.
    """

    def __init__(self) -> None:
        self._ticks: Samples = {}
        self._swept: object = None

    def __contains__(self, hour: int) -> bool:
        return hour in self._ticks

    def select(self, hours: Samples, marks: Mapping[int, int], swept: object) -> set[int]:
        """Return the whole ones of the hours, given their ticks, their marks, and the time of the last removal."""
        known = self._ticks if swept == self._swept else {}
        whole = {
            hour: ticks
            for hour, ticks in hours.items()
            if marks.get(hour) == MINUTES_PER_HOUR or known.get(hour) == ticks
        }
        oldest = max(hours, default=0) - TICK_RETENTION_MS
        self._ticks = {hour: ticks for hour, ticks in known.items() if hour >= oldest and hour not in hours} | whole
        self._swept = swept
        return set(whole)


def query_coverage(layout: Layout, span: Span, *, at_ms: int | None, whole_hours: WholeHours) -> Queries:
    """Return the queries for the minutes of a span, whose end is the present or the moment `at_ms` of the past."""
    first = HOUR.start_of(span.start_ms)
    recent = max(first, HOUR.start_of(span.end_ms - 2 * MINUTE_MS) - HOUR_MS)
    queries: Queries = {}
    if recent > first:
        queries["hours"] = query_buckets(layout, first, recent - 1, "count", HOUR_MS)
        queries["opens of hours"] = query_buckets(layout, first, recent - 1, "first", HOUR_MS)
        asked = [hour for hour in range(first, recent, HOUR_MS) if hour not in whole_hours]
        for number, query in enumerate(_query_marks(layout, [_minutes_of(hour) for hour in asked])):
            queries[f"marks by hour {number}"] = (*query, "AGGREGATION", "count", HOUR_MS)
    return queries | _query_minutes(layout, Span(recent, span.end_ms), last_ms=at_ms)


def read_coverage(
    link: Link, replies: Mapping[str, Any], gaps: Mapping[int, Gap], whole_hours: WholeHours, swept: object
) -> Coverage:
    """Return the coverage, asking once more for the minutes of older hours that are not settled as a whole."""
    coverage = Coverage(gaps=gaps, opens=dict(replies.get("opens of hours", {})))
    _add_minutes(coverage, replies)
    marks: Counter[int] = Counter()
    for name, samples in replies.items():
        if name.startswith("marks by hour "):  # a query may end within an hour
            marks.update({hour: int(count) for hour, count in samples.items()})
    hours: Samples = replies.get("hours", {})
    coverage.whole = whole_hours.select(hours, marks, swept)
    queries: Queries = {}
    for hour in hours.keys() - coverage.whole:
        span = Span(hour, hour + HOUR_MS)
        queries |= _query_minutes(link.layout, span, last_ms=span.end_ms - 1)
    if queries:
        queries["hours"] = query_buckets(link.layout, min(hours), max(hours) + HOUR_MS - 1, "count", HOUR_MS)
        later = ask(link, queries, at_one_moment=True)
        _add_minutes(coverage, later)
        coverage.changed = {hour for hour, ticks in hours.items() if later["hours"].get(hour) != ticks}
    return coverage


def _minutes_of(hour: int) -> range:
    return Span(hour, hour + HOUR_MS).minutes()


def _query_minutes(layout: Layout, span: Span, *, last_ms: int | None) -> Queries:
    """Return the queries for the minutes of a span that are settled, and for the first prices until `last_ms`."""
    opens = query_buckets(layout, span.start_ms, last_ms, "first", MINUTE_MS)
    queries: Queries = {f"minutes from {span.start_ms}": opens}
    for number, query in enumerate(_query_marks(layout, [span.minutes()])):
        queries[f"marks from {span.start_ms} {number}"] = query
    return queries


def _add_minutes(coverage: Coverage, replies: Mapping[str, Any]) -> None:
    for name, samples in replies.items():
        if name.startswith("minutes from "):
            coverage.present.update(samples)
            coverage.opens.update(samples)
        elif name.startswith("marks from "):
            coverage.marked.update(map(minute_of, samples))


def _query_marks(layout: Layout, spans: Sequence[range]) -> Iterator[Command]:
    """Yield the queries for the marks of settled minutes in spans of minutes (ascending)."""
    return query_stamps(layout, [settled_stamp(minute) for minutes in spans for minute in minutes if minute >= 0])


def read_settled(link: Link, minutes: Iterable[int]) -> set[int]:
    """Return those of the minutes that have their whole candle.

    Retention that was too short takes the open first, an insertion filter takes any part.
    """
    wanted = {minute for minute in minutes if minute >= 0}
    return find_settled(wanted, link.ask(*query_survey(link.layout, wanted))) if wanted else set()


def query_survey(layout: Layout, minutes: Collection[int]) -> Command:
    """Return the command for the time, the newest tick, and the unsettled minutes from the first to the last of these.

    Where the key is not a series, every minute is unsettled.
    """
    return call_script("survey", [layout.tick], [min(minutes), max(minutes)])


def find_settled(minutes: Iterable[int], reply: Sequence[Any]) -> set[int]:
    """Return the settled ones of the minutes by the reply."""
    return set(minutes).difference(reply[2])
