"""Bitfinex."""

from btcts.domain.model import Candles, Reading, Span
from btcts.errors import ProviderError
from btcts.providers.api import Answer, Api
from btcts.providers.base import UNBOUNDED_MS, expect_shape, parse_ms, parse_price, quoted
from btcts.providers.pages import Paging, Row, drop_unclosed, find_closed_part, parse_rows, read_candles

PRODUCT = "tBTCUSD"
PAGING = Paging(unit_ms=1, minutes=10_000)


class Bitfinex:
    """Bitfinex, keyless.

    https://docs.bitfinex.com/reference/rest-public-trades
    https://docs.bitfinex.com/reference/rest-public-candles

    The ticker has no time, so the price is that of the latest trade: [id, ms, amount, price]. Candles: newest
    first unless sort=1, ms, [time, open, CLOSE, HIGH, LOW, volume] as numbers, at most 10 000 a request, the
    running minute included, a minute without trades left out, [] when all are. 15 requests a minute for trades, 30
    for candles.
    """

    name = "bitfinex"
    key_id = ""
    reach_ms = UNBOUNDED_MS
    page_minutes = PAGING.minutes
    bulky = False

    def __init__(self, api: Api) -> None:
        self._api = api

    def latest(self) -> Reading:
        """Return the last trade."""
        answer = self._ask(f"/v2/trades/{PRODUCT}/hist", {"limit": 1, "sort": -1})
        with expect_shape(self.name, answer.payload) as trades:
            price = parse_price(self.name, trades[0][3])
            traded_ms = parse_ms(self.name, trades[0][1])
        return Reading(self.name, price, answer.observed_ms, traded_ms, answer.date_ms)

    def candles(self, span: Span) -> Candles:
        """Return the candles of `span`; one request for 25 hours."""
        covered = find_closed_part(span, self._api.clock.now_ms(), self.reach_ms)
        return drop_unclosed(read_candles(self.name, covered, PAGING, self._fetch_rows), self._api.source_ms)

    def _fetch_rows(self, page: Span) -> list[Row]:
        query: dict[str, str | int] = {
            "start": page.start_ms,
            "end": page.end_ms - 1,
            "limit": len(page.minutes()),
            "sort": 1,
        }
        rows = self._ask(f"/v2/candles/trade:1m:{PRODUCT}/hist", query).payload
        return parse_rows(self.name, rows, lambda row: Row(row[0], row[1], row[3], row[4], row[2], row[5]))

    def _ask(self, path: str, query: dict[str, str | int]) -> Answer:
        answer = self._api.fetch_json(path, query)
        # ["error", code, message] or an object, in place of rows
        if not isinstance(answer.payload, list) or answer.payload[:1] == ["error"]:
            raise ProviderError(self.name, f"refused: {quoted(answer.payload)}")
        return answer
