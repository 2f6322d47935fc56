"""Calls in threads of their own."""

import threading
from collections.abc import Callable

import pytest

from btcts.system.calls import KeptThreads, start_call


def test_a_call_comes_to_its_result_or_its_failure() -> None:
    assert start_call(lambda: 7).result(5) == 7
    with pytest.raises(ZeroDivisionError):
        start_call(lambda: 1 // 0).result(5)


def test_a_call_that_waits_is_not_done() -> None:
    gate = threading.Event()

    future = start_call(lambda: gate.wait(30))
    early = future.done()
    gate.set()

    assert not early
    assert future.result(5)


def test_a_call_whose_thread_ended_without_a_word_has_failed() -> None:
    future = start_call(lambda: 7, start=lambda run: None)

    assert future.done()
    assert isinstance(future.exception(), MemoryError)


def test_a_call_that_ends_while_it_is_asked_whether_it_is_done_keeps_its_result() -> None:
    started: list[Callable[[], None]] = []

    class Ending:
        """Ends the call between the two looks of `done`: at its result, and at its thread."""

        def __call__(self) -> None:
            started.pop()()

    future = start_call(lambda: 7, start=started.append)
    vars(future)["call"] = Ending()

    assert future.done()
    assert future.result() == 7


def test_a_thread_that_is_refused_is_said_at_once() -> None:
    def refuse(run: Callable[[], None]) -> None:
        raise RuntimeError("can't start new thread")

    with pytest.raises(RuntimeError):
        start_call(lambda: 7, start=refuse)


def test_kept_threads_serve_one_call_after_the_other() -> None:
    threads, idents = KeptThreads(), set()

    for _ in range(20):
        idents.add(start_call(threading.get_ident, start=threads.start).result(5))
        idle = threads._idle.get(timeout=5)
        threads._idle.put(idle)

    assert len(idents) == 1


def test_a_kept_thread_that_is_busy_delays_no_other_call() -> None:
    threads, gate = KeptThreads(), threading.Event()

    busy = start_call(lambda: gate.wait(30), start=threads.start)
    others = [start_call(lambda: 7, start=threads.start).result(5) for _ in range(3)]
    early = busy.done()
    gate.set()

    assert (others, early, busy.result(5)) == ([7, 7, 7], False, True)


def test_kept_threads_end_when_they_are_idle() -> None:
    threads, gate, ended = KeptThreads(), threading.Event(), threading.Semaphore(0)

    class Witness(threading.local):
        def __init__(self) -> None:
            self.seen = Fall(ended)

    witness = Witness()
    started = [start_call(lambda: witness.seen and gate.wait(30), start=threads.start) for _ in range(3)]
    gate.set()
    for call in started[:2]:
        call.result(5)
    threads.end()

    assert all(ended.acquire(timeout=5) for _ in started)
    assert started[2].result(5)


class Fall:
    """Tells when it goes, as what is local to a thread does with the thread."""

    def __init__(self, ended: threading.Semaphore) -> None:
        self._ended = ended

    def __del__(self) -> None:
        self._ended.release()
