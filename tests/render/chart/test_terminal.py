"""The chart of `show --chart`: stored as it looks, and what holds for each of them; its rows of characters."""

import io
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from btcts.render.chart.plot import TIME_WIDTH, make_plot
from btcts.render.chart.terminal import AXIS_WIDTH, WIDEST_SLOT, WIDEST_STICK, Canvas, draw_chart_page
from btcts.render.show.page import print_page
from render.charts import VIEWS, charted, terminal
from render.snapshot import FOLDER, assert_as_stored
from render.views import with_slots

SIZES = ((40, 20), (80, 24), (120, 30), (200, 45))
STYLE = re.compile(r"\x1b\[[0-9;]*m")
COLOUR = re.compile(r"\x1b\[[0-9;]*\b3[0-7]\b[0-9;]*m")

views = pytest.mark.parametrize("name", VIEWS)

drawn = pytest.mark.parametrize("name", [name for name in VIEWS if name not in ("empty", "long-ago")])


@views
def test_a_chart_looks_as_it_did(name: str, set_zone: Callable[[str], None]) -> None:
    set_zone("Europe/Berlin")

    looks = [f"--- {w} columns, {h} lines\n{charted(VIEWS[name], terminal(w, h), utc=False)}" for w, h in SIZES]
    looks.append(f"--- pipe\n{charted(VIEWS[name], Console(file=io.StringIO()), utc=False)}")

    assert_as_stored(f"chart-{name}", "\n".join(looks))


def test_low_terminals_get_a_low_chart_and_then_a_spark_line() -> None:
    looks = [f"--- {height} lines\n{charted(VIEWS['hour'], terminal(60, height))}" for height in (12, 11, 10, 5)]

    assert_as_stored("chart-low", "\n".join(looks))


def test_no_chart_is_stored_that_is_not_drawn() -> None:
    others = {"ascii", "colour", "low", "picture-exact", "picture-gaps", "picture-stale"}

    assert {each.stem for each in FOLDER.glob("chart-*")} == {f"chart-{each}" for each in {*VIEWS, *others}}


@views
@settings(max_examples=25)
@given(width=st.integers(min_value=20, max_value=220), height=st.integers(min_value=12, max_value=60))
def test_a_chart_never_leaves_the_terminal(name: str, width: int, height: int) -> None:
    lines = charted(VIEWS[name], terminal(width, height)).splitlines()

    assert max(map(cell_len, lines)) <= width
    assert "◄" not in "".join(lines) or len(lines) == height - 1


@views
def test_a_page_is_as_high_as_asked_for(name: str) -> None:
    page = charted(VIEWS[name], terminal(120, 30), height=24)

    assert "◄" not in page or len(page.splitlines()) == 24


def test_the_newest_price_is_marked_on_the_axis() -> None:
    assert "◄ 65,310.28" in charted(VIEWS["hour"], terminal(80, 24))


def test_the_open_slot_is_marked_and_counted_down() -> None:
    page = charted(VIEWS["5min"], terminal(80, 24))

    assert "══╤══┘" in page
    assert "═ open, 2:50 left" in page


def test_closed_slots_alone_have_no_mark_of_an_open_one() -> None:
    view = VIEWS["5min"]
    closed = with_slots(view, lambda slots: slots[:-1])

    page = charted(closed, terminal(80, 24))

    assert "═" not in page
    assert "open" not in page


def test_slots_without_room_are_counted() -> None:
    page = charted(VIEWS["minute"], terminal(40, 24))

    assert "newest 29 of 61 slots" in page


@views
def test_colour_adds_nothing_that_the_text_does_not_say(name: str) -> None:
    coloured = charted(VIEWS[name], terminal(80, 24, colour=True))

    assert STYLE.sub("", coloured) == charted(VIEWS[name], terminal(80, 24))


def test_rises_are_green_and_falls_are_red() -> None:
    assert_as_stored("chart-colour", charted(VIEWS["gaps"], terminal(80, 24, colour=True)))


