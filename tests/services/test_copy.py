"""`copy` from one Redis to another."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from btcts.config import BTC_USD
from btcts.domain.layout import Layout, Market
from btcts.domain.model import Gap, Tick
from btcts.errors import ConfigError, ForeignKey, StoreError
from btcts.services.copy import Copied, copy
from btcts.services.verify.run import verify
from btcts.store import State, Store
from btcts.store.link import Patience
from services.scenes import SETTINGS
from support.clocks import FakeClock
from support.series import COMPACTIONS, DAY, FIRST_OF_WINDOW, HOUR, MINUTE, NOW, TICK, compactions, put, samples, wave
from support.servers import Server, connect
from support.wording import Wording

wording = Wording(__file__)

GAPS, STATE = "btc:price:gaps", "btc:price:state"
TAGGED = BTC_USD._replace(prefix="{btc:price}")
COLLECTED = State(cadence_s=10.0, last_cycle_ms=NOW, simulated=False)

There = Callable[..., Store]


@pytest.fixture(scope="module")
def other_server(server: Server) -> Iterator[Server]:
    """A second redis-server of this module."""
    with tempfile.TemporaryDirectory(prefix="btcts-") as folder:
        running = Server(Path(folder)).start()
        yield running
        running.kill()


@pytest.fixture
def other(other_server: Server) -> Iterator[redis.Redis]:
    """A client of an empty second Redis."""
    with connect(other_server.socket) as connected:
        connected.flushall()
        yield connected


@pytest.fixture
def there(other: redis.Redis, clock: FakeClock) -> Store:
    """A store in the second Redis."""
    return Store(other, BTC_USD, clock=clock, where="there")


@pytest.fixture
def here(full: Store, clock: FakeClock) -> Store:
    """A store with a window of ticks, gaps and a state, whose collector has ended."""
    full.record_gaps({NOW - NOW % MINUTE - 5 * MINUTE: Gap("no_trades", 2, NOW - MINUTE, ("kraken",))})
    full.remember(COLLECTED)
    clock.advance(MINUTE)
    return full


def everything(client: redis.Redis, market: Market = BTC_USD) -> dict[str, object]:
    """All that readers find under the names of a market, open buckets, settings and rules included."""
    layout, found = Layout(market), {}
    for key in layout.series:
        info = client.execute_command("TS.INFO", key)
        settings = repr({name: info[name] for name in SETTINGS}).replace(market.prefix, "")
        found[key] = (samples(client, key), settings)
        found[f"{key} latest"] = samples(client, key, latest=True)
    hashes = {key: client.hgetall(key) for key in (layout.gaps, layout.state)}
    return {key.removeprefix(market.prefix): value for key, value in (found | hashes).items()}


def dump(client: redis.Redis) -> dict[str, object]:
    """All that is in a Redis, whatever it is."""
    return {key: client.dump(key) if client.type(key) != "hash" else client.hgetall(key) for key in client.scan_iter()}


def count(copied: Copied) -> dict[str, int]:
    return {part.key.removeprefix("btc:price:"): part.entries for part in copied.parts}


def test_a_copy_has_every_sample_setting_and_field_and_a_second_run_writes_nothing(
    client: redis.Redis, other: redis.Redis, here: Store, there: Store
) -> None:
    before = everything(client)

    first = copy(here, there)
    copied = everything(other)
    second = copy(here, there)

    assert copied == everything(client) == everything(other) == before
    assert (first.code, second.code) == ("copied", "unchanged")
    assert (first.differing, first.notes) == (0, ())
    assert count(first) == count(second)
    assert [count(first)[name] for name in ("tick", "minute", "5min", "15min:max", "hour", "gaps")] == [
        *(len(samples(client, TICK)), 60, 12, 4, 24, 1)
    ]
    assert verify(there).findings == ()


def test_there_and_back_again_is_the_same(client: redis.Redis, other: redis.Redis, here: Store, there: Store) -> None:
    before = everything(client)
    copy(here, there)
    client.flushall()

    copied = copy(there, here)

    assert copied.code == "copied"
    assert everything(client) == before


def test_prices_go_on_at_the_copy_as_they_would_at_the_source(
    client: redis.Redis, other: redis.Redis, here: Store, there: Store, clock: FakeClock
) -> None:
    copy(here, there)
    late = Tick(NOW - 3 * MINUTE + 7, 1.5)

    for store in (here, there):
        store.write([late])
        store.write([Tick(clock.now_ms(), 70_000.0)])
    clock.advance(HOUR)
    for store in (here, there):
        store.write([Tick(clock.now_ms(), 70_001.0)])

    assert everything(other) == everything(client)


@pytest.fixture
def bereft(client: redis.Redis, here: Store) -> Store:
    """The same with buckets whose ticks are gone, all of them but the newest, and one that the clock has removed."""
    client.delete(TICK)
    here.write([Tick(NOW, 7.0), Tick(NOW + MINUTE, 9.0)])
    client.execute_command("TS.DEL", "btc:price:15min:max", 0, NOW - 45 * MINUTE)
    return here


def test_buckets_without_ticks_are_copied_and_stay_until_they_are_settled(
    client: redis.Redis, other: redis.Redis, bereft: Store, there: Store
) -> None:
    copied = copy(bereft, there)

    assert len(samples(other, TICK)) == 2
    kept = {name: count(copied)[name] for name in ("minute", "15min", "15min:max", "hour")}
    assert kept == {"minute": 60, "15min": 4, "15min:max": 2, "hour": 24}
    assert everything(other) == everything(client)
    for store in (bereft, there):
        store.rebuild()
    assert everything(other) == everything(client)


def test_buckets_that_are_not_what_their_ticks_make_are_copied_as_they_are(
    client: redis.Redis, other: redis.Redis, here: Store, there: Store
) -> None:
    hour = NOW - NOW % HOUR - 4 * HOUR
    client.execute_command("TS.DEL", "btc:price:hour", hour, hour + HOUR)
    client.execute_command("TS.DEL", "btc:price:minute", NOW - 2 * MINUTE, "+")
    put(client, "btc:price:hour:min", {hour: 1.0})

    copied = copy(here, there)

    assert (count(copied)["hour"], samples(other, "btc:price:hour:min")[hour]) == (22, 1.0)
    assert everything(other) == everything(client)


@pytest.mark.parametrize("databases", [(0, 3), (3, 0)])
def test_one_database_is_copied_to_another(
    server: Server, client: redis.Redis, clock: FakeClock, databases: tuple[int, int]
) -> None:
    first, second = (connect(server.socket, db=database) for database in databases)
    with first, second:
        here, there = (Store(each, BTC_USD, clock=clock, where="test") for each in (first, second))
        here.write(wave(FIRST_OF_WINDOW, NOW, 30_000))

        copied = copy(here, there)

        assert (copied.code, copied.differing) == ("copied", 0)
        assert compactions(second) == compactions(first)
        assert copy(here, there).code == "unchanged"


def test_old_prices_of_a_dead_feed_are_copied_as_they_are(
    client: redis.Redis, other: redis.Redis, here: Store, there: Store, clock: FakeClock
) -> None:
    clock.advance(9 * DAY)

    copied = copy(here, there)

    assert copied.differing == 0
    assert everything(other) == everything(client)


@pytest.mark.parametrize("prefix", ["{btc:price}", "backup:of:btc"])
def test_another_prefix_names_every_key(
    client: redis.Redis, other: redis.Redis, here: Store, clock: FakeClock, prefix: str
) -> None:
    market = BTC_USD._replace(prefix=prefix)
    there = Store(other, market, clock=clock, where="there")

    copied = copy(here, there)

    assert everything(other, market) == everything(client)
    assert {key.partition(prefix)[0] for key in other.scan_iter()} == {""}
    assert {(part.source_key[9:], part.key[len(prefix) :]) for part in copied.parts} == {
        (name, name) for name in (key[9:] for key in (TICK, *COMPACTIONS, GAPS, STATE))
    }


def test_buckets_without_ticks_stay_carried_under_another_prefix(
    client: redis.Redis, other: redis.Redis, here: Store, clock: FakeClock
) -> None:
    there = Store(other, TAGGED, clock=clock, where="there")
    client.delete(TICK)
    here.repair(here.inspect())

    copied = copy(here, there)
    again = copy(here, there)
    there.rebuild()

    assert (copied.differing, again.code, there.inspect().faults) == (0, "unchanged", ())
    assert {key: len(samples(other, key)) for key in Layout(TAGGED).series} == {
        key.replace("btc:price", "{btc:price}"): len(samples(client, key)) for key in (TICK, *COMPACTIONS)
    }


def test_a_prefix_beside_the_source_is_a_copy_beside_it(client: redis.Redis, here: Store, clock: FakeClock) -> None:
    there = Store(client, TAGGED, clock=clock, where="test")

    assert copy(here, there).code == "copied"
    assert everything(client, TAGGED) == everything(client)


def test_a_dry_run_tells_the_same_and_writes_nothing(
    client: redis.Redis, other: redis.Redis, here: Store, there: Store
) -> None:
    planned = copy(here, there, dry_run=True)

    assert (planned.code, dump(other)) == ("planned", {})
    assert count(planned) == count(copy(here, there))


def test_the_layout_without_prices_counts_as_empty(other: redis.Redis, here: Store, there: Store) -> None:
    there.rebuild()

    assert copy(here, there).code == "copied"


def test_equal_prices_without_their_rules_are_written_anew(
    client: redis.Redis, other: redis.Redis, here: Store, there: Store
) -> None:
    copy(here, there)
    other.execute_command("TS.DELETERULE", TICK, "btc:price:hour")

    assert copy(here, there).code == "copied"
    assert everything(other) == everything(client)


def moved_on(client: redis.Redis, other: redis.Redis, here: Store, there: Store) -> None:
    here.write([Tick(NOW + MINUTE, 9.0)])


def more_at_target(client: redis.Redis, other: redis.Redis, here: Store, there: Store) -> None:
    there.write([Tick(NOW + MINUTE, 9.0)])


def changed(client: redis.Redis, other: redis.Redis, here: Store, there: Store) -> None:
    put(other, TICK, {NOW - HOUR: 5.0})


@pytest.mark.parametrize("happen", [moved_on, more_at_target, changed])
def test_other_prices_are_replaced_only_when_asked_to(
    client: redis.Redis, other: redis.Redis, here: Store, there: Store, happen: Callable[..., None]
) -> None:
    copy(here, there)
    happen(client, other, here, there)
    before = dump(other)

    with pytest.raises(StoreError, match="--replace"):
        copy(here, there)
    assert dump(other) == before
    copied = copy(here, there, replace=True)

    assert (copied.code, copied.differing) == ("copied", 0)
    assert everything(other) == everything(client)


def test_rules_into_keys_of_others_are_kept(other: redis.Redis, here: Store, there: Store) -> None:
    there.write([Tick(NOW, 5.0)])
    other.execute_command("TS.CREATE", "of:others")
    other.execute_command("TS.CREATERULE", TICK, "of:others", "AGGREGATION", "avg", MINUTE)
    put(other, "of:others", {5: 7.5})

    copy(here, there, replace=True)

    assert samples(other, "of:others") == {5: 7.5}
    assert other.execute_command("TS.INFO", "of:others")["sourceKey"] == TICK


Make = Callable[[redis.Redis], object]

FOREIGN: dict[str, Make] = {
    TICK: lambda client: client.set(TICK, "of others"),
    "btc:price:hour": lambda client: client.execute_command("TS.CREATE", "btc:price:hour", "LABELS", "app", "other"),
    GAPS: lambda client: client.hset(GAPS, "open", "of others"),
    STATE: lambda client: client.hset(STATE, "county", "of others"),
}


@pytest.mark.parametrize("key", FOREIGN)
@pytest.mark.parametrize("replace", [False, True])
def test_keys_of_others_are_left_alone(
    other: redis.Redis, here: Store, there: Store, key: str, *, replace: bool
) -> None:
    FOREIGN[key](other)
    before = dump(other)

    with pytest.raises(ForeignKey, match=key):
        copy(here, there, replace=replace)

    assert dump(other) == before


def test_a_key_of_others_at_the_source_is_named(client: redis.Redis, here: Store, there: Store) -> None:
    client.delete("btc:price:hour")
    client.set("btc:price:hour", "of others")

    with pytest.raises(ForeignKey, match="btc:price:hour"):
        copy(here, there)


def spoil(*command: object) -> Make:
    return lambda client: client.execute_command(*command)


UNSOUND: dict[str, tuple[Make, str]] = {
    "empty": (lambda client: client.flushall(), "nothing"),
    "no rule": (spoil("TS.DELETERULE", TICK, "btc:price:hour"), "init-keys"),
    "retention": (spoil("TS.ALTER", TICK, "RETENTION", 5), "init-keys"),
    "unreadable": (lambda client: client.hset(STATE, "cadence_s", "?"), "init-keys"),
    "future": (spoil("TS.ADD", TICK, NOW + DAY, 5), "prune"),
    "no price": (spoil("TS.ADD", TICK, NOW, -5), "verify --repair"),
}


@pytest.mark.parametrize("kind", UNSOUND)
def test_a_source_that_no_copy_could_equal_is_refused(
    client: redis.Redis, other: redis.Redis, here: Store, there: Store, kind: str
) -> None:
    damage, step = UNSOUND[kind]
    damage(client)

    with pytest.raises(StoreError, match=step):
        copy(here, there)

    assert dump(other) == {}


def test_the_source_itself_is_no_target_by_whatever_address(
    client: redis.Redis, server: Server, here: Store, clock: FakeClock
) -> None:
    with connect(server.socket) as again:
        there = Store(again, BTC_USD, clock=clock, where="again")
        with pytest.raises(ConfigError) as raised:
            copy(here, there, replace=True)

    wording.check("the source itself", str(raised.value))


@pytest.mark.parametrize("simulated", [False, True])
@pytest.mark.parametrize("replace", [False, True])
def test_simulated_and_real_prices_never_mix(
    other: redis.Redis, here: Store, there: Store, *, simulated: bool, replace: bool
) -> None:
    here.tell({}, simulated=not simulated)
    there.write([Tick(NOW, 5.0)])
    there.tell({}, simulated=simulated)
    before = dump(other)

    with pytest.raises(StoreError, match="mixed"):
        copy(here, there, replace=replace)

    assert dump(other) == before


@pytest.mark.parametrize(("cadence_s", "doubt_s"), [(10.0, 20), (60.0, 120), (600.0, 150)])
def test_a_target_that_is_collected_into_is_refused_until_its_collector_is_silent(
    other: redis.Redis, here: Store, there: Store, clock: FakeClock, cadence_s: float, doubt_s: int
) -> None:
    there.write([Tick(clock.now_ms(), 5.0)])
    there.remember(State(cadence_s=cadence_s, last_cycle_ms=clock.now_ms(), simulated=False))
    clock.advance(1000 * doubt_s - 1000)
    before = dump(other)

    with pytest.raises(StoreError) as raised:
        copy(here, there, replace=True)
    wording.check("a target that is collected into", str(raised.value))
    assert dump(other) == before
    clock.advance(1000)

    assert copy(here, there, replace=True).differing == 0


def test_a_source_that_is_collected_into_is_copied_and_it_is_said(here: Store, there: Store, clock: FakeClock) -> None:
    here.remember(State(cadence_s=10.0, last_cycle_ms=clock.now_ms(), simulated=False))

    first = copy(here, there)
    here.write([Tick(clock.now_ms(), 5.0)])
    again = copy(here, there, replace=True)

    assert (first.notes, again.notes) == (("source_collected",),) * 2
    assert (again.code, again.differing) == ("copied", 0)


def test_a_target_whose_clock_is_behind_is_refused(other: redis.Redis, here: Store, clock: FakeClock) -> None:
    there = Store(other, BTC_USD, clock=FakeClock(clock.now_ms() - 11_000), where="there")

    with pytest.raises(StoreError, match="11 s behind"):
        copy(here, there)

    assert dump(other) == {}


class Interrupted(Store):
    """A store that somebody writes to just before it is replaced, or just after."""

    before = after = staticmethod(lambda: None)

    def replace_contents(self, *given: object, **options: object) -> None:
        self.before()
        super().replace_contents(*given, **options)  # type: ignore[arg-type]
        self.after()


def test_a_price_that_comes_meanwhile_to_the_target_is_not_lost(
    other: redis.Redis, here: Store, clock: FakeClock
) -> None:
    there = Interrupted(other, BTC_USD, clock=clock, where="there")
    there.before = lambda: there.write([Tick(NOW, 5.0)]) and None

    with pytest.raises(StoreError, match="meanwhile"):
        copy(here, there)

    assert samples(other, TICK) == {NOW: 5.0}


def test_a_source_that_changes_meanwhile_is_told_and_the_copy_is_of_one_moment(
    client: redis.Redis, other: redis.Redis, here: Store, clock: FakeClock
) -> None:
    before = everything(client)
    there = Interrupted(other, BTC_USD, clock=clock, where="there")
    there.after = lambda: here.write([Tick(NOW + MINUTE, 9.0)]) and None

    copied = copy(here, there)

    assert (copied.differing, copied.notes) == (0, ("source_changed",))
    assert everything(other) == before


def test_what_differs_in_the_end_is_counted_by_key(other: redis.Redis, here: Store, clock: FakeClock) -> None:
    there = Interrupted(other, BTC_USD, clock=clock, where="there")
    there.after = lambda: put(other, "btc:price:hour:min", {NOW - NOW % HOUR - 2 * HOUR: 1.0})

    copied = copy(here, there)

    assert {part.key: part.differing for part in copied.parts if part.differing} == {"btc:price:hour:min": 1}
    assert copied.differing == 1


class Looked(FakeClock):
    """A clock that looks at the settings of a series whenever somebody reads, but not for ever."""

    def __init__(self, now_ms: int, client: redis.Redis) -> None:
        super().__init__(now_ms)
        self._client = client
        self.left = 4

    def observe(self, server_ms: int) -> int:
        if self.left:
            self.left -= 1
            self._client.execute_command("TS.INFO", TICK)
        return super().observe(server_ms)


def test_who_looks_at_the_settings_meanwhile_does_not_keep_a_copy_from_its_end(
    other: redis.Redis, store: Store, there: Store, clock: FakeClock
) -> None:
    store.write([Tick(NOW, 5.0)])
    there.rebuild()
    looked = Looked(clock.now_ms(), other)

    assert copy(store, Store(other, BTC_USD, clock=looked, where="there")).differing == 0
    store.write([Tick(NOW + 5_000, 9.0)])
    looked.left = 1000
    with pytest.raises(StoreError, match="others kept changing"):
        copy(store, Store(other, BTC_USD, clock=looked, where="there"), replace=True)


class Losing(redis.Redis):
    """A client that loses its connection when a transaction that deletes has been carried out, once."""

    lost = False

    def pipeline(self, *given: Any, **options: Any) -> Any:
        pipe = super().pipeline(*given, **options)
        carry_out = pipe.execute

        def execute(**how: Any) -> Any:
            writes = any(words[0] == "DEL" for words, _ in pipe.command_stack)
            replies = carry_out(**how)
            if writes and not self.lost:
                self.lost = True
                raise redis.ConnectionError("lost")
            return replies

        pipe.execute = execute
        return pipe


def test_a_copy_whose_answer_was_lost_is_recognised_when_it_is_tried_again(
    client: redis.Redis, other: redis.Redis, here: Store, clock: FakeClock
) -> None:
    losing = Losing(connection_pool=other.connection_pool)
    there = Store(losing, BTC_USD, clock=clock, where="there", patience=Patience(5))

    assert copy(here, there).differing == 0
    assert losing.lost
    assert everything(other) == everything(client)
