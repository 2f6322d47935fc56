"""A feed that comes back after it was silent for longer than the window."""

from btcts.domain.layout import RESOLUTIONS
from btcts.domain.model import HOUR_MS, Tick
from btcts.store import Store
from support.clocks import FakeClock


def test_the_first_price_after_a_long_silence_publishes_no_outdated_bucket(store: Store, clock: FakeClock) -> None:
    store.write([Tick(clock.now_ms() - 60_000, 60_000.0), Tick(clock.now_ms(), 60_001.0)])
    clock.advance(30 * HOUR_MS)

    store.write([Tick(clock.now_ms(), 70_000.0)])

    found = store.buckets()
    open_slots = {name: [each.start_of(clock.now_ms())] for name, each in RESOLUTIONS.items()}
    assert {name: list(fields["close"]) for name, fields in found.items()} == open_slots
    assert store.excess() == ()
