"""A cycle as a line and as a document."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btcts.config import BTC_USD
from btcts.domain.codes import FaultCode, RepairCode
from btcts.domain.model import StreamState, Tick
from btcts.errors import Problem
from btcts.render.collect import cycle_json, cycle_line
from btcts.render.sentences import describe_repair
from btcts.services.collect.cycle import Cycle
from btcts.store import Fault
from render.snapshot import assert_lines_as_stored
from render.views import NOW_MS
from support.wording import Wording

wording = Wording(__file__)

MINUTE_MS = 60_000

FIVE = ("coinbase", "kraken", "bitstamp", "bitfinex", "gemini")


def stored(**fields: object) -> Cycle:
    """A cycle that stored a price all five agreed on, but for `fields`."""
    usual: dict[str, object] = {"stored": Tick(NOW_MS, 64_123.45), "members": FIVE, "took_ms": 412}
    return Cycle(NOW_MS, **usual | fields)


def test_times_are_local_unless_utc_is_asked_for(set_zone: Callable[[str], None]) -> None:
    set_zone("Asia/Kathmandu")

    assert cycle_line(stored(), BTC_USD, utc=False).startswith("22:07:10  ")


def unreachable(provider: str, cause: str, why: str) -> tuple[str, str]:
    return provider, Problem(f"no answer from https://{provider}.example/ticker ({why})", cause, why)


UNRESOLVED = tuple(unreachable(name, "names", "name or service not known") for name in ("bitstamp", "kraken", "gemini"))

STREAMS = {name: StreamState(NOW_MS - MINUTE_MS, lag) for name, lag in zip(FIVE, (80, 120, 180, 250, 400), strict=True)}

CYCLES = {
    "a quiet cycle": stored(settled=1),
    "an eventful cycle": stored(
        members=("coinbase", "kraken", "bitstamp"),
        deviating=(("bitstamp", 0.0234),),
        refused=(("gemini", "last trade 305 s ago"), ("bitfinex", "no answer in 5 s")),
        waiting=(("coinmarketcap", NOW_MS + 3 * MINUTE_MS, "budget"),),
        settled=12,
        unsettled=3,
        repaired=(Fault("btc:price:hour", FaultCode.MISSING), RepairCode.FUTURE_REMOVED),
    ),
    "one provider alone": stored(flag="single", members=("kraken",)),
    "a dispute": stored(flag="disputed", members=("kraken",)),
    "no price": Cycle(
        NOW_MS,
        problem="every provider failed",
        refused=(("coinbase", "no answer in 5 s"), ("kraken", "HTTP 503")),
        took_ms=5_003,
    ),
    "a price that waits in the spool": stored(
        stored=None, spooled=Tick(NOW_MS, 64_123.45), problem="no Redis answers", members=("kraken",)
    ),
    "a problem after the price was stored": stored(problem="Redis is out of memory"),
    "prices out of the spool": stored(unspooled=7, torn=1),
    "nobody is due until tomorrow": Cycle(
        NOW_MS, waiting=(("coinmarketcap", NOW_MS + 10 * 60 * MINUTE_MS, ""),), took_ms=3
    ),
    "three providers whose names are not resolved": Cycle(
        NOW_MS, problem="usable prices: 0, needed: 1", refused=(*UNRESOLVED, ("coinbase", "HTTP 500"))
    ),
    "a proxy that a price had to do without": stored(
        refused=tuple(unreachable(name, "proxy", "the proxy h:1 of HTTPS_PROXY: timed out") for name in "abc")
    ),
    "two that fail alike keep their own words": Cycle(
        NOW_MS,
        problem="x",
        refused=tuple(unreachable(name, "refused", "connection refused") for name in ("kraken", "gemini")),
    ),
    "all streams whole": stored(streams=STREAMS),
    "one stream": stored(streams={"kraken": StreamState(whole_since_ms=NOW_MS)}),
    "streams that are not whole": stored(
        streams=STREAMS | {"gemini": StreamState(), "kraken": StreamState(problem="connection refused")}
    ),
    "no stream": stored(streams=dict.fromkeys(FIVE, StreamState(problem="connection refused"))),
    "line breaks and escapes in a message": stored(refused=(("kraken", "bad\r\nanswer\x1b[31m\u2028end"),)),
}


def test_what_happened_in_a_cycle_stands_in_its_line() -> None:
    assert_lines_as_stored(
        "lines-cycle", {case: cycle_line(cycle, BTC_USD, utc=True) for case, cycle in CYCLES.items()}
    )


def test_a_line_that_is_verbose_has_each_stream() -> None:
    lagless = {
        "gemini": StreamState(NOW_MS),
        "kraken": StreamState(problem="connection refused"),
        "okay": StreamState(),
    }

    line = cycle_line(stored(streams={**STREAMS, **lagless}), BTC_USD, utc=True, verbose=True)

    wording.check("each stream", line)


def test_many_repairs_are_counted_unless_the_line_is_verbose() -> None:
    cycle = stored(repaired=tuple(Fault(f"btc:price:{key}", FaultCode.MISSING) for key in ("minute", "5min", "hour")))

    line, verbose = (cycle_line(cycle, BTC_USD, utc=True, verbose=wanted) for wanted in (False, True))

    assert "btc:price:5min: " in line
    assert "btc:price:hour: " not in line
    assert " and 1 more " in line
    assert "btc:price:hour: " in verbose
    assert " more " not in verbose


def test_a_line_that_is_verbose_has_the_address_of_each_provider() -> None:
    cycle = CYCLES["three providers whose names are not resolved"]

    line, verbose = (cycle_line(cycle, BTC_USD, utc=True, verbose=wanted) for wanted in (False, True))

    for name, _ in UNRESOLVED:
        assert f"https://{name}.example" in verbose
        assert f"https://{name}.example" not in line


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
    assert [entry["code"] for entry in document["refused"]] == ["names", "names"]


@given(st.text(), st.text())
def test_a_line_is_one_printable_line_whatever_a_provider_says(problem: str, why: str) -> None:
    line = cycle_line(Cycle(NOW_MS, problem=problem, refused=(("kraken", why),)), BTC_USD, utc=True)

    assert line.isprintable()


@given(st.text(), st.text())
def test_json_is_one_line_that_keeps_every_character(problem: str, why: str) -> None:
    text = cycle_json(Cycle(NOW_MS, problem=problem, refused=(("kraken", why),)), BTC_USD)

    assert len(text.splitlines()) == 1
    assert json.loads(text)["problem"] == problem
    assert json.loads(text)["refused"] == [{"provider": "kraken", "code": "failed", "reason": why}]


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
        repaired=(Fault("btc:price:hour", FaultCode.MISSING), RepairCode.FUTURE_REMOVED),
        unspooled=7,
        torn=1,
        others=("kraken",),
        streams={"kraken": StreamState(NOW_MS, 80, NOW_MS - 1, 2, 60, 40, steady=True, problem="")},
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
        "repaired": [describe_repair(repair) for repair in cycle.repaired],
        "repaired_codes": ["missing_series", "future_removed"],
        "unspooled": 7,
        "torn": 1,
        "others": ["kraken"],
        "problem": None,
        "problem_codes": [],
        "took_ms": 412,
        "streams": {
            "kraken": {
                "whole_since_ms": NOW_MS,
                "lag_ms": 80,
                "gap_ms": NOW_MS - 1,
                "reconnects": 2,
                "compared": 60,
                "corrected": 40,
                "steady": True,
                "problem": None,
                "problem_code": None,
            }
        },
    }


def test_json_tells_a_price_that_waits_from_one_that_is_stored() -> None:
    document = json.loads(cycle_json(stored(stored=None, spooled=Tick(NOW_MS, 64_123.45)), BTC_USD))

    assert (document["stored"], document["spooled"]) == (None, {"time_ms": NOW_MS, "price": 64_123.45})


def test_json_of_a_cycle_without_a_price_has_null_for_it() -> None:
    assert json.loads(cycle_json(Cycle(NOW_MS, problem="no answer"), BTC_USD))["stored"] is None
