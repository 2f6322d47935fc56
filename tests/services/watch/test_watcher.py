"""Watches of a real Redis: what is found, when, and how often it is delivered."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from btcts.config import BTC_USD
from btcts.domain.model import Candle, Tick
from btcts.errors import NoTimeSeries, SpoolError, StoreUnreachable
from btcts.services.watch.journal import Journal, Kept, Unsent
from btcts.services.watch.outbox import GIVEN_UP_MS, Deliver, Notice, Outbox, Told, Undelivered
from btcts.services.watch.rules import Alert, Level, MoveRule, Rule, Standing
from btcts.services.watch.watcher import Watch, forever, once
from btcts.store import State, Store
from services.watch.journals import read_state, record_state
from support.clocks import FakeClock
from support.series import HOUR, MINUTE, NOW, TICK, monitored, put
from support.servers import Server, StartServer, connect

TESTS = Path(__file__).parents[2]
ABOVE = Level(1, 60_000.0)
BELOW = Level(-1, 50_000.0)

MakeWatch = Callable[..., Watch]


@pytest.fixture
def make_watch(store: Store, tmp_path: Path) -> MakeWatch:
    """Make a new run of a watch, which finds what those before it have kept."""

    def make(
        *rules: Rule, store: Store = store, stale: bool = False, max_age_s: float | None = None, **ways: Deliver
    ) -> Watch:
        names = [*(rule.name for rule in rules), *(["stale"] if stale else [])]
        folder = tmp_path / "alerts"
        folder.mkdir(exist_ok=True)
        outbox = Outbox(Journal(folder, "test", names), ways, lambda: 0.0)
        return Watch(store, rules, outbox, stale=stale, max_age_s=max_age_s)

    return make


def see(store: Store, clock: FakeClock, *prices: float, step_ms: int = 10_000) -> None:
    """These prices come in, one after the other."""
    for price in prices:
        clock.advance(step_ms)
        store.write([Tick(clock.now_ms(), price)])


def alerts(told: Iterator[Told]) -> list[Alert]:
    """The alerts among what is told."""
    return [each for each in told if isinstance(each, Alert)]


def notices(told: Iterator[Told]) -> list[str]:
    """The codes of what is said about the watch itself."""
    return [notice.code for notice in told if isinstance(notice, Notice)]


def found(told: Iterator[Told]) -> list[tuple[str, float | None]]:
    """The kinds and prices of the alerts."""
    return [(each.kind, each.price) for each in alerts(told)]


def read_standing(home: Path) -> Standing:
    """The standing of the rule on the disk."""
    kept = read_state(home / "alerts", ABOVE.name)
    assert kept
    return kept.standing


class Way:
    """A way of delivery that fails while `failure` is set, and keeps what it was given."""

    def __init__(self, failure: Undelivered | None = None) -> None:
        self.failure = failure
        self.tried: list[Alert] = []
        self.delivered: list[Alert] = []

    def __call__(self, alert: Alert) -> Undelivered | None:
        self.tried.append(alert)
        if self.failure is None:
            self.delivered.append(alert)
        return self.failure


# What is found


def test_a_crossing_between_two_looks_is_found_with_its_own_time_although_the_price_is_back(
    store: Store, clock: FakeClock, make_watch: MakeWatch
) -> None:
    see(store, clock, 55_000.0)
    begun = alerts(once(make_watch(ABOVE, BELOW)))
    see(store, clock, 61_000.0, 49_000.0, 62_000.0, 55_000.0)

    later = alerts(once(make_watch(ABOVE, BELOW)))

    assert begun == []
    assert [(each.kind, each.price, clock.now_ms() - each.time_ms) for each in later] == [
        ("above", 61_000.0, 30_000),
        ("below", 49_000.0, 20_000),
        ("above", 62_000.0, 10_000),
    ]
    assert {each.found_ms for each in later} == {clock.now_ms()}


def test_what_is_so_at_the_first_look_is_said_once(store: Store, clock: FakeClock, make_watch: MakeWatch) -> None:
    see(store, clock, 61_000.0)

    looks = [alerts(once(make_watch(ABOVE))) for _ in range(3)]

    assert [[each.already for each in look] for look in looks] == [[True], [], []]


def test_a_watch_begins_with_a_price_that_is_fresh(store: Store, clock: FakeClock, make_watch: MakeWatch) -> None:
    see(store, clock, 61_000.0)
    clock.advance(10 * MINUTE)
    stale = found(once(make_watch(ABOVE)))
    see(store, clock, 59_000.0)
    fresh = found(once(make_watch(ABOVE)))
    see(store, clock, 60_500.0)

    assert (stale, fresh) == ([], [])
    assert found(once(make_watch(ABOVE))) == [("above", 60_500.0)]


def test_a_move_that_ended_with_a_stale_price_is_none_any_more(
    store: Store, clock: FakeClock, make_watch: MakeWatch
) -> None:
    see(store, clock, 50_000.0, 61_000.0)
    clock.advance(10 * MINUTE)

    assert found(once(make_watch(MoveRule(1, 10.0, HOUR)))) == []


def test_a_move_counts_from_before_the_last_look(store: Store, clock: FakeClock, make_watch: MakeWatch) -> None:
    rule = MoveRule(-1, 10.0, HOUR)
    see(store, clock, 60_000.0, 57_000.0)
    before = found(once(make_watch(rule)))
    see(store, clock, 54_000.0)

    assert before == []
    assert found(once(make_watch(rule))) == [("fall", 54_000.0)]


def test_candles_of_an_outage_are_judged_when_they_come_with_the_first_price_behind_it(
    store: Store, clock: FakeClock, make_watch: MakeWatch
) -> None:
    minute = NOW - NOW % MINUTE
    see(store, clock, 55_000.0)
    alerts(once(make_watch(ABOVE)))
    clock.advance(10 * MINUTE)
    candles = [Candle(minute + 5 * MINUTE, 55_000.0, 60_001.0, 54_000.0, 55_000.0)]

    store.write([Tick(clock.now_ms(), 55_000.0)], candles)

    (alert,) = alerts(once(make_watch(ABOVE)))
    assert (alert.price, alert.time_ms) == (60_001.0, minute + 5 * MINUTE + 40_000)


def test_a_candle_that_comes_behind_a_judged_price_fires_nothing(
    store: Store, clock: FakeClock, make_watch: MakeWatch
) -> None:
    minute = NOW - NOW % MINUTE
    see(store, clock, 55_000.0, step_ms=5 * MINUTE)
    alerts(once(make_watch(ABOVE)))

    store.write([], [Candle(minute + MINUTE, 55_000.0, 70_000.0, 54_000.0, 55_000.0)])
    see(store, clock, 56_000.0)

    assert found(once(make_watch(ABOVE))) == []


def test_an_extreme_between_two_looks_is_found_once_also_by_later_runs(
    store: Store, client: redis.Redis, clock: FakeClock, make_watch: MakeWatch
) -> None:
    high_ms = NOW - NOW % MINUTE + MINUTE + 2
    see(store, clock, 55_000.0)
    begun = alerts(once(make_watch(ABOVE)))
    last_ms = clock.now_ms()
    put(client, TICK, {high_ms: 61_000.0})
    see(store, clock, 55_000.0, step_ms=1000)

    (alert,) = alerts(once(make_watch(ABOVE)))
    see(store, clock, 54_000.0, step_ms=1000)

    assert begun == []
    assert (alert.price, alert.after_ms, alert.time_ms) == (61_000.0, last_ms, alert.found_ms)
    assert found(once(make_watch(ABOVE))) == []


def test_an_extreme_that_is_lower_than_before_is_not_new_after_a_restart(
    store: Store, client: redis.Redis, clock: FakeClock, make_watch: MakeWatch
) -> None:
    high_ms = NOW - NOW % MINUTE + MINUTE + 2
    see(store, clock, 55_000.0)
    put(client, TICK, {high_ms: 61_000.0})
    list(once(make_watch(ABOVE)))
    see(store, clock, 55_000.0, step_ms=1000)
    list(once(make_watch(ABOVE)))
    put(client, TICK, {high_ms: 60_500.0})
    see(store, clock, 55_000.0, step_ms=1000)

    assert found(once(make_watch(ABOVE))) == []


def test_a_price_stamped_ahead_of_the_clock_is_judged_when_its_time_has_come(
    store: Store, clock: FakeClock, make_watch: MakeWatch
) -> None:
    see(store, clock, 55_000.0)
    alerts(once(make_watch(ABOVE)))
    store.write([Tick(clock.now_ms() + 8_000, 61_000.0)])

    early = found(once(make_watch(ABOVE)))
    clock.advance(8_000)

    assert early == []
    assert found(once(make_watch(ABOVE))) == [("above", 61_000.0)]


def test_a_clock_that_was_set_back_does_not_mute_the_alarm(
    store: Store, client: redis.Redis, clock: FakeClock, make_watch: MakeWatch
) -> None:
    see(store, clock, 55_000.0)
    alerts(once(make_watch(ABOVE)))
    client.flushall()
    back = FakeClock(NOW - 5 * HOUR)
    reset = Store(client, BTC_USD, clock=back, where="test")
    put_back = [Tick(back.now_ms(), 61_000.0)]
    reset.write(put_back)

    assert found(once(make_watch(ABOVE, store=reset))) == [("above", 61_000.0)]


def test_simulated_prices_make_simulated_alerts(store: Store, clock: FakeClock, make_watch: MakeWatch) -> None:
    see(store, clock, 61_000.0)
    store.remember(State(simulated=True))

    assert [each.simulated for each in alerts(once(make_watch(ABOVE)))] == [True]


def test_a_rule_that_is_added_later_begins_by_itself(store: Store, clock: FakeClock, make_watch: MakeWatch) -> None:
    see(store, clock, 61_000.0)
    first = found(once(make_watch(ABOVE)))
    see(store, clock, 49_000.0, 61_000.0)

    assert first == [("above", 61_000.0)]
    assert found(once(make_watch(ABOVE, BELOW))) == [("above", 61_000.0)]


def test_looks_without_anything_new_read_no_ticks(
    server: Server, store: Store, clock: FakeClock, make_watch: MakeWatch
) -> None:
    see(store, clock, 55_000.0)
    watch = make_watch(MoveRule(1, 5.0, HOUR))

    with monitored(server) as first:
        list(once(watch))
    with monitored(server) as second:
        list(watch.look(lambda: False))

    ticks = ["TS.RANGE", TICK]
    assert sum(words[:2] == ticks for words in first) == sum(words[:2] == ticks for words in second) + 2


def test_a_new_price_reads_the_last_minutes_and_the_past_of_moves_once_a_minute(
    server: Server, store: Store, clock: FakeClock, make_watch: MakeWatch
) -> None:
    see(store, clock, *[55_000.0] * 60)
    watch = make_watch(MoveRule(1, 5.0, HOUR))
    list(once(watch))
    see(store, clock, 55_000.0, step_ms=1000)
    list(watch.look(lambda: False))
    see(store, clock, 55_000.0, step_ms=1000)
    with monitored(server) as same_minute:
        list(watch.look(lambda: False))
    see(store, clock, 55_000.0, step_ms=MINUTE)
    list(watch.look(lambda: False))
    see(store, clock, 55_000.0, step_ms=1000)

    with monitored(server) as next_minute:
        list(watch.look(lambda: False))

    begins = [
        [int(words[2]) for words in looked if words[:2] == ["TS.RANGE", TICK] and len(words) == 4]
        for looked in (same_minute, next_minute)
    ]
    assert [len(of_look) for of_look in begins] == [1, 2]


# The feed


def test_a_stale_feed_is_said_once_and_once_when_it_is_fresh_again(
    store: Store, clock: FakeClock, make_watch: MakeWatch
) -> None:
    see(store, clock, 55_000.0)
    watch = make_watch(ABOVE, max_age_s=60)
    told = [list(once(watch))]
    clock.advance(61_000)
    told += [list(watch.look(lambda: False)) for _ in range(2)]
    see(store, clock, 55_000.0)
    told += [list(watch.look(lambda: False)) for _ in range(2)]

    assert told == [[], [Notice("stale", {"age_s": 61.0})], [], [Notice("fresh")], []]


def test_with_stale_the_feed_is_a_rule_like_the_others_across_runs(
    store: Store, clock: FakeClock, make_watch: MakeWatch
) -> None:
    see(store, clock, 55_000.0)
    way = Way()
    told = [found(once(make_watch(stale=True, hook=way)))]
    clock.advance(151_000)
    told += [found(once(make_watch(stale=True, hook=way))) for _ in range(2)]
    see(store, clock, 56_000.0)
    told += [found(once(make_watch(stale=True, hook=way))) for _ in range(2)]

    assert told == [[], [("stale", None)], [], [("fresh", 56_000.0)], []]
    assert [each.kind for each in way.delivered] == ["stale", "fresh"]


def test_an_empty_store_is_stale(make_watch: MakeWatch) -> None:
    assert [(each.kind, each.reference) for each in alerts(once(make_watch(ABOVE, stale=True)))] == [("stale", None)]


def test_a_price_of_the_far_future_that_hides_the_others_is_no_fresh_price(
    store: Store, clock: FakeClock, client: redis.Redis, make_watch: MakeWatch
) -> None:
    see(store, clock, 55_000.0)
    put(client, TICK, [(clock.now_ms() + HOUR, 70_000.0)])

    assert found(once(make_watch(ABOVE, stale=True))) == [("stale", None)]


@pytest.mark.parametrize("price", [-4.0, 0.0, 1e300])
def test_what_is_no_price_fires_nothing_and_is_no_end_of_the_feed(
    store: Store, clock: FakeClock, client: redis.Redis, make_watch: MakeWatch, price: float
) -> None:
    rules = (ABOVE, BELOW, MoveRule(1, 5.0, HOUR), MoveRule(-1, 5.0, HOUR))
    see(store, clock, 55_000.0)
    told = [found(once(make_watch(*rules, stale=True)))]
    clock.advance(10_000)
    put(client, TICK, [(clock.now_ms(), price)])
    told.append(found(once(make_watch(*rules, stale=True))))
    see(store, clock, 55_100.0)
    told.append(found(once(make_watch(*rules, stale=True))))

    assert told == [[], [], []]


def test_a_feed_of_what_is_no_price_gets_stale(
    store: Store, clock: FakeClock, client: redis.Redis, make_watch: MakeWatch
) -> None:
    see(store, clock, 55_000.0)
    told = [found(once(make_watch(ABOVE, stale=True)))]
    clock.advance(151_000)
    put(client, TICK, [(clock.now_ms(), -4.0)])

    told.append(found(once(make_watch(ABOVE, stale=True))))

    assert told == [[], [("stale", None)]]


# Redis away


@pytest.fixture
def lasting(start_server: StartServer) -> Server:
    """A redis-server of this test's own that finds its data again when it is killed and started."""
    return start_server("--appendonly", "yes", "--appendfsync", "always")


