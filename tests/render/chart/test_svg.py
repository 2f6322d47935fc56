"""SVG as text."""

from xml.etree import ElementTree

import pytest

from btcts.render.chart.svg import draw_line, draw_text, wrap_elements, wrap_words


def test_words_and_attributes_are_escaped() -> None:
    hostile = "<b> & \"'\x00\n]]>"

    written = ElementTree.fromstring(wrap_elements("g", wrap_words("text", hostile), font_family=hostile))

    assert written[0].text == written.get("font-family") == "<b> & \"'  ]]>"


def test_an_underscore_in_the_name_of_an_attribute_is_a_hyphen() -> None:
    assert wrap_elements("rect", stroke_width=1.5) == '<rect stroke-width="1.5"/>'


@pytest.mark.parametrize(("number", "written"), [(1 / 3, "0.33"), (12.0, "12"), (-0.5, "-0.5")])
def test_numbers_have_two_decimals_at_most(number: float, written: str) -> None:
    assert draw_line((number, 1), (2, 3)) == f'<line x1="{written}" y1="1" x2="2" y2="3"/>'


def test_each_element_stands_on_a_line_of_its_own_and_words_are_not_broken() -> None:
    lines = wrap_elements("g", draw_text(1, 2, "two words"), wrap_elements("rect")).splitlines()

    assert lines == ["<g>", '<text x="1" y="2">two words</text>', "<rect/>", "</g>"]
