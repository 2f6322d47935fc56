"""`show`: which slots, as of when, and what following the price costs."""

from dataclasses import replace
from itertools import islice

import pytest
import redis

from btcts.config import BTC_USD
from btcts.domain.codes import ReasonCode, Remark
from btcts.domain.layout import FIVE_MINUTES, HOUR, RESOLUTIONS
from btcts.domain.model import Bounds, Tick
from btcts.errors import StoreUnreachable
from btcts.services.show import Sight, SlotsView, Which, follow, show_overview, show_slots
from btcts.store import State, Store
from support.clocks import FakeClock
from support.series import FIRST_OF_WINDOW, MINUTE, NOW, TICK, monitored, put
from support.series import HOUR as HOUR_MS
from support.servers import Server, StartServer, connect

FIVE = 5 * MINUTE


def starts(view: SlotsView) -> list[int]:
    return [each.start_ms for each in view.shown.slots]


def test_the_newest_slots_are_kept_and_the_open_one_counts(full: Store) -> None:
    view = show_slots(full, "5min", which=Which(limit=2))

    assert starts(view) == [FIVE_MINUTES.start_of(NOW) - FIVE, FIVE_MINUTES.start_of(NOW)]


def test_the_open_slot_is_left_out_before_the_newest_are_counted(full: Store) -> None:
    view = show_slots(full, "5min", which=Which(limit=1, closed_only=True))

    assert starts(view) == [FIVE_MINUTES.start_of(NOW) - FIVE]


@pytest.mark.parametrize("late_ms", [0, 1, FIVE - 1])
def test_slots_begin_with_the_one_in_which_the_time_lies(full: Store, late_ms: int) -> None:
    first = FIVE_MINUTES.start_of(NOW) - 2 * FIVE

    view = show_slots(full, "5min", which=Which(since_ms=first + late_ms))

    assert starts(view) == [first, first + FIVE, first + 2 * FIVE]


def test_what_is_not_kept_any_more_does_not_begin_earlier(full: Store) -> None:
    assert starts(show_slots(full, "hour", which=Which(since_ms=0))) == list(HOUR.slots(NOW))


def test_the_overview_begins_at_that_time_in_each_resolution(full: Store) -> None:
    since_ms = NOW - 20 * MINUTE

    view = show_overview(full, which=Which(since_ms=since_ms))

    assert [each.slots[0].start_ms for each in view.resolutions] == [
        each.start_of(since_ms) for each in RESOLUTIONS.values()
    ]


def test_the_providers_that_agreed_on_the_newest_price_are_known(full: Store) -> None:
    full.remember(State(members=("coinbase", "kraken")))

    assert show_slots(full, "hour").members == ("coinbase", "kraken")


def test_the_past_has_the_newest_price_of_then_and_nobody_who_agreed_on_it(full: Store) -> None:
    full.remember(State(members=("coinbase", "kraken")))
    past_ms = NOW - 3 * HOUR_MS

    view = show_slots(full, "hour", at_ms=past_ms)

    assert view.newest
    assert past_ms - 30_000 <= view.newest.time_ms < past_ms
    assert view.members == ()


def test_a_price_of_exactly_that_time_is_the_newest_one_as_it_is_in_the_slots(full: Store) -> None:
    at_ms = NOW - NOW % HOUR_MS

    view = show_slots(full, "minute", at_ms=at_ms)

    assert view.newest
    assert (view.newest.time_ms, view.newest.price) == (at_ms, view.shown.slots[-1].close)


def test_the_newest_price_of_then_may_be_older_than_the_slots_of_then(store: Store, client: redis.Redis) -> None:
    lone = Tick(NOW - 25 * HOUR_MS - 30 * MINUTE, 60_000.0)
    store.rebuild()
    put(client, TICK, [lone, (NOW, 61_000.0)])

    view = show_slots(store, "hour", at_ms=NOW - 1)

    assert (view.newest, view.oldest_ms) == (lone, None)


def test_before_the_first_tick_there_is_no_price(full: Store) -> None:
    view = show_slots(full, "hour", at_ms=NOW - 50 * HOUR_MS)

    assert (view.newest, view.age_s, view.stale) == (None, None, True)


def test_before_what_is_kept_it_is_known_since_when_there_are_prices(full: Store) -> None:
    assert show_slots(full, "hour", at_ms=NOW - 50 * HOUR_MS).oldest_ms == FIRST_OF_WINDOW
    assert show_slots(full, "hour", at_ms=NOW - HOUR_MS).oldest_ms is None
    assert show_slots(full, "hour").oldest_ms is None


