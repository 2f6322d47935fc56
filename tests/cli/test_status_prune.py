"""`btcts status` and `btcts prune` as processes."""

import json
import shutil
from pathlib import Path

import pytest
import redis

from btcts.config import load
from btcts.connect import find_spool_folders
from btcts.domain.model import Tick
from btcts.providers import default_endpoints
from btcts.services.collect.spool import Spool
from cli.conftest import Btcts
from support.series import TICK
from support.servers import StartServer


def test_status_is_healthy_after_a_collect(btcts: Btcts) -> None:
    btcts("collect", "--once")

    done = btcts("status")

    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("BTC-USD healthy")
    assert "\x1b" not in done.out


def test_status_of_an_empty_store_exits_1_and_says_why(btcts: Btcts) -> None:
    done, document = btcts("status"), btcts("status", "--format", "json")

    assert (done.code, done.err, document.code) == (1, "", 1)
    assert json.loads(document.out)["reason_codes"] == ["nothing_stored"]
    assert [line for line in done.out.splitlines() if line.startswith("unhealthy: ")] == [
        f"unhealthy: {json.loads(document.out)['reasons'][0]}"
    ]


def test_the_limit_of_the_age_can_be_given(btcts: Btcts, client: redis.Redis) -> None:
    btcts("init-keys")
    seconds, _ = client.time()
    client.execute_command("TS.ADD", "btc:price:tick", (seconds - 60) * 1000, 60_000)

    fresh = btcts("status", "--max-age", "3600")
    stale = btcts("status", "--max-age", "30", "--format", "json")

    assert (fresh.code, stale.code) == (0, 1)
    assert json.loads(stale.out)["max_age_s"] == 30


