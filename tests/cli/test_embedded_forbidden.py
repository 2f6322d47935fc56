"""No command fetches or starts an embedded Redis where it is forbidden, whatever its purpose."""

from pathlib import Path

import pytest

from cli.conftest import Btcts
from support.redis_binaries import binaries

RUNNING = ("server install", "server start", "server run", "demo", "demo --svg -")
NAMES_A_REDIS = (None, "redis://127.0.0.1:9")


@pytest.mark.parametrize("url", NAMES_A_REDIS, ids=["no-redis", "a-redis"])
@pytest.mark.parametrize("command", RUNNING)
def test_a_command_that_would_run_one_is_refused_and_leaves_nothing(
    btcts: Btcts, tmp_path: Path, command: str, url: str | None
) -> None:
    done = btcts(*command.split(), BTCTS_EMBEDDED="0", BTCTS_REDIS_SERVER=str(binaries().server), REDIS_URL=url)

    assert (done.code, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1
    assert "forbidden (environment BTCTS_EMBEDDED)" in done.err
    assert not (tmp_path / "data").exists()


def test_a_file_forbids_it_as_well_and_is_named(btcts: Btcts, tmp_path: Path) -> None:
    (tmp_path / "btcts.toml").write_text("[embedded]\nenabled = false\n")

    done = btcts("server", "install", REDIS_URL=None)

    assert (done.code, done.out) == (2, "")
    assert "forbidden (btcts.toml)" in done.err


def test_the_environment_allows_what_a_file_forbids(btcts: Btcts, tmp_path: Path) -> None:
    (tmp_path / "btcts.toml").write_text("[embedded]\nenabled = false\n")

    done = btcts("demo", BTCTS_EMBEDDED="1", BTCTS_REDIS_SERVER=str(binaries().server), REDIS_URL=None)

    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize("url", NAMES_A_REDIS, ids=["no-redis", "a-redis"])
@pytest.mark.parametrize(("command", "code"), [("server status", 1), ("server stop", 0)])
def test_what_only_looks_for_one_or_ends_it_is_answered(btcts: Btcts, command: str, code: int, url: str | None) -> None:
    done = btcts(*command.split(), BTCTS_EMBEDDED="0", REDIS_URL=url)

    assert (done.code, done.err) == (code, "")
