"""Agreement: what liars, frozen feeds and absurd prices can and cannot do to the price and to the candles."""

import csv
from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btcts.agreement import Verdict, agree, agree_candles
from btcts.model import MINUTE_MS, PRICE_CEILING, Candle, Candles, Reading, Span, Tick

NOW_MS = 1_767_225_600_000
EXCHANGES = ("bitfinex", "bitstamp", "coinbase", "gemini", "kraken")
RECORDED_TRADES = Path(__file__).parents[2] / "shared/data/bitstamp_btcusd_trades_2017-11-29_0507-0607.csv"

prices = st.floats(min_value=1.0, max_value=1e7)
any_float = st.floats(allow_nan=True, allow_infinity=True)


def reading(provider: str, price: float, *, observed_ms: int = NOW_MS, traded_ms: int | None = None) -> Reading:
    return Reading(provider, price, observed_ms, traded_ms)


def named(values: Iterable[float]) -> list[Reading]:
    return [reading(f"provider{number}", value) for number, value in enumerate(values)]


def verdict(
    *readings: Reading,
    last: Tick | None = None,
    pending: Tick | None = None,
    now_ms: int = NOW_MS,
    quorum: int = 1,
) -> Verdict:
    return agree(readings, now_ms=now_ms, last=last, pending=pending, quorum=quorum)


def accepted(price: float, *, age_s: int = 0, now_ms: int = NOW_MS) -> Tick:
    return Tick(now_ms - age_s * 1000, price)


@st.composite
def candle_at(draw: st.DrawFn, start_ms: int = 0) -> Candle:
    low, one, other, high = sorted(draw(st.lists(prices, min_size=4, max_size=4)))
    opens_low = draw(st.booleans())
    return Candle(start_ms, one if opens_low else other, high, low, other if opens_low else one)


def flat(start_ms: int, price: float) -> Candle:
    return Candle(start_ms, price, price, price, price)


def answer(provider: str, *candles: Candle, covered: Span | None = None) -> Candles:
    return Candles(provider, covered, candles)


class TestThreeOrMore:
    def test_the_price_of_an_odd_number_is_the_middle_one(self) -> None:
        result = verdict(*named([100.0, 300.0, 200.0]))

        assert result.agreed is not None
        assert (result.agreed.price, result.agreed.flag) == (200.0, None)

    def test_the_price_of_an_even_number_is_the_mean_of_the_middle_two(self) -> None:
        result = verdict(*named([100.0, 200.0, 300.0, 1000.0]))

        assert result.agreed is not None
        assert result.agreed.price == 250.0

    def test_a_deviating_provider_is_named_and_stays_a_member(self) -> None:
        result = verdict(reading("a", 100.0), reading("b", 100.5), reading("c", 150.0))

        assert result.agreed is not None
        assert result.agreed.members == ("a", "b", "c")
        assert result.agreed.deviating == (("c", 150.0 / 100.5 - 1),)

    def test_a_majority_moves_the_price_as_far_as_it_says(self) -> None:
        result = verdict(*named([10_000.0, 4_000.0, 4_010.0]), last=accepted(10_000.0))

        assert result.agreed is not None
        assert result.agreed.price == 4_010.0

    @given(honest=st.lists(prices, min_size=2, max_size=6), lies=st.lists(any_float, max_size=5))
    def test_fewer_than_half_lying_never_move_the_price_out_of_the_honest_range(
        self, honest: list[float], lies: list[float]
    ) -> None:
        lies = lies[: len(honest) - 1]

        result = verdict(*named([*honest, *lies]), last=accepted(honest[0]))

        if len(honest) + len(lies) > 2:
            assert result.agreed is not None
            assert min(honest) <= result.agreed.price <= max(honest)


