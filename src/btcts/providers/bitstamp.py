"""Bitstamp."""

from typing import Any

from btcts.domain.model import MINUTE_MS, Candles, Reading, Span
from btcts.errors import ProviderError
from btcts.providers.api import Answer, Api
from btcts.providers.base import UNBOUNDED_MS, expect_shape, parse_ms, parse_price, quoted
from btcts.providers.pages import Paging, Row, drop_unclosed, find_closed_part, parse_rows, read_candles

PRODUCT = "btcusd"

# 1000 rows a request. Each page requests one extra row, so that no row is lost should `end` become exclusive.
PAGING = Paging(unit_ms=1000, minutes=999)


class Bitstamp:
    """Bitstamp, keyless.

    https://www.bitstamp.net/api/

    Everything is text. Candles: ascending, unix seconds, objects, at most 1000 a request; where `end` is given the
    `limit` rows up to it are served and `start` is ignored; the running minute is there unless excluded; a minute
    without trades is a flat row with volume 0 or left out. 400 requests a second.
    """

    name = "bitstamp"
    key_id = ""
    reach_ms = UNBOUNDED_MS
    page_minutes = PAGING.minutes
    bulky = False

    def __init__(self, api: Api) -> None:
        self._api = api

    def latest(self) -> Reading:
        """Return the last trade, from the ticker, which includes its time."""
        answer = self._ask(f"/api/v2/ticker/{PRODUCT}/", {})
        with expect_shape(self.name, answer.payload) as ticker:
            price = parse_price(self.name, ticker["last"])
            traded_ms = parse_ms(self.name, ticker["timestamp"], unit_ms=1000)
        return Reading(self.name, price, answer.observed_ms, traded_ms, answer.date_ms)

    def candles(self, span: Span) -> Candles:
        """Return the candles of `span`; two requests for 25 hours."""
        covered = find_closed_part(span, self._api.clock.now_ms(), self.reach_ms)
        return drop_unclosed(read_candles(self.name, covered, PAGING, self._fetch_rows), self._api.source_ms)

    def _fetch_rows(self, page: Span) -> list[Row]:
        query: dict[str, str | int] = {
            "step": MINUTE_MS // 1000,
            "limit": len(page.minutes()) + 1,
            "start": page.start_ms // 1000,
            "end": page.end_ms // 1000,
            "exclude_current_candle": "true",
        }
        answer = self._ask(f"/api/v2/ohlc/{PRODUCT}/", query)
        with expect_shape(self.name, answer.payload) as payload:
            rows = payload["data"]["ohlc"]
        return parse_rows(self.name, rows, _parse_row)

    def _ask(self, path: str, query: dict[str, str | int]) -> Answer:
        answer = self._api.fetch_json(path, query)
        with expect_shape(self.name, answer.payload) as payload:
            # {"error": ...} or {"status": "error", "reason": ..., "code": ...}
            refused = payload.get("error") or payload.get("reason")
        if refused:
            raise ProviderError(self.name, f"refused: {quoted(refused)}")
        return answer


def _parse_row(row: Any) -> Row:
    return Row(row["timestamp"], row["open"], row["high"], row["low"], row["close"], row["volume"])
