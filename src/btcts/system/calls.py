"""Calls in threads of their own: process exit does not wait for them, and running out of memory is reported."""

import _thread
from collections.abc import Callable, Collection
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar
from weakref import ref

T = TypeVar("T")

StartThread = Callable[[Callable[[], None]], object]

Wait = Callable[[Collection[Future[Any]], float], object]
"""Waits until all calls are done, for so many seconds at most, as `concurrent.futures.wait` does."""


def start_thread(run: Callable[[], None]) -> None:
    """Start a thread.

    `threading.Thread.start` hangs if the new thread runs out of memory before it signals that it runs.

    Raises:
        RuntimeError: no thread can be started.
    """
    _thread.start_new_thread(run, ())


class KeptThreads:
    """Threads that are kept for the next call until `end`, which lets running calls finish."""

    def __init__(self) -> None:
        self._idle: SimpleQueue[SimpleQueue[Callable[[], None] | None]] = SimpleQueue()
        self._ended = False

    def start(self, run: Callable[[], None]) -> None:
        """Run a call in an idle thread, or in a new one.

        Raises:
            RuntimeError, MemoryError: no thread can be started.
        """
        try:
            calls = self._idle.get_nowait()
        except Empty:
            calls = SimpleQueue()
            start_thread(lambda: self._serve(calls))
        calls.put(run)

    def end(self) -> None:
        """End the idle threads now, and the others once they are idle."""
        self._ended = True
        with suppress(Empty):
            while True:
                self._idle.get_nowait().put(None)

    def _serve(self, calls: "SimpleQueue[Callable[[], None] | None]") -> None:
        while run := calls.get():
            run()
            del run  # its future may be all that knows of it
            self._idle.put(calls)
            if self._ended:
                self.end()


def start_call(work: Callable[[], T], *, start: StartThread = start_thread, lost: Exception | None = None) -> Future[T]:
    """Start the work in a thread and return the future of its result.

    If the thread dies for lack of memory, the future fails with `lost` or, without it, a MemoryError.

    Raises:
        RuntimeError, MemoryError: no thread can be started.
    """
    future = _Awaited[T](lost or MemoryError())
    call = _Call(work, future)
    future.call = ref(call)
    start(call)
    return future


class _Awaited(Future[T]):
    """A future that is also done once its thread has ended without setting a result."""

    call: "ref[_Call[T]]"

    def __init__(self, lost: Exception) -> None:
        super().__init__()
        self._lost = lost

    def done(self) -> bool:
        """Tell whether there is a result or none will come."""
        if self.call() is None and not super().done():  # in this order: a call sets its result before it is gone
            self.set_exception(self._lost)
        return super().done()


class _Call(Generic[T]):
    """Work and the future of its result; only its thread holds a reference, so that its end is noticed."""

    def __init__(self, work: Callable[[], T], future: Future[T]) -> None:
        self._work = work
        self._future = future

    def __call__(self) -> None:
        try:
            self._future.set_result(self._work())
        except BaseException as exc:  # noqa: BLE001 - raised again where the result is read
            self._future.set_exception(exc)
