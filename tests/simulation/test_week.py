"""Simulated days of every outage, and calm ones; and that the account of a week finds what is wrong.

`python benchmarks/exhaustive.py` lives through both weeks, with a cycle a minute.
"""

import pytest

from simulation import week
from simulation.week import Look, Outage, Week
from support.samples import ALL, DAY
from support.series import HOUR, MIDNIGHT

DAYS = 7 if ALL else 2
NAMES = week.PROVIDERS if ALL else ("coinbase", "bitfinex", "coinmarketcap")
FIRST = (DAY or 0) % 6
"""The first of the days of a week that are lived through."""


@pytest.mark.server
def test_after_each_day_of_outages_all_is_complete_and_right_and_status_told_each_of_them() -> None:
    lived = week.simulate(days=DAYS, interval_s=60 if ALL else 900, names=NAMES, first=FIRST)

    assert lived.wrong == []
    assert [day.unsettled for day in lived.days] == [{"no_trades": 4}] * DAYS
    assert len(lived.outages) == DAYS * (len(NAMES) + 9)


@pytest.mark.server
def test_calm_days_are_never_unhealthy() -> None:
    lived = week.simulate(days=DAYS, interval_s=60 if ALL else 3600, calm=True, names=NAMES if ALL else NAMES[:2])

    assert lived.wrong == []
    assert {look.reasons for look in lived.looks} == {()}


# The account


def looked(*reasons: str | None) -> Week:
    """A week of looks a minute apart, each with this reason; the second to the fifth lie in an outage."""
    outage = Outage("outage", 0, lambda world: None, begun_ms=MIDNIGHT + 60_000, ended_ms=MIDNIGHT + 300_000)
    outage.hours, outage.first_look = 1, 1
    looks = [Look(MIDNIGHT + 60_000 * number, (each,) if each else ()) for number, each in enumerate(reasons)]
    return Week(60.0, looks=looks, outages=[outage])


@pytest.mark.parametrize(
    ("reasons", "wrong"),
    [
        ((None, None, None, "down", "down", None, None, None), []),
        ((None, None, None, None, "down", None, None, None), ["outage: healthy 120 s after its begin"]),
        (
            ("down", None, None, "down", "down", None, None, None),
            ["unhealthy 0.00 h after the first midnight, in calm: down"],
        ),
        ((None, None, None, "down", "down", "down", "down", "down"), []),
        (
            (None, None, None, "down", "down", "down", "down", "down", "down"),
            ["unhealthy 0.13 h after the first midnight, in calm: down"],
        ),
    ],
)
def test_status_has_two_intervals_to_notice_an_outage_and_its_end(
    reasons: tuple[str | None, ...], wrong: list[str]
) -> None:
    assert list(week.misjudged(looked(*reasons))) == wrong


def test_what_is_over_at_once_has_to_be_noticed_at_once() -> None:
    flushed = Outage("FLUSHALL", 0, lambda world: None, begun_ms=MIDNIGHT, ended_ms=MIDNIGHT)
    lived = Week(60.0, looks=[Look(MIDNIGHT, ())], outages=[flushed])

    (line,) = week.misjudged(lived)
    assert line.startswith("FLUSHALL: healthy ")


def test_minutes_that_were_not_settled_after_an_outage_are_found() -> None:
    outage = Outage("outage", 0, lambda world: None, hours=1, begun_ms=MIDNIGHT + 1, ended_ms=MIDNIGHT + HOUR)
    lived = Week(60.0, outages=[outage])

    outage.settled = 58
    (too_few,) = week.unhealed(lived)
    outage.settled = 59

    assert too_few.startswith("outage: 58 of 59 ")
    assert list(week.unhealed(lived)) == []


def test_more_requests_than_a_provider_takes_are_found() -> None:
    lived = Week(60.0)
    lived.in_a_minute.update({("bitfinex", 1): 30, ("kraken", 1): 61, ("kraken", 2): 60})
    lived.at_once.update(coinbase=11)

    in_a_minute, at_once = week.immodest(lived)
    assert in_a_minute.startswith("kraken: 61 ")
    assert at_once.startswith("coinbase: 11 ")
