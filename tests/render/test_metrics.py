"""The metrics are those that the documentation lists, as Prometheus reads them."""

import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from btcts.config import BTC_USD
from btcts.domain.model import Gap, ProviderState, StreamState
from btcts.render.metrics import metrics_text
from btcts.services.status import status
from btcts.store import State, Store
from support.clocks import FakeClock
from support.series import MINUTE, NOW

PAGE = Path(__file__).parents[2] / "docs/serve.md"

STATE = State(
    cadence_s=10,
    last_cycle_ms=NOW - 5_000,
    members=("coinbase", "kraken"),
    deviating={"gemini": -0.02},
    ahead_ms=1_500,
    streams={"kraken": StreamState(NOW, 120, NOW - 60_000, 2, 30, 1), "gemini": StreamState(problem="refused")},
    streams_ms=NOW,
    simulated=True,
    providers={
        "kraken": ProviderState(answered_ms=NOW, said_ms=NOW),
        "gemini": ProviderState(error="slow", said_ms=NOW),
        "coinmarketcap": ProviderState(not_before_ms=NOW + 60_000, why="budget", credits_left=9_000),
    },
)


def read(text: str) -> dict[tuple[str, ...], float]:
    """Return the values by name and labels, as another library reads them."""
    families = text_string_to_metric_families(text)
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


@pytest.fixture
def known(full: Store) -> Store:
    """A store of which everything is known that can be."""
    full.remember(STATE)
    full.record_gaps({NOW // MINUTE * MINUTE - MINUTE: Gap("no_trades", 1, NOW)})
    return full


def test_the_page_lists_every_metric_with_its_labels_and_no_other(known: Store) -> None:
    listed = {
        name: set(re.findall(r"`(\w+)`", labels))
        for name, labels in re.findall(r"^\| `(btcts_\w+)` \| ([^|]*)\| ", PAGE.read_text(), re.MULTILINE)
    }

    text = metrics_text(status(known, spooled=2), BTC_USD, version="1.2.3")

    families = text_string_to_metric_families(text)
    assert {s.name: set(s.labels) for family in families for s in family.samples} == listed


def test_values_are_in_base_units(known: Store) -> None:
    metrics = read(metrics_text(status(known, spooled=2), BTC_USD, version="1.2.3"))

    assert metrics["btcts_build_info", "1.2.3"] == metrics["btcts_redis_up",] == 1
    assert metrics["btcts_last_cycle_timestamp_seconds",] == NOW / 1000 - 5
    assert metrics["btcts_price_max_age_seconds",] == 150
    assert metrics["btcts_price_members",] == 2
    assert metrics["btcts_slots_missing", "hour"] == 0
    assert metrics["btcts_slots_settled", "5min"] == 0
    assert metrics["btcts_gaps", "no_trades"] == 1
    assert metrics["btcts_clock_offset_seconds", "providers"] == 1.5
    assert metrics["btcts_stream_lag_seconds", "kraken"] == 0.12
    assert metrics["btcts_stream_up", "kraken"] == 1
    assert metrics["btcts_stream_up", "gemini"] == metrics["btcts_stream_whole", "gemini"] == 0
    assert metrics["btcts_stream_candles_corrected_total", "kraken"] == 1
    assert metrics["btcts_provider_credits_remaining", "coinmarketcap"] == 9_000


def test_a_provider_is_in_one_state(known: Store) -> None:
    metrics = read(metrics_text(status(known), BTC_USD, version="1.2.3"))

    states = {key[1:]: value for key, value in metrics.items() if key[0] == "btcts_provider_state"}
    assert {key for key, value in states.items() if value} == {
        ("kraken", "answers"),
        ("gemini", "fails"),
        ("coinmarketcap", "waits"),
    }
    assert len(states) == 9


def test_a_stale_price_vanishes_and_its_time_stays(known: Store, clock: FakeClock) -> None:
    fresh = read(metrics_text(status(known), BTC_USD, version=""))
    clock.advance(151_000)

    stale = read(metrics_text(status(known), BTC_USD, version=""))

    name = ("btcts_price_usd", "BTC-USD", "true")
    assert name in fresh
    assert name not in stale
    assert stale["btcts_price_timestamp_seconds",] == fresh["btcts_price_timestamp_seconds",]


def test_without_redis_nothing_is_said_about_prices() -> None:
    assert set(read(metrics_text(None, BTC_USD, version="1"))) == {("btcts_build_info", "1"), ("btcts_redis_up",)}


@pytest.mark.parametrize("version", ['a"b', "a\\b", "a\nb", 'a"} 1\nbtcts_price_usd 1'])
def test_no_label_ends_before_it_is_over(version: str) -> None:
    metrics = read(metrics_text(None, BTC_USD, version=version))

    assert set(metrics) == {("btcts_build_info", version), ("btcts_redis_up",)}
