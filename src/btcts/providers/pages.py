"""Candle replies: check rows against the minute grid, keep closed minutes, compare pages where they overlap."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from btcts.domain.model import CLOSED_FOR_MS, MINUTE_MS, Candle, Candles, Span
from btcts.errors import ProviderError
from btcts.providers.base import SHAPE_ERRORS, UNBOUNDED_MS, iso, parse_amount, parse_ms, parse_price, quoted

Minutes = dict[int, Candle | None]
"""The minutes of a page that have a row, by their start; None for a row without trades."""


class Row(NamedTuple):
    """One row of a candle reply, with the provider's raw values.

    `traded` is the amount or the number of trades; 0 means no trades in the minute. It is 1 where the API states none;
    rows of quiet minutes must then be left out.
    """

    start: object
    open: object
    high: object
    low: object
    close: object
    traded: object = 1


class Paging(NamedTuple):
    """Properties of a candle API: unit of time, minutes per request, and whether every minute has a row."""

    unit_ms: int
    minutes: int
    every_minute: bool = False


def find_closed_part(span: Span, now_ms: int, reach_ms: int) -> Span | None:
    """Return the closed minutes of `span` that start at most `reach_ms` before now; None when there are none."""
    start_ms = -(-max(span.start_ms, now_ms - reach_ms) // MINUTE_MS) * MINUTE_MS
    end_ms = min(span.end_ms, now_ms - CLOSED_FOR_MS) // MINUTE_MS * MINUTE_MS
    return Span(start_ms, end_ms) if start_ms < end_ms else None


def drop_unclosed(candles: Candles, source_ms: int) -> Candles:
    """Drop candles of minutes that are not over by the provider's own clock, as ours may be ahead."""
    covered = candles.covered and find_closed_part(candles.covered, source_ms, UNBOUNDED_MS)
    if covered == candles.covered:
        return candles
    kept = tuple(candle for candle in candles.candles if covered and candle.start_ms in covered)
    return Candles(candles.provider, covered, kept)


def parse_rows(provider: str, rows: Any, convert: Callable[[Any], Row]) -> list[Row]:
    """Return the rows of a reply, converted by `convert`.

    Raises:
        ProviderError: a row has an unexpected shape; names the first one.
    """
    if not isinstance(rows, list):
        raise ProviderError(provider, f"candles are not a list: {quoted(rows)}")
    converted = []
    for row in rows:
        try:
            converted.append(convert(row))
        except SHAPE_ERRORS as exc:
            raise ProviderError(provider, f"a candle of unexpected shape: {quoted(row)}") from exc
    return converted


def read_candles(provider: str, covered: Span | None, paging: Paging, fetch: Callable[[Span], list[Row]]) -> Candles:
    """Return the candles of `covered`, fetched in pages that overlap by one minute.

    Raises:
        ProviderError: a row is wrong, a minute is missing or two pages contradict each other.
    """
    found: Minutes = {}
    for page in _split_pages(covered, paging.minutes):
        minutes = _collect_minutes(provider, fetch(page), page, paging)
        seam_ms = page.start_ms
        if covered and seam_ms > covered.start_ms and found.get(seam_ms) != minutes.get(seam_ms):
            raise ProviderError(provider, f"two pages disagree about the candle of {iso(seam_ms)}")
        found |= minutes
    return Candles(provider, covered, tuple(candle for _, candle in sorted(found.items()) if candle))


def _collect_minutes(provider: str, rows: list[Row], page: Span, paging: Paging) -> Minutes:
    """Return the minutes of `page` that have a row, in any order; rows outside it are only checked against the grid."""
    found: Minutes = {}
    for row in rows:
        start_ms = read_start_ms(provider, row, paging.unit_ms)
        if start_ms not in page:
            continue
        candle = _build_candle(provider, start_ms, row)
        if found.setdefault(start_ms, candle) != candle:
            raise ProviderError(provider, f"two rows disagree about the candle of {iso(start_ms)}")
    missing = [minute for minute in page.minutes() if minute not in found] if paging.every_minute else []
    if missing:
        raise ProviderError(
            provider,
            f"a short page: no row for {len(missing)} of {len(page.minutes())} minutes, {iso(missing[0])} first",
        )
    return found


def read_start_ms(provider: str, row: Row, unit_ms: int) -> int:
    """Return the start of the minute of a row.

    Raises:
        ProviderError: it is not a time or not on a full minute.
    """
    start_ms = parse_ms(provider, row.start, unit_ms=unit_ms)
    if start_ms % MINUTE_MS:
        raise ProviderError(provider, f"a candle starts off the minute: {quoted(row.start)}")
    return start_ms


def _build_candle(provider: str, start_ms: int, row: Row) -> Candle | None:
    if parse_amount(provider, row.traded) == 0:
        return None
    prices = (parse_price(provider, value) for value in (row.open, row.high, row.low, row.close))
    try:
        return Candle(start_ms, *prices)
    except ValueError as exc:
        raise ProviderError(provider, str(exc)) from exc


def _split_pages(span: Span | None, minutes: int) -> Iterator[Span]:
    while span:
        page = Span(span.start_ms, min(span.start_ms + minutes * MINUTE_MS, span.end_ms))
        yield page
        span = Span(page.end_ms - MINUTE_MS, span.end_ms) if page.end_ms < span.end_ms else None
