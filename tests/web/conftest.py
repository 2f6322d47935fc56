"""A served store in a real Redis."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from btcts.store import Store
from support.series import NOW
from web.serving import BeatClock, Site, serving

ServeStore = Callable[..., Site]


@pytest.fixture
def clock() -> BeatClock:
    """A clock that stands until the test lets it go on."""
    return BeatClock(NOW)


@pytest.fixture
def serve_store(clock: BeatClock) -> Iterator[ServeStore]:
    """Serve a store until the test ends."""
    with ExitStack() as stack:

        def start(store: Store, **options: Any) -> Site:
            return stack.enter_context(serving(store, clock, **options))

        yield start


@pytest.fixture
def site(serve_store: ServeStore, full: Store) -> Site:
    """The store of the test, served."""
    return serve_store(full)
