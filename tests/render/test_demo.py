"""The picture of a terminal."""

from xml.etree import ElementTree

from rich.console import Console, Group
from rich.text import Text

from btcts.render.demo import WIDTH, draw_terminal

NAMESPACE = "http://www.w3.org/2000/svg"


def page(console: Console) -> Group:
    return Group(Text(f"{console.width} columns", style="green"))


def test_each_page_stands_under_its_command_and_fits_the_terminal() -> None:
    picture = ElementTree.fromstring(draw_terminal([("btcts show", page), ("btcts status", page)], title="a title"))

    words = "".join(picture.itertext()).replace("\xa0", " ")
    first, second = words.index("btcts show"), words.index("btcts status")
    assert first < words.index(f"{WIDTH} columns") < second < words.rindex(f"{WIDTH} columns")
    assert "a title" in words


def test_the_picture_needs_nothing_from_the_network() -> None:
    picture = draw_terminal([("btcts show", page)], title="a title")

    assert "@font-face" not in picture
    assert picture.replace(NAMESPACE, "").count("http") == picture.count("https://www.textualize.io")