@pytest.fixture
def spool(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Spool:
    """The spool of prices that wait for the Redis of the test."""
    for name in ("HOME", "XDG_CONFIG_HOME", "BTCTS_DATA_DIR", "REDIS_URL"):
        monkeypatch.setenv(name, environ[name])
    return Spool(*find_spool_folders(load(endpoints=default_endpoints())))


def test_status_counts_the_prices_that_wait_on_this_machine(btcts: Btcts, spool: Spool) -> None:
    spool.keep(Tick(1_767_225_600_000, 60_000.0))

    done = btcts("status", "--format", "json")

    assert json.loads(done.out)["spooled"] == 1


def test_a_spool_that_cannot_be_read_is_said_and_the_exit_code_follows_health(
    btcts: Btcts, spool: Spool, tmp_path: Path
) -> None:
    spool.keep(Tick(1_767_225_600_000, 60_000.0))
    (folder,) = (tmp_path / "data").glob("spool*")
    shutil.rmtree(folder)
    folder.write_text("a file")

    empty = btcts("status", "--format", "json")
    btcts("collect", "--once")
    healthy = btcts("status", "--format", "json")

    assert (empty.code, healthy.code) == (1, 0)
    assert len(healthy.err.splitlines()) == 1
    assert healthy.err.startswith("btcts: ")
    assert str(folder) in healthy.err
    assert json.loads(healthy.out)["spooled"] is None


def test_quiet_the_status_is_printed_when_it_is_unhealthy_or_asked_for_as_json(btcts: Btcts) -> None:
    unhealthy = btcts("status", "-q")
    btcts("collect", "--once")
    healthy = btcts("status", "-q")

    assert unhealthy.code == 1
    assert "unhealthy: " in unhealthy.out
    assert (healthy.code, healthy.out, healthy.err) == (0, "", "")
    assert json.loads(btcts("status", "-q", "--format", "json").out)["healthy"]


def test_quiet_a_prune_prints_nothing_unless_asked_for_json(btcts: Btcts) -> None:
    btcts("init-keys")

    done = btcts("prune", "-q")

    assert (done.code, done.out, done.err) == (0, "", "")
    assert json.loads(btcts("prune", "-q", "--format", "json").out)["removed"] == []


@pytest.mark.parametrize("seconds", ["0.5", "86401", "1e300", "inf", "nan"])
def test_a_limit_of_the_age_beyond_a_day_is_refused(btcts: Btcts, seconds: str) -> None:
    done = btcts("status", "--max-age", seconds)

    assert (done.code, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1
    assert "--max-age" in done.err


def test_a_tick_that_is_no_price_is_unhealthy_until_it_is_repaired(btcts: Btcts, client: redis.Redis) -> None:
    btcts("collect", "--once")
    client.execute_command("TS.ADD", TICK, "*", -4)

    done = btcts("status", "--format", "json")
    btcts("verify", "--repair")

    assert done.code == 1
    assert json.loads(done.out)["reason_codes"] == ["bad_price"]
    assert btcts("status").code == 0


@pytest.mark.parametrize("command", [["status"], ["prune"], ["prune", "--dry-run"]], ids=" ".join)
def test_without_redis_they_exit_3_and_say_where_they_looked(btcts: Btcts, command: list[str]) -> None:
    done = btcts(*command, REDIS_URL="redis://127.0.0.1:9")

    assert (done.code, done.out) == (3, "")
    assert "127.0.0.1:9" in done.err


def test_status_exits_3_while_its_redis_is_dead_and_0_when_it_lives_again(
    btcts: Btcts, start_server: StartServer
) -> None:
    server = start_server("--appendonly", "yes", "--appendfsync", "always")
    url = f"unix://{server.socket}"
    btcts("collect", "--once", REDIS_URL=url)

    server.kill()
    dead = btcts("status", REDIS_URL=url)
    server.start()
    alive = btcts("status", REDIS_URL=url)

    assert (dead.code, dead.out) == (3, "")
    assert (alive.code, alive.err) == (0, "")


def test_status_exits_1_while_no_provider_answers(btcts: Btcts) -> None:
    btcts("collect", "--once")
    btcts("collect", "--once", BTCTS_PROVIDERS_KRAKEN_URL="http://127.0.0.1:9", BTCTS_COLLECT_PROVIDERS="kraken")

    done = btcts("status", "--format", "json")
    btcts("collect", "--once")

    found = json.loads(done.out)
    assert done.code == 1
    assert {*found["reason_codes"]} - {"providers_down"} == {"cycle_failed"}  # a minute may have ended in between
    assert found["warnings"][found["warning_codes"].index("provider_failed")].startswith("kraken: ")
    assert btcts("status").code == 0


@pytest.mark.parametrize("command", ["status", "prune"])
def test_they_neither_install_nor_start_an_embedded_redis(btcts: Btcts, command: str, tmp_path: Path) -> None:
    done = btcts(command, REDIS_URL=None)

    assert done.code == 5
    assert not (tmp_path / "data").exists()


def test_prune_with_nothing_to_do_says_so(btcts: Btcts) -> None:
    btcts("init-keys")

    done, document = btcts("prune"), btcts("prune", "--format", "json")

    assert (done.code, done.err) == (0, "")
    assert len(done.out.splitlines()) == 1
    assert [json.loads(document.out)[name] for name in ("removed", "future_ticks", "unknown")] == [[], False, []]


def test_prune_says_per_key_what_it_would_remove_and_then_removes_it(btcts: Btcts, client: redis.Redis) -> None:
    btcts("init-keys")
    for minute in range(3):
        client.execute_command("TS.ADD", "btc:price:tick", 1_767_225_600_000 + minute * 60_000, 60_000 + minute)
    client.set("btc:price:1h", "of another program")

    planned = json.loads(btcts("prune", "--dry-run", "--format", "json").out)
    done = json.loads(btcts("prune", "--format", "json").out)

    (removed,) = planned["removed"]
    assert (removed["key"], removed["count"], removed["future"]) == ("btc:price:minute", 2, False)
    assert (removed["first"], removed["last"]) == ("2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z")
    assert planned == done | {"dry_run": True}
    assert done["unknown"] == ["btc:price:1h"]
    assert client.execute_command("TS.RANGE", "btc:price:minute", "-", "+") == []
    assert len(client.execute_command("TS.RANGE", "btc:price:tick", "-", "+")) == 3


def test_prune_rebuilds_when_a_tick_of_the_future_hides_the_others(btcts: Btcts, client: redis.Redis) -> None:
    btcts("collect", "--once")
    seconds, _ = client.time()
    client.execute_command("TS.ADD", "btc:price:tick", (seconds + 86_400 * 30) * 1000, 60_000)

    done = btcts("prune", "--format", "json")

    assert json.loads(done.out)["future_ticks"]
    assert btcts("status").code == 0
