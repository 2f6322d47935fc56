"""Documents of every command against recorded ones: fields may be added, nothing else may change.

After an intended change: UPDATE_SNAPSHOTS=1 pytest tests/render/test_recorded.py, and read the difference.
"""

import csv
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from typer.testing import CliRunner

from btcts.cli.main import app
from btcts.domain import clock as clocks
from btcts.errors import BtctsError
from support.clocks import FakeClock
from support.exchanges import Exchanges, Fault, SimulatedMarket
from support.networks import AUTHORITY
from support.series import DAY, HOUR, MINUTE, NOW, put
from support.servers import Server

FOLDER = Path(__file__).parent / "recorded"

PROVIDERS = ("coinbase", "kraken", "bitstamp")

CALLS = (
    "show hour --limit 5 --format json",
    "show minute --limit 3 --closed --at newest --format json",
    "show --limit 2 --format json",
    "show 5min --limit 4 --format csv",
    "show --limit 1 --format csv",
    "status --format json",
    "verify --upstream --format json",
    "init-keys --dry-run --format json",
    "prune --dry-run --format json",
    "backfill --dry-run --format json",
    "watch --once --above 1 --move 0.01/1h --stale --format json",
    "config show --format json",
    "server status --format json",
    "verify --repair --format json",
    "prune --format json",
    "init-keys --format json",
    "init-keys --rebuild --format json",
    "backfill --hours 1 --overwrite --format json",
    "collect --once --format json",
)
"""Calls in their order: first those that only read."""

MASKED = ("took_ms", "version", "timeseries", "used_bytes", "own_bytes", "max_bytes", "clock_ahead_ms")
"""Fields that no clock and no price decide."""

Run = Callable[..., str]
State = Callable[[Run, redis.Redis, FakeClock, Exchanges], None]


@pytest.fixture
def time() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def exchanges(time: FakeClock) -> Iterator[Exchanges]:
    with Exchanges(SimulatedMarket(), now_ms=time.now_ms) as running:
        yield running


@pytest.fixture
def run(
    time: FakeClock, server: Server, client: redis.Redis, exchanges: Exchanges, tmp_path: Path, monkeypatch: Any
) -> Run:
    """Run a call in this process, at the fake time and with settings that only the test decides."""
    for name in [name for name in os.environ if name.startswith(("BTCTS_", "REDIS_", "API_KEY"))]:
        monkeypatch.delenv(name)
    environ = {
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "BTCTS_DATA_DIR": str(tmp_path / "data"),
        "REDIS_URL": f"unix://{server.socket}",
        "SSL_CERT_FILE": str(AUTHORITY),
        "BTCTS_COLLECT_PROVIDERS": ",".join(PROVIDERS),
        **{f"BTCTS_PROVIDERS_{name.upper()}_URL": exchanges.url(name) for name in PROVIDERS},
        **{f"BTCTS_PROVIDERS_{name.upper()}_TIMEOUT_S": "60" for name in PROVIDERS},  # machines may be slow
    }
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(clocks, "ServerClock", lambda *_: time)  # commands make their clock themselves
    places = {str(server.socket): "<socket>", str(tmp_path): "<folder>"}
    places |= {exchanges.url(name): f"<{name}>" for name in PROVIDERS}

    def call(line: str, **changes: str) -> str:
        done = CliRunner(env=environ | changes).invoke(app, line.split(), prog_name="btcts")
        assert isinstance(done.exception, SystemExit | BtctsError | None), done.exception
        text = done.stdout
        for place, name in places.items():
            text = text.replace(place, name)
        return text

    return call


def empty(run: Run, client: redis.Redis, time: FakeClock, exchanges: Exchanges) -> None:
    """Nothing is stored."""


def full(run: Run, client: redis.Redis, time: FakeClock, exchanges: Exchanges) -> None:
    """A day is stored and settled."""
    run("collect --once")


def gaps(run: Run, client: redis.Redis, time: FakeClock, exchanges: Exchanges) -> None:
    """One provider, which does not reach back a day."""
    run("collect --once --provider kraken", BTCTS_COLLECT_QUORUM="1")


