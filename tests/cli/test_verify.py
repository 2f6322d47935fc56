"""`btcts verify` as a process: exit code, stdout and stderr."""

import json
from typing import Any

import jsonschema
import redis

from cli.conftest import ALL_PROVIDERS, Btcts
from support.schemas import read_schema
from support.series import HOUR, MINUTE, TICK, put, samples
from support.wording import Wording

wording = Wording(__file__)

HIGHS = "btc:price:hour:max"
DOWN = {f"BTCTS_PROVIDERS_{name}_URL": "http://127.0.0.1:9" for name in ("COINBASE", "KRAKEN")}


def spoil(client: redis.Redis) -> int:
    """Change the value of an old hour; its start."""
    start, _ = client.execute_command("TS.RANGE", HIGHS, "-", "+")[12]
    put(client, HIGHS, {start: 1.0})
    return int(start)


def document(out: str) -> Any:
    found = json.loads(out)
    schema = read_schema("verify")
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
    assert f" ({start}): " in first
    assert "btcts verify --repair" in last
    assert repaired.out.splitlines()[0] == first
    assert len(repaired.out.splitlines()) == 2


def test_quiet_what_is_left_is_printed_and_else_nothing_but_json(btcts: Btcts, client: redis.Redis) -> None:
    btcts("collect", "--once")
    right = btcts("verify", "-q")
    spoil(client)

    wrong, repaired = btcts("verify", "-q"), btcts("verify", "--repair", "-q")

    assert [(each.code, each.out, each.err) for each in (right, repaired)] == [(0, "", "")] * 2
    assert wrong.code == 1
    assert wrong.out.startswith(f"{HIGHS} ")
    assert document(btcts("verify", "-q", "--format", "json").out)["findings"] == []


def test_the_json_is_what_its_schema_says(btcts: Btcts, client: redis.Redis) -> None:
    btcts("collect", "--once")
    start = spoil(client)

    found = document(btcts("verify", "--format", "json").out)
    repaired = document(btcts("verify", "--repair", "--format", "json").out)

    assert found["findings"] == found["left"] == repaired["findings"]
    (finding,) = found["findings"]
    assert [finding[name] for name in ("key", "start_ms", "code", "stored")] == [HIGHS, start, "wrong_bucket", 1.0]
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
    assert [line for line in looked.out.splitlines() if line.startswith(f"{HIGHS}: ")]
    assert (repaired.code, repaired.out) == (3, "")
    assert client.get(HIGHS) == "mine"


def change_a_tick(client: redis.Redis) -> tuple[int, float]:
    """Change the close of a minute of an hour ago, within the range of its candle; the minute and the right price."""
    ticks = samples(client, TICK)
    minute = max(ticks) // MINUTE * MINUTE - HOUR
    low, high, close = (ticks[minute + offset] for offset in (20_000, 40_000, 59_999))
    put(client, TICK, {minute + 59_999: low if close != low else high})
    return minute, close


def test_upstream_a_collected_store_is_right_and_it_says_what_was_compared(btcts: Btcts) -> None:
    asked = {"BTCTS_COLLECT_PROVIDERS": ",".join(ALL_PROVIDERS)}
    btcts("collect", "--once", **asked)

    done = btcts("verify", "--upstream", **asked)

    assert (done.code, done.err) == (0, "")
    local, compared, left_out = done.out.splitlines()
    assert "layout" in local
    assert compared.startswith("compared 14")
    assert all(name in compared for name in ALL_PROVIDERS)
    assert compared.endswith("damaged: none")
    assert "left out" in left_out


def test_upstream_a_changed_tick_is_named_and_exits_1_until_it_is_repaired(btcts: Btcts, client: redis.Redis) -> None:
    btcts("collect", "--once")
    minute, price = change_a_tick(client)

    local, found = btcts("verify"), btcts("verify", "--upstream")
    repaired, again = btcts("verify", "--upstream", "--repair"), btcts("verify", "--upstream")

    assert [each.code for each in (local, found, repaired, again)] == [0, 1, 0, 0]
    first, count, compared, *_ = found.out.splitlines()
    assert first.startswith(f"{TICK} ")
    assert f" ({minute}): " in first
    assert first.endswith(f", expected {price})")
    wording.check("a tick that was changed", count)
    assert compared.endswith("; damaged: 1")
    assert repaired.out.splitlines()[0] == first
    assert samples(client, TICK)[minute + 59_999] == price


def test_upstream_the_json_is_what_its_schema_says(btcts: Btcts, client: redis.Redis) -> None:
    btcts("collect", "--once")
    minute, price = change_a_tick(client)

    found = document(btcts("verify", "--upstream", "--format", "json").out)

    (finding,) = found["findings"]
    assert [finding[name] for name in ("start_ms", "code", "field")] == [minute, "not_agreed", "close"]
    assert finding["expected"] == price
    assert found["upstream"]["compared"] > 1400
    assert [each["provider"] for each in found["upstream"]["providers"]][:2] == ["coinbase", "kraken"]
    assert document(btcts("verify", "--format", "json").out)["upstream"] is None


def test_upstream_without_an_answer_exits_4_with_each_reason_in_one_line(btcts: Btcts, client: redis.Redis) -> None:
    btcts("collect", "--once")

    done = btcts("verify", "--upstream", BTCTS_COLLECT_PROVIDERS="coinbase,kraken", **DOWN)
    quiet = btcts("verify", "--upstream", "-q", "--format", "json", BTCTS_COLLECT_PROVIDERS="coinbase,kraken", **DOWN)

    assert (done.code, quiet.code) == (4, 4)
    assert len(done.out.splitlines()) == len(done.err.splitlines()) == len(quiet.err.splitlines()) == 1
    assert done.err.startswith("btcts: ")
    assert all(f" {name}: " in done.err for name in ("coinbase", "kraken"))
    assert document(quiet.out)["upstream"]["problem"] in done.err
    assert document(quiet.out)["upstream"]["problem_code"] == "no_answer"
