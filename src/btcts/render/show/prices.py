"""The prices of a view, and the decimals that they need."""

from collections.abc import Iterator

from btcts.render.figures import decimals
from btcts.services.show import View


def has_prices(view: View) -> bool:
    """Tell whether there are slots, and a price in one of them or a newest price."""
    return any(shown.slots for shown in view.parts) and any(True for _ in _list_prices(view))


def choose_places(view: View) -> int:
    """Choose the decimals for all prices of a page, so that the smallest of them is readable."""
    return decimals(min(_list_prices(view), default=1.0), view.market)


def _list_prices(view: View) -> Iterator[float]:
    slots = (slot for shown in view.parts for slot in shown.slots)
    yield from (value for slot in slots for value in (slot.close, slot.min) if value is not None)
    if view.newest is not None:
        yield view.newest.price
