"""Find and remove buckets that are past retention or in the future, and find keys that are not ours; ticks stay.

Retention counts from the newest sample: a feed that died keeps its old buckets for ever, and a bucket that starts in
the future hides those that are kept. A clock that was ahead makes the removal take too much; so the time of the newest
one is remembered, and a clock that is behind it shows that a rebuild is due.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from btcts.domain.layout import Compaction, Layout
from btcts.errors import ForeignKey
from btcts.store.link import Command, Link, now_of
from btcts.store.ranges import read_samples

SWEPT_FIELD = "swept_ms"

ADOPTED_SUFFIX = ":before-btcts"


@dataclass(frozen=True, slots=True)
class Excess:
    """The buckets of one compaction that start from `first_ms` to `last_ms`: too old, or in the future."""

    key: str
    count: int
    first_ms: int
    last_ms: int
    future: bool


def find(link: Link) -> tuple[Excess, ...]:
    """Find the buckets that should be gone by now, the finest resolution first."""
    compactions = link.layout.compactions
    time, *replies = link.ask_all([("TIME",), *(("TS.RANGE", compaction.key, "-", "+") for compaction in compactions)])
    now_ms = link.clock.observe(now_of(time))
    return tuple(
        excess
        for compaction, reply in zip(compactions, replies, strict=True)
        for excess in find_excess(compaction, read_samples(reply), now_ms)
    )


def find_excess(compaction: Compaction, starts: Iterable[int], now_ms: int) -> list[Excess]:
    """Return the buckets that should be gone: those before the oldest kept one, and those that start after now."""
    oldest_ms = compaction.resolution.closed(now_ms).start_ms
    ordered = sorted(starts)
    sides = {
        False: [start for start in ordered if start < oldest_ms],
        True: [start for start in ordered if start > now_ms],
    }
    return [Excess(compaction.key, len(found), found[0], found[-1], future) for future, found in sides.items() if found]


def remove(link: Link, excess: Iterable[Excess]) -> None:
    """Delete those buckets, and older ones that Redis has not freed yet: they would show again without these."""
    deletions = [("TS.DEL", part.key, part.first_ms if part.future else 0, part.last_ms) for part in excess]
    if deletions:
        link.ask_all([record_sweep(link.layout, link.clock.now_ms()), *deletions])


def record_sweep(layout: Layout, now_ms: int) -> Command:
    """Return the command that records a removal by a clock that says `now_ms`."""
    return ("HSET", layout.state, SWEPT_FIELD, now_ms)


def find_unknown_keys(link: Link) -> tuple[str, ...]:
    """Return the keys under our prefix that are not in the layout, except those renamed by `adopt`."""
    layout = link.layout
    known = {*layout.series, layout.gaps, layout.state}
    pattern = re.sub(r"([*?\[\]\\])", r"\\\1", layout.prefix) + ":*"
    found = link.retry(lambda: set(link.client.scan_iter(match=pattern, count=1000)))
    return tuple(sorted(key for key in found - known if not key.endswith(ADOPTED_SUFFIX)))


def adopt(link: Link, foreign: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Rename the keys out of the way; return the old and new name of each.

    Raises:
        ForeignKey: a new name is taken; nothing was renamed.
    """
    names = [(key, key + ADOPTED_SUFFIX) for key in foreign]
    for key, name in names:
        if link.ask("EXISTS", name):
            raise ForeignKey(f"{key} cannot be renamed: {name} exists already; rename or delete one of them")
    return tuple((key, name) for key, name in names if link.ask("RENAMENX", key, name))
