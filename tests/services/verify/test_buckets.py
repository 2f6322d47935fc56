"""Buckets against an oracle that makes them from the ticks and shares no code with the product."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from itertools import combinations
from math import inf, nextafter
from statistics import median
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from btcts.config import BTC_USD
from btcts.domain.codes import FindingCode, Values
from btcts.domain.layout import HOUR, RESOLUTIONS, TICK_RETENTION_MS, Layout
from btcts.domain.model import Candle, Candles, Span, Tick
from btcts.services.verify.buckets import Finding, build_buckets, find_faults
from btcts.services.verify.upstream import Answers, compare
from btcts.store import Audit
from support.oracle import KEPT, Observed, Oracle
from support.series import FIRST_OF_WINDOW, MINUTE, NOW, TICK, remembered, wave

LAYOUT = Layout(BTC_USD)
THIS_MINUTE = NOW - NOW % MINUTE
LAST = THIS_MINUTE - MINUTE

stamps = st.integers(FIRST_OF_WINDOW, NOW + 10_000)
prices = st.integers(1, 1_000).map(float)
minutes = st.integers(0, (THIS_MINUTE - FIRST_OF_WINDOW) // MINUTE - 1).map(lambda n: FIRST_OF_WINDOW + n * MINUTE)


@st.composite
def observed(draw: st.DrawFn) -> Observed:
    low, first, second, high = sorted(draw(st.tuples(prices, prices, prices, prices)))
    return Observed(first, high, low, second)


@st.composite
def oracles(draw: st.DrawFn) -> Oracle:
    oracle = remembered(draw(st.lists(st.tuples(stamps, prices), min_size=1, max_size=60)), NOW)
    for minute, candle in draw(st.lists(st.tuples(minutes, observed()), max_size=10)):
        oracle.candle(NOW, minute, candle)
    return oracle


def audit_of(oracle: Oracle) -> Audit:
    """The audit of a store that does everything right."""
    ticks = tuple(Tick(*each) for each in oracle.ticks())
    return Audit(
        layout=LAYOUT,
        now_ms=NOW,
        first_ms=ticks[-1].time_ms - TICK_RETENTION_MS if ticks else 0,
        ticks=ticks,
        compactions={
            each.key: tuple(
                (start, getattr(bucket, each.field))
                for start, bucket in sorted(oracle.buckets(each.resolution.name).items())
            )
            for each in LAYOUT.compactions
        },
        carried={},
        latest=True,
    )


def candle_of(*ticks: tuple[int, float]) -> Audit:
    """A store whose last closed minute holds these ticks, by their offset."""
    oracle = remembered([(LAST + offset, price) for offset, price in ticks if offset != 59_999], NOW)
    audit = audit_of(oracle)
    return replace(audit, ticks=tuple(Tick(LAST + offset, price) for offset, price in ticks), compactions={})


@given(oracle=oracles())
def test_the_buckets_are_those_of_the_oracle(oracle: Oracle) -> None:
    for name, resolution in RESOLUTIONS.items():
        found = build_buckets((Tick(*each) for each in oracle.ticks()), resolution)

        expected = oracle.buckets(name)
        assert {start: (each.close, each.min, each.max) for start, each in found.items()} == {
            start: each[:3] for start, each in expected.items()
        }


@given(oracle=oracles())
def test_a_store_that_is_right_has_no_finding(oracle: Oracle) -> None:
    assert find_faults(audit_of(oracle)) == ()


@given(oracle=oracles(), data=st.data())
def test_every_wrong_bucket_is_found_and_no_other(oracle: Oracle, data: st.DataObject) -> None:
    right = audit_of(oracle)
    item = data.draw(st.sampled_from(LAYOUT.compactions))
    samples = dict(right.compactions[item.key])
    length, _ = KEPT[item.resolution.name]
    kept = [*oracle.closed(item.resolution.name, NOW), NOW // length * length]
    wanted = {}
    for start in data.draw(st.lists(st.sampled_from(kept), unique=True)):
        price = data.draw(st.none() | prices)
        if price != samples.get(start):
            wanted[start] = (price, samples.pop(start, None))
            samples |= {start: price} if price is not None else {}
    wrong = replace(right, compactions={**right.compactions, item.key: tuple(sorted(samples.items()))})

    found = find_faults(wrong)

    assert {each.start_ms: (each.stored, each.expected) for each in found} == wanted
    assert {each.key for each in found} <= {item.key}


@given(oracle=oracles())
def test_buckets_that_were_carried_over_are_never_found(oracle: Oracle) -> None:
    audit = audit_of(oracle)
    carried = {each.key: HOUR.slots(NOW) for each in LAYOUT.compactions if each.resolution is HOUR}
    others = {key: () if key in carried else samples for key, samples in audit.compactions.items()}

    found = find_faults(replace(audit, compactions=others, carried=carried))

    assert found == ()


def test_a_bucket_of_which_ticks_are_no_longer_retained_is_not_compared() -> None:
    audit = audit_of(remembered(wave(FIRST_OF_WINDOW, NOW, 50_007), NOW))
    hour = FIRST_OF_WINDOW + 5 * HOUR.bucket_ms
    seen = tuple(each for each in audit.ticks if each.time_ms > hour + MINUTE)

    found = find_faults(replace(audit, ticks=seen, first_ms=hour + MINUTE))

    assert found == ()


def test_the_open_bucket_is_not_missed_where_it_cannot_be_read() -> None:
    audit = audit_of(remembered(wave(FIRST_OF_WINDOW, NOW, 50_007), NOW))
    closed = {key: samples[:-1] for key, samples in audit.compactions.items()}

    assert find_faults(replace(audit, compactions=closed, latest=False)) == ()
    assert len(find_faults(replace(audit, compactions=closed, latest=True))) == len(LAYOUT.compactions)


@pytest.mark.parametrize("price", [0.0, -1.0, 1e9])
def test_a_tick_that_is_no_price_is_found(price: float) -> None:
    assert find_faults(candle_of((7, price))) == (Finding(TICK, FindingCode.NO_PRICE, LAST + 7, stored=price),)


def test_a_tick_counts_as_future_from_10_s_ahead_on() -> None:
    near, far = Tick(NOW + 10_000, 5.0), Tick(NOW + 10_001, 5.0)

    found = find_faults(replace(candle_of((7, 5.0)), ticks=(near, far)))

    assert found == (Finding(TICK, FindingCode.IN_FUTURE, far.time_ms, stored=5.0),)


RANGE = {"low": 8.0, "high": 14.0}
WHOLE = {0: 10.0, 20_000: 8.0, 40_000: 14.0, 59_999: 12.0}


def test_a_whole_candle_with_live_ticks_inside_it_is_right() -> None:
    assert find_faults(candle_of(*sorted({**WHOLE, 7: 9.0, 59_998: 14.0}.items()))) == ()


@pytest.mark.parametrize(
    ("change", "code", "values", "dropped"),
    [
        ({0: None}, FindingCode.CANDLE_INCOMPLETE, {"lost": ["open"]}, [59_999]),
        ({20_000: None}, FindingCode.CANDLE_INCOMPLETE, {"lost": ["low"]}, [59_999]),
        ({40_000: None}, FindingCode.CANDLE_INCOMPLETE, {"lost": ["high"]}, [59_999]),
        ({0: None, 40_000: None}, FindingCode.CANDLE_INCOMPLETE, {"lost": ["open", "high"]}, [59_999]),
        ({59_999: None}, FindingCode.CLOSE_LOST, {}, [0, 59_999]),
        (
            {20_000: 14.0, 40_000: 8.0},
            FindingCode.OUTSIDE_CANDLE,
            {"low": 14.0, "high": 8.0, "offsets_ms": [0, 20_000, 40_000, 59_999]},
            [59_999],
        ),
        ({59_999: 15.0}, FindingCode.OUTSIDE_CANDLE, RANGE | {"offsets_ms": [59_999]}, [0, 59_999]),
        ({0: 7.0}, FindingCode.OUTSIDE_CANDLE, RANGE | {"offsets_ms": [0]}, [59_999]),
        ({30_007: 15.0}, FindingCode.OUTSIDE_CANDLE, RANGE | {"offsets_ms": [30_007]}, [59_999]),
    ],
)
def test_a_damaged_candle_is_found_and_what_unsettles_its_minute_leaves_nothing_to_find(
    change: dict[int, float | None], code: FindingCode, values: Values, dropped: list[int]
) -> None:
    damaged = {offset: price for offset, price in sorted({**WHOLE, **change}.items()) if price is not None}

    (found,) = find_faults(candle_of(*damaged.items()))

    assert (found.key, found.start_ms, found.code, found.values) == (TICK, LAST, code, values)
    assert [stamp - LAST for stamp in found.dropped] == dropped
    assert find_faults(candle_of(*(each for each in damaged.items() if each[0] not in dropped))) == ()


def test_polls_and_the_running_minute_are_no_candles() -> None:
    running = tuple(Tick(THIS_MINUTE + offset, WHOLE[offset]) for offset in (0, 20_000, 40_000))

    assert find_faults(candle_of((0, 10.0), (20_000, 12.0), (40_000, 11.0))) == ()
    assert find_faults(replace(candle_of((7, 5.0)), ticks=running)) == ()


NAMES = ("bitfinex", "bitstamp", "coinbase", "gemini", "kraken")
FIELDS = ("open", "low", "high", "close")

cents = st.integers(5_980_000, 6_020_000).map(lambda price: price / 100)
fields = st.tuples(cents, cents, cents, cents).map(sorted)
candles = fields.map(lambda four: Candle(LAST, open=four[1], high=four[3], low=four[0], close=four[2]))
markets = st.fixed_dictionaries({name: candles for name in NAMES})
some_names = st.sets(st.sampled_from(NAMES), min_size=1)


def spelt(candle: Candle) -> dict[str, float]:
    return {field: getattr(candle, field) for field in FIELDS}


def medians(market: Mapping[str, Candle], names: Iterable[str]) -> dict[str, float]:
    """The candles that these providers agree on."""
    members = [market[name] for name in names]
    return {field: median(getattr(each, field) for each in members) for field in FIELDS}


def answers_of(market: Mapping[str, Candle], *, silent: Collection[str] = (), **changes: Any) -> Answers:
    """The answers of all providers but the silent ones."""
    span = Span(LAST, THIS_MINUTE)
    said = tuple(Candles(name, span, (each,)) for name, each in market.items() if name not in silent)
    return replace(Answers(range(LAST, THIS_MINUTE, MINUTE), NOW, frozenset(market), said), **changes)


def settled(prices: Mapping[str, float]) -> Audit:
    """A store whose last closed minute is settled with these prices."""
    return candle_of(*zip(WHOLE, prices.values(), strict=True))


@given(market=markets)
def test_a_minute_that_holds_what_all_providers_agree_on_is_right(market: dict[str, Candle]) -> None:
    found = compare(settled(medians(market, NAMES)), answers_of(market))

    assert (found.findings, found.doubts, found.compared, found.partial) == ((), (), 1, 0)


@given(market=markets, members=some_names)
def test_a_minute_that_some_of_those_that_answer_agreed_on_is_no_finding(
    market: dict[str, Candle], members: set[str]
) -> None:
    found = compare(settled(medians(market, members)), answers_of(market))

    assert (found.findings, found.doubts, found.compared) == ((), (), 1)
    assert found.partial == (medians(market, members) != medians(market, NAMES))


@given(market=markets, members=some_names, silent=some_names)
def test_a_minute_that_a_silent_provider_had_part_in_is_no_finding(
    market: dict[str, Candle], members: set[str], silent: set[str]
) -> None:
    known = set(NAMES) - silent
    assume(known)
    assume(len(silent) > 1 or len(known & members) > 1)

    found = compare(settled(medians(market, members)), answers_of(market, silent=silent))

    assert (found.findings, found.compared) == ((), 1)


@given(market=markets, members=some_names.filter(lambda names: len(names) > 2))
def test_any_three_providers_of_which_one_is_silent_now_leave_no_doubt(
    market: dict[str, Candle], members: set[str]
) -> None:
    found = compare(settled(medians(market, members)), answers_of(market, silent={"kraken"}))

    assert (found.findings, found.doubts, found.compared) == ((), (), 1)


@given(market=markets, members=some_names, field=st.sampled_from(FIELDS), price=prices | cents)
def test_a_changed_price_that_no_providers_agreed_on_is_named(
    market: dict[str, Candle], members: set[str], field: str, price: float
) -> None:
    every_agreement = [medians(market, some) for size in range(1, 6) for some in combinations(NAMES, size)]
    changed = medians(market, members) | {field: price}
    assume(changed not in every_agreement)

    found = compare(settled(changed), answers_of(market))

    agreed = medians(market, NAMES)
    wrong = {(each, changed[each], agreed[each]) for each in FIELDS if changed[each] != agreed[each]}
    assert {(each.field, each.stored, each.expected) for each in found.findings} == wrong
    assert {(each.key, each.start_ms) for each in found.findings} == {(TICK, LAST)}
    assert field in {each.field for each in found.findings} or price == agreed[field]


@given(market=markets, field=st.sampled_from(FIELDS), data=st.data())
def test_with_one_provider_silent_a_price_outside_the_range_of_the_others_is_named(
    market: dict[str, Candle], field: str, data: st.DataObject
) -> None:
    known = [getattr(each, field) for name, each in market.items() if name != "kraken"]
    price = data.draw(prices | cents.filter(lambda each: not min(known) <= each <= max(known)))

    found = compare(settled(medians(market, NAMES) | {field: price}), answers_of(market, silent={"kraken"}))

    assert (field, price) in {(each.field, each.stored) for each in found.findings}


@given(market=markets, field=st.sampled_from(FIELDS), factor=st.sampled_from([0.5, 0.97, 1.03, 2.0]))
def test_with_more_providers_silent_a_price_that_is_not_even_near_the_others_is_named(
    market: dict[str, Candle], field: str, factor: float
) -> None:
    changed = medians(market, NAMES)
    changed[field] *= factor

    found = compare(settled(changed), answers_of(market, silent={"kraken", "gemini"}))

    assert (field, changed[field]) in {(each.field, each.stored) for each in found.findings}


FLAT = dict.fromkeys(NAMES, Candle(LAST, 10.0, 14.0, 8.0, 12.0))


def test_what_only_silent_providers_can_explain_is_a_doubt_that_names_the_field() -> None:
    changed = spelt(FLAT["kraken"]) | {"close": 12.05}

    found = compare(settled(changed), answers_of(FLAT, silent={"kraken", "gemini"}))

    assert found.findings == ()
    assert [(each.field, each.stored, each.expected) for each in found.doubts] == [("close", 12.05, 12.0)]


def test_with_one_provider_silent_the_smallest_step_out_of_the_range_of_the_others_is_named() -> None:
    changed = spelt(FLAT["kraken"]) | {"high": nextafter(14.0, inf)}

    found = compare(settled(changed), answers_of(FLAT, silent={"kraken"}))

    assert [each.field for each in found.findings] == ["high"]


def test_a_minute_that_lost_a_tick_of_its_candle_is_named_whoever_is_silent() -> None:
    lost = candle_of((0, 10.0), (40_000, 14.0), (59_999, 12.0))

    found = compare(lost, answers_of(FLAT, silent={"kraken", "gemini"}))

    assert [(each.field, each.stored, each.expected) for each in found.findings] == [("low", None, 8.0)]


def test_a_settled_minute_in_which_nobody_traded_is_named_unless_somebody_is_silent() -> None:
    none = tuple(each._replace(candles=()) for each in answers_of(FLAT).candles)

    (found,) = compare(settled(spelt(FLAT["kraken"])), answers_of(FLAT, candles=none)).findings
    unsure = compare(settled(spelt(FLAT["kraken"])), answers_of(FLAT, candles=none[1:]))

    assert (found.start_ms, found.dropped) == (LAST, tuple(LAST + offset for offset in WHOLE))
    assert (unsure.findings, unsure.compared, unsure.untold) == ((), 0, 1)


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({"recent_ms": LAST}, "recent"),
        ({"candles": ()}, "untold"),
        ({"quorum": 6}, "untold"),
        ({"minutes": range(0)}, None),
    ],
)
def test_what_is_not_compared_is_counted_by_the_reason(changes: dict[str, Any], count: str | None) -> None:
    damaged = settled(spelt(FLAT["kraken"]) | {"close": 9.0})

    found = compare(damaged, answers_of(FLAT, **changes))

    counts = {name: getattr(found, name) for name in ("compared", "partial", "recent", "untold")}
    assert {name for name, number in counts.items() if number} == ({count} if count else set())
    assert found.findings == ()


def test_unsettled_minutes_that_have_a_candle_are_counted_and_are_no_finding() -> None:
    found = compare(candle_of((7, 10.0)), answers_of(FLAT))

    assert (found.findings, found.compared, found.unsettled) == ((), 0, 1)
