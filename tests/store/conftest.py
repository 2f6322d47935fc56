"""A Redis that fakeredis plays where it can, and the real one too."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis
from fakeredis import FakeServer

from btcts.config import load
from btcts.connect import connect as connect_store
from btcts.providers import default_endpoints
from btcts.store import Store
from support.clocks import FakeClock
from support.fake_redis import connect_fake
from support.series import FIRST_OF_WINDOW, HOUR, MINUTE, NOW, wave
from support.servers import connect
from support.several import Several

Open = Callable[..., Store]

TICKS = wave(FIRST_OF_WINDOW, NOW, MINUTE)


@pytest.fixture
def open_url(tmp_path: Path, clock: FakeClock) -> Iterator[Open]:
    """Open the store at a URL, for writing unless told otherwise."""
    with ExitStack() as stack:

        def opened(url: str, *, writes: bool = True, **environ: str) -> Store:
            folder = {"BTCTS_DATA_DIR": str(tmp_path)}
            settings = load(
                endpoints=default_endpoints(), environ={**folder, "REDIS_URL": url, **environ}, cwd=tmp_path
            )
            return stack.enter_context(connect_store(settings, clock=clock, starts_embedded=writes, say=print))

        yield opened


@pytest.fixture(params=["cluster", "sentinels"])
def several(request: pytest.FixtureRequest) -> Several:
    """Each kind of a Redis of several servers."""
    found: Several = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def filled(store: Store) -> Store:
    """A store with three hours of ticks."""
    store.write(wave(NOW - 3 * HOUR, NOW, 30_000))
    return store


def hasten(store: Store) -> None:
    """Let the store wait for next to nothing."""
    store._link.patience.limit_s = 0.01


@pytest.fixture(params=["fakeredis", pytest.param("redis-server", marks=pytest.mark.server)])
def either_client(request: pytest.FixtureRequest) -> Iterator[redis.Redis]:
    """A client of an empty Redis, once of fakeredis and once of a redis-server."""
    if request.param == "fakeredis":
        with connect_fake(FakeServer()) as client:
            yield client
        return
    with connect(request.getfixturevalue("server").socket) as client:
        client.flushall()
        yield client
