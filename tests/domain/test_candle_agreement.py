"""The candle of a minute: what liars can and cannot do to it, and who stands behind it."""

import csv
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btcts.domain.candle_agreement import AgreedCandles, Backing, Reach, agree_candles, find_stray, group_live_ticks
from btcts.domain.model import HOUR_MS, MINUTE_MS, SPARSE, THIN, Candle, Candles, Span, Tick

NOW_MS = 1_767_225_600_000
EXCHANGES = ("bitfinex", "bitstamp", "coinbase", "gemini", "kraken")
FIELDS = ("open", "high", "low", "close")
RECORDED_TRADES = Path(__file__).parents[3] / "shared/data/bitstamp_btcusd_trades_2017-11-29_0507-0607.csv"
MINUTE = Span(0, MINUTE_MS)

prices = st.floats(min_value=1.0, max_value=1e7)


@st.composite
def candle_at(draw: st.DrawFn, start_ms: int = 0) -> Candle:
    low, lower, upper, high = sorted(draw(st.lists(prices, min_size=4, max_size=4)))
    opens_low = draw(st.booleans())
    return Candle(start_ms, lower if opens_low else upper, high, low, upper if opens_low else lower)


@st.composite
def honest_candles(draw: st.DrawFn) -> list[Candle]:
    true = draw(prices)
    shares = st.floats(min_value=-0.004, max_value=0.004)
    found = []
    for low, lower, upper, high in draw(st.lists(st.tuples(shares, shares, shares, shares), min_size=3, max_size=4)):
        low, lower, upper, high = sorted((low, lower, upper, high))
        found.append(Candle(0, true * (1 + lower), true * (1 + high), true * (1 + low), true * (1 + upper)))
    return found


def flat(start_ms: int, price: float) -> Candle:
    return Candle(start_ms, price, price, price, price)


def answer(provider: str, *candles: Candle, covered: Span | None = None) -> Candles:
    return Candles(provider, covered, candles)


def answers_of(*closes: float | None) -> list[Candles]:
    """One answer for each price, that has no candle where there is none, of providers a, b, c, ..."""
    return [
        answer(name, *([] if close is None else [flat(0, close)]), covered=MINUTE)
        for name, close in zip("abcdef", closes, strict=False)
    ]


class TestCandles:
    @given(st.lists(candle_at(), min_size=1, max_size=5), st.integers(1, 5))
    def test_an_agreed_candle_is_always_valid(self, members: list[Candle], quorum: int) -> None:
        answers = [answer(name, candle) for name, candle in zip(EXCHANGES, members, strict=False)]

        result = agree_candles(answers, quorum=quorum)

        assert set(result.candles) | result.disputed == {0}
        assert not set(result.candles) & result.disputed
        for candle in result.candles.values():
            assert candle.low <= min(candle.open, candle.close) <= max(candle.open, candle.close) <= candle.high

    @given(honest_candles(), st.lists(candle_at(), max_size=3))
    def test_fewer_than_half_lying_never_move_a_field_one_percent_out_of_the_honest_range(
        self, honest: list[Candle], lies: list[Candle]
    ) -> None:
        members = [*honest, *lies[: len(honest) - 1]]

        result = agree_candles([answer(f"p{number}", candle) for number, candle in enumerate(members)])

        assert list(result.candles) == [0]
        for field in FIELDS:
            said = [getattr(candle, field) for candle in honest]
            assert min(said) / 1.01 <= getattr(result.candles[0], field) <= max(said) * 1.01

    @pytest.mark.parametrize(
        "closes", [(100, 100.1, 150, 150.1), (100, 100.1, 103, 103.1), (100, 10_000, 150), (100, 103, 101.5, 10_000)]
    )
    def test_no_majority_is_disputed_and_never_a_midpoint(self, closes: tuple[float, ...]) -> None:
        assert agree_candles(answers_of(*closes)).disputed == {0}

    def test_one_far_off_in_its_low_alone_contradicts_the_others(self) -> None:
        deep = Candle(0, 100, 100, 95, 100)

        assert agree_candles([answer("a", deep), answer("b", deep), *answers_of(None, None, 100.0, 100.0)]).disputed

    def test_a_minority_cannot_invent_a_candle_where_the_others_had_no_trades(self) -> None:
        assert agree_candles(answers_of(100, 100.1, None, None, None)).disputed == {0}

    def test_a_candle_that_few_have_is_kept_between_its_neighbours(self) -> None:
        three = Span(-MINUTE_MS, 2 * MINUTE_MS)
        common = [answer(name, flat(-MINUTE_MS, 100), flat(MINUTE_MS, 101), covered=three) for name in ("b", "c", "d")]

        for price, kept in ((100.4, True), (101.9, True), (99.1, True), (103, False), (98, False)):
            lone = answer("a", flat(-MINUTE_MS, 100), flat(0, price), flat(MINUTE_MS, 101), covered=three)
            assert (0 in agree_candles([lone, *common]).candles) == kept

    def test_the_neighbours_of_a_candle_that_few_have_may_be_stored_ones(self) -> None:
        few = answers_of(100, None, None)

        assert agree_candles(few, settled={-MINUTE_MS: flat(-MINUTE_MS, 100.5)}).candles == {0: flat(0, 100)}
        assert agree_candles(few, settled={-MINUTE_MS: flat(-MINUTE_MS, 150)}).disputed == {0}

    def test_with_one_honest_one_without_trades_two_liars_are_no_majority_of_four(self) -> None:
        assert agree_candles(answers_of(150, 150.1, 100, None)).disputed == {0}

    def test_those_that_are_near_stand_behind_the_candle(self) -> None:
        result = agree_candles(answers_of(100, 100.1, 100.2, 150, None))

        assert result.backing[0] == Backing(frozenset("abcde"), frozenset("abc"))

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
            answer("b", Candle(0, open=100.1, high=110.2, low=90.1, close=105.1)),
            answer("c", Candle(0, open=99.9, high=109.9, low=89.9, close=104.9)),
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


