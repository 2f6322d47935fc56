"""Pages for the terminal; into a pipe the same page goes with every column, uncut and without colour."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from rich.console import Console, Group
from rich.text import Text

from btcts.domain.volatility import volatility
from btcts.render.columns import GAP, Cell, Column, Grid, fitting
from btcts.render.figures import signed
from btcts.render.show.overview import DAY_LAYOUTS, MOVES_LAYOUTS, SUMMARY_LAYOUTS, moves_columns, summary_columns
from btcts.render.show.page import agreed, empty_page, line, notices, print_page, title, width_of
from btcts.render.show.prices import has_prices, places_of
from btcts.render.show.slots import LAYOUTS, slot_columns, trend
from btcts.render.show.spark import spark
from btcts.render.show.volatility import LAYOUTS as VOLATILITY_LAYOUTS
from btcts.render.show.volatility import basis, volatility_columns
from btcts.render.times import stamp
from btcts.services.show import Shown, View


def show_table(view: View, *, utc: bool, console: Console) -> None:
    """Print the slots of one resolution, the newest last, and their volatility."""
    print_page(show_page(view, utc=utc, console=console), console)


def overview_table(view: View, *, utc: bool, console: Console) -> None:
    """Print how far the price moved, and of each resolution the newest closed slot and a spark line."""
    print_page(overview_page(view, utc=utc, console=console), console)


def show_page(view: View, *, utc: bool, console: Console) -> Group:
    """What `show_table` prints, made for the width and the encoding of `console`."""
    if not has_prices(view):
        return Group(*empty_page(view))
    (shown,) = view.shown
    places, ascii_only = places_of(view), console.options.ascii_only
    columns = slot_columns(shown, now_ms=view.now_ms, places=places, utc=utc, ascii_only=ascii_only)
    grid = fitting(columns, LAYOUTS, width=width_of(console))
    about = f"{shown.resolution.name}, {stamp(view.now_ms, utc=utc)}"
    return Group(
        *title(view, about, width=grid.width, console=console),
        Text(),
        *_draw_rows(grid, console),
        *_draw_volatility(shown, console, places=places, utc=utc),
        *notices(view),
    )


def overview_page(view: View, *, utc: bool, console: Console) -> Group:
    """What `overview_table` prints, made for the width and the encoding of `console`."""
    if not has_prices(view):
        return Group(*empty_page(view))
    view = replace(view, shown=tuple(shown for shown in view.shown if shown.slots))
    places, ascii_only = places_of(view), console.options.ascii_only
    columns = summary_columns(view.shown, places=places, utc=utc, ascii_only=ascii_only)
    summary = fitting(columns, SUMMARY_LAYOUTS, width=width_of(console))
    return Group(
        *title(view, stamp(view.now_ms, utc=utc), width=summary.width, console=console),
        Text(),
        *_draw_moves(view, console, places=places),
        Text(),
        *_draw_rows(summary, console),
        Text(),
        *_draw_sparks(view, console),
        *agreed(view),
        *notices(view),
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
        row.append(column.aligned(cell.text), style=cell.style).append(GAP)
    row.rstrip()
    return row


def _draw_volatility(shown: Shown, console: Console, *, places: int, utc: bool) -> Iterator[Text]:
    """The volatility of the closed slots; nothing where none has a price or the line has no room."""
    measured = volatility(shown.slots, shown.resolution.bucket_ms)
    columns = volatility_columns(measured, shown, places=places, utc=utc)
    width = width_of(console)
    grid = fitting(columns, VOLATILITY_LAYOUTS, width=width)
    if columns and (width is None or grid.width <= width):
        yield Text()
        yield from _draw_rows(grid, console)
        yield Text(basis(measured), style="dim")


def _draw_moves(view: View, console: Console, *, places: int) -> Iterator[Text]:
    """The moves and the range of the day, below each other where the line has no room for both."""
    columns = moves_columns(view, places=places, ascii_only=console.options.ascii_only)
    moves = fitting(columns, MOVES_LAYOUTS, width=width_of(console))
    yield from _draw_rows(moves, console)
    if columns["high"] not in moves.columns:
        yield Text()
        yield from _draw_rows(fitting(columns, DAY_LAYOUTS, width=width_of(console)), console)


def _draw_sparks(view: View, console: Console) -> Iterator[Text]:
    """The closes of each resolution, as many of the newest as the line has room for."""
    names = Column.plain("", [shown.resolution.name for shown in view.shown], words=True)
    width = width_of(console)
    for name, shown in zip(names.cells, view.shown, strict=True):
        closes = [slot.close for slot in shown.slots]
        if width is not None:
            closes = closes[-max(1, width - names.width - len(GAP)) :]
        known = [close for close in closes if close is not None]
        style = trend(signed(known[-1] - known[0], places_of(view))) if known else "dim"
        yield line(names.aligned(name.text) + GAP).append(spark(closes, ascii_only=console.options.ascii_only), style)
