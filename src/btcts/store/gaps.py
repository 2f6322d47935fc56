"""The ledger of minutes that nobody could serve, with the reason and the last try."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from btcts.store.link import Command, Link

REASONS = ("no_trades", "not_reached", "disagree", "providers_down", "polls_only")


@dataclass(frozen=True, slots=True)
class Gap:
    """Why a minute is not settled: `tries` requests were in vain, the last one at `tried_ms`."""

    reason: str
    tries: int
    tried_ms: int


def read(link: Link) -> dict[int, Gap]:
    """The ledger by minute."""
    return parse_gaps(link.ask("HGETALL", link.layout.gaps))


def write(link: Link, gaps: Mapping[int, Gap], *, forget: Iterable[int] = ()) -> None:
    """Enter or update gaps, and take out minutes that were settled or left the window."""
    key = link.layout.gaps
    commands: list[Command] = []
    if forgotten := [str(minute) for minute in forget]:
        commands.append(("HDEL", key, *forgotten))
    if gaps:
        entries = ((minute, json.dumps([gap.reason, gap.tries, gap.tried_ms])) for minute, gap in gaps.items())
        commands.append(("HSET", key, *(part for entry in entries for part in entry)))
    if commands:
        link.ask_all(commands)


def parse_gaps(fields: Mapping[str, str]) -> dict[int, Gap]:
    """The ledger from the fields of the hash; an entry that cannot be read counts as absent."""
    gaps = {}
    for minute, text in fields.items():
        try:
            reason, tries, tried_ms = json.loads(text)
            gaps[int(minute)] = Gap(str(reason), int(tries), int(tried_ms))
        except (ValueError, TypeError):
            continue
    return gaps
