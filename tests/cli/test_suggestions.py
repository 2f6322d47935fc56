"""A mistyped call is answered by one line that says what was meant."""

import pytest

from btcts.cli.help import UsageError, explain_mistake
from btcts.cli.main import app
from btcts.domain.layout import RESOLUTIONS
from btcts.errors import ConfigError
from cli.conftest import Btcts
from support.wording import Wording

wording = Wording(__file__)


@pytest.fixture
def redis_url() -> str:
    """No command here needs a Redis."""
    return "unix:///nowhere/redis.sock"


def said(call: str) -> str:
    """The line about a wrong call."""
    with pytest.raises((UsageError, ConfigError)) as refused:
        app(call.split(), prog_name="btcts", standalone_mode=False)
    return explain_mistake(refused.value) if isinstance(refused.value, UsageError) else str(refused.value)


@pytest.mark.parametrize(
    ("call", "line"),
    [
        ("shwo", "there is no command 'shwo'; did you mean 'show'?"),
        ("SHOW", "there is no command 'SHOW'; did you mean 'show'?"),
        ("initkeys", "there is no command 'initkeys'; did you mean 'init-keys'?"),
        ("server strat", "server has no command 'strat'; did you mean 'start'?"),
        ("config shw", "config has no command 'shw'; did you mean 'show'?"),
        ("help", "there is no command 'help'; see btcts --help"),
    ],
)
def test_a_mistyped_command(call: str, line: str) -> None:
    assert said(call) == line


@pytest.mark.parametrize(
    ("call", "line"),
    [
        ("show --limt 3", "show has no option --limt; did you mean '--limit'?"),
        ("collect --onc", "collect has no option --onc; did you mean '--once'?"),
        ("server start --foo", "server start has no option --foo; see btcts server start --help"),
        ("show -x", "show has no option -x; see btcts show --help"),
        ("--redis unix:///x show", "there is no option --redis here; write it behind the command"),
        ("--versoin", "there is no option --versoin; did you mean '--version'?"),
        ("show --limit", "option '--limit' requires an argument; see btcts show --help"),
    ],
)
def test_a_mistyped_option(call: str, line: str) -> None:
    assert said(call) == line


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("15m", "15min"),
        ("15mn", "15min"),
        ("5m", "5min"),
        ("minutes", "minute"),
        ("1min", "minute"),
        ("1m", "minute"),
        ("Hours", "hour"),
        ("1h", "hour"),
        ("60min", "hour"),
    ],
)
def test_a_mistyped_resolution(typed: str, meant: str) -> None:
    line = said(f"show {typed}")

    assert line.startswith(f"resolution '{typed}' ")
    assert all(f" {name}" in line for name in RESOLUTIONS)
    assert line.endswith(f" mean '{meant}'?")


def test_what_is_like_no_resolution_is_told_all_of_them() -> None:
    line = said("show week")

    assert all(f" {name}" in line for name in RESOLUTIONS)
    wording.check("like no resolution", line)


def test_a_mistyped_format() -> None:
    line = said("status --format jsn")

    assert line.startswith("--format 'jsn' ")
    assert " text, json; " in line
    assert line.endswith(" mean 'json'?")


@pytest.mark.parametrize("command", ["collect --once", "backfill"])
def test_a_mistyped_provider(command: str) -> None:
    line = said(f"{command} --provider krakn")

    assert line.startswith("flag --provider: 'krakn' ")
    assert line.endswith(" mean 'kraken'?")


@pytest.mark.parametrize(
    ("call", "line"),
    [
        ("show --limit 0", "--limit must be at least 1; see btcts show --help"),
        ("show --limit x", "--limit must be a whole number; see btcts show --help"),
        ("show --max-age nan", "--max-age must be at most 86400; see btcts show --help"),
        ("show --interval 0.1", "--interval must be at least 0.2; see btcts show --help"),
        ("show --interval soon", "--interval must be a number; see btcts show --help"),
        ("prune now", "got unexpected extra argument(s) (now); see btcts prune --help"),
    ],
)
def test_another_mistake_is_told_where_to_read_on(call: str, line: str) -> None:
    assert said(call) == line


@pytest.mark.parametrize("typed", [["sh\now"], ["show", "15\nm"], ["show", "--li\nmt"], ["show", "min\x1b[31mute"]])
def test_no_character_that_was_typed_breaks_the_line(btcts: Btcts, typed: list[str]) -> None:
    done = btcts(*typed)

    assert (done.code, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1
    assert done.err[:-1].isprintable()


@pytest.mark.parametrize(
    ("arguments", "changes", "meant"),
    [
        (["shwo"], {}, "'show'"),
        (["show", "15m"], {}, "'15min'"),
        (["config", "show"], {"BTCTS_COLLECT_PROVIDERS": "krakn"}, "'kraken'"),
        (["config", "show"], {"BTCTS_COLECT_QUORUM": "2"}, "'BTCTS_COLLECT_QUORUM'"),
    ],
)
def test_the_command_says_it_on_stderr_and_exits_2(
    btcts: Btcts, arguments: list[str], changes: dict[str, str], meant: str
) -> None:
    done = btcts(*arguments, **changes)

    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("btcts: ")
    assert done.err.endswith(f"; did you mean {meant}?\n")