@views
def test_no_color_is_honoured(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    assert not COLOUR.search(charted(VIEWS[name], terminal(80, 24, colour=True)))


@views
def test_into_a_pipe_goes_text_alone_whatever_the_terminal(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("LINES", "5")

    page = charted(VIEWS[name], Console(file=io.StringIO()))

    assert "\x1b" not in page
    assert [line for line in page.splitlines() if line != line.rstrip()] == []
    assert max(map(len, page.splitlines())) <= 100


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437"])
def test_an_encoding_other_than_utf_8_gets_ascii_alone(encoding: str) -> None:
    looks = []
    for width, height in SIZES:
        file = io.TextIOWrapper(io.BytesIO(), encoding)
        console = Console(file=file, force_terminal=True, width=width, height=height, color_system=None)
        print_page(draw_chart_page(VIEWS["gaps"], utc=True, console=console), console)
        file.seek(0)
        looks.append(file.read())

    assert_as_stored("chart-ascii", "\n".join(looks))


def test_an_empty_store_is_told_how_to_fill_it() -> None:
    page = charted(VIEWS["empty"], terminal(80, 24))

    assert page.startswith("BTC-USD no price\n\n")
    assert page.endswith(": btcts collect --once\n")
    assert page.count("\n") == 3


@views
def test_simulated_prices_are_labelled(name: str) -> None:
    page = charted(replace(VIEWS[name], simulated=True), terminal(80, 24))

    assert page.startswith("BTC-USD (simulated) ")


def test_a_stale_price_comes_with_what_to_do() -> None:
    assert charted(VIEWS["stale"], terminal(80, 24)).endswith(": btcts collect --once\n")


def canvas(name: str, *, columns: int = 100, rows: int = 20, ascii_only: bool = False) -> Canvas:
    plotted = make_plot(VIEWS[name], most=columns, rows=rows)
    assert plotted is not None
    return Canvas(plotted, columns, 2, ascii_only)


def lines(of: Canvas) -> list[str]:
    return [line.plain for line in of.draw_lines(utc=True)]


@drawn
@pytest.mark.parametrize("ascii_only", [False, True])
def test_there_is_a_line_for_each_row_and_for_the_axis_the_times_and_the_days(name: str, *, ascii_only: bool) -> None:
    of = canvas(name, ascii_only=ascii_only)

    page = lines(of)

    assert len(page) == 20 + Canvas.BELOW
    assert max(map(len, page)) <= of.width
    assert all(line.isascii() for line in page) == ascii_only


@given(columns=st.integers(25, 700))
def test_slots_share_the_columns_evenly_and_candlesticks_are_narrower_than_a_wall(columns: int) -> None:
    of = canvas("hour", columns=columns)

    count = len(of.plot.candlesticks)
    assert of.pitch == min(WIDEST_SLOT, columns // count)
    assert of.stick_width % 2 == 1
    assert of.stick_width <= min(WIDEST_STICK, of.pitch)
    assert of.width == of.pitch * count + AXIS_WIDTH + of.label_width


@drawn
def test_the_newest_price_is_marked_once_on_the_axis(name: str) -> None:
    of = canvas(name)

    marked = [line for line in lines(of) if of.signs.newest in line]

    assert len(marked) == (of.plot.marked is not None)


def test_decimal_points_of_the_prices_are_aligned() -> None:
    of = canvas("price-of-one")

    prices = [line.rpartition(" ")[2] for line in lines(of)[:20] if line[-1].isdigit()]
    ends = {line.rindex(".") for line in lines(of)[:20] if line[-1].isdigit()}

    assert len(prices) > 3
    assert len(ends) == 1


def test_times_stand_under_their_slots() -> None:
    of = canvas("hour")
    *_, floor, times, _ = lines(of)

    ticks = [at for at, sign in enumerate(floor) if sign in (of.signs.time, of.signs.running_time)]
    labels = [found.start() + TIME_WIDTH // 2 for found in re.finditer(r"\d\d:\d\d", times)]

    assert len(labels) > 3
    assert ticks[1:] == labels[1:]  # the first one is moved inwards


def test_a_gap_is_marked_in_each_of_its_rows() -> None:
    of = canvas("gaps")
    gaps = sum(slot.closed and slot.missing for slot in of.plot.shown.slots)

    rows = lines(of)[:20]

    assert gaps
    assert [row.count(of.signs.missing) for row in rows] == [gaps] * 20


@pytest.mark.parametrize(("trend", "sample"), [(1, "▐ ▌"), (-1, "▐█▌"), (0, "╶─╴")])
def test_the_legend_has_a_sample_of_each_trend(trend: int, sample: str) -> None:
    assert len(canvas("hour").sample(trend)) == len(sample) == 3
