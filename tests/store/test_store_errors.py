"""Errors of the store when Redis does not do what is needed: one line with what, where and the next step."""

import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError
from redis.retry import Retry

from btcts.config import BTC_USD
from btcts.connect import open_embedded_store
from btcts.domain.model import Gap, Span, Tick
from btcts.embedded import Embedded
from btcts.errors import BtctsError, ForeignKey, NoTimeSeries, StoreError, StoreUnreachable
from btcts.store import EMBEDDED, State, Store
from btcts.store.explain import explain
from support.clocks import FakeClock
from support.series import HOUR, NOW, TICK, samples
from support.servers import Server, StartServer, connect
from support.wording import Wording

wording = Wording(__file__)


Use = Callable[[Store], object]

READS: dict[str, Use] = {
    "latest": Store.latest,
    "ticks": lambda store: store.ticks(Span(0, NOW)),
    "buckets": Store.buckets,
    "snapshot": Store.snapshot,
    "inspect": Store.inspect,
    "state": Store.state,
    "gaps": Store.gaps,
}
WRITES: dict[str, Use] = {
    "append": lambda store: store.write([Tick(NOW, 5)]),
    "merge": lambda store: store.write([Tick(NOW - HOUR, 5)]),
    "rebuild": Store.rebuild,
    "remember": lambda store: store.remember(State(cadence_s=10)),
    "record_gaps": lambda store: store.record_gaps({NOW - NOW % 60_000: Gap("no_trades", 1, NOW)}),
}

each_read = pytest.mark.parametrize("use", READS.values(), ids=READS)
each_write = pytest.mark.parametrize("use", WRITES.values(), ids=WRITES)
each_use = pytest.mark.parametrize("use", [*READS.values(), *WRITES.values()], ids=[*READS, *WRITES])


def store_of(client: redis.Redis) -> Store:
    return Store(client, BTC_USD, clock=FakeClock(NOW), where="redis.example:6379")


@pytest.fixture
def own_server(start_server: StartServer) -> Server:
    """A server that the test may spoil."""
    return start_server()


@pytest.fixture
def own_client(own_server: Server) -> Iterator[redis.Redis]:
    with connect(own_server.socket) as client:
        yield client


@pytest.fixture
def filled(own_client: redis.Redis) -> Store:
    """A store that holds two ticks and a gap between them."""
    store = store_of(own_client)
    store.write([Tick(NOW - 2 * HOUR, 1), Tick(NOW - 1, 2)])
    return store


def said_by(use: Use, store: Store, kind: type[BtctsError] = StoreError) -> str:
    """The one line of the failure of this kind."""
    with pytest.raises(kind) as caught:
        use(store)
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    return str(caught.value)


@each_use
def test_a_server_that_is_down(tmp_path: Path, use: Use) -> None:
    with connect(tmp_path / "nobody") as client:
        said = said_by(use, store_of(client), StoreUnreachable)

    wording.check("down", said)


def test_a_refused_connection_is_told_in_the_words_of_the_system(own_server: Server) -> None:
    own_server.kill()

    with connect(own_server.socket) as client:
        said = said_by(Store.latest, store_of(client), StoreUnreachable)

    assert "(connection refused)" in said


@each_use
def test_a_server_that_ends_between_two_commands(own_server: Server, own_client: redis.Redis, use: Use) -> None:
    store = store_of(own_client)
    store.rebuild()
    own_server.kill()

    assert " redis.example:6379 (" in said_by(use, store, StoreUnreachable)


def test_a_host_without_a_name() -> None:
    client = redis.Redis(host="nowhere.invalid", protocol=3, decode_responses=True, retry=Retry(NoBackoff(), 0))

    assert said_by(Store.latest, store_of(client), StoreUnreachable).endswith("--redis")


@pytest.mark.parametrize("given", [None, "wrong secret"])
@each_use
def test_a_refused_login_says_so_and_keeps_the_password_to_itself(
    start_server: StartServer, use: Use, given: str | None
) -> None:
    server = start_server("--requirepass", "right secret")

    with connect(server.socket, password=given) as client, pytest.raises(StoreUnreachable) as caught:
        use(store_of(client))

    wording.check("a refused login", str(caught.value))
    assert "secret" not in "".join(traceback.format_exception(caught.value))
    assert "secret" not in repr(caught.value.__cause__)


@pytest.mark.parametrize("use", [*list(READS.values())[:5], WRITES["append"], WRITES["rebuild"]])
def test_a_server_without_the_module(start_server: StartServer, use: Use) -> None:
    with connect(start_server(module=False).socket) as client:
        said = said_by(use, store_of(client), NoTimeSeries)

    wording.check("no module", said)


@each_write
def test_a_read_only_replica(own_client: redis.Redis, filled: Store, use: Use) -> None:
    own_client.replicaof("127.0.0.1", "1")

    wording.check("a replica", said_by(use, filled))


def test_a_replica_that_answers_nothing_without_its_primary(own_client: redis.Redis, filled: Store) -> None:
    own_client.replicaof("127.0.0.1", "1")
    own_client.config_set("replica-serve-stale-data", "no")

    wording.check("a replica without its primary", said_by(Store.latest, filled, StoreUnreachable))


@each_write
def test_a_server_that_is_out_of_memory(own_client: redis.Redis, filled: Store, use: Use) -> None:
    own_client.config_set("maxmemory", "1mb")

    said = said_by(use, filled)
    own_client.config_set("maxmemory", "0")

    wording.check("out of memory", said)
    assert samples(own_client, TICK) == {NOW - 2 * HOUR: 1, NOW - 1: 2}
    assert filled.inspect().faults == ()