class TestTwo:
    @given(prices, st.floats(min_value=0, max_value=0.0099))
    def test_near_readings_give_their_mean(self, price: float, apart: float) -> None:
        other = price * (1 + apart)

        result = verdict(*named([price, other]))

        assert result.agreed is not None
        assert (result.agreed.price, result.agreed.flag) == ((price + other) / 2, None)

    def test_exactly_one_percent_is_near(self) -> None:
        result = verdict(*named([100.0, 101.0]))

        assert result.agreed is not None
        assert result.agreed.price == 100.5

    def test_more_than_one_percent_of_the_smaller_is_apart(self) -> None:
        assert verdict(*named([100.0, 101.005])).agreed is None

    @pytest.mark.parametrize(("first", "second"), [(90.0, 110.0), (110.0, 90.0)])
    def test_of_two_equally_near_the_last_price_the_lower_wins(self, first: float, second: float) -> None:
        result = verdict(reading("a", first), reading("b", second), last=accepted(100.0))

        assert result.agreed is not None
        assert result.agreed.price == 90.0

    def test_the_one_nearer_the_last_price_wins_and_is_flagged(self) -> None:
        result = verdict(reading("right", 101.0), reading("wrong", 130.0), last=accepted(100.0, age_s=600))

        assert result.agreed is not None
        assert (result.agreed.price, result.agreed.flag) == (101.0, "disputed")
        assert result.agreed.members == ("right",)
        assert result.agreed.deviating == (("wrong", 130.0 / 101.0 - 1),)

    def test_nothing_is_agreed_without_a_recent_price(self) -> None:
        result = verdict(reading("a", 101.0), reading("b", 130.0), last=accepted(100.0, age_s=601))

        assert result.agreed is None
        assert result.problem == "a says 101.0 and b says 130.0: no recent price decides between them"

    def test_a_last_price_from_far_in_the_future_decides_nothing(self) -> None:
        assert verdict(*named([101.0, 130.0]), last=accepted(100.0, age_s=-601)).agreed is None

    def test_the_nearer_one_is_not_believed_beyond_a_jump(self) -> None:
        result = verdict(*named([126.0, 200.0]), last=accepted(100.0))

        assert result.agreed is None

    def test_an_undecided_poll_keeps_what_is_pending(self) -> None:
        pending = accepted(130.0, age_s=10)

        result = verdict(*named([126.0, 200.0]), last=accepted(100.0), pending=pending)

        assert result.pending == pending

    def test_both_jumping_together_are_believed(self) -> None:
        result = verdict(*named([50.0, 50.1]), last=accepted(100.0))

        assert result.agreed is not None


class TestOne:
    def test_the_first_price_of_an_empty_store_is_taken(self) -> None:
        result = verdict(reading("kraken", 100.0))

        assert result.agreed is not None
        assert (result.agreed.price, result.agreed.flag) == (100.0, "single")

    @pytest.mark.parametrize("price", [75.0, 125.0])
    def test_a_move_of_a_quarter_is_taken(self, price: float) -> None:
        result = verdict(reading("kraken", price), last=accepted(100.0))

        assert result.agreed is not None
        assert result.agreed.price == price

    @pytest.mark.parametrize("price", [74.9, 125.1])
    def test_a_larger_jump_waits(self, price: float) -> None:
        result = verdict(reading("kraken", price), last=accepted(100.0))

        assert result.agreed is None
        assert result.pending == Tick(NOW_MS, price)

    def test_the_reason_for_waiting_names_the_provider_and_the_jump(self) -> None:
        result = verdict(reading("coinmarketcap", 789.0), last=accepted(47_000.0))

        assert result.problem == (
            "coinmarketcap alone says 789.0, -98.3% from the last accepted 47000.0: it waits for confirmation"
        )

    def test_a_jump_is_taken_when_the_last_price_is_old(self) -> None:
        result = verdict(reading("kraken", 200.0), last=accepted(100.0, age_s=601))

        assert result.agreed is not None

    def test_a_later_poll_near_the_pending_price_confirms_it(self) -> None:
        result = verdict(reading("kraken", 200.5), last=accepted(100.0, age_s=20), pending=accepted(200.0, age_s=10))

        assert result.agreed is not None
        assert (result.agreed.price, result.agreed.flag, result.pending) == (200.5, "single", None)

    def test_the_same_observation_read_again_confirms_nothing(self) -> None:
        once = reading("coinmarketcap", 200.0, observed_ms=NOW_MS - 30_000)
        first = verdict(once, last=accepted(100.0))

        again = verdict(once, last=accepted(100.0), pending=first.pending, now_ms=NOW_MS + 10_000)

        assert again.agreed is None
        assert again.pending == first.pending

    @pytest.mark.parametrize(("age_s", "kept"), [(600, True), (601, False)])
    def test_a_poll_without_prices_keeps_what_is_pending_for_ten_minutes(self, age_s: int, *, kept: bool) -> None:
        pending = accepted(200.0, age_s=age_s)

        assert verdict(pending=pending).pending == (pending if kept else None)

    def test_an_old_pending_price_confirms_nothing(self) -> None:
        result = verdict(reading("kraken", 200.0), last=accepted(100.0), pending=accepted(200.0, age_s=601))

        assert result.agreed is None

    def test_a_feed_that_flaps_never_confirms_itself(self) -> None:
        last, pending, taken = accepted(100.0), None, []

        for poll in range(20):
            now_ms = NOW_MS + poll * 10_000
            price = 200.0 if poll % 2 == 0 else 100.0
            result = verdict(reading("kraken", price, observed_ms=now_ms), last=last, pending=pending, now_ms=now_ms)
            pending = result.pending
            if result.agreed:
                taken.append(result.agreed.price)
                last = Tick(result.agreed.time_ms, result.agreed.price)

        assert set(taken) == {100.0}

    def test_wild_prices_never_confirm_each_other(self) -> None:
        pending = None

        for poll, price in enumerate([200.0, 400.0, 200.0, 30.0, 400.0]):
            now_ms = NOW_MS + poll * 10_000
            result = verdict(
                reading("kraken", price, observed_ms=now_ms), last=accepted(100.0), pending=pending, now_ms=now_ms
            )
            pending = result.pending
            assert result.agreed is None

    def test_the_glitch_of_december_2021_is_refused_alone(self) -> None:
        last = accepted(47_000.0, age_s=60)

        absurd = verdict(reading("coinmarketcap", 850e9), last=last)
        tiny = verdict(reading("coinmarketcap", 789.0), last=last)

        assert (absurd.agreed, tiny.agreed) == (None, None)
        assert absurd.refused == (("coinmarketcap", "850000000000.0 is no price"),)

    @pytest.mark.parametrize("glitch", [850e9, 789.0])
    def test_the_glitch_of_december_2021_is_harmless_in_company(self, glitch: float) -> None:
        result = verdict(reading("coinbase", 47_000.0), reading("kraken", 47_010.0), reading("coinmarketcap", glitch))

        assert result.agreed is not None
        assert 47_000.0 <= result.agreed.price <= 47_010.0


