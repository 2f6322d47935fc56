"""Answers made to do harm: numbers and bodies beyond measure, packing, redirects to nowhere, cookies."""

import gzip
import json
import resource
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest

from btcts.domain.model import HOUR_MS, LONGEST_WAIT_MS, Candles, ProviderState, Reading, Span
from btcts.errors import ProviderError, ProviderLimited
from btcts.providers import Endpoint
from btcts.providers.base import decode_json, parse_amount, parse_credits, parse_ms, parse_price, quoted
from btcts.providers.http import MAX_BODY, Client
from btcts.providers.poller import note_failure, split
from providers.opening import ASKED, CALLS, NOW_MS, ON_HTTP, Answers, Opened, provider_at, reply
from providers.test_coinmarketcap import KEY_INFO, QUOTES, key_info, quotes, status, with_key
from support.clocks import FakeClock
from support.exchanges import Exchanges, Fault
from support.raw_server import Raw, RawServer

DAY_MS = 24 * HOUR_MS

BEYOND = [
    *["1e300000000", "-1e300000000", "1e-300000000", "0e300000000", "1E+999999999999999999", "1" * 99 + "e99"],
    *["9" * 5000, "-" + "9" * 200_000, "0." + "3" * 200_000],
]
"""Numbers, as JSON spells them, that take hours or much memory to convert, or that no field has."""

OK = b"HTTP/1.1 200 OK\r\n"


@contextmanager
def within(seconds: float, megabytes: float) -> Iterator[None]:
    """The block takes no more time of the processor, and no more memory."""
    tracemalloc.start()
    began = time.process_time()
    try:
        yield
        took, (_, most) = time.process_time() - began, tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert took < seconds
    assert most < megabytes * 1e6


def ask(raw: Raw, name: str = "kraken", call: str = "latest") -> str:
    """The line of the error that a call ends with where a server answers so."""
    with RawServer(lambda _: raw) as server, Client() as client:
        provider = provider_at(Endpoint(server.url, 5.0), name, client, FakeClock(NOW_MS))
        with pytest.raises(ProviderError) as raised:
            CALLS[call](provider)
    line = str(raised.value)
    assert line.isprintable()
    assert len(line) < 300
    return line


# Numbers


def paths_in(value: Any) -> Iterator[tuple[Any, ...]]:
    """The places of the values in a JSON value; of a long list the first and the last item alone."""
    match value:
        case dict():
            items = list(value.items())
        case list():
            items = [(number, value[number]) for number in sorted({0, len(value) - 1}) if value]
        case _:
            yield ()
            return
    for key, inner in items:
        yield from ((key, *path) for path in paths_in(inner))


def exchange(body: bytes, path: tuple[Any, ...], spelt: str) -> bytes:
    """The JSON text with another value at a place."""
    whole = inner = json.loads(body)
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = "here"
    return json.dumps(whole).replace('"here"', spelt).encode()


def record(name: str, call: str, opened: Opened, exchanges: Exchanges) -> list[tuple[str, bytes]]:
    """The paths that a good call of a provider asks for, and the answers."""
    CALLS[call](opened(name))
    return [(request.path, exchanges.reply(request).body) for request in tuple(exchanges.requests)[:2]]


@pytest.mark.parametrize(("name", "call"), ASKED)
def test_a_number_beyond_measure_does_no_harm_in_any_field(
    name: str, call: str, opened: Opened, exchanges: Exchanges
) -> None:
    bodies = [
        (asked, exchange(body, path, spelling.format(number)))
        for asked, body in record(name, call, opened, exchanges)
        for path in paths_in(json.loads(body))
        for number in BEYOND
        for spelling in ("{}", '"{}"')
    ]
    provider = opened(name)
    outcomes = []

    for asked, body in bodies:
        exchanges.fault(name, Fault(path=asked, body=body))
        began = time.process_time()
        try:
            outcomes.append(CALLS[call](provider))
        except ProviderError as exc:
            outcomes.append(str(exc))
        assert time.process_time() - began < 1

    assert all(isinstance(outcome, str | Reading | Candles) for outcome in outcomes)
    lines = {outcome for outcome in outcomes if isinstance(outcome, str)}
    assert lines
    assert all(line.isprintable() and len(line) < 300 for line in lines)


@pytest.mark.parametrize("number", BEYOND, ids=quoted)
@pytest.mark.parametrize("read", [parse_price, parse_amount, parse_ms, parse_credits])
def test_a_number_beyond_measure_is_no_value(read: Any, number: str) -> None:
    with pytest.raises(ProviderError, match=r"^kraken: .* is not a"):
        read("kraken", number)


