"""Candles of one minute from a CSV file, which is read once and may be of any length and in any order.

Only what the newest row lets matter stays in memory: a row that turns out to be older than the window before the
newest one is counted and let go. Every row is checked all the same, and one that is wrong spoils the file.
"""

import csv
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, NoReturn

from btcts.causes import describe
from btcts.errors import ConfigError
from btcts.layout import window
from btcts.model import MINUTE_MS, PRICE_CEILING, Candle, Span, is_price
from btcts.providers.base import END_MS, GENESIS_MS, quoted

TIMES = ("timestamp", "time", "date")
PRICES = ("open", "high", "low", "close")
VOLUME = "volume"
HEADER = ",".join((TIMES[0], *PRICES, VOLUME))

UNITS = {"seconds": 1_000_000_000, "milliseconds": 1_000_000, "microseconds": 1000, "nanoseconds": 1}
"""What times may be counted in, in ns. Of a number at most one of them makes a time at which there was bitcoin."""

ISO = "ISO 8601"

LONGEST_LINE = 10_000
"""Bytes; what is longer is no row, and must not be read to its end."""

SPARE = 5000
"""How many candles are held before those that are too old are let go."""

CHANCE = 50
"""Rows are about more than a minute each where holes would make them lie so regularly less than once in so often."""

_BOM = b"\xef\xbb\xbf"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS_NS = 1_000_000


@dataclass(frozen=True, slots=True)
class CandleSource:
    """An open file and what it is called."""

    name: str
    file: BinaryIO


@dataclass(frozen=True, slots=True)
class CandleFile:
    """What a file holds: the candles of the newest window, ascending, and how many rows there are besides.

    `unit` is what its times are counted in. `rows` are all of them, about minutes from `first_ms` to `last_ms`. Of
    these `quiet` had no trades, `outside` were not asked for, `unfinished` are about minutes that are not over,
    `repeated` say again what another one says, and `older` lie before the window at the end of the newest candle.
    """

    name: str
    unit: str
    rows: int
    first_ms: int
    last_ms: int
    candles: tuple[Candle, ...]
    quiet: int = 0
    outside: int = 0
    unfinished: int = 0
    repeated: int = 0
    older: int = 0


@contextmanager
def opened(path: str, stdin: BinaryIO) -> Iterator[CandleSource]:
    """The file at `path`, or `stdin` for `-`.

    Raises:
        ConfigError: it cannot be opened.
    """
    if path == "-":
        yield CandleSource("stdin", stdin)
        return
    try:
        file = Path(path).open("rb")  # noqa: SIM115 -- only the opening is to be translated; it is closed below
    except (OSError, ValueError) as exc:
        raise _unreadable(path, exc) from exc
    with file:
        yield CandleSource(path, file)


def read_candles(source: CandleSource, asked: Span, *, closed_ms: int) -> CandleFile:
    """The candles of the minutes that lie wholly in `asked` and were over at `closed_ms`.

    Columns go by their names in the first line, in any order and case. Times are counted in one unit, known by
    their magnitude, or written in ISO 8601, and then in UTC where they name no zone. Of two rows about one minute
    both must say the same, as long as that minute is held.

    Raises:
        ConfigError: a row is wrong, the first one that is, with its line and its value; or there is none, or they are
            about more than a minute each.
    """
    reader = _Reader(source.name, asked, closed_ms)
    rows = csv.reader(_lines(source), strict=True)
    try:
        columns = _columns(source.name, next(rows, []))
        for row in rows:
            if row:
                reader.take(rows.line_num, *columns.of(rows.line_num, row))
    except csv.Error as exc:
        raise ConfigError(f"{source.name} line {rows.line_num}: {exc}; write it as CSV: {HEADER}") from exc
    return reader.result()


def _lines(source: CandleSource) -> Iterator[str]:
    """The lines of the file as text."""
    number = 0
    try:
        while line := source.file.readline(LONGEST_LINE):
            number += 1
            if b"\0" in line or len(line) == LONGEST_LINE:
                raise ValueError("a row of text has no such bytes, and not so many")
            yield line.removeprefix(_BOM).decode() if number == 1 else line.decode()
    except ValueError as exc:
        raise ConfigError(
            f"{source.name} line {number}: is no text; unpack the file if it is packed, save it as UTF-8: {HEADER}"
        ) from exc
    except OSError as exc:
        raise _unreadable(source.name, exc) from exc


