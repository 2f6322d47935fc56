"""What a watch must not forget, on the disk."""

import json
import os
import stat
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from btcts.domain.model import PRICE_CEILING
from btcts.domain.untrusted import END_MS, NAME
from btcts.errors import ConfigError, SpoolError
from btcts.render.watch import alert_json, alert_line, list_alert_variables
from btcts.services.watch.journal import LARGEST, Keeper, Kept, Waiting
from btcts.services.watch.trigger import KINDS, Alert, Standing
from support.series import HOUR, NOW

RULE = "above 100000"

prices = st.none() | st.floats(0, PRICE_CEILING, exclude_min=True)
times = st.integers(0, END_MS)
alerts = st.builds(
    Alert,
    rule=st.text(st.characters(categories=["L", "N", "P"]), max_size=20),
    kind=st.sampled_from(KINDS),
    time_ms=times,
    found_ms=times,
    price=prices,
    reference=prices,
    reference_ms=st.none() | times,
    span_ms=st.none() | st.integers(1, 24 * HOUR),
    already=st.booleans(),
    simulated=st.booleans(),
)
waiting = st.builds(Waiting, alerts, st.lists(st.from_regex(NAME, fullmatch=True), max_size=3).map(tuple))
states = st.builds(
    Kept, st.builds(Standing, st.booleans(), st.none() | times), st.lists(waiting, max_size=3).map(tuple)
)
in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)

