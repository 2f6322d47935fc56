"""What a watch must not forget, on the disk."""

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from btcts.alerts.judging import KINDS, Alert, Standing
from btcts.alerts.keeping import Keeper, Kept, Waiting
from btcts.errors import ConfigError, SpoolError
from btcts.model import PRICE_CEILING
from series import NOW

RULE = "above 100000"

prices = st.none() | st.floats(0, PRICE_CEILING)
times = st.integers(0, 2**53)
alerts = st.builds(
    Alert,
    rule=st.text(max_size=20),
    kind=st.sampled_from(KINDS),
    time_ms=times,
    found_ms=times,
    price=prices,
    reference=prices,
    reference_ms=st.none() | times,
    span_ms=st.none() | times,
    already=st.booleans(),
    simulated=st.booleans(),
)
waiting = st.builds(Waiting, alerts, st.lists(st.text(max_size=8), max_size=3).map(tuple))
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
        "import pathlib, sys\nfrom btcts.alerts.keeping import Keeper\n"
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
        "import pathlib, sys\nfrom btcts.alerts.judging import Standing\nfrom btcts.errors import SpoolError\n"
        "from btcts.alerts.keeping import Keeper, Kept\n"
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