@each_write
def test_a_server_that_cannot_write_its_disk(
    own_server: Server, own_client: redis.Redis, filled: Store, use: Use
) -> None:
    (own_server.folder / "dump.rdb").mkdir()
    own_client.config_set("save", "3600 1000000")
    own_client.bgsave()
    while own_client.info("persistence")["rdb_last_bgsave_status"] == "ok":
        pass

    said = said_by(use, filled)

    wording.check("a full disk", said)
    assert samples(own_client, TICK) == {NOW - 2 * HOUR: 1, NOW - 1: 2}


@each_write
def test_a_server_that_misses_its_replicas(own_client: redis.Redis, filled: Store, use: Use) -> None:
    own_client.config_set("min-replicas-to-write", "1")

    wording.check("too few replicas", said_by(use, filled))


TO_READ = ["ts.get", "ts.range", "ts.info", "time", "hget", "hgetall", "hlen", "multi", "exec", "ping"]


@pytest.fixture
def reader(own_server: Server, own_client: redis.Redis, filled: Store) -> Iterator[Store]:
    """A store with the rights to read only."""
    rights = [f"+{command}" for command in TO_READ]
    own_client.execute_command(
        "ACL", "SETUSER", "reader", "on", ">word", "~btc:price:*", "-@all", "+@connection", *rights
    )
    with connect(own_server.socket, username="reader", password="word") as client:
        yield store_of(client)


@each_read
def test_a_user_who_may_only_read_can_read(reader: Store, use: Use) -> None:
    use(reader)


@each_write
def test_a_user_who_may_only_read_cannot_write(reader: Store, use: Use) -> None:
    said = said_by(use, reader)

    wording.check("no rights to write", said, command=said.split("'")[1])


def test_minutes_to_settle_are_for_those_who_may_run_scripts(reader: Store) -> None:
    said = said_by(lambda store: store.inspect([NOW - NOW % 60_000]), reader)

    assert "'evalsha'" in said


def test_a_right_that_is_missing_within_the_script_is_named(
    own_server: Server, own_client: redis.Redis, filled: Store
) -> None:
    own_client.execute_command("ACL", "SETUSER", "half", "on", "nopass", "~*", "+@all", "-ts.madd")

    with connect(own_server.socket, username="half", password="any") as client:
        said = said_by(WRITES["append"], store_of(client))

    assert "'ts.madd'" in said
    assert "@user_script" not in said


def test_a_user_without_our_keys(own_server: Server, own_client: redis.Redis, filled: Store) -> None:
    own_client.execute_command("ACL", "SETUSER", "other", "on", "nopass", "~other:*", "+@all")

    with connect(own_server.socket, username="other", password="any") as client:
        said = said_by(Store.latest, store_of(client))

    wording.check("no rights to our keys", said)


@pytest.mark.parametrize("use", [Store.state, WRITES["append"], WRITES["remember"], WRITES["rebuild"]])
def test_a_state_key_of_another_type(client: redis.Redis, use: Use) -> None:
    store = store_of(client)
    store.rebuild()
    client.set("btc:price:state", "somebody's")

    said = said_by(use, store, ForeignKey)

    assert "init-keys" in said
    assert client.get("btc:price:state") == "somebody's"


@pytest.mark.parametrize("use", [Store.gaps, WRITES["record_gaps"], WRITES["rebuild"]])
def test_a_gaps_key_of_another_type(client: redis.Redis, use: Use) -> None:
    store = store_of(client)
    store.rebuild()
    client.set("btc:price:gaps", "somebody's")

    said = said_by(use, store, ForeignKey)

    assert "init-keys" in said
    assert client.get("btc:price:gaps") == "somebody's"


@pytest.mark.parametrize("use", [WRITES["append"], WRITES["merge"], WRITES["rebuild"]])
def test_a_tick_key_of_another_type(client: redis.Redis, use: Use) -> None:
    client.set(TICK, "somebody's")

    assert "init-keys" in said_by(use, store_of(client), ForeignKey)
    assert client.get(TICK) == "somebody's"


@pytest.mark.parametrize(
    ("where", "named"),
    [(EMBEDDED, "data directory (BTCTS_DATA_DIR)"), ("redis.example:6379", "database (REDIS_DB)")],
)
def test_the_next_step_to_another_store_is_one_that_leads_there(client: redis.Redis, where: str, named: str) -> None:
    store = Store(client, BTC_USD, clock=FakeClock(NOW), where=where)
    store.write([Tick(NOW, 5)])
    store.remember(State(simulated=False))

    mixed = said_by(lambda used: used.refuse_mixture(used.latest(), used.state(), simulated=True), store)
    client.flushall()
    client.set(TICK, "somebody's")
    foreign = said_by(Store.rebuild, store, ForeignKey)

    assert mixed.endswith(f" {named}")
    assert f" {named}, " in foreign


def test_the_store_of_the_embedded_server_is_known_by_where_it_is(tmp_path: Path) -> None:
    with open_embedded_store(Embedded(tmp_path), BTC_USD, clock=FakeClock(NOW)) as store:
        assert store.where == EMBEDDED


def test_a_server_that_is_loading_its_data_is_worth_another_try() -> None:
    busy = BusyLoadingError("Redis is loading the dataset in memory", status_code="LOADING")

    said = explain(busy, "redis.example:6379")

    assert type(said) is StoreUnreachable
    wording.check("loading", str(said))
