"""Which minutes are asked for, when again, and why a minute stays unsettled."""

from hypothesis import given
from hypothesis import strategies as st

from btcts.agreement import AgreedCandles
from btcts.healing import BRIDGE_MS, LAST_RETRY_MS, again, closed_minutes, due, rereads, revived, spans_to_ask, unserved
from btcts.layout import window
from btcts.model import HOUR_MS, MINUTE_MS, Candles, Gap, Span

NOON = 1_700_006_400_000
MINUTE = NOON - 10 * MINUTE_MS
HEARD = ("gemini", "kraken")
ABLE = dict.fromkeys(HEARD, True)
NOTHING = AgreedCandles({}, frozenset(), frozenset())


def test_the_window_of_closed_minutes_starts_with_the_oldest_kept_hour() -> None:
    minutes = closed_minutes(NOON + 42_000)

    assert minutes[0] == NOON - 24 * HOUR_MS
    assert minutes[-1] == NOON - MINUTE_MS


def test_a_minute_counts_as_closed_five_seconds_after_its_end() -> None:
    assert NOON - MINUTE_MS not in closed_minutes(NOON + 4_999)
    assert NOON - MINUTE_MS in closed_minutes(NOON + 5_000)


def test_a_minute_that_was_never_asked_for_is_due() -> None:
    assert due([MINUTE], {}, NOON, salt=1, able=ABLE) == [MINUTE]


