"""Which minutes are asked for, when again, and why a minute stays unsettled."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btcts.domain.candle_agreement import AgreedCandles, Backing, Reach
from btcts.domain.healing import (
    BRIDGE_MS,
    LAST_RETRY_MS,
    Able,
    closed_minutes,
    count_again,
    find_contested,
    find_due,
    find_looks,
    find_missed,
    find_reread_end,
    find_rereads,
    find_revived,
    find_unserved,
    group_into_spans,
    is_look_due,
)
from btcts.domain.layout import window
from btcts.domain.model import CORRECTED, HOUR_MS, MINUTE_MS, SPARSE, THIN, Candle, Candles, Gap, Span

NOON = 1_700_006_400_000
MINUTE = NOON - 10 * MINUTE_MS
HEARD = ("gemini", "kraken")
FAR_MS = 24 * HOUR_MS
ABLE = dict.fromkeys(HEARD, Able(FAR_MS, answers=True))
NO = frozenset[int]()
NOTHING = AgreedCandles({}, NO, NO)


def test_the_window_of_closed_minutes_starts_with_the_oldest_kept_hour() -> None:
    minutes = closed_minutes(NOON + 42_000)

    assert minutes[0] == NOON - 24 * HOUR_MS
    assert minutes[-1] == NOON - MINUTE_MS


def test_a_minute_counts_as_closed_five_seconds_after_its_end() -> None:
    assert NOON - MINUTE_MS not in closed_minutes(NOON + 4_999)
    assert NOON - MINUTE_MS in closed_minutes(NOON + 5_000)


def test_a_minute_that_was_never_asked_for_is_due() -> None:
    assert find_due([MINUTE], {}, NOON, salt=1, able=ABLE) == [MINUTE]


@given(tries=st.integers(1, 1000), salt=st.integers(0, 2**32))
def test_a_minute_asked_for_in_vain_waits_at_least_half_a_minute_and_at_most_fifteen(tries: int, salt: int) -> None:
    gaps = {MINUTE: Gap("not_reached", tries, NOON, HEARD)}

    assert find_due([MINUTE], gaps, NOON + MINUTE_MS // 2 - 1, salt=salt, able=ABLE) == []
    assert find_due([MINUTE], gaps, NOON + LAST_RETRY_MS, salt=salt, able=ABLE) == [MINUTE]


def test_a_minute_for_which_a_provider_was_not_heard_waits_a_minute_at_most() -> None:
    gaps = {MINUTE: Gap("not_reached", 9, NOON, ("gemini",))}

    assert find_due([MINUTE], gaps, NOON + MINUTE_MS // 2 - 1, salt=1, able=ABLE) == []
    assert find_due([MINUTE], gaps, NOON + MINUTE_MS, salt=1, able=ABLE) == [MINUTE]


def test_a_minute_for_which_a_provider_was_not_heard_goes_along_with_any_other() -> None:
    new = MINUTE + MINUTE_MS
    incomplete = {MINUTE: Gap("not_reached", 9, NOON, ("gemini",))}
    complete = {MINUTE: Gap("not_reached", 9, NOON, HEARD)}

    assert find_due([MINUTE, new], incomplete, NOON + 1, salt=1, able=ABLE) == [MINUTE, new]
    assert find_due([MINUTE, new], complete, NOON + 1, salt=1, able=ABLE) == [new]


def test_a_minute_for_which_nobody_was_heard_is_due_at_once_where_prices_come() -> None:
    gaps = {MINUTE: Gap("providers_down", 9, NOON)}

    assert find_due(
        [MINUTE],
        gaps,
        NOON + 1,
        salt=1,
        able={"kraken": Able(FAR_MS, answers=True), "gemini": Able(FAR_MS, answers=False)},
    ) == [MINUTE]
    assert find_due([MINUTE], gaps, NOON + 1, salt=1, able=dict.fromkeys(HEARD, Able(FAR_MS, answers=False))) == []


def test_a_try_in_the_future_was_made_by_a_wrong_clock_and_does_not_count() -> None:
    gaps = {MINUTE: Gap("not_reached", 9, NOON + 24 * HOUR_MS, HEARD)}

    assert find_due([MINUTE], gaps, NOON, salt=1, able=ABLE) == [MINUTE]


def test_a_provider_that_is_back_revives_what_it_was_not_heard_for() -> None:
    gaps = {
        MINUTE: Gap("not_reached", 9, NOON, ("gemini",)),
        MINUTE + MINUTE_MS: Gap("not_reached", 9, NOON, HEARD),
    }

    assert find_revived([*gaps, NOON], gaps, {"kraken"}) == [MINUTE]
    assert find_revived(gaps, gaps, set()) == []


def test_one_that_does_not_reach_a_minute_shortens_no_wait() -> None:
    able = {"gemini": Able(FAR_MS, answers=True), "kraken": Able(5 * MINUTE_MS, answers=True)}
    gaps = {MINUTE: Gap("disagree", 9, NOON, ("gemini",))}

    assert find_due([MINUTE], gaps, NOON + MINUTE_MS, salt=1, able=able) == []


def test_a_minute_that_lost_its_candle_is_due_though_it_was_thin() -> None:
    assert find_due([MINUTE], {MINUTE: Gap(THIN, 3, NOON, HEARD)}, NOON, salt=1, able=ABLE) == [MINUTE]


def test_the_latest_minutes_are_read_again_with_each_request() -> None:
    now = NOON + 30_000

    assert find_rereads(NOON, now) == [NOON - minutes * MINUTE_MS for minutes in (5, 4, 3, 2)]
    assert find_reread_end(now) == NOON - 5 * MINUTE_MS


def test_what_nobody_looked_at_in_time_is_read_again_for_hours() -> None:
    assert find_rereads(NOON - HOUR_MS, NOON)[0] == NOON - HOUR_MS
    assert find_rereads(NOON - 9 * HOUR_MS, NOON)[0] == NOON - 4 * HOUR_MS
    assert find_rereads(None, NOON)[0] == NOON - 6 * MINUTE_MS
    assert find_rereads(NOON + HOUR_MS, NOON)[0] == NOON - 6 * MINUTE_MS


def test_each_minute_is_read_again_until_the_end_that_is_remembered() -> None:
    for second in range(0, 120, 7):
        now = NOON + second * 1000
        later = now + MINUTE_MS

        assert min(find_rereads(find_reread_end(now), later)) <= find_reread_end(now)


class TestThin:
    """Minutes that rest on kraken alone while gemini was not heard."""

    MINUTE = NOON - HOUR_MS

    def look(self, tried_ms: int, now_ms: int, *, answers: bool = True, minute: int = MINUTE) -> list[int]:
        able = {"kraken": Able(FAR_MS, answers=True), "gemini": Able(FAR_MS, answers=answers)}
        return find_looks({minute: Gap(THIN, 1, tried_ms, ("kraken",))}, now_ms, able=able)

    def test_they_are_asked_for_again_once_in_each_quarter_of_an_hour(self) -> None:
        quarter = 15 * MINUTE_MS

        assert self.look(NOON - 1, NOON) == [self.MINUTE]
        assert self.look(NOON, NOON + quarter - 1) == []
        assert self.look(NOON, NOON + quarter) == [self.MINUTE]

    def test_while_they_are_young_they_go_along_with_any_request(self) -> None:
        young = NOON - 10 * MINUTE_MS

        assert self.look(NOON, NOON + MINUTE_MS, minute=young) == [young]

    def test_while_the_other_one_does_not_answer_at_all_nobody_is_asked(self) -> None:
        assert self.look(NOON - HOUR_MS, NOON, answers=False) == []

    def test_a_try_in_the_future_was_made_by_a_wrong_clock(self) -> None:
        assert self.look(NOON + HOUR_MS, NOON) == [self.MINUTE]

    def test_once_the_other_one_is_back_they_are_due_at_once(self) -> None:
        gaps = {
            self.MINUTE: Gap(THIN, 1, NOON, ("kraken",)),
            self.MINUTE + MINUTE_MS: Gap(THIN, 1, NOON, HEARD),
        }

        assert find_missed(gaps, NOON, back={"gemini": None}, able=ABLE) == [self.MINUTE]
        assert find_missed(gaps, NOON, back={"kraken": None}, able=ABLE) == [self.MINUTE]


class TestSparseMinutes:
    """All were heard, and at most half of them saw trades: only a later look can tell whether those lied."""

    QUARTER_MS = 15 * MINUTE_MS

    def look(self, tries: int, now_ms: int) -> list[int]:
        return find_looks({MINUTE: Gap(SPARSE, tries, NOON, HEARD)}, now_ms, able=ABLE)

    @pytest.mark.parametrize(("tries", "quarters"), [(1, 1), (2, 2), (3, 4), (6, 32)])
    def test_they_are_looked_at_after_waits_that_double(self, tries: int, quarters: int) -> None:
        due_ms = NOON + quarters * self.QUARTER_MS

        assert self.look(tries, due_ms - 1) == []
        assert self.look(tries, due_ms) == [MINUTE]

    def test_a_look_in_the_future_was_taken_by_a_wrong_clock(self) -> None:
        assert self.look(9, NOON - HOUR_MS) == [MINUTE]

    def test_who_denied_trades_while_it_had_no_price_is_asked_again_when_it_has_one(self) -> None:
        sparse = NOON - HOUR_MS
        gaps = {sparse: Gap(SPARSE, 9, NOON - 4 * MINUTE_MS, ("gemini",))}

        def find(name: str, since_ms: int | None) -> list[int]:
            return [minute for minute in find_missed(gaps, NOON, back={name: since_ms}, able=ABLE) if minute == sparse]

        assert find("gemini", None) == find("gemini", NOON - 4 * MINUTE_MS) == [sparse]
        assert find("gemini", NOON - 3 * MINUTE_MS) == find("kraken", NOON - 4 * MINUTE_MS + 1) == []


def test_what_a_provider_missed_is_looked_at_for_six_hours_as_far_as_it_reaches() -> None:
    able = {"kraken": Able(2 * HOUR_MS, answers=True), "gemini": Able(FAR_MS, answers=True)}

    assert find_missed({}, NOON, back={"gemini": NOON - 9 * HOUR_MS}, able=able)[0] == NOON - 6 * HOUR_MS
    assert find_missed({}, NOON, back={"kraken": NOON - 9 * HOUR_MS}, able=able)[0] == NOON - 2 * HOUR_MS
    assert find_missed({}, NOON, back={"gemini": NOON - HOUR_MS}, able=able)[0] == NOON - HOUR_MS - 16 * MINUTE_MS
    assert find_missed({}, NOON, back={}, able=able) == []


@pytest.mark.parametrize(("looks", "wait_min"), [(0, 5), (1, 30)])
def test_a_corrected_minute_is_looked_at_five_and_thirty_minutes_later(looks: int, wait_min: int) -> None:
    entry = Gap(CORRECTED, looks + 1, NOON, HEARD, 1)
    due_ms = NOON + wait_min * MINUTE_MS

    assert not is_look_due(entry, due_ms - 1)
    assert is_look_due(entry, due_ms)
    assert find_looks({MINUTE: entry}, due_ms, able={}) == [MINUTE]


def test_after_two_looks_there_is_no_third() -> None:
    assert not is_look_due(Gap(CORRECTED, 3, NOON, HEARD, 1), NOON + 24 * HOUR_MS)


def test_each_try_in_vain_makes_the_next_wait_longer() -> None:
    def wait(tries: int) -> int:
        gaps = {MINUTE: Gap("not_reached", tries, NOON, HEARD)}
        return next(s for s in range(3600) if find_due([MINUTE], gaps, NOON + 1000 * s, salt=0, able=ABLE))

    assert wait(1) <= 60 < wait(3) <= 240 < 450 <= wait(9) <= 900


def test_collectors_do_not_ask_in_step() -> None:
    gaps = {MINUTE: Gap("not_reached", 4, NOON, HEARD)}

    asking = {bool(find_due([MINUTE], gaps, NOON + 6 * MINUTE_MS, salt=salt, able=ABLE)) for salt in range(20)}

    assert asking == {True, False}


@given(st.sets(st.integers(0, 1500)))
def test_spans_hold_every_minute_and_take_at_most_six_requests_of_300_candles(offsets: set[int]) -> None:
    minutes = sorted(MINUTE - offset * MINUTE_MS for offset in offsets)

    spans = group_into_spans(minutes)

    assert set(minutes) <= {minute for span in spans for minute in span.minutes()}
    assert sum(-(-len(span.minutes()) // 299) for span in spans) <= 6


def test_minutes_far_apart_are_asked_for_separately() -> None:
    late = MINUTE + BRIDGE_MS + MINUTE_MS

    assert group_into_spans([MINUTE, late]) == [Span(MINUTE, MINUTE + MINUTE_MS), Span(late, late + MINUTE_MS)]


def test_without_an_answer_the_providers_are_down() -> None:
    assert find_unserved([MINUTE], [], NOTHING, now_ms=NOON, offered=True) == {MINUTE: Gap("providers_down", 1, NOON)}


def test_without_a_provider_that_has_candles_there_are_polls_only() -> None:
    assert find_unserved([MINUTE], [], NOTHING, now_ms=NOON, offered=False) == {MINUTE: Gap("polls_only", 1, NOON)}


def test_the_reason_of_a_gap_is_what_the_answers_say_of_the_minute() -> None:
    disputed, silent, far = MINUTE, MINUTE + MINUTE_MS, MINUTE - 1000 * MINUTE_MS
    answers = [Candles("kraken", Span(disputed, silent + MINUTE_MS), ())]
    agreed = AgreedCandles({}, frozenset({disputed}), frozenset({silent}))

    found = find_unserved([far, disputed, silent], answers, agreed, now_ms=NOON, offered=True)

    assert {minute: gap.reason for minute, gap in found.items()} == {
        far: "not_reached",
        disputed: "disagree",
        silent: "no_trades",
    }


def test_tries_of_a_known_gap_are_counted_on() -> None:
    known = {MINUTE: Gap("not_reached", 3, NOON - HOUR_MS)}

    assert count_again({MINUTE: Gap("no_trades", 1, NOON)}, known) == {MINUTE: Gap("no_trades", 4, NOON)}


def test_who_contradicted_a_candle_still_does_when_it_does_not_reach_back_to_it_any_more() -> None:
    reach = Reach({"coinbase": FAR_MS, "bitfinex": FAR_MS, "bitstamp": FAR_MS, "kraken": MINUTE_MS})
    three = Backing(frozenset({"bitfinex", "bitstamp", "coinbase"}), frozenset({"bitfinex", "coinbase"}))
    candle = Candle(MINUTE, 100, 100, 100, 100)
    gaps = {MINUTE: Gap("disagree", 1, NOON, ("bitfinex", "bitstamp", "coinbase", "kraken"))}

    def contest(backing: Backing, *, complete: bool = True) -> set[int]:
        agreed = AgreedCandles({MINUTE: candle}, NO, NO, {MINUTE: backing})
        return find_contested(agreed, gaps, reach, NOON, complete=complete)

    assert contest(three) == {MINUTE}
    assert contest(Backing(three.heard, three.heard)) == set()
    assert contest(Backing(three.near, three.near), complete=False) == {MINUTE}
    assert contest(Backing(three.heard, three.heard), complete=False) == set()
    assert count_again({MINUTE: Gap("disagree", 1, NOON, ("coinbase",))}, gaps)[MINUTE].heard == gaps[MINUTE].heard


def test_the_window_is_at_most_25_hours() -> None:
    assert window(NOON + HOUR_MS - 1).end_ms - window(NOON + HOUR_MS - 1).start_ms == 25 * HOUR_MS - 1
