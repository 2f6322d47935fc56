"""`collect` while primaries die: writes follow, what was lost is healed, what waited on the disk is delivered once."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cli.conftest import Btcts, Done
from support.nodes import Node
from support.several import Sentinels, Several, wait_until


@pytest.fixture(params=["cluster", "sentinels"])
def several(request: pytest.FixtureRequest) -> Several:
    """Each kind of a Redis of several servers."""
    found: Several = request.getfixturevalue(request.param)
    return found


@contextmanager
def stopped(nodes: list[Node]) -> Iterator[None]:
    """Let these servers stand still."""
    for node in nodes:
        os.kill(node.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for node in nodes:
            os.kill(node.pid, signal.SIGCONT)


def collect(btcts: Btcts, several: Several) -> Done:
    """One cycle on simulated prices, whose candles reach back without limit."""
    return btcts("collect", "--once", "--provider", "simulated", "--format", "json", REDIS_URL=several.url)


def read_ticks(several: Several) -> dict[int, float]:
    """The ticks that the primary holds."""
    key = "btc:price:tick" if isinstance(several, Sentinels) else "{btc:price}:tick"
    return dict(several.primary().ask("TS.RANGE", key, "-", "+"))


def price_ms(done: Done) -> int:
    """When the price of a cycle was observed."""
    cycle = json.loads(done.out)
    observed: int = (cycle["stored"] or cycle["spooled"])["time_ms"]
    return observed


def test_what_the_dead_primary_had_not_passed_on_is_healed(several: Several, btcts: Btcts) -> None:
    first = collect(btcts, several)
    primary, replicas = several.primary(), several.replicas()
    primary.ask("WAIT", len(replicas), 5000)
    with stopped(replicas):
        primary.ask("CLIENT", "KILL", "TYPE", "replica")
        lost = collect(btcts, several)
        primary.kill()

    third = collect(btcts, several)

    assert [done.code for done in (first, lost, third)] == [0, 0, 0]
    ticks = read_ticks(several)
    assert {price_ms(first), price_ms(third)} <= ticks.keys()
    assert price_ms(lost) not in ticks
    assert btcts("verify", REDIS_URL=several.url).code == 0


def test_a_price_that_waits_for_a_failover_is_delivered_once(sentinels: Sentinels, btcts: Btcts) -> None:
    first = collect(btcts, sentinels)
    before = sentinels.primary()
    before.ask("WAIT", 2, 5000)
    for node in (*sentinels.watchers, before):
        node.kill()
    waiting = collect(btcts, sentinels)
    for watcher in sentinels.watchers:
        watcher.start()
    wait_until(lambda: sentinels.primary() is not before)

    third, fourth = collect(btcts, sentinels), collect(btcts, sentinels)

    assert [done.code for done in (first, waiting, third, fourth)] == [0, 3, 0, 0]
    assert json.loads(third.out)["unspooled"] == 1
    assert json.loads(fourth.out)["unspooled"] == 0
    ticks = read_ticks(sentinels)
    assert {price_ms(done) for done in (first, waiting, third, fourth)} <= ticks.keys()
    assert btcts("verify", REDIS_URL=sentinels.url).code == 0
