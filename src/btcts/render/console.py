"""A console whose text cannot control the terminal: only rich's own colours and cursor moves do."""

from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from btcts.system.foreign import plain_page


class PlainConsole(Console):
    """A rich console for text that others may have written."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Render it with blanks for unprintable characters; rich itself strips only a few such as the bell."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(plain_page(segment.text), segment.style)
