"""Stop commands on signals so that everything is left in good order."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from btcts.errors import ExitCode


@contextmanager
def stop_on_signals(stop: threading.Event) -> Iterator[None]:
    """Let SIGINT and SIGTERM set `stop`, so that current work is finished; a second one interrupts it."""

    def note(signum: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        if signum == signal.SIGINT and os.isatty(2):
            os.write(2, b"btcts: ending with what is in hand; Ctrl-C again ends it now\n")

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def end_on_signals() -> Iterator[None]:
    """Let SIGHUP and SIGTERM end the block as Ctrl-C does; ignore further signals during the cleanup."""
    asked = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def end(signum: int, frame: FrameType | None) -> None:
        for number in asked:
            signal.signal(number, signal.SIG_IGN)
        raise SystemExit(ExitCode(128 + signum))

    before = {number: signal.signal(number, end) for number in asked if signal.getsignal(number) != signal.SIG_IGN}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
