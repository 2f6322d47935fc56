import pytest

from btcts.providers.streams.session import PINGED_AFTER_MS, USUAL, find_ping_wait_ms
from providers.streams.conftest import NOW_MS

INTERVAL_MS = round(1000 * USUAL.ping_s)


@pytest.mark.parametrize("late_ms", [-20, 0, 1, 250, 999])
def test_pings_come_at_the_same_moments_of_each_minute_however_late_the_last_one_was(late_ms: int) -> None:
    pinged_ms = NOW_MS + PINGED_AFTER_MS + late_ms

    wait_ms = find_ping_wait_ms(pinged_ms, INTERVAL_MS)

    assert (pinged_ms + wait_ms) % 60_000 % INTERVAL_MS == PINGED_AFTER_MS
    assert INTERVAL_MS // 2 < wait_ms <= INTERVAL_MS + 20
