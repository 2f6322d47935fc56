"""So many ticks that a rebuild is due, before it would hold Redis for long."""

import pytest
import redis

from btcts.domain.candles import combine
from btcts.domain.model import Candle
from btcts.store import Store
from btcts.store.check import THINNED_ABOVE
from support.series import MINUTE, NOW, TICK, put, wave

THIS_MINUTE = NOW - NOW % MINUTE
CANDLES = [
    Candle(minute, 60_000, 64_000, 59_000, 60_000)
    for minute in range(THIS_MINUTE - 1_440 * MINUTE, THIS_MINUTE, MINUTE)
]


@pytest.mark.parametrize(("count", "needs"), [(31_000, False), (31_001, True)])
def test_ticks_are_to_be_thinned_when_there_are_more_than_a_thinned_day_and_three_hours_come_to(
    client: redis.Redis, store: Store, count: int, needs: bool
) -> None:
    store.rebuild()
    put(client, TICK, wave(NOW - 1_000 * (count - 1), NOW + 1, 1_000))

    assert store.inspect().needs_thinning == needs


def test_a_rebuild_of_a_settled_day_leaves_room_for_three_hours(client: redis.Redis, store: Store) -> None:
    store.rebuild()
    put(client, TICK, combine({}, wave(NOW - 32_000_000, NOW, 1_000), CANDLES))

    rebuilt = store.rebuild()

    assert rebuilt.stored > THINNED_ABOVE
    assert rebuilt.ticks + 3 * 60 * 64 < THINNED_ABOVE
    assert not store.inspect().needs_thinning
