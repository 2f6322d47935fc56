"""What commands print, as a picture of the terminal that they print it on."""

import io
import re
from collections.abc import Callable, Iterable

from rich.console import Console, Group
from rich.text import Text

WIDTH = 110
"""Columns of that terminal."""

FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
"""What rich would have fetched from elsewhere."""

Page = Callable[[Console], Group]
"""Makes a page for a console."""


def terminal_svg(screens: Iterable[tuple[str, Page]], *, title: str) -> str:
    """The commands, each with the page that it prints below it, on one terminal."""
    console = Console(
        record=True, file=io.StringIO(), force_terminal=True, color_system="truecolor", width=WIDTH, highlight=False
    )
    for number, (command, page) in enumerate(screens):
        if number:
            console.print()
        console.print(Text.assemble(("$ ", "dim"), (command, "bold")))
        console.print(page(console))
    return FONTS.sub("", console.export_svg(title=title))