@pytest.mark.parametrize("number", [Decimal("1e300000000"), Decimal("1e-300000000"), 10**400, 10.0**300, -(10**99)])
@pytest.mark.parametrize("read", [parse_price, parse_amount, parse_ms, parse_credits])
def test_a_value_beyond_measure_is_none(read: Any, number: Any) -> None:
    with pytest.raises(ProviderError, match=r"^kraken: .* is not a"):
        read("kraken", number)


@pytest.mark.parametrize("value", ["1_000", " 5", "5 ", "٣", "0x10", "1e", "infinity", "nan", "--1", "1,5", "+", "."])
@pytest.mark.parametrize("read", [parse_price, parse_amount, parse_ms, parse_credits])
def test_a_text_that_python_alone_takes_for_a_number_is_none(read: Any, value: str) -> None:
    with pytest.raises(ProviderError, match="is not a"):
        read("kraken", value)


@pytest.mark.parametrize("name", ["Retry-After", "x-ratelimit-reset", "Date", "Age", "Content-Length-Of-Old"])
@pytest.mark.parametrize("value", [*(number[:60_000] for number in BEYOND), "-1", "٣", "Mon, 01 Jan 0001 00:00:00 GMT"])
def test_a_header_beyond_measure_does_no_harm(name: str, value: str) -> None:
    response = reply(429, "busy", {name: value})

    with within(1.0, 5), pytest.raises(ProviderLimited) as raised:
        Answers({"/x": response}).api("kraken").fetch_json("/x")

    assert NOW_MS < raised.value.until_ms <= NOW_MS + DAY_MS


@pytest.mark.parametrize("date", ["Fri, 31 Dec 9999 23:59:59 GMT", "Thu, 01 Jan 1970 00:00:00 GMT"])
def test_a_date_that_cannot_be_meant_is_none(date: str) -> None:
    answer = Answers({"/x": reply(200, "{}", {"Date": date})}).api("kraken").fetch_json("/x")

    assert answer.date_ms is None


@pytest.mark.parametrize("spent", ["1e300000000", "9" * 5000, '"1e300000000"', "null", "[]", "true"])
def test_a_cost_beyond_measure_is_refused(spent: str) -> None:
    body = json.dumps(quotes() | status(spent="here")).replace('"here"', spent)

    with within(1.0, 5), pytest.raises(ProviderLimited):
        with_key(Answers({KEY_INFO: key_info(100), QUOTES: body})).latest()


@pytest.mark.parametrize("left", ["1e300000000", "-5", '"7"', "9" * 30])
def test_credits_beyond_measure_leave_the_price(left: str) -> None:
    body = json.dumps(key_info(0)).replace('"credits_left": 0', f'"credits_left": {left}')
    provider = with_key(Answers({KEY_INFO: body, QUOTES: quotes()}))

    if left == "-5":
        with pytest.raises(ProviderLimited, match="no credits left"):
            provider.latest()
    else:
        assert provider.latest().credits_left == (6 if "7" in left else None)


@pytest.mark.parametrize("spelt", ["0.0", "-0.00", "0e5", "0.0e-300000000", "1e-9", "0.00000000000000001", "1.5E+3"])
def test_a_small_number_and_zero_are_read_as_they_are(spelt: str) -> None:
    assert decode_json(spelt) == float(spelt)


@pytest.mark.parametrize(
    "spelt", ["1e-400", "0.0001e-999", "-5E-324000", "1e400", "-1e999999999999999999", "0." + "0" * 99]
)
def test_a_number_that_would_become_zero_or_infinite_is_refused(spelt: str) -> None:
    with pytest.raises(ValueError, match="out of bounds"):
        decode_json(spelt)


# Bodies


PACKED_ZEROS = gzip.compress(b"0" * 20_000_000, mtime=0)


