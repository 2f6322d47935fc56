"""`btcts demo`."""

from cli.conftest import Btcts
from redis_binaries import binaries


def test_the_demo_shows_the_overview_a_table_and_a_chart_and_says_what_comes_next(btcts: Btcts) -> None:
    done = btcts("demo", BTCTS_REDIS_SERVER=str(binaries().server), REDIS_URL=None)

    told = ["$ btcts show\n", "24 h low", "$ btcts show 15min\n", "Parkinson", "$ btcts show hour --chart\n", " up"]
    assert done.code == 0, done.err
    places = [done.out.index(each) for each in told]
    assert places == sorted(places)
    assert "simulated" in done.out
    assert done.out.count("btcts collect --once") == 1
