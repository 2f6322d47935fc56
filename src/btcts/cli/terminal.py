"""`btcts show --watch`: follow a view in place on a terminal, which is left as it was, or as lines."""

import os
import signal
import sys
import termios
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, NoReturn

from btcts.cli.output import complain, emit
from btcts.cli.signals import pass_signals_on
from btcts.domain.clock import Clock
from btcts.errors import ExitCode, StoreError, StoreUnreachable
from btcts.services.show import Overview, Sight, SlotsView, View
from btcts.system.calls import start_thread

if TYPE_CHECKING:
    from btcts.render.show.live import Frames

ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"
"""Switch to the empty alternate screen, hide the cursor, and wrap no line, not even during a resize."""

LEAVE = "\x1b[?2026l\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"
"""Undo all of that, whatever was being drawn."""

BEGIN, END = "\x1b[?2026h", "\x1b[?2026l"
"""Synchronized output: a terminal that knows it shows a frame only when all of it has arrived."""

SIZE = (80, 24)
"""Columns and rows to assume where the terminal does not report its own."""

News = SimpleQueue[View | Exception | signal.Signals]
"""Events to react to; a signal handler may add one at any time."""

PATIENCE_S = 2.0
"""Seconds without an answer after which Redis counts as hanging."""


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


def stream(views: Iterator[View | StoreError], text: Callable[[View], str], where: str) -> None:
    """Print the view, and again at each new price; report once that Redis is away.

    Raises:
        StoreError: Redis does not answer the first time.
    """
    sight: Sight | None = None
    for view in views:
        before, sight = sight, _update_sight(sight, view)
        if isinstance(view, StoreError):
            if before and not before.away:
                complain(f"{view}; trying again")
        else:
            if before and before.away:
                complain(f"Redis at {where} answers again")
            if not before or before.view.newest != view.newest:
                emit(text(view))


def draw(views: Iterator[View | StoreError], frames: "Frames", *, clock: Clock, interval_s: float) -> NoReturn:
    """Draw the view in place as it changes, until a signal ends it.

    A thread reads, so that the age on screen keeps growing while Redis hangs.

    Raises:
        StoreError: Redis does not answer the first time.
        KeyboardInterrupt: Ctrl-C.
    """
    sight = _update_sight(None, next(views))
    news: News = SimpleQueue()
    start_thread(lambda: _look_on(views, news))
    screen = Screen(sys.stdout.fileno(), frames.console.encoding)

    def redraw(seen: Sight) -> None:
        size = screen.size
        screen.draw(frames.draw_frame(seen, now_ms=clock.now_ms(), size=size), size)

    with pass_signals_on(news.put):
        while True:
            with screen.take_over():
                sight = _draw_until_suspended(sight, news, redraw, interval_s)
            os.kill(os.getpid(), signal.SIGSTOP)


def _draw_until_suspended(sight: Sight, news: News, redraw: Callable[[Sight], None], interval_s: float) -> Sight:
    """Redraw at each event until Ctrl-Z; return what was shown last."""
    while True:
        redraw(sight)
        try:
            new = news.get(timeout=interval_s if sight.away else interval_s + PATIENCE_S)
        except Empty:
            new = StoreUnreachable(f"Redis gives no answer within {PATIENCE_S:g} s")
        match new:
            case signal.SIGINT:
                raise KeyboardInterrupt
            case signal.SIGTERM:
                sys.exit(ExitCode.TERMINATED)
            case signal.SIGTSTP:
                return sight
            case Overview() | SlotsView() | Exception():
                sight = _update_sight(sight, new)


def _update_sight(sight: Sight | None, new: View | Exception) -> Sight:
    """Return what is known after this answer.

    Raises:
        StoreError: the first answer is a failure, so there is no view.
    """
    if isinstance(new, View):
        return Sight(new)
    if sight is None or not isinstance(new, StoreError):
        raise new
    return replace(sight, away=new)


def _look_on(views: Iterator[View | StoreError], news: News) -> None:
    try:
        for view in views:
            news.put(view)
    except Exception as exc:  # noqa: BLE001 -- the thread that draws raises it
        news.put(exc)
