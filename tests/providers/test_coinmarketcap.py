"""Peculiarities of CoinMarketCap: its errors, and a budget that must last for the month."""

from typing import Any

import pytest

from btcts.domain.model import HOUR_MS, MINUTE_MS, Candles, Span
from btcts.errors import ProviderError, ProviderLimited, ProviderStopped
from btcts.providers.base import parse_iso_ms
from btcts.providers.coinmarketcap import Budget, CoinMarketCap
from providers.opening import KEY, NOW_MS, Answers, Opened, reply
from support.exchanges import Exchanges, Fault
from support.wording import Wording

wording = Wording(__file__)

QUOTES = "/v3/cryptocurrency/quotes/latest"
KEY_INFO = "/v1/key/info"
UPDATED = "2026-01-01T11:58:52.000Z"
FEBRUARY_MS = 1_769_904_000_000


def status(code: Any = "0", message: str = "", spent: Any = 1) -> dict[str, Any]:
    """The status of an answer."""
    return {"status": {"timestamp": UPDATED, "error_code": code, "error_message": message, "credit_count": spent}}


def quotes(price: Any = 83799.62851049942, **changes: Any) -> dict[str, Any]:
    """A good answer, our asset and our quote not the first ones."""
    euro = {"id": 2790, "symbol": "EUR", "price": 1, "last_updated": UPDATED}
    dollar = {"id": 2781, "symbol": "USD", "price": price, "last_updated": UPDATED} | changes
    asset = {"id": 1, "symbol": "BTC", "last_updated": "2026-01-01T12:00:00.000Z", "quote": [euro, dollar]}
    return {"data": [{"id": 825, "symbol": "USDT", "quote": [dollar]}, asset], **status()}


def key_info(left: int, reset: str = "2026-02-01T00:00:00.000Z") -> dict[str, Any]:
    """The answer about the credits that a key has left."""
    plan = {"credit_limit_monthly": 15000, "credit_limit_monthly_reset_timestamp": reset, "rate_limit_minute": 50}
    month = {"credits_used": 15000 - left, "credits_left": left}
    return {"data": {"plan": plan, "usage": {"current_day": {"credits_used": 18}, "current_month": month}}} | status(0)


def with_key(answers: Answers) -> CoinMarketCap:
    """The provider with a key."""
    return CoinMarketCap(answers.api("coinmarketcap"), KEY)


def test_the_price_is_the_dollar_quote_of_bitcoin_at_its_own_time() -> None:
    reading = with_key(Answers({KEY_INFO: key_info(9761), QUOTES: quotes()})).latest()

    assert reading.price == 83799.62851049942
    assert reading.observed_ms == reading.traded_ms == parse_iso_ms("test", UPDATED)


def test_bitcoin_is_asked_for_by_its_number_and_the_key_goes_into_a_header() -> None:
    answers = Answers({KEY_INFO: key_info(9761), QUOTES: quotes()})

    with_key(answers).latest()

    assert answers.paths == [KEY_INFO, QUOTES]
    assert answers.query == {"id": "1", "convert": "USD"}
    assert {each.headers["X-CMC_PRO_API_KEY"] for each in answers.requests} == {KEY}


def test_there_are_no_candles() -> None:
    answers = Answers({})

    assert with_key(answers).candles(Span(NOW_MS - HOUR_MS, NOW_MS)) == Candles("coinmarketcap", None, ())
    assert not answers.requests


@pytest.mark.parametrize(
    ("left", "reset", "spacing_s"),
    [
        (14_991, "2026-02-01T00:00:00.000Z", 194),  # (30.5 d) / 14 990 x 1.1 = 193.3 s
        (10_001, "2026-02-01T00:00:00.000Z", 290),
        (120_000, "2026-02-01T00:00:00.000Z", 60),
        (2, "2026-01-01T13:00:34.567Z", 3960),
    ],
)
def test_the_credits_are_spread_over_the_time_until_their_reset(left: int, reset: str, spacing_s: int) -> None:
    reading = with_key(Answers({KEY_INFO: key_info(left, reset), QUOTES: quotes()})).latest()

    assert reading.credits_left == left - 1
    assert reading.not_before_ms == NOW_MS + spacing_s * 1000


