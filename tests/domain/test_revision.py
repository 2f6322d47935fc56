"""A second look at settled minutes: whose word replaces whose."""

import pytest

from btcts.domain.candle_agreement import AgreedCandles, Backing, Reach
from btcts.domain.model import CORRECTED, HOUR_MS, MINUTE_MS, MOST_CHANGES, SPARSE, THIN, Candle, Gap
from btcts.domain.revision import Reviser, Revision

NOON = 1_700_006_400_000
MINUTE = NOON - HOUR_MS
FIVE = ("bitfinex", "bitstamp", "coinbase", "gemini", "kraken")
REACH = Reach(dict.fromkeys(FIVE, 24 * HOUR_MS))


def flat(price: float) -> Candle:
    return Candle(MINUTE, price, price, price, price)


STORED = flat(100.0)


def thin(*heard: str, tries: int = 1, changes: int = 0) -> Gap:
    return Gap(THIN, tries, NOON - 5 * MINUTE_MS, heard, changes)


def sparse(*, tries: int = 1, before_ms: int = 15 * MINUTE_MS) -> Gap:
    return Gap(SPARSE, tries, NOON - before_ms, FIVE)


def corrected(*near: str, looks: int = 0, changes: int = 1, before_ms: int = 5 * MINUTE_MS) -> Gap:
    return Gap(CORRECTED, looks + 1, NOON - before_ms, near, changes)


def revise(
    price: float | None,
    *heard: str,
    entry: Gap | None = None,
    stored: Candle | None = STORED,
    near: tuple[str, ...] | None = None,
    disputed: bool = False,
) -> Revision:
    """A look at one settled minute for which so many were heard; with `price` they come to that candle."""
    agreed = AgreedCandles(
        candles={} if price is None else {MINUTE: flat(price)},
        disputed=frozenset({MINUTE} if disputed else ()),
        no_trades=frozenset({MINUTE} if price is None and not disputed else ()),
        backing={MINUTE: Backing(frozenset(heard), frozenset(heard if near is None else near))},
    )
    ledger = {} if entry is None else {MINUTE: entry}
    return Reviser(agreed, {MINUTE: stored}, ledger, REACH, NOON).revise([MINUTE])


def test_a_majority_replaces_what_a_majority_said() -> None:
    found = revise(100.1, *FIVE[:3])

    assert (found.candles, found.entries, found.reopened) == ({MINUTE: flat(100.1)}, {}, {})


def test_a_minority_replaces_nothing_that_a_majority_said() -> None:
    found = revise(150.0, *FIVE[:2])

    assert (found.candles, found.entries) == ({}, {})
    assert found.inconclusive == {MINUTE}


def test_nothing_said_twice_is_written_twice() -> None:
    assert revise(100.0, *FIVE) == Revision()


@pytest.mark.parametrize("heard", [("kraken", "gemini", "coinbase"), ("gemini", "coinbase", "bitstamp")])
def test_a_majority_replaces_a_thin_candle_whoever_made_it(heard: tuple[str, ...]) -> None:
    found = revise(100.1, *heard, entry=thin("kraken"))

    assert (found.candles, found.forgotten) == ({MINUTE: flat(100.1)}, {MINUTE})


def test_a_thin_candle_that_was_far_off_is_corrected_and_looked_at_again() -> None:
    found = revise(100.0, *FIVE[:3], entry=thin("kraken"), stored=flat(10_000.0))

    assert found.candles == {MINUTE: flat(100.0)}
    assert found.entries == {MINUTE: Gap(CORRECTED, 1, NOON, FIVE[:3], 1)}


def test_those_that_made_a_thin_candle_and_one_more_replace_it_and_it_stays_thin() -> None:
    found = revise(100.1, "gemini", "kraken", entry=thin("kraken"))

    assert found.candles == {MINUTE: flat(100.1)}
    assert found.entries == {MINUTE: Gap(THIN, 2, NOON, ("gemini", "kraken"))}


def test_others_than_those_that_made_a_thin_candle_do_not_replace_it() -> None:
    found = revise(150.0, "gemini", "coinbase", entry=thin("kraken"))

    assert (found.candles, found.reopened) == ({}, {})
    assert found.entries == {MINUTE: Gap(THIN, 2, NOON, ("kraken",))}


def test_a_thin_minute_that_turns_out_disputed_is_opened_again() -> None:
    found = revise(None, "gemini", "kraken", entry=thin("kraken"), disputed=True)

    assert found.reopened == {MINUTE: Gap("disagree", 1, NOON, ("gemini", "kraken"))}


def test_a_thin_minute_that_a_majority_says_had_no_trades_is_opened_again() -> None:
    found = revise(None, *FIVE[:3], entry=thin("kraken"), near=())

    assert found.reopened == {MINUTE: Gap("no_trades", 1, NOON, FIVE[:3])}


def test_a_minute_with_a_majority_is_never_opened_again() -> None:
    found = revise(None, *FIVE, disputed=True, near=())

    assert (found.reopened, found.candles) == ({}, {})


def test_where_all_that_reach_it_were_heard_a_minute_that_few_have_is_sparse() -> None:
    found = revise(100.1, *FIVE, near=("kraken",), entry=thin("kraken"))

    assert found.candles == {MINUTE: flat(100.1)}
    assert found.entries == {MINUTE: Gap(SPARSE, 2, NOON, FIVE)}