@given(tries=st.integers(1, 1000), salt=st.integers(0, 2**32))
def test_a_minute_asked_for_in_vain_waits_at_least_half_a_minute_and_at_most_fifteen(tries: int, salt: int) -> None:
    gaps = {MINUTE: Gap("not_reached", tries, NOON, HEARD)}

    assert due([MINUTE], gaps, NOON + MINUTE_MS // 2 - 1, salt=salt, able=ABLE) == []
    assert due([MINUTE], gaps, NOON + LAST_RETRY_MS, salt=salt, able=ABLE) == [MINUTE]


def test_a_minute_for_which_a_provider_was_not_heard_waits_a_minute_at_most() -> None:
    gaps = {MINUTE: Gap("not_reached", 9, NOON, ("gemini",))}

    assert due([MINUTE], gaps, NOON + MINUTE_MS // 2 - 1, salt=1, able=ABLE) == []
    assert due([MINUTE], gaps, NOON + MINUTE_MS, salt=1, able=ABLE) == [MINUTE]


def test_a_minute_for_which_a_provider_was_not_heard_goes_along_with_any_other() -> None:
    new = MINUTE + MINUTE_MS
    incomplete = {MINUTE: Gap("not_reached", 9, NOON, ("gemini",))}
    complete = {MINUTE: Gap("not_reached", 9, NOON, HEARD)}

    assert due([MINUTE, new], incomplete, NOON + 1, salt=1, able=ABLE) == [MINUTE, new]
    assert due([MINUTE, new], complete, NOON + 1, salt=1, able=ABLE) == [new]


def test_a_minute_for_which_nobody_was_heard_is_due_at_once_where_prices_come() -> None:
    gaps = {MINUTE: Gap("providers_down", 9, NOON)}

    assert due([MINUTE], gaps, NOON + 1, salt=1, able={"kraken": True, "gemini": False}) == [MINUTE]
    assert due([MINUTE], gaps, NOON + 1, salt=1, able={"kraken": False, "gemini": False}) == []


def test_a_try_in_the_future_was_made_by_a_wrong_clock_and_does_not_count() -> None:
    gaps = {MINUTE: Gap("not_reached", 9, NOON + 24 * HOUR_MS, HEARD)}

    assert due([MINUTE], gaps, NOON, salt=1, able=ABLE) == [MINUTE]


def test_a_provider_that_is_back_revives_what_it_was_not_heard_for() -> None:
    gaps = {
        MINUTE: Gap("not_reached", 9, NOON, ("gemini",)),
        MINUTE + MINUTE_MS: Gap("not_reached", 9, NOON, HEARD),
    }

    assert revived([*gaps, NOON], gaps, {"kraken"}) == [MINUTE]
    assert revived(gaps, gaps, set()) == []


def test_a_settled_minute_is_looked_at_once_more_two_minutes_after_its_end() -> None:
    now = NOON + 30_000

    assert rereads((), NOON - 5 * MINUTE_MS, now) == [NOON - each * MINUTE_MS for each in (5, 4, 3)]
    assert rereads((NOON - 4 * MINUTE_MS,), NOON - 5 * MINUTE_MS, now) == [NOON - 5 * MINUTE_MS, NOON - 3 * MINUTE_MS]
    assert rereads((), NOON - 2 * MINUTE_MS, now) == []


def test_only_minutes_of_the_last_quarter_of_an_hour_are_looked_at_once_more() -> None:
    assert rereads((), NOON - HOUR_MS, NOON)[0] == NOON - 15 * MINUTE_MS
    assert rereads((), None, NOON) == [NOON - 3 * MINUTE_MS]
    assert rereads((), NOON + HOUR_MS, NOON) == [NOON - 3 * MINUTE_MS]


def test_each_try_in_vain_makes_the_next_wait_longer() -> None:
    def wait(tries: int) -> int:
        gaps = {MINUTE: Gap("not_reached", tries, NOON, HEARD)}
        return next(s for s in range(3600) if due([MINUTE], gaps, NOON + 1000 * s, salt=0, able=ABLE))

    assert wait(1) <= 60 < wait(3) <= 240 < 450 <= wait(9) <= 900


def test_collectors_do_not_ask_in_step() -> None:
    gaps = {MINUTE: Gap("not_reached", 4, NOON, HEARD)}

    asking = {bool(due([MINUTE], gaps, NOON + 6 * MINUTE_MS, salt=salt, able=ABLE)) for salt in range(20)}

    assert asking == {True, False}


@given(st.sets(st.integers(0, 1500)))
def test_spans_hold_every_minute_and_take_at_most_six_requests_of_300_candles(offsets: set[int]) -> None:
    minutes = sorted(MINUTE - offset * MINUTE_MS for offset in offsets)

    spans = spans_to_ask(minutes)

    assert set(minutes) <= {minute for span in spans for minute in span.minutes()}
    assert sum(-(-len(span.minutes()) // 299) for span in spans) <= 6


def test_minutes_far_apart_are_asked_for_separately() -> None:
    late = MINUTE + BRIDGE_MS + MINUTE_MS

    assert spans_to_ask([MINUTE, late]) == [Span(MINUTE, MINUTE + MINUTE_MS), Span(late, late + MINUTE_MS)]


def test_without_an_answer_the_providers_are_down() -> None:
    assert unserved([MINUTE], [], NOTHING, now_ms=NOON, offered=True) == {MINUTE: Gap("providers_down", 1, NOON)}


def test_without_a_provider_that_has_candles_there_are_polls_only() -> None:
    assert unserved([MINUTE], [], NOTHING, now_ms=NOON, offered=False) == {MINUTE: Gap("polls_only", 1, NOON)}


def test_the_reason_of_a_gap_is_what_the_answers_say_of_the_minute() -> None:
    disputed, silent, far = MINUTE, MINUTE + MINUTE_MS, MINUTE - 1000 * MINUTE_MS
    answers = [Candles("kraken", Span(disputed, silent + MINUTE_MS), ())]
    agreed = AgreedCandles({}, frozenset({disputed}), frozenset({silent}))

    found = unserved([far, disputed, silent], answers, agreed, now_ms=NOON, offered=True)

    assert {minute: gap.reason for minute, gap in found.items()} == {
        far: "not_reached",
        disputed: "disagree",
        silent: "no_trades",
    }


def test_tries_of_a_known_gap_are_counted_on() -> None:
    known = {MINUTE: Gap("not_reached", 3, NOON - HOUR_MS)}

    assert again({MINUTE: Gap("no_trades", 1, NOON)}, known) == {MINUTE: Gap("no_trades", 4, NOON)}


def test_the_window_is_at_most_25_hours() -> None:
    assert window(NOON + HOUR_MS - 1).end_ms - window(NOON + HOUR_MS - 1).start_ms == 25 * HOUR_MS - 1
