"""The ledger of minutes that nobody could serve, with the reason and the last try."""

import json
from collections.abc import Iterable, Mapping
from itertools import chain

from btcts.model import Gap
from btcts.store.link import Link


def read(link: Link) -> dict[int, Gap]:
    """The ledger by minute."""
    return parse_gaps(link.ask("HGETALL", link.layout.gaps))


def write(link: Link, gaps: Mapping[int, Gap], *, forget: Iterable[int] = ()) -> None:
    """Enter or update gaps, and take out minutes that were settled or left the window."""
    if forgotten := list(forget):
        link.ask("HDEL", link.layout.gaps, *forgotten)
    if gaps:
        entries = ((minute, _entry(gap)) for minute, gap in gaps.items())
        link.ask("HSET", link.layout.gaps, *chain.from_iterable(entries))


def parse_gaps(fields: Mapping[str, str]) -> dict[int, Gap]:
    """The ledger from the fields of the hash; an entry that cannot be read counts as absent."""
    gaps = {}
    for minute, text in fields.items():
        try:
            reason, tries, tried_ms, heard = json.loads(text)
            gaps[int(minute)] = Gap(str(reason), int(tries), int(tried_ms), tuple(map(str, heard)))
        except (ValueError, TypeError):
            continue
    return gaps


def _entry(gap: Gap) -> str:
    return json.dumps((gap.reason, gap.tries, gap.tried_ms, gap.heard))
