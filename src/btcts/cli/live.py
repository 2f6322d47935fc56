"""`btcts show --watch`: follow the view in place on a terminal, or as lines."""

import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from queue import Empty, SimpleQueue
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from btcts.cli.output import complain, emit
from btcts.cli.screen import Screen
from btcts.domain.clock import Clock
from btcts.errors import ExitCode, StoreError, StoreUnreachable
from btcts.services.show import Sight, View

if TYPE_CHECKING:
    from btcts.render.show.live import Frames

News = SimpleQueue[View | Exception | signal.Signals]
"""Events to react to; a signal handler may add one at any time."""

PATIENCE_S = 2.0
"""Seconds without an answer after which Redis counts as hanging."""


def stream(views: Iterator[View | StoreError], text: Callable[[View], str], where: str) -> None:
    """Print the view, and again at each new price; report once that Redis is away.

    Raises:
        StoreError: Redis does not answer the first time.
    """
    gc.enable()
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
    gc.enable()
    sight = _update_sight(None, next(views))
    news: News = SimpleQueue()
    threading.Thread(target=_look_on, args=(views, news), daemon=True).start()
    screen = Screen(sys.stdout.fileno(), frames.console.encoding)

    def redraw(seen: Sight) -> None:
        size = screen.size
        screen.draw(frames.draw_frame(seen, now_ms=clock.now_ms(), size=size), size)

    with _note_signals(news):
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
            case View() | Exception():
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


@contextmanager
def _note_signals(news: News) -> Iterator[None]:
    """Turn signals from the terminal, and those that end the process, into events."""

    def note(number: int, frame: FrameType | None) -> None:
        news.put(signal.Signals(number))

    noted = (signal.SIGINT, signal.SIGTERM, signal.SIGTSTP, signal.SIGWINCH)
    before = {number: signal.signal(number, note) for number in noted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
