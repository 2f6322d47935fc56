"""Views to render: slots made from one walk of the price, so that all resolutions tell the same story."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from btcts.config import BTC_USD
from btcts.domain.layout import RESOLUTIONS, Resolution, window
from btcts.domain.model import MINUTE_MS, Slot, Tick
from btcts.services.show import Overview, Shown, SlotsView, View

NOW_MS = 1_768_407_730_000
"""2026-01-14 16:22:10 UTC."""

MAX_AGE_S = 150.0


@dataclass(frozen=True)
class Minute:
    """The prices of one minute, and why it is not settled where that is known."""

    low: float
    high: float
    close: float
    settled: bool = True
    reason: str | None = None


Walk = Mapping[int, Minute]


@cache
def walk(base: float = 64_000.0, *, swing: float = 0.002, now_ms: int = NOW_MS) -> Walk:
    """Every minute of the window up to the one that runs; that one and the one before it are not settled yet."""
    chance = random.Random(20)
    price, minutes = base, {}
    starts = range(window(now_ms).start_ms, now_ms + 1, MINUTE_MS)
    for start_ms in starts:
        steps = [price := price * (1 + swing * (chance.random() - 0.5)) for _ in range(4)]
        low, high, close = (round(each, 8) for each in (min(steps), max(steps), steps[-1]))
        minutes[start_ms] = Minute(low, high, close, settled=start_ms < starts[-2])
    return minutes


def without(minutes: Walk, *gaps: range) -> dict[int, Minute]:
    """The walk without the minutes that lie so many minutes before the newest."""
    newest = max(minutes)
    return {
        start: each for start, each in minutes.items() if not any((newest - start) // MINUTE_MS in gap for gap in gaps)
    }


def polled(minutes: Walk) -> dict[int, Minute]:
    """The walk as polls alone would have told it."""
    return {start: replace(each, settled=False, reason="polls_only") for start, each in minutes.items()}


def view_of(minutes: Walk, *names: str, age_s: float = 3.0, simulated: bool = False, now_ms: int = NOW_MS) -> View:
    """The slots of the one resolution, or the overview; the newest price is `age_s` old.

    Missing minutes were not reached.
    """
    newest = Tick(now_ms - round(age_s * 1000), minutes[max(minutes)].close) if minutes else None
    parts = tuple(_shown(minutes, RESOLUTIONS[name], now_ms) for name in names)
    price = {
        "market": BTC_USD,
        "now_ms": now_ms,
        "newest": newest,
        "max_age_s": MAX_AGE_S,
        "simulated": simulated,
    }
    return SlotsView(**price, shown=parts[0]) if len(parts) == 1 else Overview(**price, resolutions=parts)


def with_slots(view: View, change: Callable[[Sequence[Slot]], Sequence[Slot]]) -> View:
    """The view with other slots in each of its resolutions."""
    parts = tuple(replace(part, slots=tuple(change(part.slots))) for part in view.parts)
    return replace(view, shown=parts[0]) if isinstance(view, SlotsView) else replace(view, resolutions=parts)


def with_trades(slots: Sequence[Slot]) -> list[Slot]:
    """The slots as streams make them: each with its first price, exact, and the last closed minute not settled yet."""
    return [
        slot if slot.min is None else slot._replace(open=(slot.min + (slot.max or 0)) / 2, exact=True) for slot in slots
    ]


def _shown(minutes: Walk, resolution: Resolution, now_ms: int) -> Shown:
    return Shown(
        resolution, tuple(_slot(minutes, start_ms, resolution, now_ms) for start_ms in resolution.slots(now_ms))
    )


def _slot(minutes: Walk, start_ms: int, resolution: Resolution, now_ms: int) -> Slot:
    starts = range(start_ms, min(start_ms + resolution.bucket_ms, now_ms), MINUTE_MS)
    inside = [minutes[each] for each in starts if each in minutes]
    reasons = [minutes[each].reason if each in minutes else "not_reached" for each in starts]
    return Slot(
        start_ms,
        close=inside[-1].close if inside else None,
        min=min(each.low for each in inside) if inside else None,
        max=max(each.high for each in inside) if inside else None,
        closed=start_ms + resolution.bucket_ms <= now_ms,
        settled=bool(inside) and all(each.settled for each in inside),
        minutes=len(inside),
        reason=next((each for each in reasons if each), None),
    )
