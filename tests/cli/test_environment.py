"""Commands in surroundings that lack something, or that name what cannot be: one line says so, no traceback."""

import signal
import subprocess
import time
from pathlib import Path

import pytest

from cli.conftest import BTCTS, Btcts
from support.exchanges import Exchanges, Fault


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("REDIS_URL", "redis://redis..internal:6379", "no Redis answers at redis..internal:6379"),
        ("REDIS_HOST", "a" * 64, "no Redis answers at aaaa"),
        ("BTCTS_CONFIG", "~nobody-of-that-name/btcts.toml", "set HOME, or write the path in full"),
        ("API_KEY_FILE", "~nobody-of-that-name/key", "set HOME, or write the path in full"),
    ],
)
def test_a_name_that_cannot_be_is_refused_in_one_line(btcts: Btcts, name: str, value: str, said: str) -> None:
    own: dict[str, str | None] = {given: None for given in ("REDIS_URL", "API_KEY") if given != name}

    done = btcts("status", **{**own, name: value})

    assert done.code in (2, 3)
    assert len(done.err.splitlines()) == 1
    assert said in done.err


def test_a_provider_whose_host_name_cannot_be_fails_alone(btcts: Btcts) -> None:
    done = btcts("collect", "--once", "-v", BTCTS_PROVIDERS_KRAKEN_URL="http://api..kraken.com")

    assert done.code == 0
    assert "refused: kraken (" in done.out
    assert "http://api..kraken.c" in done.out


@pytest.mark.parametrize("command", [["status"], ["config", "path"], ["config", "show"]], ids=" ".join)
def test_a_folder_that_was_deleted_is_said(environ: dict[str, str], tmp_path: Path, command: list[str]) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    line = f"rm -r {folder} && exec {' '.join((*BTCTS, *command))}"

    done = subprocess.run(
        ["sh", "-c", line], env=environ, cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "current folder" in done.stderr


def test_a_data_folder_that_cannot_be_does_no_harm_while_redis_answers(btcts: Btcts) -> None:
    done = btcts("collect", "--once", BTCTS_DATA_DIR="/dev/null/data")

    assert (done.code, done.out, done.err) == (0, "", "")


def test_the_end_waits_for_no_provider_that_hangs(environ: dict[str, str], exchanges: Exchanges) -> None:
    slow = {"BTCTS_PROVIDERS_KRAKEN_TIMEOUT_S": "60"}
    exchanges.fault("kraken", Fault(delay_s=60))
    command = [*BTCTS, "collect", "--forever", "--interval", "1", "--format", "json"]

    with subprocess.Popen(command, env=environ | slow, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout
        running.stdout.readline()
        began = time.monotonic()
        running.send_signal(signal.SIGTERM)
        code = running.wait(30)
    exchanges.fault("kraken", None)

    assert code == 0
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["collect", "--forever", "--jitter", "3"], "--jitter 3 goes with --once"),
        (["collect", "--once", "--no-streams"], "--no-streams goes with --forever"),
        (["collect", "--once", "--streams"], "--streams goes with --forever"),
        (["show", "hour", "--svg", ""], "--svg names no file"),
        (["verify", "-q", "-v"], "--quiet and --verbose contradict each other"),
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("client")
def test_options_that_make_no_sense_are_refused(btcts: Btcts, arguments: list[str], said: str) -> None:
    done = btcts(*arguments)

    assert done.code == 2
    assert len(done.err.splitlines()) == 1
    assert said in done.err


def test_config_init_writes_the_file_that_is_named(btcts: Btcts, tmp_path: Path) -> None:
    done = btcts("config", "init", BTCTS_CONFIG="my.toml")

    assert done.code == 0
    assert (tmp_path / "my.toml").read_text().startswith("#")


def test_config_path_says_which_file_cannot_be_looked_at(btcts: Btcts) -> None:
    done = btcts("config", "path", BTCTS_CONFIG="c" * 300)

    assert done.code == 0
    assert "name too long" in done.out