def test_in_an_empty_store_no_time_has_a_price(store: Store) -> None:
    view = show_slots(store, "hour", at_ms=NOW - HOUR_MS)

    assert (view.newest, view.refused, view.oldest_ms) == (None, None, None)


@pytest.mark.parametrize("price", [-4.0, 0.0, 1e300])
def test_a_newest_tick_that_is_no_price_is_refused_and_its_slots_are_left_out(
    full: Store, client: redis.Redis, price: float
) -> None:
    full.remember(State(members=("coinbase", "kraken")))
    put(client, TICK, {NOW - 1: price})

    view = show_slots(full, "5min")

    assert (view.refused, view.newest, view.stale, view.members) == (Tick(NOW - 1, price), None, True, ())
    assert view.shown.spoiled == 1
    assert (view.shown.slots[-1].missing, view.shown.slots[-1].minutes) == (True, 0)
    assert not view.shown.slots[-2].missing


def test_a_bound_that_is_no_price_is_left_out_of_a_slot_that_closed_with_one(full: Store, client: redis.Redis) -> None:
    sound = show_slots(full, "5min").shown.slots[-2]
    put(client, TICK, {sound.start_ms + MINUTE + 1: -4.0})

    shown = show_slots(full, "5min").shown

    assert shown.spoiled == 1
    assert (shown.slots[-2].close, shown.slots[-2].min, shown.slots[-2].max) == (sound.close, None, sound.max)


def test_an_open_that_is_no_price_is_left_out_and_the_slot_is_not_exact(full: Store, client: redis.Redis) -> None:
    sound = show_slots(full, "5min").shown.slots[-2]
    put(client, TICK, {sound.start_ms: -4.0})

    shown = show_slots(full, "5min").shown

    assert shown.spoiled == 1
    assert (shown.slots[-2].open, shown.slots[-2].min, shown.slots[-2].exact) == (None, None, False)
    assert shown.slots[-2].close == sound.close


def test_a_price_of_the_future_is_refused_beyond_the_slack(full: Store, client: redis.Redis) -> None:
    put(client, TICK, {NOW + 10_000: 60_000.0})
    slightly_ahead = show_slots(full, "5min")
    put(client, TICK, {NOW + 10_001: 60_000.0})

    ahead = show_slots(full, "5min")

    assert (slightly_ahead.newest, slightly_ahead.stale) == (Tick(NOW + 10_000, 60_000.0), False)
    assert (ahead.refused, ahead.newest, ahead.stale) == (Tick(NOW + 10_001, 60_000.0), None, True)


def test_what_a_price_of_the_far_future_hides_is_not_said_to_be_older_than_all_that_is_kept(
    full: Store, client: redis.Redis
) -> None:
    put(client, TICK, {99_999_999_999_999: 5.0})

    view = show_slots(full, "hour", at_ms=NOW - HOUR_MS)

    assert (view.refused, view.oldest_ms) == (Tick(99_999_999_999_999, 5.0), None)


@pytest.mark.parametrize("at_ms", [0, -HOUR_MS])
def test_even_the_time_before_all_times_can_be_looked_at(full: Store, at_ms: int) -> None:
    assert show_slots(full, "hour", at_ms=at_ms).newest is None


def test_following_looks_at_once_and_then_at_every_beat(full: Store) -> None:
    views = follow(full, lambda: show_slots(full, "5min"), interval_s=1)

    seen = [each.now_ms for each in islice(views, 4) if isinstance(each, SlotsView)]

    second = NOW // 1000 * 1000
    assert seen == [NOW, second + 1000, second + 2000, second + 3000]


def test_a_new_price_is_seen_at_the_next_beat(full: Store) -> None:
    views = follow(full, lambda: show_slots(full, "5min"), interval_s=1)
    next(views)

    full.write([Tick(NOW + 10, 61_234.5)])
    after = next(views)

    assert isinstance(after, SlotsView)
    assert after.newest == Tick(NOW + 10, 61_234.5)
    assert after.shown.slots[-1].close == 61_234.5


