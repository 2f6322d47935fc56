"""Sockets that keep a time limit: connections to a host by its name, and a moment by which all waiting ends."""

import os
import socket
import stat
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from math import inf

import pytest

from btcts.system.sockets import MOST_ADDRESSES, Address, Deadline, Dialer, TimelySocket, interleave
from support.networks import Place, black_hole, dialer_of, refusals

V4, V6 = socket.AF_INET, socket.AF_INET6

Ends = tuple[socket.socket, socket.socket]


@pytest.fixture
def good() -> Iterator[Place]:
    """An address that takes connections."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()


@pytest.fixture
def hole() -> Iterator[Place]:
    """An address that neither takes nor refuses them."""
    with black_hole() as place:
        yield place


@pytest.fixture
def refusing() -> Iterator[list[Place]]:
    """As many addresses that refuse them as are tried at most."""
    with refusals(MOST_ADDRESSES) as places:
        yield places


def list_sockets() -> set[tuple[int, int]]:
    """List the open sockets of this process by number and inode: those of other tests may be closed at any time."""
    found = set()
    for number in map(int, os.listdir("/dev/fd")):  # noqa: PTH208 -- names are enough
        with suppress(OSError):
            status = os.fstat(number)
            if stat.S_ISSOCK(status.st_mode):
                found.add((number, status.st_ino))
    return found


@pytest.mark.parametrize(
    ("families", "order"),
    [
        ([V6, V6, V6, V4, V4], [0, 3, 1, 4, 2]),
        ([V4, V6], [0, 1]),
        ([V4, V4, V6, V6, V6], [0, 2, 1, 3, 4]),
        ([V4], [0]),
        ([], []),
    ],
)
def test_families_take_turns_and_the_best_address_stays_first(families: list[int], order: list[int]) -> None:
    addresses: list[Address] = [(family, (str(number), 1)) for number, family in enumerate(families)]

    assert interleave([*addresses, *addresses]) == [addresses[number] for number in order]


@pytest.mark.parametrize("holes", [1, 3])
def test_an_address_that_swallows_everything_delays_the_next_one_but_a_little(
    holes: int, hole: Place, good: Place
) -> None:
    places = [(f"127.0.0.{number + 1}", hole[1]) for number in range(holes - 1)]
    began = time.monotonic()

    with dialer_of({"redis.test": [hole, *places, good]}).dial("redis.test", 6379, 30.0) as connection:
        assert connection.getpeername() == good

    assert time.monotonic() - began < 10


def test_every_address_has_its_turn_within_a_short_limit(hole: Place, good: Place) -> None:
    with dialer_of({"redis.test": [hole, good]}).dial("redis.test", 6379, 0.4) as connection:
        assert connection.getpeername() == good


def test_the_next_address_is_tried_as_soon_as_one_refuses(good: Place, refusing: list[Place]) -> None:
    places = refusing[1:]
    began = time.monotonic()

    dialer_of({"redis.test": [*places, good]}).dial("redis.test", 6379, 60.0).close()

    assert time.monotonic() - began < 0.25 * len(places)


def test_a_connection_is_as_any_other(good: Place, refusing: list[Place]) -> None:
    with dialer_of({"redis.test": [good, *refusing]}).dial("redis.test", 6379, 5.0) as connection:
        assert connection.getpeername() == good
        assert connection.getblocking()


def test_the_losers_are_closed(hole: Place, good: Place, refusing: list[Place]) -> None:
    dialer = dialer_of({"redis.test": [hole, refusing[0], good]})
    before = list_sockets()

    with dialer.dial("redis.test", 6379, 5.0):
        during = list_sockets()

    assert len(during - before) == 1
    assert list_sockets() <= before


def test_the_limit_holds_where_nobody_answers_and_nothing_stays_open(hole: Place) -> None:
    dialer = dialer_of({"redis.test": [hole]})
    before, began = list_sockets(), time.monotonic()

    with pytest.raises(TimeoutError):
        dialer.dial("redis.test", 6379, 0.1)

    assert 0.1 <= time.monotonic() - began < 5
    assert list_sockets() <= before


def test_where_all_refuse_that_is_said(refusing: list[Place]) -> None:
    before = list_sockets()

    with pytest.raises(ConnectionRefusedError):
        dialer_of({"redis.test": refusing}).dial("redis.test", 6379, 5.0)

    assert list_sockets() <= before


@pytest.mark.parametrize("first", [True, False])
def test_a_refusal_says_more_than_a_family_that_is_not_there(refusing: list[Place], *, first: bool) -> None:
    nowhere, refuses = (999, ("::1", 1)), (V4, refusing[0])
    addresses = [nowhere, refuses] if first else [refuses, nowhere]

    with pytest.raises(ConnectionRefusedError):
        Dialer(lambda host, port: addresses).dial("redis.test", 6379, 5.0)


def test_a_host_without_an_address_is_an_error_of_the_system() -> None:
    with pytest.raises(OSError, match="no address"):
        dialer_of({"redis.test": []}).dial("redis.test", 6379, 5.0)


def test_of_a_host_with_very_many_addresses_the_first_are_tried(good: Place, refusing: list[Place]) -> None:
    with pytest.raises(ConnectionRefusedError):
        dialer_of({"redis.test": [*refusing, good]}).dial("redis.test", 6379, 5.0)


@pytest.mark.parametrize("host", ["hooks..example.com", "x" * 64 + ".test", ".test"])
def test_a_name_that_cannot_be_one_is_an_error_of_the_system(host: str) -> None:
    with pytest.raises(socket.gaierror, match="valid host name"):
        Dialer().dial(host, 80, 5.0)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_system_resolves_names_and_addresses(host: str, good: Place) -> None:
    with Dialer().dial(host, good[1], 5.0) as connection:
        assert connection.getpeername() == good


def test_an_ip_address_is_not_looked_up(good: Place) -> None:
    dialer_of({}).dial(*good, 5.0).close()


def test_a_look_up_that_hangs_is_given_up_in_time_and_keeps_one_thread(good: Place) -> None:
    over, begun = threading.Event(), count()

    def look_up(host: str, port: int) -> list[Address]:
        next(begun)
        over.wait(60)
        return [(V4, good)]

    dialer = Dialer(look_up)
    for _ in range(5):
        with pytest.raises(TimeoutError, match="name look-up"):
            dialer.dial("redis.test", 6379, 0.02)
    hanging = next(begun)
    over.set()

    dialer.dial("redis.test", 6379, 5.0).close()
    assert hanging == 1


def test_each_look_up_is_a_new_one_once_the_last_has_ended(good: Place, refusing: list[Place]) -> None:
    answers = iter([[(V4, refusing[0])], [(V4, good)]])
    dialer = Dialer(lambda host, port: next(answers))

    with pytest.raises(ConnectionRefusedError):
        dialer.dial("redis.test", 6379, 5.0)

    dialer.dial("redis.test", 6379, 5.0).close()


def test_no_thread_to_be_had_is_an_error_of_the_system(good: Place) -> None:
    dialer = dialer_of({"redis.test": [good]})
    size = threading.stack_size(1 << 46)
    try:
        with pytest.raises(OSError, match="no thread"):
            dialer.dial("redis.test", 6379, 5.0)
    finally:
        threading.stack_size(size)

    dialer.dial("redis.test", 6379, 5.0).close()


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
