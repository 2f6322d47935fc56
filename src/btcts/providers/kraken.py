"""Kraken."""

from typing import Any

from btcts.domain.model import MINUTE_MS, Candles, Reading, Span
from btcts.errors import ProviderError
from btcts.providers.api import Answer, Api
from btcts.providers.base import expect_shape, parse_ms, parse_price, quoted
from btcts.providers.pages import Paging, Row, drop_unclosed, find_closed_part, parse_rows, read_candles

PRODUCT = "XBTUSD"
PAGING = Paging(unit_ms=1000, minutes=720, every_minute=True)

_WAITS_MS = {
    "EAPI:Rate limit exceeded": 60_000,
    "EGeneral:Too many requests": 60_000,
    "EGeneral:Temporary lockout": 900_000,
}


class Kraken:
    """Kraken, keyless.

    https://docs.kraken.com/api/docs/rest-api/get-recent-trades
    https://docs.kraken.com/api/docs/rest-api/get-ohlc-data

    Errors come with HTTP 200; those that begin with a W are warnings. The ticker has no time, so the price is that of
    the latest trade: [price, volume, unix seconds with a fraction, ...], ascending. Candles: ascending, unix seconds,
    [time, open, high, low, close, vwap, volume, count] with texts for prices, the running minute always last, a flat
    row with count 0 for a minute without trades. Whatever `since` says, only the newest 720 rows are served; it
    excludes its own minute (ccxt#2786). About one request a second.
    """

    name = "kraken"
    key_id = ""
    page_minutes = PAGING.minutes
    bulky = False

    reach_ms = 719 * MINUTE_MS
    """720 rows, one of which may be the running minute."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def latest(self) -> Reading:
        """Return the last trade."""
        answer, trades = self._ask("/0/public/Trades", {"pair": PRODUCT, "count": 1})
        with expect_shape(self.name, trades):
            price = parse_price(self.name, trades[-1][0])
            traded_ms = parse_ms(self.name, trades[-1][2], unit_ms=1000)
        return Reading(self.name, price, answer.observed_ms, traded_ms, answer.date_ms)

    def candles(self, span: Span) -> Candles:
        """Return the candles of the part of `span` that lies in the last twelve hours; one request."""
        covered = find_closed_part(span, self._api.clock.now_ms(), self.reach_ms)
        return drop_unclosed(read_candles(self.name, covered, PAGING, self._fetch_rows), self._api.source_ms)

    def _fetch_rows(self, page: Span) -> list[Row]:
        since_s = (page.start_ms - MINUTE_MS) // 1000
        _, rows = self._ask("/0/public/OHLC", {"pair": PRODUCT, "interval": 1, "since": since_s})
        return parse_rows(self.name, rows, lambda row: Row(row[0], row[1], row[2], row[3], row[4], row[7]))

    def _ask(self, path: str, query: dict[str, str | int]) -> tuple[Answer, Any]:
        answer = self._api.fetch_json(path, query)
        with expect_shape(self.name, answer.payload) as payload:
            errors = (error for error in payload["error"] if not (isinstance(error, str) and error.startswith("W")))
            if (error := next(errors, None)) is not None:
                raise self._build_refusal(error)
            # The product comes back under another name, such as XXBTZUSD; the only other key is `last`.
            (rows,) = (rows for key, rows in payload["result"].items() if key != "last")
        return answer, rows

    def _build_refusal(self, error: object) -> ProviderError:
        problem = f"refused: {quoted(error)}"
        if isinstance(error, str) and error in _WAITS_MS:
            return self._api.build_limited(problem, _WAITS_MS[error])
        return ProviderError(self.name, problem)
