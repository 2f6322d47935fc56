"""Which minutes to ask candles for, when to ask again, and why a minute stays unsettled (pure)."""

import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from btcts.agreement import AgreedCandles
from btcts.layout import window
from btcts.model import CLOSED_FOR_MS, MINUTE_MS, Candles, Gap, Span

BRIDGE_MS = 300 * MINUTE_MS
"""Minutes closer than the smallest page of a provider (Coinbase: 300 candles) are asked for in one go."""

FIRST_RETRY_MS = MINUTE_MS
LAST_RETRY_MS = 15 * MINUTE_MS

REREAD_AFTER_MS = 2 * MINUTE_MS
REREAD_WITHIN_MS = 15 * MINUTE_MS
"""An exchange may correct a candle shortly after its minute: each is looked at once more, so long after its end."""


def closed_minutes(now_ms: int) -> range:
    """The minutes of the window whose candles are final at `now_ms`."""
    return Span(window(now_ms).start_ms, max(window(now_ms).start_ms, now_ms - CLOSED_FOR_MS)).minutes()


def due(
    minutes: Iterable[int], gaps: Mapping[int, Gap], now_ms: int, *, salt: int, able: Mapping[str, bool]
) -> list[int]:
    """Those of the unsettled minutes that are worth a request now, ascending.

    `able` are the providers that can be asked for candles, and whether each answered when it was last asked for a
    price. A minute for which all of them were heard waits twice as long after each try, from one minute up to 15,
    less up to half of that by chance; `salt` differs between collectors, so that they do not ask in step. One for
    which some were not heard waits a minute at most, goes along with any other, and is due at once where nobody
    was heard and prices do come.
    """
    minutes = list(minutes)
    answering = any(able.values())

    def is_due(minute: int) -> bool:
        gap = gaps.get(minute)
        if gap is None:
            return True
        if answering and not gap.heard:
            return True
        doublings = 0 if able.keys() - gap.heard else min(gap.tries - 1, 10)
        wait_ms = min(FIRST_RETRY_MS << doublings, LAST_RETRY_MS)
        chance = random.Random(hash((salt, minute, gap.tries))).uniform(0.5, 1)
        return not 0 <= now_ms - gap.tried_ms < wait_ms * chance  # tried in the future: the clock was set back

    found = {minute for minute in minutes if is_due(minute)}
    if found:
        found |= {minute for minute in minutes if minute in gaps and able.keys() - gaps[minute].heard}
    return sorted(found)


def revived(minutes: Iterable[int], gaps: Mapping[int, Gap], back: Collection[str]) -> list[int]:
    """Those of the minutes for which a provider that is `back` was not heard: a success ends every wait; ascending."""
    return sorted(minute for minute in minutes if minute in gaps and not set(back) <= set(gaps[minute].heard))


def rereads(unsettled: Collection[int], since_ms: int | None, now_ms: int) -> list[int]:
    """The settled minutes that are looked at once more, ascending: from `since_ms` on (None: none of the past)."""
    last_ms = reread_until(now_ms)
    known = since_ms is not None and since_ms <= last_ms
    first_ms = max(since_ms or 0, now_ms - REREAD_WITHIN_MS) if known else last_ms - MINUTE_MS
    return [minute for minute in Span(first_ms, last_ms).minutes() if minute not in unsettled]


def reread_until(now_ms: int) -> int:
    """The end of the newest minute that is old enough to be looked at once more."""
    return (now_ms - REREAD_AFTER_MS) // MINUTE_MS * MINUTE_MS


def spans_to_ask(minutes: Sequence[int]) -> list[Span]:
    """Spans that hold all the minutes (ascending), with as few requests as the smallest page allows."""
    spans: list[Span] = []
    for minute in minutes:
        if spans and minute - spans[-1].end_ms < BRIDGE_MS:
            spans[-1] = Span(spans[-1].start_ms, minute + MINUTE_MS)
        else:
            spans.append(Span(minute, minute + MINUTE_MS))
    return spans


def unserved(
    minutes: Iterable[int], answers: Sequence[Candles], agreed: AgreedCandles, *, now_ms: int, offered: bool
) -> dict[int, Gap]:
    """The minutes that were asked for and stay unsettled, each with its reason; `tries` is 1.

    `offered` says whether any provider has candles at all; no answer then means that each failed or had to wait.
    """
    heard = tuple(sorted({each.provider for each in answers}))

    def reason(minute: int) -> str:
        if not answers:
            return "providers_down" if offered else "polls_only"
        if minute in agreed.disputed:
            return "disagree"
        return "no_trades" if minute in agreed.no_trades else "not_reached"

    return {minute: Gap(reason(minute), 1, now_ms, heard) for minute in minutes}


def again(found: Mapping[int, Gap], known: Mapping[int, Gap]) -> dict[int, Gap]:
    """The gaps found now, with the tries of those that were known counted on."""
    return {
        minute: replace(gap, tries=known[minute].tries + 1) if minute in known else gap for minute, gap in found.items()
    }
