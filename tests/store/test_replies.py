"""A server that answers one command as no Redis does: a line about it, never an error of Python."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from redis.connection import UnixDomainSocketConnection

from btcts.config import BTC_USD
from btcts.domain.model import Span, Tick
from btcts.errors import StoreError
from btcts.store import State, Store
from support.clocks import FakeClock
from support.series import HOUR, NOW
from support.servers import Server, connect

USES: dict[str, Callable[[Store], object]] = {
    "latest": Store.latest,
    "clock": Store.read_clock,
    "ticks": lambda store: store.ticks(Span(0, NOW)),
    "buckets": Store.buckets,
    "snapshot": Store.snapshot,
    "inspect": Store.inspect,
    "unsettled minutes": lambda store: store.inspect([NOW - HOUR]),
    "audit": lambda store: store.audit(store.inspect()),
    "facts": Store.facts,
    "contents": Store.contents,
    "excess": Store.excess,
    "state": Store.state,
    "gaps": Store.gaps,
    "append": lambda store: store.write([Tick(NOW, 5)]),
    "merge": lambda store: store.write([Tick(NOW - HOUR, 5)]),
    "rebuild": Store.rebuild,
    "remember": lambda store: store.remember(State(cadence_s=10)),
}

words = st.none() | st.integers() | st.floats() | st.text(max_size=3) | st.sampled_from(["inf", "busy", "OK"])
lies = st.recursive(
    words,
    lambda parts: st.lists(parts, max_size=4) | st.dictionaries(st.text(max_size=3), parts, max_size=3),
    max_leaves=6,
)


class Lying(UnixDomainSocketConnection):
    """Gives another reply than the one that comes after `honest` others."""

    honest = -1
    lie: Any = None

    def read_response(self, *arguments: Any, **options: Any) -> Any:
        """Return the reply to a command, or the lie in its place."""
        reply = super().read_response(*arguments, **options)
        Lying.honest -= 1
        if Lying.honest != -1:
            return reply
        if isinstance(Lying.lie, Exception):
            raise Lying.lie
        return Lying.lie


@pytest.fixture
def lying(server: Server, client: redis.Redis) -> Iterator[Store]:
    """A store with two ticks, and a connection that can lie."""
    with connect(server.socket) as own:
        own.connection_pool.connection_class = Lying
        own.connection_pool.disconnect()
        store = Store(own, BTC_USD, clock=FakeClock(NOW), where="redis.example:6379")
        store.write([Tick(NOW - 2 * HOUR, 1), Tick(NOW - 1, 2)])
        assert client.exists("btc:price:tick")
        yield store
        Lying.honest = -1


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(honest=st.integers(0, 25), lie=lies)
@example(honest=0, lie={"a": 1})
@example(honest=0, lie=redis.exceptions.NoScriptError("No matching script"))
@example(honest=0, lie=["inf", "0"])
def test_whatever_is_replied_ends_in_a_result_or_in_one_line(
    lying: Store, use: Callable[[Store], object], honest: int, lie: object
) -> None:
    Lying.honest, Lying.lie = honest, lie

    with suppress(StoreError):
        use(lying)
