"""Commands as processes: exit code, stdout and stderr."""

import csv
import io
import json
import os
import signal
import subprocess
from functools import partial
from pathlib import Path

import pytest
import redis

from btcts.config import BTC_USD
from btcts.domain.layout import RESOLUTIONS, Layout
from btcts.errors import NoTimeSeries
from cli.conftest import BTCTS, PROVIDERS, Btcts
from support.exchanges import Exchanges
from support.servers import StartServer
from support.terminals import Terminal
from support.wording import Wording

DOWN = "http://127.0.0.1:9"

wording = Wording(__file__)


def test_a_single_run_fills_the_store_and_is_silent_without_a_terminal(btcts: Btcts, client: redis.Redis) -> None:
    done = btcts("collect", "--once")

    assert (done.code, done.out, done.err) == (0, "", "")
    assert client.execute_command("TS.GET", "btc:price:tick")
    assert len(client.execute_command("TS.RANGE", "btc:price:hour", "-", "+")) == 24


def test_verbose_says_one_line_about_the_cycle(btcts: Btcts) -> None:
    done = btcts("collect", "--once", "-v")

    assert done.code == 0
    assert len(done.out.splitlines()) == 1
    assert f"{len(PROVIDERS)} agree" in done.out


@pytest.mark.parametrize(("quorum", "warned"), [(2, False), (3, True)])
def test_a_quorum_that_too_few_providers_reach_far_back_for_is_warned_of(
    btcts: Btcts, quorum: int, *, warned: bool
) -> None:
    done = btcts("collect", "--once", "-v", BTCTS_COLLECT_QUORUM=str(quorum))

    assert done.code == 0
    assert done.err.startswith(f"btcts: collect.quorum = {quorum}") == warned


def test_a_run_with_every_provider_down_exits_4_with_one_line_that_names_each_reason(btcts: Btcts) -> None:
    down = {f"BTCTS_PROVIDERS_{name}_URL": DOWN for name in ("COINBASE", "KRAKEN")}

    done = btcts("collect", "--once", BTCTS_COLLECT_PROVIDERS="coinbase,kraken", **down)

    assert (done.code, done.out) == (4, "")
    assert len(done.err.splitlines()) == 1
    assert "coinbase: " in done.err
    assert "kraken: " in done.err


@pytest.mark.parametrize("command", [["collect", "--once"], ["show"], ["init-keys"]], ids=" ".join)
def test_without_redis_a_command_exits_3_and_says_where_it_looked(btcts: Btcts, command: list[str]) -> None:
    done = btcts(*command, REDIS_URL="redis://127.0.0.1:9")

    assert (done.code, done.out) == (3, "")
    assert len(done.err.splitlines()) == 1
    assert "127.0.0.1:9" in done.err


def test_a_wrong_password_exits_3_and_is_nowhere_in_the_output(btcts: Btcts, start_server: StartServer) -> None:
    guarded = start_server("--requirepass", "right")

    done = btcts("collect", "--once", "-v", REDIS_URL=f"unix://{guarded.socket}", REDIS_PASSWORD="wrong-Secret-1")

    assert done.code == 3
    assert "REDIS_PASSWORD" in done.err
    assert "wrong-Secret-1" not in done.out + done.err


def test_a_server_without_the_module_exits_3_and_names_what_has_it(btcts: Btcts, start_server: StartServer) -> None:
    plain = start_server(module=False)

    done = btcts("collect", "--once", REDIS_URL=f"unix://{plain.socket}")

    assert done.code == NoTimeSeries.exit_code == 3
    assert "redis:8" in done.err
    assert "redis-stack-server" in done.err


def test_show_has_the_slots_of_the_clock_in_each_form(btcts: Btcts) -> None:
    btcts("collect", "--once")

    document = json.loads(btcts("show", "5min", "--format", "json").out)
    rows = list(csv.DictReader(io.StringIO(btcts("show", "5min", "--format", "csv").out)))
    table = btcts("show", "5min")

    assert len(document["slots"]) == len(rows) == 13
    assert [slot["closed"] for slot in document["slots"]] == [True] * 12 + [False]
    assert (document["stale"], document["slots"][0]["minutes"]) == (False, 5)
    assert float(rows[0]["close"]) == document["slots"][0]["close"]
    assert (table.code, table.err) == (0, "")


@pytest.mark.parametrize("name", RESOLUTIONS)
def test_every_resolution_of_the_layout_can_be_shown(btcts: Btcts, name: str) -> None:
    done = btcts("show", name, "--format", "json")

    assert json.loads(done.out)["resolution"] == name


def test_limit_closed_and_at_choose_the_slots(btcts: Btcts) -> None:
    btcts("collect", "--once")

    limited = json.loads(btcts("show", "minute", "--limit", "2", "--closed", "--format", "json").out)["slots"]
    newest = json.loads(btcts("show", "minute", "--at", "newest", "--format", "json").out)
    past = json.loads(btcts("show", "hour", "--at", "2020-01-01T00:30:00Z", "--format", "json").out)

    assert [slot["closed"] for slot in limited] == [True, True]
    assert newest["age_s"] == 0.001
    assert past["slots"][-1]["start"] == "2020-01-01T00:00:00Z"
    assert all(slot["missing"] for slot in past["slots"])


