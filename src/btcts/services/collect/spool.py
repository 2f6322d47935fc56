"""Prices that have not reached Redis yet: an append-only file, one line per price, shared by processes under a lock.

Once `keep` returns, a price survives the end of the process and a crash of the machine. The lock is never held while
talking to Redis, so that a process waiting for Redis does not block others. Lines are therefore dropped by content, not
by position: another process may have dropped or added some in the meantime.
"""

import os
import time
import zlib
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from btcts.domain.layout import window
from btcts.domain.model import Tick, is_price
from btcts.errors import SpoolError
from btcts.system import durable
from btcts.system.causes import describe

LIMIT_BYTES = 8 << 20
"""Size above which only the newest ticks are kept, so that the file never fills the disk."""

NEWEST = 100_000
"""Ticks kept then: more than one a second through the whole window, in about half of the limit."""

LONGEST_LINE = 100
"""Most bytes of a line; a longer one is damaged."""

LOCK_RETRY_S = 0.01


@dataclass(frozen=True, slots=True)
class Held:
    """The contents of the spool: the ticks of the window, ascending, one per stamp.

    `torn` counts the lines damaged by a crash or the disk; `lines` are all lines read, to be dropped later.
    """

    ticks: tuple[Tick, ...] = ()
    torn: int = 0
    lines: frozenset[bytes] = frozenset()


class Spool:
    """The spooled prices in `folder`, which the first one creates, and those that wait in `former` folders.

    A line is `<time_ms> <price> <CRC-32 of both in hex>`. Methods wait for a lock up to `patience_s`.
    """

    def __init__(self, folder: Path, *former: Path, patience_s: float = 2.0) -> None:
        self._file = _File(folder, patience_s)
        self._former = tuple(_File(path, patience_s) for path in former)

    def keep(self, tick: Tick) -> None:
        """Add a price, and return once it is on disk.

        Raises:
            SpoolError: the disk is full or failing, or the lock is not available.
        """
        with self._file.translate_errors("the price cannot be kept"):
            self._file.append(tick)

    def read(self, now_ms: int) -> Held:
        """Read the prices that wait, without creating anything.

        Raises:
            SpoolError: the file cannot be read, or the lock is not available.
        """
        with self._file.translate_errors("the prices that wait cannot be read"):
            lines = self._file.read()
        for file in self._former:
            with suppress(OSError, SpoolError):  # an unreadable former folder is not fatal
                lines += file.read()
        found = [_parse_line(line) for line in lines]
        oldest_ms = window(now_ms).start_ms
        prices = {tick.time_ms: tick.price for tick in found if tick and tick.time_ms >= oldest_ms}
        ticks = tuple(Tick(time_ms, prices[time_ms]) for time_ms in sorted(prices))
        return Held(ticks, found.count(None), frozenset(lines))

    def drop(self, held: Held) -> None:
        """Remove the lines that were read; later ones stay.

        Raises:
            SpoolError: that failed; all of them still wait, and writing them to Redis again is harmless.
        """
        if held.lines:
            for file in (self._file, *self._former):
                with file.translate_errors("the prices that were written cannot be taken out"):
                    file.drop(held.lines)

    def count(self) -> int:
        """Count the prices that wait, without creating anything.

        Raises:
            SpoolError: the file cannot be read.
        """
        with self._file.translate_errors("the prices that wait cannot be read"):
            lines = self._file.find_lines()
        for file in self._former:
            with suppress(OSError):
                lines += file.find_lines()
        return sum(_parse_line(line) is not None for line in lines)


def count_held(spool: Spool) -> int | None:
    """Return how many prices wait; None when they cannot be read."""
    try:
        return spool.count()
    except SpoolError:
        return None


class _File:
    """The file of one folder, and the lock beside it."""

    def __init__(self, folder: Path, patience_s: float) -> None:
        self._folder = folder
        self._ticks = folder / "ticks"
        self._lock = folder / "lock"
        self._patience_s = patience_s

    def append(self, tick: Tick) -> None:
        """Append a price durably, after shortening a file that is too large."""
        durable.make(self._folder)
        with self._hold_lock():
            self._shorten()
            durable.append(self._ticks, _format_line(tick) + b"\n")
            durable.sync(self._folder)

    def read(self) -> list[bytes]:
        """Read the lines under the lock."""
        if not durable.exists(self._ticks):
            return []
        with self._hold_lock():
            return self.find_lines()

    def drop(self, lines: Container[bytes]) -> None:
        """Remove these lines."""
        if durable.exists(self._ticks):
            with self._hold_lock():
                self._replace([line for line in self.find_lines() if line not in lines])

    def find_lines(self) -> list[bytes]:
        """Return the lines without a lock; only the last ones of a far too large file."""
        try:
            content = durable.read_end(self._ticks, 2 * LIMIT_BYTES)
        except FileNotFoundError:
            return []
        return [line for line in content.split(b"\n") if line]

    def _shorten(self) -> None:
        """Keep only the newest ticks when the file is too large."""
        if durable.exists(self._ticks) and self._ticks.stat().st_size > LIMIT_BYTES:
            ticks = sorted(tick for line in self.find_lines() if (tick := _parse_line(line)))
            self._replace(_format_line(tick) for tick in ticks[-NEWEST:])

    def _replace(self, lines: Iterable[bytes]) -> None:
        """Replace all lines atomically; without any, remove the file, which needs no disk space."""
        content = b"".join(line + b"\n" for line in lines)
        if not content:
            self._ticks.unlink(missing_ok=True)
            return
        durable.replace(self._ticks, content)

    @contextmanager
    def _hold_lock(self) -> Iterator[None]:
        """Hold the lock, which the system releases when the process ends."""
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
        """Raise system errors as `SpoolError`, naming what failed and the folder."""
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
    """Parse the tick of a line; None for a damaged one."""
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
