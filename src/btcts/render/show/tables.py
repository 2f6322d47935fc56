"""Pages for the terminal; into a pipe the same page goes with every column, uncut and without colour."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from rich.console import Console, Group
from rich.text import Text

from btcts.domain.volatility import volatility
from btcts.render.columns import GAP, Cell, Column, Grid, choose_grid
from btcts.render.figures import signed, stamp
from btcts.render.show.overview import (
    DAY_LAYOUTS,
    MOVES_LAYOUTS,
    SUMMARY_LAYOUTS,
    build_moves_columns,
    build_summary_columns,
)
from btcts.render.show.page import (
    describe_agreement,
    draw_empty_page,
    draw_title,
    find_width,
    line,
    list_notices,
)
from btcts.render.show.prices import choose_places, has_prices
from btcts.render.show.slots import LAYOUTS, build_slot_columns, style_change
from btcts.render.show.spark import draw_spark
from btcts.render.show.volatility import LAYOUTS as VOLATILITY_LAYOUTS
from btcts.render.show.volatility import build_volatility_columns, describe_basis
from btcts.services.show import Overview, SlotsView


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
        *_draw_rows(grid, console),
        *_draw_volatility(view, console, places=places, utc=utc),
        *list_notices(view),
    )


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
        *_draw_rows(summary, console),
        Text(),
        *_draw_sparks(view, console),
        *describe_agreement(view),
        *list_notices(view),
    )


def _draw_rows(grid: Grid, console: Console) -> Iterator[Text]:
    headings = [Cell(column.heading, "bold") for column in grid.columns]
    yield _draw_row(grid.columns, headings)
    yield line(("-" if console.options.ascii_only else "─") * grid.width, style="dim")
    for cells in zip(*(column.cells for column in grid.columns), strict=True):
        yield _draw_row(grid.columns, cells)


def _draw_row(columns: Iterable[Column], cells: Iterable[Cell]) -> Text:
    row = line()
    for column, cell in zip(columns, cells, strict=True):
        row.append(column.align(cell.text), style=cell.style).append(GAP)
    row.rstrip()
    return row


def _draw_volatility(view: SlotsView, console: Console, *, places: int, utc: bool) -> Iterator[Text]:
    """Draw the volatility of the closed slots; nothing where none has a price or the line has no room."""
    shown = view.shown
    measured = volatility(shown.slots, shown.resolution.bucket_ms)
    columns = build_volatility_columns(measured, shown, currency=view.market.currency, places=places, utc=utc)
    width = find_width(console)
    grid = choose_grid(columns, VOLATILITY_LAYOUTS, width=width)
    if columns and (width is None or grid.width <= width):
        yield Text()
        yield from _draw_rows(grid, console)
        yield Text(describe_basis(measured), style="dim")


def _draw_moves(view: Overview, console: Console, *, places: int) -> Iterator[Text]:
    """Draw the moves and the range of the day, below each other where the line has no room for both."""
    columns = build_moves_columns(view, places=places, ascii_only=console.options.ascii_only)
    moves = choose_grid(columns, MOVES_LAYOUTS, width=find_width(console))
    yield from _draw_rows(moves, console)
    if columns["high"] not in moves.columns:
        yield Text()
        yield from _draw_rows(choose_grid(columns, DAY_LAYOUTS, width=find_width(console)), console)


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
        yield line(names.align(name.text) + GAP).append(
            draw_spark(closes, ascii_only=console.options.ascii_only), style
        )