class TestRefusal:
    @pytest.mark.parametrize("price", [0.0, -1.0, float("nan"), float("inf"), PRICE_CEILING * 1.0001])
    def test_what_is_no_price_is_refused_with_its_value(self, price: float) -> None:
        result = verdict(reading("gemini", price))

        assert result.refused == (("gemini", f"{price!r} is no price"),)
        assert result.problem == "usable prices: 0, needed: 1"

    @pytest.mark.parametrize(
        ("offset_s", "reason"),
        [
            (-120, None),
            (-120.5, "its last trade is 120.5 s old"),
            (10, None),
            (10.5, "its last trade is 10.5 s ahead of the clock"),
        ],
    )
    def test_a_frozen_feed_is_found_out_by_its_last_trade(self, offset_s: float, reason: str | None) -> None:
        result = verdict(reading("gemini", 100.0, traded_ms=NOW_MS + int(offset_s * 1000)))

        assert [refusal.reason for refusal in result.refused] == ([reason] if reason else [])

    @pytest.mark.parametrize(
        ("offset_s", "reason"),
        [(-121, "its price is 121.0 s old"), (11, "its price is 11.0 s ahead of the clock")],
    )
    def test_a_price_of_another_time_is_refused(self, offset_s: int, reason: str) -> None:
        result = verdict(reading("coinmarketcap", 100.0, observed_ms=NOW_MS + offset_s * 1000))

        assert result.refused == (("coinmarketcap", reason),)

    def test_a_frozen_provider_is_no_member(self) -> None:
        frozen = reading("kraken", 90.0, traded_ms=NOW_MS - 200_000)

        result = verdict(reading("coinbase", 100.0), reading("gemini", 100.2), frozen)

        assert result.agreed is not None
        assert result.agreed.members == ("coinbase", "gemini")

    @given(
        values=st.lists(prices, max_size=5),
        refused=st.lists(st.sampled_from([-1.0, 0.0, 1e9, float("nan"), float("inf")]), max_size=5),
        last=st.none() | prices.map(accepted),
    )
    def test_refused_readings_change_nothing_else(
        self, values: list[float], refused: list[float], last: Tick | None
    ) -> None:
        honest = named(values)
        bad = [reading(f"bad{number}", value) for number, value in enumerate(refused)]

        without, with_them = verdict(*honest, last=last), verdict(*honest, *bad, last=last)

        assert replace(with_them, refused=()) == without
        assert len(with_them.refused) == len(bad)


