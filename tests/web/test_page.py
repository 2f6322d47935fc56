"""The page in a real browser, against a server that says what each test tells it to say."""

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

import pytest

from btcts.domain.layout import RESOLUTIONS
from render.views import NOW_MS, view_of, walk
from support.browser import Browser, Page, find_chromium, run_chromium
from support.wording import Wording
from web.stage import FILES, Stage, open_stage
from web.states import encode_overview, encode_view, make_states, read_status

pytestmark = pytest.mark.browser

wording = Wording(__file__)

LARGEST = 60_000
"""Bytes that the page may have in all."""

PRICE, ALARM = "#price", "#alarm"

AFTER_SUMMER_MS = 1_792_909_200_000
"""25 October 2026, 07:20 in Berlin, where the clocks were set back at 3."""

STATES = cache(make_states)

FIGURES = {
    "words.formatPrice(64123.451, 2)": "64,123.45",
    "words.formatPrice(null, 2)": "\N{EN DASH}",
    "[0.00123, -0.0042, 0.00001, 12].map(words.formatPercent)": ["+0.12%", "\N{MINUS SIGN}0.42%", "0.00%", "+1,200%"],
    "[0, 59.9, 150, 3600, 90061].map(words.formatDuration)": ["0 s", "59 s", "2 min 30 s", "1 h", "1 d 1 h"],
    "[0, 1, 250000].map(words.formatCountdown)": ["0:00", "0:01", "4:10"],
    "words.formatUtc(0)": "1970-01-01 00:00:00 UTC",
    "chart.chooseSteps(64012, 64391, 4)": [64100, 64200, 64300],
    "chart.makeSticks([{close: 2}, {close: null}, {close: 1}]).map((stick) => stick?.trend)": [0, None, 0],
    "chart.makeSticks([{close: 2}, {close: 1}, {open: 1, close: 3}]).map(({trend}) => trend)": [0, -1, 1],
    "chart.findGaps([1, 1, 0, 1].map((missing) => ({missing, closed: true, reason: null})))": [
        {"from": 0, "to": 2, "reason": None},
        {"from": 3, "to": 4, "reason": None},
    ],
}
"""What the functions of the page's modules make of their arguments."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The Chromium of these tests."""
    program = find_chromium()
    if program is None:
        pytest.skip("there is no Chromium; apt-get install chromium")
    with run_chromium(program) as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab that has to stay free of errors, those of the network apart."""
    with browser.open_page() as opened:
        opened.resize(1280)
        yield opened
        assert [complaint for complaint in opened.complaints if "net::ERR" not in complaint] == []


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A server with a healthy status and no price yet."""
    with open_stage() as opened:
        opened.status = read_status("full")
        yield opened


def show(page: Page, stage: Stage, state: str) -> None:
    """Open the page in that state, and wait until it is drawn."""
    stage.tell(STATES()[state])
    page.open(stage.url)
    page.wait_for(
        "document.querySelector('#rows').children.length > 60 && document.querySelector('#warnings').children.length"
    )


def test_the_first_paint_has_the_price_its_age_the_candles_and_a_table_of_them(page: Page, stage: Stage) -> None:
    show(page, stage, "full")

    assert page.text(PRICE) == "65,310.28"
    assert re.fullmatch(r"\d s old", page.text("#age"))
    assert page.evaluate("document.title") == "65,310.28 · BTC-USD"
    assert page.evaluate("document.querySelectorAll('#chart .body').length") == 61
    assert page.evaluate("document.querySelectorAll('#chart .running').length") == 1
    assert page.evaluate("document.querySelectorAll('#rows tr').length") == 61
    assert page.evaluate("document.querySelector(':is(#alarm, #caution, #simulated):not([hidden])')") is None


def test_nothing_is_loaded_from_elsewhere_and_all_of_it_is_small(page: Page, stage: Stage) -> None:
    show(page, stage, "full")

    origins = page.evaluate(
        "[...new Set(performance.getEntriesByType('resource').map(({name}) => new URL(name).origin))]"
    )
    assert origins == [stage.url.rstrip("/")]
    assert (
        sum(len(file.read_bytes()) for file in FILES.iterdir() if not file.name.endswith(".py") and file.is_file())
        < LARGEST
    )


