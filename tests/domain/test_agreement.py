"""Agreement: what liars, frozen feeds and absurd prices can and cannot do to the price."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btcts.domain.agreement import LONE_POLLS, Past, Verdict, agree
from btcts.domain.codes import ProblemCode, RefusalCode
from btcts.domain.model import PRICE_CEILING, Lean, Pending, Reading, Tick

NOW_MS = 1_767_225_600_000

prices = st.floats(min_value=1.0, max_value=1e7)
any_float = st.floats(allow_nan=True, allow_infinity=True)


def reading(provider: str, price: float, *, observed_ms: int = NOW_MS, traded_ms: int | None = None) -> Reading:
    return Reading(provider, price, observed_ms, traded_ms)


def named(values: Iterable[float]) -> list[Reading]:
    return [reading(f"provider{number}", value) for number, value in enumerate(values)]


def verdict(
    *readings: Reading,
    last: Tick | None = None,
    anchor: Tick | None = None,
    pending: Pending | None = None,
    now_ms: int = NOW_MS,
    configured: int = 1,
    quorum: int = 1,
) -> Verdict:
    past = Past(last=last, anchor=anchor, pending=pending)
    return agree(readings, now_ms=now_ms, past=past, configured=configured, quorum=quorum)


def accepted(price: float, *, age_s: int = 0, now_ms: int = NOW_MS) -> Tick:
    return Tick(now_ms - age_s * 1000, price)


def waiting(price: float, *, age_s: int = 0, polls: int = 1) -> Pending:
    return Pending(NOW_MS - age_s * 1000, price, polls)


class TestThreeOrMore:
    def test_the_price_of_an_odd_number_is_the_middle_one(self) -> None:
        result = verdict(*named([100.0, 100.8, 100.4]))

        assert result.agreed is not None
        assert (result.agreed.price, result.agreed.flag) == (100.4, None)

    def test_the_price_of_an_even_number_is_the_mean_of_the_middle_two(self) -> None:
        result = verdict(*named([100.0, 100.2, 100.4, 1000.0]))

        assert result.agreed is not None
        assert result.agreed.price == pytest.approx(100.3)

    def test_a_deviating_provider_is_named_and_is_no_member(self) -> None:
        result = verdict(reading("a", 100.0), reading("b", 100.5), reading("c", 150.0))

        assert result.agreed is not None
        assert result.agreed.members == ("a", "b")
        assert result.agreed.deviating == (("c", 150.0 / 100.5 - 1),)

    def test_a_majority_moves_the_price_as_far_as_it_says(self) -> None:
        result = verdict(*named([10_000.0, 4_000.0, 4_010.0]), last=accepted(10_000.0), anchor=accepted(10_000.0))

        assert result.agreed is not None
        assert (result.agreed.price, result.past.anchor) == (4_010.0, Tick(NOW_MS, 4_010.0))

    @given(
        true=prices,
        spread=st.lists(st.floats(min_value=-0.004, max_value=0.004), min_size=3, max_size=6),
        lies=st.lists(any_float, max_size=5),
    )
    def test_fewer_than_half_lying_never_move_the_price_one_percent_out_of_the_honest_range(
        self, true: float, spread: list[float], lies: list[float]
    ) -> None:
        honest = [true * (1 + share) for share in spread]
        lies = lies[: len(honest) - 1]

        result = verdict(*named([*honest, *lies]), configured=len(honest) + len(lies))

        assert result.agreed is not None
        assert min(honest) / 1.01 <= result.agreed.price <= max(honest) * 1.01

    @pytest.mark.parametrize(
        "camps",
        [
            [50_000.0, 50_010.0, 75_000.0, 75_010.0],
            [50_000.0, 50_010.0, 51_500.0, 51_510.0],
            [50_000.0, 50_010.0, 50_020.0, 75_000.0, 75_010.0, 75_020.0],
            [50_000.0, 50_010.0, 51_500.0, 5_000_000.0],
        ],
    )
    def test_an_even_split_is_never_a_price_that_nobody_quoted(self, camps: list[float]) -> None:
        assert verdict(*named(camps)).agreed is None

        result = verdict(*named(camps), anchor=accepted(50_100.0, age_s=590))

        assert result.agreed is not None
        assert result.agreed.price in camps
        assert abs(result.agreed.price / 50_000 - 1) < 0.01
        assert result.agreed.flag == "disputed"

    @pytest.mark.parametrize("lie", [5_000_000.0, 51_500.0])
    def test_a_median_of_three_that_two_lies_enclose_is_no_majority(self, lie: float) -> None:
        assert verdict(*named([50_000.0, lie, 75_000.0]), configured=5).agreed is None

    def test_three_near_each_other_and_uncontradicted_need_no_majority_of_all(self) -> None:
        result = verdict(*named([50_000.0, 50_010.0, 50_020.0]), configured=6)

        assert result.agreed is not None
        assert (result.agreed.flag, result.past.anchor) == (None, None)

    def test_where_one_contradicts_a_majority_of_all_that_are_configured_is_needed(self) -> None:
        prices_of_four = named([50_000.0, 50_010.0, 50_020.0, 75_000.0])

        assert verdict(*prices_of_four, configured=6).agreed is None
        assert verdict(*prices_of_four, configured=5).agreed is not None


class TestAnchor:
    def test_a_disputed_price_near_the_anchor_renews_it(self) -> None:
        result = verdict(*named([50_100.0, 75_000.0]), anchor=accepted(50_000.0, age_s=590))

        assert result.past.anchor == Tick(NOW_MS, 50_100.0)

    def test_a_disputed_price_that_is_not_near_leaves_it(self) -> None:
        anchor = accepted(50_000.0, age_s=590)

        result = verdict(*named([51_000.0, 75_000.0]), anchor=anchor)

        assert result.agreed is not None
        assert result.past.anchor == anchor

    def test_the_last_price_is_no_anchor(self) -> None:
        assert verdict(*named([50_000.0, 75_000.0]), last=accepted(50_000.0)).agreed is None

    def test_a_majority_of_the_configured_sets_it_and_fewer_do_not(self) -> None:
        readings = named([50_000.0, 50_010.0, 50_020.0])

        assert verdict(*readings, configured=5).past.anchor == Tick(NOW_MS, 50_010.0)
        assert verdict(*readings, configured=6).past.anchor is None

    def test_two_that_agree_for_ten_minutes_while_no_more_than_half_are_heard_set_it(self) -> None:
        past, anchors = Past(), []

        for poll in range(12):
            now_ms = NOW_MS + poll * 60_000
            pair = [reading(name, 50_000.0, observed_ms=now_ms) for name in ("a", "b")]
            past = agree(pair, now_ms=now_ms, past=past, configured=4).past
            anchors.append(past.anchor is not None)

        assert anchors == [False] * 10 + [True] * 2

    def test_two_others_begin_anew(self) -> None:
        lean = Lean(NOW_MS - 600_000, NOW_MS - 60_000, ("a", "b"))
        pair = [reading(name, 50_000.0) for name in ("c", "d")]

        result = agree(pair, now_ms=NOW_MS, past=Past(lean=lean), configured=4)

        assert result.past == Past(lean=Lean(NOW_MS, NOW_MS, ("c", "d")))

    def test_once_more_than_half_are_heard_the_stretch_is_over(self) -> None:
        lean = Lean(NOW_MS - 600_000, NOW_MS - 60_000, ("a", "b"))
        readings = [reading(name, price) for name, price in (("a", 50_000.0), ("b", 50_000.0), ("c", 75_000.0))]

        result = agree(readings, now_ms=NOW_MS, past=Past(lean=lean), configured=4)

        assert (result.agreed, result.past) == (None, Past())


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
    def test_of_two_equally_near_the_anchor_the_lower_wins(self, first: float, second: float) -> None:
        result = verdict(reading("a", first), reading("b", second), anchor=accepted(100.0))

        assert result.agreed is not None
        assert result.agreed.price == 90.0

    def test_the_one_nearer_the_anchor_wins_and_is_flagged(self) -> None:
        result = verdict(reading("right", 101.0), reading("wrong", 130.0), anchor=accepted(100.0, age_s=600))

        assert result.agreed is not None
        assert (result.agreed.price, result.agreed.flag) == (101.0, "disputed")
        assert result.agreed.members == ("right",)
        assert result.agreed.deviating == (("wrong", 130.0 / 101.0 - 1),)

    def test_nothing_is_agreed_without_a_recent_price(self) -> None:
        result = verdict(reading("a", 101.0), reading("b", 130.0), anchor=accepted(100.0, age_s=601))

        assert result.agreed is None
        assert result.problem
        assert result.problem.cause == ProblemCode.NO_MAJORITY
        assert all(word in result.problem for word in ("a says 101.0", "b says 130.0"))

    def test_an_anchor_from_far_in_the_future_decides_nothing(self) -> None:
        assert verdict(*named([101.0, 130.0]), anchor=accepted(100.0, age_s=-601)).agreed is None

    def test_the_nearer_one_is_not_believed_beyond_a_jump(self) -> None:
        result = verdict(*named([126.0, 200.0]), anchor=accepted(100.0))

        assert result.agreed is None

    def test_an_undecided_poll_keeps_what_is_pending(self) -> None:
        pending = waiting(130.0, age_s=10)

        result = verdict(*named([126.0, 200.0]), anchor=accepted(100.0), pending=pending)

        assert result.past.pending == pending

    def test_both_jumping_together_are_believed(self) -> None:
        result = verdict(*named([50.0, 50.1]), last=accepted(100.0))

        assert result.agreed is not None

    def test_two_of_many_that_jump_together_wait_for_a_poll_that_says_the_same(self) -> None:
        first = verdict(*named([50.0, 50.1]), last=accepted(100.0), configured=5)

        assert first.agreed is None
        again = [reading("provider0", 50.2, observed_ms=NOW_MS + 10_000), reading("provider1", 50.2)]
        second = agree(again, now_ms=NOW_MS + 10_000, past=replace(first.past, last=accepted(100.0)), configured=5)

        assert second.agreed is not None


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
        assert result.past.pending == Pending(NOW_MS, price)

    def test_the_reason_for_waiting_names_the_provider_and_the_jump(self) -> None:
        result = verdict(reading("coinmarketcap", 789.0), last=accepted(47_000.0))

        assert result.problem
        assert result.problem.cause == ProblemCode.UNCONFIRMED
        assert all(word in result.problem for word in ("coinmarketcap", "789.0", "-98.3%", "47000.0"))

    def test_a_jump_is_taken_when_the_last_price_is_old(self) -> None:
        result = verdict(reading("kraken", 200.0), last=accepted(100.0, age_s=601))

        assert result.agreed is not None

    def test_a_later_poll_near_the_pending_price_confirms_it(self) -> None:
        result = verdict(reading("kraken", 200.5), last=accepted(100.0, age_s=20), pending=waiting(200.0, age_s=10))

        assert result.agreed is not None
        assert (result.agreed.price, result.agreed.flag, result.past.pending) == (200.5, "single", None)

    def test_the_same_observation_read_again_confirms_nothing(self) -> None:
        once = reading("coinmarketcap", 200.0, observed_ms=NOW_MS - 30_000)
        first = verdict(once, last=accepted(100.0))

        again = verdict(once, last=accepted(100.0), pending=first.past.pending, now_ms=NOW_MS + 10_000)

        assert again.agreed is None
        assert again.past.pending == first.past.pending

    @pytest.mark.parametrize(("age_s", "kept"), [(3600, True), (3601, False)])
    def test_a_poll_without_prices_keeps_what_is_pending_for_an_hour(self, age_s: int, *, kept: bool) -> None:
        pending = waiting(200.0, age_s=age_s)

        assert verdict(pending=pending).past.pending == (pending if kept else None)

    def test_an_old_pending_price_confirms_nothing(self) -> None:
        result = verdict(reading("kraken", 200.0), last=accepted(100.0), pending=waiting(200.0, age_s=601))

        assert result.agreed is None

    def test_a_feed_that_flaps_never_confirms_itself(self) -> None:
        last, pending, taken = accepted(100.0), None, list[float]()

        for poll in range(20):
            now_ms = NOW_MS + poll * 10_000
            price = 200.0 if poll % 2 == 0 else 100.0
            result = verdict(reading("kraken", price, observed_ms=now_ms), last=last, pending=pending, now_ms=now_ms)
            pending = result.past.pending
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
            pending = result.past.pending
            assert result.agreed is None

    def test_a_lone_one_of_several_waits_for_a_second_provider_and_is_taken_in_the_third_poll(self) -> None:
        past, taken = Past(), []

        for poll in range(LONE_POLLS):
            now_ms = NOW_MS + poll * 60_000
            result = agree([reading("kraken", 100.0, observed_ms=now_ms)], now_ms=now_ms, past=past, configured=5)
            past = result.past
            taken.append(result.agreed is not None)

        assert taken == [False, False, True]

    def test_a_second_provider_ends_the_wait_of_a_lone_one(self) -> None:
        first = verdict(reading("kraken", 100.0), configured=5)

        result = agree(named([100.0, 100.1]), now_ms=NOW_MS + 10_000, past=first.past, configured=5)

        assert result.agreed is not None

    def test_a_lone_one_near_the_last_price_waits_for_nobody(self) -> None:
        assert verdict(reading("kraken", 101.0), last=accepted(100.0, age_s=600), configured=5).agreed is not None

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
        assert result.problem.cause == ProblemCode.TOO_FEW_PRICES
        assert [refusal.reason.cause for refusal in result.refused] == [RefusalCode.BAD_PRICE]

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
