"""`btcts show` as a process: which slots, tables and charts in pipes, pictures, documents, and what is refused."""

import json
import os
import re
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import redis
from jsonschema import Draft202012Validator

from btcts.config import BTC_USD
from btcts.domain.clock import ServerClock
from btcts.domain.model import HOUR_MS, MINUTE_MS, Tick
from btcts.render.show.page import NONE_CLOSED, REPAIR, STATUS
from btcts.store import State, Store
from cli.conftest import Btcts
from support.commands import MAIN, ForkServer
from support.schemas import read_schema
from support.series import TICK, wave
from support.terminals import Terminal

ESCAPE = "\x1b"


@pytest.fixture
def day(client: redis.Redis) -> None:
    """A window of prices up to now, without the hour from ten to nine hours ago."""
    now_ms = time.time_ns() // 1_000_000
    ticks = wave(now_ms - 25 * HOUR_MS, now_ms, MINUTE_MS // 2)
    store = Store(client, BTC_USD, clock=ServerClock(), where="test")
    store.write([each for each in ticks if not 9 * HOUR_MS < now_ms - each.time_ms < 10 * HOUR_MS])
    store.remember(State(cadence_s=10.0, members=("coinbase", "kraken")))


def validated(text: str, schema: str) -> Any:
    document = json.loads(text)
    described = read_schema(schema)
    Draft202012Validator(described).validate(document)
    return document


@pytest.mark.usefixtures("day")
def test_the_documents_follow_their_schemas(btcts: Btcts) -> None:
    one = validated(btcts("show", "hour", "--format", "json").out, "show")
    overview = validated(btcts("show", "--format", "json").out, "overview")

    assert one["members"] == ["coinbase", "kraken"]
    assert one["gaps"]["minutes"] >= 59
    assert one["gaps"]["reasons"] == {"unknown": one["gaps"]["empty"] + one["gaps"]["incomplete"]}
    assert one["volatility"]["returns"] > 0
    assert overview["low_24h"] <= overview["price"] <= overview["high_24h"]
    assert overview["change"]["24h"]["usd"] == overview["price"] - overview["change"]["24h"]["from"]


def test_the_documents_of_an_empty_store_follow_their_schemas(btcts: Btcts) -> None:
    one = validated(btcts("show", "hour", "--format", "json").out, "show")
    overview = validated(btcts("show", "--format", "json").out, "overview")

    assert (one["price"], overview["low_24h"], overview["change"]["24h"]) == (None, None, None)


OUTAGE = {f"BTCTS_PROVIDERS_{name}_URL": "http://127.0.0.1:9" for name in ("COINBASE", "KRAKEN")}


@pytest.mark.parametrize("arguments", [[], ["minute"], ["hour", "--chart"]], ids=" ".join)
def test_an_empty_store_beside_a_collector_that_gets_no_price(btcts: Btcts, arguments: list[str]) -> None:
    btcts("collect", "--once", "--provider", "coinbase", "--provider", "kraken", **OUTAGE)

    done = btcts("show", *arguments)

    assert done.code == 0
    assert f" {STATUS}\n" in done.out
    assert done.out.endswith(": 0, needed: 1\n")


@pytest.mark.parametrize("arguments", [[], ["minute"], ["hour", "--chart"]], ids=" ".join)
def test_a_stale_price_beside_a_collector_that_gets_none(
    btcts: Btcts, client: redis.Redis, arguments: list[str]
) -> None:
    seconds = int(client.time()[0])
    Store(client, BTC_USD, clock=ServerClock(), where="test").write([Tick(1000 * (seconds - 3600), 64_000.0)])
    btcts("collect", "--once", "--provider", "coinbase", "--provider", "kraken", **OUTAGE)

    done = btcts("show", *arguments)

    stale, step, cycle = done.out.splitlines()[-3:]
    assert stale.startswith("Stale: ")
    assert "1 h" in stale
    assert step == STATUS
    assert cycle.endswith(": 0, needed: 1")


@pytest.mark.usefixtures("day")
def test_since_begins_with_the_slot_of_that_time(btcts: Btcts) -> None:
    ago = json.loads(btcts("show", "hour", "--since", "2h", "--format", "json").out)
    newest = json.loads(btcts("show", "5min", "--since", "newest", "--format", "json").out)
    together = json.loads(btcts("show", "5min", "--since", "30min", "--closed", "--limit", "2", "--format", "json").out)

    assert len(ago["slots"]) == 3
    assert newest["slots"][-1]["closed"] is False
    assert [each["closed"] for each in together["slots"]] == [True, True]


@pytest.mark.usefixtures("day")
@pytest.mark.parametrize("form", [[], ["15min"], ["hour", "--chart"], ["hour", "--svg", "-"]], ids=" ".join)
def test_a_time_of_which_no_slot_is_closed_yet_is_said_to_be_so(btcts: Btcts, form: list[str]) -> None:
    done = btcts("show", *form, "--closed", "--since", "now")

    assert (done.code, done.err) == (0, "")
    assert NONE_CLOSED in done.out


@pytest.mark.usefixtures("day")
def test_an_overview_leaves_out_what_has_no_slot(btcts: Btcts) -> None:
    at = datetime.now(UTC).replace(minute=30, second=0, microsecond=0) - timedelta(hours=2)
    since = at - timedelta(minutes=3)

    page = btcts("show", "--closed", "--at", at.isoformat(), "--since", since.isoformat()).out

    assert "\nminute " in page
    assert "\nhour " not in page


@pytest.mark.usefixtures("day")
def test_the_past_is_shown_with_the_price_and_the_moves_of_then(btcts: Btcts) -> None:
    document = validated(btcts("show", "--at", "3h", "--format", "json").out, "overview")

    assert 0 <= document["age_s"] <= 60
    assert document["generated_ms"] - document["newest_ms"] <= 60_000
    assert document["members"] == []


@pytest.mark.usefixtures("day")
@pytest.mark.parametrize("arguments", [[], ["minute"], ["hour", "--chart"]], ids=" ".join)
def test_before_what_is_kept_it_is_said_since_when_there_are_prices(btcts: Btcts, arguments: list[str]) -> None:
    done = btcts("show", *arguments, "--at", "80h")

    assert done.code == 0
    assert re.search(r"^Stale: .* 20\d\d-\d\d-\d\dT", done.out, re.MULTILINE)
    assert "Nothing is stored" not in done.out
    assert "collect" not in done.out


@pytest.mark.usefixtures("day")
@pytest.mark.parametrize(
    ("stamp", "price", "notice"),
    [
        (
            "99999999999999",
            "5",
            "Stale: the newest price lies in the future and hides the others.\nTo remove it: btcts prune\n",
        ),
        ("*", "-4", "Stale: the newest tick is -4, which is no price.\nTo remove it: btcts verify --repair\n"),
        ("*", "1e300", "Stale: the newest tick is 1e+300, which is no price.\nTo remove it: btcts verify --repair\n"),
    ],
)
def test_a_newest_tick_that_is_not_believed_is_no_price_and_the_advice_about_it_helps(
    btcts: Btcts, client: redis.Redis, stamp: str, price: str, notice: str
) -> None:
    client.execute_command("TS.ADD", TICK, stamp, price)

    pages = [btcts("show", *arguments).out for arguments in ([], ["minute"], ["hour", "--chart"])]
    one = validated(btcts("show", "hour", "--format", "json").out, "show")
    overview = validated(btcts("show", "--format", "json").out, "overview")
    btcts(*notice.split()[notice.split().index("btcts") + 1 :])

    assert {page.startswith("BTC-USD no price") and page.endswith(notice) for page in pages} == {True}
    for document in (one, overview):
        assert [document[name] for name in ("newest_ms", "price", "age_s", "stale")] == [None, None, None, True]
    assert json.loads(btcts("show", "--format", "json").out)["stale"] is False


@pytest.mark.usefixtures("day")
def test_slots_that_hold_what_is_no_price_are_counted_and_repaired(btcts: Btcts, client: redis.Redis) -> None:
    seconds, _ = client.time()
    client.execute_command("TS.ADD", TICK, seconds * 1000 - 3 * HOUR_MS, -4)

    page = btcts("show", "hour").out
    validated(btcts("show", "--format", "json").out, "overview")
    btcts("verify", "--repair")

    assert f": 1\n{REPAIR}\n" in page
    assert " -4.00 " not in page
    assert "no price" not in btcts("show", "hour", "--since", "4h").out


@pytest.mark.usefixtures("day")
@pytest.mark.parametrize("colour", [False, True], ids=["plain", "colour"])
@pytest.mark.parametrize("arguments", [[], ["minute"], ["hour", "--chart"]], ids=" ".join)
def test_a_pipe_gets_the_same_whatever_the_width_of_the_terminal(
    btcts: Btcts, arguments: list[str], colour: bool
) -> None:
    an_hour_ago = f"{datetime.now(UTC) - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    forced = {"FORCE_COLOR": "1" if colour else None, "NO_COLOR": None}

    narrow = btcts("show", *arguments, "--at", an_hour_ago, COLUMNS="20", **forced).out
    wide = btcts("show", *arguments, "--at", an_hour_ago, COLUMNS="300", **forced).out

    assert narrow == wide
    assert (ESCAPE in narrow) is colour
    assert max(map(len, narrow.splitlines())) > 80


@pytest.mark.usefixtures("day")
@pytest.mark.parametrize("kind", ["dumb", "xterm"])
@pytest.mark.parametrize("arguments", [[], ["minute"], ["hour", "--chart"]], ids=" ".join)
def test_pages_fit_the_terminal_whatever_its_kind(
    commands: ForkServer, environ: dict[str, str], tmp_path: Path, arguments: list[str], kind: str
) -> None:
    own = {name: value for name, value in environ.items() if name != "COLUMNS"}

    start = partial(commands.fork, MAIN, ["show", *arguments])

    with Terminal(start, own, tmp_path / "errors", columns=40, rows=20, kind=kind) as terminal:
        assert terminal.ended() == 0
        lines = terminal.main.splitlines()

    assert lines[0].startswith("BTC-USD ")
    assert 30 < max(map(len, lines)) <= 40


@pytest.mark.usefixtures("day")
@pytest.mark.parametrize(
    "columns", ["0", "²", "-1", "99999", "9" * 5000, ""], ids=["zero", "power", "minus", "wide", "long", "empty"]
)
def test_a_variable_that_tells_of_no_columns_counts_for_nothing(
    columns: str, commands: ForkServer, environ: dict[str, str], tmp_path: Path
) -> None:
    start = partial(commands.fork, MAIN, ["show", "--chart"])

    with Terminal(start, environ | {"COLUMNS": columns}, tmp_path / "errors", columns=60, rows=20) as terminal:
        assert terminal.ended() == 0
        assert 50 < max(map(len, terminal.main.splitlines())) <= 60


@pytest.mark.usefixtures("day")
def test_a_table_in_a_pipe_has_every_column(btcts: Btcts) -> None:
    title, _, heading, *_ = btcts("show", "hour", COLUMNS="20").out.splitlines()

    assert title.startswith("BTC-USD ")
    assert heading.split()[-7:] == ["Close", "Change", "Min", "Max", "Range", "Mins", "State"]


@pytest.mark.usefixtures("day")
def test_a_chart_without_a_resolution_is_of_hours(btcts: Btcts) -> None:
    chart = btcts("show", "--chart")

    assert (chart.code, chart.err) == (0, "")
    assert " hour, " in chart.out.splitlines()[0]
    assert "up" in chart.out


@pytest.mark.usefixtures("day")
@pytest.mark.parametrize("also", [[], ["--chart"]], ids=["alone", "beside --chart"])
def test_a_picture_is_written_in_the_place_of_the_file_and_it_is_said_where(
    btcts: Btcts, tmp_path: Path, also: list[str]
) -> None:
    file = tmp_path / "day.svg"
    file.write_text("an older picture")
    before = sorted(tmp_path.iterdir())

    done = btcts("show", "15min", "--svg", "day.svg", *also)

    assert (done.code, done.out) == (0, "")
    assert done.err.endswith(" day.svg\n")
    assert ElementTree.parse(file).getroot().tag.endswith("svg")
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.usefixtures("day")
def test_a_picture_goes_to_stdout_too(btcts: Btcts) -> None:
    done = btcts("show", "--svg", "-")

    assert ElementTree.fromstring(done.out).tag.endswith("svg")
    assert " hour, " in done.out
    assert (done.code, done.err) == (0, "")


@pytest.mark.usefixtures("day")
def test_a_picture_behind_a_link_is_written_where_the_link_points(btcts: Btcts, tmp_path: Path) -> None:
    (tmp_path / "www").mkdir()
    link = tmp_path / "day.svg"
    link.symlink_to(tmp_path / "www" / "day.svg")

    btcts("show", "--svg", "day.svg", "--quiet")

    assert link.is_symlink()
    assert (tmp_path / "www" / "day.svg").read_text().startswith("<svg")


def test_what_is_no_file_is_written_to_and_stays_what_it_is(btcts: Btcts) -> None:
    done = btcts("show", "--svg", os.devnull)

    assert done.code == 0
    assert not Path(os.devnull).is_file()


@pytest.mark.parametrize(("path", "why"), [("no/day.svg", "no such file or directory"), (".", "is a directory")])
def test_a_picture_that_cannot_be_written_is_one_line(btcts: Btcts, path: str, why: str) -> None:
    done = btcts("show", "--svg", path)

    assert (done.code, done.out) == (2, "")
    assert done.err == f"btcts: --svg {path} cannot be written ({why}); name another file\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--chart", "--format", "json"], "--chart cannot be combined with --format json"),
        (["--chart", "--format", "table"], "--chart cannot be combined with --format table"),
        (["--svg", "day.svg", "--format", "csv"], "--svg day.svg cannot be combined with --format csv"),
        (["--interval", "3"], "--interval 3 goes with --watch"),
        (["--max-age", "inf"], "--max-age"),
        (["--max-age", "1e300"], "--max-age"),
        (["--max-age", "nan"], "--max-age"),
        (["--watch", "--interval", "nan"], "--interval"),
        (["--since", "soon"], "--since 'soon'"),
        (["--since", "2100-01-01T00:00Z"], "--since 2100-01-01T00:00:00Z is later than"),
        (["--since", "1h", "--at", "2h"], "is later than"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_contradicts_itself_is_refused_in_one_line(btcts: Btcts, arguments: list[str], expected: str) -> None:
    done = btcts("show", *arguments)

    assert (done.code, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1
    assert expected in done.err


def test_the_help_shows_examples_before_options_and_fits_80_columns(btcts: Btcts) -> None:
    text = btcts("show", "--help", COLUMNS="80").out

    headings = ("Examples", "Arguments", "Options", "Output", "Common options")
    places = [text.index(f"\n{heading}:\n") for heading in headings]
    assert places == sorted(places)
    assert max(map(len, text.splitlines())) <= 80
