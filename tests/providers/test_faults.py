"""Every fault of an API becomes one error of one clear line, of the class that says what to do next."""

from collections.abc import Callable
from typing import Any

import pytest

from btcts.domain.model import HOUR_MS, MINUTE_MS, Span
from btcts.errors import ProviderError, ProviderLimited, ProviderStopped
from providers.opening import ASKED, CALLS, CLOSED_MS, EVERY_MINUTE, EXCHANGES, KEY, NOW_MS, ON_HTTP, Opened
from support.exchanges import Exchanges, Fault
from support.exchanges.faults import HTML, doubled, shortened, shuffled

WINDOW = Span(CLOSED_MS - 25 * HOUR_MS, CLOSED_MS)


def failure(name: str, call: str, opened: Opened) -> ProviderError:
    """The error that a call ends with, after a look at its line."""
    with pytest.raises(ProviderError) as raised:
        CALLS[call](opened(name))
    line = str(raised.value)
    assert line.startswith(f"{name}: ")
    assert line.isprintable()
    assert len(line) < 250
    assert not set("<?") & set(line)
    assert KEY not in line
    return raised.value


BAD_ANSWERS = {
    "HTML": (Fault(body=HTML), "an HTML page"),
    "HTML and 503": (Fault(body=HTML, status=503), "HTTP 503"),
    "403 without a time": (Fault(body=b"Forbidden", status=403), "HTTP 403"),
    "nothing": (Fault(body=b""), "an empty answer"),
    "null": (Fault(body=b"null"), "null"),
    "deep": (Fault(body=b"[" * 100_000), "no JSON"),
    "a number out of bounds": (Fault(body=b'{"price": 1e99999999999999999999}'), "no JSON"),
    "bytes": (Fault(body=b"\xff\xfe\x00garbage"), "no JSON"),
    "a line break": (Fault(body=b'["a\nb", "\x1b[31m\\u001b"]', status=500), "HTTP 500"),
    "too large": (Fault(body=b" " * 1_000_001), "more than 1000000 bytes"),
    "a redirect": (Fault(body=b"", status=302, headers={"Location": "https://a.test/"}), "redirects are not followed"),
    "half": (Fault(cut=True), "no JSON"),
    "no gzip": (Fault(headers={"Content-Encoding": "gzip"}), "no answer"),
    "reset": (Fault(reset=True), "no answer"),
    "an error in 200": (Fault(error="out of order"), ""),
    "price null": (Fault(price=None), "null is not a price"),
    "price 0": (Fault(price=0), "is not a price"),
    "price below 0": (Fault(price=-1.5), "is not a price"),
    "price 850 billion": (Fault(price=850e9), "is not a price"),
    "price NaN": (Fault(price=float("nan")), "is not a price"),
    "price infinite": (Fault(price=float("inf")), "is not a price"),
    "price true": (Fault(price=True), "is not a price"),
    "price a list": (Fault(price=[1]), "is not a price"),
}


@pytest.mark.parametrize("answer", BAD_ANSWERS)
@pytest.mark.parametrize(("name", "call"), ASKED)
def test_a_bad_answer_is_an_error(name: str, call: str, answer: str, opened: Opened, exchanges: Exchanges) -> None:
    fault, said = BAD_ANSWERS[answer]
    exchanges.fault(name, fault)

    error = failure(name, call, opened)

    assert said in str(error)
    assert isinstance(error, ProviderLimited) == (name == "coinmarketcap")  # it may have cost a credit
    assert not isinstance(error, ProviderStopped)


def limit(status: int, **headers: str) -> Fault:
    """A reply that sends us away."""
    return Fault(status=status, body=b"Too many requests", headers={k.replace("_", "-"): v for k, v in headers.items()})


