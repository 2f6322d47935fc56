"""Facts that the server tells about itself, as far as it may."""

import time

import pytest
import redis

from btcts.config import BTC_USD
from btcts.store import Facts, Store
from support.clocks import FakeClock
from support.series import NOW, wave
from support.servers import Server, StartServer, connect


def test_versions_memory_and_persistence_are_those_of_the_server(client: redis.Redis, store: Store) -> None:
    store.write(wave(NOW - 60_000, NOW, 10_000))
    sizes = [client.memory_usage(key) or 0 for key in client.scan_iter()]

    facts = store.facts()

    assert facts.redis_version == client.info("server")["redis_version"]
    assert facts.module_version
    assert len(facts.module_version.split(".")) == 3
    assert facts.own_bytes == sum(sizes)
    assert facts.parameters == {
        "appendonly": "no",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
    }


def test_an_empty_store_takes_no_memory(store: Store) -> None:
    assert store.facts().own_bytes == 0


def test_the_clock_of_the_same_machine_is_no_further_away_than_the_question_takes(store: Store) -> None:
    began = time.monotonic()

    facts = store.facts()

    assert abs(facts.ahead_ms) <= (time.monotonic() - began) * 1000 + 1


@pytest.mark.parametrize(
    ("forbidden", "unknown"),
    [
        ("-info", {"redis_version", "module_version", "used_bytes", "max_bytes", "replication_id"}),
        ("-config", {"parameters"}),
        ("-memory", {"own_bytes"}),
    ],
)
def test_what_the_user_may_not_ask_is_unknown_and_the_rest_is_known(
    start_server: StartServer, forbidden: str, unknown: set[str]
) -> None:
    server = start_server()
    with connect(server.socket) as owner:
        owner.execute_command("ACL", "SETUSER", "reader", "on", "nopass", "~*", "+@all", forbidden)

    facts = _facts_for(server, "reader")

    values = {name: getattr(facts, name) for name in Facts.__slots__ if name not in ("ahead_ms", "lag")}
    assert {name for name, value in values.items() if value is None or value == {}} == unknown


def test_a_renamed_command_is_unknown_too(start_server: StartServer) -> None:
    server = start_server("--rename-command", "CONFIG", "")

    facts = _facts_for(server, "default")

    assert facts.parameters == {}
    assert facts.redis_version


def _facts_for(server: Server, user: str) -> Facts:
    with connect(server.socket, username=user, password="any") as client:
        return Store(client, BTC_USD, clock=FakeClock(NOW), where="test").facts()
