"""The views that charts are drawn of, and the terminals that they are drawn for."""

import io
from dataclasses import replace

from rich.console import Console

from btcts.domain.model import Tick
from btcts.render.chart.terminal import draw_chart_page
from btcts.render.show.page import print_page
from btcts.services.show import View
from render.views import NOW_MS, Minute, Walk, view_of, walk, with_slots, with_trades, without

GAPS = without(walk(), range(13, 27), range(45, 46), range(600, 900))


def leaping(minutes: Walk, *, times: float, from_ago: int, to_ago: int) -> Walk:
    """The walk with prices so many times as high between two numbers of minutes before the newest."""
    high = sorted(minutes)[-from_ago:-to_ago]
    return {start: _times(each, times) if start in high else each for start, each in minutes.items()}


def _times(minute: Minute, times: float) -> Minute:
    return replace(minute, low=minute.low * times, high=minute.high * times, close=minute.close * times)


VIEWS = {
    "minute": view_of(walk(), "minute"),
    "5min": view_of(walk(), "5min"),
    "15min": view_of(walk(), "15min"),
    "hour": view_of(walk(), "hour"),
    "exact": with_slots(view_of(GAPS, "hour"), with_trades),
    "gaps": view_of(GAPS, "hour"),
    "gaps-minute": view_of(GAPS, "minute"),
    "stale": view_of(without(walk(), range(14)), "5min", age_s=843),
    "empty": view_of({}, "hour"),
    "long-ago": replace(view_of({}, "5min"), newest=Tick(NOW_MS - 90_000_000, 64_000.0)),
    "one-price": view_of(without(walk(), range(1, 10_000)), "hour"),
    "flat": view_of(dict.fromkeys(walk(), Minute(64_000.0, 64_000.0, 64_000.0)), "hour"),
    "tenfold": view_of(leaping(walk(), times=10, from_ago=900, to_ago=200), "hour"),
    "crash": view_of(walk(swing=0.2), "hour"),
    "price-of-dust": view_of(walk(0.000012), "5min"),
    "price-of-one": view_of(walk(1.0), "5min"),
    "price-of-a-million": view_of(walk(1e6, swing=0.004), "hour", simulated=True),
}


def terminal(width: int, height: int, *, colour: bool = False) -> Console:
    """A terminal of that size."""
    file = io.StringIO()
    return Console(
        file=file, force_terminal=True, width=width, height=height, color_system="standard" if colour else None
    )


def charted(view: View, console: Console, *, utc: bool = True, height: int | None = None) -> str:
    """The chart as it arrives in the console's file."""
    print_page(draw_chart_page(view, utc=utc, console=console, height=height), console)
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()
