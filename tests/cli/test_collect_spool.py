"""`btcts collect` while its Redis is away: processes of their own, redis-servers that are killed."""

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from btcts.config import load
from btcts.connect import find_spool_folders
from btcts.domain.model import Tick
from btcts.providers import default_endpoints
from btcts.services.collect.spool import Spool
from cli.conftest import BTCTS, PROVIDERS, Btcts
from support.commands import ForkServer, Running
from support.series import TICK, samples
from support.servers import Server, StartServer, connect

FULL_DISK = ("sh", "-c", 'ulimit -f 0 && exec "$@"', "sh")
"""No file may grow at all: the system refuses every write to one as it does on a full disk."""

DOWN = "http://127.0.0.1:9"

Next = Callable[[], Any]


@pytest.fixture
def lasting(start_server: StartServer, environ: dict[str, str]) -> Server:
    """The redis-server of the commands of this test; it finds its data again when it is killed and started."""
    server = start_server("--appendonly", "yes", "--appendfsync", "always")
    environ["REDIS_URL"] = f"unix://{server.socket}"
    return server


@pytest.fixture
def spool(tmp_path: Path, environ: dict[str, str], lasting: Server) -> Spool:
    """The spool of the commands."""
    own = {name: environ[name] for name in ("BTCTS_DATA_DIR", "REDIS_URL")}
    return Spool(*find_spool_folders(load(endpoints=default_endpoints(), environ=own, cwd=tmp_path)))


LOOP = ("collect", "--forever", "--interval", "1", "--format", "json")
"""A cycle a second."""

PIPES: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}


@contextmanager
def looping(
    environ: dict[str, str], *before: str, commands: ForkServer | None = None
) -> Iterator[tuple[Running, Next]]:
    """A loop of cycles that is killed in the end, and what gives its next cycle; forked where there are `commands`."""
    started = commands.start(LOOP, env=environ, **PIPES) if commands else None
    with started or subprocess.Popen([*before, *BTCTS, *LOOP], env=environ, **PIPES) as running:
        assert running.stdout
        try:
            yield running, lambda: json.loads(running.stdout.readline())
        finally:
            running.kill()


def stored_in(server: Server) -> dict[int, float]:
    """The ticks in Redis."""
    with connect(server.socket) as client:
        return samples(client, TICK)


def test_a_run_whose_redis_is_away_exits_3_with_one_line_that_says_where_the_price_is(
    btcts: Btcts, lasting: Server, spool: Spool
) -> None:
    lasting.kill()

    done = btcts("collect", "--once")

    assert (done.code, done.out) == (3, "")
    assert len(done.err.splitlines()) == 1
    assert f"{len(PROVIDERS)} agree" in done.err
    assert " spool: " in done.err
    assert spool.count() == 1


def test_the_next_run_stores_what_waits_and_is_as_silent_as_ever(btcts: Btcts, lasting: Server, spool: Spool) -> None:
    lasting.kill()
    kept = [Tick(**json.loads(btcts("collect", "--once", "--format", "json").out)["spooled"]) for _ in range(2)]
    lasting.start()

    done = btcts("collect", "--once")

    assert (done.code, done.out, done.err) == (0, "", "")
    assert dict(kept).items() <= stored_in(lasting).items()
    assert spool.count() == 0


def test_verbose_counts_what_came_out_of_the_spool(btcts: Btcts, lasting: Server) -> None:
    lasting.kill()
    btcts("collect", "--once")
    lasting.start()

    assert "from the spool 1" in btcts("collect", "--once", "-v").out


def test_a_run_with_neither_redis_nor_a_price_exits_4_and_keeps_nothing(
    btcts: Btcts, lasting: Server, spool: Spool
) -> None:
    lasting.kill()

    done = btcts("collect", "--once", BTCTS_COLLECT_PROVIDERS="coinbase", BTCTS_PROVIDERS_COINBASE_URL=DOWN)

    assert (done.code, done.out) == (4, "")
    assert len(done.err.splitlines()) == 1
    assert "no Redis answers" in done.err
    assert "coinbase: " in done.err
    assert spool.count() == 0


