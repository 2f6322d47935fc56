"""`redis.conf`, what `start-redis.sh` adds to it, and the health checks, on a real redis-server."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
import yaml
from redis.backoff import NoBackoff
from redis.retry import Retry

from support.redis_binaries import binaries
from support.servers import Log, Server
from support.wording import Wording

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
HEALTHCHECKS = {name: service["healthcheck"]["test"] for name, service in COMPOSE["services"].items()}

START_WITHIN_S = 20

wording = Wording(__file__)

PRINTABLE = "".join(chr(code) for code in range(ord(" "), ord("~") + 1))


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory whose path leaves room for the name of a socket."""
    with tempfile.TemporaryDirectory(prefix="btcts-") as directory:
        yield Path(directory)


def start(home: Path, password: str, *, module: bool = True, **variables: str) -> subprocess.Popen[str]:
    """Run the command of the service in `home`, its server on a socket instead of a port."""
    shutil.copy(ROOT / "redis.conf", home)
    found = binaries()
    added = f"--loadmodule {found.module}" if module else ""
    entrypoint = home / "docker-entrypoint.sh"
    entrypoint.write_text(f'#!/bin/sh\nshift\nexec {found.server} "$@" --unixsocket socket {added}\n')
    entrypoint.chmod(0o755)
    given = {"REDISCLI_AUTH": password, "REDIS_PORT": "0", **variables}
    environment = {"PATH": f"{home}:{os.environ['PATH']}", **given}
    command = ["sh", str(ROOT / "start-redis.sh"), "redis.conf"]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=home, env=environment, stdout=pipe, stderr=pipe, text=True)