class TestAnyNumber:
    def test_the_quorum_counts_what_passed(self) -> None:
        result = verdict(reading("a", 100.0), reading("b", -1.0), quorum=2)

        assert result.agreed is None
        assert result.problem == "usable prices: 1, needed: 2"

    def test_a_provider_counts_once_with_its_newest_reading(self) -> None:
        older, newer = reading("a", 100.0, observed_ms=NOW_MS - 1), reading("a", 101.0)

        result = verdict(newer, older)

        assert result.agreed is not None
        assert (result.agreed.price, result.agreed.members) == (101.0, ("a",))

    @given(st.lists(st.integers(min_value=-120_000, max_value=10_000), min_size=3, max_size=5))
    def test_the_time_is_the_newest_observation_and_never_in_the_future(self, offsets: list[int]) -> None:
        readings = [reading(f"p{i}", 100.0, observed_ms=NOW_MS + offset) for i, offset in enumerate(offsets)]

        result = verdict(*readings)

        assert result.agreed is not None
        assert result.agreed.time_ms == NOW_MS + min(0, max(offsets))

    @given(
        values=st.lists(st.tuples(st.sampled_from("abcd"), any_float | prices), max_size=6),
        last=st.none() | prices.map(accepted),
        data=st.data(),
    )
    def test_the_order_of_the_readings_never_matters(
        self, values: list[tuple[str, float]], last: Tick | None, data: st.DataObject
    ) -> None:
        readings = [reading(*value) for value in values]
        shuffled = data.draw(st.permutations(readings))

        assert verdict(*shuffled, last=last) == verdict(*readings, last=last)

    @given(values=st.lists(prices, min_size=1, max_size=5), last=prices, power=st.integers(-10, 3))
    def test_the_verdict_does_not_depend_on_the_scale_of_the_price(
        self, values: list[float], last: float, power: int
    ) -> None:
        scale = 2.0**power

        plain = verdict(*named(values), last=accepted(last))
        scaled = verdict(*named(value * scale for value in values), last=accepted(last * scale))

        if plain.agreed is None:
            assert scaled.agreed is None
        else:
            assert scaled.agreed == replace(plain.agreed, price=plain.agreed.price * scale)


