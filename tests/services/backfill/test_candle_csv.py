"""Candles from CSV files."""

import io
import random
import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btcts.domain.layout import window
from btcts.domain.model import Candle, Span
from btcts.errors import ConfigError
from btcts.services.backfill.candle_csv import CandleFile, CandleSource, open_source, read_candles
from support.series import MIDNIGHT, MINUTE
from support.wording import Wording

wording = Wording(__file__)


HEADER = "timestamp,open,high,low,close,volume"
EVER = Span(0, 4_102_444_800_000)


def read(text: str | bytes, asked: Span = EVER, *, closed_ms: int = EVER.end_ms, minutes: bool = False) -> CandleFile:
    content = text.encode() if isinstance(text, str) else text
    return read_candles(CandleSource("day.csv", io.BytesIO(content)), asked, closed_ms=closed_ms, minutes=minutes)


def refusal(text: str | bytes, *, minutes: bool = False) -> str:
    with pytest.raises(ConfigError) as refused:
        read(text, minutes=minutes)
    line = str(refused.value)
    assert "\n" not in line
    return line


def row(minute: int, close: float = 100.5, *, volume: float = 1) -> str:
    """A row about the minute so many minutes after midnight."""
    return f"{(MIDNIGHT + minute * MINUTE) // 1000},100,101,99,{close},{volume}"


def file_of(*rows: str, header: str = HEADER) -> str:
    return "\n".join((header, *rows)) + "\n"


