"""The line of a cycle."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btcts.config import BTC_USD
from btcts.domain.model import Tick
from btcts.errors import Problem
from btcts.render.collect import cycle_json, cycle_line
from btcts.services.collect.cycle import Cycle
from render.views import NOW_MS

MINUTE_MS = 60_000

FIVE = ("coinbase", "kraken", "bitstamp", "bitfinex", "gemini")


def stored(**fields: object) -> Cycle:
    """A cycle that stored a price all five agreed on, but for `fields`."""
    usual: dict[str, object] = {"stored": Tick(NOW_MS, 64_123.45), "members": FIVE, "took_ms": 412}
    return Cycle(NOW_MS, **usual | fields)


def test_a_quiet_cycle_says_the_price_and_who_agreed() -> None:
    line = cycle_line(stored(settled=1), BTC_USD, utc=True)

    assert line == ("16:22:10Z  64,123.45  5 agree: coinbase kraken bitstamp bitfinex gemini  settled 1  (412 ms)")


def test_times_are_local_unless_utc_is_asked_for(set_zone: Callable[[str], None]) -> None:
    set_zone("Asia/Kathmandu")

    assert cycle_line(stored(), BTC_USD, utc=False).startswith("22:07:10  ")


def test_an_eventful_cycle_says_everything_in_one_line() -> None:
    cycle = stored(
        members=("coinbase", "kraken", "bitstamp"),
        deviating=(("bitstamp", 0.0234),),
        refused=(("gemini", "last trade 305 s ago"), ("bitfinex", "no answer in 5 s")),
        waiting=(("coinmarketcap", NOW_MS + 3 * MINUTE_MS, "budget"),),
        settled=12,
        unsettled=3,
        repaired=("created btc:price:tick", "added 10 rules"),
    )

    line = cycle_line(cycle, BTC_USD, utc=True)

    assert line == (
        "16:22:10Z  64,123.45  3 agree: coinbase kraken bitstamp  deviating: bitstamp +2.34%  "
        "refused: gemini (last trade 305 s ago), bitfinex (no answer in 5 s)  "
        "waiting: coinmarketcap until 16:25:10Z (budget)  settled 12  unsettled 3  "
        "repaired: created btc:price:tick, added 10 rules  (412 ms)"
    )


@pytest.mark.parametrize("flag", ["single", "disputed"])
def test_a_price_that_is_not_agreed_by_many_is_flagged(flag: str) -> None:
    line = cycle_line(stored(flag=flag, members=("kraken",)), BTC_USD, utc=True)

    assert line == f"16:22:10Z  64,123.45  {flag}: kraken  (412 ms)"


def test_a_cycle_without_a_price_says_why_and_what_each_provider_said() -> None:
    cycle = Cycle(
        NOW_MS,
        problem="every provider failed",
        refused=(("coinbase", "no answer in 5 s"), ("kraken", "HTTP 503")),
        took_ms=5_003,
    )

    line = cycle_line(cycle, BTC_USD, utc=True)

    assert line == (
        "16:22:10Z  no price: every provider failed; coinbase: no answer in 5 s; kraken: HTTP 503  (5003 ms)"
    )


def test_a_price_that_could_not_be_stored_is_said_to_wait_in_the_spool_and_why() -> None:
    cycle = stored(stored=None, spooled=Tick(NOW_MS, 64_123.45), problem="no Redis answers", members=("kraken",))

    line = cycle_line(cycle, BTC_USD, utc=True)

    assert line == "16:22:10Z  64,123.45  1 agree: kraken  waits in the spool: no Redis answers  (412 ms)"


def test_a_price_that_was_stored_does_not_hide_a_problem_that_came_after_it() -> None:
    line = cycle_line(stored(problem="Redis is out of memory", flag="single", members=("kraken",)), BTC_USD, utc=True)

    assert line == "16:22:10Z  64,123.45  single: kraken  problem: Redis is out of memory  (412 ms)"


def test_what_came_out_of_the_spool_is_counted() -> None:
    line = cycle_line(stored(members=("kraken",), flag="single", unspooled=7, torn=1), BTC_USD, utc=True)

    assert line == (
        "16:22:10Z  64,123.45  single: kraken  from the spool 7  damaged lines dropped from the spool 1  (412 ms)"
    )


def test_a_cycle_in_which_nobody_is_due_says_when_the_next_is() -> None:
    cycle = Cycle(NOW_MS, waiting=(("coinmarketcap", NOW_MS + 10 * 60 * MINUTE_MS, ""),), took_ms=3)

    line = cycle_line(cycle, BTC_USD, utc=True)

    assert line == "16:22:10Z  no provider is due  waiting: coinmarketcap until 2026-01-15 02:22:10Z  (3 ms)"


def unreachable(provider: str, cause: str, why: str) -> tuple[str, str]:
    return provider, Problem(f"no answer from https://{provider}.example/ticker ({why})", cause, why)


UNRESOLVED = (
    "bitstamp, kraken, coinbase: their names are not resolved (name or service not known); "
    "check the network and its name servers (-v names each)"
)


def test_what_several_providers_fail_with_is_said_once_with_the_next_step() -> None:
    refused = [unreachable(name, "names", "name or service not known") for name in ("bitstamp", "kraken", "coinbase")]
    cycle = Cycle(NOW_MS, problem="usable prices: 0, needed: 1", refused=(*refused, ("gemini", "HTTP 500")))

    line, verbose = (cycle_line(cycle, BTC_USD, utc=True, verbose=wanted) for wanted in (False, True))

    assert line == f"16:22:10Z  no price: usable prices: 0, needed: 1; {UNRESOLVED}; gemini: HTTP 500  (0 ms)"
    assert "https://bitstamp.example" in verbose
    assert "https://kraken.example" in verbose


def test_a_cause_that_a_price_had_to_do_without_is_said_once_too() -> None:
    refused = tuple(unreachable(name, "proxy", "the proxy h:1 of HTTPS_PROXY: timed out") for name in "abc")

    line = cycle_line(stored(refused=refused), BTC_USD, utc=True)

    assert "refused: a, b, c (the proxy h:1 of HTTPS_PROXY: timed out; correct or unset that variable (-v names" in line


def test_two_that_fail_alike_keep_their_own_words() -> None:
    refused = tuple(unreachable(name, "refused", "connection refused") for name in ("kraken", "gemini"))

    line = cycle_line(Cycle(NOW_MS, problem="x", refused=refused), BTC_USD, utc=True)

    assert "; kraken: no answer from https://kraken.example/ticker (connection refused); gemini: no answer" in line


@pytest.mark.parametrize("cause", ["names", "route", "refused", "certificate", "proxy", "slow"])
def test_one_failure_is_said_in_its_own_words(cause: str) -> None:
    provider, why = unreachable("kraken", cause, "whatever")

    assert f"; kraken: {why}  (" in cycle_line(
        Cycle(NOW_MS, problem="x", refused=((provider, why),)), BTC_USD, utc=True
    )


def test_a_document_has_each_reason_in_full() -> None:
    refused = tuple(unreachable(name, "names", "whatever") for name in ("a", "b"))

    document = json.loads(cycle_json(Cycle(NOW_MS, problem="x", refused=refused), BTC_USD))

    assert [entry["reason"] for entry in document["refused"]] == [why for _, why in refused]


def test_line_breaks_and_escapes_in_a_message_do_not_reach_the_terminal() -> None:
    cycle = stored(refused=(("kraken", "bad\r\nanswer\x1b[31m\u2028end"),))

    assert "refused: kraken (bad  answer [31m end)" in cycle_line(cycle, BTC_USD, utc=True)


@given(st.text(), st.text())
def test_a_line_is_one_printable_line_whatever_a_provider_says(problem: str, why: str) -> None:
    line = cycle_line(Cycle(NOW_MS, problem=problem, refused=(("kraken", why),)), BTC_USD, utc=True)

    assert line.isprintable()


@given(st.text(), st.text())
def test_json_is_one_line_that_keeps_every_character(problem: str, why: str) -> None:
    text = cycle_json(Cycle(NOW_MS, problem=problem, refused=(("kraken", why),)), BTC_USD)

    assert len(text.splitlines()) == 1
    assert json.loads(text)["problem"] == problem
    assert json.loads(text)["refused"] == [{"provider": "kraken", "reason": why}]


def test_json_says_everything_the_cycle_knows() -> None:
    cycle = stored(
        flag="disputed",
        deviating=(("bitstamp", -0.0125),),
        waiting=(("coinmarketcap", NOW_MS + MINUTE_MS, "budget"),),
        settled=2,
        corrected=3,
        reopened=4,
        unsettled=1,
        thin=5,
        repaired=("added 10 rules",),
        unspooled=7,
        torn=1,
        others=("kraken",),
    )

    assert json.loads(cycle_json(cycle, BTC_USD)) == {
        "schema": 1,
        "market": "BTC-USD",
        "time_ms": NOW_MS,
        "time": "2026-01-14T16:22:10Z",
        "stored": {"time_ms": NOW_MS, "price": 64_123.45},
        "spooled": None,
        "members": list(FIVE),
        "flag": "disputed",
        "deviating": [{"provider": "bitstamp", "deviation": -0.0125}],
        "refused": [],
        "waiting": [{"provider": "coinmarketcap", "not_before_ms": NOW_MS + MINUTE_MS, "reason": "budget"}],
        "settled": 2,
        "corrected": 3,
        "reopened": 4,
        "unsettled": 1,
        "thin": 5,
        "repaired": ["added 10 rules"],
        "unspooled": 7,
        "torn": 1,
        "others": ["kraken"],
        "problem": None,
        "took_ms": 412,
    }


def test_json_tells_a_price_that_waits_from_one_that_is_stored() -> None:
    document = json.loads(cycle_json(stored(stored=None, spooled=Tick(NOW_MS, 64_123.45)), BTC_USD))

    assert (document["stored"], document["spooled"]) == (None, {"time_ms": NOW_MS, "price": 64_123.45})


def test_json_of_a_cycle_without_a_price_has_null_for_it() -> None:
    assert json.loads(cycle_json(Cycle(NOW_MS, problem="no answer"), BTC_USD))["stored"] is None
