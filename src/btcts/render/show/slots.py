"""The slots of one resolution as columns of text, and their page with the volatility below."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from rich.console import Console, Group
from rich.text import Text

from btcts.domain.model import MINUTE_MS, Slot
from btcts.domain.statistics import Volatility, volatility_of
from btcts.render.columns import Cell, Column, choose_grid, join_columns
from btcts.render.figures import countdown, counted, format_starts, percent, price, share, signed, stamp
from btcts.render.glyphs import draw_place
from btcts.render.show.page import (
    choose_places,
    draw_empty_page,
    draw_rows,
    draw_title,
    find_width,
    format_reason,
    has_prices,
    list_notices,
)
from btcts.services.show import Shown, SlotsView

LAYOUTS = (
    "start open close change min place max range minutes state",
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

VOLATILITY_LAYOUTS = ("name amount ratio year", "name amount ratio")

RATIO_PLACES = 3
"""Decimals, in percent, of moves within a slot: in a calm minute they are a few hundredths of a percent."""

YEAR_PLACES = 1
"""Decimals, in percent, of an annualised volatility."""


def draw_slots_page(view: SlotsView, *, utc: bool, console: Console) -> Group:
    """Draw the slots of one resolution, the newest last, and their volatility, to fit `console`."""
    if not has_prices(view):
        return Group(*draw_empty_page(view))
    shown = view.shown
    places, ascii_only = choose_places(view), console.options.ascii_only
    columns = build_slot_columns(shown, now_ms=view.now_ms, places=places, utc=utc, ascii_only=ascii_only)
    grid = choose_grid(columns, LAYOUTS, width=find_width(console))
    about = f"{shown.resolution.name}, {stamp(view.now_ms, utc=utc)}"
    return Group(
        *draw_title(view, about, width=grid.width, console=console),
        Text(),
        *draw_rows(grid, console),
        *_draw_volatility(view, console, places=places, utc=utc),
        *list_notices(view),
    )


def build_slot_columns(shown: Shown, *, now_ms: int, places: int, utc: bool, ascii_only: bool) -> dict[str, Column]:
    """Return all columns for these slots, by the names in `LAYOUTS`; prices have `places` decimals."""
    return (
        build_price_columns(shown.slots, places=places, utc=utc, ascii_only=ascii_only)
        | _build_change_columns(shown.slots, places=places)
        | _build_state_columns(shown, now_ms=now_ms)
    )


def build_price_columns(slots: Sequence[Slot], *, places: int, utc: bool, ascii_only: bool) -> dict[str, Column]:
    """Return the start times and the prices of the slots: `start`, `close`, `min`, `place`, `max` and the ranges.

    Also `open`, where any is known.
    """
    heading, starts = format_starts([slot.start_ms for slot in slots], utc=utc)
    opens = [slot.open for slot in slots]
    return {
        "start": _make_column(heading, slots, starts, words=True),
        **({"open": _make_column("Open", slots, _format_prices(opens, places))} if any(opens) else {}),
        "close": _make_column(
            "Close", slots, _format_prices((slot.close for slot in slots), places, absent="no price")
        ),
        "min": _make_column("Min", slots, _format_prices((slot.min for slot in slots), places)),
        "place": _make_column("", slots, [_draw_place(slot, ascii_only=ascii_only) for slot in slots]),
        "max": _make_column("Max", slots, _format_prices((slot.max for slot in slots), places)),
        **_build_range_columns(slots, places=places),
    }


def build_volatility_columns(
    measured: Volatility, shown: Shown, *, currency: str, places: int, utc: bool
) -> dict[str, Column]:
    """Return a row per figure, by the names in `VOLATILITY_LAYOUTS`; none without a price.

    A dash stands for a figure that needs more prices. The widest slot is named as in the table of the slots.
    """
    total, widest = measured.range, measured.widest
    if total is None or widest is None:
        return {}
    _, starts = format_starts([slot.start_ms for slot in shown.slots], utc=utc)
    when = next(start for start, slot in zip(starts, shown.slots, strict=True) if slot.start_ms == widest.start_ms)
    amounts = (total.high, total.low, total.width, widest.width)
    ratios = (total.ratio, widest.ratio, measured.realised, measured.parkinson)
    years = (measured.realised_per_year, measured.parkinson_per_year)
    return {
        "name": Column.plain(
            "Volatility", ("High", "Low", "Range", f"Widest {when}", "Realised", "Parkinson"), words=True
        ),
        "amount": Column.plain(currency, (*(price(value, places) for value in amounts), "", "")),
        "ratio": Column.plain("%", ("", "", *(_format_share(ratio, RATIO_PLACES) for ratio in ratios))),
        "year": Column.plain("A year", ("", "", "", "", *(_format_share(ratio, YEAR_PLACES) for ratio in years))),
    }


def style_change(change: str) -> str:
    """Choose the style of a formatted change by its sign."""
    return {"+": "green", "-": "red"}.get(change[:1], "")


def _draw_volatility(view: SlotsView, console: Console, *, places: int, utc: bool) -> Iterator[Text]:
    """Draw the volatility of the closed slots; nothing where none has a price or the line has no room."""
    shown = view.shown
    measured = volatility_of(shown.slots, shown.resolution.bucket_ms)
    columns = build_volatility_columns(measured, shown, currency=view.market.currency, places=places, utc=utc)
    width = find_width(console)
    grid = choose_grid(columns, VOLATILITY_LAYOUTS, width=width)
    if columns and (width is None or grid.width <= width):
        yield Text()
        yield from draw_rows(grid, console)
        yield Text(describe_basis(measured), style="dim")


def describe_basis(measured: Volatility) -> str:
    """Describe the data behind the figures, and the base of their percentages."""
    slots, returns = counted(measured.ranges, "closed slot"), counted(measured.returns, "return")
    return f"From {slots}, {returns}; ranges in % of the low, volatility per slot."


def _draw_place(slot: Slot, *, ascii_only: bool) -> str:
    if slot.close is None or slot.min is None or slot.max is None:
        return ""
    return draw_place(slot.close, slot.min, slot.max, width=PLACE_WIDTH, ascii_only=ascii_only)


def _build_range_columns(slots: Sequence[Slot], *, places: int) -> dict[str, Column]:
    """Return the ranges from min to max: `range` as a price and in percent of min, `range%` in percent alone."""
    bounds = [(slot.min, slot.max) for slot in slots]
    widths = _format_prices((None if low is None or high is None else high - low for low, high in bounds), places)
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
    whole = shown.resolution.bucket_ms // MINUTE_MS
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
        word = "exact" if slot.exact else "open"
        brief = Cell(f"{word} {left}", "bold")
        return Cell(f"{word}, {left} left", "bold"), brief, brief
    if slot.minutes < whole:
        state, style = "gap", "yellow"
    elif slot.settled or slot.exact:
        state, style = "settled" if slot.settled else "exact", ""
    else:
        state, style = "live", "yellow"
    word = f"gap {slot.minutes}/{whole}" if state == "gap" and whole > 1 else state
    why = f": {format_reason(slot.reason)}" if slot.reason else ""
    return Cell(state + why, style), Cell(word + why, style), Cell(word, style)


def _combine_columns(name: str, heading: str, amount: Column, ratio: Column) -> dict[str, Column]:
    """Return the two columns joined as `name`, and the percent column alone."""
    return {name: join_columns(heading, amount, ratio), f"{name}%": Column(heading, ratio.cells)}


def _format_prices(values: Iterable[float | None], places: int, *, absent: str = "") -> list[str]:
    """Format prices or differences of prices with `places` decimals; None as `absent`."""
    return [absent if value is None else price(value, places) for value in values]


def _make_column(heading: str, slots: Sequence[Slot], texts: Sequence[str], *, words: bool = False) -> Column:
    cells = (Cell(text, _choose_style(slot)) for text, slot in zip(texts, slots, strict=True))
    return Column(heading, tuple(cells), words)


def _choose_style(slot: Slot) -> str:
    if slot.missing:
        return "dim"
    return "" if slot.closed else "bold"


def _format_share(fraction: float | None, places: int) -> str:
    return "-" if fraction is None else share(fraction, places)