@pytest.fixture
def lasting_store(lasting: Server, clock: FakeClock) -> Iterator[Store]:
    """A store on it."""
    with ExitStack() as stack:
        yield Store(stack.enter_context(connect(lasting.socket)), BTC_USD, clock=clock, where="test")


def test_redis_that_is_away_is_said_once_and_what_happened_meanwhile_is_found(
    lasting: Server, lasting_store: Store, clock: FakeClock, make_watch: MakeWatch
) -> None:
    see(lasting_store, clock, 55_000.0)
    watch = make_watch(ABOVE, store=lasting_store)
    list(once(watch))
    lasting.kill()
    away = [list(watch.look(lambda: False)) for _ in range(3)]
    clock.advance(30_000)
    lasting.start()
    lasting_store.write([Tick(clock.now_ms() - 20_000, 61_000.0), Tick(clock.now_ms(), 55_000.0)])

    back = list(watch.look(lambda: False))

    assert [notices(iter(look)) for look in away] == [["away"], [], []]
    assert [notice for notice in back if isinstance(notice, Notice)] == [Notice("back", {"where": "test"})]
    assert found(iter(back)) == [("above", 61_000.0)]


def test_prices_that_are_known_get_stale_while_redis_is_away(
    lasting: Server, lasting_store: Store, clock: FakeClock, make_watch: MakeWatch
) -> None:
    see(lasting_store, clock, 55_000.0)
    watch = make_watch(store=lasting_store, stale=True)
    list(once(watch))
    lasting.kill()
    clock.advance(151_000)

    assert found(watch.look(lambda: False)) == [("stale", None)]


