"""`btcts price` as a process: one number, or the reason why there is none."""

import json

import pytest
import redis

from cli.conftest import PROVIDERS, Btcts
from support.series import TICK
from support.wording import Wording

wording = Wording(__file__)


def put_price(client: redis.Redis, price: float, *, age_s: int = 0) -> None:
    """Store a tick of so many seconds ago."""
    seconds, _ = client.time()
    client.execute_command("TS.ADD", TICK, (int(seconds) - age_s) * 1000, price)


@pytest.mark.parametrize(
    ("price", "printed"), [(61234.56, "61234.56"), (1_234_567.0, "1234567.00"), (0.0712345, "0.07123")]
)
def test_it_prints_one_number_without_separators_of_thousands(
    btcts: Btcts, client: redis.Redis, price: float, printed: str
) -> None:
    put_price(client, price)

    done = btcts("price", LC_ALL="de_DE.UTF-8", LANG="de_DE.UTF-8")

    assert (done.code, done.out, done.err) == (0, f"{printed}\n", "")


def test_a_collected_price_is_the_one_of_show(btcts: Btcts) -> None:
    btcts("collect", "--once")

    document = json.loads(btcts("price", "--format", "json").out)

    shown = json.loads(btcts("show", "hour", "--limit", "1", "--format", "json").out)
    assert document["newest_ms"] > 0
    assert len(document["members"]) == len(PROVIDERS)
    changing = ("generated_ms", "age_s")
    assert {name: document[name] for name in document if name not in changing} == {
        name: shown[name] for name in document if name not in changing
    }


def test_a_stale_price_is_not_printed_and_exits_1_with_the_reason(btcts: Btcts, client: redis.Redis) -> None:
    put_price(client, 60_000.0, age_s=60)

    fresh, stale = btcts("price"), btcts("price", "--max-age", "30")
    document = btcts("price", "--max-age", "30", "--format", "json")

    assert (fresh.code, fresh.out) == (0, "60000.00\n")
    assert (stale.code, stale.out) == (1, "")
    assert len(stale.err.splitlines()) == 1
    assert "the limit is 30 s" in stale.err
    assert (document.code, json.loads(document.out)["stale"], document.err[:7]) == (1, True, "btcts: ")


def test_an_empty_store_has_no_price(btcts: Btcts) -> None:
    done, document = btcts("price"), btcts("price", "--format", "json")

    assert (done.code, done.out) == (1, "")
    wording.check("no price", done.err[:-1])
    assert (document.code, json.loads(document.out)["price"]) == (1, None)


@pytest.mark.parametrize(
    ("price", "age_s", "reason"), [(60_000.0, -3600, "in the future"), (-4.0, 0, "is not a price")]
)
def test_what_cannot_be_the_price_of_now_is_refused(
    btcts: Btcts, client: redis.Redis, price: float, age_s: int, reason: str
) -> None:
    put_price(client, price, age_s=age_s)

    done = btcts("price")

    assert (done.code, done.out) == (1, "")
    assert len(done.err.splitlines()) == 1
    assert reason in done.err


def test_simulated_prices_are_called_so_beside_the_number(btcts: Btcts, client: redis.Redis) -> None:
    put_price(client, 60_000.0)
    client.hset("btc:price:state", "simulated", "true")

    done = btcts("price")

    assert (done.code, done.out) == (0, "60000.00\n")
    wording.check("simulated prices", done.err[:-1])
    assert btcts("price", "--quiet").err == ""


def test_quiet_the_reason_is_still_said(btcts: Btcts) -> None:
    wording.check("no price", btcts("price", "-q").err[:-1])


def test_without_redis_it_exits_3(btcts: Btcts) -> None:
    done = btcts("price", REDIS_URL="redis://127.0.0.1:9")

    assert (done.code, done.out) == (3, "")
    assert "127.0.0.1:9" in done.err
