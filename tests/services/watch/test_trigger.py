"""Bounds of a minute: extremes of trades that no tick reached, judged beside the ticks."""

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from btcts.domain.candles import minute_of
from btcts.domain.model import Bounds, Tick
from btcts.services.watch.rules import Alert, Level, MoveRule, Rule, Standing
from btcts.services.watch.trigger import find_begin_ms, judge
from support.series import HOUR, MINUTE, NOW

BEGIN = minute_of(NOW)
ABOVE, BELOW = Level(1, 100.0, hysteresis=0.02), Level(-1, 100.0, hysteresis=0.02)

levels = st.builds(Level, st.sampled_from([1, -1]), st.just(100.0), st.sampled_from([0.0, 0.02, 0.05]))
moves = st.builds(MoveRule, st.sampled_from([1, -1]), st.sampled_from([2.0, 5.0]), st.sampled_from([MINUTE, HOUR]))


LOW_BEFORE_A_BOUND = [
    Tick(BEGIN + since_ms, price)
    for since_ms, price in ((10, 92.0), (2_001, 92.0), (6_001, 100.0), (6_011, 95.0), (8_001, 100.0))
]
LOW_BEFORE_THE_END_OF_A_MINUTE = [
    Tick(BEGIN + since_ms, price)
    for since_ms, price in ((10, 92.0), (55_000, 92.0), (59_500, 100.0), (59_900, 96.0), (61_500, 100.0))
]


@st.composite
def trades(draw: st.DrawFn) -> list[Tick]:
    """Up to three minutes of trades around 100."""
    steps = draw(st.lists(st.tuples(st.integers(10, 4_000), st.integers(92, 108)), min_size=1, max_size=60))
    made, time_ms = [], BEGIN
    for step, price in steps:
        time_ms += step
        made.append(Tick(time_ms, float(price)))
    return made


def store_seconds(made: Sequence[Tick], now_ms: int) -> list[Tick]:
    """The ticks that are stored at `now_ms`: the price of each second, and what the trades reached besides."""
    times = [trade.time_ms for trade in made]
    stored = {
        second: made[bisect_right(times, second) - 1].price
        for second in range(BEGIN + 1000, now_ms + 1, 1000)
        if times[0] <= second
    }
    for minute in range(BEGIN, now_ms + 1, MINUTE):
        prices = [
            trade.price for trade in made if minute <= trade.time_ms < minute + MINUTE and trade.time_ms <= now_ms
        ]
        seconds = [second for second in stored if minute < second < minute + MINUTE]
        if prices and seconds:
            low, high = min(prices), max(prices)
            stored |= {second: min(max(stored[second], low), high) for second in seconds}
            reached = {stored[second] for second in seconds}
            stored |= {minute + offset: price for offset, price in ((1, low), (2, high)) if price not in reached}
    return [Tick(time_ms, stored[time_ms]) for time_ms in sorted(stored)]


def watch_trades(rule: Rule, made: Sequence[Tick], *, every_s: int = 1) -> Iterator[tuple[int, bool, list[Alert]]]:
    """Look at what is stored of the trades; the time of each look, whether the rule was armed, and the alerts."""
    standing = Standing(since_ms=BEGIN - 1)
    for now_ms in range(BEGIN + 1000, made[-1].time_ms + 1001 + 1000 * every_s, 1000 * every_s):
        begin_ms = find_begin_ms(rule, standing.since_ms or 0)
        ticks = [tick for tick in store_seconds(made, now_ms) if tick.time_ms >= begin_ms]
        armed = standing.armed
        standing, alerts = judge(rule, standing, ticks, now_ms=now_ms)
        yield now_ms, armed, alerts


def list_window(made: Sequence[Tick], alert: Alert) -> list[Tick]:
    """The trades among which the price of an alert is: between two ticks, or the last one before its tick.

    A tick before the trades of its minute may have the price of one of them.
    """
    if alert.after_ms is not None:
        return [trade for trade in made if alert.after_ms <= trade.time_ms <= alert.time_ms]
    last = [trade for trade in made if trade.time_ms <= alert.time_ms][-1:]
    if last and minute_of(last[0].time_ms) == minute_of(alert.time_ms):
        return last
    later = [trade for trade in made if alert.time_ms < trade.time_ms <= alert.found_ms]
    return last + [trade for trade in later if minute_of(trade.time_ms) == minute_of(alert.time_ms)]


