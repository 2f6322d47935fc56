"""Plans of a backfill, whatever is stored and whoever is asked."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from hypothesis import assume, given
from hypothesis import strategies as st

from btcts.config import BTC_USD
from btcts.domain.healing import closed_minutes
from btcts.domain.layout import window
from btcts.domain.model import ProviderState, Span, Tick
from btcts.errors import ConfigError
from btcts.providers.poller import Poller
from btcts.services.backfill.plan import Plan, Wish, plan_of_providers
from btcts.store import Inspection, State, Store
from support.series import DAY, HOUR, MINUTE, NOW


@dataclass
class Library:
    """A provider that is never asked."""

    name: str
    reach_ms: int
    page_minutes: int
    key_id: str = ""


class Shelf(Store):
    """A store without Redis."""

    where = "the shelf"
    market = BTC_USD

    def __init__(self, newest: Tick | None, settled: Iterable[int], states: dict[str, ProviderState]) -> None:
        self._newest, self._settled, self._state = newest, frozenset(settled), State(providers=states)

    def inspect(self, minutes: Collection[int] = ()) -> Inspection:
        return Inspection(NOW, self._newest, {}, (), ())

    def state(self) -> State:
        return self._state

    def settled(self, minutes: Iterable[int]) -> set[int]:
        return self._settled.intersection(minutes)

    def ticks(self, span: Span) -> list[Tick]:
        return [Tick(minute, 1.0) for minute in sorted(self._settled) if minute in span]


moments = st.integers(NOW - 3 * DAY, NOW + HOUR)
wishes = st.builds(Wish, st.none() | moments, st.none() | moments, overwrite=st.booleans())
libraries = st.lists(
    st.builds(Library, st.text("abcdefgh", min_size=1), st.integers(MINUTE, 2 * DAY), st.integers(1, 2000)),
    min_size=1,
    max_size=5,
    unique_by=lambda library: library.name,
)
newest = st.none() | st.builds(Tick, st.integers(NOW - 3 * DAY, NOW), st.just(60_000.5))
settled = st.builds(
    lambda first, count, step: range(first, first + count * step, step),
    st.integers(NOW // MINUTE - 3 * 1440, NOW // MINUTE).map(lambda number: number * MINUTE),
    st.integers(0, 1500),
    st.sampled_from([MINUTE, 3 * MINUTE, 301 * MINUTE]),
)
waits = st.sets(st.sampled_from("abcdefgh"))


def make_plan(
    asked: list[Library], wish: Wish, newest: Tick | None = None, settled: Iterable[int] = (), waits: Iterable[str] = ()
) -> Plan:
    """Plan, unless the wish cannot be granted."""
    states = {name: ProviderState(not_before_ms=NOW + 1, why="HTTP 429") for name in waits}
    try:
        return plan_of_providers(Shelf(newest, settled, states), Poller(asked), wish)
    except ConfigError:
        assume(False)
        raise


@given(asked=libraries, wish=wishes, newest=newest, settled=settled)
def test_each_minute_asked_for_is_closed_kept_wished_for_and_not_settled_yet(
    asked: list[Library], wish: Wish, newest: Tick | None, settled: range
) -> None:
    plan = make_plan(asked, wish, newest, settled)

    span = wish.resolve_span(NOW)
    assert list(plan.minutes) == sorted(set(plan.minutes))
    assert all(span.start_ms <= minute and minute + MINUTE <= span.end_ms for minute in plan.minutes)
    assert all(minute in plan.kept and minute + MINUTE <= NOW for minute in plan.minutes)
    assert wish.overwrite or settled == range(0) or not set(settled).intersection(plan.minutes)


@given(asked=libraries, wish=wishes, newest=newest, settled=settled)
def test_no_minute_is_forgotten(asked: list[Library], wish: Wish, newest: Tick | None, settled: range) -> None:
    plan = make_plan(asked, wish, newest, settled)

    span = wish.resolve_span(NOW)
    wished = {minute for minute in closed_minutes(NOW) if span.start_ms <= minute and minute + MINUTE <= span.end_ms}
    if plan.kept == window(NOW):
        assert wished - set(plan.minutes) == (set() if wish.overwrite else wished.intersection(settled))
        assert plan.settled == len(wished.intersection(settled))


@given(asked=libraries, wish=wishes, settled=settled)
def test_a_chunk_fits_in_a_page_of_each_provider_and_there_are_no_more_chunks_than_that_takes(
    asked: list[Library], wish: Wish, settled: range
) -> None:
    plan = make_plan(asked, wish, None, settled)

    page_ms = min(library.page_minutes for library in asked) * MINUTE
    assert all(chunk[-1] - chunk[0] < page_ms for chunk in plan.chunks)
    assert all(later[0] - chunk[0] >= page_ms for chunk, later in zip(plan.chunks, plan.chunks[1:], strict=False))


@given(asked=libraries, wish=wishes, newest=newest, waits=waits)
def test_requests_are_counted_for_those_that_need_not_wait(
    asked: list[Library], wish: Wish, newest: Tick | None, waits: set[str]
) -> None:
    plan = make_plan(asked, wish, newest, waits=waits)

    names = {library.name for library in asked}
    assert {name for name, _, _ in plan.waiting} == names & waits
    assert plan.requests.keys() == (names - waits if plan.chunks else set())
    for library in asked:
        reached = sum(NOW - library.reach_ms <= chunk[-1] for chunk in plan.chunks)
        assert plan.requests.get(library.name, reached or None) == (reached or None)


@given(asked=libraries, wish=wishes, newest=newest)
def test_only_a_store_and_a_wish_of_the_past_make_the_past_the_present(
    asked: list[Library], wish: Wish, newest: Tick | None
) -> None:
    plan = make_plan(asked, wish, newest)

    latest_ms = max(wish.resolve_span(NOW).end_ms, newest.time_ms if newest else 0)
    assert plan.historical == (latest_ms < window(NOW).start_ms)
    assert plan.kept == window(plan.kept.end_ms)
