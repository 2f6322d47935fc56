"""Commands start as fast as their imports allow."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

HEAVY = ("redis", "httpcore", "websockets", "rich", "pydantic", "click", "pygments", "starlette", "uvicorn")

REPORT = """
import sys
from btcts.cli.main import main
try:
    main()
finally:
    print("imported:", *{name for name, module in sys.modules.items() if module}, file=sys.stderr)
"""


@pytest.fixture
def redis_url() -> str:
    """No command here needs a Redis."""
    return "unix:///nowhere/redis.sock"


def imported(*arguments: str, environ: Mapping[str, str] | None = None) -> set[str]:
    """Which of the heavy packages a command has imported by its end."""
    done = subprocess.run(
        [sys.executable, "-c", REPORT, *arguments],
        env={**os.environ, **(environ or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    packages = done.stderr.rpartition("imported:")[2].split()
    assert "btcts" in packages, done.stderr
    return {name for name in HEAVY if name in packages}


def test_parsing_takes_no_more_of_ours_than_the_called_command() -> None:
    code = (
        "import sys; from btcts.cli.main import app; app(['show', '--help'], standalone_mode=False)\n"
        "print('ours:', *(name for name in sys.modules if name.startswith('btcts.')))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    ).stdout

    names = set(printed.rpartition("ours:")[2].split())

    assert {name for name in names if not name.startswith("btcts.cli")} == {"btcts.errors"}
    assert {name for name in names if name.startswith("btcts.cli.commands.")} == {"btcts.cli.commands.show"}


def test_the_version_is_printed_without_redis_httpcore_and_rich() -> None:
    assert imported("--version") == set()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_imports_neither_redis_nor_httpcore_nor_rich(shell: str) -> None:
    typed = {"COMP_WORDS": "btcts sh", "COMP_CWORD": "1", "_TYPER_COMPLETE_ARGS": "btcts sh"}

    assert imported(environ={"_BTCTS_COMPLETE": f"complete_{shell}", **typed}) == set()


@pytest.mark.parametrize("command", [[], ["show"], ["collect"], ["server"]], ids=["btcts", "show", "collect", "server"])
def test_help_imports_nothing_heavy(command: list[str]) -> None:
    assert imported(*command, "--help") == set()


def test_show_imports_no_httpcore(tmp_path: Path) -> None:
    assert imported("show", "15min", "--limit", "3", "--redis", f"unix://{tmp_path}/nobody") == {"redis"}


def test_a_single_collect_without_a_terminal_imports_no_rich(environ: dict[str, str]) -> None:
    assert imported("collect", "--once", "--provider", "kraken", environ=environ) == {"redis", "httpcore"}


COMMANDS = [
    "backfill --hours 3 --provider kraken",
    "config init --path {folder}/new.toml --config old.toml",
    "config show --format json",
    "copy --to unix://{folder}/other --market-prefix copy:of --dry-run --format json",
    "init-keys --dry-run",
    "price --max-age 60 --format json",
    "prune --format json",
    "server status --format json",
    "show hour --since 6h --max-age 60 --format csv",
    "status --max-age 60 --format json",
    "verify --upstream",
    "watch --above 100000 --once",
]

ONE_AFTER_THE_OTHER = """
import sys
from btcts.cli.main import main
for command in sys.argv[1:]:
    sys.argv[1:] = command.split()
    try:
        main()
    except SystemExit as exc:
        print("ran:", exc.code, "pydantic" in sys.modules, command, file=sys.stderr)
"""


def test_no_option_loads_pydantic(environ: dict[str, str], tmp_path: Path) -> None:
    given = environ | {"REDIS_URL": f"unix://{tmp_path}/nobody", "BTCTS_EMBEDDED": "0"}
    commands = [command.format(folder=tmp_path) for command in COMMANDS]

    done = subprocess.run(
        [sys.executable, "-c", ONE_AFTER_THE_OTHER, *commands],
        env=given,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    ran = [line.split(maxsplit=3) for line in done.stderr.splitlines() if line.startswith("ran:")]
    assert [command for *_, command in ran] == commands, done.stderr
    assert {loaded for _, _, loaded, _ in ran} == {"False"}
