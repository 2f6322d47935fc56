"""A terminal that is drawn on in place, and left as it was."""

import os
import sys
import termios
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"
"""The alternate screen, which is empty; no cursor; no line wraps, not even while the terminal is being resized."""

LEAVE = "\x1b[?2026l\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"
"""All of it as it was, whatever was being drawn."""

BEGIN, END = "\x1b[?2026h", "\x1b[?2026l"
"""A terminal that knows them shows nothing of a frame before it has all of it (synchronized output)."""

SIZE = (80, 24)
"""The columns and rows of a terminal that does not know its own."""


class Screen:
    """The alternate screen of the terminal on `descriptor`; a frame is one write of those of its lines that changed.

    Lines are as long as the terminal is wide, so that nothing has ever to be erased.
    """

    def __init__(self, descriptor: int, encoding: str) -> None:
        self._descriptor = descriptor
        self._encoding = encoding
        self._size = SIZE
        self._drawn: list[str | None] = []

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows as they are now."""
        columns, rows = os.get_terminal_size(self._descriptor)
        return columns or SIZE[0], rows or SIZE[1]

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Take the terminal, without the echo of keys, and give it back."""
        self._drawn = []
        with _without_echo():
            try:
                self._write(ENTER)
                yield
            finally:
                with suppress(OSError):  # it may be gone
                    self._write(LEAVE)

    def draw(self, lines: Sequence[str], size: tuple[int, int]) -> None:
        """Draw a frame that was made for that size; nothing is written when nothing changed."""
        if size != self._size or len(lines) != len(self._drawn):
            self._size, self._drawn = size, [None] * len(lines)
        changed = [
            f"\x1b[{row};1H{line}"
            for row, (line, before) in enumerate(zip(lines, self._drawn, strict=True), 1)
            if line != before
        ]
        if changed:
            self._write(f"{BEGIN}{''.join(changed)}{END}")
            self._drawn = list(lines)

    def _write(self, text: str) -> None:
        data = text.encode(self._encoding, "replace")
        while data:
            data = data[os.write(self._descriptor, data) :]


@contextmanager
def _without_echo() -> Iterator[None]:
    """Let keys that are pressed neither spoil the page nor reach the shell afterwards."""
    keyboard = sys.stdin.fileno() if sys.stdin and sys.stdin.isatty() else None
    if keyboard is None:
        yield
        return
    before = termios.tcgetattr(keyboard)
    quiet = [*before[:3], before[3] & ~termios.ECHO, *before[4:]]
    try:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, quiet)
        yield
    finally:
        with suppress(termios.error):
            termios.tcsetattr(keyboard, termios.TCSAFLUSH, before)