LIMITS = {
    "429 with seconds": (limit(429, Retry_After="120"), 120),
    "429": (limit(429), 60),
    "429 with nonsense": (limit(429, Retry_After="soon"), 60),
    "429 for no time": (limit(429, Retry_After="0"), 1),
    "429 for a week": (limit(429, Retry_After="604800"), 86_400),
    "429 for ever": (limit(429, Retry_After="9" * 5000), 86_400),
    "418": (limit(418), 600),
    "418 with seconds": (limit(418, Retry_After="7200"), 7200),
    "403 with a date": (limit(403, Retry_After="Thu, 01 Jan 2026 12:05:34 GMT"), 300),
    "429 with a date in the past": (limit(429, Retry_After="Thu, 01 Jan 2026 11:05:34 GMT"), 1),
    "503 with Retry-After": (limit(503, Retry_After="30"), 30),
    "503 with a Retry-After of a day": (limit(503, Retry_After="86400"), 600),
    "429 as CoinMarketCap spells it": (limit(429, x_ratelimit_reset="2026-01-01 05:10:34 -0700"), 600),
}


@pytest.mark.parametrize("limited", LIMITS)
@pytest.mark.parametrize(("name", "call"), ASKED)
def test_a_limit_says_until_when_to_wait(
    name: str, call: str, limited: str, opened: Opened, exchanges: Exchanges
) -> None:
    fault, wait_s = LIMITS[limited]
    exchanges.fault(name, fault)

    error = failure(name, call, opened)

    assert isinstance(error, ProviderLimited)
    assert error.until_ms == NOW_MS + wait_s * 1000


def test_a_date_to_wait_for_is_read_by_the_clock_of_its_server(opened: Opened, exchanges: Exchanges) -> None:
    headers = {"Retry-After": "Thu, 01 Jan 2026 13:01:34 GMT"}
    exchanges.fault("kraken", Fault(status=429, body=b"", headers=headers, skew_ms=HOUR_MS))

    error = failure("kraken", "latest", opened)

    assert isinstance(error, ProviderLimited)
    assert error.until_ms == NOW_MS + MINUTE_MS


@pytest.mark.parametrize("rows", [shuffled, doubled])
@pytest.mark.parametrize("name", EXCHANGES)
def test_the_order_of_rows_and_their_repetition_do_not_matter(
    name: str, rows: Callable[[list[Any]], list[Any]], opened: Opened, exchanges: Exchanges
) -> None:
    provider = opened(name)
    good = provider.candles(WINDOW)
    exchanges.fault(name, Fault(rows=rows))
    assert provider.candles(WINDOW) == good


@pytest.mark.parametrize(
    ("name", "said"), [("kraken", "short page"), ("coinbase", "disagree"), ("bitstamp", "disagree")]
)
def test_a_short_page_is_an_error_where_it_can_be_told(
    name: str, said: str, opened: Opened, exchanges: Exchanges
) -> None:
    exchanges.fault(name, Fault(rows=shortened))

    with pytest.raises(ProviderError, match=said):
        opened(name).candles(WINDOW)


def test_a_shorter_window_of_gemini_covers_less(opened: Opened, exchanges: Exchanges) -> None:
    exchanges.fault("gemini", Fault(rows=shortened))

    candles = opened("gemini").candles(WINDOW)

    assert candles.covered == Span(CLOSED_MS - 959 * MINUTE_MS, CLOSED_MS)


@pytest.mark.parametrize("name", EVERY_MINUTE)
def test_no_row_at_all_is_an_error_where_each_minute_has_one(name: str, opened: Opened, exchanges: Exchanges) -> None:
    exchanges.fault(name, Fault(rows=lambda rows: []))

    error = failure(name, "candles", opened)

    assert " 60 of 60 " in str(error)


@pytest.mark.parametrize("name", EVERY_MINUTE)
def test_a_page_that_ends_too_early_is_an_error_where_each_minute_has_a_row(
    name: str, opened: Opened, exchanges: Exchanges
) -> None:
    exchanges.fault(name, Fault(frozen_ms=NOW_MS - 10 * MINUTE_MS))

    error = failure(name, "candles", opened)

    assert all(words in str(error) for words in ("a short page: ", " 9 of 60 ", " 2026-01-01T11:51:00Z "))


