"""Gemini."""

from btcts.domain.model import DAY_MS, Candles, Reading, Span
from btcts.errors import ProviderError
from btcts.providers.api import Answer, Api
from btcts.providers.base import expect_shape, parse_ms, parse_price, quoted
from btcts.providers.pages import Paging, Row, drop_unclosed, find_closed_part, parse_rows, read_candles, read_start_ms

PRODUCT = "btcusd"
PAGING = Paging(unit_ms=1, minutes=1440, every_minute=True)


class Gemini:
    """Gemini, keyless.

    https://developer.gemini.com/trading/rest-api/market-data/list-trades
    https://developer.gemini.com/trading/rest-api/market-data/list-candles

    The ticker has no time (its last price was once 41 minutes old), so the price is that of the latest trade:
    {timestampms, price, ...}, newest first. Candles: newest first, ms, [time, open, high, low, close, volume] as
    numbers, the running minute included, a flat row with volume 0 for a minute without trades; always the whole
    window of about a day, whose length is not promised. 120 requests a minute.
    """

    name = "gemini"
    key_id = ""
    reach_ms = DAY_MS
    page_minutes = PAGING.minutes
    bulky = True

    def __init__(self, api: Api) -> None:
        self._api = api

    def latest(self) -> Reading:
        """Return the last trade."""
        answer = self._ask(f"/v1/trades/{PRODUCT}", {"limit_trades": 1})
        with expect_shape(self.name, answer.payload) as trades:
            price = parse_price(self.name, trades[0]["price"])
            traded_ms = parse_ms(self.name, trades[0]["timestampms"])
        return Reading(self.name, price, answer.observed_ms, traded_ms, answer.date_ms)

    def candles(self, span: Span) -> Candles:
        """Return the candles of the part of `span` that the window covers; one request."""
        asked = find_closed_part(span, self._api.clock.now_ms(), self.reach_ms)
        if asked is None:
            return Candles(self.name, None, ())
        rows = self._fetch_rows()
        oldest_ms = min((read_start_ms(self.name, row, PAGING.unit_ms) for row in rows), default=asked.start_ms)
        covered = Span(max(asked.start_ms, oldest_ms), asked.end_ms) if oldest_ms < asked.end_ms else None
        return drop_unclosed(read_candles(self.name, covered, PAGING, lambda _: rows), self._api.source_ms)

    def _fetch_rows(self) -> list[Row]:
        rows = self._ask(f"/v2/candles/{PRODUCT}/1m", {}).payload
        return parse_rows(self.name, rows, lambda row: Row(row[0], row[1], row[2], row[3], row[4], row[5]))

    def _ask(self, path: str, query: dict[str, str | int]) -> Answer:
        answer = self._api.fetch_json(path, query)
        # {"result": "error", "reason": ..., "message": ...} in place of rows
        if isinstance(answer.payload, dict):
            raise ProviderError(self.name, f"refused: {quoted(answer.payload)}")
        return answer
