"""A terminal without a window: a command that runs on it, and what can be seen there."""

import codecs
import fcntl
import os
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from support.commands import Command
from support.leaks import EVIDENCE

PATIENCE_S = 30.0
"""How long is waited for something that is to be seen."""

_BEGUN = re.compile(r"\x1b(?:\[[?0-9;]*)?$")
_SEQUENCE = re.compile(r"\x1b\[(?P<kind>\??)(?P<numbers>[0-9;]*)(?P<letter>[A-Za-z])")
_MODES = {"1049": "alternate", "25": "cursor", "7": "wraps", "2026": "drawing"}


class Terminal:
    """Runs a command on a terminal of `columns` by `rows` of that kind, and reads what it draws.

    `frames` are the screens as they were each time that a synchronized update had ended. What a live view never does
    is an error here: erase anything, or draw on the alternate screen outside of such an update.
    """

    def __init__(
        self,
        start: Callable[..., Command],
        environ: Mapping[str, str],
        errors: Path,
        *,
        columns: int = 100,
        rows: int = 40,
        kind: str = "xterm-256color",
    ) -> None:
        self.frames: list[list[str]] = []
        self.drawn: list[str] = []
        self.main = ""
        self.modes = {"alternate": False, "cursor": True, "wraps": True, "drawing": False}
        self._cells: list[list[str]] = []
        self._place = (0, 0)
        self._rest = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._master, self._slave = os.openpty()
        self._set_size(columns, rows)
        self.attributes = self.line_attributes()
        with errors.open("w") as error_file:
            self._process = start(
                env={**environ, "TERM": kind},
                stdin=self._slave,
                stdout=self._slave,
                stderr=error_file,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._slave)
        os.close(self._master)
        EVIDENCE.record("a terminal", "".join((self.main, *self.drawn)))

    @property
    def screen(self) -> str:
        """Return what is on the alternate screen now."""
        return "\n".join("".join(row).rstrip() for row in self._cells)

    def until(self, seen: Callable[[str], object]) -> str:
        """The screen at the end of the first frame, now or later, of which this is true."""
        return self._until(lambda: not self.modes["drawing"] and seen(self.screen))

    def resize(self, columns: int, rows: int) -> None:
        """Make it another size, as a user does who pulls at the window."""
        self._set_size(columns, rows)
        self.send(signal.SIGWINCH)

    def send(self, number: signal.Signals) -> None:
        """Send the signal that a key of the terminal, or a user, sends."""
        self._process.send_signal(number)

    def until_stopped(self) -> None:
        """Wait until it is suspended."""
        assert os.WIFSTOPPED(self._process.wait_for_change())
        self._until(lambda: not self.modes["alternate"])

    def ended(self) -> int:
        """The exit code; what it drew until then is read."""
        deadline = time.monotonic() + PATIENCE_S
        while self._process.poll() is None or self._readable(0):
            assert time.monotonic() < deadline, self.screen
            if self._readable(0.02):
                self._read()
        return self._process.wait()

    def line_attributes(self) -> list[object]:
        """Return how the terminal treats keys."""
        return termios.tcgetattr(self._slave)

    def _until(self, seen: Callable[[], object]) -> str:
        deadline = time.monotonic() + PATIENCE_S
        while not seen():
            left = max(0, deadline - time.monotonic())
            assert self._readable(left), f"not seen within {PATIENCE_S:g} s:\n{self.screen}\n{self.main}"
            self._read()
        return self.screen

    def _readable(self, within_s: float) -> bool:
        return bool(select.select([self._master], [], [], within_s)[0])

    def _set_size(self, columns: int, rows: int) -> None:
        self._columns, self._rows = columns, rows
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        kept = [row[:columns] + [" "] * (columns - len(row)) for row in self._cells[:rows]]
        self._cells = kept + [[" "] * columns for _ in range(rows - len(kept))]

    def _read(self) -> None:
        text = self._rest + self._decoder.decode(os.read(self._master, 65536))
        cut = _BEGUN.search(text)
        text, self._rest = (text[: cut.start()], text[cut.start() :]) if cut else (text, "")
        end = 0
        for found in _SEQUENCE.finditer(text):
            self._put(text[end : found.start()])
            self._obey(**found.groupdict())
            end = found.end()
        self._put(text[end:])

    def _obey(self, kind: str, numbers: str, letter: str) -> None:
        if kind and letter in "hl":
            self._switch(_MODES[numbers], on=letter == "h")
        elif letter == "H":
            row, column = (int(each) for each in numbers.split(";"))
            self._place = (row - 1, column - 1)
        else:
            assert letter == "m", f"a live view draws without CSI {numbers}{letter}"

    def _switch(self, mode: str, *, on: bool) -> None:
        if mode == "alternate" and on:
            self._cells = [[" "] * self._columns for _ in range(self._rows)]
        if mode == "drawing" and on:
            self.drawn.append("")
        if mode == "drawing" and not on and self.modes["drawing"]:
            self.frames.append(self.screen.split("\n"))
        self.modes[mode] = on

    def _put(self, text: str) -> None:
        if not self.modes["alternate"]:
            self.main += text
        elif text:
            assert self.modes["drawing"], f"drawn outside of a frame: {text!r}"
            self.drawn[-1] += text
            row, column = self._place
            self._place = (row, column + len(text))
            if row < self._rows:  # it may have been drawn for the size before
                line = self._cells[row]
                line[column : column + len(text)] = text
                del line[self._columns :]
