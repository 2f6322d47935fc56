"""Parts that the terminal pages share: the price on top, rows of columns, notices of missing or bad data, printing."""

from collections.abc import Iterable, Iterator

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.segment import Segment
from rich.text import Text

from btcts.domain.codes import ReasonCode
from btcts.domain.model import MINUTE_MS
from btcts.render.columns import GAP, Cell, Column, Grid
from btcts.render.figures import decimals, duration, iso, percent, price
from btcts.services.show import Shown, View
from btcts.system.foreign import plain, plain_page

COLLECT = "To fetch one: btcts collect --once"
STATUS = "A collector is running; to see what is wrong: btcts status"
REPAIR = "To remove it: btcts verify --repair"
REBUILD = "The next cycle of btcts collect restores them; to do it now: btcts init-keys"
PRUNE = "To remove it: btcts prune"

FETCH = "To fetch prices: btcts collect --once"

NONE_CLOSED = "No slot of that time is closed yet."


class PlainConsole(Console):
    """A rich console whose text, which others may have written, cannot control the terminal."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Render it with blanks for unprintable characters; rich itself strips only a few such as the bell."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(plain_page(segment.text), segment.style)


def print_page(page: Group, console: Console) -> None:
    """Print a page; into a pipe no line of it is wrapped."""
    console.print(page, soft_wrap=not console.is_terminal)


def find_width(console: Console) -> int | None:
    """Return the width that a page may have; None for a pipe, where any width will do."""
    return console.width if console.is_terminal else None


def make_line(text: str = "", *, style: str = "") -> Text:
    """Make a line that is never wrapped or cut."""
    return Text(text, style=style, no_wrap=True, overflow="ignore")


def has_prices(view: View) -> bool:
    """Tell whether there are slots, and a price in one of them or a newest price."""
    return any(shown.slots for shown in view.parts) and any(True for _ in _list_prices(view))


def choose_places(view: View) -> int:
    """Choose the decimals for all prices of a page, so that the smallest of them is readable."""
    return decimals(min(_list_prices(view), default=1.0), view.market)


def draw_rows(grid: Grid, console: Console) -> Iterator[Text]:
    """Draw the headings, a rule and the rows."""
    headings = [Cell(column.heading, "bold") for column in grid.columns]
    yield _draw_row(grid.columns, headings)
    yield make_line(("-" if console.options.ascii_only else "─") * grid.width, style="dim")
    for cells in zip(*(column.cells for column in grid.columns), strict=True):
        yield _draw_row(grid.columns, cells)


def draw_empty_page(view: View) -> Iterator[Text]:
    """Draw the page for a store without prices to show."""
    yield _draw_price(view)
    yield Text()
    if view.refused or view.oldest_ms is not None:
        yield from _explain_staleness(view)
    elif view.newest is not None:
        yield Text(NONE_CLOSED)
    else:
        yield Text(f"Nothing is stored yet. {STATUS if view.collected else FETCH}")
        yield from _explain_last_cycle(view)


def draw_title(view: View, about: str, *, width: int, console: Console) -> Iterator[Text]:
    """Draw the price on the left and `about` on the right, or below where the line has no room."""
    price_now = _draw_price(view)
    room = max(width, len(price_now) + 2 + len(about))
    if console.is_terminal and room > console.width:
        yield price_now
        yield Text(about, style="dim")
    else:
        yield price_now + Text(about.rjust(room - len(price_now)), style="dim")


def describe_agreement(view: View) -> Iterator[Text]:
    """Name the providers that agreed on the newest price and those far from it; nothing when it is stale."""
    if not view.members or view.simulated or view.stale:
        return
    heads = {"disputed": "Disputed, nearest to the price before it", "single": "The price of one provider alone"}
    yield Text()
    yield Text(
        f"{heads.get(view.flag or '', 'Agreed on the price')}: {', '.join(map(plain, view.members))}", style="dim"
    )
    if view.deviating:
        far = ", ".join(f"{plain(provider)} {percent(ratio)}" for provider, ratio in view.deviating)
        yield Text(f"Far from the price: {far}", style="yellow")


def list_notices(view: View) -> Iterator[Text]:
    """List notices of missing or bad data, with the command that helps."""
    lacking = {shown.resolution.name: describe_gaps(shown) for shown in view.parts}
    named = [f"{name} {text}" if len(lacking) > 1 else text for name, text in lacking.items() if text]
    if named:
        yield Text()
        yield Text(f"Gaps in closed slots: {'; '.join(named)}")
    if (spoiled := sum(shown.spoiled for shown in view.parts)) and not view.refused:
        yield Text()
        yield Text(f"Slots with an invalid price, which is left out: {spoiled}")
        yield Text(REPAIR)
    if view.halted:
        yield Text()
        yield Text("The compactions stand still: rules that derive them from ticks are missing.", style="bold yellow")
        yield Text(REBUILD)
    if view.stale:
        yield Text()
        yield from _explain_staleness(view)


def describe_gaps(shown: Shown) -> str:
    """Describe the closed slots that lack minutes, such as `2 empty, 1 incomplete (not reached)`; empty for none."""
    whole = shown.resolution.bucket_ms // MINUTE_MS
    gappy = [slot for slot in shown.slots if slot.closed and slot.minutes < whole]
    empty = sum(slot.missing for slot in gappy)
    counts = ((empty, "empty"), (len(gappy) - empty, "incomplete"))
    text = ", ".join(f"{count} {what}" for count, what in counts if count)
    reasons = dict.fromkeys(format_reason(slot.reason) for slot in gappy if slot.reason)
    return f"{text} ({', '.join(reasons)})" if reasons else text


def format_reason(reason: str) -> str:
    """Format the reason of the ledger for an unsettled minute."""
    return plain(reason.replace("_", " "))


def explain_lack(view: View) -> tuple[str, str]:
    """Explain why there is no fresh price, and the next step where there is one."""
    refused, limit = view.refused, f"the limit is {duration(view.max_age_s)}"
    if view.lack and view.lack.code == ReasonCode.FUTURE_PRICE:
        return "the newest price lies in the future and hides the others", PRUNE
    if refused:
        return f"the newest tick is {refused.price:g}, which is no price", REPAIR
    if view.oldest_ms is not None:
        return f"no price is kept from that time, the oldest one is from {iso(view.oldest_ms)}", ""
    if view.age_s is None:
        return f"there is no newest price, {limit}", COLLECT
    return f"the newest price is {duration(view.age_s)} old, {limit}", COLLECT


def _list_prices(view: View) -> Iterator[float]:
    slots = (slot for shown in view.parts for slot in shown.slots)
    yield from (value for slot in slots for value in (slot.close, slot.min) if value is not None)
    if view.newest is not None:
        yield view.newest.price


def _draw_row(columns: Iterable[Column], cells: Iterable[Cell]) -> Text:
    row = make_line()
    for column, cell in zip(columns, cells, strict=True):
        row.append(column.align(cell.text), style=cell.style).append(GAP)
    row.rstrip()
    return row


def _explain_staleness(view: View) -> Iterator[Text]:
    why, step = explain_lack(view)
    yield Text(f"Stale: {why}.", style="bold yellow")
    if step == COLLECT and view.collected:
        yield Text(STATUS)
        yield from _explain_last_cycle(view)
    elif step:
        yield Text(step)


def _explain_last_cycle(view: View) -> Iterator[Text]:
    """Tell why the last cycle of the running collector stored no price."""
    if view.collected and view.problem:
        yield Text(plain(f"Its last cycle stored no price: {view.problem}"))


def _draw_price(view: View) -> Text:
    text = Text.assemble((view.market.name, "bold"), (" (simulated)" if view.simulated else "", "magenta"), " ")
    if view.newest is None or view.age_s is None:
        return text.append("no price", style="yellow")
    text.append(price(view.newest.price, choose_places(view)), style="bold")
    return text.append(f", {duration(view.age_s)} old", style="yellow" if view.stale else "")
