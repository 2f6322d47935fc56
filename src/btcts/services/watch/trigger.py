"""Judging rules: a rule fires on the first tick that reaches it, and is armed again by one that is back (pure).

The alerts are the same, however ticks are divided between calls.

The bounds of a minute (`domain/candles.py`) are extremes that no tick reached. They change while the minute runs, and
their stamps do not tell when they were reached. A bound is judged when it lies beyond all that was judged of its minute
so far. In the direction of the rule it fires, unless a tick of that minute does; in the other one it arms the rule
again, unless the rule has fired in that minute, since nobody knows which came first. Nor do ticks arm the rule again
after a bound of their minute, except for the newest of all: a bound is stored together with a later price.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import partial
from operator import attrgetter

from btcts.domain.candles import BOUND_OFFSETS_MS, minute_of
from btcts.domain.model import MINUTE_MS, Bounds, Tick
from btcts.services.watch.rules import STALE, Alert, Measure, Rule, Standing


def judge(
    rule: Rule, standing: Standing, ticks: Sequence[Tick], *, now_ms: int, simulated: bool = False
) -> tuple[Standing, list[Alert]]:
    """Return the standing of the rule after the ticks, and its alerts, ascending.

    The ticks ascend, from `find_begin_ms` on; those up to `since_ms` are already judged. A new rule judges only the
    last tick, and fires at once if its condition already holds.
    """
    if not ticks:
        return standing, []
    first = standing.since_ms is None
    since_ms = ticks[-1].time_ms - 1 if standing.since_ms is None else standing.since_ms
    armed = standing.armed
    alerts: list[Alert] = []
    for measures in _measure_minutes(rule, standing.seen, ticks, since_ms):
        before = len(alerts)
        for measure in measures:
            if armed and measure.value >= rule.fires_at:
                armed = False
                alerts.append(_build_alert(rule, measure, now_ms=now_ms, already=first, simulated=simulated))
            elif not armed and measure.value < rule.rearms_below and not (measure.loose and len(alerts) > before):
                armed = True
    since_ms = max(since_ms, ticks[-1].time_ms)
    return Standing(armed, since_ms, tuple(_note_seen(standing.seen, ticks, minute_of(since_ms)))), alerts


def find_begin_ms(rule: Rule, since_ms: int) -> int:
    """Return the time of the first tick that is needed to judge the rule after `since_ms`."""
    return min(since_ms + 1 - rule.span_ms, minute_of(since_ms) - MINUTE_MS)


def _measure_minutes(
    rule: Rule, seen: Sequence[Bounds], ticks: Sequence[Tick], since_ms: int
) -> Iterator[list[Measure]]:
    """Measure the new ticks and bounds of each minute, in the order in which they are judged."""
    minutes: dict[int, list[Measure]] = {judged.minute_ms: [] for judged in seen}
    for measure in rule.measure(ticks):
        if measure.tick.time_ms > since_ms and measure.tick.time_ms % MINUTE_MS not in BOUND_OFFSETS_MS:
            minutes.setdefault(minute_of(measure.tick.time_ms), []).append(measure)
    known = {judged.minute_ms: judged for judged in seen}
    for minute, measures in minutes.items():
        judged = known.get(minute) or _judge_nothing_of(minute, since_ms)
        bounds = list(_measure_bounds(rule, judged, ticks, since_ms))
        reached = any(measure.value >= rule.fires_at for measure in measures)
        advances = [bound for bound in bounds if not bound.loose and not reached]
        retreats = [bound for bound in bounds if bound.loose]
        newest = measures[-1:] if minute == minute_of(ticks[-1].time_ms) else []
        others = measures[: len(measures) - len(newest)]
        if any(bound.value >= rule.fires_at for bound in advances):
            others = [measure._replace(loose=True) for measure in others]
        yield [*advances, *others, *retreats, *newest]


def _judge_nothing_of(minute: int, since_ms: int) -> Bounds:
    """Return the range of a minute of which nothing was judged; nothing lies beyond that of one before the watch."""
    return Bounds(minute, math.inf, 0.0) if minute > since_ms else Bounds(minute, 0.0, math.inf)


def _measure_bounds(rule: Rule, judged: Bounds, ticks: Sequence[Tick], since_ms: int) -> Iterator[Measure]:
    """Measure the bounds beyond what was judged of the minute, each without the other."""
    minute = judged.minute_ms
    low_ms, high_ms = (minute + offset for offset in BOUND_OFFSETS_MS)
    prices = dict(_cut(ticks, low_ms, high_ms + 1))
    new = {}
    if prices.get(low_ms, math.inf) < judged.low:
        new[low_ms] = -1
    if prices.get(high_ms, 0.0) > judged.high:
        new[high_ms] = 1
    for stamp_ms, sign in new.items():
        at_ms = max(since_ms, stamp_ms)
        past = [tick for tick in _cut(ticks, at_ms - rule.span_ms, at_ms + 1) if tick.time_ms not in new]
        *_, measure = rule.measure([*past, Tick(at_ms, prices[stamp_ms])])
        yield measure._replace(
            tick=Tick(min(ticks[-1].time_ms, minute + MINUTE_MS - 1), prices[stamp_ms]),
            after_ms=since_ms if minute_of(since_ms) == minute else minute,
            loose=sign != rule.sign,
        )


def _note_seen(seen: Sequence[Bounds], ticks: Sequence[Tick], newest_minute: int) -> Iterator[Bounds]:
    """Return the range of what was judged of the newest minute and of the one before."""
    for minute in (newest_minute - MINUTE_MS, newest_minute):
        prices = [tick.price for tick in _cut(ticks, minute, minute + MINUTE_MS)]
        prices += [price for judged in seen if judged.minute_ms == minute for price in (judged.low, judged.high)]
        if prices:
            yield Bounds(minute, min(prices), max(prices))


def _cut(ticks: Sequence[Tick], start_ms: int, end_ms: int) -> Sequence[Tick]:
    """Return the ticks from `start_ms` up to before `end_ms`."""
    start, end = (bisect_left(ticks, time_ms, key=attrgetter("time_ms")) for time_ms in (start_ms, end_ms))
    return ticks[start:end]


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
        after_ms=measure.after_ms,
        span_ms=rule.span_ms or None,
        already=already,
        simulated=simulated,
    )
