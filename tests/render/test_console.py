"""A console that only its own colours control."""

import io

import pytest
from rich.text import Text

from btcts.render.console import PlainConsole

HOSTILE = "a\x1b[31mb\x07c\x9bd\u202ee\rf"


def printed(text: Text | str, *, colour: bool) -> str:
    file = io.StringIO()
    system = "standard" if colour else None
    PlainConsole(file=file, force_terminal=True, width=80, color_system=system, highlight=False, markup=False).print(
        text
    )
    return file.getvalue()


@pytest.mark.parametrize("text", [HOSTILE, Text(HOSTILE)], ids=["str", "Text"])
def test_text_of_others_cannot_control_the_terminal(text: Text | str) -> None:
    page = printed(text, colour=False)

    assert page.removesuffix("\n").isprintable()
    assert [letter for letter in "abcdef" if letter not in page] == []


def test_colours_of_our_own_stay() -> None:
    assert printed(Text("up", style="green"), colour=True) == "\x1b[32mup\x1b[0m\n"
