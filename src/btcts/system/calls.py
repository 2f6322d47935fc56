"""Calls that run in threads of their own, which no end of the process waits for and no lack of memory hides."""

import _thread
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar
from weakref import ref

T = TypeVar("T")

StartThread = Callable[[Callable[[], None]], object]


def start_thread(run: Callable[[], None]) -> None:
    """Start a thread.

    `threading.Thread.start` waits for ever where the new thread has no memory to say that it runs.

    Raises:
        RuntimeError: no thread is to be had.
    """
    _thread.start_new_thread(run, ())


def start_call(work: Callable[[], T], *, start: StartThread = start_thread, lost: Exception | None = None) -> Future[T]:
    """Start the work in a thread, and return the future of what it comes to.

    Where the thread ends without memory to say so, or even to begin, that is `lost`, else a MemoryError.

    Raises:
        RuntimeError, MemoryError: no thread is to be had.
    """
    future = _Awaited[T](lost or MemoryError())
    call = _Call(work, future)
    future.call = ref(call)
    start(call)
    return future


class _Awaited(Future[T]):
    """A future that is done, too, once its thread has ended without a word."""

    call: "ref[_Call[T]]"

    def __init__(self, lost: Exception) -> None:
        super().__init__()
        self._lost = lost

    def done(self) -> bool:
        """Tell whether there is a result, or none will come."""
        if not super().done() and self.call() is None:
            self.set_exception(self._lost)
        return super().done()


class _Call(Generic[T]):
    """Work, and the future of what it comes to; of it nobody but its thread knows."""

    def __init__(self, work: Callable[[], T], future: Future[T]) -> None:
        self._work = work
        self._future = future

    def __call__(self) -> None:
        try:
            self._future.set_result(self._work())
        except BaseException as exc:  # noqa: BLE001 - who asks for the result raises it
            self._future.set_exception(exc)
