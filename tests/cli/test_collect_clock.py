"""`btcts collect` on a machine whose clock is wrong; the Redis server's and the providers' are right."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from btcts.services.collect.spool import Spool
from support.series import TICK, samples
from support.servers import Server, connect

HOUR_S = 3600

STEPPED = (
    "import time; right = time.time; time.time = lambda: right() + {step}; from btcts.cli.main import main; main()"
)
"""The command with the clock of its machine set forward or back; that of Redis and of the providers is right."""


def collect_with(step: int, environ: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", STEPPED.format(step=step), "collect", "--once", "--verbose"]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("step", [HOUR_S, -HOUR_S, 24 * HOUR_S, -24 * HOUR_S])
def test_prices_are_stamped_by_the_clock_of_redis(step: int, server: Server, environ: dict[str, str]) -> None:
    done = collect_with(step, environ)

    with connect(server.socket) as client:
        newest = max(samples(client, TICK))
    assert done.returncode == 0, done.stderr
    assert abs(newest / 1000 - time.time()) < 60


@pytest.mark.parametrize("step", [HOUR_S, -24 * HOUR_S])
def test_while_redis_is_away_no_price_is_kept_with_a_wrong_time(
    step: int, environ: dict[str, str], tmp_path: Path
) -> None:
    environ["REDIS_URL"] = f"unix://{tmp_path}/nobody"

    done = collect_with(step, environ)

    assert done.returncode != 0
    assert "this machine's; " in done.stderr
    assert Spool(tmp_path / "data" / "spool").count() == 0
