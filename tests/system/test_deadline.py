"""A moment by which all waiting for one server ends."""

import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from math import inf

import pytest

from btcts.system.deadline import Deadline, TimelySocket

Ends = tuple[socket.socket, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    """Two ends of a connection, ours first."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(60)
        yield ours, theirs


def soon(seconds: float) -> Deadline:
    """A deadline that far away."""
    deadline = Deadline()
    deadline.set(time.monotonic() + seconds)
    return deadline


def test_without_a_deadline_limits_are_what_they_were() -> None:
    deadline = Deadline()

    assert deadline.left_s == inf
    assert deadline.limit(3.0) == 3.0
    assert deadline.limit(None) is None


def test_a_limit_ends_by_the_deadline() -> None:
    assert 0 < (soon(1.0).limit(3.0) or 0) <= 1
    assert 0 < (soon(1.0).limit(None) or 0) <= 1
    assert soon(9.0).limit(3.0) == 3.0


def test_behind_the_deadline_nothing_is_waited_for() -> None:
    with pytest.raises(TimeoutError):
        soon(-1).limit(3.0)


def test_an_answer_in_drops_is_not_waited_for_time_and_again(ends: Ends) -> None:
    ours, theirs = ends
    enough = threading.Event()

    def drip() -> None:
        while not enough.wait(0.01):
            theirs.sendall(b".")

    dripping = threading.Thread(target=drip)
    dripping.start()
    timely = TimelySocket(ours, soon(0.2))

    with pytest.raises(TimeoutError):
        deque(iter(lambda: timely.recv_into(bytearray(1)), 0), maxlen=0)

    enough.set()
    dripping.join()


@pytest.mark.parametrize("seconds", [0.05, -1])
def test_neither_silence_nor_a_peer_that_takes_nothing_is_waited_for_longer(ends: Ends, seconds: float) -> None:
    timely = TimelySocket(ends[0], soon(seconds))

    with pytest.raises(TimeoutError):
        timely.recv(1)
    with pytest.raises(TimeoutError):
        timely.sendall(b"." * 10_000_000)


def test_a_look_that_does_not_wait_does_not_begin_to(ends: Ends) -> None:
    timely = TimelySocket(ends[0], soon(60))
    timely.settimeout(0)

    with pytest.raises(BlockingIOError):
        timely.recv(1)


def test_what_it_does_not_limit_is_that_of_the_socket(ends: Ends) -> None:
    timely = TimelySocket(ends[0], Deadline())

    assert timely.fileno() == ends[0].fileno()
    ends[1].sendall(b"x")
    assert timely.recv(1) == b"x"
