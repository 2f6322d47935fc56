"""`status`: what makes a store unhealthy, what is a warning, and both forms of the answer."""

import json
from dataclasses import replace
from importlib.resources import files
from typing import Any

import pytest
import redis
from jsonschema import Draft202012Validator

from btcts.model import Gap, ProviderState, Tick
from btcts.render.status import status_json, status_text
from btcts.services.collect import once
from btcts.services.status import Completeness, Status, status
from btcts.store import Facts, State, Store
from clocks import FakeClock
from exchanges import Exchanges, Fault
from series import HOUR, MINUTE, NOW, TICK, monitored, put, wave
from servers import Server
from services.conftest import MakeCollector

SAFE = {"appendonly": "yes", "appendfsync": "everysec", "save": "3600 1", "maxmemory-policy": "noeviction"}


@pytest.fixture
def filled(store: Store) -> Store:
    """A store with a full day of ticks, the newest 30 s old."""
    store.write(wave(NOW - 25 * HOUR, NOW - 30_000 + 1, 30_000))
    return store


@pytest.fixture
def fine(filled: Store) -> Status:
    """The state of a store that is as it should be, on a server that keeps its data."""
    found = status_of(filled)
    return replace(found, facts=replace(found.facts, parameters=SAFE, ahead_ms=0))


def status_of(store: Store, *, spooled: int | None = 0) -> Status:
    return status(store, spooled=spooled)


def with_provider(found: Status, **state: Any) -> Status:
    return replace(found, state=State(providers={"kraken": ProviderState(**state)}))


def test_a_store_that_was_just_collected_into_is_healthy_and_complete(
    store: Store, clock: FakeClock, make_collector: MakeCollector
) -> None:
    once(make_collector())

    found = status_of(store)

    assert found.healthy
    assert found.completeness == {
        name: Completeness(expected, expected, expected, {})
        for name, expected in {"minute": 60, "5min": 12, "15min": 4, "hour": 24}.items()
    }
    assert found.state.last_cycle_ms == clock.now_ms()
    assert set(found.state.providers) == {"coinbase", "kraken", "bitstamp", "bitfinex", "gemini"}


def test_it_only_reads(server: Server, filled: Store) -> None:
    reads = {"TIME", "TS.GET", "TS.INFO", "TS.RANGE", "HLEN", "HGET", "HGETALL", "INFO", "CONFIG", "MEMORY"}

    with monitored(server) as commands:
        status_of(filled)

    assert {command[0] for command in commands} <= reads


def test_an_empty_store_is_unhealthy_for_one_reason(store: Store, client: redis.Redis) -> None:
    found = status_of(store)

    assert found.reasons == ("nothing is stored; run btcts collect --once",)
    assert [each for each in found.warnings if "slots" in each] == []
    assert client.keys() == []


def test_a_layout_without_a_price_is_unhealthy(store: Store) -> None:
    store.rebuild()

    assert status_of(store).reasons == ("there is no price; run btcts collect --once",)


def test_the_age_of_the_newest_price_decides_at_the_limit(filled: Store, clock: FakeClock) -> None:
    newest = filled.latest()
    assert newest
    clock.advance(newest.time_ms + 150_000 - clock.now_ms())
    at_the_limit = status_of(filled)
    clock.advance(1)

    beyond = status_of(filled)

    assert at_the_limit.healthy
    assert beyond.reasons == ("the newest price is 150 s old, the limit is 150 s",)


def test_the_limit_follows_the_cadence_of_the_collectors(filled: Store, clock: FakeClock) -> None:
    filled.remember(State(cadence_s=300.0))
    clock.advance(10 * MINUTE)

    found = status_of(filled)

    assert found.max_age_s == 900
    assert found.healthy


def test_a_fault_of_the_layout_is_a_reason(client: redis.Redis, filled: Store) -> None:
    client.execute_command("TS.ALTER", "btc:price:hour", "RETENTION", 5)

    assert status_of(filled).reasons == ("btc:price:hour: retention is 5 ms, not 82800000",)


def test_a_price_of_the_future_is_a_reason(client: redis.Redis, filled: Store) -> None:
    put(client, TICK, {NOW + HOUR: 5.0})

    (reason,) = status_of(filled).reasons

    assert reason == "the newest price is 3600 s in the future and hides the others; run btcts prune"


@pytest.mark.parametrize("key", [TICK, "btc:price:state", "btc:price:gaps"])
def test_a_key_that_is_not_ours_is_a_reason(client: redis.Redis, filled: Store, key: str) -> None:
    client.delete(key)
    client.set(key, "somebody's")

    reason = status_of(filled).reasons[0]

    assert reason == f"{key} was not made by btcts; rename it, or run btcts init-keys --adopt"


def test_slots_without_a_price_are_a_warning_and_their_reasons_are_counted(store: Store) -> None:
    store.write(wave(NOW - 25 * HOUR, NOW - 20 * MINUTE, 30_000))
    store.write([Tick(NOW, 60_000)])
    minute = NOW - NOW % MINUTE
    store.record_gaps({minute - MINUTE: Gap("no_trades", 1, NOW), minute - 2 * MINUTE: Gap("no_trades", 1, NOW)})

    found = status_of(store)

    assert found.healthy
    assert "minute: 19 of 60 closed slots have no price" in found.warnings
    assert found.completeness["minute"] == Completeness(60, 41, 0, {"no_trades": 2})


