"""The state hash and the ledger of gaps as input that anybody may have written: read by type and bounds, or absent."""

import json
from collections.abc import Mapping

import pytest
import redis

from btcts.domain.codes import FaultCode
from btcts.domain.model import DAY_MS, LONGEST_WAIT_MS, Candle, Gap, ProviderState, Tick
from btcts.domain.untrusted import LONGEST_TEXT, MOST_NAMES
from btcts.store import Fault, State, Store
from support.clocks import FakeClock
from support.series import COMPACTIONS, HOUR, MINUTE, NOW, compactions

STATE, GAPS = "btc:price:state", "btc:price:gaps"
THIS_MINUTE = NOW - NOW % MINUTE

DEEP = "[" * 3000
GARBAGE = ["", "abc", "NaN", "Infinity", "1e400", "true", "-1", "9e15", "9" * 5000, DEEP, "null", '"\\u001b[2J"', "{}"]

FIELDS = ["cadence_s", "spacing_s", "last_cycle_ms", "reread_ms", "pending", "members", "simulated", "provider:kraken"]


def only_fields(faults: tuple[Fault, ...]) -> list[str]:
    """The fields that the faults are about; nothing else differs."""
    assert all(fault.key in (STATE, GAPS) for fault in faults)
    return [name for fault in faults for name in fault.fields]


@pytest.mark.parametrize("text", [text for text in GARBAGE if text not in ("null", "true", "{}")])
@pytest.mark.parametrize("name", FIELDS)
def test_a_field_out_of_bounds_is_absent_named_and_taken_out(
    client: redis.Redis, full: Store, name: str, text: str
) -> None:
    full.remember(State(problem="no price"))
    client.hset(STATE, name, text)

    found = full.inspect()
    full.repair(found)

    assert full.state() == State(problem="no price")
    assert only_fields(found.faults) == [name]
    assert not found.needs_rebuild
    assert full.inspect().faults == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cadence_s", "10"),
        ("cadence_s", True),
        ("cadence_s", 86_401),
        ("last_cycle_ms", NOW + 2 * DAY_MS),
        ("last_cycle_ms", float(NOW)),
        ("last_cycle_ms", 1),
        ("problem", "x" * (LONGEST_TEXT + 1)),
        ("problem", "\x1b[2J"),
        ("problem", 5),
        ("pending", [NOW]),
        ("pending", [NOW, 0]),
        ("pending", [NOW, 1e9]),
        ("pending", ["NOW", 60_000]),
        ("members", "kraken"),
        ("members", ["kraken"] * (MOST_NAMES + 1)),
        ("members", ["kraken\n"]),
        ("members", [None]),
        ("simulated", 1),
        ("simulated", "false"),
        ("ahead_ms", 0.5),
        ("provider:kraken", {"not_before_ms": None}),
        ("provider:kraken", {"not_before_ms": NOW + LONGEST_WAIT_MS + 1, "said_ms": NOW}),
        ("provider:kraken", {"not_before_ms": NOW + 5000, "said_ms": NOW + 2 * DAY_MS}),
        ("provider:kraken", {"answered_ms": "now"}),
        ("provider:kraken", {"error": None}),
        ("provider:kraken", {"why": ["x"]}),
        ("provider:kraken", {"credits_left": -1}),
        ("provider:kraken", {"key": 1}),
    ],
)
def test_a_value_of_another_type_or_beyond_its_bounds_is_named(
    client: redis.Redis, full: Store, name: str, value: object
) -> None:
    client.hset(STATE, name, json.dumps(value))

    found = full.inspect()

    assert only_fields(found.faults) == [name]
    assert found.state == full.state() == full.snapshot().state
    assert full.state() == State(providers={"kraken": ProviderState()} if "kraken" in name else {})


def test_what_a_later_version_adds_is_left_alone(client: redis.Redis, full: Store) -> None:
    client.hset(STATE, "of a later version", DEEP)
    client.hset(STATE, "provider:kraken", json.dumps({"error": "down", "invented": DEEP}))
    client.hset(GAPS, str(THIS_MINUTE), json.dumps(["disagree", 2, NOW, ["kraken"], 0, {"invented": 5}]))

    assert full.inspect().faults == ()
    assert full.state().providers == {"kraken": ProviderState(error="down")}
    assert full.gaps() == {THIS_MINUTE: Gap("disagree", 2, NOW, ("kraken",))}


def test_very_many_fields_that_nobody_reads_are_taken_out(client: redis.Redis, full: Store) -> None:
    full.remember(State(problem="no price"))
    client.hset(STATE, mapping={f"x{number}": "5" for number in range(5000)})

    found = full.inspect()
    full.repair(found)

    (fault,) = found.faults
    assert (fault.key, fault.code, fault.values) == (STATE, FaultCode.SURPLUS_FIELDS, {"count": 5000})
    assert {"problem", "swept_ms"} <= set(client.hkeys(STATE))
    assert client.hlen(STATE) < 30


