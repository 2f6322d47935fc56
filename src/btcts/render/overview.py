"""All resolutions at a glance, as columns of text."""

from collections.abc import Sequence

from btcts.layout import HOUR, MINUTE, Resolution
from btcts.model import HOUR_MS, MINUTE_MS, Slot
from btcts.render.columns import Cell, Column
from btcts.render.figures import percent, price, share
from btcts.render.slots import price_columns, trend
from btcts.render.sparks import place
from btcts.render.volatility import RATIO_PLACES, YEAR_PLACES
from btcts.services.show import Shown, View
from btcts.volatility import volatility

DAY_MS = 24 * HOUR_MS

MOVES_LAYOUTS = (
    "5min 15min 1h 24h low place high range%",
    "5min 15min 1h 24h low place high",
    "5min 15min 1h 24h",
    "1h 24h",
    "24h",
)

DAY_LAYOUTS = ("low place high", "low high", "high")
"""What goes below the moves where it does not fit beside them."""

SUMMARY_LAYOUTS = (
    "name start close min place max range slots settled volatility",
    "name start close min place max range slots settled",
    "name start close min max range% slots settled",
    "name start close min max range% slots",
    "name start close min max slots",
    "name start close slots",
    "name close slots",
    "name close",
)


PLACE_WIDTH = 17
"""Characters of the bar that shows where the price stands between the low and the high of the day."""


def moves_columns(view: View, *, places: int, ascii_only: bool) -> dict[str, Column]:
    """How far the price moved of late, one row, by the names in `MOVES_LAYOUTS`.

    A move counts from the close of the slot in which that long ago lies, so from a little later: for 24 h up to an
    hour, for the others up to a minute. Low and high are those of the hours shown, the open one included, and the
    bar between them shows where the newest price stands. What is not known is a dash.
    """
    return {
        "5min": _move("5 min", view, MINUTE, 5 * MINUTE_MS),
        "15min": _move("15 min", view, MINUTE, 15 * MINUTE_MS),
        "1h": _move("1 h", view, MINUTE, HOUR_MS),
        "24h": _move("24 h", view, HOUR, DAY_MS),
        **_day_columns(view, places=places, ascii_only=ascii_only),
    }


def summary_columns(shown: Sequence[Shown], *, places: int, utc: bool, ascii_only: bool) -> dict[str, Column]:
    """One row per resolution, by the names in `SUMMARY_LAYOUTS`: its newest closed slot and how complete it is."""
    closed = [[slot for slot in each.slots if slot.closed] for each in shown]
    newest = [(slots or each.slots)[-1] for slots, each in zip(closed, shown, strict=True)]
    return price_columns(newest, places=places, utc=utc, ascii_only=ascii_only) | {
        "name": Column.plain("", [each.resolution.name for each in shown], words=True),
        "slots": Column.plain("Slots", [_share([not each.missing for each in slots]) for slots in closed]),
        "settled": Column.plain("Settled", [_share([each.settled for each in slots]) for slots in closed]),
        "volatility": Column.plain("Volatility", map(_volatility, shown)),
    }


def _day_columns(view: View, *, places: int, ascii_only: bool) -> dict[str, Column]:
    """`low` and `high` of the day, `place` between them and `range%`."""
    hours = _reaching(view, HOUR, DAY_MS)
    low = min((each.min for each in hours if each.min is not None), default=None)
    high = max((each.max for each in hours if each.max is not None), default=None)
    texts = dict.fromkeys(("low", "high", "range%"), "-") | {"place": ""}
    if low and high:
        texts |= {"low": price(low, places), "high": price(high, places), "range%": share(high / low - 1, RATIO_PLACES)}
        if view.newest is not None:
            texts["place"] = place(view.newest.price, low, high, width=PLACE_WIDTH, ascii_only=ascii_only)
    headings = {"low": "24 h low", "place": "", "high": "24 h high", "range%": "24 h range"}
    return {name: Column.plain(heading, [texts[name]]) for name, heading in headings.items()}


def _volatility(shown: Shown) -> str:
    """The realised volatility of the closed slots, annualised; a dash where they are too few."""
    per_year = volatility(shown.slots, shown.resolution.bucket_ms).realised_per_year
    return "-" if per_year is None else f"{share(per_year, YEAR_PLACES)} a year"


def _share(flags: Sequence[bool]) -> str:
    return f"{sum(flags)}/{len(flags)}"


def _reaching(view: View, resolution: Resolution, ago_ms: int) -> Sequence[Slot]:
    """The slots from the one in which that long ago lies; none when it is not shown."""
    start_ms = resolution.start_of(view.now_ms - ago_ms)
    slots = next((each.slots for each in view.shown if each.resolution == resolution), ())
    since = [each for each in slots if each.start_ms >= start_ms]
    return since if since and since[0].start_ms == start_ms else ()


def _move(heading: str, view: View, resolution: Resolution, ago_ms: int) -> Column:
    slots = _reaching(view, resolution, ago_ms)
    then = slots[0].close if slots else None
    if view.newest is None or not then:
        return Column.plain(heading, ["-"])
    move = percent(view.newest.price / then - 1)
    return Column(heading, (Cell(move, trend(move)),))
