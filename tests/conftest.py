"""Fixtures of all tests that need Redis: a real server per test process, emptied for each test."""

import gc
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import hypothesis
import pytest
import redis

from btcts.config import BTC_USD
from btcts.store import Store
from btcts.system import foreign
from support import leaks
from support.backups import Backups, FillOnce
from support.clocks import FakeClock
from support.commands import ForkServer
from support.redis_binaries import GUARD, find_obstacle
from support.samples import ALL, CHOSEN, VARIABLE
from support.series import FIRST_OF_WINDOW, NOW, wave
from support.servers import Server, StartServer, connect
from support.several import Cluster, Sentinels

# Where bytecode is not kept every command that the tests start would compile btcts anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# No example is timed. In CI the examples are the same each time; elsewhere new ones are looked for. Where all samples
# are played, three times as many are tried.
hypothesis.settings.register_profile(
    "btcts",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    derandomize="CI" in os.environ,
    max_examples=100 if ALL else 30,
)
hypothesis.settings.load_profile("btcts")

# Who starts the tests by nohup or in the background makes them ignore what the commands under test are to be sent.
for each in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(each) is signal.SIG_IGN:
        signal.signal(each, signal.default_int_handler)

leaks.start_recording()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Use two processes for each core: tests wait for servers and commands for a third of their time."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 2 * cores


def pytest_report_header() -> str:
    """Say how to repeat the sample that the tests take."""
    return f"sample: {VARIABLE}={CHOSEN}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say it where the header is not shown, as under -q, with how much of what was played."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    counts: Counter[str] = Counter()
    for report in reports:
        if getattr(report, "when", "") == "call":
            counts.update(dict(report.user_properties))
    played = "".join(f", {count} {name}" for name, count in counts.items())
    terminalreporter.write_line(f"sample: {VARIABLE}={CHOSEN}{played}")


NOW_MS = NOW
"""Where the clock of a test stands at first."""


SERVER_FIXTURES = {
    *("server", "start_server", "embedded", "another_server", "sentinel", "stage", "world"),
    *("several", "sentinels", "cluster"),
}
"""The fixtures that start a redis-server or hand one out; who has any of them needs one."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need a redis-server."""
    for item in items:
        if item.get_closest_marker("deploy") or not SERVER_FIXTURES.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker("server")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Stop before the first test where no redis-server can be had for those that need one."""
    gc.freeze()  # thousands of tests that stay: looking through them for garbage would take a tenth of the run
    gc.set_threshold(100_000, 20, 20)
    if any(item.get_closest_marker("server") for item in session.items) and (obstacle := find_obstacle()):
        session.shouldstop = f'{obstacle}; pytest -m "not server" runs the tests that need none'


def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    """Run no test any more when the session is to stop."""
    return True if item.session.shouldstop else None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Give a redis-server to marked tests alone."""
    GUARD.open = item.get_closest_marker("server") is not None


@pytest.fixture(autouse=True)
def _forgotten_secrets() -> Iterator[None]:
    """Let no test hide what another one called a secret."""
    yield
    foreign._secrets.clear()


@pytest.fixture(autouse=True)
def _no_leaks(request: pytest.FixtureRequest, _forgotten_secrets: None) -> Iterator[None]:
    """Let no test end that has seen a secret where none may stand."""
    used = {name: request.getfixturevalue(name) for name in ("tmp_path", "server") if name in request.fixturenames}
    yield
    found = leaks.judge_test(request.node, used.get("tmp_path"), used.get("server"))
    assert not found, "\n".join(found)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The redis-server of this test process."""
    with tempfile.TemporaryDirectory(prefix="btcts-") as folder:
        running = Server(Path(folder), "--enable-debug-command", "local").start()
        yield running
        running.kill()


@pytest.fixture(scope="module")
def running_cluster() -> Iterator[Cluster]:
    """The cluster of the tests of a file; one that nobody uses any more would take time from other tests."""
    with tempfile.TemporaryDirectory(prefix="btcts-") as folder, closing(Cluster(Path(folder))) as running:
        running.start()
        yield running


@pytest.fixture
def cluster(running_cluster: Cluster) -> Cluster:
    """A cluster that is whole and empty."""
    running_cluster.mend()
    running_cluster.empty()
    return running_cluster


@pytest.fixture(scope="module")
def running_sentinels() -> Iterator[Sentinels]:
    """The servers under Sentinels of the tests of a file, as `running_cluster`."""
    with tempfile.TemporaryDirectory(prefix="btcts-") as folder, closing(Sentinels(Path(folder))) as running:
        running.start()
        yield running


@pytest.fixture
def sentinels(running_sentinels: Sentinels) -> Sentinels:
    """Servers under Sentinels, whole and empty."""
    running_sentinels.mend()
    running_sentinels.empty()
    return running_sentinels


@pytest.fixture(scope="session")
def backups(server: Server) -> Backups:
    """The backups of the data of the server."""
    return Backups(server)


@pytest.fixture
def client(server: Server) -> Iterator[redis.Redis]:
    """A client of an empty Redis."""
    with connect(server.socket) as connected:
        connected.flushall()
        yield connected


@pytest.fixture
def fill_once(backups: Backups, client: redis.Redis, clock: FakeClock) -> FillOnce:
    """Let the Redis of the test hold what a function stores, under a name, and the clock stand where it leaves it."""
    return partial(backups.fill, client, clock)


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands at `NOW_MS`."""
    return FakeClock(NOW_MS)


@pytest.fixture
def store(client: redis.Redis, clock: FakeClock) -> Store:
    """A store on an empty Redis, without the layout."""
    return Store(client, BTC_USD, clock=clock, where="test")


@pytest.fixture
def full(store: Store, fill_once: FillOnce) -> Store:
    """A store with a whole window of ticks, two in each minute."""
    fill_once("a window of ticks", lambda: store.write(wave(FIRST_OF_WINDOW, NOW, 30_000)))
    return store


@pytest.fixture
def start_server() -> Iterator[StartServer]:
    """Start further servers, each in a folder of its own; they end with the test."""
    with ExitStack() as stack:

        def start(*options: str, module: bool = True, module_options: str = "") -> Server:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="btcts-"))
            running = Server(Path(folder), *options, module=module, module_options=module_options)
            stack.callback(running.kill)
            stack.callback(leaks.record_server, running.socket, options)
            return running.start()

        yield start


@pytest.fixture(scope="session")
def commands() -> Iterator[ForkServer]:
    """The process that runs commands of btcts without their start-up."""
    with closing(ForkServer()) as running:
        yield running


@pytest.fixture
def set_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Moves this process to another time zone for the time of the test."""

    def move(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield move
    monkeypatch.undo()
    time.tzset()
