"""The memory of a watch on the disk."""

import json
import os
import stat
import subprocess
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from btcts.config import BTC_USD
from btcts.domain.model import PRICE_CEILING, Bounds
from btcts.domain.untrusted import END_MS, NAME
from btcts.errors import ConfigError, SpoolError
from btcts.render.watch import alert_json, alert_line, list_alert_variables
from btcts.services.watch.journal import LARGEST, Journal, Kept, Unsent
from btcts.services.watch.outbox import LONGEST_WAIT_MS, PRINTED, Outbox, Undelivered
from btcts.services.watch.rules import KINDS, Alert, Standing
from services.watch.journals import read_state, record_state
from support.clocks import FakeClock
from support.series import HOUR, NOW
from support.wording import Wording

wording = Wording(__file__)

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
    after_ms=st.none() | times,
)
seen = st.builds(Bounds, times, *[st.floats(0, PRICE_CEILING, exclude_min=True)] * 2)
waiting = st.builds(Unsent, alerts, st.lists(st.from_regex(NAME, fullmatch=True), min_size=1, max_size=3).map(tuple))
states = st.builds(
    Kept,
    st.builds(Standing, st.booleans())
    | st.builds(Standing, st.booleans(), times, st.lists(seen, max_size=2).map(tuple)),
    st.lists(waiting, max_size=3).map(tuple),
    st.dictionaries(st.from_regex(NAME, fullmatch=True), times, max_size=2),
)
in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])