def test_a_single_look_without_redis_tries_what_waits_and_is_away(
    lasting: Server, lasting_store: Store, clock: FakeClock, make_watch: MakeWatch
) -> None:
    see(lasting_store, clock, 61_000.0)
    way = Way(Undelivered("closed"))
    list(once(make_watch(ABOVE, store=lasting_store, hook=way)))
    lasting.kill()
    way.failure = None

    watch = make_watch(ABOVE, store=lasting_store, hook=way)
    told = list(once(watch))

    assert [each.kind for each in way.delivered] == ["above"]
    assert isinstance(watch.away, StoreUnreachable)
    assert told == [Notice("away", {"problem": str(watch.away)})]


def test_single_looks_without_redis_tell_once_that_prices_went_stale_and_once_that_they_are_back(
    lasting: Server, lasting_store: Store, clock: FakeClock, make_watch: MakeWatch
) -> None:
    def look() -> list[tuple[str, float | None]]:
        return found(once(make_watch(store=lasting_store, stale=True)))

    see(lasting_store, clock, 55_000.0)
    told = [look()]
    lasting.kill()
    clock.advance(150_000)
    told.append(look())
    clock.advance(1)
    told += [look(), look()]
    lasting.start()
    see(lasting_store, clock, 56_000.0)
    told += [look(), look()]

    assert told == [[], [], [("stale", None)], [], [("fresh", 56_000.0)], []]


