"""`btcts verify` as a process: exit code, stdout and stderr."""

import json
from typing import Any

import jsonschema
import redis

from btcts.config import BTC_USD
from btcts.render.verify import verify_json, verify_text
from btcts.services.verify.buckets import Finding
from btcts.services.verify.run import Heard, Verified, Witness
from btcts.services.verify.upstream import Answers, Comparison
from cli.conftest import Btcts
from support.schemas import read_schema
from support.series import HOUR, MINUTE, TICK, put, samples

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
    assert f"({start}): is not what its ticks make (stored 1.0, expected " in first
    assert "btcts verify --repair" in last
    assert repaired.out.splitlines() == [first, "1 finding, put right"]


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

    text, found = verify_text(verified), document(verify_json(verified, BTC_USD))

    line = "btc:price:tick at (9223372036854775807): lies in the future (stored 5.0)"
    assert text.splitlines() == [line, "1 finding; left after the repair: 1", line]
    assert found["left"][0]["start"] is None


def change_a_tick(client: redis.Redis) -> tuple[int, float]:
    """Change the close of a minute of an hour ago, within the range of its candle; the minute and the right price."""
    ticks = samples(client, TICK)
    minute = max(ticks) // MINUTE * MINUTE - HOUR
    low, high, close = (ticks[minute + offset] for offset in (20_000, 40_000, 59_999))
    put(client, TICK, {minute + 59_999: low if close != low else high})
    return minute, close


def test_upstream_a_collected_store_is_right_and_it_says_what_was_compared(btcts: Btcts) -> None:
    btcts("collect", "--once")

    done = btcts("verify", "--upstream")

    assert (done.code, done.err) == (0, "")
    local, compared, left_out = done.out.splitlines()
    assert local.endswith("keys and rules match the layout")
    assert compared.startswith("compared 14")
    assert "with coinbase, kraken, bitstamp, bitfinex, gemini in 1" in compared
    assert compared.endswith(" requests; damaged: none")
    assert left_out.endswith("left out: collectors may still correct them")


def test_upstream_a_changed_tick_is_named_and_exits_1_until_it_is_repaired(btcts: Btcts, client: redis.Redis) -> None:
    btcts("collect", "--once")
    minute, price = change_a_tick(client)

    local, found = btcts("verify"), btcts("verify", "--upstream")
    repaired, again = btcts("verify", "--upstream", "--repair"), btcts("verify", "--upstream")

    assert [each.code for each in (local, found, repaired, again)] == [0, 1, 0, 0]
    first, count, compared, *_ = found.out.splitlines()
    assert first.startswith(f"{TICK} ")
    assert f"({minute}): its close is not what the providers agree on (stored " in first
    assert first.endswith(f", expected {price})")
    assert count == "1 finding, nothing was changed; btcts verify --upstream --repair puts them right"
    assert compared.endswith("; damaged: 1")
    assert repaired.out.splitlines()[:2] == [first, "1 finding, put right"]
    assert samples(client, TICK)[minute + 59_999] == price


def test_upstream_the_json_is_what_its_schema_says(btcts: Btcts, client: redis.Redis) -> None:
    btcts("collect", "--once")
    minute, price = change_a_tick(client)

    found = document(btcts("verify", "--upstream", "--format", "json").out)

    (finding,) = found["findings"]
    assert (finding["start_ms"], finding["field"], finding["expected"]) == (minute, "close", price)
    assert found["upstream"]["compared"] > 1400
    assert [each["provider"] for each in found["upstream"]["providers"]][:2] == ["coinbase", "kraken"]
    assert document(btcts("verify", "--format", "json").out)["upstream"] is None


def test_upstream_without_an_answer_exits_4_with_each_reason_in_one_line(btcts: Btcts, client: redis.Redis) -> None:
    btcts("collect", "--once")

    done = btcts("verify", "--upstream", BTCTS_COLLECT_PROVIDERS="coinbase,kraken", **DOWN)
    quiet = btcts("verify", "--upstream", "-q", "--format", "json", BTCTS_COLLECT_PROVIDERS="coinbase,kraken", **DOWN)

    assert (done.code, quiet.code) == (4, 4)
    assert len(done.out.splitlines()) == len(done.err.splitlines()) == len(quiet.err.splitlines()) == 1
    assert done.err.startswith("btcts: compared nothing upstream: no provider answered; coinbase: ")
    assert "kraken: " in done.err
    assert document(quiet.out)["upstream"]["problem"] in done.err


def test_doubts_are_counted_and_named_where_that_is_wanted() -> None:
    minute = 1_767_270_000_000
    doubt = Finding(TICK, "its low is not what the providers agree on", minute, stored=5.0, expected=4.0, field="low")
    answers = Answers(range(0), 0, frozenset(), ())
    heard = Heard(answers, (Witness("coinbase", 1, 2), Witness("kraken", silence="HTTP 503")), None)
    comparison = Comparison((), (doubt, doubt), 1, 0, 0, 3, 1, {})
    verified = Verified("here", minute, 9, (), repaired=False, left=(), heard=heard, comparison=comparison)

    brief, full = verify_text(verified).splitlines(), verify_text(verified, verbose=True).splitlines()

    assert brief[1:] == [
        "compared 1 settled minute with coinbase in 2 requests; damaged: none",
        "without kraken: HTTP 503",
        "1 minute in doubt: damaged, or settled by providers that do not answer now; -v names them",
        "3 minutes left out: the providers agree on no candle",
        "1 minute not settled although there are candles; btcts collect --once settles them",
    ]
    assert full[-1] == (
        f"{TICK} 2026-01-01T12:20:00Z ({minute}): its low is not what the providers agree on (stored 5.0, expected 4.0)"
    )
    assert document(verify_json(verified, BTC_USD))["upstream"]["doubts"][0]["field"] == "low"
