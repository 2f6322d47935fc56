"""Commands whose embedded Redis is stopped, hangs, or was never started: processes of their own."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from btcts.embedded import Embedded
from btcts.services.collect.spool import Spool
from cli.conftest import BTCTS, Btcts
from support.redis_binaries import binaries
from support.wording import Wording

wording = Wording(__file__)


@pytest.fixture
def embedded(environ: dict[str, str], tmp_path: Path) -> Iterator[Embedded]:
    """The embedded Redis of the commands of this test, which name no other; nobody has started it yet."""
    environ.pop("REDIS_URL")
    environ["BTCTS_REDIS_SERVER"] = str(binaries().server)
    server = Embedded(tmp_path / "data", redis_server=binaries().server)
    yield server
    server.discard()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """The spool of the commands."""
    return Spool(tmp_path / "data" / "spool")


@pytest.fixture
def hung(embedded: Embedded) -> Iterator[int]:
    """The process of an embedded Redis that does not answer."""
    embedded.ensure(print)
    pid = embedded.status().pid
    assert pid
    os.kill(pid, signal.SIGSTOP)
    yield pid
    os.kill(pid, signal.SIGCONT)


def test_a_price_waits_on_the_disk_while_the_embedded_redis_is_stopped(
    btcts: Btcts, embedded: Embedded, spool: Spool
) -> None:
    embedded.stop()

    done = btcts("collect", "--once")

    assert (done.code, done.out) == (3, "")
    assert len(done.err.splitlines()) == 1
    assert "`btcts server start`" in done.err
    assert spool.count() == 1


def test_a_loop_that_begins_while_it_is_stopped_stores_what_waited_once_it_is_started(
    environ: dict[str, str], embedded: Embedded
) -> None:
    embedded.stop()
    command = [*BTCTS, "collect", "--forever", "--interval", "1", "--format", "json"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout
        first = json.loads(running.stdout.readline())
        embedded.start(print)
        stored = next(each for each in map(json.loads, running.stdout) if each["stored"])
        running.terminate()
        running.communicate()

    assert first["spooled"]
    assert stored["unspooled"] >= 1
    assert running.returncode == 0


def test_the_first_run_says_in_one_line_that_it_starts_the_embedded_redis(btcts: Btcts, embedded: Embedded) -> None:
    first = btcts("collect", "--once")
    second = btcts("collect", "--once")

    assert (first.code, second.code) == (0, 0)
    assert first.err.startswith("btcts: starting ")
    assert len(first.err.splitlines()) == 1
    assert second.err == ""


@pytest.mark.parametrize("command", ["init-keys", "backfill --hours 1"])
def test_other_commands_that_write_end_with_5_while_it_is_stopped(
    command: str, btcts: Btcts, embedded: Embedded
) -> None:
    embedded.stop()

    done = btcts(*command.split())

    assert (done.code, done.out) == (5, "")
    wording.check("stopped", done.err[:-1])


def test_a_dry_run_of_init_keys_neither_installs_nor_starts_it(
    btcts: Btcts, embedded: Embedded, tmp_path: Path
) -> None:
    done = btcts("init-keys", "--dry-run")

    assert (done.code, done.out) == (5, "")
    assert not (tmp_path / "data").exists()


def test_server_status_tells_the_process_that_does_not_answer(btcts: Btcts, hung: int) -> None:
    done = btcts("server", "status")

    assert done.code == 1
    assert f"(pid {hung})\n" in done.out


def test_a_reader_is_told_the_process_that_does_not_answer(btcts: Btcts, hung: int, tmp_path: Path) -> None:
    done = btcts("show")

    assert (done.code, done.out) == (5, "")
    assert done.err.startswith(f"btcts: process {hung} ")
    assert f"{tmp_path}/data/redis.log" in done.err


@pytest.mark.parametrize("command", ["install", "start", "stop", "status", "run"])
def test_the_commands_of_the_embedded_redis_refuse_the_name_of_another(
    command: str, btcts: Btcts, embedded: Embedded, tmp_path: Path
) -> None:
    done = btcts("server", command, "--redis", "redis://:secret@127.0.0.1:9")

    assert (done.code, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1
    assert done.err.endswith(" --redis\n")
    assert not (tmp_path / "data").exists()
