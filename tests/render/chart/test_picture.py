"""The chart as a picture."""

from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from btcts.domain.model import Tick
from btcts.render.chart.picture import draw_chart_svg
from btcts.render.chart.svg import NAMESPACE
from btcts.services.show import View
from render.charts import VIEWS, charted, terminal
from render.snapshot import assert_as_stored, assert_lines_as_stored
from render.views import NOW_MS

WIDTH, HEIGHT = 960, 540

views = pytest.mark.parametrize("name", VIEWS)


def parsed(view: View) -> ElementTree.Element:
    return ElementTree.fromstring(draw_chart_svg(view, utc=True))


def all_of(picture: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return list(picture.iter(f"{{{NAMESPACE}}}{name}"))


def words(picture: ElementTree.Element) -> list[str]:
    return [each.text or "" for each in all_of(picture, "text")]


@pytest.mark.parametrize("name", ["gaps", "stale"])
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