def test_the_first_look_ever_without_redis_says_nothing_of_the_feed(
    lasting: Server, lasting_store: Store, clock: FakeClock, make_watch: MakeWatch
) -> None:
    lasting.kill()

    looks = [found(once(make_watch(store=lasting_store, stale=True))) for _ in range(2) if clock.advance(HOUR) is None]

    assert looks == [[], []]


def test_a_key_of_somebody_else_holds_no_price(client: redis.Redis, make_watch: MakeWatch) -> None:
    client.set(TICK, "mine")

    assert found(once(make_watch(ABOVE, stale=True))) == [("stale", None)]


def test_a_server_without_the_module_ends_the_watch(
    start_server: StartServer, clock: FakeClock, make_watch: MakeWatch
) -> None:
    with connect(start_server(module=False).socket) as client, pytest.raises(NoTimeSeries):
        list(once(make_watch(ABOVE, store=Store(client, BTC_USD, clock=clock, where="test"))))


# Delivery


def test_each_way_of_delivery_is_on_its_own_account(store: Store, clock: FakeClock, make_watch: MakeWatch) -> None:
    see(store, clock, 61_000.0)
    well, ill = Way(), Way(Undelivered("HTTP 500 from there"))
    watch = make_watch(ABOVE, exec=well, hook=ill)
    said = [notice for notice in once(watch) if isinstance(notice, Notice)]
    ill.failure = None
    clock.advance(5_000)

    list(watch.look(lambda: False))

    failure = {"rule": ABOVE.name, "way": "hook", "problem": "HTTP 500 from there", "advice": ""}
    assert said == [Notice("retried", failure)]
    assert (len(well.tried), len(ill.tried), len(ill.delivered)) == (1, 2, 1)
    assert watch.outbox.waiting == 0