class TestReach:
    REACH = Reach(
        {"coinbase": 365 * 24 * HOUR_MS, "kraken": 12 * HOUR_MS, "bitstamp": 24 * HOUR_MS, "coinmarketcap": 0}
    )

    def test_more_than_half_of_those_that_reach_a_minute_are_a_majority(self) -> None:
        recent, old = NOW_MS - HOUR_MS, NOW_MS - 13 * HOUR_MS

        assert self.REACH.has_majority({"coinbase", "kraken"}, recent, NOW_MS)
        assert not self.REACH.has_majority({"coinbase"}, recent, NOW_MS)
        assert not self.REACH.has_majority({"coinbase", "kraken"}, old, NOW_MS)
        assert self.REACH.has_majority({"coinbase", "bitstamp"}, old, NOW_MS)

    def test_those_that_other_collectors_ask_count_for_nothing(self) -> None:
        assert not self.REACH.has_majority({"gemini", "bitfinex", "coinbase"}, NOW_MS - HOUR_MS, NOW_MS)

    def test_a_minute_is_unproven_until_a_majority_is_near_its_candle(self) -> None:
        minute, everybody = NOW_MS - HOUR_MS, frozenset({"coinbase", "kraken", "bitstamp"})
        alone = frozenset({"kraken"})

        assert self.REACH.find_doubt(Backing(alone, alone), minute, NOW_MS) == THIN
        assert self.REACH.find_doubt(Backing(everybody, alone), minute, NOW_MS) == SPARSE
        assert self.REACH.find_doubt(Backing(everybody - {"kraken"}, everybody - {"kraken"}), minute, NOW_MS) is None

    def test_a_minute_that_nobody_reaches_is_not_doubted(self) -> None:
        assert self.REACH.find_doubt(Backing(frozenset()), NOW_MS - 366 * 24 * HOUR_MS, NOW_MS) is None


class TestLiveTicks:
    def test_a_tick_more_than_one_percent_outside_contradicts_a_candle(self) -> None:
        candle = Candle(0, 100, 102, 99, 101)

        assert find_stray(candle, [Tick(1, 103.0), Tick(2, 98.1)]) is None
        assert find_stray(candle, [Tick(1, 103.0), Tick(2, 98.0)]) == Tick(2, 98.0)

    def test_the_ticks_of_a_stored_candle_are_no_live_ones(self) -> None:
        ticks = [Tick(0, 100.0), Tick(7_000, 101.0), Tick(59_999, 100.0), Tick(MINUTE_MS, 102.0)]

        assert group_live_ticks(ticks, settled={0}) == {0: [Tick(7_000, 101.0)], MINUTE_MS: [Tick(MINUTE_MS, 102.0)]}


def test_rejected_minutes_are_disputed() -> None:
    agreed = agree_candles([answer("a", flat(0, 100), flat(MINUTE_MS, 100))]).reject({0})

    assert isinstance(agreed, AgreedCandles)
    assert (list(agreed.candles), agreed.disputed) == ([MINUTE_MS], {0})


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