def test_a_sparse_minute_of_which_half_lied_comes_right_when_they_say_something_else() -> None:
    found = revise(100.0, *FIVE, near=("kraken", "gemini"), entry=sparse(), stored=flat(150.0))

    assert found.candles == {MINUTE: flat(100.0)}
    assert found.entries == {MINUTE: Gap(SPARSE, 2, NOON, FIVE, 1)}


def test_a_sparse_minute_that_a_majority_has_now_leaves_the_ledger() -> None:
    assert revise(100.0, *FIVE, entry=sparse()).forgotten == {MINUTE}


def test_a_sparse_minute_that_nobody_has_any_more_is_opened_again() -> None:
    found = revise(None, *FIVE, near=(), entry=sparse())

    assert found.reopened == {MINUTE: Gap("no_trades", 1, NOON, FIVE)}


def test_a_sparse_minute_stays_while_somebody_that_may_have_its_candle_is_not_heard() -> None:
    found = revise(None, *FIVE[1:], near=(), entry=sparse())

    assert (found.candles, found.reopened) == ({}, {})


@pytest.mark.parametrize(("price", "candles"), [(100.1, {}), (150.0, {MINUTE: flat(150.0)})])
def test_when_not_all_reach_a_sparse_minute_any_more_only_a_wrong_candle_is_replaced(
    price: float, candles: dict[int, Candle]
) -> None:
    reach = Reach(dict.fromkeys(FIVE, 24 * HOUR_MS) | {"kraken": MINUTE_MS})
    backing = Backing(frozenset(FIVE) - {"kraken"}, frozenset({"gemini"}))
    agreed = AgreedCandles({MINUTE: flat(price)}, frozenset(), frozenset(), {MINUTE: backing})

    found = Reviser(agreed, {MINUTE: STORED}, {MINUTE: sparse()}, reach, NOON).revise([MINUTE])

    assert found.candles == candles


def test_of_the_looks_at_a_sparse_minute_one_per_quarter_counts() -> None:
    found = revise(100.0, *FIVE, near=("kraken",), entry=sparse(tries=3, before_ms=0))

    assert found.entries == {MINUTE: Gap(SPARSE, 3, NOON, FIVE)}


@pytest.mark.parametrize("heard", [(), FIVE[:2]], ids=["nobody", "two of five"])
def test_a_look_at_a_sparse_minute_that_missed_somebody_does_not_count(heard: tuple[str, ...]) -> None:
    found = revise(None, *heard, entry=sparse(tries=3, before_ms=HOUR_MS))

    assert found.entries == {MINUTE: Gap(SPARSE, 3, NOON, FIVE)}
    assert found.inconclusive == set()  # the ledger has it looked at again, and no others with it


def test_few_replace_nothing_that_a_majority_said_even_where_the_others_saw_no_trades() -> None:
    found = revise(150.0, *FIVE, near=("kraken", "gemini"))

    assert (found.candles, found.entries, found.reopened) == ({}, {}, {})


def test_a_damaged_candle_is_written_anew() -> None:
    assert revise(100.0, *FIVE, stored=None).candles == {MINUTE: flat(100.0)}


def test_a_look_at_a_corrected_minute_that_finds_nothing_new_counts() -> None:
    first = revise(100.0, *FIVE, entry=corrected(*FIVE))
    last = revise(100.0, *FIVE, entry=corrected(*FIVE, looks=1, before_ms=30 * MINUTE_MS))

    assert first.entries == {MINUTE: corrected(*FIVE, looks=1)}
    assert last.forgotten == {MINUTE}


def test_a_look_before_its_time_does_not_count() -> None:
    assert revise(100.0, *FIVE, entry=corrected(*FIVE, before_ms=MINUTE_MS)) == Revision()


def test_a_third_change_by_no_more_providers_leaves_the_candle_and_is_remembered() -> None:
    entry = corrected(*FIVE[:3], changes=MOST_CHANGES - 1)

    found = revise(110.0, *FIVE[:3], entry=entry)

    assert found.candles == {}
    assert found.entries[MINUTE].changes == MOST_CHANGES


def test_a_third_change_by_more_providers_counts() -> None:
    found = revise(110.0, *FIVE, entry=corrected(*FIVE[:3], changes=MOST_CHANGES - 1))

    assert found.candles == {MINUTE: flat(110.0)}
    assert found.entries == {MINUTE: Gap(CORRECTED, 1, NOON, FIVE, MOST_CHANGES)}


def test_a_minute_that_never_came_to_rest_stays_in_the_ledger() -> None:
    entry = corrected(*FIVE, looks=1, changes=MOST_CHANGES, before_ms=30 * MINUTE_MS)

    found = revise(100.0, *FIVE, entry=entry)

    assert (found.forgotten, found.entries[MINUTE].changes) == (set(), MOST_CHANGES)


def test_of_two_looks_at_a_minute_the_later_counts() -> None:
    both = revise(100.1, *FIVE)

    both.absorb(revise(100.2, *FIVE))
    assert both.candles == {MINUTE: flat(100.2)}
    both.absorb(revise(None, "gemini", "kraken", entry=thin("kraken"), disputed=True))
    assert (both.candles, list(both.reopened)) == ({}, [MINUTE])
