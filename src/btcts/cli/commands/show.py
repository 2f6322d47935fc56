"""`btcts show`."""

import os
import sys
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from btcts.cli.options import (
    FORMAT,
    INTERVAL_S,
    OUTPUT,
    Common,
    IntervalOption,
    MaxAgeOption,
    ReplicaOption,
    SinceOption,
    SvgOption,
    UtcOption,
    with_common_options,
)
from btcts.cli.output import Form, Printer, TableFormat
from btcts.cli.startup import collect_garbage_again
from btcts.cli.times import Anchor, Moment, parse_moment
from btcts.errors import ConfigError

if TYPE_CHECKING:
    from btcts.services.show import View
    from btcts.store import Store


class ResolutionName(StrEnum):
    """The resolutions of the layout."""

    minute = "minute"
    five_minutes = "5min"
    fifteen_minutes = "15min"
    hour = "hour"


CHARTED = ResolutionName.hour
"""The default resolution of a chart: hours, which cover the whole day that is kept."""


@with_common_options
def show(
    resolution: Annotated[
        ResolutionName | None,
        typer.Argument(help="The slots to show (default: an overview of all four; with --chart, the hours)."),
    ] = None,
    *,
    since: SinceOption = None,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="Show the slots as of this time, written as for --since.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Show the newest N slots, including the open one.")
    ] = None,
    closed: Annotated[bool, typer.Option("--closed", help="Leave out the open slot.")] = False,
    max_age: MaxAgeOption = None,
    replica: ReplicaOption = False,
    chart: Annotated[bool, typer.Option("--chart", help="Draw candles.", rich_help_panel=OUTPUT)] = False,
    svg: SvgOption = None,
    format: Annotated[TableFormat | None, FORMAT] = None,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch",
            help="Follow the price in place until Ctrl-C; with --format json, print a line for each new price.",
        ),
    ] = False,
    interval: IntervalOption = None,
    utc: UtcOption = False,
    common: Common,
) -> None:
    """Show the slots of a resolution, newest last, or an overview of all.

    Examples:
      btcts show
      btcts show hour --since 6h
      btcts show --chart
      btcts show minute --chart --watch
      btcts show hour --svg day.svg
      btcts show hour --closed --format csv > day.csv
      btcts show 5min --limit 1 --format json
    """
    form = _choose_form(format, chart=chart, svg=svg)
    if watch:
        _check_watch(form, at)
    elif interval is not None:
        raise ConfigError(f"--interval {interval:g} goes with --watch")
    if form in (Form.chart, Form.picture):
        resolution = resolution or CHARTED
    asked = _SlotOptions(resolution, parse_moment("--since", since), parse_moment("--at", at), limit, closed, max_age)
    printer = Printer(form, utc, common.no_color, svg)
    settings = common.load_settings(redis__replica=replica or None)
    with common.connect(settings) as store:
        look = asked.make_look(store)
        if watch:
            _follow(store, look, printer, INTERVAL_S if interval is None else interval)
        view = look()
        common.say_lag(settings, store)
    printer.print(view)
    if form is Form.picture and svg != "-":
        common.say(f"the chart is in {svg}")


def _choose_form(format: TableFormat | None, *, chart: bool, svg: str | None) -> Form:
    """Choose the form that the options ask for; --svg draws the chart, so --chart may stand beside it."""
    drawn = f"--svg {svg}" if svg is not None else "--chart" if chart else ""
    if drawn and format is not None:
        raise ConfigError(f"{drawn} cannot be combined with --format {format}; use one or the other")
    if drawn:
        return Form.chart if svg is None else Form.picture
    return Form(format or TableFormat.table)


def _check_watch(form: Form, at: str | None) -> None:
    if at is not None:
        raise ConfigError(f"--at {at} stands still and --watch follows the present; use one or the other")
    if form in (Form.csv, Form.picture):
        raise ConfigError(f"--watch makes no {form}; use it with the table, --chart or --format json")
    if form is not Form.json and not (sys.stdout.isatty() and os.environ.get("TERM") != "dumb"):
        raise ConfigError("--watch redraws a terminal, and stdout is not one that can be redrawn; use --format json")


class _SlotOptions(NamedTuple):
    """The options that choose what is shown."""

    resolution: ResolutionName | None
    since: Moment | None
    at: Moment | None
    limit: int | None
    closed: bool
    max_age_s: float | None

    def make_look(self, store: "Store") -> Callable[[], "View"]:
        """Return the function that reads the view; times relative to now are fixed by this call."""
        from btcts.services.show import Which, show_overview, show_slots

        at_ms = self.at.resolve(store) if self.at else None
        which = Which(self._resolve_since_ms(store, at_ms), self.limit, self.closed)
        if (name := self.resolution) is None:
            return lambda: show_overview(store, at_ms=at_ms, which=which, max_age_s=self.max_age_s)
        return lambda: show_slots(store, name, at_ms=at_ms, which=which, max_age_s=self.max_age_s)

    def _resolve_since_ms(self, store: "Store", at_ms: int | None) -> int | None:
        if self.since is None or (since_ms := self.since.resolve(store)) is None:
            return None
        now_ms = store.read_clock() if at_ms is None else at_ms
        if since_ms <= now_ms:
            return since_ms
        if self.since.anchor is Anchor.newest:
            return now_ms  # a tick may be stamped slightly ahead
        from btcts.render.figures import iso

        raise ConfigError(f"--since {iso(since_ms)} is later than {iso(now_ms)}: no slot starts that late")


def _follow(store: "Store", look: Callable[[], "View"], printer: Printer, interval_s: float) -> None:
    """Print or draw the view as it changes, until a signal ends the command."""
    from btcts.cli import terminal
    from btcts.services.show import follow

    collect_garbage_again()
    views = follow(store, look, interval_s=interval_s)
    if printer.form is Form.json:
        terminal.stream(views, printer.render_text, store.where)
    else:
        from btcts.render.show.live import Frames

        frames = Frames(printer.page, printer.open_console(), printer.utc)
        terminal.draw(views, frames, clock=store.clock, interval_s=interval_s)
