"""What a backfill is about to do, found out without asking a provider and without writing.

What is kept counts from now. But where neither the store nor what is asked for reaches into the window of now, the
later end of the two is taken for the present: old prices are stored as they would have been then.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from btcts.domain import healing
from btcts.domain.candles import minute_of
from btcts.domain.layout import window
from btcts.domain.model import CLOSED_FOR_MS, MINUTE_MS, Candle, Span, Tick, Waiting
from btcts.errors import ConfigError, StoreError
from btcts.providers import pacing
from btcts.providers.base import GENESIS_MS, iso
from btcts.providers.pages import closed_part
from btcts.services.backfill.candle_csv import CandleFile, CandleSource, read_candles
from btcts.store import State, Store

if TYPE_CHECKING:
    from btcts.providers.base import Provider

Minutes = tuple[int, ...]

LONGEST = 25 * 60
"""The minutes of the longest window: one chunk where no provider sets a limit."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for: the minutes from `since_ms` to `until_ms` (None: from the first that is kept, and to now).

    With `overwrite` settled ones too, and all the ticks of a minute give way to its candle. `minutes` says that the
    rows of a file are about one minute each, however far apart they lie.
    """

    since_ms: int | None = None
    until_ms: int | None = None
    overwrite: bool = False
    minutes: bool = False

    def span(self, now_ms: int) -> Span:
        """From one to the other.

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
    """Which minutes are to be settled, and by what.

    `kept` is the window to fill; what counts as the present is its end. The `chunks` are done one after the other,
    ascending; `settled` counts those of the minutes in question that were settled before, `left_out` what lies before
    the window (minutes, or rows of the file), `ticks` the stored ones that may have to give way. `requests` says how
    often each provider is asked, None where its candles do not reach, and is empty where there is nothing to ask for;
    `candles` are those of the `file`.
    """

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
        """Whether a moment of the past counts as the present."""
        return self.kept.end_ms < self.now_ms

    @property
    def minutes(self) -> Minutes:
        """The minutes to settle, ascending."""
        return tuple(minute for chunk in self.chunks for minute in chunk)


def plan_of_providers(store: Store, providers: Sequence["Provider"], wish: Wish) -> Plan:
    """What there is to ask of the providers.

    Raises:
        ConfigError: none of them has candles, or the store keeps nothing of the time that is asked for.
        StoreError: the store cannot take their candles.
    """
    able = _with_candles(providers)
    ground = _survey(store, simulated=is_simulated(providers))
    span = wish.span(ground.now_ms)
    kept = ground.kept(span.end_ms, f"--until {iso(span.end_ms)}")
    minutes = _closed(span, kept, ground.now_ms)
    settled = store.settled(minutes)
    wanted = minutes if wish.overwrite else [each for each in minutes if each not in settled]
    ready, waiting = pacing.split(able, ground.state.providers, ground.now_ms)
    chunks = _chunks(wanted, min((each.page_minutes for each in ready), default=LONGEST))
    return Plan(
        now_ms=ground.now_ms,
        kept=kept,
        chunks=chunks,
        settled=len(settled),
        left_out=0 if wish.since_ms is None else _minutes_between(span.start_ms, kept.start_ms),
        overwrite=wish.overwrite,
        ticks=len(ticks_of(store, wanted)) if wish.overwrite else 0,
        requests={each.name: _requests(each, chunks, ground.now_ms) for each in ready if chunks},
        waiting=waiting,
    )


def plan_of_file(store: Store, source: CandleSource, wish: Wish) -> Plan:
    """What there is to store of a file, which is read to its end.

    Raises:
        ConfigError: the file is wrong, or the store keeps nothing of its time.
        StoreError: the store cannot take candles of real prices.
    """
    ground = _survey(store, simulated=False)
    span, closed_ms = wish.span(ground.now_ms), ground.now_ms - CLOSED_FOR_MS
    file = read_candles(source, span, closed_ms=closed_ms, minutes=wish.minutes)
    if not file.candles:
        raise ConfigError(_without_use(file))
    end_ms = file.candles[-1].start_ms + MINUTE_MS
    kept = ground.kept(end_ms, f"{file.name}, which ends at {iso(end_ms)}")
    inside = [each for each in file.candles if each.start_ms in kept]
    settled = store.settled(each.start_ms for each in inside)
    candles = tuple(each for each in inside if wish.overwrite or each.start_ms not in settled)
    minutes = tuple(each.start_ms for each in candles)
    return Plan(
        now_ms=ground.now_ms,
        kept=kept,
        chunks=(minutes,) if minutes else (),
        settled=len(settled),
        left_out=file.older + len(file.candles) - len(inside),
        overwrite=wish.overwrite,
        ticks=len(ticks_of(store, minutes)) if wish.overwrite else 0,
        file=file,
        candles=candles,
    )


