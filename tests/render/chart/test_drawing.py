"""A plot as the elements of a picture."""

from itertools import groupby, pairwise
from xml.etree import ElementTree

import pytest

from btcts.render.chart.canvas import Canvas
from btcts.render.chart.drawing import BOTTOM, COLOURS, HATCH, MARGIN, ROWS, TOP, WIDTH, Drawing
from btcts.render.chart.plot import Plot, is_gap, plot
from btcts.render.chart.svg import element
from btcts.render.show.page import choose_places
from render.charts import VIEWS

NAMES = [name for name in VIEWS if name not in ("empty", "long-ago")]

drawn = pytest.mark.parametrize("name", NAMES)


def plotted(name: str) -> Plot:
    found = plot(VIEWS[name], most=len(VIEWS[name].shown.slots), rows=ROWS)
    assert found is not None
    return found


def drawing(name: str) -> ElementTree.Element:
    elements = Drawing(plotted(name), VIEWS[name], utc=True).draw_elements()
    return ElementTree.fromstring(element("svg", *elements))


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