@pytest.mark.parametrize(
    ("packing", "body"),
    [
        ("gzip", PACKED_ZEROS),
        ("gzip, gzip", gzip.compress(PACKED_ZEROS, mtime=0)),
        ("gzip\r\nContent-Encoding: gzip", gzip.compress(PACKED_ZEROS, mtime=0)),
        ("GZIP , gzip", gzip.compress(PACKED_ZEROS, mtime=0)),
        ("deflate", zlib.compress(b"0" * 20_000_000)),
        ("br", b"\x8b\x00\x80"),
        ("zstd", b"\x28\xb5\x2f\xfd"),
        ("gzip", PACKED_ZEROS[:10_000]),
        ("gzip", gzip.compress(b"{}") + b"0" * 2_000_000),
        ("gzip", gzip.compress(b"0" * 90_000) + b"0"),
        ("gzip", b"no gzip"),
        ("identity", b"0" * 2_000_000),
        ("", b"0" * 2_000_000),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)}",
)
@pytest.mark.parametrize("name", ["kraken", "coinmarketcap"])
def test_a_body_that_would_fill_the_memory_is_refused_before_it_does(name: str, packing: str, body: bytes) -> None:
    raw = Raw(OK + f"Content-Encoding: {packing}\r\n\r\n".encode() + body)

    with within(2.0, 8):
        line = ask(raw, name)

    assert "no JSON" not in line


def test_a_packed_body_is_asked_for_and_read(opened: Opened, exchanges: Exchanges) -> None:
    ((_, body),) = record("kraken", "latest", opened, exchanges)
    exchanges.fault("kraken", Fault(body=gzip.compress(body), headers={"Content-Encoding": "gzip"}))

    assert opened("kraken").latest().price > 0
    assert exchanges.requests[-1].headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize("piece", [b"[],", b'{"a":1},', b'"\\u2028",', b'["' + b"x" * 900 + b'"],', b"1e5,"])
