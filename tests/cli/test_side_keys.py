"""Every command does its work whatever the side keys say: nobody is stopped from writing, and nobody is banned."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import redis
from typer.main import get_command

from btcts.cli.main import app
from btcts.errors import BtctsError
from cli.conftest import PROVIDERS
from support.samples import take_each
from support.series import TICK

STATE, GAPS = "btc:price:state", "btc:price:gaps"

DEEP = "[" * 3000
LONG = "9" * 5000
LATE = 9_000_000_000_000_000
ESCAPE = "\x1b[2J"

ANYWHERE = ["", "abc", "NaN", "1e400", DEEP, LONG, ESCAPE]

VALUES: dict[str, list[Any]] = {
    "cadence_s": [*ANYWHERE, -1, '"10"', True, 1e18],
    "spacing_s": ["Infinity", None, -5, [1]],
    "last_cycle_ms": ["abc", "1e400", LONG, LATE, -1, 0.5, False],
    "reread_ms": ["Infinity", LATE, "soon", {}],
    "ahead_ms": ["NaN", LATE, '"1"', [0]],
    "pending": [DEEP, 5, [None, None], [LATE, 60_000], [0, "1"], [1, 2, 3], {"time_ms": 1}],
    "members": [DEEP, '"kraken"', [None], [[]], ["\x1b[31m"], ["kraken"] * 1000],
    "simulated": ["abc", 1, "no", None, []],
    "problem": ['"' + "x" * 3_000_000 + '"', '"\\u001b[2J"', 5, [], True],
    "carried": ["abc", DEEP, 5, {"btc:price:hour": 5}, {"btc:price:hour": ["x"]}, {"btc:price:hour": [1e400]}],
    "carried_until_ms": [*ANYWHERE, LATE, -1, "inf", {}],
    "swept_ms": ["abc", LONG, LATE, -1, "²"],
    "rebuild_until_ms": ["abc", LONG, "9000000000000 me", ESCAPE],
    "provider:kraken": [
        *ANYWHERE,
        *(None, [], "x", 5),
        *({name: None} for name in ("not_before_ms", "why", "said_ms")),
        {"not_before_ms": LATE},
        {"not_before_ms": LATE, "said_ms": LATE},
        {"not_before_ms": True},
        {"not_before_ms": "soon", "why": 5},
        {"not_before_ms": 4_000_000_000_000, "said_ms": 1_700_000_000_000},
        {"answered_ms": "now"},
        {"answered_ms": LATE},
        {"credits_left": [], "error": "x" * 1_000_000},
        {"error": ESCAPE},
        {"why": {}, "not_before_ms": 1e15},
    ],
    "provider:" + ESCAPE: [{}],
}
"""By field of the state hash, what it may hold: a text as it is, everything else as JSON."""

LEDGER = [
    ("abc", '["disagree", 1, 0, []]'),
    (LONG, '["disagree", 1, 0, []]'),
    ("-60000", '["disagree", 1, 0, []]'),
    (ESCAPE, ESCAPE),
    ("{minute}", DEEP),
    ("{minute}", '["' + "x" * 1_000_000 + '", 1, 0, []]'),
    ("{minute}", '["disagree", -1, 0, []]'),
    ("{minute}", '["disagree", 1e400, 0, []]'),
    ("{minute}", '["disagree", 1, 9e15, []]'),
    ("{minute}", '[{}, null, true, "x"]'),
    ("{minute}", "NaN"),
]
"""Entries of the ledger; one is about a minute of the window."""

READS = ("status --format json", "show --format json", "verify --format json", "watch --once --above 1")
WRITES = ("init-keys", "prune", "backfill --hours 1 --dry-run", "collect --once --format json")

Run = Callable[..., tuple[int, str]]

SHARES = 4
"""So many tests try the values, as those can run at the same time."""


@pytest.fixture
def run(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process: its exit code, and what it printed."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    command = get_command(app)

    def invoke(line: str) -> tuple[int, str]:
        try:
            code = command.main(line.split(), prog_name="btcts", standalone_mode=False) or 0
        except BtctsError as exc:
            return exc.exit_code, str(exc)
        return code, capsys.readouterr().out

    return invoke


def spell(value: Any) -> str:
    """The value as it lies in the hash."""
    return value if isinstance(value, str) else json.dumps(value)


def hostile(minute_ms: int) -> list[tuple[str, str, str]]:
    """A key, a field of it, and what that may hold."""
    texts = ((name, spell(value)) for name, values in VALUES.items() for value in values)
    ledger = ((name.format(minute=minute_ms), text) for name, text in LEDGER)
    return [*((STATE, name, text) for name, text in texts), *((GAPS, name, text) for name, text in ledger)]


def test_the_hostile_values_are_many() -> None:
    assert len(hostile(0)) >= 90


@pytest.mark.parametrize("share", range(SHARES))
def test_no_side_key_stops_a_command_or_a_provider(client: redis.Redis, run: Run, share: int) -> None:
    assert run("collect --once")[0] == 0
    newest_ms = client.execute_command("TS.GET", TICK)[0]

    values = take_each(hostile(newest_ms - newest_ms % 60_000 - 600_000), 8)
    for key, name, text in values[share::SHARES]:
        said = (key, name[:40], text[:80])
        for command in (*READS, *WRITES):
            client.hset(key, name, text)
            code, out = run(command)
            assert code in (0, 1), (*said, command, code, out)
            if command.startswith("status"):
                assert any(key in reason for reason in json.loads(out)["reasons"]), (*said, out)
            assert "\x1b" not in out, (*said, command)
        cycle = json.loads(out)
        assert cycle["stored"], (*said, cycle)
        assert len(cycle["members"]) == len(PROVIDERS), (*said, cycle)
        assert not client.hexists(key, name) or client.hget(key, name) != text, said

    assert run("status")[0] == 0
    assert "matches" in run("init-keys --dry-run")[1]


def test_verify_takes_out_what_it_names(client: redis.Redis, run: Run) -> None:
    run("collect --once")
    client.hset(STATE, mapping={"cadence_s": "abc", "carried": DEEP, "swept_ms": LONG})
    client.hset(GAPS, "abc", "[]")

    named, repaired = run("verify"), run("verify --repair")

    assert named[0] == 1
    assert all(name in named[1] for name in ("cadence_s", "carried", "swept_ms", "abc"))
    assert repaired[0] == 0
    assert run("verify")[0] == 0


@pytest.mark.parametrize("kind", ["string", "list", "set", "sorted set", "stream"])
@pytest.mark.parametrize("key", [STATE, GAPS])
def test_a_side_key_of_another_type_is_named_and_can_be_put_aside(
    client: redis.Redis, run: Run, key: str, kind: str
) -> None:
    {
        "string": lambda: client.set(key, "x"),
        "list": lambda: client.rpush(key, "x"),
        "set": lambda: client.sadd(key, "x"),
        "sorted set": lambda: client.zadd(key, {"x": 1}),
        "stream": lambda: client.xadd(key, {"x": 1}),
    }[kind]()

    for command in (*READS, *WRITES):
        code, out = run(command)
        assert code in (0, 1, 3), (command, out)
        assert code == 0 or key in out or (code == 3 and "btcts init-keys" in out), (command, code, out)
    assert run("init-keys --adopt")[0] == 0
    assert run("collect --once")[0] == 0