def test_a_receiver_that_never_answers_holds_up_no_alert(store: Store, clock: FakeClock, make_watch: MakeWatch) -> None:
    class Silent(Way):
        def __call__(self, alert: Alert) -> Undelivered | None:
            clock.advance(10_000)
            return super().__call__(alert)

    well, silent = Way(), Silent(Undelivered("no answer"))
    watch = make_watch(ABOVE, BELOW, hook=silent, exec=well)
    see(store, clock, 55_000.0)
    list(once(watch))
    for price in (61_000.0, 39_000.0, 61_000.0):
        see(store, clock, price)
    begin_ms = clock.now_ms()

    printed = [clock.now_ms() - begin_ms for told in once(watch) if isinstance(told, Alert)]

    assert (printed, len(well.delivered), len(silent.tried)) == ([0, 0, 0], 3, 1)
    assert watch.outbox.waiting == 3


def test_what_is_not_delivered_goes_on_waiting_across_runs_and_is_printed_once(
    store: Store, clock: FakeClock, make_watch: MakeWatch
) -> None:
    see(store, clock, 61_000.0)
    way = Way(Undelivered("closed"))
    runs = [make_watch(ABOVE, hook=way) for _ in range(3)]

    printed = [found(once(run)) for run in runs]
    way.failure = None
    last = make_watch(ABOVE, hook=way)
    list(once(last))

    assert printed == [[("above", 61_000.0)], [], []]
    assert [run.outbox.waiting for run in (*runs, last)] == [1, 1, 1, 0]
    assert len(way.delivered) == 1