@contextmanager
def server(home: Path, password: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """The service's redis-server, in `home`, until the end of the block."""
    with start(home, password, **variables) as process:
        try:
            wait_until_ready(process)
            yield process
        finally:
            process.kill()


def wait_until_ready(process: subprocess.Popen[str]) -> None:
    """Read the server's log, always; fail with it when the server does not accept connections."""
    assert process.stdout
    log = Log(process.stdout, Server.READY)
    log.start()
    log.ready.wait(START_WITHIN_S)
    if not log.accepts:
        pytest.fail(log.newest())


def client(home: Path, password: str | None, user: str | None = None) -> redis.Redis:
    """A client that reports the first refusal; the default one tries for seconds."""
    once, socket = Retry(NoBackoff(), 0), f"{home}/socket"
    return redis.Redis(unix_socket_path=socket, username=user, password=password, decode_responses=True, retry=once)


def store_price(home: Path, password: str, time_ms: int) -> None:
    """Write a price as the collector may."""
    with client(home, password, "btcts") as connection:
        connection.ts().madd([("btc:price:tick", time_ms, 64123.45)])


def in_tracker(command: str, home: Path, password: str) -> bool:
    """Tell whether a shell command succeeds with the environment that Compose gives the tracker."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    address = {"REDIS_URL": f"unix://{home}/socket", "REDIS_USERNAME": "btcts", "REDIS_PASSWORD": password}
    environment = {"PATH": path, "HOME": str(home), "BTCTS_EMBEDDED": "0", **address}
    return subprocess.run(["sh", "-c", command], cwd=home, env=environment, check=False).returncode == 0


@pytest.mark.server
def test_redis_conf_keeps_the_data_and_the_rules(home: Path) -> None:
    with server(home, "secret"), client(home, "secret") as connection:
        settings = connection.config_get()

    assert settings.items() >= {
        ("appendonly", "yes"),
        ("appendfsync", "everysec"),
        ("save", ""),
        ("maxmemory-policy", "noeviction"),
        ("protected-mode", "yes"),
        ("bind", "* -::*"),
    }


@pytest.mark.server
@pytest.mark.parametrize("password", [None, "guess"])
def test_redis_refuses_whoever_lacks_the_password(home: Path, password: str | None) -> None:
    with server(home, "secret"), client(home, password) as connection, pytest.raises(redis.AuthenticationError):
        connection.ping()


@pytest.mark.server
@pytest.mark.parametrize(
    "password",
    [
        "0123",
        "$HOME ${HOME} $$ `id` $(id)",
        "größe",
        "it's",
        "'",
        '"',
        "\\",
        "a\\",
        '\\"',
        " a ",
        "#",
        "\t\\n",
        "%s",
        PRINTABLE,
    ],
)
def test_redis_takes_the_password_as_it_is(home: Path, password: str) -> None:
    with server(home, password), client(home, password) as connection:
        assert connection.ping()


@pytest.mark.server
@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("two\nlines", "a line break"),
        ("secret\n", "a line break"),
        ("two\rlines", "a line break"),
        (" \t ", "a blank"),
        ("", "a blank"),
    ],
)
def test_a_password_that_redis_cannot_have_is_refused_before_it_starts(home: Path, password: str, problem: str) -> None:
    with start(home, password) as process:
        out, err = process.communicate(timeout=START_WITHIN_S)

    assert (process.returncode, out) == (2, "")
    wording.check(problem, err[:-1])


@pytest.mark.server
def test_the_password_shows_in_no_argument_and_no_file(home: Path) -> None:
    with server(home, "secret") as process:
        arguments = subprocess.run(
            ["ps", "-ww", "-o", "args=", "-p", str(process.pid)], capture_output=True, check=True
        )
        files = [file.read_bytes() for file in home.rglob("*") if file.is_file()]

    assert files
    assert b"redis-server" in arguments.stdout
    assert b"secret" not in b"".join([arguments.stdout, *files])


@pytest.mark.server
def test_redis_loses_nothing_when_it_is_killed(home: Path) -> None:
    with server(home, "secret") as process:
        assert in_tracker("btcts init-keys", home, "secret")
        store_price(home, "secret", 60_000)
        with client(home, "secret") as connection:  # a disk that is busy may hold a write back for up to 2 s
            while connection.info("persistence")["aof_buffer_length"]:
                pass
        process.kill()
        process.wait()

    with server(home, "secret"), client(home, "secret") as connection:
        assert connection.ts().get("btc:price:tick") == (60_000, 64123.45)


@pytest.mark.server
def test_redis_is_healthy_for_whoever_has_the_password(home: Path) -> None:
    *_, command, argument = HEALTHCHECKS["redis"]

    with server(home, "secret"), client(home, "secret") as connection:
        assert connection.execute_command(command, argument) == []


@pytest.mark.server
def test_redis_does_not_start_without_the_module(home: Path) -> None:
    with start(home, "secret", module=False) as process:
        out, _ = process.communicate(timeout=START_WITHIN_S)

    assert process.returncode == 1
    assert "ts." in out


@pytest.mark.server
@pytest.mark.parametrize(("age_s", "healthy"), [(0, True), (600, False)], ids=["fresh", "stale"])
def test_the_tracker_is_healthy_while_the_newest_price_is_fresh(home: Path, age_s: int, *, healthy: bool) -> None:
    with server(home, "secret"):
        assert in_tracker("btcts init-keys", home, "secret")
        store_price(home, "secret", int((time.time() - age_s) * 1000))

        assert in_tracker(" ".join(HEALTHCHECKS["price_tracker"][1:]), home, "secret") is healthy


@pytest.mark.server
def test_the_tracker_logs_in_with_the_password_that_redis_took(home: Path) -> None:
    with server(home, PRINTABLE):
        assert in_tracker("btcts init-keys", home, PRINTABLE)


@pytest.mark.server
def test_the_tracker_is_not_healthy_on_an_empty_redis(home: Path) -> None:
    with server(home, "secret"):
        assert not in_tracker(" ".join(HEALTHCHECKS["price_tracker"][1:]), home, "secret")


def test_the_tracker_is_not_healthy_without_its_redis(home: Path) -> None:
    assert not in_tracker(" ".join(HEALTHCHECKS["price_tracker"][1:]), home, "secret")
