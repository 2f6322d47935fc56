"""The Python API: what `import btcts` offers, without a terminal."""

import subprocess
import sys

import pytest

import btcts
from btcts.errors import ConfigError
from btcts.model import Span, Tick
from btcts.store import Store
from clocks import FakeClock
from series import NOW as NOW_MS
from servers import Server


def test_everything_that_is_offered_is_there() -> None:
    assert [name for name in btcts.__all__ if not hasattr(btcts, name)] == []


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


def test_the_package_is_imported_without_redis_typer_and_rich() -> None:
    code = "import sys, btcts; print({'redis', 'typer', 'rich', 'httpx'} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.strip() == "set()"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        btcts.nothing  # noqa: B018 -- the access is what is tested