def stale(run: Run, client: redis.Redis, time: FakeClock, exchanges: Exchanges) -> None:
    """A collector that ran half an hour ago."""
    full(run, client, time, exchanges)
    time.advance(HOUR // 2)


def damaged(run: Run, client: redis.Redis, time: FakeClock, exchanges: Exchanges) -> None:
    """A series is missing, one is altered, one holds a value that no tick made, and a key is not ours."""
    full(run, client, time, exchanges)
    client.delete("btc:price:15min:max")
    client.execute_command("TS.ALTER", "btc:price:minute", "RETENTION", 1000)
    put(client, "btc:price:15min", {NOW - NOW % (15 * MINUTE) - 15 * MINUTE: 1.5})
    client.set("btc:price:1h", "of another program")


def failing(run: Run, client: redis.Redis, time: FakeClock, exchanges: Exchanges) -> None:
    """A day is stored, then one provider tells us to wait and one is far from the third."""
    full(run, client, time, exchanges)
    exchanges.fault("kraken", Fault(path="Trades", status=429, headers={"Retry-After": "90"}, body=b"slower"))
    exchanges.fault("bitstamp", Fault(factor=1.05))
    time.advance(10_000)
    run("collect --once")


def poisoned(run: Run, client: redis.Redis, time: FakeClock, exchanges: Exchanges) -> None:
    """Ticks from the future."""
    full(run, client, time, exchanges)
    put(client, "btc:price:tick", {NOW + 30 * DAY: 60_000, NOW + 31 * DAY: 60_000})


def foreign(run: Run, client: redis.Redis, time: FakeClock, exchanges: Exchanges) -> None:
    """Another program uses one of our names."""
    client.set("btc:price:tick", "of another program")


def simulated(run: Run, client: redis.Redis, time: FakeClock, exchanges: Exchanges) -> None:
    """Prices that nobody traded at."""
    run("collect --once --provider simulated")


STATES = (empty, full, gaps, stale, damaged, failing, poisoned, foreign, simulated)


def mask(document: Any) -> Any:
    if isinstance(document, list):
        return [mask(value) for value in document]
    if isinstance(document, dict):
        masked = (*MASKED, "generated_ms") if "settings" in document else MASKED
        return {key: "<masked>" if key in masked else mask(value) for key, value in document.items()}
    return document


def read(line: str, printed: str) -> list[Any]:
    """The documents or, of CSV, the rows with their cells by number."""
    lines = printed.splitlines()
    if line.endswith("csv"):
        return [{str(number): cell for number, cell in enumerate(row)} for row in csv.reader(lines)]
    return [mask(json.loads(text)) for text in lines]


def dump(printed: dict[str, list[Any]]) -> str:
    """JSON with a document per line."""
    calls = [f"{json.dumps(line)}: [\n" + ",\n".join(map(json.dumps, found)) + "\n]" for line, found in printed.items()]
    return "{\n" + ",\n".join(calls) + "\n}\n"


def list_changes(before: Any, after: Any, where: str) -> Iterator[str]:
    """List the differences between two documents."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            yield from list_changes(value, after.get(key, "<nothing>"), f"{where}.{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from list_changes(old, new, f"{where}[{number}]")
    elif before != after:
        yield f"{where}: {before!r} became {after!r}"


def compare(name: str, printed: dict[str, list[Any]]) -> list[str]:
    """The differences from what is recorded under that name."""
    assert any(printed.values())
    file = FOLDER / f"{name}.json"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        file.write_text(dump(printed), "utf-8")
    return [*list_changes(json.loads(file.read_text("utf-8")), printed, "")]


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_documents_are_the_recorded_ones_with_fields_added_at_most(
    state: State, run: Run, client: redis.Redis, time: FakeClock, exchanges: Exchanges
) -> None:
    state(run, client, time, exchanges)

    changes = compare(state.__name__, {line: read(line, run(line)) for line in CALLS})

    assert changes == []


def test_documents_about_a_file_are_the_recorded_ones_with_fields_added_at_most(run: Run, tmp_path: Path) -> None:
    rows = (
        f"{NOW // MINUTE * 60 - 60 * ago},60000,60010.5,59990.5,{60_000 + ago % 10},1.5"
        for ago in (19, 18, 17, 16, 15, 14, 13, 8, 7, 6, 0)
    )
    (tmp_path / "day.csv").write_text("\n".join(["timestamp,open,high,low,close,volume", *rows]) + "\n")
    calls = ("backfill --file day.csv --dry-run --format json", "backfill --file day.csv --format json")

    changes = compare("file", {line: read(line, run(line)) for line in calls})

    assert changes == []


def test_the_document_about_a_price_that_waits_is_the_recorded_one_with_fields_added_at_most(
    run: Run, tmp_path: Path
) -> None:
    line = "collect --once --format json"

    changes = compare("away", {line: read(line, run(line, REDIS_URL=f"unix://{tmp_path}/nobody"))})

    assert changes == []
