"""Which prices a view holds, and how precisely they are written."""

from collections.abc import Iterator

from btcts.render.figures import decimals
from btcts.services.show import View


def has_prices(view: View) -> bool:
    """Whether there is anything to show: slots, with a price in one, or a newest one that none reaches back to."""
    return any(shown.slots for shown in view.shown) and any(True for _ in _list_prices(view))


def places_of(view: View) -> int:
    """How many decimals the prices of a page need, so that the smallest of them can be read."""
    return decimals(min(_list_prices(view), default=1.0))


def _list_prices(view: View) -> Iterator[float]:
    slots = (slot for shown in view.shown for slot in shown.slots)
    yield from (value for slot in slots for value in (slot.close, slot.min) if value is not None)
    if view.newest is not None:
        yield view.newest.price
