"""`btcts demo`."""

from pathlib import Path
from xml.etree import ElementTree

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


def test_the_picture_is_that_of_a_terminal_with_all_three_pages(btcts: Btcts, tmp_path: Path) -> None:
    done = btcts("demo", "--svg", "terminal.svg", BTCTS_REDIS_SERVER=str(binaries().server), REDIS_URL=None)

    picture = ElementTree.parse(tmp_path / "terminal.svg")
    text = " ".join("".join(each.itertext()) for each in picture.iter("{http://www.w3.org/2000/svg}text"))
    assert done.code == 0, done.err
    assert "the picture is in terminal.svg" in done.err
    told = ["btcts show", "btcts show 15min", "btcts show hour --chart", "24 h low", "Parkinson"]
    assert [each for each in told if each not in text.replace("\xa0", " ")] == []
    assert "@font-face" not in (tmp_path / "terminal.svg").read_text()