STAMP: dict[str, str | int] = {"bitstamp": "timestamp"}
PRICES = {"coinbase": (1, 2), "kraken": (3, 2), "bitstamp": ("low", "high"), "bitfinex": (4, 3), "gemini": (3, 2)}
"""Where the low and the high stand in a row."""


def changed(row: Any, key: Any, value: Any) -> Any:
    """A copy of a row with another value."""
    copy = row.copy()
    copy[key] = value
    return copy


@pytest.mark.parametrize("name", EXCHANGES)
def test_two_rows_that_contradict_each_other_are_an_error(name: str, opened: Opened, exchanges: Exchanges) -> None:
    low, _ = PRICES[name]
    exchanges.fault(name, Fault(rows=lambda rows: [changed(row, low, "40000.5") for row in rows] + rows))

    error = failure(name, "candles", opened)

    assert "two rows disagree" in str(error)


@pytest.mark.parametrize("name", EXCHANGES)
def test_a_row_whose_low_is_above_its_high_is_an_error(name: str, opened: Opened, exchanges: Exchanges) -> None:
    low, high = PRICES[name]
    exchanges.fault(
        name, Fault(rows=lambda rows: [changed(changed(row, low, row[high]), high, row[low]) for row in rows])
    )

    error = failure(name, "candles", opened)

    assert "its own range" in str(error)


@pytest.mark.parametrize(
    ("restamp", "said"),
    [
        (lambda stamp: stamp + 1, "off the minute"),
        (lambda stamp: stamp * 1000, "is not a time"),
        (lambda stamp: stamp // 1000, "is not a time"),
        (lambda stamp: 0, "is not a time"),
        (lambda stamp: None, "is not a time"),
        (lambda stamp: "yesterday", "is not a time"),
        (lambda stamp: "9" * 500, "is not a time"),
    ],
    ids=["off the grid", "a finer unit", "a coarser unit", "zero", "null", "text", "beyond measure"],
)
@pytest.mark.parametrize("name", EXCHANGES)
def test_a_stamp_off_the_grid_or_in_another_unit_is_an_error(
    name: str, restamp: Callable[[int], Any], said: str, opened: Opened, exchanges: Exchanges
) -> None:
    key = STAMP.get(name, 0)
    exchanges.fault(name, Fault(rows=lambda rows: [changed(row, key, restamp(int(row[key]))) for row in rows]))

    error = failure(name, "candles", opened)

    assert said in str(error)


@pytest.mark.parametrize("row", [None, "row", 7, [], {}, [1767268740]], ids=str)
@pytest.mark.parametrize("name", EXCHANGES)
def test_a_row_of_another_shape_is_an_error(name: str, row: Any, opened: Opened, exchanges: Exchanges) -> None:
    exchanges.fault(name, Fault(rows=lambda rows: [*rows, row]))

    error = failure(name, "candles", opened)

    assert "unexpected shape" in str(error)


@pytest.mark.parametrize("name", ON_HTTP)
def test_a_server_that_is_gone_is_an_error(name: str, opened: Opened, exchanges: Exchanges) -> None:
    with Exchanges(exchanges.market, now_ms=exchanges.now_ms) as gone:
        provider = opened(name, at=gone)

    with pytest.raises(ProviderError, match=f"^{name}: .* http://127.0.0.1:") as raised:
        provider.latest()

    assert raised.value.problem.cause == "refused"


@pytest.mark.parametrize("name", ON_HTTP)
def test_a_provider_recovers_with_the_next_good_answer(name: str, opened: Opened, exchanges: Exchanges) -> None:
    provider = opened(name)
    exchanges.fault(name, Fault(reset=True))
    with pytest.raises(ProviderError):
        provider.latest()

    exchanges.fault(name, None)

    assert provider.latest().provider == name
