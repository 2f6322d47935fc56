"""Choose the minutes to request candles for and the time of the next try; give the reason of each gap (pure)."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from btcts.domain.candle_agreement import AgreedCandles, Reach
from btcts.domain.layout import window
from btcts.domain.model import (
    CLOSED_FOR_MS,
    CORRECTED,
    DISAGREE,
    HOUR_MS,
    LOOKS,
    MINUTE_MS,
    NO_TRADES,
    SPARSE,
    THIN,
    Candles,
    Gap,
    Span,
)

BRIDGE_MS = 300 * MINUTE_MS
"""Minutes closer than the smallest page of a provider (Coinbase: 300 candles) share one request."""

FIRST_RETRY_MS = MINUTE_MS
LAST_RETRY_MS = 15 * MINUTE_MS

REREAD_FOR_MS = 6 * MINUTE_MS
"""An exchange may correct a candle shortly after its minute, so minutes this recent join every request."""

SPARING_MS = 10 * MINUTE_MS
"""Time between two questions to a provider with bulky answers, while the others agree on each new minute."""

REREAD_WITHIN_MS = 4 * HOUR_MS
"""Maximum age of minutes that are read again because collectors or providers were away."""

PROBED = 10
"""Minutes that are asked for again while nobody has candles."""

QUARTER_MS = 15 * MINUTE_MS
"""A thin minute younger than this joins any request; an older one is requested once per quarter of an hour. A sparse
one is requested after 1, 2, 4, ... quarters."""

RETURN_MS = 6 * HOUR_MS
"""Maximum age of the settled minutes that are revised when a provider comes back."""

LOOK_AFTER_MS = (5 * MINUTE_MS, 30 * MINUTE_MS)
"""Delays between a correction and the further looks at its minute."""


class Able(NamedTuple):
    """A provider that can be asked for candles: their reach, and whether its last price request succeeded."""

    reach_ms: int
    answers: bool


Ables = Mapping[str, Able]


def closed_minutes(now_ms: int) -> range:
    """Return the minutes of the window whose candles are final at `now_ms`."""
    return Span(window(now_ms).start_ms, max(window(now_ms).start_ms, now_ms - CLOSED_FOR_MS)).minutes()


def find_due(minutes: Iterable[int], gaps: Mapping[int, Gap], now_ms: int, *, salt: int, able: Ables) -> list[int]:
    """Return the unsettled minutes that are due for a request, ascending.

    If all `able` providers that reach a minute were heard, its wait doubles after each try, from 1 to 15 minutes, less
    a random part of up to half; `salt` differs between collectors, so that they do not ask in step. If some were not
    heard, it waits at most a minute and joins any other request; it is due at once if nobody was heard and prices
    arrive.
    """
    minutes = list(minutes)
    answering = any(provider.answers for provider in able.values())

    def is_due(minute: int) -> bool:
        gap = gaps.get(minute)
        if gap is None or gap.reason in LOOKS or (answering and not gap.heard):
            return True
        doublings = 0 if _find_unheard(minute, gap, able, now_ms) else min(gap.tries - 1, 10)
        wait_ms = min(FIRST_RETRY_MS << doublings, LAST_RETRY_MS)
        chance = 0.5 + hash((salt, minute, gap.tries)) % 1024 / 2048
        return not 0 <= now_ms - gap.tried_ms < wait_ms * chance  # a try in the future: the clock was set back

    found = {minute for minute in minutes if is_due(minute)}
    if found:
        found |= {minute for minute in minutes if minute in gaps and _find_unheard(minute, gaps[minute], able, now_ms)}
    return sorted(found)


def choose_probe(minutes: Sequence[int], gaps: Mapping[int, Gap]) -> list[int]:
    """Return those of the minutes (ascending) to ask for while nobody has candles: the latest, and unknown ones.

    So a long outage makes no request longer; the others follow as soon as anybody answers.
    """
    return [minute for minute in minutes[:-PROBED] if minute not in gaps] + list(minutes[-PROBED:])


def find_revived(minutes: Iterable[int], gaps: Mapping[int, Gap], back: Collection[str]) -> list[int]:
    """Return the gaps for which a provider that is `back` was not heard, ascending: its return ends their waits."""
    return sorted(minute for minute in minutes if minute in gaps and not set(back) <= set(gaps[minute].heard))


def find_looks(gaps: Mapping[int, Gap], now_ms: int, *, able: Ables) -> list[int]:
    """Return the settled minutes of the ledger that are due for another look, ascending.

    A thin minute is due while a provider that answers for prices was not heard: with any request in its first quarter
    of an hour, then once per quarter, so that all share one request. A sparse one is due after waits that double from a
    quarter on, a corrected one after `LOOK_AFTER_MS`.
    """

    def is_due(minute: int, gap: Gap) -> bool:
        if gap.reason == CORRECTED:
            return is_look_due(gap, now_ms)
        if gap.reason == SPARSE:
            return is_quarter_over(gap, now_ms, quarters=1 << min(gap.tries - 1, 10))
        if not any(able[name].answers for name in _find_unheard(minute, gap, able, now_ms)):
            return False
        return now_ms - minute < QUARTER_MS or is_quarter_over(gap, now_ms)

    return sorted(minute for minute, gap in gaps.items() if gap.reason in LOOKS and is_due(minute, gap))


def find_missed(gaps: Mapping[int, Gap], now_ms: int, *, back: Mapping[str, int | None], able: Ables) -> list[int]:
    """Return the settled minutes that providers may change after their return, ascending.

    `back` gives the time since when each was away. Included are minutes that were read again since then, or for which
    it had not been asked by then, as far as its candles reach; thin minutes if any `able` provider was not heard, as
    those that made a thin candle must be heard again beside others, and some may not reach back that far any more; and
    sparse ones whose trades the provider has denied since then, as something may have been wrong with it.
    """
    if not back:
        return []
    found = {minute for minute, gap in gaps.items() if gap.reason == THIN and _find_unheard(minute, gap, able, now_ms)}
    for name, since_ms in back.items():
        found |= {minute for minute, gap in gaps.items() if gap.reason == SPARSE and _was_heard(name, gap, since_ms)}
        if since_ms is not None:
            since_ms = since_ms if since_ms <= now_ms else 0  # a clock was ahead
            first_ms = max(since_ms - REREAD_FOR_MS - SPARING_MS, now_ms - min(able[name].reach_ms, RETURN_MS))
            found.update(Span(first_ms, max(first_ms, now_ms - CLOSED_FOR_MS)).minutes())
    return sorted(found)


def find_rereads(since_ms: int | None, now_ms: int) -> list[int]:
    """Return the minutes that a request reads again, ascending: those from `since_ms` on, and always the latest."""
    until_ms = now_ms - MINUTE_MS
    first_ms = min(now_ms - REREAD_FOR_MS, until_ms if since_ms is None else since_ms)
    return list(Span(max(first_ms, now_ms - REREAD_WITHIN_MS), until_ms).minutes())


def find_reread_end(now_ms: int) -> int:
    """Return the end of the newest minute that requests after `now_ms` do not read again on their own."""
    return (now_ms - REREAD_FOR_MS) // MINUTE_MS * MINUTE_MS + MINUTE_MS


def is_audit_due(reread_ms: int | None, asked_ms: int, now_ms: int) -> bool:
    """Tell whether ten minutes have passed since minutes were last read again, and since this was last `asked` for."""
    read_ms = 0 if reread_ms is None or reread_ms > now_ms else reread_ms + REREAD_FOR_MS
    return now_ms - max(read_ms, asked_ms) >= SPARING_MS


def can_spare(minutes: Iterable[int], gaps: Mapping[int, Gap], asked_ms: int, now_ms: int) -> bool:
    """Tell whether providers with bulky answers, last asked at `asked_ms`, need not be asked for these new minutes."""
    passed = now_ms // MINUTE_MS - asked_ms // MINUTE_MS
    return 0 <= passed < SPARING_MS // MINUTE_MS and gaps.keys().isdisjoint(minutes)


def find_sparse(gaps: Mapping[int, Gap]) -> list[int]:
    """Return the settled minutes in which at most half of the providers saw trades, ascending."""
    return sorted(minute for minute, gap in gaps.items() if gap.reason == SPARSE)


def is_quarter_over(gap: Gap, now_ms: int, *, quarters: int = 1) -> bool:
    """Tell whether so many quarters of an hour have begun since the last look at a minute."""
    return not 0 <= now_ms // QUARTER_MS - gap.tried_ms // QUARTER_MS < quarters


def is_look_due(gap: Gap, now_ms: int) -> bool:
    """Tell whether a minute with a corrected candle is due for another look."""
    return gap.tries <= len(LOOK_AFTER_MS) and not 0 <= now_ms - gap.tried_ms < LOOK_AFTER_MS[gap.tries - 1]


def group_into_spans(minutes: Sequence[int]) -> list[Span]:
    """Return spans that cover all the minutes (ascending), as few as the smallest page allows."""
    spans: list[Span] = []
    for minute in minutes:
        if spans and minute - spans[-1].end_ms < BRIDGE_MS:
            spans[-1] = Span(spans[-1].start_ms, minute + MINUTE_MS)
        else:
            spans.append(Span(minute, minute + MINUTE_MS))
    return spans


def find_unserved(
    minutes: Iterable[int], answers: Sequence[Candles], agreed: AgreedCandles, *, now_ms: int, offered: bool
) -> dict[int, Gap]:
    """Return the requested minutes that stay unsettled, each with its reason; `tries` is 1.

    `offered` is true if any provider has candles at all; then no answer means that each failed or had to wait.
    """
    everybody = tuple(sorted({answer.provider for answer in answers}))

    def find_reason(minute: int) -> str:
        if not answers:
            return "providers_down" if offered else "polls_only"
        if minute in agreed.disputed:
            return DISAGREE
        return NO_TRADES if minute in agreed.no_trades else "not_reached"

    def find_heard(minute: int) -> tuple[str, ...]:
        backing = agreed.backing.get(minute)
        return tuple(sorted(backing.heard)) if backing and minute in agreed.disputed else everybody

    return {minute: Gap(find_reason(minute), 1, now_ms, find_heard(minute)) for minute in minutes}


def count_again(found: Mapping[int, Gap], known: Mapping[int, Gap]) -> dict[int, Gap]:
    """Return the gaps found now; known ones continue their count of tries.

    A provider that contradicted a candle still counts when its candles no longer reach back that far.
    """

    def count(gap: Gap, before: Gap | None) -> Gap:
        if before is None:
            return gap
        disputed = gap.reason == before.reason == DISAGREE
        heard = tuple(sorted({*gap.heard, *before.heard})) if disputed else gap.heard
        return replace(gap, tries=before.tries + 1, heard=heard)

    return {minute: count(gap, known.get(minute)) for minute, gap in found.items()}


def find_contested(
    agreed: AgreedCandles, gaps: Mapping[int, Gap], reach: Reach, now_ms: int, *, complete: bool
) -> set[int]:
    """Return disputed minutes that are still contradicted, while some providers heard then are not heard now.

    No majority agrees when those are counted. A candle that nobody contradicts stands, once all answers are
    `complete`.
    """

    def is_contested(minute: int, gap: Gap) -> bool:
        backing = agreed.backing[minute]
        if (complete and backing.near == backing.heard) or backing.heard.issuperset(gap.heard):
            return False
        return 2 * len(backing.near) <= len(reach.find_reaching(minute, now_ms).union(gap.heard))

    disputed = (minute for minute, gap in gaps.items() if gap.reason == DISAGREE and minute in agreed.candles)
    return {minute for minute in disputed if is_contested(minute, gaps[minute])}


def _was_heard(name: str, gap: Gap, since_ms: int | None) -> bool:
    """Tell whether a provider was heard for a minute at its last look, and this was after `since_ms`."""
    return name in gap.heard and gap.tried_ms >= (since_ms or 0)


def _find_unheard(minute: int, gap: Gap, able: Ables, now_ms: int) -> list[str]:
    """Return the providers that can be asked, reach a minute and were not heard for it."""
    return [name for name, provider in able.items() if name not in gap.heard and minute >= now_ms - provider.reach_ms]