def test_a_new_price_is_drawn_within_a_second_and_leaves_the_other_elements_in_place(page: Page, stage: Stage) -> None:
    show(page, stage, "full")
    page.evaluate("window.before = [...document.querySelectorAll('#rows tr, #chart .body')]; 0")

    stage.tell(encode_overview(walk(base=32_000.0)))
    page.wait_for("document.querySelector('#price').textContent === '32,655.14'", within_ms=1000)

    assert page.evaluate("window.before.every((element) => element.isConnected)")
    assert page.evaluate("document.querySelector('#price').closest('[aria-live], [role=status], [role=alert]')") is None


def test_the_age_goes_on_between_events_and_follows_the_clock_of_redis(page: Page, stage: Stage) -> None:
    show(page, stage, "full")

    stage.beat(now_ms=NOW_MS + 100_000)
    page.wait_for("/^1 min 4\\d s old$/.test(document.querySelector('#age').textContent)")
    before = page.text("#age")

    page.wait_for(f"document.querySelector('#age').textContent > {before!r}")


def test_a_stale_price_raises_an_alarm_that_does_not_change_while_it_ages(page: Page, stage: Stage) -> None:
    stage.status = status = read_status("stale")
    show(page, stage, "stale")

    alarm = page.text(ALARM)
    wording.check("a stale price", alarm)
    assert page.evaluate("document.title") == "⚠ Stale · 65,310.28 · BTC-USD"
    assert status["reasons"][1] in page.text("#reasons")
    page.wait_for(f"document.querySelector('#age').textContent > {page.text('#age')!r}")
    assert page.text(ALARM) == alarm


def test_a_price_that_passes_the_limit_without_a_new_document_is_stale(page: Page, stage: Stage) -> None:
    show(page, stage, "full")

    stage.beat(now_ms=NOW_MS + 200_000)

    page.wait_for("document.querySelector('#alarm').textContent.startsWith('Stale')")


def test_a_redis_that_does_not_answer_is_told_until_it_does(page: Page, stage: Stage) -> None:
    show(page, stage, "full")

    stage.beat(away={"message": "no Redis answers at 127.0.0.1:6379 (connection refused)", "since_ms": NOW_MS})
    page.wait_for("document.title.startsWith('⚠ No Redis')")
    told = page.text(ALARM)
    stage.beat()
    page.wait_for("document.querySelector('#alarm').hidden")

    wording.check("a Redis that does not answer", told)


def test_a_lost_server_is_told_until_it_is_back(page: Page, stage: Stage) -> None:
    show(page, stage, "full")

    stage.hang_up()
    page.wait_for("document.querySelector('#alarm').textContent.startsWith('Disconnected since')")
    told = (page.text("#link"), page.evaluate("document.title"))
    stage.answering = True
    page.wait_for("document.querySelector('#alarm').hidden")

    assert told == ("disconnected", "⚠ Disconnected · 65,310.28 · BTC-USD")
    assert page.text("#link") == "connected"


def test_an_empty_store_and_simulated_prices_say_so(page: Page, stage: Stage) -> None:
    stage.status = read_status("empty")
    show(page, stage, "empty")
    empty = (page.text(PRICE), page.text(ALARM), page.text("#reasons"))

    stage.tell(STATES()["simulated"])
    page.wait_for("document.querySelector('#alarm').hidden")

    wording.check("an empty store", " | ".join(empty))
    assert page.evaluate("document.title") == "simulated · 65,310.28 · BTC-USD"
    places = ("header", "#chart", "#caption", "#agreement")
    assert all(
        "simulated" in page.evaluate(f"document.querySelector('{place}').textContent.toLowerCase()") for place in places
    )


def test_gaps_are_hatched_with_their_reasons_in_the_chart_and_in_the_table(page: Page, stage: Stage) -> None:
    show(page, stage, "gaps")

    assert page.evaluate("document.querySelectorAll('#chart rect.gap').length") == 3
    assert page.evaluate("document.querySelector('#chart .reason').textContent") == "not reached"
    states = page.evaluate("[...document.querySelectorAll('tr.gap .state')].map((cell) => cell.textContent)")
    wording.check("gaps", " | ".join(sorted(set(states))))


