"""The pages of `show`: stored as they look, and what holds for each of them."""

import io
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.console import Console

from btcts.domain.layout import RESOLUTIONS
from btcts.domain.model import DAY_MS, Tick
from btcts.render.show.overview import draw_overview_page
from btcts.render.show.page import print_page
from btcts.render.show.slots import draw_slots_page
from btcts.services.show import Overview, View
from render.snapshot import FOLDER, assert_as_stored
from render.views import NOW_MS, Minute, polled, view_of, walk, with_slots, with_trades, without
from support.samples import take_each

GAPS = without(walk(), range(13, 27), range(45, 46), range(600, 900))
STILL = {start_ms: Minute(64_000.0, 64_000.0, 64_000.0) for start_ms in walk()}
STALE = without(walk(), range(14))
ONE_PRICE = without(walk(), range(1, 10_000))
EXTREME = walk(swing=0.2)
MILLION = walk(1e6, swing=0.004)

PAGES = {
    "minute": view_of(walk(), "minute"),
    "5min": view_of(walk(), "5min"),
    "15min": view_of(walk(), "15min"),
    "hour": view_of(walk(), "hour"),
    "overview": view_of(walk(), *RESOLUTIONS),
    "exact": with_slots(view_of(GAPS, "minute"), with_trades),
    "exact-hour": with_slots(view_of(walk(), "hour"), with_trades),
    "exact-overview": with_slots(view_of(walk(), *RESOLUTIONS), with_trades),
    "gaps": view_of(GAPS, "5min"),
    "gaps-hour": view_of(GAPS, "hour"),
    "gaps-overview": view_of(GAPS, *RESOLUTIONS),
    "still": view_of(STILL, "5min"),
    "still-overview": view_of(STILL, *RESOLUTIONS),
    "polls-only": view_of(polled(walk()), "5min"),
    "polls-only-overview": view_of(polled(walk()), *RESOLUTIONS),
    "stale": view_of(STALE, "5min", age_s=843),
    "stale-overview": view_of(STALE, *RESOLUTIONS, age_s=843),
    "empty": view_of({}, "5min"),
    "empty-overview": view_of({}, *RESOLUTIONS),
    "before-what-is-kept": replace(view_of({}, "5min"), oldest_ms=NOW_MS - DAY_MS),
    "future-overview": replace(view_of({}, *RESOLUTIONS), refused=Tick(NOW_MS + DAY_MS, 5.0)),
    "no-price": replace(view_of(GAPS, "5min"), newest=None, refused=Tick(NOW_MS, -4.0)),
    "spoiled": replace(view_of(GAPS, "5min"), shown=replace(view_of(GAPS, "5min").shown, spoiled=2)),
    "one-closed-slot": with_slots(view_of(walk(), "5min"), lambda slots: slots[-2:]),
    "one-price": view_of(ONE_PRICE, "15min"),
    "one-price-overview": view_of(ONE_PRICE, *RESOLUTIONS),
    "extreme-moves": view_of(EXTREME, "5min"),
    "extreme-moves-overview": view_of(EXTREME, *RESOLUTIONS),
    "price-of-cents": view_of(walk(0.06, swing=0.02), "5min"),
    "price-of-cents-overview": view_of(walk(0.06, swing=0.02), *RESOLUTIONS),
    "price-of-one": view_of(walk(1.0), "5min"),
    "price-of-a-million": view_of(MILLION, "5min", simulated=True),
    "price-of-a-million-overview": view_of(MILLION, *RESOLUTIONS, simulated=True),
}

pages = pytest.mark.parametrize("name", PAGES)

COLOUR = re.compile(r"\x1b\[[0-9;]*\b3[0-7]\b[0-9;]*m")
NUMBER = re.compile(r"[-+\d,]*\.\d+")
STYLE = re.compile(r"\x1b\[[0-9;]*m")


def terminal(width: int, *, colour: bool = False) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width, color_system="standard" if colour else None)


