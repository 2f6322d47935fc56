"""Parts that all pages of the terminal have."""

import io
from dataclasses import replace

import pytest
from rich.console import Console, Group
from rich.text import Text

from btcts.domain.model import Tick
from btcts.render.show.page import (
    PlainConsole,
    choose_places,
    describe_agreement,
    describe_gaps,
    draw_empty_page,
    draw_title,
    find_width,
    has_prices,
    list_notices,
    make_line,
    print_page,
)
from btcts.services.show import View
from render.charts import VIEWS
from render.snapshot import assert_lines_as_stored
from render.views import NOW_MS, Walk, polled, view_of, walk, without

FRESH = view_of(walk(), "5min")
STALE = view_of(walk(), "5min", age_s=843)
EMPTY = view_of({}, "5min")
COLLECTED = {"last_cycle_ms": NOW_MS - 3_000, "problem": "usable prices: 0,\x1b[2J needed: 1"}

NOTICES = {
    "a fresh price": FRESH,
    "gaps": view_of(without(walk(), range(13, 27)), "5min"),
    "gaps of several resolutions": view_of(without(walk(), range(13, 27)), "5min", "15min"),
    "two slots without a price": replace(FRESH, shown=replace(FRESH.shown, spoiled=2)),
    "a stale price": STALE,
    "a stale price beside a collector": replace(STALE, **COLLECTED),
    "no newest price": replace(FRESH, newest=None),
    "a price of the future": replace(FRESH, newest=None, refused=Tick(NOW_MS + 3_600_000, 64_000.0)),
    "a tick that is no price": replace(FRESH, newest=None, refused=Tick(NOW_MS, -4.0)),
}

NOTHING = {
    "an empty store": EMPTY,
    "an empty store beside a collector": replace(EMPTY, **COLLECTED),
    "a time of which nothing is kept": replace(EMPTY, oldest_ms=NOW_MS - 3_600_000),
    "no closed slot": replace(EMPTY, newest=Tick(NOW_MS - 3_000, 64_000.0)),
}

AGREEMENTS = {
    "agreed": replace(FRESH, members=("coinbase", "kraken")),
    "disputed": replace(FRESH, members=("coinbase",), flag="disputed", deviating=(("kraken", 0.0123),)),
    "alone": replace(FRESH, members=("coinbase",), flag="single"),
}


def terminal(width: int) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None)


def title(view: View, width: int) -> list[str]:
    return [text.plain for text in draw_title(view, "5min, now", width=60, console=terminal(width))]


def test_each_lack_has_its_notice_and_the_step_that_helps() -> None:
    assert_lines_as_stored(
        "lines-notices", {name: (text.plain for text in list_notices(view)) for name, view in NOTICES.items()}
    )


def test_a_page_without_prices_says_why() -> None:
    assert_lines_as_stored(
        "lines-no-prices", {name: (text.plain for text in draw_empty_page(view)) for name, view in NOTHING.items()}
    )


def test_who_agreed_and_who_is_far_away_is_said() -> None:
    assert_lines_as_stored(
        "lines-agreement",
        {name: (text.plain for text in describe_agreement(view)) for name, view in AGREEMENTS.items()},
    )


@pytest.mark.parametrize("change", [{"members": ()}, {"simulated": True}, {"newest": None}], ids=str)
def test_who_agreed_is_not_said_of_what_nobody_agreed_on(change: dict[str, object]) -> None:
    assert list(describe_agreement(replace(AGREEMENTS["agreed"], **change))) == []


def test_the_title_has_the_price_on_the_left_and_the_rest_on_the_right() -> None:
    (only,) = title(FRESH, 80)

    assert (only[:8], only[-9:], len(only)) == ("BTC-USD ", "5min, now", 60)


def test_a_title_without_room_takes_two_lines() -> None:
    first, second = title(FRESH, 30)

    assert first.endswith(" 3 s old")
    assert second == "5min, now"


def test_a_page_knows_the_width_of_a_terminal_and_that_a_pipe_has_none() -> None:
    pipe = Console(file=io.StringIO(), width=20)
    print_page(Group(make_line("x" * 100)), pipe)

    assert (find_width(terminal(44)), find_width(pipe)) == (44, None)
    assert isinstance(pipe.file, io.StringIO)
    assert pipe.file.getvalue() == "x" * 100 + "\n"


def test_only_our_own_colours_control_the_terminal() -> None:
    file = io.StringIO()

    PlainConsole(file=file, force_terminal=True, color_system="standard").print(Text("a\x1b[2Jb", style="green"))

    assert file.getvalue() == "\x1b[32ma [2Jb\x1b[0m\n"


def test_an_empty_view_has_no_prices() -> None:
    assert not has_prices(VIEWS["empty"])


def test_a_newest_price_alone_is_one() -> None:
    assert has_prices(replace(VIEWS["empty"], newest=Tick(NOW_MS, 64_000.0)))


def test_slots_that_outlived_the_newest_price_have_some() -> None:
    assert has_prices(replace(VIEWS["hour"], newest=None))


@pytest.mark.parametrize(("name", "places"), [("hour", 2), ("price-of-one", 4), ("price-of-dust", 8), ("empty", 4)])
def test_the_smallest_price_decides_how_many_decimals_there_are(name: str, places: int) -> None:
    assert choose_places(VIEWS[name]) == places


@pytest.mark.parametrize(
    ("minutes", "text"),
    [
        (walk(), ""),
        (polled(walk()), ""),
        (without(walk(), range(45, 46)), "1 incomplete (not reached)"),
        (without(walk(), range(12, 18)), "1 empty, 1 incomplete (not reached)"),
        ({}, "12 empty (not reached)"),
    ],
)
def test_gaps_are_counted_by_how_much_is_missing(minutes: Walk, text: str) -> None:
    assert describe_gaps(view_of(minutes, "5min").shown) == text


def test_gaps_without_a_known_reason_are_counted_too() -> None:
    slots = view_of({}, "5min").shown

    assert describe_gaps(replace(slots, slots=tuple(each._replace(reason=None) for each in slots.slots))) == "12 empty"