def test_of_very_many_providers_those_heard_last_count(client: redis.Redis, full: Store) -> None:
    full.tell({"kraken": ProviderState(said_ms=NOW)})
    client.hset(STATE, mapping={f"provider:p{number}": "{}" for number in range(1000)})
    client.hset(STATE, "provider:no name", "{}")

    found = full.inspect()
    full.repair(found)

    assert "kraken" in found.state.providers
    assert len(found.state.providers) == MOST_NAMES
    assert len(found.faults) < 30
    assert full.inspect().faults == ()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("soon", '["disagree", 1, 0, []]'),
        ("-60000", '["disagree", 1, 0, []]'),
        ("1" * 5000, '["disagree", 1, 0, []]'),
        (str(THIS_MINUTE + 1), '["disagree", 1, 0, []]'),
        (f"0{THIS_MINUTE}", '["disagree", 1, 0, []]'),
        (str(THIS_MINUTE + 2 * DAY_MS), '["disagree", 1, 0, []]'),
        *((str(THIS_MINUTE), text) for text in GARBAGE),
        (str(THIS_MINUTE), '["\\u001b[2J", 1, 0, []]'),
        (str(THIS_MINUTE), '["disagree", 0, 0, []]'),
        (str(THIS_MINUTE), '["disagree", true, 0, []]'),
        (str(THIS_MINUTE), '["disagree", 1e400, 0, []]'),
        (str(THIS_MINUTE), '["disagree", 1, 9e15, []]'),
        (str(THIS_MINUTE), '["disagree", 1, 0, "kraken"]'),
        (str(THIS_MINUTE), '["disagree", 1, 0, [["kraken"]]]'),
    ],
)
def test_an_entry_of_the_ledger_out_of_bounds_is_absent_named_and_taken_out(
    client: redis.Redis, full: Store, name: str, text: str
) -> None:
    good = {THIS_MINUTE - MINUTE: Gap("not_reached", 1, NOW)}
    full.record_gaps(good)
    client.hset(GAPS, name, text)

    found = full.inspect()
    full.repair(found)

    assert found.gaps == full.gaps() == good
    assert only_fields(found.faults) == [name]
    assert full.inspect().faults == ()


def test_very_many_entries_are_counted_and_taken_out(client: redis.Redis, full: Store) -> None:
    client.hset(GAPS, mapping={f"x{number}": "[" for number in range(20_000)})

    found = full.inspect()
    full.repair(found)

    assert len(found.faults) < 30
    assert found.faults[-1].code == FaultCode.UNREADABLE_FIELDS
    assert found.faults[-1].values == {"count": 19_980}
    assert not client.exists(GAPS)


@pytest.mark.parametrize("text", [*GARBAGE, "9000000000000", "inf", "-nan"])
@pytest.mark.parametrize("name", ["carried_until_ms", "carried", "swept_ms"])
def test_whatever_the_marks_of_a_rebuild_say_prices_are_written_and_a_repair_sets_them_anew(
    client: redis.Redis, full: Store, clock: FakeClock, name: str, text: str
) -> None:
    client.hset(STATE, name, text)

    found = full.inspect()
    full.write([Tick(NOW + 1, 61_000.5)])
    full.repair(full.inspect())

    assert bool(found.faults) is ((name, text) != ("carried", "{}"))
    assert all(
        str(fault.values.get("name")).startswith(name) or fault.code == FaultCode.SWEPT_AHEAD for fault in found.faults
    )
    assert full.latest() == Tick(NOW + 1, 61_000.5)
    assert full.inspect().faults == ()


def lose_ticks(client: redis.Redis, store: Store) -> Mapping[str, Mapping[int, float]]:
    """Lose all ticks, and let a rebuild carry the closed buckets over; what they hold."""
    client.delete("btc:price:tick")
    store.repair(store.inspect())
    return compactions(client)


@pytest.mark.parametrize("text", GARBAGE[:-1])
def test_buckets_that_were_carried_over_outlast_the_loss_of_their_names(
    client: redis.Redis, full: Store, text: str
) -> None:
    before = lose_ticks(client, full)
    client.hset(STATE, "carried", text)

    full.repair(full.inspect())
    full.write([Tick(NOW, 61_000.5)])

    after = compactions(client)
    assert all(after[key].items() >= before[key].items() for key in COMPACTIONS)
    assert full.inspect().faults == ()


@pytest.mark.parametrize("text", ["abc", "0", "1", "nan"])
def test_no_append_touches_what_was_carried_over_whatever_its_end_is_said_to_be(
    client: redis.Redis, full: Store, text: str
) -> None:
    before = lose_ticks(client, full)
    client.hset(STATE, "carried_until_ms", text)

    full.repair(full.inspect())
    hour_ago = THIS_MINUTE - HOUR
    full.write([], [Candle(hour_ago, 5.0, 5.0, 5.0, 5.0)])

    assert compactions(client)["btc:price:hour"].items() >= before["btc:price:hour"].items()
