"""Frames of a page that is drawn in place."""

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console, Group

from btcts.domain.layout import RESOLUTIONS
from btcts.errors import NoTimeSeries, StoreError, StoreUnreachable
from btcts.render.chart.terminal import draw_chart_page
from btcts.render.show.live import Frames
from btcts.render.show.overview import draw_overview_page
from btcts.render.show.slots import draw_slots_page
from btcts.services.show import Overview, Sight, View
from render.charts import terminal
from render.views import NOW_MS, view_of, walk, without

HINT = "Ctrl-C ends."


def table(view: View, console: Console, height: int) -> Group:
    return (draw_overview_page if isinstance(view, Overview) else draw_slots_page)(view, utc=True, console=console)


def chart(view: View, console: Console, height: int) -> Group:
    return draw_chart_page(view, utc=True, console=console, height=height)


VIEWS = {
    "overview": (table, view_of(walk(), *RESOLUTIONS)),
    "minute": (table, view_of(walk(), "minute")),
    "gaps": (table, view_of(without(walk(), range(13, 27), range(600, 900)), "hour")),
    "stale": (table, view_of(without(walk(), range(14)), "5min", age_s=843)),
    "empty": (table, view_of({}, "5min")),
    "chart": (chart, view_of(walk(), "hour")),
}


def frame(
    kind: str, size: tuple[int, int], *, away: StoreError | None = None, late_ms: int = 0, colour: bool = False
) -> list[str]:
    page, view = VIEWS[kind]
    frames = Frames(page, terminal(80, 24, colour=colour), utc=True)
    return frames.draw_frame(Sight(view, away), now_ms=NOW_MS + late_ms, size=size)


@pytest.mark.parametrize("kind", VIEWS)
@settings(max_examples=15)
@given(st.integers(1, 150), st.integers(1, 70))
def test_a_frame_has_exactly_the_size_of_the_terminal(kind: str, width: int, height: int) -> None:
    lines = frame(kind, (width, height))

    assert [len(each) for each in lines] == [width] * height


@pytest.mark.parametrize("kind", VIEWS)
def test_without_colour_a_frame_has_no_sequences_in_it(kind: str) -> None:
    assert "\x1b" not in "".join(frame(kind, (100, 30)))


def test_colours_end_with_their_line() -> None:
    lines = frame("overview", (100, 30), colour=True)

    assert any("\x1b[1m" in each for each in lines)
    assert all(re.findall(r"\x1b\[[0-9;]*m", each)[-1:] in ([], ["\x1b[0m"]) for each in lines)


def test_a_table_that_is_too_high_keeps_its_head_its_newest_slots_and_what_is_below() -> None:
    lines = [each.rstrip() for each in frame("minute", (100, 30))]
    whole = [each.rstrip() for each in frame("minute", (100, 90))]

    end = whole.index("", 10)  # the blank line under the slots
    assert lines[:4] == whole[:4]
    assert lines[4:29] == whole[end - 15 : end + 10]
    assert re.findall(r"\d+", lines[29]) == ["15", "61"]
    assert lines[29].endswith(HINT)


def test_in_a_low_terminal_the_newest_slots_stay_and_what_is_below_goes() -> None:
    lines = [each.rstrip() for each in frame("minute", (100, 10))]

    assert [each[:5] for each in lines[4:9]] == ["16:18", "16:19", "16:20", "16:21", "16:22"]
    assert re.findall(r"\d+", lines[9]) == ["5", "61"]


@pytest.mark.parametrize("height", [20, 40])
def test_a_chart_takes_the_height_there_is(height: int) -> None:
    lines = [each.rstrip() for each in frame("chart", (100, height))]

    assert "up" in lines[-2]
    assert lines[-1] == HINT


def test_while_redis_is_away_the_last_line_says_since_when_and_the_age_grows() -> None:
    lines = frame("overview", (100, 30), away=StoreUnreachable("no Redis answers at /tmp/socket"), late_ms=12_500)

    assert " 16:22:10 (12 s); " in lines[-1]
    assert "/tmp/socket" not in lines[-1]
    assert ", 15 s old" in lines[0]
    assert "2026-01-14 16:22:10 UTC" in lines[0]


def test_a_redis_that_answers_something_else_is_quoted() -> None:
    lines = frame("overview", (100, 30), away=NoTimeSeries("Redis at h:1 has no TimeSeries module"))

    assert lines[-1].startswith("Redis at h:1 has ")
    assert " 16:22:10 (0 s); " in lines[-1]


def test_values_that_are_not_of_now_are_dim() -> None:
    fresh = frame("minute", (100, 30), colour=True)
    old = frame("minute", (100, 30), away=StoreUnreachable("gone"), colour=True)

    assert not fresh[6].startswith("\x1b[2m")
    assert all(each.startswith(("\x1b[2m", "\x1b[1;2m")) for each in old[:-2] if each.strip())
    assert old[-1].startswith("\x1b[1;33m")


def test_an_age_beyond_the_limit_turns_stale_while_redis_is_away() -> None:
    page, view = VIEWS["minute"]
    frames = Frames(page, terminal(80, 24), utc=True)
    sight = Sight(replace(view, max_age_s=10.0), StoreUnreachable("gone"))

    lines = frames.draw_frame(sight, now_ms=NOW_MS + 20_000, size=(100, 90))

    (stale,) = (each for each in lines if each.startswith("Stale: "))
    assert re.findall(r"\d+ s", stale) == ["23 s", "10 s"]
