"""CoinMarketCap: an aggregator with a monthly budget of credits."""

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from btcts.domain.model import DAY_MS, HOUR_MS, LONGEST_WAIT_MS, MINUTE_MS, Candles, Reading, Span
from btcts.errors import Problem, ProviderError, ProviderLimited, ProviderStopped
from btcts.providers.api import Answer, Api
from btcts.providers.base import expect_shape, iso, parse_credits, parse_iso_ms, parse_price, quoted, read_whole
from btcts.providers.http import Reply

QUOTES = "/v3/cryptocurrency/quotes/latest"
KEY_INFO = "/v1/key/info"
KEY_HEADER = "X-CMC_PRO_API_KEY"
KEYLESS = "/public-api"
BITCOIN = 1

NOT_SENT = {"names", "route", "refused", "certificate", "proxy"}
"""Causes that prove that a request was never sent and cost no credit."""

SPACING_MS = 300_000
"""Wait between calls when the budget is unknown; at this rate the smallest plan, 10 000 credits, lasts a month."""

_STOPS = {
    1001: "the key is invalid: correct API_KEY",
    1002: "the key is missing: set API_KEY",
    1003: "the plan of the key is not activated: see pro.coinmarketcap.com/account/plan",
    1004: "the plan of the key is not paid: see pro.coinmarketcap.com/account/plan",
    1005: "a key is required: set API_KEY",
    1006: "the plan of the key lacks this call: change the plan, or drop coinmarketcap from the providers",
    1007: "the key is disabled: set another API_KEY",
}
"""The remedy for the user, by error code."""


