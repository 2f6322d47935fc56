"""All resolutions at a glance, as columns of text, and their page."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rich.console import Console, Group
from rich.text import Text

from btcts.domain.statistics import PriceMove, compute_move, find_day_range, volatility_of
from btcts.render.columns import GAP, Cell, Column, choose_grid
from btcts.render.figures import percent, price, share, signed, stamp
from btcts.render.glyphs import draw_place, draw_spark
from btcts.render.show.page import (
    choose_places,
    describe_agreement,
    draw_empty_page,
    draw_rows,
    draw_title,
    find_width,
    has_prices,
    list_notices,
    make_line,
)
from btcts.render.show.slots import RATIO_PLACES, YEAR_PLACES, build_price_columns, style_change
from btcts.services.show import Overview, Shown

HEADINGS = {"5min": "5 min", "15min": "15 min", "1h": "1 h", "24h": "24 h"}

MOVES_LAYOUTS = (
    "5min 15min 1h 24h low place high range%",
    "5min 15min 1h 24h low place high",
    "5min 15min 1h 24h",
    "1h 24h",
    "24h",
)

DAY_LAYOUTS = ("low place high", "low high", "high")
"""Columns that go below the moves where they do not fit beside them."""

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

DAY_PLACE_WIDTH = 17
"""Characters of the bar that shows where the price stands between the low and the high of the day."""


def draw_overview_page(view: Overview, *, utc: bool, console: Console) -> Group:
    """Draw how far the price moved, and each resolution with its newest closed slot and a spark line."""
    if not has_prices(view):
        return Group(*draw_empty_page(view))
    view = replace(view, resolutions=tuple(shown for shown in view.resolutions if shown.slots))
    places, ascii_only = choose_places(view), console.options.ascii_only
    columns = build_summary_columns(view.resolutions, places=places, utc=utc, ascii_only=ascii_only)
    summary = choose_grid(columns, SUMMARY_LAYOUTS, width=find_width(console))
    return Group(
        *draw_title(view, stamp(view.now_ms, utc=utc), width=summary.width, console=console),
        Text(),
        *_draw_moves(view, console, places=places),
        Text(),
        *draw_rows(summary, console),
        Text(),
        *_draw_sparks(view, console),
        *describe_agreement(view),
        *list_notices(view),
    )


def build_moves_columns(view: Overview, *, places: int, ascii_only: bool) -> dict[str, Column]:
    """Return the recent moves of the price in one row, by the names in `MOVES_LAYOUTS`.

    A move starts at the close of the slot that contains its start time, so a little later: for 24 h up to an hour,
    for the others up to a minute. Low and high are those of the hours shown, the open one included, and the bar
    between them shows where the newest price stands. A dash stands for an unknown value.
    """
    slots = {shown.resolution.name: shown.slots for shown in view.resolutions}
    newest = view.newest.price if view.newest else None
    moves = {span: compute_move(span, slots, newest, view.now_ms) for span in HEADINGS}
    day = find_day_range(slots, view.now_ms)
    return {
        **{span: _build_move_column(HEADINGS[span], move) for span, move in moves.items()},
        **_build_day_columns(day, newest, places=places, ascii_only=ascii_only),
    }


def build_summary_columns(
    resolutions: Sequence[Shown], *, places: int, utc: bool, ascii_only: bool
) -> dict[str, Column]:
    """Return a row per resolution, by the names in `SUMMARY_LAYOUTS`: its newest closed slot and its completeness."""
    closed = [[slot for slot in shown.slots if slot.closed] for shown in resolutions]
    newest = [(slots or shown.slots)[-1] for slots, shown in zip(closed, resolutions, strict=True)]
    return build_price_columns(newest, places=places, utc=utc, ascii_only=ascii_only) | {
        "name": Column.plain("", [shown.resolution.name for shown in resolutions], words=True),
        "slots": Column.plain("Slots", [_count_true([not slot.missing for slot in slots]) for slots in closed]),
        "settled": Column.plain("Settled", [_count_true([slot.settled for slot in slots]) for slots in closed]),
        "volatility": Column.plain("Volatility", map(_format_volatility, resolutions)),
    }


def _draw_moves(view: Overview, console: Console, *, places: int) -> Iterator[Text]:
    """Draw the moves and the range of the day, below each other where the line has no room for both."""
    columns = build_moves_columns(view, places=places, ascii_only=console.options.ascii_only)
    moves = choose_grid(columns, MOVES_LAYOUTS, width=find_width(console))
    yield from draw_rows(moves, console)
    if columns["high"] not in moves.columns:
        yield Text()
        yield from draw_rows(choose_grid(columns, DAY_LAYOUTS, width=find_width(console)), console)


def _draw_sparks(view: Overview, console: Console) -> Iterator[Text]:
    """Draw a spark line per resolution, of as many of the newest closes as have room."""
    names = Column.plain("", [shown.resolution.name for shown in view.resolutions], words=True)
    width = find_width(console)
    for name, shown in zip(names.cells, view.resolutions, strict=True):
        closes = [slot.close for slot in shown.slots]
        if width is not None:
            closes = closes[-max(1, width - names.width - len(GAP)) :]
        known = [close for close in closes if close is not None]
        style = style_change(signed(known[-1] - known[0], choose_places(view))) if known else "dim"
        yield make_line(names.align(name.text) + GAP).append(
            draw_spark(closes, ascii_only=console.options.ascii_only), style
        )


def _build_day_columns(
    day: tuple[float, float] | None, newest: float | None, *, places: int, ascii_only: bool
) -> dict[str, Column]:
    """Return `low` and `high` of the day, `place` between them and `range%`."""
    texts = dict.fromkeys(("low", "high", "range%"), "-") | {"place": ""}
    low, high = day or (0.0, 0.0)
    if low > 0:
        texts |= {"low": price(low, places), "high": price(high, places), "range%": share(high / low - 1, RATIO_PLACES)}
        if newest is not None:
            texts["place"] = draw_place(newest, low, high, width=DAY_PLACE_WIDTH, ascii_only=ascii_only)
    headings = {"low": "24 h low", "place": "", "high": "24 h high", "range%": "24 h range"}
    return {name: Column.plain(heading, [texts[name]]) for name, heading in headings.items()}


def _format_volatility(shown: Shown) -> str:
    """Format the annualised volatility of the closed slots; a dash where they are too few."""
    per_year = volatility_of(shown.slots, shown.resolution.bucket_ms).realised_per_year
    return "-" if per_year is None else f"{share(per_year, YEAR_PLACES)} a year"


def _count_true(flags: Sequence[bool]) -> str:
    return f"{sum(flags)}/{len(flags)}"


def _build_move_column(heading: str, move: PriceMove | None) -> Column:
    text = percent(move.ratio) if move else "-"
    return Column(heading, (Cell(text, style_change(text) if move else ""),))