SOME = Kept(
    Standing(False, NOW), (Waiting(Alert(rule=RULE, kind="above", time_ms=NOW, found_ms=NOW, price=1e5), ("exec",)),)
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A place that does not exist yet."""
    return tmp_path / "data" / "alerts"


@pytest.fixture
def keeper(folder: Path) -> Keeper:
    """One that knows nothing."""
    return Keeper(folder, "test")


def file_of(folder: Path) -> Path:
    """The only file of a rule."""
    (path,) = folder.glob("*.json")
    return path


@in_one_folder
@given(kept=states)
def test_what_is_kept_comes_back(keeper: Keeper, kept: Kept) -> None:
    with keeper.held([RULE]):
        keeper.keep(RULE, kept)

    assert keeper.read(RULE) == kept
    for each in kept.waiting:
        assert alert_line(each.alert, utc=True)
        assert json.loads(alert_json(each.alert))
        assert list_alert_variables(each.alert)


HOSTILE = {
    "armed": [None, 1, "yes", []],
    "since_ms": [-1, 9e15, 1e400, "now", True, 9_000_000_000_000_000, []],
    "waiting": [None, 5, {}, [5], [{}], [[]], "x", [{"alert": {}, "ways": []}], [{"alert": 5, "ways": []}]],
    "held": [None, 5, [], {"exec": None}, {"exec": 1e400}, {"\x1b[2J": 5}, {"exec": 9_000_000_000_000_000}],
}
HOSTILE_ALERT = {
    "rule": [None, 5, "\x1b[2J", "x" * 100_000],
    "kind": [None, "boom", []],
    "time_ms": [None, "now", 9e15, 9_000_000_000_000_000, -1, True],
    "found_ms": [None, 1e400, 9_000_000_000_000_000],
    "price": ["1", 1e400, -5, 0, True, []],
    "reference": ["x", float("nan"), 1e9],
    "reference_ms": ["x", 0.5, 9_000_000_000_000_000],
    "span_ms": ["1h", -5, 0, 9_000_000_000_000_000],
    "already": [None, 1],
    "simulated": ["no", 0],
}


def rewrite(path: Path, change: Callable[[Any], object]) -> None:
    """Change what a file says, with a checksum that is right."""
    known = json.loads(path.read_bytes())["known"]
    change(known)
    checksum = zlib.crc32(json.dumps(known, sort_keys=True).encode())
    path.write_text(json.dumps({"crc32": checksum, "known": known}))


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in HOSTILE.items() for value in values])
def test_a_field_out_of_bounds_makes_the_file_a_damaged_one(
    keeper: Keeper, folder: Path, name: str, value: object
) -> None:
    with keeper.held([RULE]):
        keeper.keep(RULE, SOME)

    rewrite(file_of(folder), lambda known: known.update({name: value}))

    assert keeper.read(RULE) == Kept(damaged=True)


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in HOSTILE_ALERT.items() for value in values]
)
def test_an_alert_out_of_bounds_makes_the_file_a_damaged_one(
    keeper: Keeper, folder: Path, name: str, value: object
) -> None:
    with keeper.held([RULE]):
        keeper.keep(RULE, SOME)

    rewrite(file_of(folder), lambda known: known["waiting"][0]["alert"].update({name: value}))

    assert keeper.read(RULE) == Kept(damaged=True)


def test_what_a_later_version_adds_is_left_out(keeper: Keeper, folder: Path) -> None:
    with keeper.held([RULE]):
        keeper.keep(RULE, SOME)

    rewrite(file_of(folder), lambda known: known["waiting"][0]["alert"].update(invented=5))

    assert keeper.read(RULE) == SOME


@pytest.mark.parametrize("content", [b"[" * 100_000, b" " * (LARGEST + 1), b'{"crc32": 5, "known": ' + b"9" * 5000])
def test_a_file_beyond_measure_is_a_damaged_one(keeper: Keeper, folder: Path, content: bytes) -> None:
    with keeper.held([RULE]):
        keeper.keep(RULE, SOME)
    file_of(folder).write_bytes(content)

    assert keeper.read(RULE) == Kept(damaged=True)


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(keeper: Keeper, folder: Path) -> None:
    with keeper.held([RULE]):
        keeper.keep(RULE, SOME)
    path = file_of(folder)
    path.unlink()
    os.mkfifo(path)

    with pytest.raises(SpoolError, match=r"json is not a file"):
        keeper.read(RULE)


def test_nothing_is_known_of_a_rule_at_first_and_reading_creates_nothing(keeper: Keeper, tmp_path: Path) -> None:
    assert keeper.read(RULE) == Kept(Standing(armed=True, since_ms=None))

    assert list(tmp_path.iterdir()) == []


def test_rules_and_stores_do_not_meet(keeper: Keeper, folder: Path) -> None:
    with keeper.held([RULE]):
        keeper.keep(RULE, SOME)

    assert keeper.read("below 5") == Kept()
    assert Keeper(folder, "another").read(RULE) == Kept()


def test_nobody_else_can_read_or_change_it(keeper: Keeper, folder: Path) -> None:
    with keeper.held([RULE]):
        keeper.keep(RULE, SOME)

    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder.parent, folder)} == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


@in_one_folder
@given(at=st.integers(0), garbage=st.binary(min_size=1, max_size=20))
def test_a_damaged_file_is_found_out_and_counts_as_absent(
    keeper: Keeper, folder: Path, at: int, garbage: bytes
) -> None:
    with keeper.held([RULE]):
        keeper.keep(RULE, SOME)
    path = file_of(folder)
    whole = path.read_bytes()
    at %= len(whole)
    path.write_bytes((whole[:at] + garbage + whole[at + len(garbage) :])[: len(whole)])

    assert keeper.read(RULE) in (Kept(damaged=True), SOME)
    assert keeper.read(RULE).damaged or json.loads(path.read_bytes()) == json.loads(whole)


def test_a_file_cut_at_any_byte_is_damaged(keeper: Keeper, folder: Path) -> None:
    with keeper.held([RULE]):
        keeper.keep(RULE, SOME)
    whole = file_of(folder).read_bytes()

    for size in range(len(whole)):
        file_of(folder).write_bytes(whole[:size])
        assert keeper.read(RULE) == Kept(damaged=True), size


@pytest.mark.parametrize("content", [b"null", b"[]", b"{}", b'{"crc32": 0, "known": 1}', b'{"crc32": 1}', b"\xff"])
def test_a_file_of_something_else_is_damaged(keeper: Keeper, folder: Path, content: bytes) -> None:
    with keeper.held([RULE]):
        keeper.keep(RULE, SOME)
    file_of(folder).write_bytes(content)

    assert keeper.read(RULE) == Kept(damaged=True)


def test_a_file_that_was_moved_from_another_rule_is_not_believed(keeper: Keeper, folder: Path) -> None:
    with keeper.held([RULE, "below 5"]):
        keeper.keep(RULE, SOME)
        moved = file_of(folder).rename(folder / "moved")
        keeper.keep("below 5", Kept())
        moved.replace(file_of(folder))

    assert keeper.read("below 5") == Kept(damaged=True)


def test_of_two_watches_of_a_rule_the_second_is_told_which_it_is(keeper: Keeper, folder: Path) -> None:
    other = Keeper(folder, "test")

    with (
        keeper.held([RULE, "below 5"]),
        pytest.raises(ConfigError, match=r"looks after 'below 5' at test"),
        other.held(["above 7", "below 5"]),
    ):
        pass

    with other.held([RULE, "above 7", "below 5"]):
        pass


def test_a_process_that_is_killed_leaves_its_rules_free(keeper: Keeper, folder: Path) -> None:
    holder = (
        "import pathlib, sys\nfrom btcts.services.watch.journal import Keeper\n"
        f"with Keeper(pathlib.Path(sys.argv[1]), 'test').held([{RULE!r}]):\n    print(flush=True)\n    input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        process.stdout.readline()
        with pytest.raises(ConfigError), keeper.held([RULE]):
            pass
        process.kill()
        process.wait(timeout=10)

    with keeper.held([RULE]):
        keeper.keep(RULE, SOME)


def test_a_lock_is_not_handed_on_to_commands_that_are_run(keeper: Keeper, folder: Path) -> None:
    with keeper.held([RULE]):
        running = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, close_fds=False)

    with running, Keeper(folder, "test").held([RULE]):
        running.communicate(timeout=10)


def test_a_place_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with (
        pytest.raises(SpoolError, match=r"kept in .*file/alerts \(not a directory\).*BTCTS_DATA_DIR"),
        Keeper(tmp_path / "file" / "alerts", "test").held([RULE]),
    ):
        pass


def test_a_refused_write_leaves_what_was_there(keeper: Keeper, folder: Path) -> None:
    keep = (
        "import pathlib, sys\nfrom btcts.services.watch.trigger import Standing\nfrom btcts.errors import SpoolError\n"
        "from btcts.services.watch.journal import Keeper, Kept\n"
        "try:\n"
        f"    Keeper(pathlib.Path(sys.argv[1]), 'test').keep({RULE!r}, Kept(Standing(since_ms=1)))\n"
        "except SpoolError as exc:\n    print(exc)"
    )
    with keeper.held([RULE]):
        keeper.keep(RULE, SOME)

    done = subprocess.run(
        ["sh", "-c", 'trap "" XFSZ; ulimit -f 0 && exec "$@" | cat', "sh", sys.executable, "-c", keep, folder],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert "file too large" in done.stdout, done.stderr
    assert keeper.read(RULE) == SOME
    assert not list(folder.glob("*.new"))
