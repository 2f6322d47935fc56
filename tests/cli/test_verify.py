"""`btcts verify` as a process: exit code, stdout and stderr."""

import json
from importlib.resources import files
from typing import Any

import jsonschema
import redis

from btcts.auditing import Finding
from btcts.render.findings import verify_json, verify_text
from btcts.services.verify import Verified
from cli.conftest import Btcts
from series import put

HIGHS = "btc:price:hour:max"


def spoil(client: redis.Redis) -> int:
    """Change the value of an old hour; its start."""
    start, _ = client.execute_command("TS.RANGE", HIGHS, "-", "+")[12]
    put(client, HIGHS, {start: 1.0})
    return int(start)


def document(out: str) -> Any:
    found = json.loads(out)
    schema = json.loads(files("btcts").joinpath("schemas", "verify.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(found)
    return found


def test_a_collected_store_is_right(btcts: Btcts) -> None:
    btcts("collect", "--once")

    done = btcts("verify")

    assert (done.code, done.err) == (0, "")
    assert len(done.out.splitlines()) == 1


def test_a_wrong_slot_is_named_and_exits_1_until_it_is_repaired(btcts: Btcts, client: redis.Redis) -> None:
    btcts("collect", "--once")
    start = spoil(client)

    found, repaired, again = btcts("verify"), btcts("verify", "--repair"), btcts("verify")

    assert [each.code for each in (found, repaired, again)] == [1, 0, 0]
    first, last = found.out.splitlines()
    assert first.startswith(f"{HIGHS} ")
    assert f"({start}): is not what its ticks make (stored 1.0, expected " in first
    assert "btcts verify --repair" in last
    assert repaired.out.splitlines() == [first, "1 finding, put right"]


def test_the_json_is_what_its_schema_says(btcts: Btcts, client: redis.Redis) -> None:
    btcts("collect", "--once")
    start = spoil(client)

    found = document(btcts("verify", "--format", "json").out)
    repaired = document(btcts("verify", "--repair", "--format", "json").out)

    assert found["findings"] == found["left"] == repaired["findings"]
    assert [(each["key"], each["start_ms"], each["stored"]) for each in found["findings"]] == [(HIGHS, start, 1.0)]
    assert (repaired["repaired"], repaired["left"]) == (True, [])


def test_looking_writes_nothing(btcts: Btcts, client: redis.Redis) -> None:
    done = btcts("verify")

    assert done.code == 1
    assert len(done.out.splitlines()) == 12
    assert client.keys() == []


def test_a_key_of_somebody_else_is_named_and_its_repair_exits_3(btcts: Btcts, client: redis.Redis) -> None:
    client.set(HIGHS, "mine")

    looked, repaired = btcts("verify"), btcts("verify", "--repair")

    assert looked.code == 1
    assert f"{HIGHS}: was not made by btcts" in looked.out
    assert (repaired.code, repaired.out) == (3, "")
    assert client.get(HIGHS) == "mine"


def test_a_stamp_beyond_the_calendar_can_be_printed() -> None:
    finding = Finding("btc:price:tick", "lies in the future", 9_223_372_036_854_775_807, stored=5.0)
    verified = Verified("here", 0, 1, (finding,), repaired=True, left=(finding,))

    text, found = verify_text(verified), document(verify_json(verified))

    line = "btc:price:tick at (9223372036854775807): lies in the future (stored 5.0)"
    assert text.splitlines() == [line, "1 finding; left after the repair: 1", line]
    assert found["left"][0]["start"] is None