def test_the_resolutions_are_tabs_for_the_keyboard(page: Page, stage: Stage) -> None:
    show(page, stage, "full")

    page.press("Tab")
    page.press("ArrowRight")
    page.press("End")
    page.wait_for("document.querySelectorAll('#rows tr').length === 25")

    assert page.evaluate("document.activeElement.id") == "tab-hour"
    assert page.evaluate("document.querySelector('[aria-selected=true]').id") == "tab-hour"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert page.evaluate("location.hash") == "#hour"
    page.press("Tab")
    assert page.evaluate("document.activeElement.id") == "table"


def test_figures_and_shapes_are_made_by_pure_functions(page: Page, stage: Stage) -> None:
    page.open(stage.url)
    page.wait_for("document.querySelector('#tabs')")
    modules = "Promise.all(['words', 'chart'].map((name) => import(`/${name}.js`)))"

    for expression, value in FIGURES.items():
        assert page.evaluate(f"{modules}.then(([words, chart]) => {expression})") == value, expression


def test_no_two_slots_have_the_same_text_where_the_clocks_change_between_them(page: Page, stage: Stage) -> None:
    page.call("Emulation.setTimezoneOverride", timezoneId="Europe/Berlin")
    page.resize(360)
    stage.tell(encode_view(view_of(walk(now_ms=AFTER_SUMMER_MS), *RESOLUTIONS, now_ms=AFTER_SUMMER_MS)))
    page.open(f"{stage.url}#hour")
    page.wait_for("document.querySelectorAll('#rows tr').length === 25")

    starts = page.evaluate("[...document.querySelectorAll('#rows time')].map((start) => start.textContent)")
    days = page.evaluate("[...document.querySelectorAll('#chart .label.faint')].map((day) => day.textContent)")

    assert len(set(starts)) == 25
    assert (starts[0], starts[-1]) == ("Sun 07:00 CET", "Sat 08:00 CEST")
    assert days == ["Sat 24 Oct CEST", "Sun 25 Oct CET"]
    assert page.text("#zone").startswith("Times are CEST and CET;")
    assert page.evaluate("document.documentElement.scrollWidth") == 360


@pytest.mark.parametrize("width", [320, 360, 768, 1280, 1920])
def test_no_width_scrolls_sideways(width: int, page: Page, stage: Stage) -> None:
    page.resize(width)

    show(page, stage, "storm")

    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize(
    ("state", "scheme", "ground", "width"),
    [("storm", "dark", "rgb(13, 17, 23)", 360), ("stale", "light", "rgb(255, 255, 255)", 1280)],
)
def test_dark_and_light_break_no_rule_of_accessibility(
    state: str, scheme: str, ground: str, width: int, page: Page, stage: Stage
) -> None:
    page.prefer(prefers_color_scheme=scheme)
    page.resize(width)
    show(page, stage, state)

    page.evaluate((files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("axe.run().then((run) => run.violations.map(({id, nodes}) => [id, nodes[0].html]))")

    assert found == []
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == ground


def test_that_prices_are_simulated_is_written_above_the_candles(page: Page, stage: Stage) -> None:
    page.resize(360)
    show(page, stage, "simulated")

    bottom, top = page.evaluate(
        "[document.querySelector('#chart .fake').getBoundingClientRect().bottom,"
        " Math.min(...[...document.querySelectorAll('#chart .wick')].map((wick) => wick.getBoundingClientRect().top))]"
    )
    assert bottom <= top


def test_without_any_price_no_sign_of_the_chart_is_explained_that_is_not_there(page: Page, stage: Stage) -> None:
    show(page, stage, "empty")

    assert page.evaluate("[...document.querySelectorAll('#legend .sign')].map((sign) => sign.className)") == [
        "sign gap"
    ]
    assert page.evaluate("document.querySelector('#chart .open-band')") is None
