"""Which minutes to ask candles for, when to ask again, and why a minute stays unsettled (pure)."""

import random
from collections.abc import Iterable, Mapping, Sequence

from btcts.agreement import AgreedCandles
from btcts.layout import window
from btcts.model import MINUTE_MS, Candles, Gap, Span

CLOSED_FOR_MS = 5_000
"""How long a minute must be over before its candle counts as final."""

BRIDGE_MS = 300 * MINUTE_MS
"""Minutes closer than the smallest page of a provider (Coinbase: 300 candles) are asked for in one go."""

FIRST_RETRY_MS = MINUTE_MS
LAST_RETRY_MS = 15 * MINUTE_MS


def closed_minutes(now_ms: int) -> range:
    """The minutes of the window whose candles are final at `now_ms`."""
    return Span(window(now_ms).start_ms, max(window(now_ms).start_ms, now_ms - CLOSED_FOR_MS)).minutes()


def due(minutes: Iterable[int], gaps: Mapping[int, Gap], now_ms: int, *, salt: int) -> list[int]:
    """Those of the unsettled minutes that are worth a request now, ascending.

    A minute that was asked for in vain waits twice as long after each try, from one minute up to 15, less up to
    half of that by chance; `salt` differs between collectors, so that they do not ask in step.
    """

    def is_due(minute: int) -> bool:
        gap = gaps.get(minute)
        if gap is None:
            return True
        wait_ms = min(FIRST_RETRY_MS << min(gap.tries - 1, 10), LAST_RETRY_MS)
        chance = random.Random(hash((salt, minute, gap.tries))).uniform(0.5, 1)
        return now_ms - gap.tried_ms >= wait_ms * chance

    return sorted(filter(is_due, minutes))


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

    def reason(minute: int) -> str:
        if not answers:
            return "providers_down" if offered else "polls_only"
        if minute in agreed.disputed:
            return "disagree"
        return "no_trades" if minute in agreed.no_trades else "not_reached"

    return {minute: Gap(reason(minute), 1, now_ms) for minute in minutes}


def again(found: Mapping[int, Gap], known: Mapping[int, Gap]) -> dict[int, Gap]:
    """The gaps found now, with the tries of those that were known counted on."""
    return {
        minute: Gap(gap.reason, known[minute].tries + 1, gap.tried_ms) if minute in known else gap
        for minute, gap in found.items()
    }