def test_a_provider_that_fails_is_a_warning_and_no_reason(
    store: Store, exchanges: Exchanges, make_collector: MakeCollector
) -> None:
    exchanges.fault("kraken", Fault(status=503))
    once(make_collector())

    found = status_of(store)

    assert found.healthy
    assert [each for each in found.warnings if each.startswith("kraken: ")]


@pytest.mark.parametrize(
    ("facts", "warning"),
    [
        ({}, None),
        ({"parameters": {}}, None),
        ({"parameters": SAFE | {"appendonly": "no"}}, None),
        ({"parameters": SAFE | {"save": ""}}, None),
        (
            {"parameters": SAFE | {"appendonly": "no", "save": ""}},
            "Redis keeps nothing on disk, a restart loses all of it; set appendonly yes",
        ),
        (
            {"parameters": SAFE | {"maxmemory-policy": "allkeys-lru"}},
            "Redis may evict our series (maxmemory-policy allkeys-lru); set it to noeviction",
        ),
        ({"ahead_ms": 10_000}, None),
        ({"ahead_ms": 3_600_000}, "this machine's clock is 3600 s ahead of the Redis server's"),
        ({"ahead_ms": -60_000}, "this machine's clock is 60 s behind the Redis server's"),
    ],
)
def test_what_the_server_says_of_itself_may_be_a_warning(
    fine: Status, facts: dict[str, Any], warning: str | None
) -> None:
    found = replace(fine, facts=replace(fine.facts, **facts))

    assert found.healthy
    assert found.warnings == ((warning,) if warning else ())


def test_prices_that_wait_in_the_spool_are_a_warning(fine: Status) -> None:
    found = replace(fine, spooled=3)

    assert found.healthy
    assert found.warnings == ("3 prices wait on this machine for Redis; the next collect writes them",)


# The two forms


def cases(fine: Status) -> dict[str, Status]:
    long = {"not_before_ms": NOW + HOUR, "why": "HTTP 429, Retry-After", "error": "HTTP 429\x1b[31m " * 9}
    return {
        "fine": fine,
        "unknown": replace(fine, facts=Facts(ahead_ms=0), spooled=None),
        "empty": replace(fine, newest=None, state=State(simulated=True)),
        "provider": with_provider(fine, answered_ms=NOW - 5_000, credits_left=9_912, **long),
    }


@pytest.mark.parametrize("name", ["fine", "unknown", "empty", "provider"])
def test_the_document_is_as_its_schema_says(fine: Status, name: str) -> None:
    schema = json.loads((files("btcts") / "schemas" / "status.json").read_text("utf-8"))

    document = json.loads(status_json(cases(fine)[name]))

    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(document)


def test_the_document_of_a_broken_store_is_as_its_schema_says(client: redis.Redis, filled: Store) -> None:
    schema = json.loads((files("btcts") / "schemas" / "status.json").read_text("utf-8"))
    client.delete("btc:price:hour", "btc:price:gaps")
    client.set("btc:price:gaps", "somebody's")

    document = json.loads(status_json(status_of(filled)))

    Draft202012Validator(schema).validate(document)
    assert not document["healthy"]
    assert document["foreign"] == ["btc:price:gaps"]
    assert {"key": "btc:price:hour", "problem": "is missing"} in document["faults"]


@pytest.mark.parametrize("name", ["fine", "unknown", "empty", "provider"])
def test_the_page_fits_80_columns_and_holds_no_control_characters(fine: Status, name: str) -> None:
    page = status_text(cases(fine)[name], utc=True, width=80)

    lines = page.split("\n")
    assert max(map(len, lines)) <= 80
    assert all(line.isprintable() for line in lines)


def test_without_a_width_no_line_is_wrapped(fine: Status) -> None:
    found = with_provider(fine, error="word " * 50)

    page = status_text(found, utc=True, width=None)

    assert f"warning: kraken: {'word ' * 50}" in page.split("\n")


def test_the_page_says_what_a_provider_waits_for(fine: Status) -> None:
    found = with_provider(
        fine, answered_ms=fine.now_ms - 90_000, not_before_ms=fine.now_ms + 60_000, why="budget", credits_left=9_912
    )

    page = status_text(found, utc=True, width=None)

    assert "kraken    1 min 30 s ago  answers, waits 1 min more (budget), 9,912 credits left" in page


def test_an_error_that_is_what_a_provider_waits_for_is_said_once(fine: Status) -> None:
    found = with_provider(fine, not_before_ms=fine.now_ms + 60_000, why="HTTP 429", error="HTTP 429")

    page = status_text(found, utc=True, width=None)

    assert page.count("HTTP 429") == 1
    assert "fails, waits 1 min more" in page


def test_simulated_prices_are_labelled(fine: Status) -> None:
    found = replace(fine, state=State(simulated=True))

    assert status_text(found, utc=True, width=80).startswith("BTC-USD (simulated) healthy, 2026-01-01 12:34:56 UTC")
