"""Draw on a terminal in place, and leave it as it was."""

import os
import sys
import termios
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"
"""Switch to the empty alternate screen, hide the cursor, and wrap no line, not even during a resize."""

LEAVE = "\x1b[?2026l\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"
"""Undo all of that, whatever was being drawn."""

BEGIN, END = "\x1b[?2026h", "\x1b[?2026l"
"""Synchronized output: a terminal that knows it shows a frame only when all of it has arrived."""

SIZE = (80, 24)
"""Columns and rows to assume where the terminal does not report its own."""


class Screen:
    """The alternate screen of the terminal on `descriptor`; a frame is one write of the lines that changed.

    Lines are as long as the terminal is wide, so nothing ever has to be erased.
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
    def take_over(self) -> Iterator[None]:
        """Take the terminal, with the echo of keys off, and give it back."""
        self._drawn = []
        with _keep_echo_off():
            try:
                self._write(ENTER)
                yield
            finally:
                with suppress(OSError):  # the terminal may be gone
                    self._write(LEAVE)

    def draw(self, lines: Sequence[str], size: tuple[int, int]) -> None:
        """Draw a frame made for that size; write nothing when nothing changed."""
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
def _keep_echo_off() -> Iterator[None]:
    """Keep pressed keys from spoiling the page and from reaching the shell afterwards."""
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
