"""How a command is told to stop, so that it leaves all in good order."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stopped_by_signals(stop: threading.Event) -> Iterator[None]:
    """Let SIGINT and SIGTERM set `stop`, so that what is in hand ends well; a second one ends it at once."""

    def note(signum: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        if signum == signal.SIGINT and os.isatty(2):
            os.write(2, b"btcts: ending with what is in hand; Ctrl-C again ends it now\n")

    before = {each: signal.signal(each, note) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGHUP and SIGTERM end the block as Ctrl-C does, cleaning up; further signals do not disturb that."""
    asked = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def end(signum: int, frame: FrameType | None) -> None:
        for each in asked:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + signum)

    before = {each: signal.signal(each, end) for each in asked if signal.getsignal(each) != signal.SIG_IGN}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
