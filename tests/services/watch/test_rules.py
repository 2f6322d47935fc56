"""How rules about the price are written."""

import pytest

from btcts.errors import ConfigError
from btcts.services.watch.rules import parse_above, parse_below, parse_moves


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("5/1h", ["move +5/1h", "move -5/1h"]),
        ("5%/60m", ["move +5/1h", "move -5/1h"]),
        ("+2.5/15min", ["move +2.5/15min"]),
        ("-3/90s", ["move -3/90s"]),
        ("-0.5/3600s", ["move -0.5/1h"]),
        ("1/24h", ["move +1/24h", "move -1/24h"]),
        ("+250/2h", ["move +250/2h"]),
    ],
)
def test_a_move_is_named_alike_however_it_is_written(text: str, names: list[str]) -> None:
    assert [rule.name for rule in parse_moves(text)] == names


@pytest.mark.parametrize(("text", "name"), [("100000", "100000"), ("0100.50", "100.5"), ("0.00001", "0.00001")])
def test_a_level_is_named_alike_however_it_is_written(text: str, name: str) -> None:
    assert [parse_above(text).name, parse_below(text).name] == [f"above {name}", f"below {name}"]


@pytest.mark.parametrize(
    "text",
    [
        *("", "5", "5/", "/1h", "5/1", "5/1d", "5/25h", "5/0s", "5/1.5h", "5/99999999999h", "5//1h", "5/1h "),
        *("0/1h", "100/1h", "-100/1h", "+1000/1h", "--5/1h", "x/1h", "nan/1h", "\N{ARABIC-INDIC DIGIT FIVE}/1h"),
    ],
)
def test_a_malformed_move_is_refused_with_the_value_and_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match=r"5/1h") as refusal:
        parse_moves(text)

    assert repr(text) in str(refusal.value)


@pytest.mark.parametrize(
    "text",
    ["", "0", "-5", "nan", "inf", "1e9", "100,000", "100_000", "100k", "1000000000", "\N{ARABIC-INDIC DIGIT FIVE}"],
)
def test_a_malformed_level_is_refused_with_the_value_and_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--above 100000") as refusal:
        parse_above(text)

    assert repr(text) in str(refusal.value)
