"""The README tells the truth; `python tests/test_readme.py` writes the tables that are derived from the code."""

import re
from pathlib import Path

import pytest

from btcts import cli, errors
from btcts.config import table
from btcts.domain.layout import Layout
from btcts.providers import default_endpoints
from test_api import EXAMPLE

README = Path(__file__).parent.parent / "README.md"


def layout_table() -> str:
    """The series, as the layout has them."""
    layout = Layout()
    rows = ["| key | what | one entry per | closed entries | retention (ms) |", "|---|---|---|---|---|"]
    source, *compactions = layout.definitions
    rows.append(f"| `{source.key}` | every observed price | price | 26 h | {source.retention_ms} |")
    for each, definition in zip(layout.compactions, compactions, strict=True):
        bucket = each.resolution
        length = f"{bucket.bucket_ms // 60_000} min" if bucket.bucket_ms < 3_600_000 else "hour"
        what = f"{each.aggregator} of the ticks"
        rows.append(f"| `{each.key}` | {what} | {length} | {bucket.entries} | {definition.retention_ms} |")
    return "\n".join(rows)


def settings_table() -> str:
    """The settings, those of the providers in one row each."""
    rows = ["| setting | variable | default | what it is |", "|---|---|---|---|"]
    for each in table(default_endpoints()).values():
        if each.name.startswith("providers.") and not each.name.startswith("providers.kraken."):
            continue
        default = ", ".join(each.default) if isinstance(each.default, tuple) else each.default
        default = str(default).lower() if isinstance(default, bool) else default
        shown = "" if each.default is None or isinstance(each.default, Path) else f"`{default}`"
        rows.append(f"| `{each.name}` | `{each.variable}` | {shown} | {each.help} |")
    return "\n".join(rows)


TABLES = {"layout": layout_table, "settings": settings_table}


def between(name: str, text: str) -> str:
    """What stands between the marks of that name."""
    found = re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", text, re.DOTALL)
    assert found, f"the README has no place for {name}"
    return found[1].strip()


@pytest.mark.parametrize("name", TABLES)
def test_the_readme_has_the_table_that_the_code_has(name: str) -> None:
    assert between(name, README.read_text()) == TABLES[name]()


def test_the_readme_names_every_command() -> None:
    text = README.read_text()

    named = [each.name for each in (*cli.app.registered_commands, *cli.app.registered_groups)]

    assert named
    assert [name for name in named if f"`btcts {name}" not in text] == []


def test_the_readme_names_every_exit_code() -> None:
    text = README.read_text()
    kinds = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, errors.BtctsError)]

    codes = {each.exit_code for each in kinds} | {0, cli.UNEXPECTED, cli.UNPRINTABLE, 130}

    assert {code for code in codes if f"\n| {code} | " not in text} == set()


def test_the_readme_names_every_dependency() -> None:
    import tomllib

    project = tomllib.loads((README.parent / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]

    names = [re.split(r"[\[>=]", each)[0] for each in wanted if not each.startswith("types-")]

    text = README.read_text().split("## Built with")[1]
    assert [name for name in names if name not in text] == []


def test_the_example_of_the_readme_is_the_one_that_is_run() -> None:
    assert f"```python\n{EXAMPLE.strip()}\n```" in README.read_text()


def test_the_readme_is_short_enough_to_be_read() -> None:
    assert len(README.read_text().splitlines()) <= 200


if __name__ == "__main__":
    text = README.read_text()
    for name, make in TABLES.items():
        text = text.replace(f"<!-- {name} -->\n{between(name, text)}".rstrip() + "\n", f"<!-- {name} -->\n{make()}\n")
    README.write_text(text)


def test_the_readme_promises_a_typical_exchange_not_the_furthest_price_of_any() -> None:
    text = " ".join(README.read_text().split())

    assert "the median of their lows and of their highs: a single one may have gone further" in text
    assert "collectors that ask the same providers come to the same" in text
    assert "any two collectors" not in text
