"""The memory of a collector, beside what Redis holds."""

import json
import os
from pathlib import Path

import pytest

from btcts.domain.model import LONGEST_WAIT_MS, Pending, ProviderState, Tick
from btcts.domain.untrusted import LONGEST_JSON
from btcts.errors import SpoolError
from btcts.services.collect.memory import Memory
from btcts.store import State, Store
from support.series import NOW

ANSWERED = {"gemini": ProviderState(answered_ms=NOW, said_ms=NOW)}
LIMITED = {"kraken": ProviderState(not_before_ms=NOW + 90_000, why="HTTP 429", error="HTTP 429", said_ms=NOW)}


@pytest.fixture
def memory() -> Memory:
    """A memory of a cycle in which Kraken asked to wait for 90 s and Gemini answered; Redis has not been told."""
    memory = Memory()
    state = State(last_cycle_ms=NOW, pending=Pending(NOW, 80_000.5), providers={"bitstamp": ProviderState(error="503")})
    memory.learn(state, {**LIMITED, **ANSWERED}, Tick(NOW, 60_000.5))
    return memory


def test_while_redis_is_away_all_that_is_known_counts(memory: Memory) -> None:
    state = memory.recall()

    assert state.providers["kraken"].not_before_ms == NOW + 90_000
    assert state.providers["gemini"].answered_ms == NOW
    assert state.providers["bitstamp"].error == "503"


def test_what_redis_could_not_be_told_amends_what_it_holds(memory: Memory) -> None:
    stored = State(cadence_s=10.0, providers={"bitfinex": ProviderState(answered_ms=NOW)})

    state, newest = memory.merge_untold(stored, Tick(NOW - 60_000, 59_000.5))

    assert set(state.providers) == {"bitfinex", "kraken", "gemini"}
    assert (state.cadence_s, state.pending, newest) == (10.0, Pending(NOW, 80_000.5), Tick(NOW, 60_000.5))


def test_of_two_collectors_that_know_a_provider_the_one_that_was_told_to_wait_longer_is_right(memory: Memory) -> None:
    longer = ProviderState(not_before_ms=NOW + 120_000)

    state, _ = memory.merge_untold(State(providers={"kraken": longer, "gemini": longer}), None)

    assert state.providers == {"kraken": longer, "gemini": longer}


def test_a_folder_that_cannot_be_used_is_no_matter_while_nothing_is_kept_there(store: Store) -> None:
    memory = Memory(Path("/dev/null/providers.json"))
    memory.learn(State(last_cycle_ms=NOW), ANSWERED, None)

    memory.tell(store)

    assert set(store.state().providers) == {"gemini"}


def test_once_redis_was_told_it_alone_is_believed(memory: Memory, store: Store) -> None:
    memory.tell(store)

    told = store.state()
    assert set(told.providers) == {"kraken", "gemini"}
    assert told.pending == Pending(NOW, 80_000.5)
    assert memory.merge_untold(State(), None) == (State(), None)


def test_what_redis_could_not_be_told_outlasts_the_process(tmp_path: Path) -> None:
    file = tmp_path / "data" / "providers.json"
    before = Memory(file)
    before.learn(State(last_cycle_ms=NOW), LIMITED, None)
    before.keep()

    after = Memory(file)
    amended, _ = after.merge_untold(State(), None)

    assert after.recall().providers == before.recall().providers
    assert amended.providers["kraken"].not_before_ms == NOW + 90_000


def test_what_redis_was_told_is_not_kept_any_longer(tmp_path: Path, store: Store) -> None:
    file = tmp_path / "providers.json"
    memory = Memory(file)
    memory.learn(State(last_cycle_ms=NOW), LIMITED, None)
    memory.keep()

    Memory(file).tell(store)

    assert not file.exists()
    assert store.state().providers["kraken"].not_before_ms == NOW + 90_000


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"[]", b"{", b'{"provider:kraken"', b"\xff\xfe", b"[" * 100_000, b"9" * 5000, b"null"),
        b'{"provider:kraken": 5, "cadence_s": null, "pending": [], "simulated": true}',
        b'{"last_cycle_ms": "9e15", "pending": "[1]", "members": "5", "provider:": "{}"}',
        b" " * (LONGEST_JSON + 1),
    ],
)
def test_a_damaged_file_counts_as_none(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "providers.json"
    file.write_bytes(content)

    assert Memory(file).merge_untold(State(), None) == (State(), None)


def test_no_file_bans_a_provider_for_longer_than_a_month(tmp_path: Path) -> None:
    file = tmp_path / "providers.json"
    waits = {"kraken": NOW + LONGEST_WAIT_MS, "gemini": NOW + LONGEST_WAIT_MS + 1, "bitstamp": 9_000_000_000_000_000}
    told = {f"provider:{name}": json.dumps({"not_before_ms": until, "said_ms": NOW}) for name, until in waits.items()}
    file.write_text(json.dumps(told))

    known = Memory(file, now_ms=NOW).recall().providers

    assert [name for name in waits if known[name].not_before_ms] == ["kraken"]


def test_a_pipe_in_the_place_of_the_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "providers.json")

    assert Memory(tmp_path / "providers.json").recall() == State()


def test_a_disk_that_takes_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")

    with pytest.raises(SpoolError, match=r"/data/providers"):
        Memory(tmp_path / "data" / "providers.json").keep()


def test_what_others_could_have_left_is_not_believed(memory: Memory, tmp_path: Path) -> None:
    file = tmp_path / "data" / "providers.json"
    left = Memory(file)
    left.learn(memory.recall(), LIMITED, None)
    left.keep()
    believed = Memory(file).recall()

    file.parent.chmod(0o777)

    assert believed.providers["kraken"].not_before_ms == NOW + 90_000
    assert Memory(file).recall() == State()
    with pytest.raises(SpoolError, match=rf"\(others can change {file.parent} .*mode 0777"):
        left.keep()
