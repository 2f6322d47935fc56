"""Calls that run in threads of their own, which no end of the process waits for."""

import _thread
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")

StartThread = Callable[[Callable[[], None]], object]


def start_thread(run: Callable[[], None]) -> None:
    """Start a thread.

    `threading.Thread.start` waits for ever where the new thread has no memory to say that it runs.

    Raises:
        RuntimeError: no thread is to be had.
    """
    _thread.start_new_thread(run, ())


def start_call(work: Callable[[], T], *, start: StartThread = start_thread) -> Future[T]:
    """Start the work, and return the future of what it comes to.

    Raises:
        RuntimeError, MemoryError: no thread is to be had.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as exc:  # noqa: BLE001 - who asks for the result raises it
            future.set_exception(exc)

    start(run)
    return future
