"""Slots and ticks as frames of pandas."""

import math
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

import btcts
from btcts.domain.frames import SLOT_COLUMNS
from btcts.domain.model import PRICE_CEILING, REASONS, Slot, Tick
from btcts.store import Store
from support.series import FIRST_OF_WINDOW, HOUR, NOW

PRICES = st.floats(min_value=1e-8, max_value=PRICE_CEILING)
TIMES = st.integers(min_value=1_231_006_505_000, max_value=4_102_444_800_000)


def slot(start_ms: int, price: float | None, reason: str | None = None) -> Slot:
    """A slot that is missing where there is no price."""
    known = price is not None
    return Slot(start_ms, price, price, price, closed=True, settled=known, minutes=60 * known, reason=reason)


def find_date(time_ms: int) -> datetime:
    """The moment as a date, exactly."""
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=time_ms)


def test_slots_are_rows_by_their_start_in_utc(full: Store) -> None:
    slots = full.slots("hour")

    frame = btcts.to_pandas(slots)

    assert list(frame.columns) == ["close", "min", "max", "closed", "settled", "minutes", "reason", "open", "exact"]
    assert frame.index.name == "start"
    assert str(frame.index.tz) == "UTC"
    assert frame.index[0] == datetime(2025, 12, 31, 12, tzinfo=UTC)
    assert [row.close for row in frame.itertuples()] == [slot.close for slot in slots]
    assert frame.closed.tolist() == [True] * 24 + [False]


def test_ticks_are_rows_by_their_time_in_utc(full: Store) -> None:
    ticks = full.ticks(btcts.Span(FIRST_OF_WINDOW, NOW))

    frame = btcts.to_pandas(ticks)

    assert list(frame.columns) == ["price"]
    assert frame.index.name == "time"
    assert frame.index[0] == find_date(ticks[0].time_ms)
    assert frame.price.tolist() == [tick.price for tick in ticks]


@given(
    st.lists(st.builds(slot, TIMES, st.none() | PRICES, st.none() | st.sampled_from(REASONS)), min_size=1, max_size=9)
)
def test_every_value_of_a_slot_stands_in_its_row(slots: list[Slot]) -> None:
    frame = btcts.to_pandas(slots)

    for slot, (start, row) in zip(slots, frame.iterrows(), strict=True):
        assert start == find_date(slot.start_ms)
        assert math.isnan(row.close) if slot.close is None else row.close == slot.close
        assert (row.closed, row.settled, row.minutes, row.reason) == (
            slot.closed,
            slot.settled,
            slot.minutes,
            slot.reason,
        )


@given(st.lists(st.builds(slot, TIMES, st.none() | PRICES), min_size=1))
def test_columns_have_the_same_types_whatever_is_missing(slots: list[Slot]) -> None:
    frame = btcts.to_pandas(slots)

    assert {name: str(kind) for name, kind in frame.dtypes.items()} == SLOT_COLUMNS


@given(st.lists(st.builds(Tick, TIMES, PRICES)))
def test_ticks_come_out_as_they_went_in(ticks: list[Tick]) -> None:
    frame = btcts.to_pandas(ticks)

    stamps = [round(stamp.timestamp() * 1000) for stamp in frame.index]
    assert list(map(Tick, stamps, frame.price)) == ticks


def test_a_store_without_a_price_makes_rows_without_one(store: Store) -> None:
    frame = btcts.to_pandas(store.slots("15min"))

    assert len(frame) == 5
    assert frame[["close", "min", "max"]].isna().all(axis=None)


def test_no_ticks_make_an_empty_frame_of_ticks(store: Store) -> None:
    frame = btcts.to_pandas(store.ticks(btcts.Span(NOW - HOUR, NOW)))

    assert (len(frame), list(frame.columns), str(frame.index.tz)) == (0, ["price"], "UTC")


def test_a_frame_can_be_aggregated_by_time(full: Store) -> None:
    minutes = btcts.to_pandas(full.slots("minute"))

    quarters = minutes[minutes.closed].resample("15min")["max"].max()

    stored = btcts.to_pandas(full.slots("15min"))["max"]
    assert quarters.iloc[1:4].tolist() == stored.loc[quarters.index[1:4]].tolist()


def test_without_pandas_one_line_says_how_to_get_it() -> None:
    code = "import sys; sys.modules['pandas'] = None\nimport btcts\nbtcts.to_pandas([])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)

    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: to_pandas() ")
    assert last.endswith(" pip install pandas")
    assert "During handling" not in done.stderr


@pytest.mark.parametrize("name", ["btcts", "btcts.domain.frames", "btcts.connect"])
def test_pandas_is_not_imported_before_it_is_used(name: str) -> None:
    code = f"import sys, {name}; print('pandas' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout == "False\n"