def test_a_loop_goes_on_without_redis_and_stores_every_price_when_it_is_back(
    commands: ForkServer, environ: dict[str, str], lasting: Server, spool: Spool
) -> None:
    with looping(environ, commands=commands) as (running, cycle):
        assert cycle()["stored"]
        lasting.kill()
        kept = [each["spooled"] for each in (cycle(), cycle(), cycle()) if each["spooled"]]
        lasting.start()
        while not (back := cycle())["stored"]:
            kept.append(back["spooled"])
        running.send_signal(signal.SIGTERM)
        _, err = running.communicate(timeout=30)

    assert (running.returncode, err) == (0, "")
    assert back["unspooled"] == len(kept) >= 2
    assert {each["time_ms"]: each["price"] for each in kept}.items() <= stored_in(lasting).items()
    assert spool.count() == 0


def test_what_a_killed_loop_said_it_keeps_is_stored_by_the_next_run(
    commands: ForkServer, environ: dict[str, str], btcts: Btcts, lasting: Server
) -> None:
    lasting.kill()
    with looping(environ, commands=commands) as (running, cycle):
        kept = [cycle()["spooled"], cycle()["spooled"]]
        running.kill()
    lasting.start()

    done = btcts("collect", "--once")

    assert done.code == 0
    assert {each["time_ms"]: each["price"] for each in kept}.items() <= stored_in(lasting).items()


def test_a_full_disk_is_said_and_the_loop_goes_on_until_redis_is_back(environ: dict[str, str], lasting: Server) -> None:
    lasting.kill()

    with looping(environ, *FULL_DISK) as (_, cycle):
        lost = [cycle(), cycle()]
        lasting.start()
        while not (back := cycle())["stored"]:
            lost.append(back)

    assert all(each["members"] and not each["spooled"] for each in lost)
    assert all("no Redis answers" in each["problem"] for each in lost)
    assert all("cannot be kept" in each["problem"] for each in lost)
    assert back["problem"] is None


def test_a_single_run_on_a_full_disk_exits_3_and_says_both(
    environ: dict[str, str], lasting: Server, tmp_path: Path
) -> None:
    lasting.kill()

    done = subprocess.run(
        [*FULL_DISK, *BTCTS, "collect", "--once"], env=environ, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1
    assert "no Redis answers" in done.stderr
    assert f"kept in {tmp_path}/data/spool-" in done.stderr
    assert "(file too large)" in done.stderr


def test_prices_wait_for_the_redis_that_they_were_meant_for(
    btcts: Btcts, lasting: Server, spool: Spool, start_server: StartServer
) -> None:
    lasting.kill()
    btcts("collect", "--once")

    other = btcts("collect", "--once", "--format", "json", REDIS_URL=f"unix://{start_server().socket}")

    assert json.loads(other.out)["unspooled"] == 0
    assert spool.count() == 1


def test_a_run_in_which_nobody_was_due_fails_for_its_redis(btcts: Btcts, lasting: Server) -> None:
    alone = ("collect", "--once", "--provider", "coinmarketcap")
    first = btcts(*alone, API_KEY="secret-key")
    lasting.kill()

    done = btcts(*alone, API_KEY="secret-key")
    again = btcts(*alone, API_KEY="secret-key")

    assert first.code == 0
    assert [each.code for each in (done, again)] == [3, 3]
    assert "no Redis answers" in again.err


def test_simulated_prices_wait_apart_from_real_ones(btcts: Btcts, lasting: Server, spool: Spool) -> None:
    lasting.kill()
    simulated = btcts("collect", "--once", BTCTS_COLLECT_PROVIDERS="simulated")
    lasting.start()

    real = btcts("collect", "--once", "--format", "json")

    assert simulated.code == 3
    assert json.loads(real.out)["unspooled"] == 0
    assert spool.count() == 0


def test_a_run_that_stores_its_price_leaves_no_spool_behind(btcts: Btcts, lasting: Server, tmp_path: Path) -> None:
    done = btcts("collect", "--once")

    assert done.code == 0
    assert list(tmp_path.iterdir()) == []