def test_slots_close_without_a_new_price(full: Store) -> None:
    views = follow(full, lambda: show_slots(full, "minute"), interval_s=1)

    seen = [each for each in islice(views, 5) if isinstance(each, SlotsView)]

    assert [starts(each)[-1] for each in seen] == [*[NOW // MINUTE * MINUTE] * 4, (NOW // MINUTE + 1) * MINUTE]


def test_everything_is_asked_for_only_with_a_new_price_or_another_minute(full: Store, clock: FakeClock) -> None:
    asked: list[int] = []

    def look() -> SlotsView:
        asked.append(clock.now_ms())
        return show_slots(full, "5min")

    views = follow(full, look, interval_s=0.5)
    list(islice(views, 60))

    assert asked == [NOW, (NOW // MINUTE + 1) * MINUTE]


def test_between_two_prices_a_look_is_one_command(full: Store, clock: FakeClock, server: Server) -> None:
    clock.step(-30_000)
    views = follow(full, lambda: show_slots(full, "5min"), interval_s=1)
    next(views)

    with monitored(server) as commands:
        list(islice(views, 5))

    assert commands == [["TS.GET", "btc:price:tick"]] * 5


def test_a_refused_price_is_no_news_at_each_look(
    full: Store, clock: FakeClock, client: redis.Redis, server: Server
) -> None:
    clock.step(-30_000)
    put(client, TICK, {NOW: -4.0})
    views = follow(full, lambda: show_slots(full, "5min"), interval_s=1)
    next(views)

    with monitored(server) as commands:
        list(islice(views, 5))

    assert commands == [["TS.GET", "btc:price:tick"]] * 5


def test_a_price_of_the_future_is_never_said_to_be_no_price_and_is_shown_when_its_time_has_come(
    full: Store, clock: FakeClock, client: redis.Redis
) -> None:
    clock.step(-40_000)
    ahead = Tick(clock.now_ms() + 13_500, 60_000.0)
    put(client, TICK, {ahead.time_ms: ahead.price})
    views = follow(full, lambda: show_slots(full, "5min"), interval_s=1)

    seen = [view for view in islice(views, 7) if isinstance(view, SlotsView)]

    lacks = [view.lack and view.lack.code for view in seen]
    assert lacks == [ReasonCode.FUTURE_PRICE] * 5 + [None] * 2
    assert [view.newest for view in seen] == [None] * 5 + [ahead] * 2
    assert replace(seen[0], now_ms=ahead.time_ms).lack == Remark(ReasonCode.FUTURE_PRICE, {"ahead_s": 0.0})


def test_an_open_slot_is_exact_no_longer_than_its_newest_price_is_recent(full: Store, clock: FakeClock) -> None:
    clock.step(10_000)
    now_ms = clock.now_ms()
    running = now_ms - now_ms % MINUTE
    full.remember(State(cadence_s=3.0))
    full.write([Tick(now_ms, 60_000.0)], bounds=[Bounds(running, 59_000.0, 61_000.0)])
    views = follow(full, lambda: show_slots(full, "minute"), interval_s=1)

    seen = [view for view in islice(views, 8) if isinstance(view, SlotsView)]

    ages = [view.now_ms - now_ms for view in seen]
    assert [view.shown.slots[-1].exact for view in seen] == [age <= 5_000 for age in ages]
    assert ages[0] <= 5_000 < ages[-1]


def test_a_redis_that_is_away_is_told_at_each_beat_and_followed_again_when_it_is_back(
    start_server: StartServer, clock: FakeClock
) -> None:
    server = start_server("--appendonly", "yes", "--appendfsync", "always")
    with connect(server.socket) as client:
        store = Store(client, BTC_USD, clock=clock, where="test")
        store.write([Tick(NOW - 1000, 60_000.0)])
        views = follow(store, lambda: show_slots(store, "5min"), interval_s=1)
        before = next(views)

        server.kill()
        away = [next(views), next(views)]
        server.start()
        after = next(views)

    assert [type(each) for each in away] == [StoreUnreachable, StoreUnreachable]
    assert isinstance(before, SlotsView)
    assert isinstance(after, SlotsView)
    assert (after.newest, after.now_ms - before.now_ms) == (before.newest, 2211)


def test_while_redis_is_away_the_price_gets_older_and_the_slots_stay(full: Store) -> None:
    view = show_slots(full, "5min")
    assert view.newest
    sight = Sight(view, away=StoreUnreachable("gone"))

    later = sight.at(view.now_ms + 7_000)

    assert later.age_s == (view.now_ms + 7_000 - view.newest.time_ms) / 1000
    assert (later.now_ms, later.shown) == (view.now_ms, view.shown)


def test_what_redis_answers_is_shown_as_it_was_answered(full: Store) -> None:
    view = show_slots(full, "5min")

    assert Sight(view).at(view.now_ms + 7_000) == view
