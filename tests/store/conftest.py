"""A Redis that fakeredis plays where it can, and the real one too."""

from collections.abc import Iterator

import pytest
import redis
from fakeredis import FakeServer

from support.fake_redis import connect_fake
from support.servers import connect


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