def minutes(found: CandleFile) -> list[int]:
    return [(each.start_ms - MIDNIGHT) // MINUTE for each in found.candles]


def test_a_row_is_a_candle() -> None:
    found = read(file_of(row(0), row(1, 100.25)))

    assert found.candles == (
        Candle(MIDNIGHT, 100, 101, 99, 100.5),
        Candle(MIDNIGHT + MINUTE, 100, 101, 99, 100.25),
    )
    assert (found.name, found.unit, found.rows) == ("day.csv", "seconds", 2)
    assert (found.first_ms, found.last_ms) == (MIDNIGHT, MIDNIGHT + MINUTE)


@pytest.mark.parametrize(
    "header", ["TimeStamp,Close,LOW,High,open", "close, time ,low,high,open", "id,date,close,low,high,open,note"]
)
def test_columns_go_by_their_names(header: str) -> None:
    values = {"open": 100, "high": 101, "low": 99, "close": 100.5}
    names = [each.strip().lower() for each in header.split(",")]

    found = read(file_of(",".join(str(values.get(each, MIDNIGHT // 1000 + 60)) for each in names), header=header))

    assert found.candles == (Candle(MIDNIGHT + MINUTE, **values),)


@pytest.mark.parametrize(
    ("unit", "time"),
    [
        ("seconds", "1767225660"),
        ("seconds", " 1767225660.000 "),
        ("milliseconds", "1767225660000"),
        ("microseconds", "1767225660000000"),
        ("nanoseconds", "1767225660000000000"),
        *(
            ("ISO 8601", time)
            for time in (
                "2026-01-01T00:01:00Z",
                "2026-01-01T00:01Z",
                "2026-01-01 00:01",
                "2026-01-01 00:01:00 UTC",
                "2026-01-01 00:01 utc",
                "2026-01-01 00:01:00.000 Z",
                "2026-01-01T00:01:00 GMT",
                "2026-01-01 01:01:00+01:00",
                "2026-01-01 05:46:00 +0545",
                "2025-12-31 19:01:00 -05",
                "20260101T0001",
            )
        ),
    ],
)
def test_the_unit_of_time_is_known_by_its_magnitude(unit: str, time: str) -> None:
    found = read(file_of(f"{time},100,101,99,100.5,1"))

    assert (found.unit, found.candles[0].start_ms) == (unit, MIDNIGHT + MINUTE)


@pytest.mark.parametrize("minutes", [False, True])
@pytest.mark.parametrize("date", ["2026-01-01", " 2026-01-01 ", "20260101"])
def test_a_date_without_a_time_is_a_day_whatever_is_said(date: str, minutes: bool) -> None:
    line = refusal(file_of(f"{date},100,101,99,100.5,1"), minutes=minutes)

    assert line.startswith(f'day.csv line 2: "{date}" ')


@pytest.mark.parametrize(
    "time",
    [
        "2026-01-01T00",
        "2026-01-01 13",
        "2026-01-01 01-PM",
        "2026-01-01 01-05",
        "2026-01-01 01:05 PM",
        "2026-01-01 01:05:00 AM",
        "01.02.2026 00:01",
        "01/02/2026 00:01",
        "2026/01/02 00:01",
        "2026-W01",
        "2026-W01-1",
        "2026-01",
        "2026-01-01 00:01 EST",
        "2026-01-01 24:01",
        "2026-01-01 00:01 +25:00",
    ],
)
def test_a_time_that_needs_a_guess_is_refused(time: str) -> None:
    line = refusal(file_of("2026-01-01 00:02,1,1,1,1,1", f"{time},1,1,1,1,1"))

    wording.check("a time that needs a guess", line, time=time)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_byte_order_mark_line_ends_and_blank_lines_do_not_matter(end: str, mark: bytes) -> None:
    text = f"{HEADER}{end}{row(0)}{end}{end}{row(1)}"

    assert minutes(read(mark + text.encode())) == [0, 1]


@given(st.permutations(range(30)))
def test_the_order_of_rows_does_not_matter(order: list[int]) -> None:
    assert read(file_of(*map(row, order))) == read(file_of(*map(row, range(30))))


def test_rows_that_agree_are_one() -> None:
    found = read(file_of(row(0), row(1), row(0)))

    assert (minutes(found), found.rows, found.repeated) == ([0, 1], 3, 1)


def test_rows_that_disagree_are_an_error() -> None:
    line = refusal(file_of(row(0), row(1), row(0, 99.5)))

    assert line.startswith("day.csv line 4: ")
    assert "99.5" in line


def test_rows_without_trades_and_minutes_that_are_not_over_are_left_out_and_counted() -> None:
    text = file_of(row(0), row(1, volume=0), row(2), row(3))

    found = read(text, closed_ms=MIDNIGHT + 3 * MINUTE)

    assert (minutes(found), found.quiet, found.unfinished) == ([0, 2], 1, 1)


@pytest.mark.parametrize(
    "rest", [",,,,0.0", ",,,,", "nan,nan,nan,nan,0", "NaN,NaN,NaN,NaN,NaN", "null,NULL,None,N/A, na", " , ,nan,,0"]
)
def test_a_row_without_trades_needs_no_prices(rest: str) -> None:
    found = read(file_of(row(1), f"{MIDNIGHT // 1000 + 120},{rest}", row(3)))

    assert (minutes(found), found.quiet, found.rows) == ([1, 3], 1, 3)


def test_a_row_without_prices_had_no_trades_in_a_file_without_volumes_too() -> None:
    found = read(file_of("1767225660,100,101,99,100", "1767225720,,,,", header="timestamp,open,high,low,close"))

    assert (minutes(found), found.quiet) == ([1], 1)


@pytest.mark.parametrize("rest", [",,,,1", ",,,,lots", "nan,nan,nan,nan,-1", ",101,99,100,0.5", "nan,101,99,100,1"])
def test_a_row_that_lacks_some_of_it_is_refused(rest: str) -> None:
    line = refusal(file_of(row(1), f"{MIDNIGHT // 1000 + 120},{rest}"))

    wording.check(f"a row that ends with {rest}", line)


def test_only_minutes_that_lie_wholly_in_what_is_asked_for_are_taken() -> None:
    found = read(file_of(*map(row, range(5))), Span(MIDNIGHT + 1, MIDNIGHT + 4 * MINUTE - 1))

    assert (minutes(found), found.outside) == ([1, 2], 3)


def test_of_a_long_file_the_window_of_the_newest_row_is_kept() -> None:
    newest = 5 * 24 * 60 + 90
    rows = list(map(row, range(newest + 1)))
    kept = window(MIDNIGHT + (newest + 1) * MINUTE)

    ascending, mixed = read(file_of(*rows)), read(file_of(*random.Random(1).sample(rows, len(rows))))

    assert [each.start_ms for each in ascending.candles] == list(kept.minutes())
    assert ascending.older == len(rows) - len(kept.minutes())
    assert mixed == ascending


class Endless(io.RawIOBase):
    """So many rows, made while they are read."""

    def __init__(self, rows: Iterable[str]) -> None:
        self._lines: Iterator[bytes] = (f"{each}\n".encode() for each in rows)

    def readable(self) -> bool:
        """Yes."""
        return True

    def readline(self, size: int | None = -1) -> bytes:
        """The next one."""
        return next(self._lines, b"")


def test_a_file_of_any_length_takes_a_bounded_amount_of_memory() -> None:
    def peak(days: int) -> int:
        source = CandleSource("long", Endless([HEADER, *map(row, range(days * 1440))]))
        tracemalloc.start()
        found = read_candles(source, EVER, closed_ms=EVER.end_ms)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert (found.rows, len(found.candles)) == (days * 1440, 1440)
        return most

    assert peak(12) < 1.1 * peak(4)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("1767225630,100,101,99,100,1", 'the time "1767225630" is not a full minute'),
        ("1767225660,100,101,99,x,1", 'the close "x" is not a price'),
        ("1767225660,100,101,99,,1", 'the close "" is not a price'),
        ("1767225660,100,101,nan,100,1", 'the low "nan" is not a price'),
        ("1767225660,100,inf,99,100,1", 'the high "inf" is not a price'),
        ("1767225660,-1,101,99,100,1", 'the open "-1" is not a price'),
        ("1767225660,100,101,0,100,1", 'the low "0" is not a price'),
        ("1767225660,1_00,101,99,100,1", 'the open "1_00" is not a price'),
        ("1767225660,١٠٠,101,99,100,1", "is not a price"),  # noqa: RUF001 -- digits that are not ASCII
        ("1767225660,100,101,99,100,1_0", 'the volume "1_0" is not a traded amount'),
        ("١٧٦٧٢٢٥٦٦٠,100,101,99,100,1", "is not a time"),
        ("٢٠٢٦-01-01T00:01,100,101,99,100,1", "is not a time"),
        ("1767225660,100,1e9,99,100,1", 'the high "1e9" is not a price'),
        ("1767225660,100,101,99,102,1", "(open 100.0, high 101.0, low 99.0, close 102.0)"),
        ("1767225660,100,98,99,100,1", "open and close do not lie between low and high"),
        ("1767225660,100,101,99,100,-1", 'the volume "-1" is not a traded amount'),
        ("1767225660,100,101,99,100,lots", 'the volume "lots" is not a traded amount'),
        ("1167225660,100,101,99,100,1", '"1167225660" is not a time from 2009-01-03'),
        ("4102444800,100,101,99,100,1", '"4102444800" is not a time'),
        ("1e9,100,101,99,100,1", '"1e9" is not a time'),
        (f"{'9' * 5000},100,101,99,100,1", "is not a time"),
        ("1767225660000,100,101,99,100,1", 'the time "1767225660000" is in milliseconds, those above in seconds'),
        ("2026-01-01T00:01Z,100,101,99,100,1", "is in ISO 8601, those above in seconds"),
        ("1767225660,100,101", "a short row, 3 columns where the first line has 6"),
        ("1767225660,6,853.5,101,99,100,1", "a long row, 7 columns"),
        ('1767225660,100,101,99,100,"1', "unexpected end of data"),
    ],
)
def test_a_wrong_row_is_named_with_its_line_its_value_and_a_next_step(bad: str, words: str) -> None:
    line = refusal(file_of(row(0), bad))

    assert line.startswith("day.csv line 3: ")
    assert words in line
    assert len(line) < 400


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("timestamp;open;high;low;close", "has no column timestamp, open, high, low, close"),
        ("open,high,low,close", "has no column timestamp"),
        ("timestamp,open,high,close", "has no column low"),
        ("timestamp,open,high,low,close,open", "has two columns open"),
        ("1767225600,100,101,99,100.5,1", '("1767225600,100,101,99,100.5,1"); it must read timestamp,open'),
    ],
)
def test_a_wrong_first_line_is_named(header: str, words: str) -> None:
    line = refusal(file_of(row(0), header=header))

    assert line.startswith("day.csv line 1: ")
    assert words in line


def test_an_empty_file_and_one_of_names_alone_are_refused() -> None:
    assert "it is empty" in refusal("")
    assert "has no rows" in refusal(file_of())


@pytest.mark.parametrize(
    "content",
    [b"\x1f\x8b\x08\x00\x00\x00\x00\x00", b"PK\x03\x04\x00\x00", file_of(row(0)).encode("utf-16"), b"x" * 20_000],
    ids=["gzip", "zip", "utf-16", "one long line"],
)
def test_what_is_no_text_is_refused(content: bytes) -> None:
    wording.check("not text", refusal(content))


def test_bytes_that_are_no_text_are_named_with_their_line() -> None:
    assert refusal(file_of(row(0)).encode() + b"\xff\xfe\n").startswith("day.csv line 3: ")


def spread(step: int, count: int) -> str:
    """A file of so many rows, so many minutes apart."""
    return file_of(*map(row, range(0, count * step, step)))


@pytest.mark.parametrize("minutes", [False, True])
@pytest.mark.parametrize(("step", "count"), [(60, 20), (60, 3), (1440, 3), (10080, 4), (15, 4), (5, 6), (2, 14)])
def test_candles_of_more_than_a_minute_are_refused_whatever_is_said(step: int, count: int, minutes: bool) -> None:
    line = refusal(spread(step, count), minutes=minutes)

    wording.check("longer candles", line, step=f"{step} min")


def test_candles_of_an_hour_with_a_hole_are_refused_in_any_order() -> None:
    hours = [23, 0, 1, 2, 17, 3, 16]

    assert " 60 min " in refusal(file_of(*(row(60 * each) for each in hours)))


@pytest.mark.parametrize(("step", "count"), [(60, 2), (1440, 2), (10080, 2), (15, 2), (15, 3), (5, 2), (5, 5), (2, 5)])
def test_few_rows_that_lie_like_longer_candles_count_when_it_is_said(step: int, count: int) -> None:
    line = refusal(spread(step, count))

    wording.check("perhaps longer candles", line, step=f"{step} min")
    assert read(spread(step, count), minutes=True).rows == count


@pytest.mark.parametrize(("minute", "length"), [(0, 60), (60, 60), (1440, 60), (90, 30)])
def test_one_row_that_may_be_an_hour_or_a_day_counts_when_it_is_said(minute: int, length: int) -> None:
    line = refusal(file_of(row(minute)))

    wording.check("perhaps one longer candle", line, minute=f"minute {minute % 60}", length=f"{length} min")
    assert minutes(read(file_of(row(minute)), minutes=True)) == [minute]


@pytest.mark.parametrize("found", [[1], [59], [20], [0, 1], [7, 9], [7, 19, 200], [7, 600], [61, 60, 0, 1]])
def test_few_rows_anywhere_are_minutes(found: list[int]) -> None:
    assert minutes(read(file_of(*map(row, found)))) == sorted(found)


@pytest.mark.parametrize("time", ["2026-01-01 00:00:00+05:30", "2026-01-01 00:00 +05:45", "2026-01-01T00:00:00-03:30"])
def test_a_full_hour_elsewhere_is_one_too(time: str) -> None:
    assert " minute 0, " in refusal(file_of(f"{time},100,101,99,100.5,1"))


def test_hours_that_begin_elsewhere_are_refused() -> None:
    assert " 60 min " in refusal(file_of(*(row(60 * each + 45) for each in range(4))))


@pytest.mark.parametrize("odd", [31, 47, 1199])
def test_an_odd_row_among_hours_does_not_make_them_minutes(odd: int) -> None:
    assert " 60 min " in refusal(file_of(*(row(60 * each) for each in range(20)), row(odd)))


@pytest.mark.parametrize("rest", [",,,,", ",,,,0", "nan,nan,nan,nan,0.0"])
def test_hours_that_were_filled_up_with_rows_of_nothing_are_refused(rest: str) -> None:
    rows = (f"{MIDNIGHT // 1000 + 60 * minute},{rest}" if minute % 60 else row(minute) for minute in range(600))

    assert " 60 min " in refusal(file_of(*rows))


def test_rows_that_say_the_same_tell_no_more_than_one() -> None:
    assert minutes(read(file_of(row(7), *[row(31)] * 20))) == [7, 31]


def test_one_minute_between_them_shows_that_hours_are_holes() -> None:
    found = read(file_of(*(row(60 * each) for each in range(20)), row(1141)))

    assert len(found.candles) == 21


def test_minutes_without_trades_show_that_the_others_are_holes() -> None:
    text = file_of(*(row(each, volume=int(each % 60 == 0)) for each in range(600)))

    assert minutes(read(text)) == list(range(0, 600, 60))


@given(st.sets(st.integers(0, 600), min_size=1), st.integers(0, 599))
def test_holes_never_spoil_a_file_with_two_minutes_in_a_row(found: set[int], first: int) -> None:
    together = sorted(found | {first, first + 1})

    assert minutes(read(file_of(*map(row, together)))) == together


def test_a_file_is_opened_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "day.csv"
    path.write_text(file_of(row(1)))

    with open_source(str(path), io.BytesIO()) as source:
        found = read_candles(source, EVER, closed_ms=EVER.end_ms)

    assert (found.name, minutes(found)) == (str(path), [1])


def test_a_dash_is_stdin_which_stays_open() -> None:
    stdin = io.BytesIO(file_of(row(1)).encode())

    with open_source("-", stdin) as source:
        found = read_candles(source, EVER, closed_ms=EVER.end_ms)

    assert (found.name, minutes(found), stdin.closed) == ("stdin", [1], False)


@pytest.mark.parametrize(("name", "reason"), [("none.csv", "no such file"), (".", "is a directory"), ("a\0b", "null")])
def test_what_cannot_be_opened_is_named_with_the_reason(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as refused, open_source(str(tmp_path / name), io.BytesIO()):
        pass

    assert "\n" not in str(refused.value)


@given(st.binary(max_size=200))
def test_no_content_makes_anything_but_an_error_of_one_line(content: bytes) -> None:
    for start in (b"", f"{HEADER}\n".encode(), f"{file_of(row(0))}".encode()):
        try:
            said = read(start + content).unit
        except ConfigError as exc:
            said = str(exc)
        assert said
        assert "\n" not in said