class TestCandles:
    @given(st.lists(candle_at(), min_size=1, max_size=5), st.integers(1, 5))
    def test_an_agreed_candle_is_always_valid(self, members: list[Candle], quorum: int) -> None:
        answers = [answer(name, candle) for name, candle in zip(EXCHANGES, members, strict=False)]

        result = agree_candles(answers, quorum=quorum)

        assert set(result.candles) | result.disputed == {0}
        assert not set(result.candles) & result.disputed
        for candle in result.candles.values():
            assert candle.low <= min(candle.open, candle.close) <= max(candle.open, candle.close) <= candle.high

    @given(st.lists(candle_at(), min_size=2, max_size=3), st.lists(candle_at(), max_size=2))
    def test_fewer_than_half_lying_never_move_a_field_out_of_the_honest_range(
        self, honest: list[Candle], lies: list[Candle]
    ) -> None:
        members = [*honest, *lies[: len(honest) - 1]]
        answers = [answer(name, candle) for name, candle in zip(EXCHANGES, members, strict=False)]

        result = agree_candles(answers)

        for field in ("open", "high", "low", "close") if result.candles else ():
            said = [getattr(candle, field) for candle in honest]
            assert min(said) <= getattr(result.candles[0], field) <= max(said)

    @given(
        st.lists(st.tuples(st.sampled_from(EXCHANGES), candle_at()), max_size=5, unique_by=lambda e: e[0]),
        st.data(),
    )
    def test_the_order_of_the_providers_never_matters(
        self, members: list[tuple[str, Candle]], data: st.DataObject
    ) -> None:
        answers = [answer(*member) for member in members]
        shuffled = data.draw(st.permutations(answers))

        assert agree_candles(shuffled) == agree_candles(answers)

    def test_each_field_is_the_median_of_the_same_members(self) -> None:
        answers = [
            answer("a", Candle(0, open=100, high=110, low=90, close=105)),
            answer("b", Candle(0, open=101, high=120, low=95, close=106)),
            answer("c", Candle(0, open=99, high=105, low=80, close=100)),
        ]

        result = agree_candles(answers)

        assert result.candles == {0: Candle(0, open=100, high=110, low=90, close=105)}

    def test_minutes_ascend(self) -> None:
        answers = [answer("a", flat(MINUTE_MS, 100)), answer("b", flat(0, 100))]

        assert list(agree_candles(answers).candles) == [0, MINUTE_MS]

    def test_one_provider_counts_once_and_its_later_answer_wins(self) -> None:
        answers = [answer("a", flat(0, 100)), answer("a", flat(0, 101))]

        assert agree_candles(answers, quorum=2).disputed == {0}
        assert agree_candles(answers).candles == {0: flat(0, 101)}

    def test_a_minute_below_the_quorum_is_disputed(self) -> None:
        result = agree_candles([answer("a", flat(0, 100))], quorum=2)

        assert (dict(result.candles), result.disputed) == ({}, {0})

    def test_two_closes_apart_are_disputed_until_a_third_decides(self) -> None:
        two = [answer("a", flat(0, 100)), answer("b", flat(0, 102))]

        assert agree_candles(two).disputed == {0}
        assert agree_candles([*two, answer("c", flat(0, 101.9))]).candles == {0: flat(0, 101.9)}

    def test_two_near_closes_are_averaged(self) -> None:
        result = agree_candles([answer("a", flat(0, 100)), answer("b", flat(0, 101))])

        assert result.candles == {0: flat(0, 100.5)}

    @pytest.mark.parametrize(("high", "low"), [(127.6, 100), (102, 74.9)])
    def test_a_stray_wick_is_disputed_until_two_others_outvote_it(self, high: float, low: float) -> None:
        stray = answer("a", Candle(0, open=100, high=high, low=low, close=102))
        honest = Candle(0, open=100, high=102, low=100, close=102)

        assert agree_candles([stray]).disputed == {0}
        assert agree_candles([stray, answer("b", honest)]).disputed == {0}
        assert agree_candles([stray, answer("b", honest), answer("c", honest)]).candles == {0: honest}

    @pytest.mark.parametrize(("high", "low"), [(127.5, 100), (102, 75)])
    def test_a_wick_of_a_quarter_is_kept(self, high: float, low: float) -> None:
        candle = Candle(0, open=100, high=high, low=low, close=102)

        assert agree_candles([answer("a", candle)]).candles == {0: candle}

    @pytest.mark.parametrize("neighbours", [(-1,), (1,), (-1, 1)])
    def test_a_lone_close_away_from_all_its_neighbours_is_disputed(self, neighbours: tuple[int, ...]) -> None:
        minute = 10 * MINUTE_MS
        around = [flat(minute + step * MINUTE_MS, 100) for step in neighbours]

        result = agree_candles([answer("a", flat(minute, 126), *around)])

        assert minute in result.disputed

    def test_a_lasting_fall_by_a_third_is_kept(self) -> None:
        closes = [100.0, 100.0, 66.0, 66.0]
        candles = [flat(number * MINUTE_MS, close) for number, close in enumerate(closes)]

        result = agree_candles([answer("a", *candles)])

        assert list(result.candles.values()) == candles

    def test_the_neighbours_of_other_providers_do_not_judge_a_lone_candle(self) -> None:
        answers = [answer("a", flat(MINUTE_MS, 126)), answer("b", flat(0, 100), flat(2 * MINUTE_MS, 100))]

        assert not agree_candles(answers).disputed

    @pytest.mark.parametrize("move", [0.11, -0.11, 0.23, -0.23])
    def test_a_real_move_inside_one_minute_is_kept(self, move: float) -> None:
        low, high = sorted([100.0, 100.0 * (1 + move)])
        wild = Candle(MINUTE_MS, open=100, high=high, low=low, close=100 * (1 + move))

        result = agree_candles([answer("a", flat(0, 100), wild, flat(2 * MINUTE_MS, 100))])

        assert result.candles[MINUTE_MS] == wild

    def test_a_covered_minute_that_nobody_traded_is_told_from_an_unknown_one(self) -> None:
        covered = Span(0, 3 * MINUTE_MS)

        result = agree_candles([answer("a", flat(0, 100), covered=covered), answer("b", flat(MINUTE_MS, 100))])

        assert result.no_trades == {2 * MINUTE_MS}

    def test_an_answer_that_covers_nothing_says_nothing(self) -> None:
        result = agree_candles([answer("a")])

        assert (dict(result.candles), result.disputed, result.no_trades) == ({}, frozenset(), frozenset())


if RECORDED_TRADES.exists():

    def test_every_minute_of_the_wild_hour_of_november_2017_is_kept() -> None:
        with RECORDED_TRADES.open(newline="") as file:
            trades = [(int(row["timestamp"]) // 60 * MINUTE_MS, float(row["price"])) for row in csv.DictReader(file)]
        candles = []
        for minute, group in groupby(trades, key=lambda trade: trade[0]):
            traded = [price for _, price in group]
            candles.append(Candle(minute, traded[0], max(traded), min(traded), traded[-1]))

        result = agree_candles([answer("bitstamp", *candles)])

        assert list(result.candles.values()) == candles