@pytest.mark.parametrize("plan", [10_000, 15_000])
def test_a_plan_lasts_for_its_month_with_a_tenth_to_spare(plan: int) -> None:
    now_ms = FEBRUARY_MS - 31 * 24 * HOUR_MS
    left = plan

    while now_ms < FEBRUARY_MS:
        left -= 1
        now_ms = Budget(left, FEBRUARY_MS, now_ms).find_next_ms(now_ms)

    assert 0 < left < plan / 5


def test_the_budget_is_read_once_an_hour() -> None:
    answers = Answers({KEY_INFO: key_info(9761), QUOTES: quotes()})
    provider = with_key(answers)

    for _ in range(12):
        provider.latest()
        answers.clock.advance(10 * MINUTE_MS)

    assert answers.paths.count(KEY_INFO) == 2


def test_the_budget_is_read_again_after_its_reset() -> None:
    answers = Answers({KEY_INFO: key_info(9761, "2026-01-01T12:01:00.000Z"), QUOTES: quotes()})
    provider = with_key(answers)

    provider.latest()
    answers.clock.advance(MINUTE_MS)
    provider.latest()

    assert answers.paths.count(KEY_INFO) == 2


def test_what_a_call_really_cost_is_counted() -> None:
    provider = with_key(Answers({KEY_INFO: key_info(100), QUOTES: quotes() | status(spent=3)}))

    assert [provider.latest().credits_left for _ in range(2)] == [97, 94]


def test_without_credits_nothing_is_asked_until_the_reset() -> None:
    answers = Answers({KEY_INFO: key_info(0), QUOTES: quotes()})

    with pytest.raises(ProviderLimited, match=" 2026-02-01T00:00:00Z") as raised:
        with_key(answers).latest()

    assert raised.value.until_ms == FEBRUARY_MS
    assert answers.paths == [KEY_INFO]


def test_with_the_last_credit_the_next_call_is_after_the_reset() -> None:
    reading = with_key(Answers({KEY_INFO: key_info(1), QUOTES: quotes()})).latest()

    assert (reading.credits_left, reading.not_before_ms) == (0, FEBRUARY_MS)


@pytest.mark.parametrize(
    "info",
    [
        reply(500, "<html>"),
        reply(429, status(1008, "limit")),
        reply(403, status(1006, "Your plan doesn't support this endpoint.")),
        {},
        status(0),
        key_info(10, "soon"),
    ],
    ids=["500", "limit", "not in the plan", "empty", "no data", "no time"],
)
def test_without_a_known_budget_the_smallest_plan_is_assumed(info: Any) -> None:
    reading = with_key(Answers({KEY_INFO: info, QUOTES: quotes()})).latest()

    assert (reading.credits_left, reading.not_before_ms) == (None, NOW_MS + 300_000)


@pytest.mark.parametrize("code", [1001, 1002, 1003, 1004, 1005, 1006, 1007])
@pytest.mark.parametrize("spell", [int, str])
def test_an_error_that_only_the_user_can_mend_stops_the_provider(code: int, spell: Any) -> None:
    refused = reply(403, status(spell(code), "This API Key is invalid."))

    with pytest.raises(ProviderStopped) as stopped:
        with_key(Answers(lambda request: refused)).latest()

    wording.check(f"error {code}", str(stopped.value))


@pytest.mark.parametrize("http", [200, 429])
@pytest.mark.parametrize(
    ("code", "until"),
    [
        (1008, "2026-01-01T12:01:01Z"),
        (1009, "2026-01-02T00:00:00Z"),
        (1010, "2026-02-01T00:00:00Z"),
        ("1008", "2026-01-01T12:01:01Z"),
    ],
)
def test_a_limit_is_waited_for(http: int, code: Any, until: str) -> None:
    refused = reply(http, status(code, "You've exceeded the limit."))

    with pytest.raises(ProviderLimited, match=f"error {code}") as raised:
        with_key(Answers(lambda request: refused)).latest()

    assert raised.value.until_ms == parse_iso_ms("test", until)


def test_the_limit_of_an_address_is_waited_for_a_minute() -> None:
    refused = reply(429, status(1011, "IP limit"))

    with pytest.raises(ProviderLimited) as raised:
        with_key(Answers(lambda request: refused)).latest()

    assert raised.value.until_ms == NOW_MS + MINUTE_MS


