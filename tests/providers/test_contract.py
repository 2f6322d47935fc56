"""The contract of every provider, against the local exchanges."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btcts import __version__
from btcts.config import BTC_USD
from btcts.domain.model import HOUR_MS, MINUTE_MS, Candle, Candles, Reading, Span
from btcts.errors import ProviderLimited
from btcts.providers import open_providers
from btcts.providers.base import UNBOUNDED_MS, Provider
from providers.opening import ALL, CLOSED_MS, EXCHANGES, KEY, NOW_MS, ON_HTTP, PAGING, Answers, Opened, reply
from support.clocks import FakeClock
from support.exchanges import Exchanges, Fault, SimulatedMarket, ThinMarket

WINDOW = Span(CLOSED_MS - 25 * HOUR_MS, CLOSED_MS)

BOUNDED = [name for name, kind in EXCHANGES.items() if kind.reach_ms < UNBOUNDED_MS]
LENGTHS = [
    pages * paging.minutes - (pages - 1) + more
    for paging in PAGING.values()
    for pages in (1, 2)
    for more in (-1, 0, 1)
    if pages * paging.minutes <= 25 * 60
]
"""Minutes that fill one page of an exchange, or two that overlap by one minute, and one less or more."""


def find_served(span: Span, reach_ms: int) -> Span | None:
    """The closed minutes of a span that lie within the reach of a provider."""
    oldest_ms = max(span.start_ms, NOW_MS - reach_ms)
    served = [minute for minute in span.minutes() if oldest_ms <= minute < CLOSED_MS]
    return Span(served[0], served[-1] + MINUTE_MS) if served else None


def candles_of(market: SimulatedMarket, span: Span) -> tuple[Candle, ...]:
    """Return the candles of the market itself."""
    found = ((start_ms, market.candle(start_ms)) for start_ms in span.minutes())
    return tuple(Candle(start_ms, *traded[:4]) for start_ms, traded in found if traded)


@pytest.mark.parametrize("name", EXCHANGES)
def test_the_price_is_that_of_the_last_trade_with_its_time(
    name: str, opened: Opened, exchanges: Exchanges, market: ThinMarket
) -> None:
    provider = opened(name)
    reading = provider.latest()

    assert reading == Reading(
        name,
        market.price(NOW_MS),
        observed_ms=NOW_MS,
        traded_ms=market.traded_ms(NOW_MS),
        date_ms=NOW_MS // 1000 * 1000,
    )


@pytest.mark.parametrize("name", EXCHANGES)
def test_a_provider_that_notices_no_trades_is_known_by_its_own_time(
    name: str, opened: Opened, exchanges: Exchanges, market: ThinMarket
) -> None:
    frozen_ms = CLOSED_MS - 10 * MINUTE_MS
    exchanges.fault(name, Fault(frozen_ms=frozen_ms))

    provider = opened(name)
    reading = provider.latest()

    assert reading.price == market.price(frozen_ms)
    assert reading.traded_ms == market.traded_ms(frozen_ms)


@pytest.mark.parametrize("name", ON_HTTP)
def test_the_date_of_the_answer_is_handed_on(name: str, opened: Opened, exchanges: Exchanges) -> None:
    exchanges.fault(name, Fault(skew_ms=25_000))

    provider = opened(name)
    reading = provider.latest()

    assert reading.date_ms == (NOW_MS + 25_000) // 1000 * 1000


@pytest.mark.parametrize("name", EXCHANGES)
def test_the_candles_are_those_of_the_market_and_quiet_minutes_have_none(
    name: str, opened: Opened, exchanges: Exchanges, market: ThinMarket
) -> None:
    span = Span(CLOSED_MS - 660 * MINUTE_MS, CLOSED_MS - 590 * MINUTE_MS)

    provider = opened(name)
    candles = provider.candles(span)

    assert candles == Candles(name, span, candles_of(market, span))
    assert 0 < len(candles.candles) < len(span.minutes()) - 40


@pytest.mark.parametrize("name", EXCHANGES)
def test_a_window_of_25_hours_takes_at_most_six_requests(
    name: str, opened: Opened, exchanges: Exchanges, market: ThinMarket
) -> None:
    provider = opened(name)
    candles = provider.candles(WINDOW)

    served = find_served(WINDOW, provider.reach_ms)
    assert served
    assert candles == Candles(name, served, candles_of(market, served))
    assert len(exchanges.requests) <= 6


@pytest.mark.parametrize("name", EXCHANGES)
def test_one_minute_takes_one_request(name: str, opened: Opened, exchanges: Exchanges, market: ThinMarket) -> None:
    span = Span(CLOSED_MS - MINUTE_MS, CLOSED_MS)

    provider = opened(name)
    candles = provider.candles(span)

    assert candles == Candles(name, span, candles_of(market, span))
    assert len(exchanges.requests) == 1


@pytest.mark.parametrize("name", [*EXCHANGES, "simulated"])
def test_the_running_minute_never_counts(name: str, opened: Opened, exchanges: Exchanges) -> None:
    provider = opened(name)
    candles = provider.candles(Span(CLOSED_MS - 30 * MINUTE_MS, CLOSED_MS + HOUR_MS))

    assert candles.covered == Span(CLOSED_MS - 30 * MINUTE_MS, CLOSED_MS)
    assert candles.candles[-1].start_ms < CLOSED_MS


@pytest.mark.parametrize(("seconds", "closed"), [(0, 1), (4.999, 1), (5, 2), (59.999, 2)])
@pytest.mark.parametrize("name", [*EXCHANGES, "simulated"])
def test_a_minute_is_closed_five_seconds_after_its_end(
    name: str, seconds: float, closed: int, market: ThinMarket, opened: Opened
) -> None:
    clock = FakeClock(CLOSED_MS + round(seconds * 1000))

    with Exchanges(market, now_ms=clock.now_ms) as exchanges:
        provider = opened(name, at=exchanges, by=clock)
        candles = provider.candles(Span(CLOSED_MS - 2 * MINUTE_MS, CLOSED_MS + MINUTE_MS))

    assert candles.covered == Span(CLOSED_MS - 2 * MINUTE_MS, CLOSED_MS - (2 - closed) * MINUTE_MS)


@pytest.mark.parametrize(
    "span",
    [
        Span(CLOSED_MS, CLOSED_MS + MINUTE_MS),
        Span(CLOSED_MS + 1, CLOSED_MS + 2),
        Span(CLOSED_MS - 90_000, CLOSED_MS - 31_000),
    ],
    ids=["running", "future", "less than a minute"],
)
@pytest.mark.parametrize("name", ALL)
def test_a_span_without_a_closed_minute_takes_no_request(
    name: str, span: Span, opened: Opened, exchanges: Exchanges
) -> None:
    provider = opened(name)
    candles = provider.candles(span)

    assert candles == Candles(name, None, ())
    assert not exchanges.requests


@pytest.mark.parametrize("name", [*BOUNDED, "coinmarketcap"])
def test_what_lies_beyond_the_reach_takes_no_request(name: str, opened: Opened, exchanges: Exchanges) -> None:
    provider = opened(name)
    end_ms = NOW_MS - provider.reach_ms
    candles = provider.candles(Span(end_ms - HOUR_MS, end_ms))

    assert candles == Candles(name, None, ())
    assert not exchanges.requests


@pytest.fixture(scope="module")
def all_of_them(market: ThinMarket) -> Iterator[dict[str, Provider]]:
    """Every provider with candles, on exchanges that stay for the whole module."""
    clock = FakeClock(NOW_MS)
    with (
        Exchanges(market, now_ms=clock.now_ms) as exchanges,
        open_providers(EXCHANGES, exchanges.endpoints(), market=BTC_USD, clock=clock) as providers,
    ):
        yield {provider.name: provider for provider in providers}


@pytest.mark.parametrize("name", EXCHANGES)
@given(
    minutes_ago=st.integers(0, 1500),
    minutes=st.one_of(st.integers(1, 60), st.sampled_from(LENGTHS)),
    aside_ms=st.integers(-59_999, 59_999),
)
@settings(max_examples=25, deadline=None)
def test_no_minute_is_lost_at_the_edge_of_a_page(
    name: str, all_of_them: dict[str, Provider], market: ThinMarket, minutes_ago: int, minutes: int, aside_ms: int
) -> None:
    start_ms = CLOSED_MS - minutes_ago * MINUTE_MS + aside_ms
    span = Span(start_ms, start_ms + minutes * MINUTE_MS)
    provider = all_of_them[name]

    candles = provider.candles(span)

    covered = find_served(span, provider.reach_ms)
    assert candles == Candles(name, covered, candles_of(market, covered) if covered else ())


@pytest.mark.parametrize("name", ON_HTTP)
def test_a_provider_introduces_itself_and_keeps_its_connection(name: str, opened: Opened, exchanges: Exchanges) -> None:
    provider = opened(name)
    provider.latest()
    provider.latest()

    agents = {request.headers["user-agent"] for request in exchanges.requests}
    assert agents == {f"btcts/{__version__}"}
    assert len({request.connection for request in exchanges.requests}) == 1


@pytest.mark.parametrize("name", ON_HTTP)
def test_the_key_goes_to_coinmarketcap_alone_and_in_a_header(name: str, opened: Opened, exchanges: Exchanges) -> None:
    provider = opened(name)
    provider.latest()

    shown = {header for request in exchanges.requests for header, value in request.headers.items() if KEY in value}
    assert shown == ({"x-cmc_pro_api_key"} if name == "coinmarketcap" else set())
    assert not any(KEY in str((request.path, request.query)) for request in exchanges.requests)


@pytest.fixture(params=["America/New_York", "Asia/Kathmandu", "UTC"])
def _zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The time zone of the process."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_zone")
@pytest.mark.parametrize("name", ALL)
def test_times_do_not_depend_on_the_time_zone(
    name: str, opened: Opened, exchanges: Exchanges, market: ThinMarket
) -> None:
    span = Span(CLOSED_MS - 10 * MINUTE_MS, CLOSED_MS)

    provider = opened(name)
    reading, candles = provider.latest(), provider.candles(span)

    assert 0 <= NOW_MS - reading.observed_ms < MINUTE_MS
    assert reading.traded_ms is not None
    assert 0 <= NOW_MS - reading.traded_ms < MINUTE_MS
    assert candles.covered == (None if name == "coinmarketcap" else span)
    if name in EXCHANGES:
        assert candles.candles == candles_of(market, span)


@pytest.mark.parametrize("name", [name for name in ON_HTTP if name != "coinmarketcap"])
def test_a_minute_that_is_not_over_by_the_providers_own_clock_is_left_out(
    name: str, opened: Opened, exchanges: Exchanges
) -> None:
    exchanges.fault(name, Fault(skew_ms=-2 * MINUTE_MS))

    candles = opened(name).candles(Span(CLOSED_MS - 9 * MINUTE_MS, CLOSED_MS))

    assert candles.covered
    assert CLOSED_MS - 3 * MINUTE_MS <= candles.covered.end_ms <= CLOSED_MS - MINUTE_MS
    assert all(candle.start_ms in candles.covered for candle in candles.candles)


def test_an_answer_without_a_date_counts_by_our_clock() -> None:
    dates = iter([{"Date": "Thu, 01 Jan 2026 11:00:34 GMT"}, {}])
    api = Answers(lambda _: reply(200, {}, next(dates))).api("kraken")

    api.fetch_json("/")
    late_ms = api.source_ms
    api.fetch_json("/")

    assert (late_ms, api.source_ms) == (NOW_MS - HOUR_MS + 433, NOW_MS)


def test_the_clock_of_another_answer_does_not_tell_which_candles_are_over(
    opened: Opened, exchanges: Exchanges, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchanges.fault("bitfinex", Fault(path="candles", skew_ms=-2 * MINUTE_MS))
    provider = opened("bitfinex")
    fetch = provider._fetch_rows

    def fetch_beside_a_price(page: Span) -> object:
        rows = fetch(page)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(provider.latest).result()
        return rows

    # A price that comes between the answer and the look at its clock: no server can time that.
    monkeypatch.setattr(provider, "_fetch_rows", fetch_beside_a_price)
    candles = provider.candles(Span(CLOSED_MS - 9 * MINUTE_MS, CLOSED_MS))

    assert candles.covered
    assert candles.covered.end_ms <= CLOSED_MS - MINUTE_MS


def cached(age_s: int) -> Fault:
    """A reply that a cache has kept for so long."""
    return Fault(headers={"Age": str(age_s)}, skew_ms=-age_s * 1000)


@pytest.mark.parametrize("name", EXCHANGES)
def test_a_reply_out_of_a_cache_tells_the_time_of_now_and_a_price_of_then(
    name: str, opened: Opened, exchanges: Exchanges
) -> None:
    fresh = opened(name).latest()
    exchanges.fault(name, cached(40))

    kept = opened(name).latest()

    assert kept.date_ms == fresh.date_ms
    assert kept.observed_ms == fresh.observed_ms - 40_000


@pytest.mark.parametrize("name", EXCHANGES)
def test_candles_out_of_a_cache_are_final_as_far_as_they_were_when_it_took_them(
    name: str, opened: Opened, exchanges: Exchanges
) -> None:
    span = Span(NOW_MS - 10 * MINUTE_MS, NOW_MS)
    fresh = opened(name).candles(span)
    exchanges.fault(name, cached(3 * 60))

    kept = opened(name).candles(span)

    assert fresh.covered
    assert kept.covered
    assert kept.covered.end_ms == fresh.covered.end_ms - 3 * MINUTE_MS


def test_a_date_to_wait_for_in_a_reply_out_of_a_cache_counts_from_now(opened: Opened, exchanges: Exchanges) -> None:
    until = formatdate((NOW_MS + MINUTE_MS) // 1000, usegmt=True)
    exchanges.fault("kraken", Fault(status=429, headers={"Retry-After": until, "Age": "30"}, skew_ms=-30_000))

    with pytest.raises(ProviderLimited) as caught:
        opened("kraken").latest()

    assert NOW_MS + MINUTE_MS - 1000 <= caught.value.until_ms <= NOW_MS + MINUTE_MS + 1000


@pytest.mark.parametrize("age", ["-5", "1.5", "5, 7", "", "9" * 30])
def test_what_is_no_age_counts_for_nothing(age: str, opened: Opened, exchanges: Exchanges) -> None:
    fresh = opened("kraken").latest()
    exchanges.fault("kraken", Fault(headers={"Age": age}))

    assert opened("kraken").latest() == fresh
