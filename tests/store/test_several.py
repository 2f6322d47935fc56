"""Stores in a Redis of several servers: failovers lose nothing that was acknowledged and passed on."""

import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from redis._parsers.base import BaseParser

from btcts.config import BTC_USD, load
from btcts.connect import connect
from btcts.domain.model import Candle, Tick
from btcts.errors import ConfigError, StoreError, StoreUnreachable
from btcts.providers import default_endpoints
from btcts.services.copy import copy
from btcts.store import Lag, Store, rebuild
from btcts.store.link import Patience
from store.conftest import TICKS, Open, hasten
from support.clocks import FakeClock
from support.nodes import Watcher
from support.series import HOUR, MINUTE, NOW
from support.servers import free_port
from support.several import Cluster, Sentinels, Several, wait_until


def hourly(store: Store) -> dict[int, float]:
    """The hours' closing prices, by start."""
    return {slot.start_ms: slot.close for slot in store.slots("hour") if slot.close is not None}


def write_ticks(store: Store, several: Several) -> None:
    """Write the ticks, and wait until a replica has them: what it lacks is lost with the primary."""
    store.write(TICKS)
    several.primary().ask("WAIT", 1, 5000)


def test_a_store_does_everything_there(several: Several, open_url: Open) -> None:
    store = open_url(several.url)
    store.write(TICKS)
    store.write([Tick(NOW, 60_000.5)], [Candle(NOW // MINUTE * MINUTE - MINUTE, 1, 3, 1, 2)])

    assert store.latest() == Tick(NOW, 60_000.5)
    assert store.inspect().faults == ()
    assert len(store.slots("5min")) == 13
    assert store.buckets("hour")["hour"]["close"]
    assert store.excess() == store.find_unknown_keys() == ()
    assert store.settled([NOW // MINUTE * MINUTE - MINUTE])
    assert store.facts().redis_version
    assert store.facts().database == 0
    assert store.rebuild().ticks == len(TICKS) + 4


def test_a_write_after_the_death_of_the_primary_goes_to_the_next(several: Several, open_url: Open) -> None:
    store = open_url(several.url)
    write_ticks(store, several)
    before = hourly(store)
    several.kill_primary()

    store.write([Tick(NOW, 60_000.5)])

    assert store.latest() == Tick(NOW, 60_000.5)
    assert store.inspect().faults == ()
    assert hourly(store) == before | {NOW // HOUR * HOUR: 60_000.5}


def test_a_rebuild_in_the_middle_of_which_the_primary_dies_is_done_by_the_next(
    several: Several, open_url: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_url(several.url)
    write_ticks(store, several)
    kills = [several.kill_primary]
    found = rebuild._find

    def find(*arguments: object) -> object:
        if kills:
            kills.pop()()
        return found(*arguments)  # type: ignore[arg-type]

    # Between its reading and its writing; a server cannot be told to die there.
    monkeypatch.setattr(rebuild, "_find", find)

    rebuilt = store.rebuild(live=[Tick(NOW, 60_000.5)])

    assert rebuilt.ticks == len(TICKS) + 1
    assert store.inspect().faults == ()


def test_who_must_not_wait_fails_at_once_and_names_the_primary(several: Several, open_url: Open) -> None:
    store = open_url(several.url)
    store.write(TICKS)
    primary = several.kill_primary()

    with store.without_waiting(), pytest.raises(StoreUnreachable, match=f" 127.0.0.1:{primary.port} "):
        store.write([Tick(NOW, 60_000.5)])


def test_a_primary_that_was_demoted_is_left(sentinels: Sentinels, open_url: Open) -> None:
    store = open_url(sentinels.url)
    write_ticks(store, sentinels)
    before = sentinels.primary()
    sentinels.fail_over()
    wait_until(lambda: sentinels.primary() is not before and before.say("replication")["role"] == "slave")

    store.write([Tick(NOW, 60_000.5)])

    assert sentinels.primary().ask("TS.GET", "btc:price:tick")[0] == NOW


def test_a_failover_by_hand_is_followed(cluster: Cluster, open_url: Open) -> None:
    store = open_url(cluster.url)
    store.write(TICKS)
    before, after = cluster.primary(), cluster.replicas()[0]
    after.ask("CLUSTER", "FAILOVER")
    wait_until(lambda: cluster.primary() is after and before.say("replication")["role"] == "slave")

    store.write([Tick(NOW, 60_000.5)])

    assert after.ask("TS.GET", "{btc:price}:tick")[0] == NOW


def test_a_write_waits_for_replicas_that_the_primary_wants(sentinels: Sentinels, open_url: Open) -> None:
    store = open_url(sentinels.url)
    store.write(TICKS)
    primary = sentinels.primary()
    primary.ask("CONFIG", "SET", "min-replicas-to-write", 3)
    given_up = threading.Timer(0.3, primary.ask, ("CONFIG", "SET", "min-replicas-to-write", 0))
    given_up.start()

    store.write([Tick(NOW, 60_000.5)])

    given_up.join()
    assert store.latest() == Tick(NOW, 60_000.5)


@pytest.mark.parametrize(
    ("reply", "passes"),
    [
        ("ASK 1 h:1", True),
        ("CLUSTERDOWN Hash slot not served", True),
        ("LOADING Redis is loading the dataset in memory", True),
        ("MASTERDOWN Link with MASTER is down", True),
        ("MOVED 1 h:1", True),
        ("READONLY You can't write against a read only replica. script: 1, on @user_script:1.", True),
        ("TRYAGAIN Multiple keys request during rehashing of slot", True),
        ("NOAUTH Authentication required.", False),
        ("WRONGPASS invalid username-password pair or user is disabled.", False),
        ("NOPERM User x has no permissions", False),
        ("OOM command not allowed", False),
        ("ERR unknown command", False),
    ],
)
def test_what_is_over_in_a_moment_is_waited_for(reply: str, passes: bool) -> None:
    failure = BaseParser.parse_error(reply)

    assert Patience(1).covers(failure) is passes
    assert not Patience().covers(failure)


# Who knows where Redis is


def test_a_sentinel_that_is_dead_is_passed_over(sentinels: Sentinels, open_url: Open) -> None:
    sentinels.watchers[0].kill()
    store = open_url(sentinels.url)

    store.write(TICKS)

    assert store.latest() == TICKS[-1]


@pytest.fixture
def lost_sentinel() -> Iterator[Watcher]:
    """A Sentinel that is alone, and names a primary that is gone."""
    with tempfile.TemporaryDirectory(prefix="btcts-") as folder:
        lost = Watcher(Path(folder, "lost"), 4, tls=False)
        lost.write(free_port(), [], [])
        lost.start()
        yield lost
        lost.kill()


def test_who_names_a_server_that_is_gone_is_not_asked_again_at_once(
    sentinels: Sentinels, lost_sentinel: Watcher, open_url: Open
) -> None:
    store = open_url(sentinels.url.replace("://", f"://127.0.0.1:{lost_sentinel.port},"))

    store.write(TICKS)

    assert store.latest() == TICKS[-1]


def test_the_login_of_sentinels_is_their_own(sentinels: Sentinels, open_url: Open) -> None:
    for watcher in sentinels.watchers:
        watcher.ask("ACL", "SETUSER", "default", "resetpass", ">own")
    try:
        with pytest.raises(StoreUnreachable, match="REDIS_SENTINEL_PASSWORD"):
            open_url(sentinels.url).latest()
        assert open_url(f"{sentinels.url}?sentinel_password=own").latest() is None
    finally:
        for watcher in sentinels.watchers:
            with redis.Redis(unix_socket_path=str(watcher.socket), password="own") as client:
                client.execute_command("ACL", "SETUSER", "default", "nopass")


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ("redis+sentinel://127.0.0.1:{sentinel}/other", "does not watch 'other'"),
        ("redis+sentinel://127.0.0.1:{server}/main", "is no Sentinel"),
        ("redis+cluster://127.0.0.1:{server}", "is no node of a cluster"),
        ("redis+cluster://127.0.0.1:{sentinel}", "is no node of a cluster"),
        ("redis+sentinel://127.0.0.1:{nobody}/main", "no Sentinel answers"),
        ("redis+cluster://127.0.0.1:{nobody},127.0.0.1:{nobody}", "no Redis answers"),
    ],
)
def test_who_leads_nowhere_is_named(sentinels: Sentinels, open_url: Open, form: str, words: str) -> None:
    ports = {"sentinel": sentinels.watchers[0].port, "server": sentinels.servers[0].port, "nobody": free_port()}

    with pytest.raises(StoreError, match=words):
        open_url(form.format(**ports)).latest()


def test_keys_without_a_hash_tag_are_refused_in_a_cluster(tmp_path: Path) -> None:
    environ = {"BTCTS_DATA_DIR": str(tmp_path), "REDIS_URL": "redis+cluster://127.0.0.1:1"}
    settings = load(endpoints=default_endpoints(), environ=environ, cwd=tmp_path)

    with pytest.raises(ConfigError, match="btc:price"):
        connect(settings._replace(market=BTC_USD), clock=FakeClock(NOW), starts_embedded=True, say=print)


# Replicas


def test_a_replica_is_read_and_says_how_far_it_is_behind(several: Several, open_url: Open) -> None:
    store = open_url(several.url)
    write_ticks(store, several)
    reader = open_url(several.url, writes=False, BTCTS_REDIS_REPLICA="1")

    lag = reader.facts().lag

    assert hourly(reader) == hourly(store)
    assert lag is not None
    assert lag.linked
    assert lag.behind_s <= 3
    assert store.facts().lag is None
    hasten(reader)
    with pytest.raises(StoreError):
        reader.rebuild()


def test_a_replica_without_its_primary_says_so(sentinels: Sentinels, open_url: Open) -> None:
    reader = open_url(sentinels.url, writes=False, BTCTS_REDIS_REPLICA="1")
    reader.latest()
    primary = sentinels.primary()
    for watcher in sentinels.watchers:
        os.kill(watcher.pid, signal.SIGSTOP)
    try:
        primary.kill()
        wait_until(lambda: reader.facts().lag == Lag(1, linked=False))
    finally:
        for watcher in sentinels.watchers:
            os.kill(watcher.pid, signal.SIGCONT)


def test_who_writes_refuses_a_replica(open_url: Open) -> None:
    with pytest.raises(ConfigError, match="BTCTS_REDIS_REPLICA"):
        open_url("redis+sentinel://127.0.0.1:1/main", BTCTS_REDIS_REPLICA="1")


def test_a_market_is_copied_there_and_back_to_the_last_sample(
    several: Several, open_url: Open, full: Store, client: redis.Redis
) -> None:
    there = open_url(several.url)
    before = full.contents()

    first, second = copy(full, there), copy(full, there)
    client.flushall()
    back = copy(open_url(several.url), full)

    assert [(copied.code, copied.differing) for copied in (first, second, back)] == [
        *(("copied", 0), ("unchanged", 0), ("copied", 0))
    ]
    assert there.inspect().faults == full.inspect().faults == ()
    assert (full.contents(), full.contents().newest) == (before, before.newest)


def test_a_node_of_it_or_a_replica_is_no_target_of_a_copy(sentinels: Sentinels, open_url: Open) -> None:
    here = open_url(sentinels.url)
    here.write(TICKS)

    for node in sentinels.servers:
        there = open_url(f"unix://{node.socket}")
        with pytest.raises(ConfigError, match=f"^{there.where} .* replica "):
            copy(here, there, replace=True)


def test_a_copy_goes_on_when_the_primary_of_the_target_changes(several: Several, open_url: Open, full: Store) -> None:
    there = open_url(several.url)
    assert there.latest() is None
    several.kill_primary()

    assert copy(full, there).differing == 0
