"""The only module that speaks RedisTimeSeries: our keys, two ways to write them, and reads."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from copy import copy
from dataclasses import replace
from typing import NamedTuple, Self

from redis import Redis

from btcts.domain.clock import Clock, StoppedClock
from btcts.domain.layout import Layout, Market, find_resolutions
from btcts.domain.model import NO_TRADES, Bounds, Candle, Gap, ProviderState, Slot, Span, Tick
from btcts.errors import ForeignKey, StoreError
from btcts.store import append, check, expire, facts, gaps, lease, reads, rebuild, state
from btcts.store.check import Fault, Inspection
from btcts.store.contents import Contents, read_contents, replace_contents
from btcts.store.coverage import WholeHours, read_settled
from btcts.store.expire import Excess
from btcts.store.facts import Facts, Lag
from btcts.store.link import Link, Patience, now_of
from btcts.store.plan import writable
from btcts.store.ranges import Samples, read_newest
from btcts.store.reads import Audit, Snapshot
from btcts.store.rebuild import Rebuilt
from btcts.store.state import State

__all__ = ["Audit", "Excess", "Facts", "Fault", "Inspection", "Lag", "Rebuilt", "Snapshot", "State", "Store", "Written"]

EMBEDDED = "the embedded Redis"
"""The `where` of a store in a server of our own."""


class Written(NamedTuple):
    """The result of a write: `rebuilt` when it took a merge, and how many ticks were too old or too far ahead."""

    now_ms: int
    rebuilt: bool
    too_old: int
    too_early: int


class Store:
    """The recent price of one market in one Redis database.

    Takes a client with RESP3 and decoded replies. Every method raises `StoreError` or one of its subclasses when
    Redis does not do what is asked; reads neither write nor create anything.
    """

    def __init__(
        self, client: Redis, market: Market, *, clock: Clock, where: str, patience: Patience | None = None
    ) -> None:
        self._link = Link(client, Layout(market), clock, where, patience=patience or Patience())
        self._whole_hours = WholeHours()

    @property
    def layout(self) -> Layout:
        """The names of the keys."""
        return self._link.layout

    @property
    def market(self) -> Market:
        """The market whose prices it holds."""
        return self._link.layout.market

    @property
    def clock(self) -> Clock:
        """The clock that decides what is kept and what is closed."""
        return self._link.clock

    @property
    def where(self) -> str:
        """The server's address, without secrets."""
        return self._link.where

    @property
    def elsewhere(self) -> str:
        """The store to use instead of this one, in the words of a message."""
        return "another data directory (BTCTS_DATA_DIR)" if self.where == EMBEDDED else "another database (REDIS_DB)"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; leaving the `with` block of the store does it too."""
        self._link.client.close()

    def as_of(self, now_ms: int) -> Self:
        """Return this store with the clock stopped at `now_ms`: retention and closed buckets count from there."""
        link, stopped = self._link, copy(self)
        stopped._link = replace(link, clock=StoppedClock(now_ms), real_clock=link.real_clock or link.clock)
        return stopped

    def without_waiting(self) -> AbstractContextManager[None]:
        """Return a context in which a failure is raised at once, without waiting for a failover."""
        return self._link.patience.suspended()

    # What is stored

    def read_clock(self) -> int:
        """Return the present in ms: the server's time, or the moment at which the clock of this store is stopped."""
        return self._link.clock.observe(now_of(self._link.ask("TIME")))

    def latest(self) -> Tick | None:
        """Return the newest tick, None on an empty store."""
        return read_newest(*self._link.ask_all([("TS.GET", self.layout.tick)]))

    def price(self) -> Snapshot:
        """Return the newest tick and the collectors' state in one round trip, without any slots."""
        return reads.price(self._link)

    def ticks(self, span: Span) -> list[Tick]:
        """Return the ticks of the span, ascending; those older than 26 h before the newest are gone.

        A rebuild of more than 20 000 ticks keeps only those that the buckets need in old minutes.
        """
        return reads.ticks(self._link, span)

    def buckets(self, *resolutions: str) -> dict[str, dict[str, Samples]]:
        """Return the values of the kept closed buckets and the open one by resolution, field and start.

        The read for low latency: one round trip, no coverage. All four resolutions when none is named.
        """
        return reads.buckets(self._link, find_resolutions(resolutions))

    def slots(self, resolution: str, *, at_ms: int | None = None) -> tuple[Slot, ...]:
        """Return the closed slots of a resolution by the clock and the open one, ascending, missing ones included."""
        return self.snapshot(resolution, at_ms=at_ms).slots[resolution]

    def snapshot(self, *resolutions: str, at_ms: int | None = None) -> Snapshot:
        """Return slots of the resolutions (default: all four), the newest tick and the collectors' state at once."""
        return reads.snapshot(self._link, find_resolutions(resolutions), self._whole_hours, at_ms)

    def settled(self, minutes: Iterable[int]) -> set[int]:
        """Return those of the minutes that have an agreed candle."""
        return read_settled(self._link, minutes)

    # How it is kept

    def inspect(self, minutes: Collection[int] = ()) -> Inspection:
        """Compare what Redis holds under our names with the layout; of `minutes`, tell which ones are settled.

        Wait up to a second for another process's rebuild: an inspection during it sees a state in between, and makes it
        restart, because TS.INFO breaks a WATCH.
        """
        inspection = check.inspect(self._link, minutes)
        if inspection.rebuilding:
            lease.wait(self._link)
            inspection = check.inspect(self._link, minutes)
        return inspection

    def write(
        self,
        live: Sequence[Tick],
        candles: Sequence[Candle] = (),
        *,
        bounds: Iterable[Bounds] = (),
        remembered: State | None = None,
        wary: bool = False,
    ) -> Written:
        """Add live ticks and candles: an append, or a merge where they begin a minute behind the newest one.

        An append with a live tick holds the unsettled minutes of `bounds` within them, and records since when all
        minutes are settled or bounded; without bounds it takes that record away. The collectors' shared state is stored
        with them, after them where it takes a merge. A merge removes samples from the future, but not for a `wary`
        writer, who cannot tell whether the clock is wrong.

        Raises:
            StoreError: a price is not finite, not above 0 or beyond belief, bounds are in disorder, a candle's minute
                is not over yet, or there are samples from the future and the writer is `wary`; nothing was written.
            ForeignKey: a rebuild is needed and one of our names belongs to somebody else.
        """
        live = append.prepare_live(live)
        fields = state.format_fields(remembered) if remembered else {}
        checked = append.check_bounds(bounds)
        now_ms, appended = append.append(self._link, live, candles, bounds=checked, fields=fields, wary=wary)
        if not appended:
            now_ms = self.rebuild(live=live, candles=candles).now_ms
            if remembered:
                self.remember(remembered)
        span = writable(now_ms)
        too_old = sum(tick.time_ms < span.start_ms for tick in live)
        too_early = sum(tick.time_ms >= span.end_ms for tick in live)
        return Written(now_ms, not appended, too_old, too_early)

    def rebuild(
        self,
        inspection: Inspection | None = None,
        *,
        live: Iterable[Tick] = (),
        candles: Iterable[Candle] = (),
        dropped: Collection[int] = (),
    ) -> Rebuilt:
        """Recreate all series in one transaction from the stored ticks, except those at `dropped`, and these.

        Raises:
            StoreError: as `write`, and when other writers are always faster.
            ForeignKey: one of our names belongs to somebody else.
        """
        self.refuse_foreign(inspection or check.inspect(self._link))
        return rebuild.rebuild(self._link, append.prepare_live(live), tuple(candles), dropped)

    def audit(self, inspection: Inspection) -> Audit:
        """Return all ticks and all compactions as of one moment."""
        return reads.audit(self._link, inspection)

    def repair(self, inspection: Inspection) -> tuple[Fault, ...]:
        """Repair what differs from the layout, in place where possible; return the faults repaired."""
        self.refuse_foreign(inspection)
        self.clear(inspection)
        if inspection.needs_rebuild:
            rebuild.rebuild(self._link)
        else:
            for key in {fault.key for fault in inspection.faults if not fault.fields}:
                rebuild.correct(self._link, key)
        return inspection.faults

    def clear(self, inspection: Inspection) -> None:
        """Delete unreadable fields of the side keys; they count as absent anyway."""
        for fault in inspection.faults:
            self._link.remove_fields(fault.key, fault.fields)

    def adopt(self, inspection: Inspection) -> tuple[tuple[str, str], ...]:
        """Rename the foreign keys out of the way; return the old and new name of each.

        Raises:
            ForeignKey: a new name is taken; nothing was renamed.
        """
        return expire.adopt(self._link, inspection.foreign)

    def excess(self) -> tuple[Excess, ...]:
        """Find the buckets of the compactions that are past retention, or in the future."""
        return expire.find(self._link)

    def remove(self, excess: Iterable[Excess]) -> None:
        """Delete those buckets; ticks stay."""
        expire.remove(self._link, excess)

    def find_unknown_keys(self) -> tuple[str, ...]:
        """Return the keys under our prefix that are not in the layout, except those renamed by `adopt`."""
        return expire.find_unknown_keys(self._link)

    def facts(self) -> Facts:
        """Return the server's own figures, and the memory that our keys take."""
        return facts.read(self._link)

    def contents(self) -> Contents:
        """Return all that the market has here, as of one moment."""
        return read_contents(self._link)

    def replace_contents(self, given: Contents, *, held: Contents, inspection: Inspection) -> None:
        """Put these contents in the place of those that it `held`; nothing is changed if it holds others by now."""
        replace_contents(self._link, given, held=held, inspection=inspection)

    # What collectors tell each other

    def state(self) -> State:
        """Return the collectors' shared state."""
        return state.parse(self._link.ask("HGETALL", self.layout.state), self._link.real_now_ms)

    def remember(self, remembered: State) -> None:
        """Store the collectors' shared state."""
        state.write(self._link, remembered)

    def tell(self, providers: Mapping[str, ProviderState], *, simulated: bool | None = None) -> None:
        """Store the state of these providers, and optionally whether prices are simulated; the rest stays."""
        state.tell(self._link, providers, simulated=simulated)

    def gaps(self) -> Mapping[int, Gap]:
        """Return the ledger of minutes that no provider could serve."""
        return gaps.parse_gaps(self._link.ask("HGETALL", self.layout.gaps), self._link.real_now_ms)

    def record_gaps(self, found: Mapping[int, Gap], *, forget: Iterable[int] = ()) -> None:
        """Record gaps in the ledger, and remove minutes that were settled or have left the window."""
        gaps.write(self._link, found, forget)

    def release_carried(self, recorded: Mapping[int, Gap]) -> Rebuilt | None:
        """Rebuild if a carried bucket may give way, as some minutes just recorded had no trades; else return None."""
        quiet = any(gap.reason == NO_TRADES for gap in recorded.values())
        return self.rebuild() if quiet and rebuild.has_carried(self._link) else None

    def refuse_foreign(self, inspection: Inspection) -> None:
        """Raise `ForeignKey` when one of our names belongs to somebody else."""
        if inspection.foreign:
            raise ForeignKey(
                f"{', '.join(inspection.foreign)} at {self.where} was not made by btcts; "
                f"rename it, use {self.elsewhere}, or run btcts init-keys --adopt"
            )

    def refuse_mixture(self, newest: Tick | None, remembered: State, *, simulated: bool) -> None:
        """Raise `StoreError` where simulated prices and real ones would meet in one store."""
        if newest is not None and remembered.simulated is (not simulated):
            kind, other = ("real", "simulated") if simulated else ("simulated", "real")
            raise StoreError(
                f"{self.where} holds {kind} prices and {other} ones must not be mixed in; use {self.elsewhere}"
            )
