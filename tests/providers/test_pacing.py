"""Which providers may be asked now, and what an answer means for the next call."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from btcts.domain.model import HOUR_MS, LONGEST_WAIT_MS, Candles, ProviderState, Reading, Span
from btcts.errors import Problem, ProviderError, ProviderLimited, ProviderStopped
from btcts.providers.poller import learn_states, note_answer, note_failure, split

NOON = 1_700_006_400_000
DAY_MS = 24 * HOUR_MS


@dataclass
class Named:
    """A provider that is never asked."""

    name: str
    key_id: str = ""
    reach_ms: int = 0
    page_minutes: int = 0

    def latest(self) -> Reading:
        raise AssertionError(self.name)

    def candles(self, span: Span) -> Candles:
        raise AssertionError(self.name)


def test_a_provider_without_a_past_is_asked() -> None:
    kraken = Named("kraken")

    assert split([kraken], {}, NOON) == ([kraken], ())


def test_a_provider_waits_until_its_time_and_not_longer() -> None:
    kraken = Named("kraken")
    states = {"kraken": ProviderState(not_before_ms=NOON + 1, why="HTTP 429")}

    assert split([kraken], states, NOON) == ([], (("kraken", NOON + 1, "HTTP 429"),))
    assert split([kraken], states, NOON + 1) == ([kraken], ())


def test_a_new_api_key_ends_the_wait_of_the_old_one() -> None:
    renewed = Named("coinmarketcap", key_id="new")
    states = {"coinmarketcap": ProviderState(not_before_ms=NOON + HOUR_MS, why="key refused", key="old")}

    assert split([renewed], states, NOON) == ([renewed], ())


def test_a_wait_that_a_clock_from_the_future_asked_for_does_not_hold() -> None:
    kraken = Named("kraken")
    states = {"kraken": ProviderState(NOON + 25 * HOUR_MS, "HTTP 429", said_ms=NOON + 24 * HOUR_MS)}

    assert split([kraken], states, NOON) == ([kraken], ())


def test_an_answer_clears_the_error_and_keeps_to_the_budget() -> None:
    reading = Reading("coinmarketcap", 60_000.0, NOON, not_before_ms=NOON + 200_000, credits_left=14_990)

    state = note_answer(reading, "id", NOON)

    assert state == ProviderState(NOON + 200_000, "budget", NOON, "", 14_990, "id", NOON)


def test_a_plain_failure_is_tried_again_in_the_next_cycle() -> None:
    before = ProviderState(answered_ms=NOON - 10_000)

    state = note_failure(ProviderError("kraken", "HTTP 503"), before, "", NOON)

    assert (state.not_before_ms, state.error, state.answered_ms) == (0, "HTTP 503", NOON - 10_000)


def test_what_others_may_fail_with_too_is_kept_with_the_failure() -> None:
    problem = Problem("no answer from h (connection refused)", "refused", "connection refused")

    state = note_failure(ProviderError("kraken", problem), ProviderState(), "", NOON)

    kept = state.problem
    assert (kept, kept.cause, kept.why) == (str(problem), "refused", "connection refused")


def test_a_limit_is_kept_to_the_millisecond() -> None:
    state = note_failure(ProviderLimited("kraken", "HTTP 429", until_ms=NOON + 30_000), ProviderState(), "", NOON)

    assert (state.not_before_ms, state.why) == (NOON + 30_000, "HTTP 429")


def test_a_provider_that_wants_something_changed_rests_for_a_day() -> None:
    state = note_failure(ProviderStopped("coinmarketcap", "the key is invalid"), ProviderState(), "old", NOON)

    assert (state.not_before_ms, state.key) == (NOON + 24 * HOUR_MS, "old")


def test_no_wait_is_longer_than_32_days_whatever_was_said() -> None:
    century = NOON + 100 * 365 * 24 * HOUR_MS
    limited = note_failure(ProviderLimited("kraken", "HTTP 429", until_ms=century), ProviderState(), "", NOON)
    spent = note_answer(Reading("coinmarketcap", 60_000.0, NOON, not_before_ms=century), "", NOON)

    assert limited.not_before_ms == spent.not_before_ms == NOON + LONGEST_WAIT_MS == NOON + 32 * 24 * HOUR_MS


def test_a_wait_that_others_wrote_for_a_century_does_not_hold() -> None:
    kraken = Named("kraken")

    assert split([kraken], {"kraken": ProviderState(not_before_ms=NOON + LONGEST_WAIT_MS + 1)}, NOON)[0] == [kraken]


def test_a_provider_that_waits_for_weeks_is_asked_once_a_day() -> None:
    waits = Named("coinmarketcap")
    state = note_failure(
        ProviderLimited("coinmarketcap", "", until_ms=NOON + LONGEST_WAIT_MS), ProviderState(), "", NOON
    )
    states = {"coinmarketcap": state}

    assert split([waits], states, NOON + 24 * HOUR_MS - 1)[0] == []
    assert split([waits], states, NOON + 24 * HOUR_MS)[0] == [waits]


times = st.integers(NOON - 60 * DAY_MS, NOON + 60 * DAY_MS)
states = st.builds(
    ProviderState,
    not_before_ms=st.integers(0, NOON + 60 * DAY_MS),
    why=st.sampled_from(["", "budget", "HTTP 429"]),
    answered_ms=st.none() | times,
    key=st.sampled_from(["", "old", "new"]),
    said_ms=st.integers(0, NOON + 60 * DAY_MS),
)
providers = st.lists(
    st.builds(Named, st.sampled_from("abcdef"), st.sampled_from(["", "old", "new"])),
    unique_by=lambda provider: provider.name,
)
known = st.dictionaries(st.sampled_from("abcdef"), states)
failures = st.one_of(
    st.builds(ProviderError, st.just("a"), st.just("HTTP 503")),
    st.builds(ProviderStopped, st.just("a"), st.just("the key is invalid")),
    st.builds(ProviderLimited, st.just("a"), st.just("HTTP 429"), until_ms=times),
)


@given(asked=providers, known=known, now_ms=times)
def test_each_provider_is_either_asked_or_waits_in_the_order_of_the_list(
    asked: list[Named], known: dict[str, ProviderState], now_ms: int
) -> None:
    ready, waiting = split(asked, known, now_ms)

    names = [provider.name for provider in asked]
    assert sorted([provider.name for provider in ready] + [name for name, _, _ in waiting]) == sorted(names)
    assert ready == [provider for provider in asked if provider in ready]
    assert [name for name, _, _ in waiting] == [name for name in names if name in {name for name, _, _ in waiting}]


@given(asked=providers, known=known, now_ms=times)
def test_whoever_waits_was_told_so_and_waits_no_longer_than_a_day_or_to_the_end_of_the_wait(
    asked: list[Named], known: dict[str, ProviderState], now_ms: int
) -> None:
    keys = {provider.name: provider.key_id for provider in asked}
    _, waiting = split(asked, known, now_ms)

    for name, until_ms, why in waiting:
        said = known[name]
        assert (until_ms, why, keys[name]) == (said.not_before_ms, said.why, said.key)
        assert now_ms < until_ms <= now_ms + LONGEST_WAIT_MS
        assert split(asked, known, until_ms)[0].count(Named(name, keys[name])) == 1
        if said.said_ms:
            later_ms = max(now_ms, said.said_ms) + DAY_MS
            assert name not in {name for name, _, _ in split(asked, known, later_ms)[1]}


@given(error=failures, before=states, now_ms=times)
def test_a_failure_takes_the_place_of_no_answer_and_asks_for_no_wait_beyond_the_longest(
    error: ProviderError, before: ProviderState, now_ms: int
) -> None:
    after = note_failure(error, before, "new", now_ms)

    assert (after.error, after.answered_ms, after.credits_left) == (error.problem, before.answered_ms, None)
    assert after.not_before_ms <= now_ms + LONGEST_WAIT_MS
    assert bool(after.why) == bool(after.not_before_ms)
    assert after.answers == (before.answered_ms == now_ms)


@given(known=known, error=failures, now_ms=times, spent=st.booleans())
def test_only_those_that_were_asked_are_learned_about_and_a_failure_outweighs_an_answer(
    known: dict[str, ProviderState], error: ProviderError, now_ms: int, spent: bool
) -> None:
    readings = [Reading(name, 60_000.0, now_ms, not_before_ms=now_ms + 1 if spent else None) for name in ("a", "b")]

    learned = learn_states(known, readings, [error], {"a": "new", "b": ""}, now_ms)

    assert learned.keys() == {"a", "b"}
    assert (learned["a"].error, learned["a"].answered_ms) == (error.problem, now_ms)
    assert (learned["b"].error, learned["b"].answered_ms, learned["b"].why) == ("", now_ms, "budget" if spent else "")
