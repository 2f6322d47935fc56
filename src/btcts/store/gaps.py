"""The ledger of minutes that no provider could serve, and of those to look at again, with the reason and the last try.

Anybody may have written it: an entry that breaks the types or bounds of `_make_readers` counts as absent.
"""

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache, partial
from itertools import chain

from btcts.domain.model import DAY_MS, LOOKS, MINUTE_MS, REASONS, Gap
from btcts.domain.untrusted import (
    GENESIS_MS,
    Reader,
    Unreadable,
    excerpt,
    parse_json,
    read_choice,
    read_fields,
    read_int,
    read_names,
)
from btcts.store.link import FIELDS_AT_ONCE, Link

LONGEST_MINUTE = 15
"""Digits of a time in ms, and some more."""

REQUIRED = 3
"""The number of items of an entry without a default."""

MOST_REMEMBERED = 2048
"""Entries that are kept as parsed; a window has up to 1 500 minutes, and a collector reads all of them each cycle."""


@lru_cache(maxsize=2)
def _make_readers(until_ms: int) -> dict[str, Reader]:
    """Return the reader of each field of a `Gap`, in the order of the items of an entry."""
    return {
        "reason": partial(read_choice, choices=REASONS + LOOKS),
        "tries": partial(read_int, least=1, most=1_000_000),
        "tried_ms": partial(read_int, most=until_ms),
        "heard": read_names,
        "changes": partial(read_int, most=1_000_000),
    }


def write(link: Link, gaps: Mapping[int, Gap], forget: Iterable[int]) -> None:
    """Enter or update gaps, and take out minutes that were settled or left the window."""
    link.remove_fields(link.layout.gaps, tuple(map(str, forget)))
    entries = [(minute, _format_entry(gap)) for minute, gap in gaps.items()]
    for start in range(0, len(entries), FIELDS_AT_ONCE):
        link.ask("HSET", link.layout.gaps, *chain.from_iterable(entries[start : start + FIELDS_AT_ONCE]))


def parse_gaps(fields: Mapping[str, str], now_ms: int) -> dict[int, Gap]:
    """Parse the ledger from the fields of the hash; an entry that cannot be read counts as absent."""
    return examine(fields, now_ms)[0]


def examine(fields: Mapping[str, str], now_ms: int) -> tuple[dict[int, Gap], dict[str, str]]:
    """Parse the ledger from the fields of the hash; return it and the problem of each unreadable field."""
    gaps: dict[int, Gap] = {}
    unreadable: dict[str, str] = {}
    until_ms = (now_ms // DAY_MS + 2) * DAY_MS  # a clock that was set back is no damage
    for name, text in fields.items():
        try:
            minute, gap = _parse_entry(name, text, until_ms)
            gaps[minute] = gap
        except Unreadable as exc:
            unreadable[name] = str(exc)
    return gaps, unreadable


@lru_cache(maxsize=MOST_REMEMBERED)
def _parse_entry(name: str, text: str, until_ms: int) -> tuple[int, Gap]:
    minute, entry, readers = _read_minute(name, until_ms), parse_json(text), _make_readers(until_ms)
    if not isinstance(entry, list) or len(entry) < REQUIRED:
        raise Unreadable(f"{excerpt(entry)} is not an entry of a ledger")
    named = dict(zip(readers, entry, strict=False))  # a later version may have more items, an earlier one had fewer
    return minute, Gap(**read_fields(named, readers))


def _read_minute(text: str, until_ms: int) -> int:
    minute = int(text) if text.isdecimal() and len(text) < LONGEST_MINUTE else 0
    if str(minute) != text or minute % MINUTE_MS or not GENESIS_MS <= minute <= until_ms:
        raise Unreadable(f"{excerpt(text)} is not the start of a minute")
    return minute


def _format_entry(gap: Gap) -> str:
    return json.dumps([getattr(gap, name) for name in _make_readers(0)])
