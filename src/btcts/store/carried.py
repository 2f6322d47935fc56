"""The buckets that were carried over without their ticks, kept in two fields of the state hash.

`carried` has by key the starts of these buckets, `carried_until_ms` the end of the last one; only a rebuild may write a
tick before it. Anybody may have written them.
"""

import json
import re
from collections.abc import Mapping
from functools import partial

from btcts.domain.layout import Compaction, Layout
from btcts.domain.untrusted import GENESIS_MS, Unreadable, excerpt, parse_json, read_fields, read_int, read_list
from btcts.store.link import Command

CARRIED_FIELD = "carried"
CARRIED_UNTIL_FIELD = "carried_until_ms"

Starts = Mapping[str, frozenset[int]]
"""By key, the starts of its buckets."""


def parse(layout: Layout, text: str | None) -> Starts:
    """Parse the buckets that the text of the field names.

    Raises:
        Unreadable: it is not what `record` stores.
    """
    if text is None:
        return {}
    readers = {compaction.key: partial(_read_starts, compaction=compaction) for compaction in layout.compactions}
    return read_fields(parse_json(text), readers)


def parse_leniently(layout: Layout, text: str | None) -> Starts:
    """Parse the buckets that the text of the field names; return none where it cannot be read."""
    try:
        return parse(layout, text)
    except Unreadable:
        return {}


def find_without_ticks(layout: Layout, closed: Mapping[str, Mapping[int, float]], ticks: Mapping[int, float]) -> Starts:
    """Return the closed buckets without any tick: they must have been carried over."""
    found = {}
    for compaction in layout.compactions:
        made = {compaction.resolution.start_of(time_ms) for time_ms in ticks}
        found[compaction.key] = frozenset(closed.get(compaction.key, {})) - made
    return found


def end_of(layout: Layout, starts: Starts) -> int:
    """Return the end of the last bucket, 0 without any."""
    ends = (
        start + compaction.resolution.bucket_ms
        for compaction in layout.compactions
        for start in starts.get(compaction.key, ())
    )
    return max(ends, default=0)


def record(layout: Layout, carried: Mapping[str, Mapping[int, float]]) -> Command:
    """Return the command that records the carried buckets, or clears the record when there are none."""
    starts = {key: frozenset(samples) for key, samples in carried.items() if samples}
    if not starts:
        return ("HDEL", layout.state, CARRIED_UNTIL_FIELD, CARRIED_FIELD)
    text = json.dumps({key: sorted(found) for key, found in starts.items()})
    return ("HSET", layout.state, CARRIED_UNTIL_FIELD, end_of(layout, starts), CARRIED_FIELD, text)


def remove_prefix(layout: Layout, text: str) -> str:
    """Return the text of the field with the names of the keys behind the prefix, as for another store."""
    return text.replace(f'"{layout.prefix}:', '"')


def add_prefix(layout: Layout, text: str) -> str:
    """Return the text of the field with the keys of a layout, given their names behind the prefix."""
    return re.sub('"([^"]*)"', lambda name: f'"{layout.prefix}:{name[1]}"', text)


def _read_starts(value: object, compaction: Compaction) -> frozenset[int]:
    """Read the starts of closed buckets; there may be more of them than are retained now."""
    starts = read_list(value, partial(read_int, least=GENESIS_MS), most=2 * compaction.resolution.entries)
    if any(start % compaction.resolution.bucket_ms for start in starts):
        raise Unreadable(f"{excerpt(value)} are not starts of buckets")
    return frozenset(starts)
