"""A served store in a real Redis."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import redis

from btcts.config import BTC_USD
from btcts.store import Store
from support.series import FIRST_OF_WINDOW, NOW, wave
from web.serving import BeatClock, Site, serving

ServeStore = Callable[..., Site]


@pytest.fixture
def clock() -> BeatClock:
    """A clock that stands until the test lets it go on."""
    return BeatClock(NOW)


@pytest.fixture
def held(client: redis.Redis, clock: BeatClock) -> Store:
    """A store with a whole window of ticks, two in each minute."""
    store = Store(client, BTC_USD, clock=clock, where="test")
    store.write(wave(FIRST_OF_WINDOW, NOW, 30_000))
    return store


@pytest.fixture
def serve_store(clock: BeatClock) -> Iterator[ServeStore]:
    """Serve a store until the test ends."""
    with ExitStack() as stack:

        def start(store: Store, **options: Any) -> Site:
            return stack.enter_context(serving(store, clock, **options))

        yield start


@pytest.fixture
def site(serve_store: ServeStore, held: Store) -> Site:
    """The store of the test, served."""
    return serve_store(held)
