"""The shared words of collectors: the state and the ledger of gaps."""

import json

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from btcts.domain.model import REASONS, Gap, Lean, Pending, ProviderState, StreamState, Tick
from btcts.domain.untrusted import GENESIS_MS, LONGEST_TEXT
from btcts.store import State, Store
from support.series import MINUTE, NOW

THIS_MINUTE = NOW - NOW % MINUTE
STATE = "btc:price:state"
GAPS = "btc:price:gaps"

texts = st.text(st.characters(categories=["L", "N", "P"]), max_size=LONGEST_TEXT)
times = st.integers(GENESIS_MS, NOW)
names = st.sampled_from(["kraken", "gemini", "coinmarketcap"])

states = st.builds(
    State,
    cadence_s=st.none() | st.floats(1, 3600),
    last_cycle_ms=st.none() | times,
    problem=st.none() | texts,
    pending=st.none() | st.builds(Pending, times, st.floats(1, 1e6), st.integers(1, 9)),
    flag=st.sampled_from([None, "single", "disputed"]),
    deviating=st.dictionaries(names, st.floats(-1, 100), max_size=3),
    accepted=st.none() | st.builds(Tick, times, st.floats(1, 1e6)),
    anchor=st.none() | st.builds(Tick, times, st.floats(1, 1e6)),
    lean=st.none() | st.builds(Lean, times, times, st.lists(names, max_size=3).map(tuple)),
    configured=st.none() | st.dictionaries(names, st.integers(0, 10**11), max_size=3),
    configured_ms=st.none() | times,
    candleless=st.dictionaries(names, times, max_size=3),
    streams=st.dictionaries(
        names,
        st.builds(
            StreamState,
            whole_since_ms=st.none() | times,
            lag_ms=st.none() | st.integers(-NOW, NOW),
            gap_ms=st.none() | times,
            **dict.fromkeys(("reconnects", "compared", "corrected"), st.integers(0, 10**9)),
            steady=st.booleans(),
            problem=texts,
            problem_code=texts,
        ),
    ),
    simulated=st.none() | st.booleans(),
    providers=st.dictionaries(
        st.sampled_from(["kraken", "gemini", "coinmarketcap"]),
        st.builds(ProviderState, not_before_ms=st.integers(0, NOW), why=texts, error=texts),
    ),
)


@pytest.fixture
def client(either_client: redis.Redis) -> redis.Redis:
    return either_client


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(state=states)
def test_a_state_comes_back_as_it_was_remembered(client: redis.Redis, store: Store, state: State) -> None:
    client.flushall()

    store.remember(state)

    assert store.state() == state


def test_what_a_state_leaves_open_stays_as_another_collector_set_it(store: Store) -> None:
    store.remember(State(cadence_s=10.0, simulated=False, providers={"kraken": ProviderState(error="down")}))

    store.remember(State(last_cycle_ms=NOW, providers={"gemini": ProviderState(why="waits")}))

    assert store.state() == State(
        cadence_s=10.0,
        last_cycle_ms=NOW,
        simulated=False,
        providers={"kraken": ProviderState(error="down"), "gemini": ProviderState(why="waits")},
    )


def test_a_pending_price_is_forgotten_when_there_is_none_any_more(store: Store) -> None:
    store.remember(State(pending=Pending(NOW, 60_000.5)))

    store.remember(State())

    assert store.state().pending is None


def test_a_collector_without_streams_leaves_what_another_told_of_its_own(store: Store) -> None:
    told = State(streams={"kraken": StreamState(whole_since_ms=NOW)}, streams_ms=NOW)
    store.remember(told)

    store.remember(State())

    assert store.state() == told


@pytest.mark.parametrize("stream", [{"lag_ms": "soon"}, {"whole_since_ms": 5}, {"steady": 1}, {"problem": "\n"}, []])
def test_the_state_of_a_stream_that_cannot_be_read_counts_as_absent(
    client: redis.Redis, store: Store, stream: object
) -> None:
    client.hset(STATE, "streams", json.dumps({"kraken": stream}))

    assert store.state() == State()


@pytest.mark.parametrize("text", ["", "[", '"soon"', "[1]", "{}", "null", '[null, "x"]', '{"invented": 5}'])
def test_what_cannot_be_read_counts_as_absent(client: redis.Redis, store: Store, text: str) -> None:
    names = ["cadence_s", "last_cycle_ms", "pending", "provider:kraken", "of a later version"]
    client.hset(STATE, mapping=dict.fromkeys(names, text))

    assert store.state() == State(providers={"kraken": ProviderState()})


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e999"])
def test_a_number_without_end_is_no_time(client: redis.Redis, store: Store, text: str) -> None:
    client.hset(STATE, "last_cycle_ms", text)

    assert store.state() == State()


def test_telling_how_providers_fare_touches_nothing_else(client: redis.Redis, store: Store) -> None:
    collector = State(
        cadence_s=10.0,
        pending=Pending(NOW, 60_000.5),
        problem="no price",
        simulated=False,
        providers={"kraken": ProviderState(error="down"), "gemini": ProviderState(why="waits")},
    )
    store.remember(collector)
    before = client.hgetall(STATE)

    store.tell({"kraken": ProviderState(answered_ms=NOW)})

    after = client.hgetall(STATE)
    assert {name for name in after if after[name] != before[name]} == {"provider:kraken"}
    assert store.state().providers["kraken"] == ProviderState(answered_ms=NOW)


def test_the_cause_of_a_failure_is_shared(store: Store) -> None:
    failed = ProviderState(error="no answer from h (x)", cause="route", reason="x")

    store.tell({"kraken": failed})

    assert store.state().providers["kraken"] == failed


@pytest.mark.parametrize("simulated", [False, True])
def test_it_can_be_told_whether_prices_are_made_up(store: Store, *, simulated: bool) -> None:
    store.tell({}, simulated=simulated)

    assert store.state() == State(simulated=simulated)


def test_telling_nothing_creates_no_key(client: redis.Redis, store: Store) -> None:
    store.tell({})

    assert client.keys() == []


def test_gaps_come_back_as_they_were_recorded(store: Store) -> None:
    gaps = {THIS_MINUTE - number * MINUTE: Gap(reason, number + 1, NOW) for number, reason in enumerate(REASONS)}

    store.record_gaps(gaps)

    assert store.gaps() == gaps


def test_gaps_are_updated_and_forgotten_one_by_one(store: Store) -> None:
    first, second, third = (THIS_MINUTE - number * MINUTE for number in range(3))
    store.record_gaps({minute: Gap("not_reached", 1, NOW) for minute in (first, second, third)})

    store.record_gaps({second: Gap("disagree", 2, NOW + 1)}, forget=[first])

    assert store.gaps() == {second: Gap("disagree", 2, NOW + 1), third: Gap("not_reached", 1, NOW)}


def test_recording_no_gap_creates_no_key(client: redis.Redis, store: Store) -> None:
    store.record_gaps({}, forget=[])
    store.record_gaps({}, forget=[THIS_MINUTE])

    assert not client.exists(GAPS)


def test_a_whole_window_of_gaps_is_recorded_at_once(store: Store) -> None:
    gaps = {THIS_MINUTE - number * MINUTE: Gap("providers_down", 1, NOW) for number in range(1_500)}

    store.record_gaps(gaps)
    store.record_gaps({}, forget=gaps)

    assert store.gaps() == {}
