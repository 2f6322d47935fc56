"""The Python API: what `import btcts` offers, without a terminal."""

import importlib
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

import btcts
from btcts.config import BTC_USD
from btcts.domain.clock import ServerClock
from btcts.domain.model import HOUR_MS, Span, Tick
from btcts.errors import ConfigError
from btcts.store import Store
from support.clocks import FakeClock
from support.series import NOW as NOW_MS
from support.series import wave
from support.servers import Server
from support.wording import Wording

wording = Wording(__file__)

EXAMPLE = """\
import btcts

with btcts.open_store() as store:  # or open_store("redis://127.0.0.1:6379/0")
    print(store.latest())  # Tick(time_ms=..., price=...), the price now
    for slot in store.slots("15min"):  # the last hour by quarters, the open one last
        print(slot.start_ms, slot.close, slot.min, slot.max, slot.settled)
    day = store.slots("hour")

moved = btcts.volatility_of(day, btcts.RESOLUTIONS["hour"].bucket_ms)
print(moved.realised_per_year)  # 0.45 is 45 % a year; None when too little is known
frame = btcts.to_pandas(day)  # with pandas: close, min, max, settled, ... by their start in UTC
print((frame["max"] - frame["min"]).idxmax())  # the hour with the widest range
"""
"""The example of the README."""

ANNOTATED = """\
import btcts
from btcts import RESOLUTIONS, Slot, Span, Store, StoreUnreachable, Tick, Volatility

def read(store: Store) -> tuple[Tick | None, tuple[Slot, ...], list[Tick]]:
    try:
        return store.latest(), store.slots("hour"), store.ticks(Span(0, 1))
    except StoreUnreachable as exc:
        code: int = exc.exit_code
        raise SystemExit(code) from exc

with btcts.open_store("redis://localhost") as store:
    newest, slots, ticks = read(store)
measured: Volatility = btcts.volatility_of(slots, RESOLUTIONS["hour"].bucket_ms)
yearly: float | None = measured.realised_per_year
btcts.to_pandas(slots)
btcts.to_pandas(ticks)
version: str = btcts.__version__
"""

MISTAKEN = """\
btcts.nothing
price: str = Tick(0, 1.0).price
btcts.to_pandas(price)
"""


def python(code: str, *, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """Run it in an interpreter of its own."""
    return subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )


def checked(code: str, folder: Path) -> str:
    """Return what mypy says about it in its strict mode; to read redis as well would take half as long again."""
    settings = folder / "mypy.ini"
    settings.write_text("[mypy]\nstrict = true\ncache_dir = /dev/null\n[mypy-redis.*]\nfollow_imports = skip\n")
    command = [sys.executable, "-m", "mypy", "--config-file", str(settings), "-c", code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240, check=False)
    assert done.stderr == ""
    return done.stdout


@pytest.fixture
def filled(client: redis.Redis) -> Store:
    """A store with the ticks of the last 24 hours."""
    seconds, _ = client.time()
    now_ms = int(seconds) * 1000
    store = Store(client, BTC_USD, clock=ServerClock(), where="test")
    store.write(wave(now_ms - 25 * HOUR_MS, now_ms, 30_000))
    return store


def test_everything_that_is_offered_is_there() -> None:
    assert [name for name in btcts.__all__ if not hasattr(btcts, name)] == []


def test_what_is_offered_is_listed() -> None:
    assert set(btcts.__all__) <= set(dir(btcts))


def test_a_star_import_brings_what_is_offered() -> None:
    done = python("from btcts import *; print(open_store, Slot, volatility_of)")

    assert (done.returncode, done.stderr) == (0, "")


def test_every_name_stays_what_it_is_whatever_is_imported_afterwards() -> None:
    before = {name: getattr(btcts, name) for name in btcts.__all__}

    for name in ("store", "errors", "connect", "domain", "domain.statistics", "domain.model", "domain.frames"):
        importlib.import_module(f"btcts.{name}")

    assert {name: getattr(btcts, name) for name in btcts.__all__} == before


def test_the_store_that_a_url_names_answers(store: Store, clock: FakeClock, server: Server) -> None:
    price = Tick(NOW_MS - 60_000, 60_000.0)
    store.write([price])

    with btcts.open_store(f"unix://{server.socket}") as opened:
        assert opened.latest() == price
        assert opened.ticks(Span(NOW_MS - 120_000, NOW_MS)) == [price]
        assert len(opened.slots("15min")) == 5


def test_a_wrong_url_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(ConfigError, match="redis://"):
        btcts.open_store("http://example.org")


def test_a_resolution_that_is_none_is_refused_with_the_nearest_name(store: Store) -> None:
    with pytest.raises(ConfigError) as refused:
        store.slots("huor")

    wording.check("a mistyped resolution", str(refused.value))


@pytest.mark.parametrize("read", [Store.slots, Store.snapshot, Store.buckets])
def test_no_read_takes_a_resolution_for_another(store: Store, read: Callable[[Store, str], object]) -> None:
    with pytest.raises(ConfigError) as refused:
        read(store, "1h")

    wording.check("another name of a resolution", str(refused.value))


def test_a_server_that_is_away_is_a_failure_of_ours(tmp_path: Path) -> None:
    with btcts.open_store(f"unix://{tmp_path}/nobody") as store, pytest.raises(btcts.StoreUnreachable) as refused:
        store.latest()

    assert isinstance(refused.value, btcts.BtctsError)


def test_the_package_is_imported_without_redis_typer_and_rich() -> None:
    done = python("import sys, btcts; print({'redis', 'typer', 'rich', 'httpcore'} & set(sys.modules))")

    assert done.stdout.strip() == "set()"


def test_everything_works_where_typer_and_rich_are_missing(filled: Store, server: Server) -> None:
    blocked = "import sys; sys.modules['typer'] = sys.modules['rich'] = sys.modules['httpcore'] = None\n"
    use = (
        f"from btcts import *; store = open_store('unix://{server.socket}'); day = store.slots('hour')\n"
        "print(store.latest().price, volatility_of(day, RESOLUTIONS['hour'].bucket_ms).returns, len(to_pandas(day)))"
    )

    done = python(blocked + use)

    assert (done.returncode, done.stderr) == (0, "")
    newest = filled.latest()
    assert newest
    assert done.stdout.split() == [str(newest.price), "23", "25"]


def test_the_example_of_the_readme_runs(
    filled: Store, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", f"unix://{server.socket}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))

    done = python(EXAMPLE, cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    newest, *slots, realised, widest = done.stdout.splitlines()
    assert newest == str(filled.latest())
    assert len(slots) == 5
    assert float(realised) > 0
    assert widest.endswith(":00:00+00:00")


def test_the_example_of_the_readme_is_short() -> None:
    assert len(EXAMPLE.splitlines()) <= 15


def test_a_type_checker_sees_the_types_and_refuses_what_is_wrong(tmp_path: Path) -> None:
    right = len(ANNOTATED.splitlines())

    said = checked(ANNOTATED + MISTAKEN, tmp_path)

    found = [int(line) - right for line in re.findall(r"^<string>:(\d+): error: ", said, re.MULTILINE)]
    assert found == [1, 2, 3], said


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        btcts.nothing  # noqa: B018 -- the access is what is tested
