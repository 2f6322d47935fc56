"""Pages for the terminal; into a pipe the same page goes with every column, uncut and without colour."""

from collections.abc import Iterable, Iterator

from rich.console import Console, Group
from rich.text import Text

from btcts.layout import MARKET
from btcts.render.columns import GAP, Cell, Column, Grid, fitting
from btcts.render.figures import decimals, duration, price, signed
from btcts.render.overview import MOVES_LAYOUTS, SUMMARY_LAYOUTS, moves_columns, summary_columns
from btcts.render.slots import LAYOUTS, absences, slot_columns, trend
from btcts.render.sparks import spark
from btcts.render.times import stamp
from btcts.services.show import View

COLLECT = "btcts collect --once"


def show_table(view: View, *, utc: bool, console: Console) -> None:
    """Print the slots of one resolution, the newest last."""
    _print(show_page(view, utc=utc, console=console), console)


def overview_table(view: View, *, utc: bool, console: Console) -> None:
    """Print how far the price moved, and of each resolution the newest closed slot and a spark line."""
    _print(overview_page(view, utc=utc, console=console), console)


def show_page(view: View, *, utc: bool, console: Console) -> Group:
    """What `show_table` prints, made for the width and the encoding of `console`."""
    if _is_empty(view):
        return Group(*_empty_page(view))
    (shown,) = view.shown
    columns = slot_columns(shown, now_ms=view.now_ms, places=_places(view), utc=utc)
    grid = fitting(columns, LAYOUTS, width=_width(console))
    about = f"{shown.resolution.name}, {stamp(view.now_ms, utc=utc)}"
    return Group(
        *_title(view, about, grid.width, console),
        Text(),
        *_rows(grid, console),
        *_notices(view),
    )


def overview_page(view: View, *, utc: bool, console: Console) -> Group:
    """What `overview_table` prints, made for the width and the encoding of `console`."""
    if _is_empty(view):
        return Group(*_empty_page(view))
    places, width = _places(view), _width(console)
    moves = fitting(moves_columns(view, places=places), MOVES_LAYOUTS, width=width)
    summary = fitting(summary_columns(view.shown, places=places, utc=utc), SUMMARY_LAYOUTS, width=width)
    return Group(
        *_title(view, stamp(view.now_ms, utc=utc), summary.width, console),
        Text(),
        *_rows(moves, console),
        Text(),
        *_rows(summary, console),
        Text(),
        *_sparks(view, console),
        *_notices(view),
    )


def _is_empty(view: View) -> bool:
    return view.newest is None and all(slot.missing for each in view.shown for slot in each.slots)


def _empty_page(view: View) -> Iterator[Text]:
    yield _price_now(view)
    yield Text()
    yield Text(f"Nothing is stored yet. To fetch prices: {COLLECT}")


def _title(view: View, about: str, width: int, console: Console) -> Iterator[Text]:
    """The price on the left and, where the line has room for it, what the page is about on the right."""
    price_now = _price_now(view)
    room = max(width, len(price_now) + 2 + len(about))
    if console.is_terminal and room > console.width:
        yield price_now
        yield Text(about, style="dim")
    else:
        yield price_now + Text(about.rjust(room - len(price_now)), style="dim")


def _price_now(view: View) -> Text:
    text = Text.assemble((MARKET, "bold"), (" (simulated)" if view.simulated else "", "magenta"), " ")
    if view.newest is None or view.age_s is None:
        return text.append("no price", style="yellow")
    text.append(price(view.newest.price, _places(view)), style="bold")
    return text.append(f", {duration(view.age_s)} old", style="yellow" if view.stale else "")


def _rows(grid: Grid, console: Console) -> Iterator[Text]:
    headings = [Cell(each.heading, "bold") for each in grid.columns]
    yield _row(grid.columns, headings)
    yield _line(("-" if console.options.ascii_only else "─") * grid.width, style="dim")
    for cells in zip(*(each.cells for each in grid.columns), strict=True):
        yield _row(grid.columns, cells)


def _row(columns: Iterable[Column], cells: Iterable[Cell]) -> Text:
    row = _line()
    for column, cell in zip(columns, cells, strict=True):
        row.append(column.aligned(cell.text), style=cell.style).append(GAP)
    row.rstrip()
    return row


def _sparks(view: View, console: Console) -> Iterator[Text]:
    """The closes of each resolution, as many of the newest as the line has room for."""
    names = Column.plain("", [each.resolution.name for each in view.shown], words=True)
    width = _width(console)
    for name, shown in zip(names.cells, view.shown, strict=True):
        closes = [each.close for each in shown.slots]
        if width is not None:
            closes = closes[-max(1, width - names.width - len(GAP)) :]
        known = [each for each in closes if each is not None]
        style = trend(signed(known[-1] - known[0], _places(view))) if known else "dim"
        line = _line(names.aligned(name.text) + GAP)
        yield line.append(spark(closes, ascii_only=console.options.ascii_only), style=style)


def _notices(view: View) -> Iterator[Text]:
    """What is missing or wrong, and what to do about it."""
    missing = {each.resolution.name: absences(each.slots) for each in view.shown}
    named = [f"{name} {each}" if len(missing) > 1 else each for name, each in missing.items() if each]
    if named:
        yield Text()
        yield Text(f"Closed slots without a price: {', '.join(named)}")
    if view.stale:
        age = "there is no newest price" if view.age_s is None else f"the newest price is {duration(view.age_s)} old"
        yield Text()
        yield Text(f"Stale: {age}, the limit is {duration(view.max_age_s)}.", style="bold yellow")
        yield Text(f"To fetch one: {COLLECT}")


def _line(text: str = "", *, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ignore")


def _width(console: Console) -> int | None:
    return console.width if console.is_terminal else None


def _places(view: View) -> int:
    slots = [slot for each in view.shown for slot in each.slots]
    prices = [value for slot in slots for value in (slot.close, slot.min) if value is not None]
    if view.newest is not None:
        prices.append(view.newest.price)
    return decimals(min(prices, default=1.0))


def _print(page: Group, console: Console) -> None:
    console.print(page, soft_wrap=not console.is_terminal)
