"""One-minute candles from a CSV file, which is read once and may have any length and order.

Only rows within the window before the newest row stay in memory; older ones are counted and dropped. Every row is
still checked, and a single wrong one rejects the file.
"""

import csv
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NoReturn

from btcts.domain.layout import window
from btcts.domain.model import MINUTE_MS, PRICE_CEILING, Candle, Span, is_price
from btcts.domain.untrusted import END_MS
from btcts.errors import ConfigError
from btcts.providers.base import quoted
from btcts.services.backfill.rows import MS_NS, Spacing, describe_misfit, parse_time
from btcts.system.causes import describe

TIMES = ("timestamp", "time", "date")
PRICES = ("open", "high", "low", "close")
VOLUME = "volume"
HEADER = ",".join((TIMES[0], *PRICES, VOLUME))

LONGEST_LINE = 10_000
"""Most bytes of a row; a longer line is not a row and must not be read to its end."""

SPARE = 5000
"""Candles held in memory before those that are too old are dropped."""

UNTRADED = frozenset({"", "nan", "null", "none", "na", "n/a"})
"""Spellings of a missing price, in lower case."""

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class CandleSource:
    """An open file and its name."""

    name: str
    file: BinaryIO


@dataclass(frozen=True, slots=True)
class CandleFile:
    """The contents of a file: the candles of its newest window, ascending, and counts of the other rows.

    `unit` is the unit of its times. `rows` counts all rows, for minutes from `first_ms` to `last_ms`. Of these, `quiet`
    had no trades, `outside` were not asked for, `unfinished` are for minutes that are not over, `repeated` duplicate
    another row, and `older` precede the window at the end of the newest candle.
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
def open_source(path: str, stdin: BinaryIO) -> Iterator[CandleSource]:
    """Open the file at `path`, or `stdin` for `-`.

    Raises:
        ConfigError: it cannot be opened.
    """
    if path == "-":
        yield CandleSource("stdin", stdin)
        return
    try:
        file = Path(path).open("rb")  # noqa: SIM115 -- only the opening is to be translated; it is closed below
    except (OSError, ValueError) as exc:
        raise _build_read_error(path, exc) from exc
    with file:
        yield CandleSource(path, file)


def read_candles(source: CandleSource, asked: Span, *, closed_ms: int, minutes: bool = False) -> CandleFile:
    """Read the candles of the minutes that lie wholly in `asked` and were over at `closed_ms`.

    Columns are found by the names in the first line, in any order and case. Times are numbers in one unit, recognised
    by magnitude, or ISO 8601, in UTC unless they name a zone. Two rows for one minute must be equal while that minute
    is in memory. A row whose four prices are empty or NaN had no trades. With `minutes`, rows count as one-minute
    candles however far apart they are.

    Raises:
        ConfigError: names the first wrong row with its line and value; or there are no rows, or they appear to be
            candles of more than a minute.
    """
    reader = _Reader(source.name, asked, closed_ms)
    rows = csv.reader(_read_lines(source), strict=True)
    try:
        columns = _find_columns(source.name, next(rows, []))
        for row in rows:
            if row:
                reader.take(rows.line_num, *columns.pick_texts(rows.line_num, row))
    except csv.Error as exc:
        raise ConfigError(f"{source.name} line {rows.line_num}: {exc}; write it as CSV: {HEADER}") from exc
    found = reader.finish()
    if found.candles:
        reader.spacing.check(source.name, minutes=minutes)
    return found


def _read_lines(source: CandleSource) -> Iterator[str]:
    """Yield the lines of the file as text."""
    number = 0
    try:
        while line := source.file.readline(LONGEST_LINE):
            number += 1
            if b"\0" in line or len(line) == LONGEST_LINE:
                raise ValueError("a line of text has no NUL bytes and is not that long")
            yield line.removeprefix(_BOM).decode() if number == 1 else line.decode()
    except ValueError as exc:
        raise ConfigError(
            f"{source.name} line {number}: is not text; decompress the file, or save it as UTF-8: {HEADER}"
        ) from exc
    except OSError as exc:
        raise _build_read_error(source.name, exc) from exc


def _build_read_error(name: str, exc: Exception) -> ConfigError:
    return ConfigError(f"{name!r} cannot be read ({describe(exc)}); name a CSV file of candles, or - for stdin")


@dataclass(frozen=True, slots=True)
class _Columns:
    """Positions of the columns in a file; `volume` is None for a file without it."""

    name: str
    count: int
    time: int
    prices: tuple[int, ...]
    volume: int | None

    def pick_texts(self, line: int, row: Sequence[str]) -> tuple[str, list[str], str | None]:
        """Return time, prices and volume of a row as text; the volume is None for a file without it."""
        if len(row) != self.count:
            raise ConfigError(
                f"{self.name} line {line}: a {'short' if len(row) < self.count else 'long'} row, {len(row)} columns "
                f"where the first line has {self.count} ({quoted(','.join(row))}); complete or remove it"
            )
        return row[self.time], [row[index] for index in self.prices], None if self.volume is None else row[self.volume]


def _find_columns(name: str, header: Sequence[str]) -> _Columns:
    names = [column.strip().lower() for column in header]
    time = next((column for column in TIMES if column in names), None)
    missing = ([] if time else [TIMES[0]]) + [column for column in PRICES if column not in names]
    if time is None or missing:
        found = quoted(",".join(header)) if header else "it is empty"
        raise ConfigError(f"{name} line 1: has no column {', '.join(missing)} ({found}); it must read {HEADER}")
    if twice := [column for column in (time, *PRICES, VOLUME) if names.count(column) > 1]:
        raise ConfigError(f"{name} line 1: has two columns {twice[0]}; rename one of them")
    volume = names.index(VOLUME) if VOLUME in names else None
    return _Columns(name, len(names), names.index(time), tuple(map(names.index, PRICES)), volume)


@dataclass(slots=True)
class _Reader:
    """The rows so far; `held` has the prices of the minutes that may still count."""

    name: str
    asked: Span
    closed_ms: int
    unit: str = ""
    rows: int = 0
    first_ms: int = END_MS
    last_ms: int = 0
    oldest_ms: int = 0
    spacing: Spacing = field(default_factory=Spacing)
    held: dict[int, list[float]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def take(self, line: int, time: str, prices: list[str], volume: str | None) -> None:
        """Check a row, and keep it if it may count."""
        minute, written = self._read_minute(line, time)
        self.rows += 1
        self.first_ms, self.last_ms = min(minute, self.first_ms), max(minute, self.last_ms)
        if _is_untraded(prices, volume):  # hourly data padded to minutes has such rows: ignore them for the spacing
            self.counts["quiet"] += 1
            return
        self.spacing.add(minute, written)
        if volume is not None and not self._parse_volume(line, volume):
            self.counts["quiet"] += 1
            return
        values = self._parse_prices(line, prices)
        if minute + MINUTE_MS > self.closed_ms:
            self.counts["unfinished"] += 1
        elif not self.asked.start_ms <= minute <= self.asked.end_ms - MINUTE_MS:
            self.counts["outside"] += 1
        elif minute < self.oldest_ms:
            self.counts["older"] += 1
        else:
            self._hold(line, minute, values)

    def finish(self) -> CandleFile:
        """Return the contents of the file after its last row."""
        if not self.rows:
            raise ConfigError(f"{self.name} has no rows below the names of its columns; name a file of candles")
        self._let_go()
        candles = tuple(Candle(minute, *self.held[minute]) for minute in sorted(self.held))
        return CandleFile(self.name, self.unit, self.rows, self.first_ms, self.last_ms, candles, **self.counts)

    def _hold(self, line: int, minute: int, values: list[float]) -> None:
        known = self.held.setdefault(minute, values)
        if known is not values:
            if known != values:
                self._refuse(line, f"disagrees with an earlier row about the same minute ({values}, {known}); keep one")
            self.counts["repeated"] += 1
        if len(self.held) > SPARE:
            self._let_go()

    def _let_go(self) -> None:
        """Drop candles older than the window at the end of the newest one, which only ever moves forward."""
        if self.held:
            self.oldest_ms = window(max(self.held) + MINUTE_MS).start_ms
            kept = {minute: values for minute, values in self.held.items() if minute >= self.oldest_ms}
            self.counts["older"] += len(self.held) - len(kept)
            self.held = kept

    def _read_minute(self, line: int, text: str) -> tuple[int, int]:
        """Return the minute of a row, and its minute of the hour as written."""
        unit, time_ns, written = parse_time(text.strip())
        if not unit:
            self._refuse(line, describe_misfit(text))
        if unit != (self.unit or unit):
            self._refuse(line, f"the time {quoted(text)} is in {unit}, those above in {self.unit}; use one unit")
        self.unit = unit
        minute, rest = divmod(time_ns, MINUTE_MS * MS_NS)
        if rest:
            self._refuse(
                line, f"the time {quoted(text)} is not a full minute; the file must have candles of one minute"
            )
        return minute * MINUTE_MS, written

    def _parse_volume(self, line: int, text: str) -> float:
        volume = _parse_number(text)
        if not 0 <= volume < math.inf:
            self._refuse(line, f"the volume {quoted(text)} is not a traded amount; correct or remove the row")
        return volume

    def _parse_prices(self, line: int, texts: list[str]) -> list[float]:
        opened, high, low, closed = values = [_parse_number(text) for text in texts]
        if not (0 < low <= opened <= high <= PRICE_CEILING and low <= closed <= high):
            self._refuse_prices(line, values, texts)
        return values

    def _refuse_prices(self, line: int, values: list[float], texts: list[str]) -> NoReturn:
        for name, value, text in zip(PRICES, values, texts, strict=True):
            if not is_price(value):
                self._refuse(line, f"the {name} {quoted(text)} is not a price; correct or remove the row")
        said = ", ".join(f"{name} {value}" for name, value in zip(PRICES, values, strict=True))
        self._refuse(line, f"open and close do not lie between low and high ({said}); correct or remove the row")

    def _refuse(self, line: int, problem: str) -> NoReturn:
        raise ConfigError(f"{self.name} line {line}: {problem}")


def _is_untraded(prices: Sequence[str], volume: str | None) -> bool:
    """Tell whether a row has no prices and no volume other than 0."""
    texts = [text.strip().lower() for text in (*prices, volume or "")]
    return UNTRADED.issuperset(texts[:-1]) and (texts[-1] in UNTRADED or _parse_number(texts[-1]) == 0)


def _parse_number(text: str) -> float:
    """Parse digits as other programs write them; `float` also takes `1_0` and those of other scripts."""
    try:
        return float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        return math.nan