def test_a_delivery_that_would_be_refused_again_is_given_up_at_once(
    store: Store, clock: FakeClock, make_watch: MakeWatch
) -> None:
    way = Way(Undelivered("HTTP 404 from there", final="make a new one"))
    see(store, clock, 61_000.0)
    watch = make_watch(ABOVE, max_age_s=7200, hook=way)

    said = [notice for notice in once(watch) if isinstance(notice, Notice)]
    clock.advance(HOUR)
    later = notices(once(make_watch(ABOVE, max_age_s=7200, hook=way)))

    failure = {"rule": ABOVE.name, "way": "hook", "problem": "HTTP 404 from there", "advice": "make a new one"}
    assert said == [Notice("refused", failure)]
    assert later == []
    assert (len(way.tried), watch.outbox.waiting, watch.outbox.lost) == (1, 0, 1)


def test_a_receiver_that_asks_for_time_gets_it_in_later_runs_and_for_all_alerts(
    store: Store, clock: FakeClock, make_watch: MakeWatch
) -> None:
    way = Way(Undelivered("HTTP 429 from there", wait_ms=600_000))
    see(store, clock, 61_000.0)
    notices(once(make_watch(ABOVE, BELOW, max_age_s=7200, hook=way)))
    way.failure = None
    see(store, clock, 49_000.0)

    clock.advance(589_000)
    early = notices(once(make_watch(ABOVE, BELOW, max_age_s=7200, hook=way)))
    tried = len(way.tried)
    clock.advance(2000)
    due = make_watch(ABOVE, BELOW, max_age_s=7200, hook=way)

    assert (early, tried) == ([], 1)
    assert notices(once(due)) == []
    assert [alert.kind for alert in way.delivered] == ["above", "below"]
    assert due.outbox.waiting == 0


def test_a_clock_that_was_set_back_holds_no_receiver_for_ever(
    store: Store, clock: FakeClock, make_watch: MakeWatch, tmp_path: Path
) -> None:
    way = Way()
    see(store, clock, 61_000.0)
    watch = make_watch(ABOVE, max_age_s=7200, hook=way)
    record_state(tmp_path / "alerts", ABOVE.name, Kept(held={"hook": clock.now_ms() + 2 * HOUR}))

    notices(once(watch))

    assert len(way.delivered) == 1


