"""The one candle of a minute that several providers agree on, and how many of them support it (pure).

The plain median of each field over the same members keeps low <= open, close <= high. No history is used, so any two
collectors that ask the same providers get the same candle. An agreed minute can still be unproven: no majority of all
that reach it is near its candle, as some were not heard (thin) or saw no trades (sparse).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from btcts.domain.candles import CANDLE_OFFSETS_MS, minute_of
from btcts.domain.model import MINUTE_MS, SPARSE, THIN, Candle, Candles, Tick, find_median, is_jump, is_near

LEAST_COVERING = 3
"""With this many providers covering a minute, a candle that fewer than half have must match its neighbours."""

Book = Mapping[int, Candle]


@dataclass(frozen=True, slots=True)
class Backing:
    """The providers that cover a minute (`heard`), and those whose candle is near the agreed one."""

    heard: frozenset[str]
    near: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class AgreedCandles:
    """The agreed candles by minute, ascending, and the starts of the minutes that have none.

    `disputed` minutes have candles that are not credible yet; `no_trades` minutes were covered by a provider, but none
    saw trades. `backing` gives the providers heard for each of these minutes; `sparse` minutes have candles from fewer
    than half of the providers that cover them.
    """

    candles: Mapping[int, Candle]
    disputed: frozenset[int]
    no_trades: frozenset[int]
    backing: Mapping[int, Backing] = field(default_factory=dict)
    sparse: frozenset[int] = frozenset()

    def reject(self, minutes: Collection[int]) -> "AgreedCandles":
        """Return a copy with these minutes disputed."""
        if not minutes:
            return self
        candles = {minute: candle for minute, candle in self.candles.items() if minute not in minutes}
        return replace(self, candles=candles, disputed=self.disputed | frozenset(minutes))


@dataclass(frozen=True, slots=True)
class Reach:
    """The providers that the collectors of a store ask, with the reach of their candles in ms; 0 for no candles."""

    providers: Mapping[str, int]

    def find_reaching(self, minute_ms: int, now_ms: int) -> frozenset[str]:
        """Return the providers whose candles reach back to a minute."""
        reaching = (name for name, reach_ms in self.providers.items() if reach_ms and minute_ms >= now_ms - reach_ms)
        return frozenset(reaching)

    def has_majority(self, names: Collection[str], minute_ms: int, now_ms: int) -> bool:
        """Tell whether these are more than half of the providers that reach a minute; true when none reaches it."""
        reaching = self.find_reaching(minute_ms, now_ms)
        return 2 * len(reaching.intersection(names)) > len(reaching) or not reaching

    def find_doubt(self, backing: Backing, minute_ms: int, now_ms: int) -> str | None:
        """Return the reason to doubt an agreed candle, one of `UNPROVEN`; None when a majority supports it."""
        if self.has_majority(backing.near, minute_ms, now_ms):
            return None
        return SPARSE if backing.heard.issuperset(self.find_reaching(minute_ms, now_ms)) else THIN


def agree_candles(answers: Iterable[Candles], *, quorum: int = 1, settled: Book | None = None) -> AgreedCandles:
    """Return the candles that the answers agree on, minute by minute; the order of the providers does not matter.

    When a provider answers twice for a minute, the later candle counts. `settled` are candles agreed on before, used
    as neighbours of sparse minutes.
    """
    books: dict[str, dict[int, Candle]] = {}
    covering: dict[int, set[str]] = {}
    for answer in answers:
        candles = {candle.start_ms: candle for candle in answer.candles}
        books.setdefault(answer.provider, {}).update(candles)
        for minute in (*candles, *(answer.covered.minutes() if answer.covered else ())):
            covering.setdefault(minute, set()).add(answer.provider)
    return _Agreement(books, covering, quorum).judge(settled or {})


def combine_candles(candles: Sequence[Candle]) -> Candle:
    """Return the median of each field; over the same members it keeps low <= open, close <= high."""
    return Candle(candles[0].start_ms, *map(find_median, zip(*(candle.prices for candle in candles), strict=True)))


def is_near_candle(candle: Candle, reference: Candle) -> bool:
    """Tell whether two candles are near each other in all four fields."""
    return all(map(is_near, candle.prices, reference.prices))


def find_stray(candle: Candle, ticks: Iterable[Tick]) -> Tick | None:
    """Return the first live tick that lies outside a candle and is not near its bounds, or None."""
    return next((tick for tick in ticks if not _is_in_or_near(candle.low, candle.high, tick.price)), None)


def group_live_ticks(ticks: Iterable[Tick], settled: Collection[int]) -> dict[int, list[Tick]]:
    """Return the live ticks by minute; in `settled` minutes the ticks at the offsets of the candle are left out."""
    found: dict[int, list[Tick]] = {}
    for tick in ticks:
        minute = minute_of(tick.time_ms)
        if minute not in settled or tick.time_ms - minute not in CANDLE_OFFSETS_MS:
            found.setdefault(minute, []).append(tick)
    return found


@dataclass(frozen=True, slots=True)
class _Agreement:
    books: Mapping[str, Book]
    covering: Mapping[int, Collection[str]]
    quorum: int

    def judge(self, settled: Book) -> AgreedCandles:
        """Judge every minute; sparse ones by their neighbours as well."""
        agreed: dict[int, Candle] = {}
        backing: dict[int, Backing] = {}
        sparse: set[int] = set()
        for minute in sorted(self.covering):
            holders = {name: book[minute] for name, book in self.books.items() if minute in book}
            candle = combine_candles(list(holders.values())) if holders else None
            near = _find_near(candle, holders) if candle else []
            backing[minute] = Backing(frozenset(self.covering[minute]), frozenset(near))
            if candle and len(holders) >= self.quorum and self._is_believed(minute, holders, near):
                agreed[minute] = candle
                if len(self.covering[minute]) >= LEAST_COVERING and 2 * len(holders) < len(self.covering[minute]):
                    sparse.add(minute)
        common = {**settled, **{minute: candle for minute, candle in agreed.items() if minute not in sparse}}
        traded = set().union(*self.books.values())
        found = AgreedCandles(
            agreed, frozenset(traded - agreed.keys()), frozenset(backing.keys() - traded), backing, frozenset(sparse)
        )
        return found.reject({minute for minute in sparse if not _is_between(agreed[minute], common)})

    def _is_believed(self, minute: int, holders: Mapping[str, Candle], near: Collection[str]) -> bool:
        """Tell whether the holders of a candle agree and are not outweighed by the other providers."""
        if len(holders) > 2:
            supported = 2 * len(near) >= len(holders)
            return supported and (len(near) == len(holders) or 2 * len(near) > len(self.covering[minute]))
        if not near or any(map(_has_stray_wick, holders.values())):
            return False
        return len(holders) == 2 or not self._is_far_from_neighbours(minute, *holders)

    def _is_far_from_neighbours(self, minute: int, provider: str) -> bool:
        """Tell whether a lone candle is a jump from each adjacent candle of its provider."""
        book = self.books[provider]
        closes = [book[beside].close for beside in (minute - MINUTE_MS, minute + MINUTE_MS) if beside in book]
        return bool(closes) and all(is_jump(book[minute].close, close) for close in closes)


def _find_near(candle: Candle, holders: Mapping[str, Candle]) -> list[str]:
    """Return the holders near their median in all four fields; of two holders only the closes are compared."""
    if len(holders) == 2:
        first, second = holders.values()
        return list(holders) if is_near(first.close, second.close) else []
    return [name for name, held in holders.items() if is_near_candle(held, candle)]


def _is_between(candle: Candle, common: Book) -> bool:
    """Tell whether a candle's high and low are near the nearest agreed minutes before and after it."""
    before = max((minute for minute in common if minute < candle.start_ms), default=None)
    after = min((minute for minute in common if minute > candle.start_ms), default=None)
    beside = [common[minute] for minute in (before, after) if minute is not None]
    if not beside:
        return False
    low, high = min(neighbour.low for neighbour in beside), max(neighbour.high for neighbour in beside)
    return _is_in_or_near(low, high, candle.low) and _is_in_or_near(low, high, candle.high)


def _is_in_or_near(low: float, high: float, price: float) -> bool:
    """Tell whether a price lies within a range or near it."""
    return low <= price <= high or is_near(price, low) or is_near(price, high)


def _has_stray_wick(candle: Candle) -> bool:
    """Tell whether the high or the low is a jump from the body."""
    top, bottom = max(candle.open, candle.close), min(candle.open, candle.close)
    return is_jump(candle.high, top) or is_jump(candle.low, bottom)
