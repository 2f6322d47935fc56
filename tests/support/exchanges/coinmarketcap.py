"""CoinMarketCap: quotes renewed once a minute, and a plan whose credits are counted."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from btcts.domain.model import MINUTE_MS
from support.exchanges.view import View, utc

KEY_HEADER = "x-cmc_pro_api_key"
QUOTES = "/v3/cryptocurrency/quotes/latest"


@dataclass
class Plan:
    """The plan of every key that does not begin with "invalid"; credits renew with the month (UTC)."""

    monthly: int = 15_000
    used: int = 10
    month: int = 0

    def renew(self, now_ms: int) -> None:
        """Begin again when the month has changed."""
        month = utc(now_ms).month
        if self.month not in (0, month):
            self.used = 0
        self.month = month


def answer(view: View, path: str, headers: Mapping[str, str], plan: Plan) -> tuple[int, Any]:
    """https://coinmarketcap.com/api/documentation/guides/errors-and-rate-limits"""
    if path == f"/public-api{QUOTES}":
        return 200, _quotes(view)
    key = headers.get(KEY_HEADER)
    if key is None:
        return 401, _status(view, 1002, "API key missing.")
    if key.startswith("invalid"):
        return 401, _status(view, 1001, "This API Key is invalid.")
    plan.renew(view.now_ms)
    if path == "/v1/key/info":
        return 200, _status(view, 0, None, credits=0) | {"data": _key_info(view, plan)}
    if path != QUOTES:
        return 404, _status(view, 404, "Not Found")
    if plan.used >= plan.monthly:
        return 429, _status(view, 1010, "You've exceeded your API Key's monthly rate limit.")
    plan.used += 1
    return 200, _quotes(view)


def _quotes(view: View) -> dict[str, Any]:
    price, _ = view.last(view.known_ms // MINUTE_MS * MINUTE_MS)
    updated = _iso(view.known_ms // MINUTE_MS * MINUTE_MS)
    euro = {"id": 2790, "symbol": "EUR", "price": 1.0, "last_updated": updated}
    dollar = {"id": 2781, "symbol": "USD", "price": price, "volume_24h": 26572983571.87065, "last_updated": updated}
    tether = {"id": 825, "symbol": "USDT", "last_updated": updated, "quote": [dollar | {"price": 0.99956}]}
    asset = {"id": 1, "symbol": "BTC", "platform": None, "tvl_ratio": None, "last_updated": _iso(view.known_ms)}
    # The live v3 sends the code as text.
    return {"data": [tether, asset | {"quote": [euro, dollar]}], **_status(view, "0", "", credits=1)}


def _key_info(view: View, plan: Plan) -> dict[str, Any]:
    reset = (utc(view.now_ms).replace(day=1, hour=0, minute=0, second=0, microsecond=0) + timedelta(days=32)).replace(
        day=1
    )
    month = {"credits_used": plan.used, "credits_left": plan.monthly - plan.used}
    minute = {"requests_made": 6, "requests_left": 44}
    return {
        "plan": {
            "credit_limit_monthly": plan.monthly,
            "credit_limit_monthly_reset": "In 10 days, 7 hours, 59 minutes",
            "credit_limit_monthly_reset_timestamp": f"{reset:%Y-%m-%dT%H:%M:%S}.000Z",
            "rate_limit_minute": 50,
        },
        "usage": {"current_minute": minute, "current_day": {"credits_used": 10}, "current_month": month},
    }


def _status(view: View, code: int | str, message: str | None, credits: int = 0) -> dict[str, Any]:
    status = {"timestamp": _iso(view.now_ms), "error_code": code, "error_message": message}
    return {"status": status | {"elapsed": 3, "credit_count": credits}}


def _iso(time_ms: int) -> str:
    return f"{utc(time_ms):%Y-%m-%dT%H:%M:%S}.{time_ms % 1000:03d}Z"
