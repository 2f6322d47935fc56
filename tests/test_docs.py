"""README and docs tell the truth; `python tests/test_docs.py` writes the tables that are derived from the code."""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.main import get_command

from btcts import errors
from btcts.cli.main import app
from btcts.config import BTC_USD, list_settings
from btcts.domain.layout import Layout
from btcts.domain.model import REASONS
from btcts.providers import default_endpoints
from test_api import EXAMPLE

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def layout_table() -> str:
    """The series, as the layout has them."""
    layout = Layout(BTC_USD)
    rows = ["| key | what | one entry per | closed entries | retention (ms) |", "|---|---|---|---|---|"]
    source, *definitions = layout.definitions
    rows.append(f"| `{source.key}` | every observed price | price | 26 h | {source.retention_ms} |")
    for compaction, definition in zip(layout.compactions, definitions, strict=True):
        bucket = compaction.resolution
        length = f"{bucket.bucket_ms // 60_000} min" if bucket.bucket_ms < 3_600_000 else "hour"
        what = f"{compaction.aggregator} of the ticks"
        rows.append(f"| `{compaction.key}` | {what} | {length} | {bucket.entries} | {definition.retention_ms} |")
    return "\n".join(rows)


def settings_table() -> str:
    """The settings, those of the providers in one row each."""
    rows = ["| setting | variable | default | what it is |", "|---|---|---|---|"]
    for setting in list_settings(default_endpoints()).values():
        if setting.name.startswith("providers.") and not setting.name.startswith("providers.kraken."):
            continue
        default = ", ".join(setting.default) if isinstance(setting.default, tuple) else setting.default
        default = str(default).lower() if isinstance(default, bool) else default
        shown = "" if setting.default is None or isinstance(setting.default, Path) else f"`{default}`"
        rows.append(f"| `{setting.name}` | `{setting.variable}` | {shown} | {setting.help} |")
    return "\n".join(rows)


TABLES = {"docs/data.md": ("layout", layout_table), "docs/settings.md": ("settings", settings_table)}


def split_at_table(name: str, text: str) -> tuple[str, str, str]:
    """Return what stands before the table of that name, the table, and what stands after it."""
    found = re.fullmatch(rf"(.*<!-- {name} -->\n)(.*?)(<!-- /{name} -->.*)", text, re.DOTALL)
    assert found, f"there is no place for the table {name}"
    before, rows, after = found.groups()
    return before, rows.strip(), after


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings of a page, as they are made from their words."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(("page", "name", "make"), [(page, *value) for page, value in TABLES.items()])
def test_a_page_has_the_table_that_the_code_has(page: str, name: str, make: Callable[[], str]) -> None:
    _, rows, _ = split_at_table(name, (ROOT / page).read_text())

    assert rows == make()


def test_the_readme_has_a_row_for_every_command() -> None:
    text = README.read_text()

    names = list(get_command(app).commands)

    assert names
    assert [name for name in names if not re.search(rf"^\| `btcts {name}\b", text, re.MULTILINE)] == []


def test_every_exit_code_is_documented_and_no_other() -> None:
    text = (ROOT / "docs/commands.md").read_text()

    assert {int(code) for code in re.findall(r"^\| (\d+) \| ", text, re.MULTILINE)} == set(errors.ExitCode)


def test_every_error_ends_with_the_exit_code_that_the_drawing_gives_it() -> None:
    drawn = dict(re.findall(r"(\w+Error) +(\d+)  ", errors.__doc__ or ""))

    assert drawn
    assert {name: getattr(errors, name).exit_code for name in drawn} == {name: int(drawn[name]) for name in drawn}


def test_the_readme_has_every_dependency_with_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", README.read_text().split("## Built with")[1], re.MULTILINE)

    names = {re.split(r"[\[>=]", requirement)[0] for requirement in wanted if not requirement.startswith("types-")}

    assert names <= set(re.findall(r"[\w-]+", " ".join(rows)))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_its_heading(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)", page.read_text())

    targets = [((page.parent / file).resolve() if file else page, anchor) for file, anchor in links]

    assert [str(file) for file, _ in targets if not file.exists()] == []
    assert [(file.name, anchor) for file, anchor in targets if anchor and anchor not in anchors(file)] == []


def test_the_architecture_names_files_that_exist() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    roots = (ROOT, ROOT / "src/btcts", ROOT / "src/btcts/providers")

    names = set(re.findall(r"`([\w/<>.-]+\.(?:py|lua|md|toml|json))\b", text))

    known = {name for name in names if any((root / name).is_file() for root in roots)}
    assert len(names) > 30
    assert {name for name in names - known if "<" not in name} == set()


def test_every_reason_of_an_unsettled_minute_is_explained() -> None:
    text = (ROOT / "docs/operations.md").read_text().split("## Why is a minute unsettled?")[1]

    assert set(re.findall(r"^\| `(\w+)` \| ", text, re.MULTILINE)) == set(REASONS)


def test_the_example_of_the_readme_is_the_one_that_is_run() -> None:
    assert f"```python\n{EXAMPLE.strip()}\n```" in README.read_text()


@pytest.mark.parametrize(("name", "lines"), [("README.md", 150), ("CONTRIBUTING.md", 35)])
def test_what_is_read_first_is_short(name: str, lines: int) -> None:
    assert len((ROOT / name).read_text().splitlines()) <= lines


def test_the_readme_promises_a_typical_exchange_not_the_furthest_price_of_any() -> None:
    text = " ".join(README.read_text().split())

    assert "the median of their lows and of their highs: a single one may have gone further" in text
    assert "collectors that ask the same providers come to the same" in text
    assert "any two collectors" not in text


if __name__ == "__main__":
    for page, (name, make) in TABLES.items():
        before, _, after = split_at_table(name, (ROOT / page).read_text())
        (ROOT / page).write_text(f"{before}{make()}\n{after}")
