"""From the settings to a store."""

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from btcts.clock import ServerClock
from btcts.config import Settings, load
from btcts.connect import connect, embedded_store, endpoints
from btcts.embedded import Embedded
from btcts.errors import EmbeddedError, StoreUnreachable
from redis_binaries import binaries
from servers import StartServer


@pytest.fixture
def embedded() -> Iterator[Embedded]:
    """An embedded Redis in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="btcts-") as folder:
        server = Embedded(Path(folder), redis_server=binaries().server)
        yield server
        server.stop()


def settings(folder: Path, **environ: str) -> Settings:
    """The settings of an environment, without any file."""
    return load(endpoints=endpoints(), environ={"BTCTS_DATA_DIR": str(folder), **environ}, cwd=folder)


def killed(embedded: Embedded) -> None:
    """Kill the server, and wait until its lock is free."""
    pid = embedded.status().pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    while embedded.status().pid:
        pass


def test_a_killed_embedded_redis_lives_again_with_the_next_command(embedded: Embedded) -> None:
    embedded.ensure(print)

    with embedded_store(embedded, clock=ServerClock(), say=print) as store:
        store.rebuild()
        killed(embedded)

        assert store.latest() is None

    assert embedded.status().running


def test_a_reader_does_not_revive_it(embedded: Embedded) -> None:
    embedded.ensure(print)

    with embedded_store(embedded, clock=ServerClock()) as store:
        assert store.latest() is None
        killed(embedded)

        with pytest.raises(StoreUnreachable, match="the embedded Redis"):
            store.latest()

    assert not embedded.status().running


def test_a_redis_that_was_stopped_by_hand_stays_stopped(embedded: Embedded) -> None:
    embedded.ensure(print)

    with embedded_store(embedded, clock=ServerClock(), say=print) as store:
        store.rebuild()
        embedded.stop()

        with pytest.raises(EmbeddedError, match="btcts server start"):
            store.latest()


def test_a_reader_neither_starts_nor_creates_an_embedded_redis(tmp_path: Path) -> None:
    folder = tmp_path / "data"

    with pytest.raises(EmbeddedError, match="btcts collect --once"):
        connect(settings(folder), clock=ServerClock(), writes=False, say=print)

    assert not folder.exists()


def test_a_reader_of_one_that_was_stopped_is_told_how_to_start_it(embedded: Embedded) -> None:
    embedded.ensure(print)
    embedded.stop()
    own = settings(embedded.socket.parent)

    with pytest.raises(EmbeddedError, match="run btcts server start"):
        connect(own, clock=ServerClock(), writes=False, say=print)


def test_a_named_redis_is_used_with_its_password_and_database(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server("--requirepass", "two words")
    named = settings(tmp_path, REDIS_URL=f"unix://{server.socket}", REDIS_PASSWORD="two words", REDIS_DB="3")

    with connect(named, clock=ServerClock(), writes=True, say=print) as store:
        store.rebuild()

        assert store.inspect().faults == ()