def test_a_failing_delivery_is_tried_less_and_less_often_until_the_alert_is_too_old(
    store: Store, clock: FakeClock, make_watch: MakeWatch
) -> None:
    see(store, clock, 61_000.0)
    way = Way(Undelivered("closed"))
    watch = make_watch(ABOVE, hook=way, max_age_s=80_000)
    told = forever(watch, interval_s=1, stopped=lambda: bool(watch.outbox.waiting == 0 and way.tried))
    begin_ms = clock.now_ms()

    said = notices(told)

    assert 15 < len(way.tried) < 25
    assert said == [*["retried"] * (len(way.tried) - 1), "expired"]
    assert GIVEN_UP_MS < clock.now_ms() - begin_ms < GIVEN_UP_MS + 6 * MINUTE


def test_an_alert_that_says_it_was_found_in_the_future_is_not_tried_until_then(
    store: Store, clock: FakeClock, make_watch: MakeWatch, tmp_path: Path
) -> None:
    see(store, clock, 55_000.0)
    found_ms = clock.now_ms() + 2 * HOUR
    waiting = Unsent(Alert(rule=ABOVE.name, kind="above", time_ms=NOW, found_ms=found_ms, price=61_000.0), ("hook",))
    watch = make_watch(ABOVE, hook=Way(Undelivered("closed")))
    record_state(tmp_path / "alerts", ABOVE.name, Kept(Standing(True, clock.now_ms()), (waiting,)))

    said = notices(once(watch))

    assert said == ["expired"]
    assert read_state(tmp_path / "alerts", ABOVE.name) == Kept(Standing(True, clock.now_ms()))


def test_an_alert_that_was_found_late_is_not_too_old_to_be_tried_again(
    store: Store, clock: FakeClock, make_watch: MakeWatch
) -> None:
    see(store, clock, 55_000.0)
    list(once(make_watch(ABOVE)))
    see(store, clock, 61_000.0)
    clock.advance(5 * HOUR)
    way = Way(Undelivered("closed"))
    run = make_watch(ABOVE, hook=way)

    list(once(run))

    assert (len(way.tried), run.outbox.waiting) == (1, 1)


def test_an_alert_that_waited_through_a_long_stop_is_tried_once_more_before_it_is_given_up(
    store: Store, clock: FakeClock, make_watch: MakeWatch
) -> None:
    see(store, clock, 61_000.0)
    way = Way(Undelivered("closed"))
    list(once(make_watch(ABOVE, hook=way)))
    clock.advance(5 * HOUR)
    way.failure = None

    list(once(make_watch(ABOVE, hook=way)))

    assert len(way.delivered) == 1


def test_a_way_that_is_not_wanted_any_more_is_not_waited_for(
    store: Store, clock: FakeClock, make_watch: MakeWatch
) -> None:
    see(store, clock, 61_000.0)
    list(once(make_watch(ABOVE, hook=Way(Undelivered("closed")))))

    run = make_watch(ABOVE)

    assert found(once(run)) == []
    assert run.outbox.waiting == 0


def test_once_stopped_no_delivery_is_begun_and_the_next_run_makes_it(
    store: Store, clock: FakeClock, make_watch: MakeWatch
) -> None:
    see(store, clock, 61_000.0)
    way = Way()
    watch = make_watch(ABOVE, hook=way)
    list(watch.outbox.recall())

    printed = found(watch.look(lambda: True))

    assert (printed, way.tried) == ([("above", 61_000.0)], [])
    assert found(once(make_watch(ABOVE, hook=way))) == []
    assert len(way.delivered) == 1


def test_an_alert_that_could_not_be_printed_is_printed_by_the_next_run(
    store: Store, clock: FakeClock, make_watch: MakeWatch
) -> None:
    see(store, clock, 61_000.0)
    broken = once(make_watch(ABOVE))
    next(broken)
    broken.close()

    assert found(once(make_watch(ABOVE))) == [("above", 61_000.0)]
    assert found(once(make_watch(ABOVE))) == []


