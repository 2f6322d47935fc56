"""`price`: the newest price alone."""

from btcts.config import BTC_USD
from btcts.domain.codes import ReasonCode
from btcts.services.show import show_overview, show_price
from btcts.store import State, Store
from support.clocks import FakeClock
from support.series import NOW
from support.servers import Server
from support.wires import Wire


def test_it_takes_one_round_trip(full: Store, clock: FakeClock, server: Server) -> None:
    wire = Wire(server.socket)
    wire.client.ping()
    wire.reset()

    show_price(Store(wire.client, BTC_USD, clock=clock, where="test"))

    assert len(wire.sent) == 1


def test_it_says_what_the_overview_says(full: Store) -> None:
    full.remember(State(members=("coinbase", "kraken"), flag="disputed", deviating={"gemini": 0.02}, cadence_s=100))

    view, overview = show_price(full), show_overview(full)

    assert view.newest
    assert {name: getattr(overview, name) for name in view.__slots__} == {
        name: getattr(view, name) for name in view.__slots__
    }


def test_a_price_lacks_nothing_until_it_is_older_than_the_limit(full: Store, clock: FakeClock) -> None:
    age_s = show_price(full).age_s or 0.0
    clock.advance(round((150 - age_s) * 1000))
    before = show_price(full)
    clock.advance(1)

    after = show_price(full)

    assert before.lack is None
    assert after.lack
    assert (after.lack.code, after.lack.values["limit_s"]) == (ReasonCode.STALE_PRICE, 150.0)
    assert after.now_ms > NOW
