"""Times on the command line."""

from collections.abc import Callable

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from btcts.cli.times import EXAMPLES, hours_ago, parse_moment
from btcts.domain.model import HOUR_MS, MINUTE_MS, Tick
from btcts.errors import ConfigError
from btcts.store import Store
from support.series import MIDNIGHT, NOW


def of(store: Store, text: str) -> int | None:
    found = parse_moment("--at", text)
    assert found
    return found.resolve(store)


def test_what_is_not_given_is_no_moment() -> None:
    assert parse_moment("--at", None) is None


@pytest.mark.parametrize(
    "text",
    ["2026-01-01T00:00:00Z", "2026-01-01T01:00+01:00", "2025-12-31T19:00:00.000-05:00", "20260101T000000Z"],
)
def test_a_time_with_its_zone_is_that_instant(store: Store, text: str) -> None:
    assert of(store, text) == MIDNIGHT


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kathmandu"])
def test_a_time_without_a_zone_is_local(store: Store, set_zone: Callable[[str], None], zone: str) -> None:
    west_of_utc_ms = {"UTC": 0, "America/New_York": 5 * HOUR_MS, "Asia/Kathmandu": -345 * MINUTE_MS}
    set_zone(zone)

    assert of(store, "2026-01-01T00:00") == MIDNIGHT + west_of_utc_ms[zone]
    assert of(store, "2026-01-01") == MIDNIGHT + west_of_utc_ms[zone]


@pytest.mark.parametrize(
    ("text", "ago_ms"),
    [
        ("now", 0),
        ("2h", 2 * HOUR_MS),
        ("-2h", 2 * HOUR_MS),
        ("90min", 90 * MINUTE_MS),
        ("1d", 24 * HOUR_MS),
        ("1.5h", 90 * MINUTE_MS),
        ("30s", 30_000),
    ],
)
def test_a_length_is_so_long_ago_by_the_clock_of_the_store(store: Store, text: str, ago_ms: int) -> None:
    assert of(store, text) == NOW - ago_ms


@pytest.mark.parametrize("text", ["999999999d", "1969-12-31T23:59Z", "0001-01-01T00:00Z"])
def test_a_time_before_1970_is_taken_for_1970(store: Store, text: str) -> None:
    assert of(store, text) == 0


def test_the_time_is_asked_for_and_nothing_else(store: Store, client: redis.Redis) -> None:
    client.config_resetstat()

    of(store, "2h")

    asked = set(client.info("commandstats")) - {"cmdstat_config|resetstat", "cmdstat_hello", "cmdstat_client|setinfo"}
    assert asked == {"cmdstat_time"}


@pytest.mark.parametrize("hours", [1, 25, 1_000_000, 10**30])
def test_hours_are_counted_from_now_back_to_1970(store: Store, hours: int) -> None:
    assert hours_ago(hours).resolve(store) == max(0, NOW - hours * HOUR_MS)


def test_newest_is_the_end_of_the_newest_tick(store: Store) -> None:
    store.write([Tick(NOW - 1000, 60_000.0)])

    assert of(store, "newest") == NOW - 999


def test_an_empty_store_has_no_newest_tick(store: Store) -> None:
    assert of(store, "newest") is None


@pytest.mark.parametrize("text", ["", "yesterday", "2", "2x", "h", "--2h", "2 h", "12:00", "1e9", "\u0663h", "2h\n"])
def test_anything_else_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_moment("--since", text)

    assert str(refused.value).startswith(f"--since {text!r} ")
    assert str(refused.value).endswith(EXAMPLES)


@given(st.text(max_size=20))
def test_no_text_makes_anything_but_a_moment_or_an_error_of_one_line(text: str) -> None:
    try:
        said = repr(parse_moment("--since", text))
    except ConfigError as exc:
        said = str(exc)

    assert said != "None"
    assert "\n" not in said


def test_a_newest_tick_that_no_calendar_has_is_said(store: Store, client: redis.Redis) -> None:
    store.rebuild()
    client.execute_command("TS.ADD", "btc:price:tick", 1_795_385_788_410_000, 60_000)
    newest = parse_moment("--at", "newest")
    assert newest

    with pytest.raises(ConfigError, match=r"1795385788410000 ms, .*btcts prune"):
        newest.resolve(store)
