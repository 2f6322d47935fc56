"""Drawing on a terminal in place."""

import os
import select
from collections.abc import Iterator

import pytest

from btcts.cli.terminal import BEGIN, END, ENTER, LEAVE, SIZE, Screen

SMALL = (6, 3)


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    """The side of a terminal that is looked at, and that which is written to."""
    master, slave = os.openpty()
    yield master, slave
    os.close(slave)
    os.close(master)


def written(ends: tuple[int, int]) -> str:
    """All that was written since it was read last."""
    text = b""
    while select.select([ends[0]], [], [], 0)[0]:
        text += os.read(ends[0], 65536)
    return text.decode()


def test_the_first_frame_is_drawn_line_by_line_in_one_go(ends: tuple[int, int]) -> None:
    screen = Screen(ends[1], "utf-8")

    screen.draw(["one   ", "two   ", "three "], SMALL)

    assert written(ends) == f"{BEGIN}\x1b[1;1Hone   \x1b[2;1Htwo   \x1b[3;1Hthree {END}"


def test_afterwards_only_lines_that_changed_are_drawn(ends: tuple[int, int]) -> None:
    screen = Screen(ends[1], "utf-8")
    screen.draw(["one   ", "two   ", "three "], SMALL)
    written(ends)

    screen.draw(["one   ", "2     ", "three "], SMALL)

    assert written(ends) == f"{BEGIN}\x1b[2;1H2     {END}"


def test_when_nothing_changed_nothing_is_written(ends: tuple[int, int]) -> None:
    screen = Screen(ends[1], "utf-8")
    screen.draw(["one   "], SMALL)
    written(ends)

    screen.draw(["one   "], SMALL)

    assert written(ends) == ""


def test_another_size_is_drawn_in_full(ends: tuple[int, int]) -> None:
    screen = Screen(ends[1], "utf-8")
    screen.draw(["one   "], SMALL)
    written(ends)

    screen.draw(["one   "], (7, 3))

    assert "one" in written(ends)


def test_a_sign_that_the_terminal_cannot_show_is_replaced(ends: tuple[int, int]) -> None:
    Screen(ends[1], "ascii").draw(["a─b"], SMALL)

    assert "a?b" in written(ends)


def test_the_terminal_is_given_back_after_a_failure(ends: tuple[int, int]) -> None:
    screen = Screen(ends[1], "utf-8")

    with pytest.raises(ZeroDivisionError), screen.take_over():
        screen.draw(["one   "], (1 // 0, 3))

    text = written(ends)
    assert text.startswith(ENTER)
    assert text.endswith(LEAVE)


def test_taken_again_it_is_drawn_in_full(ends: tuple[int, int]) -> None:
    screen = Screen(ends[1], "utf-8")
    for _ in range(2):
        with screen.take_over():
            screen.draw(["one   "], SMALL)

    assert written(ends).count("one") == 2


def test_a_terminal_that_does_not_know_its_size_has_the_usual_one(ends: tuple[int, int]) -> None:
    assert Screen(ends[1], "utf-8").size == SIZE
