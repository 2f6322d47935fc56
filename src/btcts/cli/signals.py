"""Signal handlers that leave everything in good order."""

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

from btcts.domain.clock import Stop
from btcts.errors import ExitCode


@contextmanager
def stop_on_signals(stop: Stop) -> Iterator[None]:
    """Let SIGINT and SIGTERM set `stop`, so that current work is finished; a second one interrupts it."""

    def note(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        if number == signal.SIGINT and os.isatty(2):
            os.write(2, b"btcts: finishing the current work; Ctrl-C again stops at once\n")

    with _answer_signals((signal.SIGINT, signal.SIGTERM), note):
        yield


@contextmanager
def end_on_signals() -> Iterator[None]:
    """Let SIGHUP and SIGTERM end the block as Ctrl-C does; ignore further signals during the cleanup."""
    asked = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def end(number: int, frame: FrameType | None) -> None:
        for ending in asked:
            signal.signal(ending, signal.SIG_IGN)
        raise SystemExit(ExitCode(128 + number))

    with _answer_signals([number for number in asked if signal.getsignal(number) != signal.SIG_IGN], end):
        yield


@contextmanager
def pass_signals_on(take: Callable[[signal.Signals], None]) -> Iterator[None]:
    """Give `take` the signals of the terminal, and those that end the process; it may be called at any time."""
    noted = (signal.SIGINT, signal.SIGTERM, signal.SIGTSTP, signal.SIGWINCH)
    with _answer_signals(noted, lambda number, frame: take(signal.Signals(number))):
        yield


@contextmanager
def _answer_signals(
    numbers: Iterable[signal.Signals], answer: Callable[[int, FrameType | None], None]
) -> Iterator[None]:
    before = {number: signal.signal(number, answer) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
