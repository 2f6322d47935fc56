"""The command as its users run it: a process of its own, a real Redis, exchanges on loopback."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.commands import BTCTS, ForkServer
from support.exchanges import Exchanges, SimulatedMarket
from support.leaks import PLANTED_KEY, PLANTED_PASSWORD
from support.networks import AUTHORITY
from support.servers import Server

__all__ = ["BTCTS", "Btcts", "Done"]


@dataclass(frozen=True)
class Done:
    """The end of a command."""

    code: int
    out: str
    err: str


Btcts = Callable[..., Done]

PROVIDERS = ("coinbase", "kraken", "bitstamp")
"""Those that commands ask; a day of candles of two more would take them twice as long."""

ALL_PROVIDERS = (*PROVIDERS, "bitfinex", "gemini")


@pytest.fixture(scope="session")
def exchanges() -> Iterator[Exchanges]:
    """The price APIs on real time."""
    with Exchanges(SimulatedMarket(), now_ms=lambda: time.time_ns() // 1_000_000) as running:
        yield running


@pytest.fixture
def redis_url(server: Server, client: object) -> str:
    """The Redis of the test; a module whose commands need none names a place without one."""
    return f"unix://{server.socket}"


@pytest.fixture
def environ(tmp_path: Path, redis_url: str, exchanges: Exchanges) -> dict[str, str]:
    """An environment that names the Redis of the test and the local exchanges, and nothing of this machine."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BTCTS_", "REDIS_", "API_KEY"))}
    return {
        **kept,
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "BTCTS_DATA_DIR": str(tmp_path / "data"),
        "REDIS_URL": redis_url.replace("://", f"://:{PLANTED_PASSWORD}@"),
        "API_KEY": PLANTED_KEY,
        "BTCTS_COLLECT_PROVIDERS": ",".join(PROVIDERS),
        "COLUMNS": "100",
        "SSL_CERT_FILE": str(AUTHORITY),
        **{f"BTCTS_PROVIDERS_{name.upper()}_URL": exchanges.url(name) for name in (*ALL_PROVIDERS, "coinmarketcap")},
    }


@pytest.fixture
def btcts(environ: dict[str, str], tmp_path: Path, commands: ForkServer) -> Btcts:
    """Run `btcts` with arguments; keywords change the environment, None takes a variable out.

    It is forked where a fork tells the truth; what has to be started truly is run by `subprocess` with `BTCTS`.
    """

    def run(*arguments: str, **changes: str | None) -> Done:
        changed = {name: value for name, value in {**environ, **changes}.items() if value is not None}
        done = commands.run(arguments, env=changed, cwd=tmp_path)
        return Done(done.returncode, done.stdout, done.stderr)

    return run