def drawn(view: View, console: Console, *, utc: bool = False) -> str:
    """The page of the view as it arrives in the console's file."""
    draw = draw_overview_page if isinstance(view, Overview) else draw_slots_page
    print_page(draw(view, utc=utc, console=console), console)
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


@pages
def test_a_page_looks_as_it_did(name: str, set_zone: Callable[[str], None]) -> None:
    set_zone("Europe/Berlin")

    looks = [f"--- {width} columns\n{drawn(PAGES[name], terminal(width))}" for width in (40, 80, 120, 200)]
    looks.append(f"--- pipe\n{drawn(PAGES[name], Console(file=io.StringIO()))}")

    assert_as_stored(f"show-{name}", "\n".join(looks))


def test_no_page_is_stored_that_is_not_drawn() -> None:
    stored = {file.stem.removeprefix("show-") for file in FOLDER.glob("show-*")}

    assert stored == {*PAGES, "ascii", "ascii-overview"}


@pages
def test_no_line_is_wider_than_the_terminal_and_no_number_cut(name: str) -> None:
    numbers = set(NUMBER.findall(drawn(PAGES[name], Console(file=io.StringIO()), utc=True)))

    for width in (20, *take_each(range(21, 201), 8)):
        page = drawn(PAGES[name], terminal(width), utc=True)

        assert max(map(len, page.splitlines())) <= width
        assert set(NUMBER.findall(page)) <= numbers, width


def test_where_the_times_leave_no_room_the_prices_stay(set_zone: Callable[[str], None]) -> None:
    set_zone("Asia/Kathmandu")

    page = drawn(PAGES["15min"], terminal(20))

    assert page.endswith("    Close\n─────────\n65,985.79\n65,432.03\n64,982.75\n65,092.41\n65,310.28\n")


