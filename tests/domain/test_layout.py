"""The table of what is kept, held against the numbers of the contract."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btcts.config import BTC_USD
from btcts.domain.layout import RESOLUTIONS, TICK_RETENTION_MS, Layout, Resolution, window

MINUTE = 60_000
HOUR = 3_600_000

moments = st.integers(30 * HOUR, 4_102_444_800_000)
resolutions = st.sampled_from(list(RESOLUTIONS.values()))


def test_the_compactions_are_those_of_the_contract() -> None:
    table = {
        compaction.key: (compaction.aggregator, compaction.resolution.bucket_ms)
        for compaction in Layout(BTC_USD).compactions
    }

    assert table == {
        "btc:price:minute": ("last", 60_000),
        "btc:price:5min": ("last", 300_000),
        "btc:price:5min:min": ("min", 300_000),
        "btc:price:5min:max": ("max", 300_000),
        "btc:price:15min": ("last", 900_000),
        "btc:price:15min:min": ("min", 900_000),
        "btc:price:15min:max": ("max", 900_000),
        "btc:price:hour": ("last", 3_600_000),
        "btc:price:hour:min": ("min", 3_600_000),
        "btc:price:hour:max": ("max", 3_600_000),
    }


def test_retentions_are_those_of_the_contract() -> None:
    retentions = {definition.key: definition.retention_ms for definition in Layout(BTC_USD).definitions}

    assert retentions == {
        "btc:price:tick": 93_600_000,
        "btc:price:minute": 3_540_000,
        **dict.fromkeys(["btc:price:5min", "btc:price:5min:min", "btc:price:5min:max"], 3_300_000),
        **dict.fromkeys(["btc:price:15min", "btc:price:15min:min", "btc:price:15min:max"], 2_700_000),
        **dict.fromkeys(["btc:price:hour", "btc:price:hour:min", "btc:price:hour:max"], 82_800_000),
    }


def test_coarser_buckets_are_made_of_whole_finer_ones() -> None:
    lengths = [resolution.bucket_ms for resolution in RESOLUTIONS.values()]

    assert [coarser % finer for finer, coarser in pairwise(lengths)] == [0, 0, 0]


def test_the_ticks_outlast_the_window_by_the_longest_bucket() -> None:
    longest = max(RESOLUTIONS.values(), key=lambda resolution: resolution.bucket_ms)

    assert (longest.entries + 2) * longest.bucket_ms <= TICK_RETENTION_MS


def test_only_the_ticks_are_compressed() -> None:
    source, *compactions = Layout(BTC_USD).definitions

    assert (source.encoding, source.chunk_size) == ("compressed", 4096)
    assert {(compaction.encoding, compaction.chunk_size) for compaction in compactions} == {("uncompressed", 128)}


def test_labels_name_the_resolution_and_the_field() -> None:
    labels = {definition.key: definition.labels for definition in Layout(BTC_USD).definitions}

    common = {"app": "btcts", "asset": "btc", "quote": "usd"}
    assert labels["btc:price:tick"] == common | {"resolution": "tick", "field": "price"}
    assert labels["btc:price:minute"] == common | {"resolution": "minute", "field": "close"}
    assert labels["btc:price:15min:max"] == common | {"resolution": "15min", "field": "max"}


def test_a_prefix_changes_every_key() -> None:
    layout = Layout(BTC_USD._replace(prefix="{btc:price}"))

    assert len({*layout.series, layout.gaps, layout.state}) == 13
    assert all(key.startswith("{btc:price}:") for key in (*layout.series, layout.gaps, layout.state))


@pytest.mark.parametrize(("name", "entries"), [("minute", 60), ("5min", 12), ("15min", 4), ("hour", 24)])
def test_as_many_closed_slots_are_kept_as_the_contract_says(name: str, entries: int) -> None:
    slots = RESOLUTIONS[name].slots(1_767_270_896_789)

    assert len(slots) == entries + 1


@given(resolution=resolutions, now_ms=moments)
def test_the_slots_tile_the_closed_span_and_the_open_bucket(resolution: Resolution, now_ms: int) -> None:
    *closed, open_ms = resolution.slots(now_ms)

    assert open_ms <= now_ms < open_ms + resolution.bucket_ms
    assert resolution.closed(now_ms).end_ms == open_ms
    assert closed == list(range(resolution.closed(now_ms).start_ms, open_ms, resolution.bucket_ms))


@given(resolution=resolutions, now_ms=moments)
def test_a_retention_counted_from_the_newest_closed_bucket_shows_exactly_the_closed_slots(
    resolution: Resolution, now_ms: int
) -> None:
    closed = resolution.closed(now_ms)
    newest = closed.end_ms - resolution.bucket_ms

    assert newest - resolution.retention_ms == closed.start_ms


@given(now_ms=moments)
def test_the_window_is_24_whole_hours_and_the_running_one(now_ms: int) -> None:
    found = window(now_ms)

    assert found.start_ms % HOUR == 0
    assert found.end_ms == now_ms
    assert 24 * HOUR <= found.end_ms - found.start_ms < 25 * HOUR


@given(now_ms=moments)
def test_every_hour_of_the_window_lies_wholly_in_the_ticks_that_are_retained(now_ms: int) -> None:
    newest_writable = now_ms + 10_000

    assert newest_writable - TICK_RETENTION_MS < window(now_ms).start_ms
