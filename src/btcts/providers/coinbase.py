"""Coinbase Exchange."""

from btcts.domain.model import Candles, Reading, Span
from btcts.providers.api import Api
from btcts.providers.base import UNBOUNDED_MS, expect_shape, iso, parse_iso_ms, parse_price
from btcts.providers.pages import Paging, Row, drop_unclosed, find_closed_part, parse_rows, read_candles

PRODUCT = "/products/BTC-USD"

# 300 rows a request, both ends included. Each page requests one extra row, so that no row is lost should `end` become
# exclusive; five pages of 300 would not cover 25 hours either.
PAGING = Paging(unit_ms=1000, minutes=299)


class Coinbase:
    """Coinbase Exchange, keyless.

    https://docs.cdp.coinbase.com/api-reference/exchange-api/rest-api/products/get-product-ticker
    https://docs.cdp.coinbase.com/api-reference/exchange-api/rest-api/products/get-product-candles

    Candles: newest first, unix seconds, [time, LOW, HIGH, OPEN, close, volume] as numbers, at most 300 a request;
    without `start` or `end` both are ignored, rows may precede `start`, the running minute may be there, a minute
    without trades is left out. 10 requests a second.
    """

    name = "coinbase"
    key_id = ""
    reach_ms = UNBOUNDED_MS
    page_minutes = PAGING.minutes
    bulky = False

    def __init__(self, api: Api) -> None:
        self._api = api

    def latest(self) -> Reading:
        """Return the last trade, from the ticker, which includes its time."""
        answer = self._api.fetch_json(f"{PRODUCT}/ticker")
        with expect_shape(self.name, answer.payload) as ticker:
            price = parse_price(self.name, ticker["price"])
            traded_ms = parse_iso_ms(self.name, ticker["time"])
        return Reading(self.name, price, answer.observed_ms, traded_ms, answer.date_ms)

    def candles(self, span: Span) -> Candles:
        """Return the candles of `span`; six requests for 25 hours."""
        covered = find_closed_part(span, self._api.clock.now_ms(), self.reach_ms)
        return drop_unclosed(read_candles(self.name, covered, PAGING, self._fetch_rows), self._api.source_ms)

    def _fetch_rows(self, page: Span) -> list[Row]:
        query = {"granularity": "60", "start": iso(page.start_ms), "end": iso(page.end_ms)}
        rows = self._api.fetch_json(f"{PRODUCT}/candles", query).payload
        return parse_rows(self.name, rows, lambda row: Row(row[0], row[3], row[2], row[1], row[4], row[5]))
