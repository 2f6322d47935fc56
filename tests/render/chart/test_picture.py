"""The chart as a picture, and the elements that draw its plot."""

from collections.abc import Callable
from dataclasses import replace
from itertools import groupby, pairwise
from xml.etree import ElementTree

import pytest

from btcts.domain.model import Tick
from btcts.render.chart.picture import BOTTOM, COLOURS, HATCH, MARGIN, ROWS, TOP, Drawing, draw_chart_svg
from btcts.render.chart.plot import Plot, is_gap, make_plot
from btcts.render.chart.svg import NAMESPACE, wrap_elements
from btcts.render.chart.terminal import Canvas
from btcts.render.show.page import choose_places
from btcts.services.show import View
from render.charts import VIEWS, charted, terminal
from render.snapshot import assert_as_stored, assert_lines_as_stored
from render.views import NOW_MS

WIDTH, HEIGHT = 960, 540

views = pytest.mark.parametrize("name", VIEWS)

NAMES = [name for name in VIEWS if name not in ("empty", "long-ago")]

drawn = pytest.mark.parametrize("name", NAMES)


def parsed(view: View) -> ElementTree.Element:
    return ElementTree.fromstring(draw_chart_svg(view, utc=True))


def all_of(picture: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return list(picture.iter(f"{{{NAMESPACE}}}{name}"))


def words(picture: ElementTree.Element) -> list[str]:
    return [each.text or "" for each in all_of(picture, "text")]


@pytest.mark.parametrize("name", ["exact", "gaps", "stale"])
def test_a_picture_looks_as_it_did(name: str, set_zone: Callable[[str], None]) -> None:
    set_zone("Europe/Berlin")

    assert_as_stored(f"chart-picture-{name}", draw_chart_svg(VIEWS[name], utc=False))


@views
def test_a_picture_says_what_it_is(name: str) -> None:
    picture = parsed(VIEWS[name])

    title, desc = picture[0], picture[1]
    assert picture.get("role") == "img"
    assert picture.get("aria-labelledby") == f"{title.get('id')} {desc.get('id')}"
    assert f"{VIEWS[name].shown.resolution.name}, 2026-01-14 16:22:10 UTC" in (title.text or "")
    assert desc.text


@views
def test_a_picture_needs_nothing_from_elsewhere(name: str) -> None:
    picture = draw_chart_svg(VIEWS[name], utc=True)

    assert "http" not in picture.replace(NAMESPACE, "")
    assert "href" not in picture


@views
def test_nothing_is_drawn_outside_of_the_picture(name: str) -> None:
    picture = parsed(VIEWS[name])

    ends = [(each.get(f"x{end}"), each.get(f"y{end}")) for each in picture.findall(".//*[@x1]") for end in "12"]
    corners = [(each.get("x"), each.get("y")) for each in picture.findall(".//*[@x]")]
    places = [(float(x or 0), float(y or 0)) for x, y in ends + corners]
    assert [(x, y) for x, y in places if not (-8 <= x <= WIDTH and -8 <= y <= HEIGHT)] == []


@pytest.mark.parametrize("name", ["minute", "5min", "15min", "hour", "gaps", "stale", "price-of-dust", "crash"])
def test_every_slot_with_a_price_has_its_figures_and_no_other_has(name: str) -> None:
    present = [each for each in VIEWS[name].shown.slots if not each.missing]

    told = [each for each in all_of(parsed(VIEWS[name]), "title") if ": close " in (each.text or "")]

    assert len(told) == len(present)


def test_the_picture_says_the_same_price_and_times_as_the_terminal() -> None:
    page = charted(VIEWS["hour"], terminal(200, 45))

    picture = words(parsed(VIEWS["hour"]))

    assert {"65,310.28", "Tue 13 Jan", "Wed 14 Jan", "open, 37:50 left"} <= set(picture)
    assert [each for each in picture if each.endswith(":00") and each not in page] == []


def test_why_there_is_no_chart_stands_in_the_picture() -> None:
    empty = VIEWS["empty"]
    absent = {
        "an empty store": empty,
        "a time of which nothing is kept": replace(empty, oldest_ms=NOW_MS),
        "a price of the future": replace(empty, refused=Tick(NOW_MS + 10_001, 5.0)),
        "a tick that is no price": replace(empty, refused=Tick(NOW_MS, -4.0)),
        "slots without a price": VIEWS["long-ago"],
    }

    assert_lines_as_stored("lines-picture", {case: words(parsed(view)) for case, view in absent.items()})


@views
def test_simulated_prices_are_labelled(name: str) -> None:
    picture = words(parsed(replace(VIEWS[name], simulated=True)))

    assert picture[0].startswith("BTC-USD (simulated) ")


@pytest.mark.parametrize("name", ["stale", "long-ago"])
def test_a_stale_price_is_called_stale(name: str) -> None:
    assert words(parsed(VIEWS[name]))[1].startswith("Stale: ")


def plotted(name: str) -> Plot:
    found = make_plot(VIEWS[name], most=len(VIEWS[name].shown.slots), rows=ROWS)
    assert found is not None
    return found


def drawing(name: str) -> ElementTree.Element:
    elements = Drawing(plotted(name), VIEWS[name], utc=True).draw_elements()
    return ElementTree.fromstring(wrap_elements("svg", *elements))


def candles(picture: ElementTree.Element) -> list[ElementTree.Element]:
    return [group for group in picture.iter("g") if group.find("title") is not None]


@drawn
def test_each_candlestick_has_the_colour_of_its_trend_and_lies_on_the_plot(name: str) -> None:
    sticks = [stick for stick in plotted(name).candlesticks if stick]

    found = candles(drawing(name))

    assert [group.get("stroke") for group in found] == [COLOURS[stick.trend] for stick in sticks]
    wicks = [line for group in found for line in group.findall("line")]
    heights = [float(line.get(end, "")) for line in wicks for end in ("y1", "y2")]
    assert TOP <= min(heights) <= max(heights) <= BOTTOM
    assert all(MARGIN < float(line.get("x1", "")) < WIDTH - MARGIN for line in wicks)


@pytest.mark.parametrize("name", ["gaps", "gaps-minute", "hour"])
def test_each_run_of_slots_without_a_price_is_hatched_as_one(name: str) -> None:
    runs = [gap for gap, _ in groupby(plotted(name).shown.slots, is_gap) if gap]

    hatched = [rect for rect in drawing(name).findall("rect") if rect.get("fill") == f"url(#{HATCH})"]

    assert len(hatched) == len(runs)
    assert {float(rect.get("height", "")) for rect in hatched} <= {BOTTOM - TOP}


@drawn
def test_the_newest_price_takes_the_place_of_the_round_ones_near_it(name: str) -> None:
    places = [float(text.get("y", "")) for text in drawing(name).findall("text") if text.get("y", "0") < "424"]
    axis = sorted(place for place in places if TOP - 10 < place < BOTTOM + 10)

    assert all(after - before > 10 for before, after in pairwise(axis))


@drawn
def test_the_legend_explains_the_signs_that_occur_and_no_others(name: str) -> None:
    found = plotted(name)

    legend = [group for group in drawing(name).iter("g") if group.get("transform")]

    assert len(legend) == len(found.trends) + (found.closing_ms is not None) + found.has_gaps


@drawn
def test_the_picture_and_the_terminal_have_the_same_axes(name: str) -> None:
    found = plotted(name)
    words = {text.text for text in drawing(name).iter("text")}
    canvas = Canvas(found, 1000, choose_places(VIEWS[name]), ascii_only=False)

    *rows, _, _, days = (text.plain for text in canvas.draw_lines(utc=True))

    prices = {row.split()[-1] for row in rows if row[-1].isdigit()}
    round_prices = {label.text for label in found.axis.labels}
    assert len(round_prices - prices) <= 1  # the newest price may stand in the place of one
    assert len(round_prices - words) <= 1
    assert prices - round_prices == words & (prices - round_prices)
    assert [day for day in words if day and day.endswith(" Jan") and day not in days] == []
