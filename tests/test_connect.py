"""From the settings to a store."""

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from btcts.config import BTC_USD, Settings, load
from btcts.connect import connect, find_spool_folders, open_embedded_store, open_streams
from btcts.domain.clock import ServerClock
from btcts.domain.model import Tick
from btcts.embedded import Embedded
from btcts.errors import EmbeddedError, StoreUnreachable
from btcts.providers import DEFAULTS, default_endpoints, open_providers
from btcts.providers.poller import Poller
from btcts.services.collect.collector import Collector
from btcts.services.collect.spool import Held, Spool
from support.clocks import FakeClock
from support.networks import CERTIFICATE, TlsServer, black_hole, dialer_of
from support.redis_binaries import binaries
from support.series import NOW
from support.servers import StartServer, free_port
from support.wording import Wording

wording = Wording(__file__)


@pytest.fixture
def embedded() -> Iterator[Embedded]:
    """An embedded Redis in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="btcts-") as folder:
        server = Embedded(Path(folder), redis_server=binaries().server)
        yield server
        server.stop()


@pytest.fixture
def hung(embedded: Embedded) -> Iterator[Embedded]:
    """The same, with a server that lives and does not answer."""
    embedded.ensure(print)
    pid = embedded.status().pid
    assert pid
    os.kill(pid, signal.SIGSTOP)
    yield embedded
    os.kill(pid, signal.SIGCONT)


def settings(folder: Path, **environ: str) -> Settings:
    """The settings of an environment, without any file."""
    return load(endpoints=default_endpoints(), environ={"BTCTS_DATA_DIR": str(folder), **environ}, cwd=folder)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("redis://localhost:6390", "redis://127.0.0.1:6390"),
        ("redis://127.0.0.1:6390", "redis://LOCALHOST:6390/0"),
        ("redis://[::1]:6390/0", "redis://user:other@localhost:6390"),
        ("redis://cache.example:6390", "rediss://CACHE.example:6390"),
        ("unix:///nowhere/redis.sock", "unix:///nowhere/../nowhere/redis.sock"),
        ("redis+sentinel://h1,h2/main", "rediss+sentinel://h3,h2:26379,h1/main/0"),
        ("redis+cluster://h1:7000,h2", "redis+cluster://h2,h1:7000"),
    ],
)
def test_a_price_that_waits_is_found_by_every_spelling_of_its_redis(tmp_path: Path, before: str, now: str) -> None:
    Spool(*find_spool_folders(settings(tmp_path, REDIS_URL=before))).keep(Tick(NOW, 60_000.5))

    found = Spool(*find_spool_folders(settings(tmp_path, REDIS_URL=now))).read(NOW)

    assert found.ticks == (Tick(NOW, 60_000.5),)


@pytest.mark.parametrize(
    "another", ["redis://localhost:6391", "redis://localhost:6390/1", "redis://example:6390", None]
)
def test_a_price_that_waits_is_for_no_other_redis(tmp_path: Path, another: str | None) -> None:
    Spool(*find_spool_folders(settings(tmp_path, REDIS_URL="redis://localhost:6390"))).keep(Tick(NOW, 60_000.5))

    named = {"REDIS_URL": another} if another else {}
    assert Spool(*find_spool_folders(settings(tmp_path, **named))).read(NOW) == Held()


def test_what_an_earlier_version_left_without_the_name_of_a_redis_is_found(tmp_path: Path) -> None:
    Spool(tmp_path / "spool").keep(Tick(NOW, 60_000.5))
    real = settings(tmp_path, REDIS_URL="redis://localhost:6390")
    simulated = settings(tmp_path, REDIS_URL="redis://localhost:6390", BTCTS_COLLECT_PROVIDERS="simulated")

    assert Spool(*find_spool_folders(real)).count() == 1
    assert Spool(*find_spool_folders(simulated)).count() == 0


def test_what_waits_for_the_embedded_redis_is_for_no_other(tmp_path: Path) -> None:
    Spool(*find_spool_folders(settings(tmp_path))).keep(Tick(NOW, 60_000.5))
    (tmp_path / "db").mkdir()

    assert Spool(*find_spool_folders(settings(tmp_path, REDIS_URL="redis://localhost:6390"))).count() == 0
    assert Spool(*find_spool_folders(settings(tmp_path))).count() == 1


def killed(embedded: Embedded) -> None:
    """Kill the server, and wait until its lock is free."""
    pid = embedded.status().pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    while embedded.status().pid:
        pass


def test_a_killed_embedded_redis_lives_again_with_the_next_command(embedded: Embedded) -> None:
    embedded.ensure(print)

    with open_embedded_store(embedded, BTC_USD, clock=ServerClock(), say=print) as store:
        store.rebuild()
        killed(embedded)

        assert store.latest() is None

    assert embedded.status().running


def test_a_closed_store_has_no_connection(embedded: Embedded) -> None:
    store = open_embedded_store(embedded, BTC_USD, clock=ServerClock(), say=print)
    pool = store._link.client.connection_pool

    store.inspect()
    before = [connection.is_connected for connection in pool._available_connections]
    store.close()

    assert before == [True]
    assert not any(connection.is_connected for connection in pool._available_connections)


def test_a_reader_does_not_revive_it(embedded: Embedded) -> None:
    embedded.ensure(print)

    with open_embedded_store(embedded, BTC_USD, clock=ServerClock()) as store:
        assert store.latest() is None
        killed(embedded)

        with pytest.raises(StoreUnreachable, match="the embedded Redis"):
            store.latest()

    assert not embedded.status().running


def test_a_redis_that_was_stopped_by_hand_stays_stopped(embedded: Embedded) -> None:
    embedded.ensure(print)

    with open_embedded_store(embedded, BTC_USD, clock=ServerClock(), say=print) as store:
        store.rebuild()
        embedded.stop()

        with pytest.raises(EmbeddedError, match="btcts server start"):
            store.latest()


def test_a_reader_neither_starts_nor_creates_an_embedded_redis(tmp_path: Path) -> None:
    folder = tmp_path / "data"

    with pytest.raises(EmbeddedError, match="btcts collect --once"):
        connect(settings(folder), clock=ServerClock(), starts_embedded=False, say=print)

    assert not folder.exists()


def test_a_reader_of_one_that_was_stopped_is_told_how_to_start_it(embedded: Embedded) -> None:
    embedded.ensure(print)
    embedded.stop()
    own = settings(embedded.socket.parent)

    with pytest.raises(EmbeddedError, match="btcts server start"):
        connect(own, clock=ServerClock(), starts_embedded=False, say=print)


def test_a_reader_of_one_that_does_not_answer_is_told_which_process_it_is(hung: Embedded) -> None:
    folder, pid = hung.socket.parent, hung.status().pid

    with pytest.raises(EmbeddedError, match=rf" {pid} .* {folder}/redis\.log"):
        connect(settings(folder), clock=ServerClock(), starts_embedded=False, say=print)


@pytest.mark.parametrize("state", ["hung", "stopped"])
def test_a_writer_meets_one_that_is_stopped_or_hung_at_its_first_use_alone(
    state: str, embedded: Embedded, request: pytest.FixtureRequest
) -> None:
    embedded.ensure(print)
    if state == "hung":
        request.getfixturevalue("hung")
    else:
        embedded.stop()

    connect(settings(embedded.socket.parent), clock=ServerClock(), starts_embedded=True, say=print).close()


def test_a_price_of_a_collector_whose_embedded_redis_hangs_waits_on_the_disk(hung: Embedded, tmp_path: Path) -> None:
    hasty, clock, spool = Embedded(hung.socket.parent, patience_s=0.02), ServerClock(), Spool(tmp_path / "spool")
    with (
        open_embedded_store(hasty, BTC_USD, clock=clock, say=print) as store,
        open_providers(["simulated"], DEFAULTS, market=BTC_USD, clock=clock) as providers,
        Poller(providers) as poller,
    ):
        cycle = Collector(store, poller, cadence_s=10, spool=spool).cycle()

    assert spool.count() == 1
    assert cycle.spooled
    assert f"process {hung.status().pid} has" in (cycle.problem or "")


def test_a_writer_is_refused_at_once_where_no_server_can_be_found(tmp_path: Path) -> None:
    own = settings(tmp_path / "data", BTCTS_REDIS_SERVER=str(tmp_path / "nothing"))

    with pytest.raises(EmbeddedError, match=f"{tmp_path}/nothing"):
        connect(own, clock=ServerClock(), starts_embedded=True, say=print)


def test_a_writer_starts_it_at_its_first_use_and_says_so(embedded: Embedded) -> None:
    said: list[str] = []
    own = settings(embedded.socket.parent, BTCTS_REDIS_SERVER=str(binaries().server))

    with connect(own, clock=ServerClock(), starts_embedded=True, say=said.append) as store:
        before = embedded.status().running
        store.rebuild()

    assert (before, embedded.status().running) == (False, True)
    (line,) = said
    assert str(binaries().server) in line


@pytest.mark.parametrize("password", ["two words", "schlüssel", '"quoted"'])
def test_a_named_redis_is_used_with_its_password_and_database(
    password: str, start_server: StartServer, tmp_path: Path
) -> None:
    server = start_server("--requirepass", password)
    named = settings(tmp_path, REDIS_URL=f"unix://{server.socket}", REDIS_PASSWORD=password, REDIS_DB="3")

    with connect(named, clock=ServerClock(), starts_embedded=True, say=print) as store:
        store.rebuild()

        assert store.inspect().faults == ()


def test_a_redis_with_an_address_that_swallows_connections_is_reached(
    start_server: StartServer, tmp_path: Path
) -> None:
    place = "127.0.0.1", free_port()
    start_server("--port", str(place[1]))
    named = settings(tmp_path, REDIS_HOST="redis.test")

    with (
        black_hole() as hole,
        connect(
            named, clock=ServerClock(), starts_embedded=True, say=print, dialer=dialer_of({"redis.test": [hole, place]})
        ) as store,
    ):
        store.rebuild()

        assert store.inspect().faults == ()


def test_the_same_over_tls(start_server: StartServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = "127.0.0.1", free_port()
    start_server("--port", str(place[1]))
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    named = settings(tmp_path, REDIS_URL="rediss://redis.test")

    with (
        black_hole() as hole,
        TlsServer(place) as tls,
        connect(
            named,
            clock=ServerClock(),
            starts_embedded=True,
            say=print,
            dialer=dialer_of({"redis.test": [hole, tls.place]}),
        ) as store,
    ):
        store.rebuild()

        assert store.inspect().faults == ()


def test_a_redis_whose_name_is_not_known_says_so(tmp_path: Path) -> None:
    named = settings(tmp_path, REDIS_HOST="redis.test")

    with (
        connect(named, clock=ServerClock(), starts_embedded=True, say=print, dialer=dialer_of({})) as store,
        pytest.raises(StoreUnreachable) as refused,
    ):
        store.latest()

    wording.check("an unknown name", str(refused.value))


@pytest.mark.parametrize(
    ("environ", "names"),
    [
        ({}, ("coinbase", "kraken", "bitstamp", "bitfinex", "gemini")),
        ({"BTCTS_COLLECT_PROVIDERS": "gemini,coinmarketcap"}, ("gemini",)),
        ({"BTCTS_COLLECT_PROVIDERS": "coinmarketcap"}, None),
        ({"BTCTS_COLLECT_PROVIDERS": "simulated"}, None),
        ({"BTCTS_COLLECT_STREAMS": "off"}, None),
        ({"BTCTS_COLLECT_PROVIDERS": "kraken", "BTCTS_PROVIDERS_KRAKEN_URL": "https://mirror.invalid"}, None),
    ],
)
def test_the_chosen_providers_have_streams(
    tmp_path: Path, environ: dict[str, str], names: tuple[str, ...] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = {f"BTCTS_PROVIDERS_{name.upper()}_STREAM_URL": "ws://127.0.0.1:1" for name in names or ()}

    with open_streams(settings(tmp_path, **nowhere, **environ), clock=FakeClock(NOW)) as streams:
        found = streams and streams.names

    assert found == names
