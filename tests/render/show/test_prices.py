"""Which prices a view holds."""

from dataclasses import replace

import pytest

from btcts.domain.model import Tick
from btcts.render.show.prices import choose_places, has_prices
from render.charts import VIEWS
from render.views import NOW_MS


def test_an_empty_view_has_no_prices() -> None:
    assert not has_prices(VIEWS["empty"])


def test_a_newest_price_alone_is_one() -> None:
    assert has_prices(replace(VIEWS["empty"], newest=Tick(NOW_MS, 64_000.0)))


def test_slots_that_outlived_the_newest_price_have_some() -> None:
    assert has_prices(replace(VIEWS["hour"], newest=None))


@pytest.mark.parametrize(("name", "places"), [("hour", 2), ("price-of-one", 4), ("price-of-dust", 8), ("empty", 4)])
def test_the_smallest_price_decides_how_many_decimals_there_are(name: str, places: int) -> None:
    assert choose_places(VIEWS[name]) == places