def test_damage_to_what_is_kept_is_said_and_the_rule_begins_anew(
    store: Store, clock: FakeClock, make_watch: MakeWatch, tmp_path: Path
) -> None:
    see(store, clock, 61_000.0)
    list(once(make_watch(ABOVE)))
    (path,) = (tmp_path / "alerts").glob("*.json")
    path.write_text("{}")

    told = list(once(make_watch(ABOVE)))

    assert [notice for notice in told if isinstance(notice, Notice)] == [Notice("damaged", {"rule": ABOVE.name})]
    assert [each.already for each in alerts(iter(told))] == [True]
    assert list(once(make_watch(ABOVE))) == []


class Refusing(Journal):
    """Records nothing, as a full disk does."""

    def record(self, lag_ms: int = 0) -> bool:
        """Refuse."""
        raise SpoolError("no space left on device")


def test_a_disk_that_takes_nothing_is_said_once_and_keeps_no_alert_from_being_delivered(
    store: Store, clock: FakeClock, tmp_path: Path
) -> None:
    see(store, clock, 61_000.0)
    way = Way()
    outbox = Outbox(Refusing(tmp_path, "test", [ABOVE.name]), {"hook": way}, lambda: 0.0)
    watch = Watch(store, [ABOVE], outbox)

    told = [*once(watch), *watch.look(lambda: False)]

    assert notices(iter(told)) == ["unrecordable"]
    assert len(alerts(iter(told))) == len(way.delivered) == 1


def test_looks_are_aligned_to_the_interval(store: Store, clock: FakeClock, make_watch: MakeWatch) -> None:
    see(store, clock, 55_000.0)
    watch = make_watch(ABOVE)
    looks: list[int] = []

    def stopped() -> bool:
        looks.append(clock.now_ms())
        return len(looks) > 12

    assert list(forever(watch, interval_s=5, stopped=stopped)) == []
    assert {time_ms % 5_000 for time_ms in looks[2:]} <= {0}


def test_what_was_judged_is_recorded_once_a_minute_and_at_the_end(
    store: Store, clock: FakeClock, make_watch: MakeWatch, tmp_path: Path
) -> None:
    see(store, clock, 55_000.0)
    watch = make_watch(ABOVE)
    list(once(watch))
    recorded = []
    for _ in range(18):
        see(store, clock, 55_000.0)
        list(watch.look(lambda: False))
        recorded.append(read_standing(tmp_path).since_ms)

    list(watch.outbox.record(lag_ms=0))

    assert len(set(recorded)) == 3
    assert read_standing(tmp_path).since_ms == clock.now_ms()


def test_a_rule_that_is_armed_again_is_recorded_at_once(
    store: Store, clock: FakeClock, make_watch: MakeWatch, tmp_path: Path
) -> None:
    see(store, clock, 61_000.0)
    watch = make_watch(ABOVE)
    list(once(watch))
    fired = read_standing(tmp_path)
    see(store, clock, 59_000.0)

    list(watch.look(lambda: False))

    rearmed = read_standing(tmp_path)
    assert (fired.armed, rearmed.armed) == (False, True)


def test_a_single_look_records_how_far_it_has_come(
    store: Store, clock: FakeClock, make_watch: MakeWatch, tmp_path: Path
) -> None:
    for _ in range(2):
        see(store, clock, 55_000.0)
        list(once(make_watch(ABOVE)))

    assert read_standing(tmp_path).since_ms == clock.now_ms()


def test_killed_at_any_step_on_the_disk_every_alert_is_delivered_and_none_again_and_again(
    server: Server, client: redis.Redis, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "services.watch.dying_watch", tmp_path, server.socket],
        cwd=TESTS,
        capture_output=True,
        timeout=120,
        check=True,
    )

    lives = [json.loads(line) for line in done.stdout.splitlines()]

    *_, (steps, *last) = lives
    whole = {tuple(each) for each in last[0]}
    assert Counter(way for way, _ in whole) == {"stdout": 2, "exec": 2}
    assert last[1:] == [[], []]
    assert steps > 50
    for _, said, after, later in lives:
        told = Counter(tuple(each) for each in (*said, *after))
        assert set(told) == whole
        assert sum(told.values()) <= len(whole) + 1
        assert later == []
