"""The newest price: one plain number for status bars and scripts, or JSON as `docs/schemas/price.json` says."""

from typing import Any

from btcts.render.documents import begin_document, dump_document
from btcts.render.figures import decimals
from btcts.services.show import PriceView


def price_text(view: PriceView) -> str:
    """Format the newest price such as `61234.56`, whatever the locale; empty when there is none."""
    if view.newest is None:
        return ""
    return f"{view.newest.price:.{decimals(view.newest.price, view.market)}f}"


def price_json(view: PriceView) -> str:
    """Encode the newest price and what is known about it."""
    return dump_document(encode_price(view))


def encode_price(view: PriceView) -> dict[str, Any]:
    """Return the fields with which every document of `show` begins."""
    newest = view.newest
    return begin_document(view.market) | {
        "simulated": view.simulated,
        "generated_ms": view.now_ms,
        "newest_ms": newest and newest.time_ms,
        "price": newest and newest.price,
        "age_s": view.age_s,
        "stale": view.stale,
        "members": view.members,
        "flag": view.flag,
        "deviating": [{"provider": provider, "deviation": ratio} for provider, ratio in view.deviating],
    }