def test_the_month_of_a_plan_ends_when_the_plan_says() -> None:
    refused = reply(429, status(1010, "monthly limit"))
    answers = Answers({KEY_INFO: key_info(5, "2026-01-17T08:00:00.000Z"), QUOTES: refused})

    with pytest.raises(ProviderLimited) as raised:
        with_key(answers).latest()

    assert raised.value.until_ms == parse_iso_ms("test", "2026-01-17T08:00:00Z")


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "600"},
        {"x-ratelimit-reset": "2026-01-01 05:10:34 -0700", "Date": "Thu, 01 Jan 2026 12:00:34 GMT"},
    ],
    ids=["Retry-After", "x-ratelimit-reset"],
)
def test_a_limit_lasts_as_long_as_its_headers_say(headers: dict[str, str]) -> None:
    refused = reply(429, status(1008, "limit"), headers=headers)

    with pytest.raises(ProviderLimited) as raised:
        with_key(Answers(lambda request: refused)).latest()

    assert raised.value.until_ms == NOW_MS + 600_000


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (status("500", "The system is busy, please try again later!"), 'error 500 ("The system is busy'),
        (status(400, "Invalid value for id"), 'error 400 ("Invalid value for id")'),
        (quotes() | status("none"), "answered without a status"),
        ({"data": []}, "answered without a status"),
        (quotes() | {"data": []}, "unexpected shape"),
        (quotes() | {"data": {"1": {}}}, "unexpected shape"),
        (quotes(price=None), "null is not a price"),
        (quotes(price=850e9), "is not a price"),
        (quotes(last_updated="yesterday"), '"yesterday" is not a time'),
        (quotes(symbol="USDT"), "unexpected shape"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_answer_that_carries_no_price_is_an_error_whatever_its_status_and_counts_for_the_budget(
    body: dict[str, Any], said: str
) -> None:
    with pytest.raises(ProviderLimited) as raised:
        with_key(Answers({KEY_INFO: key_info(100), QUOTES: body})).latest()

    assert said in str(raised.value)
    assert raised.value.until_ms > NOW_MS + 60_000


def test_without_a_key_the_public_route_is_asked_now_and_then() -> None:
    answers = Answers({f"/public-api{QUOTES}": quotes()})

    reading = CoinMarketCap(answers.api("coinmarketcap"), None).latest()

    assert (reading.credits_left, reading.not_before_ms) == (None, NOW_MS + 300_000)
    assert "X-CMC_PRO_API_KEY" not in answers.requests[0].headers


@pytest.mark.parametrize("key", ["abc\nHost: evil.test", "clé", "two words", "\x00"])
def test_a_key_that_no_header_can_carry_stops_the_provider_unsent(key: str) -> None:
    answers = Answers({})

    with pytest.raises(ProviderStopped, match="correct API_KEY") as raised:
        CoinMarketCap(answers.api("coinmarketcap"), key).latest()

    assert key not in str(raised.value)
    assert not answers.requests


@pytest.mark.parametrize("http", [200, 403, 500])
@pytest.mark.parametrize("echo", [{"your key": KEY}, status(77, f"no such key: {KEY}"), status(1001, KEY)])
def test_an_answer_that_echoes_the_key_does_not_spread_it(http: int, echo: dict[str, Any]) -> None:
    with pytest.raises(ProviderError) as raised:
        with_key(Answers(lambda request: reply(http, echo))).latest()

    assert "***" in str(raised.value)
    assert KEY not in str(raised.value)


def test_the_local_plan_counts_and_ends(opened: Opened, exchanges: Exchanges) -> None:
    exchanges.plan.monthly, exchanges.plan.used = 15, 13

    provider = opened("coinmarketcap")
    left = [provider.latest().credits_left for _ in range(2)]

    assert left == [1, 0]
    with pytest.raises(ProviderLimited):
        provider.latest()
    assert exchanges.plan.used == 15


def test_a_fault_of_the_key_info_alone_leaves_the_price(opened: Opened, exchanges: Exchanges) -> None:
    exchanges.fault("coinmarketcap", Fault(path="key/info", status=503, body=b"busy"))

    reading = opened("coinmarketcap").latest()

    assert reading.not_before_ms == NOW_MS + 300_000
