"""Plan a backfill without asking a provider and without writing.

Retention normally counts from now. But when neither the store nor the requested span reaches into the current window,
the later end of the two counts as the present: old prices are stored as they would have been then.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from btcts.domain import healing
from btcts.domain.candles import minute_of
from btcts.domain.layout import Market, window
from btcts.domain.model import CLOSED_FOR_MS, MINUTE_MS, Candle, Span, Tick, Waiting
from btcts.domain.untrusted import GENESIS_MS
from btcts.errors import ConfigError, StoreError
from btcts.providers.base import iso
from btcts.providers.pages import find_closed_part
from btcts.providers.poller import Poller
from btcts.services.backfill.candle_csv import CandleFile, CandleSource, read_candles
from btcts.store import Inspection, State, Store

if TYPE_CHECKING:
    from btcts.providers.base import Provider

Minutes = tuple[int, ...]

LONGEST = 25 * 60
"""Minutes of the longest window: a single chunk when no provider sets a limit."""


@dataclass(frozen=True, slots=True)
class Wish:
    """The request: the minutes from `since_ms` to `until_ms` (None: from the oldest that is kept, and to now).

    With `overwrite`, settled minutes are included, and a candle replaces all ticks of its minute. With `minutes`, the
    rows of a file count as one-minute candles however far apart they are.
    """

    since_ms: int | None = None
    until_ms: int | None = None
    overwrite: bool = False
    minutes: bool = False

    def resolve_span(self, now_ms: int) -> Span:
        """Return the requested span.

        Raises:
            ConfigError: it is empty.
        """
        start_ms = max(GENESIS_MS, self.since_ms or 0)
        end_ms = now_ms if self.until_ms is None else min(self.until_ms, now_ms)
        if end_ms <= start_ms:
            raise ConfigError(f"nothing lies between {iso(start_ms)} and {iso(end_ms)}; correct --since and --until")
        return Span(start_ms, end_ms)


@dataclass(frozen=True, slots=True)
class Plan:
    """The minutes to settle, and the sources for them.

    `kept` is the window to fill, and its end counts as the present. The `chunks` are processed in ascending order;
    `settled` counts the requested minutes that were settled before, `left_out` what precedes the window (minutes, or
    rows of the file), `ticks` the stored ones that may be replaced. `requests` has the number of requests per provider,
    None when its candles do not reach back far enough, and is empty when there is nothing to request; `candles` are
    those of the `file`.
    """

    market: Market
    now_ms: int
    kept: Span
    chunks: tuple[Minutes, ...]
    settled: int
    left_out: int
    overwrite: bool = False
    ticks: int = 0
    requests: Mapping[str, int | None] = field(default_factory=dict)
    waiting: Waiting = ()
    file: CandleFile | None = None
    candles: tuple[Candle, ...] = ()

    @property
    def historical(self) -> bool:
        """True when a moment of the past counts as the present."""
        return self.kept.end_ms < self.now_ms

    @property
    def minutes(self) -> Minutes:
        """The minutes to settle, ascending."""
        return tuple(minute for chunk in self.chunks for minute in chunk)


def plan_of_providers(store: Store, poller: Poller, wish: Wish) -> Plan:
    """Plan the requests to providers.

    Raises:
        ConfigError: none of them has candles, or the store keeps nothing of the requested time.
        StoreError: the store cannot take their candles.
    """
    if not poller.able:
        names = " and ".join(provider.name for provider in poller.providers)
        raise ConfigError(f"no candles of minutes can be had from {names}; name another, such as --provider kraken")
    ground, state = _survey(store, simulated=poller.simulated)
    span = wish.resolve_span(ground.now_ms)
    kept = _find_kept(store, ground, span.end_ms, f"--until {iso(span.end_ms)}")
    minutes = _find_closed(span, kept, ground.now_ms)
    settled = store.settled(minutes)
    wanted = minutes if wish.overwrite else [minute for minute in minutes if minute not in settled]
    ready, waiting = poller.split(state.providers, ground.now_ms, able=True)
    chunks = _split_chunks(wanted, min((provider.page_minutes for provider in ready), default=LONGEST))
    return Plan(
        market=store.market,
        now_ms=ground.now_ms,
        kept=kept,
        chunks=chunks,
        settled=len(settled),
        left_out=0 if wish.since_ms is None else max(0, kept.start_ms - span.start_ms) // MINUTE_MS,
        overwrite=wish.overwrite,
        ticks=len(load_ticks(store, wanted)) if wish.overwrite else 0,
        requests={provider.name: _count_requests(provider, chunks, ground.now_ms) for provider in ready if chunks},
        waiting=waiting,
    )


def plan_of_file(store: Store, source: CandleSource, wish: Wish) -> Plan:
    """Plan what to store of a file, which is read to its end.

    Raises:
        ConfigError: the file is wrong, or the store keeps nothing of its time.
        StoreError: the store cannot take candles of real prices.
    """
    ground, _ = _survey(store, simulated=False)
    span, closed_ms = wish.resolve_span(ground.now_ms), ground.now_ms - CLOSED_FOR_MS
    file = read_candles(source, span, closed_ms=closed_ms, minutes=wish.minutes)
    if not file.candles:
        raise ConfigError(_describe_useless(file))
    end_ms = file.candles[-1].start_ms + MINUTE_MS
    kept = _find_kept(store, ground, end_ms, f"{file.name}, which ends at {iso(end_ms)}")
    inside = [candle for candle in file.candles if candle.start_ms in kept]
    settled = store.settled(candle.start_ms for candle in inside)
    candles = tuple(candle for candle in inside if wish.overwrite or candle.start_ms not in settled)
    minutes = tuple(candle.start_ms for candle in candles)
    return Plan(
        market=store.market,
        now_ms=ground.now_ms,
        kept=kept,
        chunks=(minutes,) if minutes else (),
        settled=len(settled),
        left_out=file.older + len(file.candles) - len(inside),
        overwrite=wish.overwrite,
        ticks=len(load_ticks(store, minutes)) if wish.overwrite else 0,
        file=file,
        candles=candles,
    )


def load_ticks(store: Store, minutes: Collection[int]) -> list[Tick]:
    """Return the stored ticks of the minutes, ascending."""
    if not minutes:
        return []
    wanted = frozenset(minutes)
    return [
        tick for tick in store.ticks(Span(min(wanted), max(wanted) + MINUTE_MS)) if minute_of(tick.time_ms) in wanted
    ]


def _survey(store: Store, *, simulated: bool) -> tuple[Inspection, State]:
    inspection, state = store.inspect(), store.state()
    store.refuse_foreign(inspection)
    store.refuse_mixture(inspection.newest, state, simulated=simulated)
    if inspection.poisoned:
        raise StoreError(f"a tick from the future hides the others at {store.where}; run btcts collect --once")
    return inspection, state


def _find_kept(store: Store, inspection: Inspection, end_ms: int, what: str) -> Span:
    """Return the window to fill for a request that ends at `end_ms`.

    Raises:
        ConfigError: the request, named by `what`, precedes it.
    """
    newest, present = inspection.newest, window(inspection.now_ms)
    latest_ms = max(minute_of(end_ms), minute_of(newest.time_ms) + MINUTE_MS if newest else 0)
    kept = window(latest_ms) if latest_ms <= present.start_ms else present
    if newest and end_ms <= kept.start_ms:
        raise ConfigError(
            f"{store.where} holds prices up to {iso(newest.time_ms)} and would keep nothing of {what}; "
            f"use {store.elsewhere}"
        )
    return kept


def _find_closed(span: Span, kept: Span, now_ms: int) -> list[int]:
    """Return the closed minutes in both spans; at a present in the past, the last minutes count as closed as well."""
    closed = healing.closed_minutes(min(now_ms, kept.end_ms + CLOSED_FOR_MS))
    start_ms = max(span.start_ms, kept.start_ms)
    return [minute for minute in Span(start_ms, max(start_ms, span.end_ms)).minutes() if minute in closed]


def _split_chunks(minutes: Sequence[int], page_minutes: int) -> tuple[Minutes, ...]:
    """Split ascending minutes into chunks that fit in a page."""
    chunks: list[list[int]] = []
    for minute in minutes:
        if not chunks or minute - chunks[-1][0] >= page_minutes * MINUTE_MS:
            chunks.append([])
        chunks[-1].append(minute)
    return tuple(map(tuple, chunks))


def _count_requests(provider: "Provider", chunks: Iterable[Minutes], now_ms: int) -> int | None:
    """Count the chunks within the provider's reach; None without any."""
    spans = (Span(chunk[0], chunk[-1] + MINUTE_MS) for chunk in chunks)
    return sum(find_closed_part(span, now_ms, provider.reach_ms) is not None for span in spans) or None


def _describe_useless(file: CandleFile) -> str:
    return (
        f"no row of {file.name} can settle a minute: of {file.rows} from {iso(file.first_ms)} to {iso(file.last_ms)} "
        f"{file.outside} were not asked for, {file.quiet} had no trades and {file.unfinished} are not over yet; "
        "correct --since, --until or the file"
    )