@pages
def test_into_a_pipe_goes_text_alone_whatever_the_width(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")

    page = drawn(PAGES[name], Console(file=io.StringIO()))

    assert "\x1b" not in page
    assert [line for line in page.splitlines() if line != line.rstrip()] == []


def test_into_a_pipe_go_all_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")

    page = drawn(PAGES["gaps"], Console(file=io.StringIO()), utc=True)

    columns = "Start UTC Close Change Min Max Range Mins State"
    assert columns in [" ".join(line.split()) for line in page.splitlines()]


@pages
def test_into_a_pipe_no_line_is_wrapped(name: str) -> None:
    narrow, wide = Console(file=io.StringIO(), width=20), Console(file=io.StringIO(), width=1000)

    assert drawn(PAGES[name], narrow) == drawn(PAGES[name], wide)


@pages
def test_colour_adds_nothing_that_the_text_does_not_say(name: str) -> None:
    assert STYLE.sub("", drawn(PAGES[name], terminal(80, colour=True))) == drawn(PAGES[name], terminal(80))


def test_ups_and_downs_are_coloured_on_a_terminal() -> None:
    page = drawn(PAGES["5min"], terminal(80, colour=True))

    assert "\x1b[32m+0.47%" in page
    assert "\x1b[31m-0.54%" in page


@pages
def test_no_color_is_honoured(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    assert not COLOUR.search(drawn(PAGES[name], terminal(80, colour=True)))


@pages
def test_a_dumb_terminal_gets_text_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    console = Console(file=io.StringIO(), force_terminal=True)

    page = drawn(PAGES[name], console)

    assert "\x1b" not in page
    assert max(map(len, page.splitlines())) <= 80


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437"])
@pytest.mark.parametrize(("stored", "name"), [("ascii", "gaps-hour"), ("ascii-overview", "gaps-overview")])
def test_an_encoding_other_than_utf_8_gets_ascii_alone(encoding: str, stored: str, name: str) -> None:
    console = Console(file=io.TextIOWrapper(io.BytesIO(), encoding), force_terminal=True, width=120, color_system=None)

    draw = draw_overview_page if stored == "ascii-overview" else draw_slots_page
    print_page(draw(PAGES[name], utc=True, console=console), console)

    console.file.seek(0)
    assert_as_stored(f"show-{stored}", console.file.read())


@pages
def test_simulated_prices_are_labelled(name: str) -> None:
    page = drawn(replace(PAGES[name], simulated=True), terminal(80))

    assert page.startswith("BTC-USD (simulated) ")


@pages
def test_real_prices_are_not_labelled_as_simulated(name: str) -> None:
    page = drawn(replace(PAGES[name], simulated=False), terminal(80))

    assert "simulated" not in page


@pytest.mark.parametrize("name", ["empty", "one-price"])
def test_without_a_closed_slot_with_a_price_nothing_is_said_of_volatility(name: str) -> None:
    assert "Volatility" not in drawn(PAGES[name], terminal(80))


def test_one_closed_slot_has_a_range_but_dashes_for_volatility() -> None:
    page = drawn(PAGES["one-closed-slot"], terminal(80), utc=True)

    assert "Widest 16:15     329.87  0.507%\n" in page
    assert "Realised                      -       -\n" in page


def test_a_line_without_room_for_the_volatility_does_without() -> None:
    assert "Volatility" not in drawn(PAGES["5min"], terminal(30), utc=True)
    assert "Volatility" in drawn(PAGES["5min"], terminal(32), utc=True)


@pytest.mark.parametrize("name", ["empty", "empty-overview"])
def test_an_empty_store_is_told_how_to_fill_it(name: str) -> None:
    page = drawn(PAGES[name], terminal(80))

    assert page.startswith("BTC-USD no price\n\n")
    assert page.endswith(": btcts collect --once\n")
    assert page.count("\n") == 3


@pytest.mark.parametrize("name", ["stale", "stale-overview"])
def test_a_stale_price_comes_with_its_age_and_what_to_do(name: str) -> None:
    page = drawn(PAGES[name], terminal(80))

    why, step = page.splitlines()[-2:]
    assert why.startswith("Stale: ")
    assert re.findall(r"\d+ min \d+ s", why) == ["14 min 3 s", "2 min 30 s"]
    assert step.endswith(": btcts collect --once")


@pytest.mark.parametrize("name", ["5min", "overview"])
def test_slots_that_outlived_the_newest_price_are_shown(name: str) -> None:
    page = drawn(replace(PAGES[name], newest=None), terminal(80))

    assert page.startswith("BTC-USD no price ")
    assert "65,435.93" in page
    assert "\nStale: " in page


@pytest.mark.parametrize("name", ["5min", "overview"])
def test_a_price_of_zero_that_others_wrote_breaks_no_page(name: str) -> None:
    view = with_slots(PAGES[name], lambda slots: (slots[0]._replace(close=0.0, min=0.0), *slots[1:]))

    page = drawn(view, terminal(120))

    assert "65,310.27981639" in page


@pytest.mark.parametrize("name", ["hour", "overview"])
def test_a_single_slot_can_be_shown(name: str) -> None:
    view = with_slots(PAGES[name], lambda slots: slots[-1:])

    page = drawn(view, terminal(80))

    assert "65,310.28" in page


def test_utc_is_named_where_it_is_asked_for() -> None:
    page = drawn(PAGES["5min"], terminal(80), utc=True)

    assert "2026-01-14 16:22:10 UTC" in page
    assert "Start UTC" in page


def test_the_overview_names_the_providers_that_agreed_and_no_made_up_one() -> None:
    view = replace(view_of(walk(), *RESOLUTIONS), members=("coinbase", "kraken"))

    agreed = drawn(view, terminal(100))
    simulated = drawn(replace(view, simulated=True, members=("simulated",)), terminal(100))

    assert "price: coinbase, kraken\n" in agreed
    assert "Agreed" not in simulated
