"""Coverage of a snapshot: the minutes that hold ticks, and those of them that are settled.

Of each hour before the previous one it asks for two numbers, since such hours are mostly settled as a whole; those that
are not are asked for minute by minute in a second round trip.
"""

from collections import Counter
from collections.abc import Iterator, KeysView, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from btcts.domain.candles import minute_of, settled_stamp
from btcts.domain.layout import HOUR, TICK_RETENTION_MS, Layout
from btcts.domain.model import MINUTE_MS, Gap, Span
from btcts.store.link import Command, Link
from btcts.store.ranges import Queries, Samples, ask, query_buckets, query_stamps

MINUTES_PER_HOUR = HOUR.bucket_ms // MINUTE_MS


@dataclass
class Coverage:
    """The minutes that hold ticks, those of them that are settled, and the ledger."""

    present: set[int] = field(default_factory=set)
    settled: set[int] = field(default_factory=set)
    gaps: Mapping[int, Gap] = field(default_factory=dict)

    def add(self, more: "Coverage") -> None:
        """Add the minutes of another part."""
        self.present |= more.present
        self.settled |= more.settled

    def summarize(self, minutes: range) -> tuple[bool, int, str | None]:
        """Tell of these minutes whether all that hold ticks are settled, how many do, and why others are not settled.

        The reason is the commonest one, if any is known.
        """
        present = self.present.intersection(minutes)
        unsettled = [minute for minute in minutes if minute in self.gaps and minute not in self.settled]
        reasons = Counter(self.gaps[minute].reason for minute in unsettled).most_common(1) if unsettled else []
        return bool(present) and present <= self.settled, len(present), reasons[0][0] if reasons else None


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

    def select(self, hours: Samples, marks: Mapping[int, int], swept: object) -> KeysView[int]:
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
        return whole.keys()


def query_coverage(layout: Layout, span: Span, *, at_ms: int | None, known: WholeHours) -> Queries:
    """Return the queries for the minutes of a span, whose end is the present or the moment `at_ms` of the past."""
    first = HOUR.start_of(span.start_ms)
    recent = max(first, HOUR.start_of(span.end_ms) - HOUR.bucket_ms)
    queries: Queries = {}
    if recent > first:
        queries["hours"] = query_buckets(layout, first, recent - 1, "count", HOUR.bucket_ms)
        asked = [hour for hour in range(first, recent, HOUR.bucket_ms) if hour not in known]
        for number, query in enumerate(_query_marks(layout, [_minutes_of(hour) for hour in asked])):
            queries[f"marks by hour {number}"] = (*query, "AGGREGATION", "count", HOUR.bucket_ms)
    return queries | _query_minutes(layout, Span(recent, span.end_ms), last_ms=at_ms)


def read_coverage(
    link: Link, replies: Mapping[str, Any], gaps: Mapping[int, Gap], known: WholeHours, swept: object
) -> Coverage:
    """Return the coverage, asking once more for the minutes of older hours that are not settled as a whole."""
    coverage = Coverage(gaps=gaps)
    coverage.add(_read_minutes(replies))
    marks: Counter[int] = Counter()
    for name, samples in replies.items():
        if name.startswith("marks by hour "):  # a query may end within an hour
            marks.update({hour: int(count) for hour, count in samples.items()})
    hours: Samples = replies.get("hours", {})
    whole = known.select(hours, marks, swept)
    for hour in whole:
        coverage.present.update(_minutes_of(hour))
        coverage.settled.update(_minutes_of(hour))
    queries: Queries = {}
    for hour in hours.keys() - whole:
        span = Span(hour, hour + HOUR.bucket_ms)
        queries |= _query_minutes(link.layout, span, last_ms=span.end_ms - 1)
    if queries:
        coverage.add(_read_minutes(ask(link, queries)))
    return coverage


def _minutes_of(hour: int) -> range:
    return Span(hour, hour + HOUR.bucket_ms).minutes()


def _query_minutes(layout: Layout, span: Span, *, last_ms: int | None) -> Queries:
    """Return the queries for the minutes of a span that are settled, and for those that hold ticks until `last_ms`."""
    present = query_buckets(layout, span.start_ms, last_ms, "count", MINUTE_MS)
    queries: Queries = {f"minutes from {span.start_ms}": present}
    for number, query in enumerate(_query_marks(layout, [span.minutes()])):
        queries[f"marks from {span.start_ms} {number}"] = query
    return queries


def _read_minutes(replies: Mapping[str, Any]) -> Coverage:
    coverage = Coverage()
    for name, samples in replies.items():
        if name.startswith("minutes from "):
            coverage.present.update(samples)
        elif name.startswith("marks from "):
            coverage.settled.update(map(minute_of, samples))
    return coverage


def _query_marks(layout: Layout, spans: Sequence[range]) -> Iterator[Command]:
    """Yield the queries for the marks of settled minutes in spans of minutes (ascending)."""
    return query_stamps(layout, [settled_stamp(minute) for minutes in spans for minute in minutes if minute >= 0])
