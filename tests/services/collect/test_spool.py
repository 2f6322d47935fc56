"""Prices that wait on the disk for Redis: what is kept is found, whatever happens to the process and to the file."""

import errno
import fcntl
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from btcts.domain.model import PRICE_CEILING, Tick
from btcts.errors import SpoolError
from btcts.services.collect.spool import LIMIT_BYTES, NEWEST, Held, Spool
from support.series import FIRST_OF_WINDOW
from support.spooling import NOW, some
from support.wording import Wording

wording = Wording(__file__)

TESTS = Path(__file__).parents[2]
SPOOLING = (sys.executable, "-m", "support.spooling")

prices = st.floats(0, PRICE_CEILING, exclude_min=True)
ticks = st.builds(Tick, st.integers(FIRST_OF_WINDOW, NOW), prices)
in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A place for a spool that does not exist yet."""
    return tmp_path / "state" / "spool"


@pytest.fixture
def spool(folder: Path) -> Spool:
    """An empty spool."""
    return Spool(folder)


def emptied(spool: Spool) -> Held:
    """Take out what waits."""
    held = spool.read(NOW)
    spool.drop(held)
    return held


@in_one_folder
@given(kept=st.lists(ticks, max_size=30, unique_by=lambda tick: tick.time_ms))
def test_what_is_kept_comes_back_ascending_and_bit_for_bit(spool: Spool, kept: list[Tick]) -> None:
    for tick in kept:
        spool.keep(tick)

    held = emptied(spool)

    assert held.ticks == tuple(sorted(kept))
    assert held.torn == 0
    assert spool.read(NOW) == Held()


def test_a_line_is_the_time_the_price_and_their_checksum(spool: Spool, folder: Path) -> None:
    spool.keep(Tick(NOW, 64_123.45))

    text = f"{NOW} 64123.45"
    assert (folder / "ticks").read_text() == f"{text} {zlib.crc32(text.encode()):08x}\n"


def test_of_two_prices_at_one_stamp_the_later_counts(spool: Spool) -> None:
    spool.keep(Tick(NOW, 1.0))
    spool.keep(Tick(NOW, 2.0))

    assert spool.read(NOW).ticks == (Tick(NOW, 2.0),)


def test_nothing_is_created_before_the_first_price(spool: Spool, tmp_path: Path) -> None:
    assert (spool.read(NOW), spool.count()) == (Held(), 0)
    spool.drop(Held())

    assert list(tmp_path.iterdir()) == []


def test_nobody_else_can_read_or_change_it(spool: Spool, folder: Path) -> None:
    spool.keep(Tick(NOW, 1.0))

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder.parent, folder, *folder.iterdir())}
    assert modes == {"state": 0o700, "spool": 0o700, "ticks": 0o600, "lock": 0o600}


def test_prices_that_have_left_the_window_are_of_no_use_and_go(spool: Spool) -> None:
    spool.keep(Tick(FIRST_OF_WINDOW - 1, 1.0))
    spool.keep(Tick(FIRST_OF_WINDOW, 2.0))

    assert emptied(spool).ticks == (Tick(FIRST_OF_WINDOW, 2.0),)
    assert spool.count() == 0


def test_what_comes_in_after_reading_stays(spool: Spool) -> None:
    first, second = some(2)
    spool.keep(first)
    held = spool.read(NOW)
    spool.keep(second)

    spool.drop(held)

    assert spool.read(NOW).ticks == (second,)


def test_an_empty_spool_takes_no_room_on_a_full_disk(spool: Spool, folder: Path) -> None:
    spool.keep(Tick(NOW, 1.0))

    emptied(spool)

    assert [path.name for path in folder.iterdir()] == ["lock"]


def test_two_that_have_read_the_same_may_both_drop_it(spool: Spool) -> None:
    first, second = some(2)
    spool.keep(first)
    held = [spool.read(NOW), spool.read(NOW)]
    spool.drop(held[0])
    spool.keep(second)

    spool.drop(held[1])

    assert spool.read(NOW).ticks == (second,)


def test_the_count_is_that_of_the_prices_that_wait(spool: Spool) -> None:
    for tick in some(3):
        spool.keep(tick)

    assert spool.count() == 3


def test_a_file_cut_at_any_byte_loses_its_last_line_alone_and_glues_nothing_to_it(spool: Spool, folder: Path) -> None:
    first, second, third = some(3)
    spool.keep(first)
    begin = (folder / "ticks").stat().st_size
    spool.keep(second)
    whole = (folder / "ticks").read_bytes()

    for size in range(begin, len(whole)):
        (folder / "ticks").write_bytes(whole[:size])
        spool.keep(third)
        # Without its line break alone, the line says all that it has to say.
        survived = (first, second, third) if size == len(whole) - 1 else (first, third)
        held = emptied(spool)
        assert held.ticks == survived, size
        assert held.torn == (begin < size < len(whole) - 1), size


@in_one_folder
@given(at=st.integers(0), garbage=st.binary(min_size=1, max_size=60))
def test_damage_anywhere_costs_the_lines_it_touches_and_no_other(
    spool: Spool, folder: Path, at: int, garbage: bytes
) -> None:
    kept = some(12)
    for tick in kept:
        spool.keep(tick)
    path = folder / "ticks"
    whole = path.read_bytes()
    width = len(whole) // len(kept)
    at %= len(whole)
    damaged = (whole[:at] + garbage + whole[at + len(garbage) :])[: len(whole)]
    path.write_bytes(damaged)

    held = emptied(spool)

    # A line break that is gone takes the line behind it along.
    touched = range(at // width, min((at + len(garbage) - 1) // width + 2, len(kept)))
    untouched = [tick for number, tick in enumerate(kept) if number not in touched]
    assert set(untouched) <= set(held.ticks) <= set(kept)
    assert bool(held.torn) or damaged == whole or set(held.ticks) == set(kept)
    assert spool.read(NOW) == Held()


def test_a_line_that_spells_no_price_is_dropped_although_its_checksum_is_right(spool: Spool, folder: Path) -> None:
    spool.keep(Tick(NOW, 1.0))
    texts = [f"{NOW} nan", f"{NOW} -1.0", "soon 1.0", "1.0", f"{NOW} 1.0 2.0"]
    with (folder / "ticks").open("a") as file:
        file.writelines(f"{text} {zlib.crc32(text.encode()):08x}\n" for text in texts)

    held = spool.read(NOW)

    assert held.ticks == (Tick(NOW, 1.0),)
    assert held.torn == len(texts)


def test_however_long_redis_is_away_the_file_stays_small_and_keeps_the_newest(spool: Spool, folder: Path) -> None:
    spool.keep(Tick(NOW, 1.0))
    lines = []
    size = 0
    while size <= LIMIT_BYTES:
        text = f"{NOW + len(lines) + 1} 64123.45"
        lines.append(f"{text} {zlib.crc32(text.encode()):08x}\n")
        size += len(lines[-1])
    (folder / "ticks").write_text("".join(lines))

    spool.keep(Tick(NOW + len(lines) + 1, 2.0))

    held = spool.read(NOW)
    assert (folder / "ticks").stat().st_size < 0.6 * LIMIT_BYTES
    assert len(held.ticks) == NEWEST + 1
    assert held.ticks[-1] == Tick(NOW + len(lines) + 1, 2.0)


def test_a_lock_that_is_not_to_be_had_is_said_in_time(folder: Path) -> None:
    Spool(folder).keep(Tick(NOW, 1.0))
    hurried = Spool(folder, patience_s=0.05)

    with (folder / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(SpoolError, match=r" held .*lock"):
            hurried.keep(Tick(NOW + 1, 2.0))

    assert hurried.read(NOW).ticks == (Tick(NOW, 1.0),)


def test_what_waits_under_a_former_name_is_found_and_taken_out(tmp_path: Path) -> None:
    first, second, third = some(3)
    former = [tmp_path / "old", tmp_path / "older"]
    Spool(former[0]).keep(first)
    Spool(former[1]).keep(second)
    spool = Spool(tmp_path / "spool", *former)
    spool.keep(third)

    assert spool.count() == 3
    assert emptied(spool).ticks == (first, second, third)
    assert [Spool(folder).count() for folder in (*former, tmp_path / "spool")] == [0, 0, 0]


def test_looking_for_former_names_creates_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", tmp_path / "old")

    assert (spool.read(NOW), spool.count()) == (Held(), 0)
    spool.drop(Held(lines=frozenset({b"x"})))

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("obstacle", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_under_a_former_name_keeps_nobody_from_going_on(
    tmp_path: Path, obstacle: Callable[[Path], object]
) -> None:
    (tmp_path / "old").mkdir()
    obstacle(tmp_path / "old" / "ticks")
    spool = Spool(tmp_path / "spool", tmp_path / "old")
    (tick,) = some(1)
    spool.keep(tick)

    assert spool.count() == 1
    assert spool.read(NOW).ticks == (tick,)


@pytest.mark.parametrize("obstacle", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_is_said_in_one_line_and_not_waited_for(
    spool: Spool, folder: Path, obstacle: Callable[[Path], object]
) -> None:
    folder.mkdir(parents=True)
    obstacle(folder / "ticks")

    for act in (lambda: spool.keep(Tick(NOW, 1.0)), lambda: spool.read(NOW), spool.count):
        with pytest.raises(SpoolError, match=rf"^the price[^\n]* {folder} \([^\n]*BTCTS_DATA_DIR$"):
            act()


def test_a_file_of_any_size_and_content_is_read_by_its_end_alone_and_shrinks(spool: Spool, folder: Path) -> None:
    first, second = some(2)
    spool.keep(first)
    line = (folder / "ticks").read_bytes()
    with (folder / "ticks").open("wb") as file:
        file.write(b"\0\xff" * 500)
        file.truncate(1 << 33)
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + line)

    held = spool.read(NOW)
    spool.keep(second)

    assert held.ticks == (first,)
    assert emptied(spool).ticks == (first, second)
    assert not (folder / "ticks").exists()


def test_a_line_beyond_measure_is_a_damaged_one(spool: Spool, folder: Path) -> None:
    spool.keep(Tick(NOW, 1.0))
    text = b"9" * 5000 + b" 1.0"
    with (folder / "ticks").open("ab") as file:
        file.write(b"%b %08x\n" % (text, zlib.crc32(text)))

    assert emptied(spool).torn == 1


def test_a_place_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(SpoolError) as raised:
        Spool(tmp_path / "file" / "spool").keep(Tick(NOW, 1.0))

    wording.check("a file in the way", str(raised.value), folder=tmp_path)


def test_killed_at_each_step_in_turn_nothing_that_was_kept_is_lost_and_nothing_invented(tmp_path: Path) -> None:
    known = set(some(4))

    done = subprocess.run([*SPOOLING, "live", tmp_path], cwd=TESTS, capture_output=True, timeout=60, check=True)

    lives = [json.loads(line) for line in done.stdout.splitlines()]

    for home, said in lives:
        spool = Spool(Path(home) / "state" / "spool")
        kept = {Tick(*tick) for what, tick in said if what == "kept"}
        written = {Tick(*tick) for what, tick in said if what == "written"}
        later = Tick(NOW, 1.5)
        spool.keep(later)
        held = emptied(spool)
        assert kept - written <= set(held.ticks) - {later} <= known, home
        assert later in held.ticks, home
        assert held.torn <= 1, home
        assert spool.read(NOW) == Held(), home

    assert len(lives) > 60
    assert lives[-1][1][-1][0] == "kept"


def test_a_price_is_kept_and_a_file_replaced_only_when_the_disk_has_it_and_its_folder(tmp_path: Path) -> None:
    done = subprocess.run([*SPOOLING, "trace", tmp_path], cwd=TESTS, capture_output=True, timeout=60, check=True)

    kept, dropped = json.loads(done.stdout)
    assert kept == ["write", "fsync", "fsync"]
    assert dropped == ["write", "fsync", "replace", "fsync"]


def test_processes_that_keep_and_drop_at_the_same_time_lose_nothing(folder: Path) -> None:
    keepers = [
        subprocess.Popen([*SPOOLING, "share", folder, str(first), "180", "3"], cwd=TESTS, stderr=subprocess.PIPE)
        for first in range(3)
    ]
    spool = Spool(folder, patience_s=30)
    seen: set[Tick] = set()

    while any(keeper.poll() is None for keeper in keepers):
        seen.update(emptied(spool).ticks)
    ends = [(keeper.communicate(timeout=10)[1], keeper.returncode) for keeper in keepers]
    seen.update(emptied(spool).ticks)

    assert ends == [(b"", 0)] * 3
    assert seen == set(some(180))


def test_a_process_that_is_killed_with_the_lock_leaves_it_free(spool: Spool, folder: Path) -> None:
    spool.keep(Tick(NOW, 1.0))
    holder = "import fcntl, sys, time\nlock = open(sys.argv[1])\nfcntl.flock(lock, 2)\nprint(flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(folder / "lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        process.stdout.readline()
        process.kill()

    spool.keep(Tick(NOW + 1, 2.0))

    assert spool.count() == 2


LIMITED = ("sh", "-c", 'ulimit -f 2 && exec "$@"', "sh")
"""No file may grow beyond a kilobyte: the system refuses the rest of a write as it does on a full disk."""

MOUNTED = ("unshare", "-Urm", "sh", "-c", 'mount -t tmpfs -o size=16k none "$DISK" && exec "$@"', "sh")
"""A disk of 16 kB at $DISK for this process alone, where the system lets us have one."""


def small_disks() -> list[tuple[str, ...]]:
    """The kinds of small disks that this machine has."""
    if shutil.which("unshare"):
        environ = {**os.environ, "DISK": tempfile.gettempdir()}
        if subprocess.run([*MOUNTED, "true"], env=environ, capture_output=True, check=False).returncode == 0:
            return [LIMITED, MOUNTED]
    return [LIMITED]


@pytest.mark.parametrize("disk", small_disks(), ids=lambda disk: disk[0])
def test_a_full_disk_is_said_costs_nothing_that_was_kept_and_may_get_room_again(
    disk: tuple[str, ...], tmp_path: Path
) -> None:
    environ = {**os.environ, "DISK": str(tmp_path)}
    command = [*disk, *SPOOLING, "fill", tmp_path]

    done = subprocess.run(command, cwd=TESTS, env=environ, capture_output=True, timeout=60, check=True)

    refusal, count, whole, torn, after = json.loads(done.stdout)
    reasons = (os.strerror(errno.ENOSPC).lower(), os.strerror(errno.EFBIG).lower())
    (reason,) = (reason for reason in reasons if reason in refusal)
    wording.check("a full disk", refusal, folder=tmp_path, reason=reason)
    assert count > 20
    assert (whole, torn) == (True, 0)
    assert after == [[NOW, 1.5]]


@pytest.mark.parametrize("opened", ["spool", "."])
def test_a_folder_that_others_can_change_is_neither_written_nor_believed(
    opened: str, spool: Spool, folder: Path
) -> None:
    spool.keep(some(1)[0])
    exposed = (folder.parent / opened).resolve()
    exposed.chmod(0o777)

    with pytest.raises(SpoolError, match=rf"kept in {folder} \(others can change {exposed} .*mode 0777"):
        spool.keep(some(2)[1])
    with pytest.raises(SpoolError, match=rf" {folder} \(others can change {exposed} .*mode 0777"):
        spool.read(NOW)

    exposed.chmod(0o700)
    assert emptied(spool).ticks == tuple(some(1))
