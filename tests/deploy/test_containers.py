"""The Compose file on a real engine: `pytest -m deploy -n 0`."""

import errno
import os
import re
import time

import pytest
import redis

from deploy.deployment import PASSWORD, ROOT, Deployment, do

pytestmark = pytest.mark.deploy

STOPS_WITHIN_S = 10


def test_without_a_password_nothing_starts(clone: Deployment) -> None:
    clone.set_password("")

    done = clone.compose("up", "--wait")

    assert done.code != 0
    assert "set REDIS_PASSWORD in .env" in done.err
    assert clone.compose("ps", "--all", "--quiet").out == ""


def test_a_password_with_a_line_break_is_refused_by_redis_in_one_line(clone: Deployment) -> None:
    clone.set_password('"two\\nlines"')

    done = clone.compose("up", "--wait")
    said = clone.compose("logs", "--no-log-prefix", "redis").out.splitlines()
    clone.compose("down", "--volumes")

    assert done.code != 0
    refusal = "REDIS_PASSWORD has a line break, which a password cannot have; set another one in .env"
    assert said
    assert [line for line in said if not line.endswith(refusal)] == []


def test_both_services_become_healthy(running: Deployment) -> None:
    assert running.inspect("redis", ".State.Health.Status") == "healthy"
    assert running.inspect("price_tracker", ".State.Health.Status") == "healthy"


def test_redis_takes_the_password_on_the_port_that_env_names_and_no_other(running: Deployment) -> None:
    with redis.Redis(port=running.port, password=PASSWORD) as client:
        assert client.ping()
    with redis.Redis(port=running.port, password="guess") as client, pytest.raises(redis.AuthenticationError):
        client.ping()


def test_btcts_shows_the_prices(running: Deployment) -> None:
    done = running.execute("price_tracker", "btcts", "show", "15min", "--format", "csv")

    header, *rows = done.out.splitlines()
    assert done.code == 0, done.err
    assert len(rows) == 5, done.out
    assert "close" in header


def test_redis_cli_in_the_container_needs_no_password(running: Deployment) -> None:
    done = running.execute("redis", "redis-cli", "-e", "-p", str(running.port), "TS.GET", "btc:price:tick")

    time_ms, price = done.out.split()
    assert abs(time.time() - int(time_ms) / 1000) < 60
    assert float(price) > 0


def test_verify_finds_nothing_wrong(running: Deployment) -> None:
    done = running.execute("price_tracker", "btcts", "verify")

    assert done.code == 0, done.out + done.err


@pytest.mark.parametrize(("service", "uid"), [("redis", "999"), ("price_tracker", "10001")])
def test_a_container_is_nobody_and_can_become_nobody_else(running: Deployment, service: str, uid: str) -> None:
    done = running.execute(service, "cat", "/proc/1/status")

    status = dict(line.split(":", 1) for line in done.out.splitlines())
    assert status["Uid"].split() == [uid] * 4
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert status["NoNewPrivs"].strip() == "1"


@pytest.mark.parametrize("service", ["redis", "price_tracker"])
def test_the_root_of_a_container_is_read_only(running: Deployment, service: str) -> None:
    done = running.execute(service, "sh", "-c", "touch /file")

    assert done.code != 0
    assert "Read-only file system" in done.err


@pytest.mark.parametrize("command", ["demo", "server install", "server start", "server run"])
def test_no_embedded_redis_is_run_in_the_container(running: Deployment, command: str) -> None:
    done = running.execute("price_tracker", "btcts", *command.split())

    assert done.code == 2
    assert "forbidden (environment BTCTS_EMBEDDED)" in done.err


def test_what_lies_in_tmp_cannot_use_up_the_memory_of_the_container(running: Deployment) -> None:
    done = running.execute("price_tracker", "sh", "-c", "head -c 300m /dev/zero > /tmp/file; rm /tmp/file")

    assert os.strerror(errno.ENOSPC) in done.err
    assert running.inspect("price_tracker", ".RestartCount") == "0"


def test_no_argument_of_redis_shows_the_password(running: Deployment) -> None:
    arguments = running.execute("redis", "cat", "/proc/1/cmdline").out

    assert "redis-server" in arguments
    assert "it's" not in arguments


@pytest.mark.parametrize("service", ["redis", "price_tracker"])
def test_what_is_killed_comes_back_and_nothing_is_lost(running: Deployment, service: str) -> None:
    with running.follow_starts(service) as read_until:
        running.kill(service)
        read_until("start")

    assert running.compose("up", "--wait").code == 0
    assert running.inspect(service, ".RestartCount") == "1"
    assert running.execute("price_tracker", "btcts", "verify").code == 0


def test_prices_wait_in_the_spool_while_redis_is_away(running: Deployment) -> None:
    with running.follow_log("price_tracker") as read_until:
        running.compose("stop", "redis")
        read_until("waits in the spool")
        running.compose("start", "redis")
        read_until("from the spool")

    assert running.compose("up", "--wait").code == 0
    assert running.execute("price_tracker", "btcts", "verify").code == 0


@pytest.mark.parametrize(
    ("service", "folder", "user"), [("redis", "/data", "999:999"), ("price_tracker", "/var/lib/btcts", "10001:10001")]
)
def test_a_volume_of_another_user_is_given_back_as_the_docs_say(
    running: Deployment, service: str, folder: str, user: str
) -> None:
    docs = (ROOT / "docs/docker.md").read_text()
    lines = re.findall(r"^docker compose (run .*)$", docs, re.MULTILINE)
    (giving,) = [line.split() for line in lines if line.endswith(f" {user} {folder}")]
    taking = [word.replace(user, "4242:4242") for word in giving]

    taken = running.compose(*taking)
    given = running.compose(*giving)

    assert (taken.code, given.code) == (0, 0), taken.err + given.err
    assert running.compose("up", "--wait", "--force-recreate").code == 0
    uid = running.execute(service, "stat", "-c", "%u:%g", folder).out.strip()
    assert uid == user


def test_the_collector_stops_in_time_and_by_itself(running: Deployment) -> None:
    asked = time.monotonic()
    running.compose("stop", "price_tracker")

    assert time.monotonic() - asked < STOPS_WITHIN_S
    assert running.inspect("price_tracker", ".State.ExitCode") == "0"


def test_down_leaves_the_volumes_and_removes_them_when_asked(running: Deployment) -> None:
    listing = ("docker", "volume", "ls", "--quiet", "--filter", f"label=com.docker.compose.project={running.name}")
    running.compose("down")
    kept = do(*listing).split()

    done = running.compose("down", "--volumes")

    assert done.code == 0, done.err
    assert kept == [f"{running.name}_btcts_state", f"{running.name}_redis_data"]
    assert do(*listing) == ""
