"""Settled minutes as writers see them: those that have their whole candle, found inside Redis."""

from collections.abc import Collection, Iterable
from typing import Any

from btcts.store.link import Command, Link, call_script


def settled(link: Link, minutes: Iterable[int]) -> set[int]:
    """Return those of the minutes that are settled and have their whole candle.

    Retention that was too short takes the open first, an insertion filter takes any part.
    """
    wanted = {minute for minute in minutes if minute >= 0}
    return find_settled(wanted, link.ask(*query_survey(link.layout.tick, wanted))) if wanted else set()


def query_survey(tick: str, minutes: Collection[int]) -> Command:
    """Return the command for the time, the newest tick, and the unsettled minutes from the first to the last of these.

    Unlike other reads it takes the right to run scripts. Where the key is not a series, every minute is unsettled.
    """
    return call_script("survey", [tick], [min(minutes), max(minutes)])


def find_settled(minutes: Iterable[int], reply: Any) -> set[int]:
    """Return the settled ones of the minutes by the reply."""
    return set(minutes).difference(reply[2])