@given(rule=levels, made=trades())
def test_no_extreme_of_a_minute_that_reaches_a_level_between_two_looks_is_missed(rule: Level, made: list[Tick]) -> None:
    seen_ms = BEGIN
    for now_ms, armed, alerts in watch_trades(rule, made):
        new = [
            trade
            for trade in made
            if seen_ms < trade.time_ms <= now_ms and minute_of(trade.time_ms) == minute_of(now_ms)
        ]
        before = [rule.sign * trade.price for trade in made if minute_of(now_ms) <= trade.time_ms <= seen_ms]
        reached = max((rule.sign * trade.price for trade in new), default=-math.inf)
        if armed and reached >= rule.fires_at and reached > max(before, default=-math.inf):
            assert len(alerts) == 1
        seen_ms = now_ms


@pytest.mark.parametrize("every_s", [1, 7, 60])
@given(rule=levels, made=trades())
@example(rule=Level(1, 100.0, 0.05), made=LOW_BEFORE_A_BOUND)
@example(rule=Level(1, 100.0, 0.05), made=LOW_BEFORE_THE_END_OF_A_MINUTE)
def test_between_two_alerts_of_a_level_the_trades_were_back(rule: Level, made: list[Tick], every_s: int) -> None:
    alerts = [alert for _, _, found in watch_trades(rule, made, every_s=every_s) for alert in found]

    for first, second in pairwise(alerts):
        reached = [trade for trade in list_window(made, first) if rule.sign * trade.price >= rule.fires_at]
        again = [trade for trade in list_window(made, second) if rule.sign * trade.price >= rule.fires_at]
        between = [trade for trade in made if reached[0].time_ms < trade.time_ms < again[-1].time_ms]
        assert any(rule.sign * trade.price < rule.rearms_below for trade in between)


@pytest.mark.parametrize("every_s", [1, 7, 60])
@given(rule=levels | moves, made=trades())
def test_an_alert_has_the_price_of_a_trade_of_its_time(rule: Rule, made: list[Tick], every_s: int) -> None:
    for now_ms, _, alerts in watch_trades(rule, made, every_s=every_s):
        for alert in alerts:
            assert alert.time_ms <= now_ms
            assert alert.price in [trade.price for trade in list_window(made, alert)]


@given(rule=levels | moves, made=trades(), inward=st.integers(0, 4))
def test_what_moves_back_into_what_was_judged_fires_nothing(rule: Rule, made: list[Tick], inward: int) -> None:
    now_ms = made[-1].time_ms + 1000
    stored = store_seconds(made, now_ms)
    standing, _ = judge(rule, Standing(since_ms=BEGIN - 1), stored, now_ms=now_ms)
    low, high = min(tick.price for tick in stored), max(tick.price for tick in stored)
    moved = [Tick(tick.time_ms, min(max(tick.price, low + inward), max(low, high - inward))) for tick in stored]

    assert judge(rule, standing, moved, now_ms=now_ms)[1] == []
    assert judge(rule, judge(rule, standing, moved, now_ms=now_ms)[0], stored, now_ms=now_ms)[1] == []


def bounded(*prices: float, low: float | None = None, high: float | None = None) -> list[Tick]:
    """A minute with these prices, one each ten seconds, and with bounds that none of them reaches."""
    bounds = {BEGIN + 1: low, BEGIN + 2: high}
    live = {BEGIN + 10_000 * number: price for number, price in enumerate(prices, 1)}
    return [Tick(time_ms, price) for time_ms, price in (bounds | live).items() if price is not None]


def look(rule: Rule, *looks: list[Tick], standing: Standing = Standing(since_ms=BEGIN - 1)) -> list[list[Alert]]:  # noqa: B008 -- frozen
    """The alerts of each look."""
    found = []
    for ticks in looks:
        standing, alerts = judge(rule, standing, ticks, now_ms=ticks[-1].time_ms + 500)
        found.append(alerts)
    return found


def test_an_extreme_behind_a_judged_tick_fires_once_with_the_time_between_the_ticks() -> None:
    first, (alert,), third = look(
        ABOVE, bounded(97.0), bounded(97.0, 97.5, high=101.0), bounded(97.0, 97.5, 97.2, high=101.0)
    )

    assert (first, third) == ([], [])
    assert (alert.price, alert.after_ms, alert.time_ms) == (101.0, BEGIN + 10_000, BEGIN + 20_000)


def test_the_extreme_of_a_fall_is_a_low() -> None:
    _, (alert,) = look(BELOW, bounded(103.0), bounded(103.0, 103.0, low=99.0, high=104.0))

    assert (alert.kind, alert.price) == ("below", 99.0)


