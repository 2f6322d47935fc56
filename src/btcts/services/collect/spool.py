"""Prices that could not reach Redis yet: a file that grows by a line for each, shared by processes under a lock.

A price that `keep` has returned for survives the end of the process and of the machine. The lock is never held while
somebody talks to Redis, so that one who waits for Redis keeps nobody from keeping a price. Therefore lines are dropped
for what they say, not for where they stand: another process may have dropped them, or kept more, in the meantime.
"""

import os
import time
import zlib
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from btcts.domain.layout import window
from btcts.domain.model import Tick, is_price
from btcts.errors import SpoolError
from btcts.system import durable
from btcts.system.causes import describe

LIMIT_BYTES = 8 << 20
"""When the file is larger, only the newest ticks stay; it never fills a disk, however long Redis is away."""

NEWEST = 100_000
"""How many ticks those are: more than one a second through the whole window, in about half of the limit."""

LONGEST_LINE = 100
"""A line with more bytes is damaged."""

LOCK_RETRY_S = 0.01


@dataclass(frozen=True, slots=True)
class Held:
    """What waits: the ticks of the window, ascending, one for each stamp.

    `torn` counts the lines that a crash or the disk has damaged; `lines` is all that was read, to be dropped later.
    """

    ticks: tuple[Tick, ...] = ()
    torn: int = 0
    lines: frozenset[bytes] = frozenset()


class Spool:
    """The prices that wait in `folder`, which is made for the first one, and in `former` ones of other names.

    A line is `<time_ms> <price> <CRC-32 of both in hex>`. Methods wait for a lock up to `patience_s`.
    """

    def __init__(self, folder: Path, *, former: Sequence[Path] = (), patience_s: float = 2.0) -> None:
        self._file = _File(folder, patience_s)
        self._former = tuple(_File(path, patience_s) for path in former)

    def keep(self, tick: Tick) -> None:
        """Add a price; it is on the disk when this returns.

        Raises:
            SpoolError: it is not, because the disk is full or failing or the lock is not to be had.
        """
        with self._file.translate_errors("the price cannot be kept"):
            self._file.append(tick)

    def read(self, now_ms: int) -> Held:
        """What waits; creates nothing.

        Raises:
            SpoolError: the file cannot be read, or the lock is not to be had.
        """
        with self._file.translate_errors("the prices that wait cannot be read"):
            lines = self._file.read()
        for file in self._former:
            with suppress(OSError, SpoolError):  # by another name it keeps nobody from going on
                lines += file.read()
        found = [_parse_line(line) for line in lines]
        oldest_ms = window(now_ms).start_ms
        prices = {tick.time_ms: tick.price for tick in found if tick and tick.time_ms >= oldest_ms}
        ticks = tuple(Tick(time_ms, prices[time_ms]) for time_ms in sorted(prices))
        return Held(ticks, found.count(None), frozenset(lines))

    def drop(self, held: Held) -> None:
        """Take out what was read; what came in since stays.

        Raises:
            SpoolError: that failed; all of it still waits, and writing it to Redis once more does no harm.
        """
        if held.lines:
            for file in (self._file, *self._former):
                with file.translate_errors("the prices that were written cannot be taken out"):
                    file.drop(held.lines)

    def count(self) -> int:
        """How many prices wait; creates nothing.

        Raises:
            SpoolError: the file cannot be read.
        """
        with self._file.translate_errors("the prices that wait cannot be read"):
            lines = self._file.find_lines()
        for file in self._former:
            with suppress(OSError):
                lines += file.find_lines()
        return sum(_parse_line(line) is not None for line in lines)


def open_spool(folders: Sequence[Path]) -> Spool:
    """The spool in the first of the folders, with what waits in the others."""
    folder, *former = folders
    return Spool(folder, former=former)


class _File:
    """The file of one folder, and the lock beside it."""

    def __init__(self, folder: Path, patience_s: float) -> None:
        self._folder = folder
        self._ticks = folder / "ticks"
        self._lock = folder / "lock"
        self._patience_s = patience_s

    def append(self, tick: Tick) -> None:
        """Add a price, which lasts, and make room for it where the file is too large."""
        durable.make(self._folder)
        with self._hold_lock():
            self._shorten()
            durable.append(self._ticks, _format_line(tick) + b"\n")
            durable.sync(self._folder)

    def read(self) -> list[bytes]:
        """The lines, as no other process is changing them."""
        if not self._ticks.exists():
            return []
        with self._hold_lock():
            return self.find_lines()

    def drop(self, lines: Container[bytes]) -> None:
        """Take out these lines."""
        if self._ticks.exists():
            with self._hold_lock():
                self._replace([line for line in self.find_lines() if line not in lines])

    def find_lines(self) -> list[bytes]:
        """The lines as they are; of a file that is far too large, the last ones."""
        try:
            content = durable.read_end(self._ticks, 2 * LIMIT_BYTES)
        except FileNotFoundError:
            return []
        return [line for line in content.split(b"\n") if line]

    def _shorten(self) -> None:
        """Let the newest ticks alone stay when the file is too large."""
        if self._ticks.exists() and self._ticks.stat().st_size > LIMIT_BYTES:
            ticks = sorted(tick for line in self.find_lines() if (tick := _parse_line(line)))
            self._replace(_format_line(tick) for tick in ticks[-NEWEST:])

    def _replace(self, lines: Iterable[bytes]) -> None:
        """Put these lines in the place of all, at once: without any, the file goes, which needs no room."""
        content = b"".join(line + b"\n" for line in lines)
        if not content:
            self._ticks.unlink(missing_ok=True)
            return
        durable.replace(self._ticks, content)

    @contextmanager
    def _hold_lock(self) -> Iterator[None]:
        """Hold the lock, which the system lets go of when the process ends, in whatever way."""
        until = time.monotonic() + self._patience_s
        while (descriptor := durable.lock(self._lock)) is None:
            if time.monotonic() > until:
                raise SpoolError(f"another process has held {self._lock} for {self._patience_s:g} s; end it")
            time.sleep(LOCK_RETRY_S)
        try:
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def translate_errors(self, what: str) -> Iterator[None]:
        """Say what failed, and in which folder."""
        try:
            yield
        except OSError as exc:
            raise SpoolError(
                f"{what} in {self._folder} ({describe(exc)}); free or repair that folder, or set BTCTS_DATA_DIR"
            ) from exc


def _format_line(tick: Tick) -> bytes:
    text = f"{tick.time_ms} {tick.price!r}".encode()
    return b"%b %08x" % (text, zlib.crc32(text))


def _parse_line(line: bytes) -> Tick | None:
    """The tick of a line, None for a damaged one."""
    if len(line) > LONGEST_LINE:
        return None
    text, _, checksum = line.rpartition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    try:
        time_ms, price = text.split(b" ")
        tick = Tick(int(time_ms), float(price))
    except ValueError:
        return None
    return tick if is_price(tick.price) else None