def test_an_empty_store_is_shown_as_stale_and_that_is_no_failure(btcts: Btcts, client: redis.Redis) -> None:
    done = btcts("show", "hour", "--format", "json")

    document = json.loads(done.out)
    assert done.code == 0
    assert (document["newest_ms"], document["age_s"], document["stale"]) == (None, None, True)
    assert client.keys() == []


def test_init_keys_creates_once_and_then_has_nothing_to_do(btcts: Btcts, client: redis.Redis) -> None:
    planned = btcts("init-keys", "--dry-run")
    before = client.keys()
    made = btcts("init-keys")
    again = btcts("init-keys")

    assert before == []
    assert "would create" in planned.out
    assert "created" in made.out
    assert "matches the layout" in again.out
    assert sorted(client.keys()) == sorted((*Layout(BTC_USD).series, Layout(BTC_USD).state))


def test_init_keys_says_what_differs_and_repairs_it(btcts: Btcts, client: redis.Redis) -> None:
    btcts("collect", "--once")
    client.execute_command("TS.ALTER", "btc:price:minute", "RETENTION", 1)
    altered = btcts("init-keys")
    client.delete("btc:price:hour:max")
    rebuilt = btcts("init-keys")

    wording.check("a key that differs", altered.out.splitlines()[0])
    assert "btc:price:hour:max: is missing" in rebuilt.out
    assert "matches the layout" in btcts("init-keys").out


def test_a_foreign_key_exits_3_and_is_renamed_only_when_told(btcts: Btcts, client: redis.Redis) -> None:
    client.set("btc:price:tick", "mine")

    refused = btcts("collect", "--once")
    adopted = btcts("init-keys", "--adopt")

    assert refused.code == 3
    assert "btc:price:tick" in refused.err
    assert adopted.code == 0
    assert client.get("btc:price:tick:before-btcts") == "mine"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["shwo"], "'show'"),
        (["show", "15mn"], "15min"),
        (["show", "--limit", "0"], "--limit"),
        (["show", "--at", "tomorrow"], "--at 'tomorrow'"),
        (["collect"], "--once or --forever"),
        (["collect", "--once", "--interval", "5"], "--interval 5"),
        (["collect", "--forever", "--interval", "0.5"], "0.5"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_call_exits_2_with_one_line_about_it(btcts: Btcts, arguments: list[str], expected: str) -> None:
    done = btcts(*arguments)

    assert (done.code, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1
    assert expected in done.err


def test_a_command_that_reads_neither_installs_nor_starts_an_embedded_redis(btcts: Btcts, tmp_path: Path) -> None:
    done = btcts("show", REDIS_URL=None)

    assert done.code == 5
    assert "btcts collect --once" in done.err
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_the_loop_ends_with_0_after_the_cycle_in_hand(environ: dict[str, str], asked: signal.Signals) -> None:
    running = subprocess.Popen(
        [*BTCTS, "collect", "--forever", "--interval", "1"],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stdout
    first = [running.stdout.readline(), running.stdout.readline()]

    running.send_signal(asked)
    _, err = running.communicate(timeout=30)

    assert all(f"{len(PROVIDERS)} agree" in line for line in first)
    assert (running.returncode, err) == (0, "")


def test_json_of_a_cycle_is_one_object_a_line(btcts: Btcts) -> None:
    done = btcts("collect", "--once", "--format", "json")

    assert json.loads(done.out)["stored"]["price"] > 0


def test_a_reader_that_goes_away_is_no_reason_to_complain(btcts: Btcts, environ: dict[str, str]) -> None:
    btcts("collect", "--once")
    reader, writer = os.pipe()
    os.close(reader)

    done = subprocess.run([*BTCTS, "show"], env=environ, stdout=writer, stderr=subprocess.PIPE, check=False, timeout=60)
    os.close(writer)

    assert done.stderr == b""


def test_the_demo_ends_in_tables_and_leaves_nothing_behind(
    btcts: Btcts, exchanges: Exchanges, tmp_path: Path, environ: dict[str, str]
) -> None:
    from support.redis_binaries import binaries

    scratch = tmp_path / "scratch"
    scratch.mkdir()

    done = btcts("demo", TMPDIR=str(scratch), BTCTS_REDIS_SERVER=str(binaries().server), REDIS_URL=None)

    assert done.code == 0, done.err
    assert "simulated" in done.out
    assert "15min" in done.out
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("command", ["collect --forever", "watch --above 1"])
def test_a_document_stays_on_one_line_of_a_narrow_terminal(
    btcts: Btcts, environ: dict[str, str], tmp_path: Path, command: str
) -> None:
    btcts("collect", "--once")
    own = {name: value for name, value in environ.items() if name != "COLUMNS"}
    start = partial(subprocess.Popen, [*BTCTS, *command.split(), "--interval", "1", "--format", "json"])

    with Terminal(start, own, tmp_path / "errors", columns=40) as terminal:
        terminal.until(lambda _: "\n" in terminal.main)
        line = terminal.main.splitlines()[0]

    assert json.loads(line)["market"] == "BTC-USD"
