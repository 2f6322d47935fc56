"""The slots of one resolution as columns of text."""

from collections.abc import Sequence
from itertools import pairwise

from btcts.domain.layout import Resolution
from btcts.domain.model import MINUTE_MS, Slot
from btcts.render.columns import Cell, Column, join_columns
from btcts.render.figures import countdown, format_starts, percent, price, share, signed
from btcts.render.show.spark import draw_place
from btcts.render.show.volatility import RATIO_PLACES
from btcts.services.show import Shown
from btcts.system.foreign import plain

LAYOUTS = (
    "start close change min place max range minutes state",
    "start close change% min place max range minutes state",
    "start close change% min place max range% minutes state",
    "start close change% min place max range% brief",
    "start close change% min max range% brief",
    "start close change% min place max range% word",
    "start close change% min max range% word",
    "start close change% min max word",
    "start close change% range% word",
    "start close change% word",
    "start close word",
    "start close",
    "close",
)
"""The columns to draw, the richest choice first; columns that follow from others are dropped first."""

PLACE_WIDTH = 7
"""Characters of the bar that shows where the close lies between min and max."""


def build_slot_columns(shown: Shown, *, now_ms: int, places: int, utc: bool, ascii_only: bool) -> dict[str, Column]:
    """Return all columns for these slots, by the names in `LAYOUTS`; prices have `places` decimals."""
    return (
        build_price_columns(shown.slots, places=places, utc=utc, ascii_only=ascii_only)
        | _build_change_columns(shown.slots, places=places)
        | _build_state_columns(shown, now_ms=now_ms)
    )


def build_price_columns(slots: Sequence[Slot], *, places: int, utc: bool, ascii_only: bool) -> dict[str, Column]:
    """Return the start times and the prices of the slots: `start`, `close`, `min`, `place`, `max` and the ranges."""
    heading, starts = format_starts([slot.start_ms for slot in slots], utc=utc)

    def make_column(title: str, values: list[float | None], absent: str = "") -> Column:
        texts = [absent if value is None else price(value, places) for value in values]
        return _make_column(title, slots, texts)

    return {
        "start": _make_column(heading, slots, starts, words=True),
        "close": make_column("Close", [slot.close for slot in slots], absent="no price"),
        "min": make_column("Min", [slot.min for slot in slots]),
        "place": _make_column("", slots, [_draw_place(slot, ascii_only=ascii_only) for slot in slots]),
        "max": make_column("Max", [slot.max for slot in slots]),
        **_build_range_columns(slots, places=places),
    }


def style_change(change: str) -> str:
    """Choose the style of a formatted change by its sign."""
    return {"+": "green", "-": "red"}.get(change[:1], "")


def describe_gaps(shown: Shown) -> str:
    """Describe the closed slots that lack minutes, such as `2 empty, 1 incomplete (not reached)`; empty for none."""
    whole = _count_minutes(shown.resolution)
    gappy = [slot for slot in shown.slots if slot.closed and slot.minutes < whole]
    empty = sum(slot.missing for slot in gappy)
    counts = ((empty, "empty"), (len(gappy) - empty, "incomplete"))
    text = ", ".join(f"{count} {what}" for count, what in counts if count)
    reasons = dict.fromkeys(_format_reason(slot.reason) for slot in gappy if slot.reason)
    return f"{text} ({', '.join(reasons)})" if reasons else text


def _draw_place(slot: Slot, *, ascii_only: bool) -> str:
    if slot.close is None or slot.min is None or slot.max is None:
        return ""
    return draw_place(slot.close, slot.min, slot.max, width=PLACE_WIDTH, ascii_only=ascii_only)


def _build_range_columns(slots: Sequence[Slot], *, places: int) -> dict[str, Column]:
    """Return the ranges from min to max: `range` as a price and in percent of min, `range%` in percent alone."""
    bounds = [(slot.min, slot.max) for slot in slots]
    widths = ["" if low is None or high is None else price(high - low, places) for low, high in bounds]
    ratios = ["" if not low or high is None else share(high / low - 1, RATIO_PLACES) for low, high in bounds]
    return _combine_columns("range", "Range", _make_column("", slots, widths), _make_column("", slots, ratios))


def _build_change_columns(slots: Sequence[Slot], *, places: int) -> dict[str, Column]:
    """Return the changes from the close before, where known: `change`, also in percent, and `change%`, in percent."""
    amounts, percents = [], []
    for before, close in pairwise([None, *(slot.close for slot in slots)]):
        if not before or close is None:
            amounts.append("")
            percents.append("")
        else:
            amounts.append(signed(close - before, places))
            percents.append(percent(close / before - 1))
    both = (Column("", tuple(Cell(text, style_change(text)) for text in texts)) for texts in (amounts, percents))
    return _combine_columns("change", "Change", *both)


def _build_state_columns(shown: Shown, *, now_ms: int) -> dict[str, Column]:
    """Return the completeness of the slots: `minutes`, and `state` with its shorter forms `brief` and `word`.

    The shorter forms stand alone: they count the minutes of a slot that lacks some.
    """
    whole = _count_minutes(shown.resolution)
    states = [_describe_state(slot, whole, now_ms) for slot in shown.slots]
    columns = {
        name: Column("State", tuple(cells[number] for cells in states), words=True)
        for number, name in enumerate(("state", "brief", "word"))
    }
    if whole > 1:
        columns["minutes"] = _make_column("Mins", shown.slots, [f"{slot.minutes}/{whole}" for slot in shown.slots])
    return columns


def _describe_state(slot: Slot, whole: int, now_ms: int) -> tuple[Cell, Cell, Cell]:
    """Describe the state in three forms, from the longest to the shortest."""
    if not slot.closed:
        left = countdown(slot.start_ms + whole * MINUTE_MS - now_ms)
        brief = Cell(f"open {left}", "bold")
        return Cell(f"open, {left} left", "bold"), brief, brief
    if slot.minutes < whole:
        word, counted, style = "gap", f"gap {slot.minutes}/{whole}" if whole > 1 else "gap", "yellow"
    else:
        word, style = ("settled", "") if slot.settled else ("live", "yellow")
        counted = word
    why = f": {_format_reason(slot.reason)}" if slot.reason else ""
    return Cell(word + why, style), Cell(counted + why, style), Cell(counted, style)


def _count_minutes(resolution: Resolution) -> int:
    return resolution.bucket_ms // MINUTE_MS


def _format_reason(reason: str) -> str:
    return plain(reason.replace("_", " "))


def _combine_columns(name: str, heading: str, amount: Column, ratio: Column) -> dict[str, Column]:
    """Return the two columns joined as `name`, and the percent column alone."""
    return {name: join_columns(heading, amount, ratio), f"{name}%": Column(heading, ratio.cells)}


def _make_column(heading: str, slots: Sequence[Slot], texts: Sequence[str], *, words: bool = False) -> Column:
    cells = (Cell(text, _choose_style(slot)) for text, slot in zip(texts, slots, strict=True))
    return Column(heading, tuple(cells), words)


def _choose_style(slot: Slot) -> str:
    if slot.missing:
        return "dim"
    return "" if slot.closed else "bold"
