"""Every JSON document that a command prints is as its file in `schemas/` says, whatever state Redis is in."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from btcts.cli.main import app
from btcts.embedded import Embedded
from btcts.errors import BtctsError
from support.redis_binaries import binaries
from support.schemas import FOLDER, read_schema

SCHEMAS = {file.stem: read_schema(file.stem) for file in FOLDER.iterdir()}
VALIDATORS = {name: Draft202012Validator(schema) for name, schema in SCHEMAS.items()}

CALLS = (
    ("show 5min", "show"),
    ("show minute --limit 3 --at newest", "show"),
    ("show", "overview"),
    ("price", "price"),
    ("status", "status"),
    ("verify", "verify"),
    ("init-keys --dry-run", "init-keys"),
    ("prune --dry-run", "prune"),
    ("backfill --dry-run", "backfill"),
    ("config show", "config"),
    ("server status", "server-status"),
    ("copy --to REDIS --market-prefix copy:of --dry-run", "copy"),
    ("watch --once --above 1 --move 1/1h --stale", "watch"),
    ("verify --repair", "verify"),
    ("prune", "prune"),
    ("init-keys", "init-keys"),
    ("init-keys --rebuild", "init-keys"),
    ("backfill --hours 1 --overwrite", "backfill"),
    ("copy --to REDIS --market-prefix copy:of", "copy"),
    ("copy --to REDIS --market-prefix copy:of", "copy"),
    ("collect --once", "cycle"),
)
"""Calls and the schema of what they print: first those that only read."""

SERVED = {"health"}
"""The schemas of documents that only `serve` has; `tests/web` checks them."""

DOWN = "http://127.0.0.1:9"
DAY_MS = 86_400_000

Run = Callable[..., list[Any]]


@pytest.fixture
def run(environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a call in this process and take the documents that it prints; keywords change the environment."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ.keys() - environ.keys():
        monkeypatch.delenv(name)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    def documents(call: str, **changes: str) -> list[Any]:
        words = call.replace("REDIS", environ["REDIS_URL"]).split()
        done = CliRunner(env=changes).invoke(app, [*words, "--format", "json"], prog_name="btcts")
        assert isinstance(done.exception, SystemExit | BtctsError | None), done.exception
        return [json.loads(line) for line in done.stdout.splitlines()]

    return documents


def faults(schema: str, document: Any) -> Iterator[str]:
    """List the differences of the document from the schema."""
    for error in VALIDATORS[schema].iter_errors(document):
        yield f"{schema}: {error.json_path}: {error.message}"


def now_ms(client: redis.Redis) -> int:
    seconds, _ = client.time()
    return int(seconds) * 1000


def empty(run: Run, client: redis.Redis) -> None:
    """Nothing is stored."""


def full(run: Run, client: redis.Redis) -> None:
    """A day is stored and settled."""
    run("collect --once")


def gaps(run: Run, client: redis.Redis) -> None:
    """One provider, which does not reach back a day."""
    run("collect --once --provider kraken")


def polls(run: Run, client: redis.Redis) -> None:
    """A price without candles."""
    run("collect --once --provider coinmarketcap")


def failing(run: Run, client: redis.Redis) -> None:
    """A day is stored, then the providers stop to answer."""
    run("collect --once --provider kraken")
    run("collect --once --provider kraken", BTCTS_PROVIDERS_KRAKEN_URL=DOWN)


def damaged(run: Run, client: redis.Redis) -> None:
    """A series is missing, one is altered, one holds a value that no tick made, and a key is not ours."""
    run("collect --once")
    quarter_ms = now_ms(client) // 900_000 * 900_000
    client.delete("btc:price:hour:max")
    client.execute_command("TS.ALTER", "btc:price:minute", "RETENTION", 1000)
    client.execute_command("TS.ADD", "btc:price:15min", quarter_ms - 900_000, 1.5, "ON_DUPLICATE", "LAST")
    client.execute_command("TS.ADD", "btc:price:tick", quarter_ms - 30_000, 1e7)
    client.set("btc:price:1h", "of another program")


def outdated(run: Run, client: redis.Redis) -> None:
    """A feed that died."""
    run("init-keys")
    for minute in range(3):
        client.execute_command("TS.ADD", "btc:price:tick", now_ms(client) - 9 * DAY_MS + minute * 60_000, 60_000)


def poisoned(run: Run, client: redis.Redis) -> None:
    """Ticks from the future."""
    run("collect --once")
    for day in (30, 31):
        client.execute_command("TS.ADD", "btc:price:tick", now_ms(client) + day * DAY_MS, 60_000)


def foreign(run: Run, client: redis.Redis) -> None:
    """Another program uses one of our names."""
    client.set("btc:price:tick", "of another program")


STATES = (empty, full, gaps, polls, failing, damaged, outdated, poisoned, foreign)


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_what_commands_print_is_as_their_schemas_say(
    state: Callable[[Run, redis.Redis], None], run: Run, client: redis.Redis
) -> None:
    state(run, client)

    printed = [(schema, document) for call, schema in CALLS for document in run(call)]

    assert [fault for schema, document in printed for fault in faults(schema, document)] == []
    assert state is not full or {schema for schema, _ in printed} == set(SCHEMAS) - SERVED


def test_a_key_that_is_moved_out_of_the_way_is_as_the_schema_says(run: Run, client: redis.Redis) -> None:
    foreign(run, client)

    (document,) = run("init-keys --adopt")

    assert list(faults("init-keys", document)) == []
    assert document["renamed"] == [{"from": "btc:price:tick", "to": "btc:price:tick:before-btcts"}]


def test_a_bucket_beyond_the_calendar_has_no_date(run: Run, client: redis.Redis) -> None:
    run("init-keys")
    for microseconds in (now_ms(client) * 1000, now_ms(client) * 1000 + DAY_MS):
        client.execute_command("TS.ADD", "btc:price:tick", microseconds, 60_000)

    (document,) = run("prune --dry-run")

    assert list(faults("prune", document)) == []
    assert {each["first"] for each in document["removed"]} == {None}


def test_a_price_that_waits_on_the_disk_is_as_the_schema_says(run: Run, tmp_path: Path) -> None:
    (document,) = run("collect --once", REDIS_URL=f"unix://{tmp_path}/nobody")

    assert list(faults("cycle", document)) == []
    assert document["spooled"]["price"] > 0


def test_an_embedded_redis_is_as_the_schema_says_whether_it_runs_or_not(
    run: Run, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    embedded = Embedded(tmp_path / "data", redis_server=binaries().server)
    request.addfinalizer(embedded.discard)

    before = run("server status")
    embedded.start(print)
    running = run("server status")
    embedded.stop()
    stopped = run("server status")

    documents = [*before, *running, *stopped]
    assert [fault for each in documents for fault in faults("server-status", each)] == []
    assert [each["running"] for each in documents] == [False, True, False]
    assert [each["stopped"] for each in documents] == [False, False, True]


@pytest.mark.parametrize(
    "changes",
    [
        {"REDIS_URL": "rediss://user:hunter2@redis.example:6380/3", "API_KEY": "hunter2"},
        {"REDIS_URL": "", "REDIS_HOST": "redis", "REDIS_PASSWORD": "hunter2"},
        {"REDIS_URL": "", "BTCTS_REDIS_SERVER": "/usr/bin/redis-server"},
    ],
    ids=["a URL", "a host", "the embedded one"],
)
def test_settings_are_as_the_schema_says_and_without_secrets(run: Run, changes: dict[str, str]) -> None:
    (document,) = run("config show", **changes)

    assert list(faults("config", document)) == []
    assert "hunter2" not in json.dumps(document)


def objects(node: Any) -> Iterator[dict[str, Any]]:
    """The schemas of objects anywhere in a schema."""
    if isinstance(node, dict):
        if node.get("type") == "object":
            yield node
        for each in node.values():
            yield from objects(each)
    elif isinstance(node, list):
        for each in node:
            yield from objects(each)


def described(schema: dict[str, Any], field: dict[str, Any]) -> bool:
    """Tell whether a field says what it means, itself or by what it refers to."""
    kind = field.get("$ref", "").rpartition("/")[2]
    return bool(field.get("description") or (kind and schema["$defs"][kind].get("description")))


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_one(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name])

    assert SCHEMAS[name]["title"].startswith("btcts ")
    assert SCHEMAS[name]["description"]


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_leaves_no_field_open_and_none_unexplained(name: str) -> None:
    schema = SCHEMAS[name]

    open_ones = [each for each in objects(schema) if "additionalProperties" not in each]
    fields = [field for each in objects(schema) for field in each.get("properties", {}).items()]

    assert open_ones == []
    assert [key for key, field in fields if not described(schema, field)] == []


@pytest.mark.parametrize("name", SCHEMAS)
def test_times_and_durations_have_their_unit_in_the_name_and_in_words(name: str) -> None:
    words = {"_ms": ("ms", "millisecond", "start", "until", "present", "null"), "_s": ("second",)}

    fields = [field for each in objects(SCHEMAS[name]) for field in each.get("properties", {}).items()]

    unclear = [
        key
        for key, field in fields
        for end, known in words.items()
        if key.endswith(end) and not any(word in field["description"].lower() for word in known)
    ]
    assert unclear == []
