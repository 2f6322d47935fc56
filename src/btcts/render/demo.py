"""The output of commands, as a picture of a terminal."""

import io
import re
from collections.abc import Callable, Iterable

from rich.console import Console, Group
from rich.text import Text

WIDTH = 110
"""Columns of that terminal."""

FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
"""Web fonts that rich would link to; the picture must need nothing from the network."""

DrawPage = Callable[[Console], Group]
"""Makes a page for a console."""


def draw_terminal(screens: Iterable[tuple[str, DrawPage]], *, title: str) -> str:
    """Draw one terminal with the commands, each above the page that it prints."""
    console = Console(
        record=True, file=io.StringIO(), force_terminal=True, color_system="truecolor", width=WIDTH, highlight=False
    )
    for number, (command, page) in enumerate(screens):
        if number:
            console.print()
        console.print(Text.assemble(("$ ", "dim"), (command, "bold")))
        console.print(page(console))
    return FONTS.sub("", console.export_svg(title=title))
