"""A slot that moves takes the rules with it into nothing: writes notice it, readers tell of it."""

import threading

import pytest

from btcts.domain.codes import FaultCode
from btcts.domain.model import Span, Tick
from btcts.errors import StoreUnreachable
from btcts.store import Store
from store.conftest import TICKS, Open, hasten
from support.series import MINUTE, NOW
from support.several import Cluster


@pytest.fixture
def moved(cluster: Cluster, open_url: Open) -> Store:
    """A store whose slot has moved to another primary."""
    store = open_url(cluster.url)
    store.write(TICKS)
    for _ in cluster.move_slot(at_once=True):
        pass
    return store


def test_an_append_notices_that_the_rules_are_gone_and_makes_them_anew(moved: Store) -> None:
    assert {fault.code for fault in moved.inspect().faults} == {FaultCode.NO_RULE}

    written = moved.write([Tick(NOW, 60_000.5)])

    assert written.rebuilt
    assert moved.inspect().faults == ()
    assert moved.slots("5min")[-1].close == 60_000.5


def test_readers_say_that_compactions_stand_still(moved: Store) -> None:
    assert moved.snapshot().halted
    assert moved.snapshot("minute").halted
    assert not moved.snapshot(at_ms=NOW - 10 * MINUTE).halted

    moved.repair(moved.inspect())

    assert not moved.snapshot().halted


def test_nothing_is_written_into_half_a_slot(cluster: Cluster, open_url: Open) -> None:
    writer = open_url(cluster.url)
    writer.write(TICKS)
    hasten(writer)
    outcomes = []

    for step, _ in enumerate(cluster.move_slot()):
        try:
            writer.write([Tick(NOW + step, 60_000 + step)])
            outcomes.append("written")
        except StoreUnreachable:
            outcomes.append("moving")

    assert outcomes == ["written", *["moving"] * (len(outcomes) - 1)]
    assert writer.write([Tick(NOW + 99, 61_000)]).rebuilt
    assert [tick for tick in writer.ticks(Span(NOW, NOW + 100))] == [Tick(NOW, 60_000), Tick(NOW + 99, 61_000)]


def test_a_write_waits_until_a_slot_has_moved(cluster: Cluster, open_url: Open) -> None:
    store = open_url(cluster.url)
    store.write(TICKS)
    steps = cluster.move_slot()
    for _ in range(3):
        next(steps)
    mover = threading.Timer(0.3, lambda: [None for _ in steps])
    mover.start()

    written = store.write([Tick(NOW, 60_000.5)])

    mover.join()
    assert written.rebuilt
    assert store.latest() == Tick(NOW, 60_000.5)
    assert store.inspect().faults == ()
