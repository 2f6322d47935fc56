"""Rules about the price: when they fire and when they are armed again."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btcts.domain.model import Tick
from btcts.errors import ConfigError
from btcts.services.watch.rules import (
    Alert,
    Level,
    MoveRule,
    Rule,
    Standing,
    find_possible_starts,
    parse_level,
    parse_moves,
)
from btcts.services.watch.trigger import judge, judge_feed
from support.series import HOUR, MINUTE, NOW

BEGIN = NOW - HOUR
BEGUN = Standing(since_ms=BEGIN - 1)

prices = st.integers(90, 112).map(float)
steps = st.integers(1, 90_000)


def ticks_at(*values: float, step_ms: int = 10_000) -> list[Tick]:
    """These prices, one after the other."""
    return [Tick(BEGIN + number * step_ms, value) for number, value in enumerate(values)]


@st.composite
def walks(draw: st.DrawFn) -> list[Tick]:
    """Prices near 100 at irregular moments."""
    walk = []
    time_ms = BEGIN
    for step, price in draw(st.lists(st.tuples(steps, prices), min_size=1, max_size=60)):
        time_ms += step
        walk.append(Tick(time_ms, price))
    return walk


rules = st.one_of(
    st.builds(Level, st.sampled_from([1, -1]), prices, st.sampled_from([0.0, 0.001, 0.05])),
    st.builds(
        MoveRule, st.sampled_from([1, -1]), st.sampled_from([1.0, 5.0, 10.0]), st.sampled_from([1000, 60_000, HOUR])
    ),
)


def fired(rule: Rule, ticks: Sequence[Tick], standing: Standing = BEGUN) -> list[Alert]:
    """The alerts that the rule makes of the ticks."""
    return judge(rule, standing, ticks, now_ms=NOW)[1]


def times(alerts: Iterable[Alert]) -> list[int]:
    """Return the distance of each tick from the first one, in ticks."""
    return [(alert.time_ms - BEGIN) // 10_000 for alert in alerts]


def naive_measure(rule: Rule, ticks: Sequence[Tick], number: int) -> float:
    """The measure of one tick, worked out from all ticks before it."""
    time_ms, price = ticks[number]
    if isinstance(rule, Level):
        return rule.sign * price
    assert isinstance(rule, MoveRule)
    within = [each.price for each in ticks[: number + 1] if each.time_ms >= time_ms - rule.span_ms]
    extreme = min(within) if rule.sign > 0 else max(within)
    return 100 * rule.sign * (price - extreme) / extreme


@given(rule=rules, walk=walks(), cuts=st.lists(st.integers(0, 60)))
def test_the_same_ticks_in_any_number_of_looks_make_the_same_alerts(
    rule: Rule, walk: list[Tick], cuts: list[int]
) -> None:
    standing, alerts = BEGUN, []
    ends = sorted({min(cut, len(walk)) for cut in cuts} | {len(walk)})

    for end in ends:
        since_ms = standing.since_ms or 0
        seen = [tick for tick in walk[:end] if tick.time_ms > since_ms - rule.span_ms]
        standing, new = judge(rule, standing, seen, now_ms=NOW)
        alerts += new

    assert (standing, alerts) == judge(rule, BEGUN, walk, now_ms=NOW)


@given(rule=rules, walk=walks())
def test_between_two_alerts_of_a_rule_it_was_armed_again(rule: Rule, walk: list[Tick]) -> None:
    positions = [[tick.time_ms for tick in walk].index(alert.time_ms) for alert in fired(rule, walk)]

    for first, second in pairwise(positions):
        between = [naive_measure(rule, walk, number) for number in range(first + 1, second)]
        assert min(between, default=rule.fires_at) < rule.rearms_below


@given(rule=rules, walk=walks())
def test_a_rule_is_fired_exactly_when_its_measure_was_reached_since_it_was_last_armed(
    rule: Rule, walk: list[Tick]
) -> None:
    alerts = {alert.time_ms for alert in fired(rule, walk)}
    armed = True

    for number, tick in enumerate(walk):
        value = naive_measure(rule, walk, number)
        assert (tick.time_ms in alerts) == (armed and value >= rule.fires_at)
        armed = value < rule.fires_at if armed else value < rule.rearms_below


@given(rule=rules, walk=walks(), at=st.integers(0, 60))
def test_what_a_move_cannot_begin_at_changes_no_alert(rule: Rule, walk: list[Tick], at: int) -> None:
    standing, _ = judge(rule, BEGUN, walk[:at], now_ms=NOW)

    whole = judge(rule, standing, walk, now_ms=NOW)
    thinned = judge(rule, standing, [*find_possible_starts(walk[:at]), *walk[at:]], now_ms=NOW)

    assert (thinned[0].armed, thinned[1]) == (whole[0].armed, whole[1])


@given(rule=rules, walk=walks())
def test_ticks_that_are_judged_are_not_judged_again(rule: Rule, walk: list[Tick]) -> None:
    standing, _ = judge(rule, BEGUN, walk, now_ms=NOW)

    assert judge(rule, standing, walk, now_ms=NOW) == (standing, [])


def test_a_judged_tick_whose_price_was_changed_fires_nothing() -> None:
    assert fired(Level(1, 100.0), ticks_at(101.0), Standing(since_ms=BEGIN)) == []


def test_a_level_fires_at_its_price_and_once_until_the_price_has_retreated() -> None:
    rule = Level(1, 100.0, hysteresis=0.01)

    alerts = fired(rule, ticks_at(99.9, 100.0, 105.0, 99.0, 100.0, 98.99, 99.9, 100.1))

    assert times(alerts) == [1, 7]


def test_a_level_below_is_the_mirror_of_one_above() -> None:
    rule = Level(-1, 100.0, hysteresis=0.01)

    alerts = fired(rule, ticks_at(100.1, 100.0, 95.0, 101.0, 100.0, 101.01, 100.1, 99.9))

    assert times(alerts) == [1, 7]


def test_without_hysteresis_a_price_that_stays_at_the_level_fires_once() -> None:
    assert times(fired(Level(1, 100.0, hysteresis=0.0), ticks_at(100.0, 100.0, 100.0))) == [0]


def test_a_move_is_measured_against_the_extreme_within_its_span() -> None:
    walk = ticks_at(106.0, 100.0, 106.0, step_ms=30_000)

    (alert,) = fired(MoveRule(1, 5.0, MINUTE), walk)

    assert (alert.kind, alert.price, alert.reference, alert.reference_ms) == ("rise", 106.0, 100.0, walk[1].time_ms)
    assert alert.change == 0.06


@pytest.mark.parametrize(("span_ms", "count"), [(30_000, 1), (29_999, 0)])
def test_a_price_counts_for_those_up_to_a_span_behind_it(span_ms: int, count: int) -> None:
    walk = ticks_at(100.0, 95.0, step_ms=30_000)

    assert len(fired(MoveRule(-1, 5.0, span_ms), walk)) == count


def test_a_move_is_reported_again_when_four_fifths_of_it_are_gone_by() -> None:
    alerts = fired(MoveRule(1, 5.0, HOUR), ticks_at(100.0, 105.0, 104.0, 105.0, 103.9, 105.0))

    assert times(alerts) == [1, 5]


def test_a_move_of_exactly_its_percentage_fires() -> None:
    assert len(fired(MoveRule(1, 2.5, HOUR), ticks_at(100.0, 102.5))) == 1


def test_a_rule_begins_with_the_newest_price_alone_and_fires_on_what_is_so_already() -> None:
    beyond = fired(Level(1, 100.0), ticks_at(101.0, 99.0, 103.0), Standing())
    back = fired(Level(1, 100.0), ticks_at(101.0, 99.0), Standing())

    assert [(alert.price, alert.already) for alert in beyond] == [(103.0, True)]
    assert back == []


def test_a_move_begins_with_what_was_before_the_watch() -> None:
    assert [alert.already for alert in fired(MoveRule(1, 5.0, HOUR), ticks_at(100.0, 105.0), Standing())] == [True]


def test_the_same_alert_has_the_same_id_whenever_it_is_found() -> None:
    rule, walk = Level(1, 100.0), ticks_at(99.0, 101.0, 90.0, 102.0)

    first, second = fired(rule, walk)
    later = judge(rule, BEGUN, walk, now_ms=NOW + HOUR)[1]

    assert [alert.id for alert in later] == [first.id, second.id]
    assert first.id != second.id


def test_no_tick_changes_nothing() -> None:
    assert judge(Level(1, 100.0), Standing(), [], now_ms=NOW) == (Standing(), [])


def test_a_feed_is_stale_from_the_moment_its_last_price_became_too_old_and_that_is_said_once() -> None:
    newest = Tick(NOW, 100.0)
    standing, none = judge_feed(Standing(), newest, now_ms=NOW + 150_000, max_age_ms=150_000)

    after, alert = judge_feed(standing, newest, now_ms=NOW + 155_000, max_age_ms=150_000)
    again = judge_feed(after, newest, now_ms=NOW + 160_000, max_age_ms=150_000)[1]

    assert (none, again) == (None, None)
    assert alert
    assert (alert.kind, alert.time_ms, alert.found_ms) == ("stale", NOW + 150_000, NOW + 155_000)
    assert (alert.price, alert.reference, alert.reference_ms, alert.already) == (None, 100.0, NOW, False)


def test_a_feed_that_is_fresh_again_is_said_once_with_its_price() -> None:
    stale, _ = judge_feed(Standing(), None, now_ms=NOW, max_age_ms=150_000)

    fresh, alert = judge_feed(stale, Tick(NOW, 101.0), now_ms=NOW, max_age_ms=150_000)
    again = judge_feed(fresh, Tick(NOW, 101.0), now_ms=NOW, max_age_ms=150_000)[1]

    assert alert
    assert (alert.kind, alert.price, alert.time_ms) == ("fresh", 101.0, NOW)
    assert again is None


def test_a_feed_without_any_price_is_stale() -> None:
    alert = judge_feed(Standing(), None, now_ms=NOW, max_age_ms=150_000)[1]

    assert alert
    assert (alert.kind, alert.time_ms, alert.reference, alert.already) == ("stale", NOW, None, True)


# How they are written


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("5/1h", ["move +5/1h", "move -5/1h"]),
        ("5%/60m", ["move +5/1h", "move -5/1h"]),
        ("+2.5/15min", ["move +2.5/15min"]),
        ("-3/90s", ["move -3/90s"]),
        ("-0.5/3600s", ["move -0.5/1h"]),
        ("1/24h", ["move +1/24h", "move -1/24h"]),
        ("+250/2h", ["move +250/2h"]),
    ],
)
def test_a_move_is_named_alike_however_it_is_written(text: str, names: list[str]) -> None:
    assert [rule.name for rule in parse_moves(text)] == names


@pytest.mark.parametrize(("text", "name"), [("100000", "100000"), ("0100.50", "100.5"), ("0.00001", "0.00001")])
def test_a_level_is_named_alike_however_it_is_written(text: str, name: str) -> None:
    for kind in ("above", "below"):
        assert parse_level(kind, text, 0.1).name == f"{kind} {name}"


@pytest.mark.parametrize(
    "text",
    [
        *("", "5", "5/", "/1h", "5/1", "5/1d", "5/25h", "5/0s", "5/1.5h", "5/99999999999h", "5//1h", "5/1h "),
        *("0/1h", "-100/1h", "+1000/1h", "--5/1h", "x/1h", "nan/1h", "\N{ARABIC-INDIC DIGIT FIVE}/1h"),
    ],
)
def test_a_malformed_move_is_refused_with_the_value_and_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match=r"5/1h") as refusal:
        parse_moves(text)

    assert repr(text) in str(refusal.value)


def test_a_move_that_only_a_rise_can_make_is_refused_with_its_spelling() -> None:
    with pytest.raises(ConfigError, match=r"\+150/1h$"):
        parse_moves("150/1h")

    assert parse_moves("+150/1h") == (MoveRule(1, 150.0, HOUR),)


@pytest.mark.parametrize(
    "text",
    ["", "0", "-5", "nan", "inf", "1e9", "100,000", "100_000", "100k", "1000000000", "\N{ARABIC-INDIC DIGIT FIVE}"],
)
def test_a_malformed_level_is_refused_with_the_value_and_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--above 100000") as refusal:
        parse_level("above", text, 0.1)

    assert repr(text) in str(refusal.value)