def test_an_extreme_that_goes_further_fires_nothing_more() -> None:
    looks = look(ABOVE, bounded(97.0, high=101.0), bounded(97.0, 99.0, high=105.0))

    assert [len(alerts) for alerts in looks] == [1, 1]


def test_a_tick_that_reaches_the_level_fires_instead_of_an_extreme() -> None:
    _, (alert,) = look(ABOVE, bounded(97.0), bounded(97.0, 100.5, 97.0, high=101.0))

    assert (alert.price, alert.after_ms, alert.time_ms) == (100.5, None, BEGIN + 20_000)


def test_the_other_extreme_arms_a_rule_that_had_fired_before() -> None:
    first, second = look(ABOVE, bounded(101.0), bounded(101.0, 101.0, low=97.0))

    assert [len(first), len(second)] == [1, 1]


def test_two_extremes_of_one_look_make_one_alert() -> None:
    looks = look(
        ABOVE,
        bounded(99.0),
        bounded(99.0, 99.0, low=97.0, high=101.0),
        bounded(99.0, 99.0, 100.0, low=97.0, high=101.0),
    )

    assert [len(alerts) for alerts in looks] == [0, 1, 0]


def test_an_extreme_of_the_minute_before_still_counts_and_of_none_before_that() -> None:
    before = [Tick(BEGIN - 2 * MINUTE + 30_000, 97.0), Tick(BEGIN - 30_000, 97.0), Tick(BEGIN + 1_000, 97.0)]
    late = Tick(BEGIN - MINUTE + 2, 101.0)
    too_late = Tick(BEGIN - 2 * MINUTE + 2, 102.0)

    _, (alert,) = look(ABOVE, before, sorted([*before, late, Tick(BEGIN + 2_000, 97.0)]))
    _, none = look(ABOVE, before, sorted([*before, too_late, Tick(BEGIN + 2_000, 97.0)]))

    assert (alert.price, alert.after_ms, alert.time_ms) == (101.0, BEGIN - MINUTE, BEGIN - 1)
    assert none == []


def test_a_new_rule_leaves_the_extremes_of_before() -> None:
    assert look(ABOVE, bounded(97.0, high=101.0), bounded(97.0, 97.0, high=101.0), standing=Standing()) == [[], []]


def test_the_candle_of_a_judged_minute_fires_nothing() -> None:
    live = bounded(97.0, 98.0, high=99.0)
    candle = [Tick(BEGIN, 97.0), Tick(BEGIN + 20_000, 96.0), Tick(BEGIN + 40_000, 103.0), Tick(BEGIN + 59_999, 97.0)]
    following = Tick(BEGIN + MINUTE + 1_000, 97.0)

    settled = [Tick(time_ms, price) for time_ms, price in sorted((dict(live) | dict(candle)).items())]

    looks = look(ABOVE, live, [*live, following], [*settled, following, Tick(BEGIN + MINUTE + 2_000, 97.0)])

    assert looks == [[], [], []]


def test_a_move_is_measured_to_an_extreme() -> None:
    _, (alert,) = look(MoveRule(1, 5.0, HOUR), bounded(100.0, 100.0), bounded(100.0, 100.0, 101.0, high=105.0))

    assert (alert.price, alert.reference, alert.reference_ms) == (105.0, 100.0, BEGIN + 10_000)


def test_no_move_goes_from_one_new_extreme_to_the_other() -> None:
    assert look(MoveRule(1, 5.0, HOUR), bounded(100.0), bounded(100.0, 100.0, low=97.0, high=103.0)) == [[], []]


def test_the_range_that_was_judged_is_kept_for_two_minutes() -> None:
    following = [*bounded(97.0, 98.0, high=99.0), Tick(BEGIN + MINUTE + 1_000, 97.5)]

    standing, _ = judge(ABOVE, Standing(since_ms=BEGIN - 1), following, now_ms=NOW)
    later, _ = judge(ABOVE, standing, [Tick(BEGIN + 2 * MINUTE, 95.0)], now_ms=NOW)

    assert standing.seen == (Bounds(BEGIN, 97.0, 99.0), Bounds(BEGIN + MINUTE, 97.5, 97.5))
    assert later.seen == (Bounds(BEGIN + MINUTE, 97.5, 97.5), Bounds(BEGIN + 2 * MINUTE, 95.0, 95.0))