@dataclass(frozen=True, slots=True)
class Budget:
    """The credits left until `reset_ms`, as of `read_ms`."""

    credits_left: int
    reset_ms: int
    read_ms: int

    def is_fresh(self, now_ms: int) -> bool:
        """Tell whether the budget was read within the last hour and has not been reset since."""
        return self.read_ms <= now_ms < min(self.read_ms + HOUR_MS, self.reset_ms)

    def find_next_ms(self, now_ms: int) -> int:
        """Return the time of the next call: credits should outlast the period by a tenth, calls be a minute apart."""
        wait_ms = self.reset_ms - now_ms
        if self.credits_left:
            wait_ms = -(-wait_ms * 11 // (self.credits_left * 10_000)) * 1000
        return now_ms + min(max(wait_ms, MINUTE_MS), LONGEST_WAIT_MS)


class CoinMarketCap:
    """CoinMarketCap, with a key or, at a lower rate, without.

    https://coinmarketcap.com/api/documentation
    https://coinmarketcap.com/api/documentation/guides/errors-and-rate-limits

    A quote is a JSON number with a time of its own, renewed about once a minute; assets and quotes are arrays in no
    promised order. Each answer has a `status` whose `error_code` may be a text, and other than 0 with HTTP 200 too.
    There are no one-minute candles. A quote costs a credit, and so may an unusable answer; `key/info` is free.
    """

    name = "coinmarketcap"
    reach_ms = 0
    page_minutes = 0
    bulky = False

    def __init__(self, api: Api, api_key: str | None) -> None:
        self._api = api
        self._api_key = api_key
        self._budget: Budget | None = None

    @property
    def key_id(self) -> str:
        """Digest of the key."""
        return hashlib.sha256(self._api_key.encode()).hexdigest()[:12] if self._api_key else ""

    def latest(self) -> Reading:
        """Return the price at CoinMarketCap's own time, with the time of the next call and the credits left.

        Raises:
            ProviderLimited: no credits are left; no request is sent then.
        """
        self._budget = self._read_budget()
        if self._budget and not self._budget.credits_left:
            until_ms = self._find_next_ms(self._api.clock.now_ms())
            raise ProviderLimited(self.name, f"no credits left until {iso(until_ms)}", until_ms=until_ms)
        try:
            answer = self._ask(QUOTES, {"id": BITCOIN, "convert": "USD"})
            price, time_ms, spent = self._read_quote(answer.payload)
        except (ProviderLimited, ProviderStopped):
            raise
        except ProviderError as exc:
            if isinstance(exc.problem, Problem) and exc.problem.cause in NOT_SENT:
                raise
            # An unusable answer may still have cost a credit.
            raise ProviderLimited(
                self.name, exc.problem, until_ms=self._find_next_ms(self._api.clock.now_ms())
            ) from exc
        if self._budget:
            self._budget = replace(self._budget, credits_left=max(0, self._budget.credits_left - spent))
        credits_left = self._budget.credits_left if self._budget else None
        next_ms = self._find_next_ms(answer.received_ms)
        return Reading(self.name, price, time_ms, time_ms, answer.date_ms, next_ms, credits_left)

    def _find_next_ms(self, now_ms: int) -> int:
        """Return the time of the next call, also after an unusable answer, which may have cost a credit."""
        return self._budget.find_next_ms(now_ms) if self._budget else now_ms + SPACING_MS

    def candles(self, span: Span) -> Candles:
        """Return no candles: the shortest interval on offer is five minutes."""
        return Candles(self.name, None, ())

    def _read_quote(self, payload: Any) -> tuple[float, int, int]:
        with expect_shape(self.name, payload):
            (asset,) = (asset for asset in payload["data"] if asset["id"] == BITCOIN)
            (quote,) = (quote for quote in asset["quote"] if quote["symbol"] == "USD")
            price = parse_price(self.name, quote["price"])
            time_ms = parse_iso_ms(self.name, quote["last_updated"])
            return price, time_ms, parse_credits(self.name, payload["status"]["credit_count"])

    def _read_budget(self) -> Budget | None:
        now_ms = self._api.clock.now_ms()
        if not self._api_key or (self._budget and self._budget.is_fresh(now_ms)):
            return self._budget
        try:
            with expect_shape(self.name, self._ask(KEY_INFO, {}).payload) as payload:
                plan, usage = payload["data"]["plan"], payload["data"]["usage"]
                credits_left = parse_credits(self.name, usage["current_month"]["credits_left"])
                reset_ms = parse_iso_ms(self.name, plan["credit_limit_monthly_reset_timestamp"])
            return Budget(credits_left, reset_ms, now_ms)
        except ProviderError:
            return None  # if this matters, the request for the quote fails as well

    def _ask(self, path: str, query: dict[str, str | int]) -> Answer:
        reply = self._fetch(path, query)
        code, message = _read_status(reply)
        if code:
            raise self._build_refusal(code, f"error {code} ({quoted(message)})", reply)
        answer = self._api.accept(reply)
        if code is None:
            raise ProviderError(self.name, f"answered without a status: {reply.quote_body()}")
        return answer

    def _fetch(self, path: str, query: dict[str, str | int]) -> Reply:
        key = self._api_key
        if not key:
            return self._api.fetch(KEYLESS + path, query)
        if not (key.isascii() and key.isprintable() and " " not in key):
            raise ProviderStopped(self.name, "the key has characters that keys never have: correct API_KEY")
        return self._api.fetch(path, query, {KEY_HEADER: key})

    def _build_refusal(self, code: int, problem: str, reply: Reply) -> ProviderError:
        if code in _STOPS:
            return ProviderStopped(self.name, f"{problem}; {_STOPS[code]}")
        now_ms = self._api.clock.now_ms()
        until_ms = self._find_until_ms(code, now_ms)
        if until_ms is None:
            return ProviderError(self.name, problem) if reply.status == 200 else self._api.build_refusal(reply, problem)
        asked_ms = now_ms + (self._api.read_wait_ms(reply) or 0)
        return ProviderLimited(self.name, problem, until_ms=max(until_ms, asked_ms))

    def _find_until_ms(self, code: int, now_ms: int) -> int | None:
        match code:
            case 1008:  # the limit per minute
                return now_ms - now_ms % MINUTE_MS + MINUTE_MS + 1000
            case 1009:  # the credits of the day
                return now_ms - now_ms % DAY_MS + DAY_MS
            case 1010:  # the credits of the month
                reset_ms = self._budget.reset_ms if self._budget else 0
                return min(reset_ms, now_ms + LONGEST_WAIT_MS) if reset_ms > now_ms else _find_next_month_ms(now_ms)
            case 1011:  # the limit per IP address
                return now_ms + MINUTE_MS
        return None


def _read_status(reply: Reply) -> tuple[int | None, object]:
    """Return the error code of a reply (None without one) and its message."""
    try:
        status = reply.payload["status"]
        code, message = status["error_code"], status.get("error_message")
        return read_whole(str(code) if isinstance(code, int | str) else ""), message
    except (ValueError, KeyError, TypeError, AttributeError):
        return None, ""


def _find_next_month_ms(now_ms: int) -> int:
    month = datetime.fromtimestamp(now_ms / 1000, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return int((month + timedelta(days=32)).replace(day=1).timestamp() * 1000)
