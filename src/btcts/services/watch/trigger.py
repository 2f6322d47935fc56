"""Judge ticks by rules (pure): the alerts are the same, however ticks are divided between calls."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256

from btcts.domain.model import Tick
from btcts.services.watch.rules import Measure, Rule

KINDS = ("above", "below", "rise", "fall", "stale", "fresh")
"""The kinds of alerts."""

STALE = "stale"
"""The name of the rule about the feed itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An alert of a rule about the price at `time_ms`, found at `found_ms`.

    The price is measured against `reference`: the level of above and below, the extreme of a move, which was the price
    at `reference_ms`, or the last price of a stale feed. `span_ms` is that of a move. `already` is set when the
    condition already held when the rule was first checked. A stale feed has no price.
    """

    rule: str
    kind: str
    time_ms: int
    found_ms: int
    price: float | None = None
    reference: float | None = None
    reference_ms: int | None = None
    span_ms: int | None = None
    already: bool = False
    simulated: bool = False

    @property
    def id(self) -> str:
        """Identifier: the same for the same alert, however often it is found or delivered."""
        return sha256(f"{self.rule} {self.kind} {self.time_ms}".encode()).hexdigest()[:16]

    @property
    def change(self) -> float | None:
        """Size of a move, as a share of its extreme; None for other alerts, or when it is not finite."""
        if self.kind not in ("rise", "fall") or self.price is None or not self.reference:
            return None
        change = (self.price - self.reference) / self.reference
        return change if math.isfinite(change) else None


@dataclass(frozen=True, slots=True)
class Standing:
    """The standing of a rule: whether it is armed, and the time of the last tick it has judged (None: none yet)."""

    armed: bool = True
    since_ms: int | None = None


def judge(
    rule: Rule, standing: Standing, ticks: Sequence[Tick], *, now_ms: int, simulated: bool = False
) -> tuple[Standing, list[Alert]]:
    """Return the standing of the rule after the ticks, and its alerts, ascending.

    The ticks ascend and reach back to `span_ms` before the first new one; those up to `since_ms` are already judged.
    A new rule judges only the last tick, and fires at once if its condition already holds.
    """
    if not ticks:
        return standing, []
    first = standing.since_ms is None
    since_ms = ticks[-1].time_ms - 1 if standing.since_ms is None else standing.since_ms
    armed = standing.armed
    alerts = []
    for measure in rule.measure(ticks):
        if measure.tick.time_ms <= since_ms:
            continue
        if armed and measure.value >= rule.fires_at:
            armed = False
            alerts.append(_build_alert(rule, measure, now_ms=now_ms, already=first, simulated=simulated))
        elif not armed and measure.value < rule.rearms_below:
            armed = True
    return Standing(armed, max(since_ms, ticks[-1].time_ms)), alerts


def judge_feed(
    standing: Standing, newest: Tick | None, *, now_ms: int, max_age_ms: int, simulated: bool = False
) -> tuple[Standing, Alert | None]:
    """Return the standing of the rule about the feed, armed while it is fresh, and its alert when that has changed.

    A feed whose `newest` price is older than `max_age_ms`, or that has none, is stale; the alert has the time when it
    became so.
    """
    stale_ms = now_ms if newest is None else newest.time_ms + max_age_ms
    fresh = newest is not None and now_ms <= stale_ms
    after = Standing(fresh, now_ms)
    if fresh == standing.armed:
        return after, None
    already = standing.since_ms is None
    alert = partial(Alert, rule=STALE, found_ms=now_ms, simulated=simulated)
    if newest is None:
        return after, alert(kind=STALE, time_ms=now_ms, already=already)
    time_ms, price = newest
    if fresh:
        return after, alert(kind="fresh", time_ms=time_ms, price=price)
    return after, alert(kind=STALE, time_ms=stale_ms, reference=price, reference_ms=time_ms, already=already)


def _build_alert(rule: Rule, measure: Measure, *, now_ms: int, already: bool, simulated: bool) -> Alert:
    return Alert(
        rule=rule.name,
        kind=rule.kind,
        time_ms=measure.tick.time_ms,
        found_ms=now_ms,
        price=measure.tick.price,
        reference=measure.reference,
        reference_ms=measure.reference_ms,
        span_ms=rule.span_ms or None,
        already=already,
        simulated=simulated,
    )