def is_simulated(providers: Iterable["Provider"]) -> bool:
    """Whether their prices are made up."""
    return any(each.name == "simulated" for each in providers)


def ticks_of(store: Store, minutes: Collection[int]) -> list[Tick]:
    """The stored ticks of the minutes, ascending."""
    if not minutes:
        return []
    wanted = frozenset(minutes)
    return [
        each for each in store.ticks(Span(min(wanted), max(wanted) + MINUTE_MS)) if minute_of(each.time_ms) in wanted
    ]


@dataclass(frozen=True, slots=True)
class _Ground:
    """What there is before a backfill."""

    where: str
    elsewhere: str
    now_ms: int
    newest: Tick | None
    state: State

    def kept(self, end_ms: int, what: str) -> Span:
        """The window to fill when what is asked for ends at `end_ms`.

        Raises:
            ConfigError: `what` is asked for lies before it.
        """
        stored_ms = minute_of(self.newest.time_ms) + MINUTE_MS if self.newest else 0
        latest_ms = max(minute_of(end_ms), stored_ms)
        present = window(self.now_ms)
        kept = window(latest_ms) if latest_ms <= present.start_ms else present
        if self.newest and end_ms <= kept.start_ms:
            raise ConfigError(
                f"{self.where} holds prices up to {iso(self.newest.time_ms)} and keeps nothing of {what}; "
                f"use {self.elsewhere}"
            )
        return kept


def _with_candles(providers: Sequence["Provider"]) -> list["Provider"]:
    able = [each for each in providers if each.reach_ms]
    if not able:
        names = " and ".join(each.name for each in providers)
        raise ConfigError(f"no candles of minutes are to be had from {names}; name another one, as --provider kraken")
    return able


def _survey(store: Store, *, simulated: bool) -> _Ground:
    inspection, state = store.inspect(), store.state()
    store.refuse_foreign(inspection)
    store.refuse_mixture(inspection.newest, state, simulated=simulated)
    if inspection.poisoned:
        raise StoreError(f"a tick from the future hides the others at {store.where}; run btcts collect --once")
    return _Ground(store.where, store.elsewhere, inspection.now_ms, inspection.newest, state)


def _closed(span: Span, kept: Span, now_ms: int) -> list[int]:
    """The closed minutes that lie in both; the last minutes of the past are no less closed than those before them."""
    closed = healing.closed_minutes(min(now_ms, kept.end_ms + CLOSED_FOR_MS))
    start_ms = max(span.start_ms, kept.start_ms)
    return [each for each in Span(start_ms, max(start_ms, span.end_ms)).minutes() if each in closed]


def _chunks(minutes: Sequence[int], page_minutes: int) -> tuple[Minutes, ...]:
    """The minutes, ascending, in parts that a page of so many minutes holds."""
    chunks: list[list[int]] = []
    for each in minutes:
        if not chunks or each - chunks[-1][0] >= page_minutes * MINUTE_MS:
            chunks.append([])
        chunks[-1].append(each)
    return tuple(map(tuple, chunks))


def _requests(provider: "Provider", chunks: Iterable[Minutes], now_ms: int) -> int | None:
    """One for each chunk that its candles reach."""
    spans = (Span(each[0], each[-1] + MINUTE_MS) for each in chunks)
    return sum(closed_part(each, now_ms, provider.reach_ms) is not None for each in spans) or None


def _minutes_between(start_ms: int, end_ms: int) -> int:
    return len(Span(start_ms, max(start_ms, end_ms)).minutes())


def _without_use(file: CandleFile) -> str:
    return (
        f"no row of {file.name} can settle a minute: of {file.rows} from {iso(file.first_ms)} to {iso(file.last_ms)} "
        f"{file.outside} were not asked for, {file.quiet} had no trades and {file.unfinished} are not over yet; "
        "correct --since, --until or the file"
    )