@pytest.mark.parametrize(("name", "call"), ASKED)
def test_a_large_body_of_nonsense_is_refused_quickly_and_shown_in_part(name: str, call: str, piece: bytes) -> None:
    body = b"[" + piece * ((MAX_BODY - 4) // len(piece)) + b"0]"
    began = time.process_time()

    line = ask(Raw(OK + b"\r\n" + body), name, call)

    assert time.process_time() - began < 3
    assert "bytes" not in line


@pytest.mark.parametrize("head", [b"X: " + b"y" * 90_000, b"X: y\r\n" * 15_000, b"A" * 90_000 + b": y"], ids=len)
def test_a_large_head_is_refused_with_little_memory(head: bytes) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with RawServer(lambda _: Raw(OK + head + b"\r\nContent-Length: 2\r\n\r\n{}")) as server, Client() as client:
        provider = provider_at(Endpoint(server.url, 5.0), "kraken", client, FakeClock(NOW_MS))
        with pytest.raises(ProviderError, match="not HTTP"):
            provider.latest()

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 10_000  # kB


def test_the_largest_page_that_is_asked_for_is_read() -> None:
    minutes = HOUR_MS // 60_000 * 24 * 6 + 1360  # 10 000, the most that an exchange sends
    first_ms = NOW_MS // 60_000 * 60_000 - minutes * 60_000
    prices = "123456.54321,123456.54321,123456.54322,123456.54320,0.12345678900000001"
    rows = ",".join(f"[{first_ms + number * 60_000},{prices}]" for number in range(minutes))

    with RawServer(lambda _: Raw(OK + b"\r\n" + f"[{rows}]".encode())) as server, Client() as client:
        provider = provider_at(Endpoint(server.url, 30.0), "bitfinex", client, FakeClock(NOW_MS))
        candles = provider.candles(Span(first_ms, first_ms + minutes * 60_000))

    assert len(candles.candles) == minutes == 10_000


def test_a_value_is_quoted_in_part_however_large_it_is() -> None:
    deep: Any = []
    for _ in range(50_000):
        deep = [deep]
    values = (["x" * 10**6] * 1000, {"k" * 10**6: 1}, deep, [[]] * 10**6, 10**100_000)

    with within(0.5, 1):
        lines = [quoted(value) for value in values]

    assert all(len(line) <= 63 and line.isprintable() for line in lines)


# Redirects

LOCATIONS = [
    *["about:blank", "mailto:me@example.com", "data:text/html,x", "ftp://example.com/", "javascript:alert(1)", "//"],
    *["http://", "https://[::1", "http://a:99999/", "?", "#", "", "http://\x1b[31m/", "\xff\xfe", "/next", "x" * 5000],
    *["http://elsewhere.test/", "http://me:hunter2@elsewhere.test/?key=1"],
]


@pytest.mark.parametrize("code", [301, 303, 308])
@pytest.mark.parametrize("location", LOCATIONS, ids=quoted)
def test_a_redirect_is_refused_with_where_it_leads(code: int, location: str) -> None:
    line = ask(Raw(f"HTTP/1.1 {code} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode("latin-1")))

    assert f"HTTP {code}" in line or "no HTTP" in line  # which a control character is not
    assert "redirects" in line or "no HTTP" in line


def test_a_key_does_not_go_where_a_redirect_leads() -> None:
    with RawServer(lambda _: Raw(OK + b"\r\n{}")) as elsewhere:
        moved = f"HTTP/1.1 307 Moved\r\nLocation: {elsewhere.url}/\r\nContent-Length: 0\r\n\r\n".encode()
        line = ask(Raw(moved), "coinmarketcap")

        assert elsewhere.url in line
        assert not elsewhere.requests


# Cookies


@pytest.mark.parametrize("name", ON_HTTP)
def test_no_cookie_is_kept(name: str, opened: Opened, exchanges: Exchanges) -> None:
    provider = opened(name)
    exchanges.fault(name, Fault(headers={"Set-Cookie": "session=" + "x" * 4000 + "; Path=/"}))

    provider.latest()
    provider.latest()

    assert not any("cookie" in request.headers for request in exchanges.requests)


# Waits

LIMIT = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 120\r\n"
BROKEN = {
    "cut": Raw(LIMIT + b"Content-Length: 9\r\n\r\n{"),
    "too large": Raw(LIMIT + b"\r\n" + b"x" * (MAX_BODY + 1)),
    "no chunks": Raw(LIMIT + b"Transfer-Encoding: chunked\r\n\r\nno chunk\r\n"),
    "no gzip": Raw(LIMIT + b"Content-Encoding: gzip\r\nContent-Length: 0\r\n\r\n"),
    "unknown packing": Raw(LIMIT + b"Content-Encoding: br\r\n\r\nx"),
    "said twice": Raw(LIMIT + b"Retry-After: 120\r\n\r\n"),
    "said with a fraction": Raw(LIMIT.replace(b"120", b"120.5") + b"\r\n"),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_limit_counts_however_its_answer_ends(broken: str) -> None:
    with RawServer(lambda _: BROKEN[broken]) as server, Client() as client:
        provider = provider_at(Endpoint(server.url), "kraken", client, FakeClock(NOW_MS))
        with pytest.raises(ProviderLimited) as raised:
            provider.latest()

    assert raised.value.until_ms == NOW_MS + 120_000
    assert len(server.requests) == 1


@pytest.mark.parametrize("left", [0, 1, 2])
def test_no_budget_makes_a_provider_wait_for_more_than_32_days(left: int) -> None:
    provider = with_key(Answers({KEY_INFO: key_info(left, "2099-01-01T00:00:00.000Z"), QUOTES: quotes()}))

    if left:
        until_ms = provider.latest().not_before_ms
    else:
        with pytest.raises(ProviderLimited) as raised:
            provider.latest()
        until_ms = raised.value.until_ms

    assert until_ms == NOW_MS + LONGEST_WAIT_MS == NOW_MS + 32 * DAY_MS


def test_a_month_that_is_used_up_ends_within_32_days() -> None:
    refused = reply(429, status(1010, "monthly limit"))

    with pytest.raises(ProviderLimited) as raised:
        with_key(Answers({KEY_INFO: key_info(5, "2099-01-01T00:00:00.000Z"), QUOTES: refused})).latest()

    assert raised.value.until_ms == NOW_MS + LONGEST_WAIT_MS


def test_a_budget_that_was_reset_in_the_past_is_not_asked_for_all_the_time() -> None:
    provider = with_key(Answers({KEY_INFO: key_info(0, "2025-01-01T00:00:00.000Z"), QUOTES: quotes()}))

    with pytest.raises(ProviderLimited) as raised:
        provider.latest()

    assert raised.value.until_ms >= NOW_MS + 60_000


def test_credits_that_come_back_early_are_found_within_a_day() -> None:
    table = {KEY_INFO: key_info(0, "2099-01-01T00:00:00.000Z"), QUOTES: quotes()}
    answers = Answers(table)
    provider = with_key(answers)
    with pytest.raises(ProviderLimited) as raised:
        provider.latest()
    states = {provider.name: note_failure(raised.value, ProviderState(), provider.key_id, NOW_MS)}

    table[KEY_INFO] = key_info(100)
    answers.clock.advance(DAY_MS)

    assert split([provider], states, NOW_MS + DAY_MS - 1)[0] == []
    assert split([provider], states, NOW_MS + DAY_MS) == ([provider], ())
    assert provider.latest().credits_left == 99