SOME = Kept(
    Standing(False, NOW),
    (Unsent(Alert(rule=RULE, kind="above", time_ms=NOW, found_ms=NOW, price=1e5), ("exec",)),),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A place that does not exist yet."""
    return tmp_path / "data" / "alerts"


def file_of(folder: Path) -> Path:
    """The only file of a rule."""
    (path,) = folder.glob("*.json")
    return path


@settings(max_examples=50)
@given(kept=states)
def test_what_is_kept_comes_back(kept: Kept) -> None:
    with tempfile.TemporaryDirectory() as folder:
        record_state(Path(folder), RULE, kept)

        found = read_state(Path(folder), RULE, {way for entry in kept.waiting for way in entry.ways})

    assert found == kept
    for entry in kept.waiting:
        assert alert_line(entry.alert, BTC_USD, utc=True)
        assert json.loads(alert_json(entry.alert, BTC_USD))
        assert list_alert_variables(entry.alert, BTC_USD)


HOSTILE = {
    "armed": [None, 1, "yes", []],
    "seen": [None, 5, [[NOW, 1.0]], [[NOW, 1.0, -1.0]], [["now", 1.0, 1.0]], [[NOW, 1.0, 1.0]] * 3],
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
def test_a_field_out_of_bounds_makes_the_file_a_damaged_one(folder: Path, name: str, value: object) -> None:
    record_state(folder, RULE, SOME)

    rewrite(file_of(folder), lambda known: known.update({name: value}))

    assert read_state(folder, RULE) is None


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in HOSTILE_ALERT.items() for value in values]
)
def test_an_alert_out_of_bounds_makes_the_file_a_damaged_one(folder: Path, name: str, value: object) -> None:
    record_state(folder, RULE, SOME)

    rewrite(file_of(folder), lambda known: known["waiting"][0]["alert"].update({name: value}))

    assert read_state(folder, RULE) is None


def test_what_a_later_version_adds_is_left_out(folder: Path) -> None:
    record_state(folder, RULE, SOME)

    rewrite(file_of(folder), lambda known: known["waiting"][0]["alert"].update(invented=5))

    assert read_state(folder, RULE) == SOME


@pytest.mark.parametrize("content", [b"[" * 100_000, b" " * (LARGEST + 1), b'{"crc32": 5, "known": ' + b"9" * 5000])
def test_a_file_beyond_measure_is_a_damaged_one(folder: Path, content: bytes) -> None:
    record_state(folder, RULE, SOME)
    file_of(folder).write_bytes(content)

    assert read_state(folder, RULE) is None


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(folder: Path) -> None:
    record_state(folder, RULE, SOME)
    path = file_of(folder)
    path.unlink()
    os.mkfifo(path)

    with pytest.raises(SpoolError) as raised:
        read_state(folder, RULE)

    wording.check("a pipe", str(raised.value), folder=folder, file=path.name)


def test_nothing_is_known_of_a_rule_at_first_and_reading_creates_nothing(folder: Path, tmp_path: Path) -> None:
    assert read_state(folder, RULE) == Kept(Standing(armed=True, since_ms=None))

    assert list(tmp_path.iterdir()) == []


def test_rules_and_stores_do_not_meet(folder: Path) -> None:
    record_state(folder, RULE, SOME)

    assert read_state(folder, "below 5") == Kept()
    another = Journal(folder, "another", [RULE])
    assert (another.recall(["exec"]), another.find(RULE)) == ([], Kept())


def test_nobody_else_can_read_or_change_it(folder: Path) -> None:
    record_state(folder, RULE, SOME)

    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder.parent, folder)} == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


@in_one_folder
@given(at=st.integers(0), garbage=st.binary(min_size=1, max_size=20))
def test_a_damaged_file_is_found_out_and_counts_as_absent(folder: Path, at: int, garbage: bytes) -> None:
    record_state(folder, RULE, SOME)
    path = file_of(folder)
    whole = path.read_bytes()
    at %= len(whole)
    path.write_bytes((whole[:at] + garbage + whole[at + len(garbage) :])[: len(whole)])

    found = read_state(folder, RULE)
    assert found in (None, SOME)
    assert found is None or json.loads(path.read_bytes()) == json.loads(whole)
    path.unlink()


def test_a_file_cut_at_any_byte_is_damaged(folder: Path) -> None:
    record_state(folder, RULE, SOME)
    whole = file_of(folder).read_bytes()

    for size in range(len(whole)):
        file_of(folder).write_bytes(whole[:size])
        assert read_state(folder, RULE) is None, size


@pytest.mark.parametrize("content", [b"null", b"[]", b"{}", b'{"crc32": 0, "known": 1}', b'{"crc32": 1}', b"\xff"])
def test_a_file_of_something_else_is_damaged(folder: Path, content: bytes) -> None:
    record_state(folder, RULE, SOME)
    file_of(folder).write_bytes(content)

    assert read_state(folder, RULE) is None


def test_a_file_that_was_moved_from_another_rule_is_not_believed(folder: Path) -> None:
    record_state(folder, RULE, SOME)
    moved = file_of(folder).rename(folder / "moved")
    record_state(folder, "below 5", SOME)
    moved.replace(file_of(folder))

    assert read_state(folder, "below 5") is None


def test_of_two_watches_of_a_rule_the_second_is_told_which_it_is(folder: Path) -> None:
    with (
        Journal(folder, "test", [RULE, "below 5"]).lock(),
        pytest.raises(ConfigError, match="'below 5' at test"),
        Journal(folder, "test", ["above 7", "below 5"]).lock(),
    ):
        pass

    with Journal(folder, "test", [RULE, "above 7", "below 5"]).lock():
        pass


def test_a_process_that_is_killed_leaves_its_rules_free(folder: Path) -> None:
    holder = (
        "import pathlib, sys\nfrom btcts.services.watch.journal import Journal\n"
        f"with Journal(pathlib.Path(sys.argv[1]), 'test', [{RULE!r}]).lock():\n    print(flush=True)\n    input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        process.stdout.readline()
        with pytest.raises(ConfigError), Journal(folder, "test", [RULE]).lock():
            pass
        process.kill()
        process.wait(timeout=10)

    record_state(folder, RULE, SOME)


def test_a_lock_is_not_handed_on_to_commands_that_are_run(folder: Path) -> None:
    with Journal(folder, "test", [RULE]).lock():
        running = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, close_fds=False)

    with running, Journal(folder, "test", [RULE]).lock():
        running.communicate(timeout=10)


def test_a_place_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(SpoolError) as raised, Journal(tmp_path / "file" / "alerts", "test", [RULE]).lock():
        pass

    wording.check("a file in the way", str(raised.value), folder=tmp_path)


def test_a_refused_write_leaves_what_was_there(folder: Path) -> None:
    keep = (
        "import pathlib, sys\nfrom btcts.services.watch.rules import Standing\nfrom btcts.errors import SpoolError\n"
        "from btcts.services.watch.journal import Journal\n"
        f"journal = Journal(pathlib.Path(sys.argv[1]), 'test', [{RULE!r}])\njournal.recall(())\n"
        f"journal.add({RULE!r}, Standing(since_ms=1))\n"
        "try:\n    journal.record()\nexcept SpoolError as exc:\n    print(exc)"
    )
    record_state(folder, RULE, SOME)

    done = subprocess.run(
        ["sh", "-c", 'trap "" XFSZ; ulimit -f 0 && exec "$@" | cat', "sh", sys.executable, "-c", keep, folder],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert "file too large" in done.stdout, done.stderr
    assert read_state(folder, RULE) == SOME
    assert not list(folder.glob(".*.new"))


# Runs that die


RULES = ("above 5", "below 5")
WAYS = ("exec", "hook")


class DiedError(Exception):
    """The process is gone."""


class World(NamedTuple):
    """The deeds of a number of runs in turn, which keep their journal in `folder`."""

    folder: Path
    clock: FakeClock
    delivered: list[tuple[str, Alert]]

    def start(self, fate: str = "well") -> Outbox:
        """Begin another run; `fate` is what its deliveries come to."""

        def deliver(alert: Alert, way: str) -> Undelivered | None:
            if fate == "fails":
                return Undelivered("no answer")
            if fate == "dies before":
                raise DiedError
            self.delivered.append((way, alert))
            if fate == "dies after":
                raise DiedError
            return None

        ways = {way: lambda alert, way=way: deliver(alert, way) for way in WAYS}
        outbox = Outbox(Journal(self.folder, "test", RULES), ways, lambda: 0.0)
        assert list(outbox.recall()) == []
        return outbox

    def fire(self, rule: str) -> Alert:
        """Fire a rule in a run that dies when the alert is on the disk."""
        self.clock.advance(1000)
        now_ms = self.clock.now_ms()
        alert = Alert(rule=rule, kind=rule.partition(" ")[0], time_ms=now_ms, found_ms=now_ms, price=5.0)
        run = self.start()
        run.learn(rule, Standing(False, now_ms), [alert])
        assert list(run.record()) == []
        return alert

    def deliver(self, fate: str) -> None:
        """Deliver what is due in a run with this fate."""
        self.clock.advance(LONGEST_WAIT_MS)
        told = self.start(fate).deliver(self.clock, lambda: False)
        with suppress(DiedError):
            for message in told:
                if isinstance(message, Alert):
                    self.delivered.append((PRINTED, message))
                    if fate == "dies printing":
                        told.close()


deliveries = st.sampled_from(["well", "fails", "dies before", "dies after", "dies printing"])


@settings(max_examples=40, deadline=None)
@given(steps=st.lists(st.sampled_from(RULES) | deliveries, max_size=10))
def test_every_alert_is_delivered_by_every_way_and_again_only_by_a_run_after_one_that_died(steps: list[str]) -> None:
    fired = []
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), FakeClock(NOW), [])
        for step in steps:
            if step in RULES:
                fired.append(world.fire(step))
            else:
                world.deliver(step)
        world.deliver("well")

        assert world.start().waiting == 0

    counts = Counter((way, alert.id) for way, alert in world.delivered)
    assert set(counts) == {(way, alert.id) for alert in fired for way in (PRINTED, *WAYS)}
    assert counts.total() - len(counts) <= sum(step.startswith("dies") for step in steps)


@settings(max_examples=20, deadline=None)
@given(rules=st.lists(st.sampled_from(RULES), max_size=6))
def test_alerts_of_all_rules_are_delivered_in_the_order_in_which_they_were_found(rules: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), FakeClock(NOW), [])
        fired = [world.fire(rule) for rule in rules]

        world.deliver("well")

    sent = [(way, alert) for alert in fired for way in WAYS]
    assert world.delivered == [*((PRINTED, alert) for alert in fired), *sent]
