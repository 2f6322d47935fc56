"""`btcts backfill` as a process: exit code, stdout and stderr."""

import json
import os
import pty
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import redis

from btcts.domain.model import ProviderState
from btcts.store import State, Store
from cli.conftest import BTCTS, PROVIDERS, Btcts
from cli.test_imports import imported
from support.commands import ForkServer
from support.exchanges import Exchanges, Fault, SimulatedMarket
from support.leaks import EVIDENCE
from support.schemas import read_schema
from support.series import COMPACTIONS, MINUTE, TICK, put, samples
from support.wording import Wording

wording = Wording(__file__)


DAY = 1_522_800_000_000
"""4 April 2018, 00:00 UTC."""

DOWN = "http://127.0.0.1:9"
SCHEMA = read_schema("backfill")


def documents(out: str) -> list[Any]:
    found = [json.loads(line) for line in out.splitlines()]
    for each in found:
        jsonschema.Draft202012Validator(SCHEMA).validate(each)
    return found


def rows(minutes: range) -> str:
    """A file of candles no two of which are alike."""
    lines = (f"{each // 1000},{each // MINUTE % 997 + 7000},8000,6999,7500,1" for each in minutes)
    return "\n".join(("timestamp,open,high,low,close,volume", *lines)) + "\n"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A file of thirty hours of 2018."""
    path = tmp_path / "old.csv"
    path.write_text(rows(range(DAY, DAY + 1800 * MINUTE, MINUTE)))
    return path


class Gate:
    """Lets the candles of so many answers through, the others only once it is opened."""

    def __init__(self, answers: int) -> None:
        self._left = threading.Semaphore(answers)
        self._opened = threading.Event()

    def rows(self, rows: list[Any]) -> list[Any]:
        """The rows of an answer, when it may go."""
        if not self._left.acquire(blocking=False):
            self._opened.wait(30)
        return rows

    def open(self) -> None:
        """Let all through."""
        self._opened.set()


@pytest.fixture
def gate(environ: dict[str, str]) -> Iterator[Gate]:
    """Two exchanges of which each gives the candles of one chunk, and more when this is opened."""
    gate = Gate(2)
    with Exchanges(SimulatedMarket(), now_ms=lambda: time.time_ns() // 1_000_000) as running:
        for name, path in {"coinbase": "candles", "bitstamp": "ohlc"}.items():
            environ[f"BTCTS_PROVIDERS_{name.upper()}_URL"] = running.url(name)
            environ[f"BTCTS_PROVIDERS_{name.upper()}_TIMEOUT_S"] = "30"
            running.fault(name, Fault(rows=gate.rows, path=path))
        environ["BTCTS_COLLECT_PROVIDERS"] = "coinbase,bitstamp"
        yield gate
        gate.open()


def test_it_settles_the_window_with_a_line_for_each_chunk_and_then_has_nothing_to_do(btcts: Btcts) -> None:
    first, second = btcts("backfill"), btcts("backfill", "--until", "1min")

    *chunks, total = first.out.splitlines()
    assert (first.code, first.err, second.code, second.err) == (0, "", 0, "")
    assert len(chunks) in (5, 6)
    assert all("  settled " in each and "coinbase" in each for each in chunks)
    assert total.startswith("settled 14")
    assert second.out.startswith("nothing to settle; ")


def test_the_json_is_a_stream_of_chunks_and_their_sum(btcts: Btcts) -> None:
    told = documents(btcts("backfill", "--dry-run", "--format", "json").out)
    *chunks, total = documents(btcts("backfill", "--until", "2min", "--format", "json").out)

    assert [each["kind"] for each in (*told, *chunks, total)] == ["plan", *["chunk"] * len(chunks), "summary"]
    assert total["settled"] == sum(each["settled"] for each in chunks) == total["minutes"]
    assert set(total["sources"]) == set(PROVIDERS)


def test_hours_since_until_and_provider_choose_what_is_asked_of_whom(btcts: Btcts) -> None:
    (hours,) = documents(btcts("backfill", "--hours", "2", "--dry-run", "--format", "json").out)
    (span,) = documents(btcts("backfill", "--since", "-90min", "--until", "1h", "--dry-run", "--format", "json").out)
    *_, named = documents(
        btcts("backfill", "--since", "30min", "--provider", "kraken", "--provider", "gemini", "--format", "json").out
    )

    assert 118 <= hours["minutes"] <= 120
    assert span["minutes"] in (29, 30)
    assert set(named["sources"]) == {"kraken", "gemini"}


def test_minutes_of_a_named_provider_are_thin_until_the_other_configured_ones_answer(
    btcts: Btcts, client: redis.Redis
) -> None:
    named = btcts("backfill", "--since", "30min", "--provider", "kraken")
    thin = client.hgetall("btc:price:gaps")
    collected = btcts("collect", "--once")

    assert (named.code, collected.code) == (0, 0)
    assert 28 <= len(thin) <= 30
    assert all(json.loads(entry)[0] == "thin" for entry in thin.values())
    assert client.hgetall("btc:price:gaps") == {}


def test_verbose_lists_the_candles_of_each_provider_for_disputed_minutes(btcts: Btcts) -> None:
    with Exchanges(SimulatedMarket(), now_ms=lambda: time.time_ns() // 1_000_000) as running:
        running.fault("kraken", Fault(factor=1.05))
        urls = {f"BTCTS_PROVIDERS_{name.upper()}_URL": running.url(name) for name in ("coinbase", "kraken")}
        plain, verbose = (
            btcts("backfill", "--since", "5min", *options, BTCTS_COLLECT_PROVIDERS="coinbase,kraken", **urls)
            for options in ([], ["-v"])
        )

    assert len(plain.out.splitlines()) == 2
    assert verbose.out.count("  coinbase  ") == verbose.out.count("  kraken  ") == verbose.out.count("disputed") >= 3


def test_a_dry_run_writes_nothing(btcts: Btcts, client: redis.Redis) -> None:
    done = btcts("backfill", "--dry-run")

    assert done.code == 0
    assert done.out.startswith("would settle 14")
    wording.check("the end of a dry run", done.out.splitlines()[-1])
    assert client.keys() == []


def test_quiet_says_nothing_but_failures(btcts: Btcts) -> None:
    down = {f"BTCTS_PROVIDERS_{name}_URL": DOWN for name in ("COINBASE", "KRAKEN")}

    good = btcts("backfill", "-q", "--hours", "1")
    bad = btcts("backfill", "-q", BTCTS_COLLECT_PROVIDERS="coinbase,kraken", **down)

    assert (good.code, good.out, good.err) == (0, "", "")
    assert (bad.code, bad.out) == (4, "")
    assert len(bad.err.splitlines()) == 1


def test_when_all_providers_fail_it_exits_4_and_names_each_reason(btcts: Btcts) -> None:
    down = {f"BTCTS_PROVIDERS_{name}_URL": DOWN for name in ("COINBASE", "KRAKEN")}

    done = btcts("backfill", BTCTS_COLLECT_PROVIDERS="coinbase,kraken", **down)

    assert done.code == 4
    assert done.err.startswith("btcts: settled 0 of 14")
    assert "coinbase (no answer" in done.err
    assert "kraken (no answer" in done.err
    assert " http://127.0.0.1:9" in done.err


def test_when_all_providers_have_to_wait_it_exits_4(btcts: Btcts, store: Store) -> None:
    until_ms = (time.time_ns() // 1_000_000 // MINUTE + 60) * MINUTE
    store.remember(State(providers={"kraken": ProviderState(not_before_ms=until_ms, why="HTTP 429")}))

    done = btcts("backfill", "--hours", "1", "--provider", "kraken")

    assert (done.code, done.out) == (4, "")
    failure, wait = done.err.splitlines()
    assert failure.startswith("btcts: settled 0 of ")
    assert wait.startswith("btcts: kraken: ")
    assert wait.endswith(":00 (HTTP 429)")


def test_with_nothing_to_do_a_dry_run_says_nothing_of_requests(btcts: Btcts) -> None:
    btcts("backfill", "--hours", "1")

    plan = btcts("backfill", "--since", "50min", "--until", "20min", "--provider", "kraken", "--dry-run")

    assert (plan.code, plan.err) == (0, "")
    assert plan.out.startswith("would settle 0 minutes (")
    assert len(plan.out.splitlines()) == 2


def test_more_hours_than_the_window_has_are_the_window(btcts: Btcts) -> None:
    (plan,) = documents(btcts("backfill", "--hours", "1000000", "--dry-run", "--format", "json").out)

    assert plan["minutes"] >= 24 * 60
    assert plan["left_out"] > 0


def test_without_redis_it_exits_3(btcts: Btcts) -> None:
    done = btcts("backfill", REDIS_URL="redis://127.0.0.1:9")

    assert (done.code, done.out, len(done.err.splitlines())) == (3, "", 1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--overwrite"], "say for which time, with --hours, --since or --file"),
        (["--overwrite", "--until", "1h"], "say for which time"),
        (["--hours", "2", "--since", "1h"], "--hours 2 cannot be combined with --since"),
        (["--hours", "2", "--until", "1h"], "--hours 2 cannot be combined with --since and --until"),
        (["--hours", "0"], "--hours"),
        (["--hours", "999999999999"], "--hours"),
        (["--since", "soon"], "--since 'soon' is not a time"),
        (["--since", "1h", "--until", "2h"], "nothing lies between"),
        (["--provider", "binance"], "'binance' is not one of"),
        (["--provider", "coinmarketcap"], "no candles of minutes can be had from coinmarketcap"),
        (["--file", "x.csv", "--provider", "kraken"], "cannot be combined with --provider kraken"),
        (["--file", "x.csv"], "'x.csv' cannot be read (no such file or directory)"),
        (["--file", "."], "'.' cannot be read (is a directory)"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_call_exits_2_with_one_line(btcts: Btcts, arguments: list[str], words: str) -> None:
    done = btcts("backfill", *arguments)

    assert (done.code, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1
    assert words in done.err


def test_a_file_is_opened_before_redis_is_needed(btcts: Btcts) -> None:
    assert btcts("backfill", "--file", "none.csv", REDIS_URL="redis://127.0.0.1:9").code == 2


def test_a_wrong_row_exits_2_and_nothing_is_written(btcts: Btcts, client: redis.Redis, old: Path) -> None:
    old.write_text(old.read_text() + "1522900000,1,1,1,1,1\n")

    done = btcts("backfill", "--file", str(old))

    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"btcts: {old} line 1802: the time ")
    assert client.keys() == []


def test_an_old_file_is_stored_as_of_then_and_shown_whole(btcts: Btcts, client: redis.Redis, old: Path) -> None:
    done = btcts("backfill", "--file", str(old), TZ="UTC")
    hours = json.loads(btcts("show", "hour", "--at", "newest", "--format", "json").out)["slots"]
    again = btcts("backfill", "--file", str(old))

    wording.check("an old file", " | ".join(done.out.splitlines()), file=old)
    assert [(slot["closed"], slot["settled"], slot["minutes"]) for slot in hours[:-1]] == [(True, True, 60)] * 24
    assert (again.code, "nothing to settle" in again.out) == (0, True)


def test_a_file_comes_through_stdin(commands: ForkServer, environ: dict[str, str], old: Path) -> None:
    call = ["backfill", "--file", "-", "--until", "2018-04-04T12:00Z", "--dry-run"]
    with old.open() as stdin:
        done = commands.run(call, env=environ, stdin=stdin)

    assert done.returncode == 0
    wording.check("stdin", " | ".join(done.stdout.splitlines()))


@pytest.mark.parametrize(("name", "code", "said"), [("old.csv", 0, ""), ("-", 2, "btcts: stdin line 1: ")])
def test_a_closed_stdin_is_an_empty_one_and_no_matter_for_a_file(
    environ: dict[str, str], old: Path, name: str, code: int, said: str
) -> None:
    command = f"{shlex.join([*BTCTS, 'backfill', '--dry-run', '--file', name])} <&-"

    done = subprocess.run(
        ["sh", "-c", command], cwd=old.parent, env=environ, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == code
    assert done.stderr.startswith(said)
    assert len(done.stderr.splitlines()) == (code != 0)


def test_candles_of_an_hour_are_refused_and_nothing_is_written(
    btcts: Btcts, client: redis.Redis, tmp_path: Path
) -> None:
    file = tmp_path / "hour.csv"
    file.write_text(rows(range(DAY, DAY + 1200 * MINUTE, 60 * MINUTE)))

    done = btcts("backfill", "--file", str(file), "--overwrite")

    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"btcts: {file}: ")
    assert " 60 min " in done.err
    assert client.keys() == []


@pytest.mark.parametrize("step", [60, 1440])
def test_one_or_two_rows_on_full_hours_are_written_only_when_they_are_said_to_be_minutes(
    btcts: Btcts, client: redis.Redis, tmp_path: Path, step: int
) -> None:
    for count in (1, 2):
        file = tmp_path / f"{count}.csv"
        file.write_text(rows(range(DAY + 1440 * MINUTE, DAY + (1440 + step * count) * MINUTE, step * MINUTE)))

        refused = btcts("backfill", "--file", str(file), "--overwrite")
        untouched = client.keys() == []
        taken = btcts("backfill", "--file", str(file), "--overwrite", "--minutes")

        assert (refused.code, refused.out, untouched) == (2, "", True)
        assert len(refused.err.splitlines()) == 1
        assert " --minutes " in refused.err
        assert (taken.code, taken.err) == (0, "")
        assert DAY + (1440 + step * (count - 1)) * MINUTE in samples(client, TICK)
        client.flushall()


def test_candles_of_a_day_are_refused_even_when_they_are_said_to_be_minutes(
    btcts: Btcts, client: redis.Redis, tmp_path: Path
) -> None:
    file = tmp_path / "day.csv"
    file.write_text("Date,Open,High,Low,Close,Volume\n2026-01-01,50000,99000,10000,51000,1234\n")

    done = btcts("backfill", "--file", str(file), "--overwrite", "--minutes")

    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f'btcts: {file} line 2: "2026-01-01" ')
    assert len(done.err.splitlines()) == 1
    assert client.keys() == []


def test_minutes_are_said_of_a_file(btcts: Btcts) -> None:
    done = btcts("backfill", "--hours", "1", "--minutes")

    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("btcts: --minutes ")
    assert " --file\n" in done.err


def test_an_old_file_is_refused_beside_fresher_prices(btcts: Btcts, client: redis.Redis, old: Path) -> None:
    btcts("backfill", "--hours", "1")
    before = samples(client, TICK)

    done = btcts("backfill", "--file", str(old))

    assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 1)
    assert "REDIS_DB" in done.err
    assert samples(client, TICK) == before


def test_overwriting_removes_a_bad_price(btcts: Btcts, client: redis.Redis) -> None:
    btcts("backfill", "--hours", "2")
    bad = max(samples(client, TICK)) // MINUTE * MINUTE - 30 * MINUTE + 30_000
    put(client, TICK, {bad: 9e7})

    done = btcts("backfill", "--since", "1h", "--overwrite")

    assert done.code == 0
    assert bad not in samples(client, TICK)
    assert 9e7 not in {price for key in COMPACTIONS for price in samples(client, key).values()}


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_goes_on_when_it_is_repeated(
    btcts: Btcts, commands: ForkServer, environ: dict[str, str], gate: Gate, sent: signal.Signals
) -> None:
    call = ["backfill", "--until", "2min", "--format", "json"]
    with commands.start(call, env=environ, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout
        (first,) = documents(running.stdout.readline())
        running.send_signal(sent)
        gate.open()
        out, _ = running.communicate(timeout=60)
    *_, rest = documents(btcts("backfill", "--until", "2min", "--format", "json").out)

    assert running.returncode == (130 if sent is signal.SIGINT else -signal.SIGKILL)
    assert first["settled"] == 299
    assert [each["interrupted"] for each in documents(out)] == [True] * (sent is signal.SIGINT)
    assert rest["settled_before"] > 0
    assert rest["settled"] == rest["minutes"] > 0


def test_an_interruption_is_said_with_what_is_stored(commands: ForkServer, environ: dict[str, str], gate: Gate) -> None:
    pipe = subprocess.PIPE
    with commands.start(["backfill"], env=environ, stdout=pipe, stderr=pipe, text=True) as running:
        assert running.stdout
        running.stdout.readline()
        running.send_signal(signal.SIGINT)
        gate.open()
        _, err = running.communicate(timeout=60)

    assert running.returncode == 130
    assert err.startswith("btcts: settled 299 of 14")
    assert err.endswith(" from here\n")


def test_on_a_terminal_a_bar_goes_before_one_line(environ: dict[str, str]) -> None:
    screen, terminal = pty.openpty()
    command = [*BTCTS, "backfill", "--hours", "6"]
    with subprocess.Popen(command, env={**environ, "TERM": "xterm"}, stdout=terminal, stderr=terminal) as running:
        os.close(terminal)
        shown = b""
        while part := _read(screen):
            shown += part
    os.close(screen)
    EVIDENCE.record("a terminal", shown)

    assert running.returncode == 0
    assert b"coinbase kraken bitstamp" in shown
    assert b" min " in shown
    assert b" .. " not in shown
    assert b"settled 3" in shown.rpartition(b"\x1b[2K")[2]


def _read(descriptor: int) -> bytes:
    """Return what was printed on the terminal; nothing when nobody has it any more."""
    try:
        return os.read(descriptor, 65_536)
    except OSError:
        return b""


def test_help_imports_neither_redis_nor_httpcore_and_a_file_needs_no_http(environ: dict[str, str], old: Path) -> None:
    assert imported("backfill", "--help") <= {"rich"}
    assert imported("backfill", "--file", str(old), environ=environ) == {"redis"}