def _unreadable(name: str, exc: Exception) -> ConfigError:
    return ConfigError(f"{name!r} cannot be read ({describe(exc)}); name a CSV file of candles, or - for stdin")


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where the columns of a file are; `volume` is None where it has none."""

    name: str
    count: int
    time: int
    prices: tuple[int, ...]
    volume: int | None

    def of(self, line: int, row: Sequence[str]) -> tuple[str, list[str], str]:
        """The texts of a row: time, prices, and volume (1 where the file has none)."""
        if len(row) != self.count:
            raise ConfigError(
                f"{self.name} line {line}: a {'short' if len(row) < self.count else 'long'} row, {len(row)} columns "
                f"where the first line has {self.count} ({quoted(','.join(row))}); complete it or take it out"
            )
        return row[self.time], [row[each] for each in self.prices], "1" if self.volume is None else row[self.volume]


def _columns(name: str, header: Sequence[str]) -> _Columns:
    names = [each.strip().lower() for each in header]
    time = next((each for each in TIMES if each in names), None)
    missing = ([] if time else [TIMES[0]]) + [each for each in PRICES if each not in names]
    if time is None or missing:
        found = quoted(",".join(header)) if header else "it is empty"
        raise ConfigError(f"{name} line 1: has no column {', '.join(missing)} ({found}); it must read {HEADER}")
    if twice := [each for each in (time, *PRICES, VOLUME) if names.count(each) > 1]:
        raise ConfigError(f"{name} line 1: has two columns {twice[0]}; rename one of them")
    volume = names.index(VOLUME) if VOLUME in names else None
    return _Columns(name, len(names), names.index(time), tuple(map(names.index, PRICES)), volume)


@dataclass(slots=True)
class _Reader:
    """The rows so far; `held` has the prices of the minutes that may matter.

    `apart_ms` is the longest time of which the minutes of all rows are multiples, counted from any of them.
    """

    name: str
    asked: Span
    closed_ms: int
    unit: str = ""
    rows: int = 0
    first_ms: int = END_MS
    last_ms: int = 0
    apart_ms: int = 0
    oldest_ms: int = 0
    held: dict[int, list[float]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def take(self, line: int, time: str, prices: list[str], volume: str) -> None:
        """Check a row, and hold it where it may matter."""
        minute = self._minute(line, time)
        if self.rows:
            self.apart_ms = math.gcd(self.apart_ms, minute - self.first_ms)
        self.rows += 1
        self.first_ms, self.last_ms = min(minute, self.first_ms), max(minute, self.last_ms)
        if not self._volume(line, volume):
            self.counts["quiet"] += 1
            return
        values = self._prices(line, prices)
        if minute + MINUTE_MS > self.closed_ms:
            self.counts["unfinished"] += 1
        elif not self.asked.start_ms <= minute <= self.asked.end_ms - MINUTE_MS:
            self.counts["outside"] += 1
        elif minute < self.oldest_ms:
            self.counts["older"] += 1
        else:
            self._hold(line, minute, values)

    def result(self) -> CandleFile:
        """What came of it."""
        if not self.rows:
            raise ConfigError(f"{self.name} has no rows below the names of its columns; name a file of candles")
        self._check_length()
        self._let_go()
        candles = tuple(Candle(minute, *self.held[minute]) for minute in sorted(self.held))
        return CandleFile(self.name, self.unit, self.rows, self.first_ms, self.last_ms, candles, **self.counts)

    def _check_length(self) -> None:
        """Refuse rows about more than a minute each; any two lie apart, three may show that they are hours."""
        apart, more = max(1, self.apart_ms // MINUTE_MS), self.rows - self.counts["repeated"] - 2
        if more * math.log(apart) > math.log(CHANCE):
            raise ConfigError(f"{self.name}: the rows are {apart} min apart; candles of one minute are needed")

    def _hold(self, line: int, minute: int, values: list[float]) -> None:
        known = self.held.setdefault(minute, values)
        if known is not values:
            if known != values:
                self._refuse(line, f"disagrees with an earlier row about the same minute ({values}, {known}); keep one")
            self.counts["repeated"] += 1
        if len(self.held) > SPARE:
            self._let_go()

    def _let_go(self) -> None:
        """Drop what is older than the window at the end of the newest candle, a moment that can only move on."""
        if self.held:
            self.oldest_ms = window(max(self.held) + MINUTE_MS).start_ms
            kept = {minute: values for minute, values in self.held.items() if minute >= self.oldest_ms}
            self.counts["older"] += len(self.held) - len(kept)
            self.held = kept

    def _minute(self, line: int, text: str) -> int:
        unit, time_ns = _time(text.strip())
        if not unit:
            self._refuse(line, f"{quoted(text)} is no time from 2009-01-03 to 2099; write seconds since 1970 (UTC)")
        if unit != (self.unit or unit):
            self._refuse(line, f"the time {quoted(text)} is in {unit}, those above in {self.unit}; use one unit")
        self.unit = unit
        minute, rest = divmod(time_ns, MINUTE_MS * _MS_NS)
        if rest:
            self._refuse(line, f"the time {quoted(text)} is off the minute; make candles of one minute of the file")
        return minute * MINUTE_MS

    def _volume(self, line: int, text: str) -> float:
        volume = _number(text)
        if not 0 <= volume < math.inf:
            self._refuse(line, f"the volume {quoted(text)} is no traded amount; correct the row or take it out")
        return volume

    def _prices(self, line: int, texts: list[str]) -> list[float]:
        opened, high, low, closed = values = [_number(each) for each in texts]
        if not (0 < low <= opened <= high <= PRICE_CEILING and low <= closed <= high):
            self._refuse_prices(line, values, texts)
        return values

    def _refuse_prices(self, line: int, values: list[float], texts: list[str]) -> NoReturn:
        for name, value, text in zip(PRICES, values, texts, strict=True):
            if not is_price(value):
                self._refuse(line, f"the {name} {quoted(text)} is no price; correct the row or take it out")
        said = ", ".join(f"{name} {value}" for name, value in zip(PRICES, values, strict=True))
        self._refuse(line, f"open and close do not lie between low and high ({said}); correct the row or take it out")

    def _refuse(self, line: int, problem: str) -> NoReturn:
        raise ConfigError(f"{self.name} line {line}: {problem}")


def _time(text: str) -> tuple[str, int]:
    """What a time is counted in, empty for what is none, and the time in ns since the epoch."""
    whole, _, fraction = text.partition(".")
    try:
        if whole.isdecimal() and not fraction.strip("0"):
            units, number = UNITS, int(whole)
        else:
            then = datetime.fromisoformat(text)
            since = (then if then.tzinfo else then.replace(tzinfo=UTC)) - _EPOCH
            units, number = {ISO: 1000}, since // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        return "", 0
    times = ((unit, number * size) for unit, size in units.items())
    return next((each for each in times if GENESIS_MS * _MS_NS <= each[1] < END_MS * _MS_NS), ("", 0))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
