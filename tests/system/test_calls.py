"""Calls in threads of their own."""

import threading
from collections.abc import Callable

import pytest

from btcts.system.calls import start_call


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


def test_a_thread_that_is_refused_is_said_at_once() -> None:
    def refuse(run: Callable[[], None]) -> None:
        raise RuntimeError("can't start new thread")

    with pytest.raises(RuntimeError):
        start_call(lambda: 7, start=refuse)
