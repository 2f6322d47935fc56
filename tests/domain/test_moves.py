"""Recent moves of the price."""

import pytest

from btcts.domain.layout import HOUR, MINUTE, RESOLUTIONS, Resolution
from btcts.domain.model import Slot
from btcts.domain.moves import SPANS, PriceMove, compute_move, find_day_range
from support.series import HOUR as HOUR_MS
from support.series import MINUTE as MINUTE_MS
from support.series import NOW


def slots(resolution: Resolution, closes: dict[int, float]) -> tuple[Slot, ...]:
    """The slots of the clock, those that start so long ago with a close; min and max are 10 USD away from it."""
    return tuple(
        Slot(start, close, close and close - 10, close and close + 10, closed=True, settled=True, minutes=1)
        for start in resolution.slots(NOW)
        for close in [closes.get(resolution.start_of(NOW) - start)]
    )


@pytest.mark.parametrize(
    ("span", "resolution", "ago_ms"),
    [
        ("5min", MINUTE, 5 * MINUTE_MS),
        ("15min", MINUTE, 15 * MINUTE_MS),
        ("1h", MINUTE, 60 * MINUTE_MS),
        ("24h", HOUR, 24 * HOUR_MS),
    ],
)
def test_a_move_begins_with_the_close_of_the_slot_in_which_that_long_ago_lies(
    span: str, resolution: Resolution, ago_ms: int
) -> None:
    known = {resolution.name: slots(resolution, {ago_ms: 50_000.0})}

    moved = compute_move(span, known, 60_000.0, NOW)

    assert moved == PriceMove(50_000.0, 60_000.0)
    assert (moved.amount, moved.ratio) == (10_000.0, 60_000 / 50_000 - 1)


@pytest.mark.parametrize("span", SPANS)
def test_a_move_from_a_missing_slot_is_not_known(span: str) -> None:
    assert compute_move(span, {name: slots(each, {}) for name, each in RESOLUTIONS.items()}, 60_000.0, NOW) is None


@pytest.mark.parametrize("span", SPANS)
def test_a_move_without_the_slots_that_reach_so_far_back_is_not_known(span: str) -> None:
    newest_alone = {name: slots(each, {0: 50_000.0})[-1:] for name, each in RESOLUTIONS.items()}

    assert compute_move(span, newest_alone, 60_000.0, NOW) is None
    assert compute_move(span, {}, 60_000.0, NOW) is None


def test_without_a_newest_price_there_is_no_move() -> None:
    assert compute_move("5min", {"minute": slots(MINUTE, {5 * MINUTE_MS: 50_000.0})}, None, NOW) is None


def test_the_range_of_the_day_is_over_all_hours_the_open_one_included() -> None:
    known = {"hour": slots(HOUR, {24 * HOUR_MS: 50_000.0, 3 * HOUR_MS: 40_000.0, 0: 60_000.0})}

    assert find_day_range(known, NOW) == (39_990.0, 60_010.0)


def test_the_range_of_the_day_is_not_known_from_a_part_of_it() -> None:
    assert find_day_range({"hour": slots(HOUR, {0: 60_000.0})[1:]}, NOW) is None
    assert find_day_range({"hour": slots(HOUR, {})}, NOW) is None
