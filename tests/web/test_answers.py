"""What each path answers, and that no old price is among it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from prometheus_client.parser import text_string_to_metric_families

from btcts.config import BTC_USD
from btcts.domain.layout import RESOLUTIONS
from btcts.domain.model import StreamState, Tick
from btcts.store import State, Store
from support.schemas import read_schema
from support.series import NOW
from support.servers import StartServer, connect
from web.conftest import ServeStore
from web.serving import BeatClock, Site

DOCUMENTS = {
    "/api/price": "price",
    "/api/show": "overview",
    **{f"/api/show/{name}": "show" for name in RESOLUTIONS},
    "/api/status": "status",
    "/health": "health",
}


def list_faults(schema: str, document: Any) -> list[str]:
    """List the differences of a document from its schema."""
    return [error.message for error in Draft202012Validator(read_schema(schema)).iter_errors(document)]


def read_metrics(site: Site) -> dict[tuple[str, ...], float]:
    """Return the metrics by name and values of labels, as another library reads them."""
    families = text_string_to_metric_families(site.get("/metrics").text)
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


@pytest.mark.parametrize("path", DOCUMENTS)
def test_a_document_is_as_its_schema_says(site: Site, path: str) -> None:
    answer = site.get(path)

    assert answer.status_code == 200 or path == "/health"
    assert answer.headers["content-type"] == "application/json"
    assert list_faults(DOCUMENTS[path], answer.json()) == []


@pytest.mark.parametrize(
    "path", ["/api/price", "/api/show", "/api/show/hour", "/health", "/metrics", "/events", "/nix"]
)
def test_head_answers_as_get_does_without_the_content(site: Site, path: str) -> None:
    with site.client.stream("GET", path) as answer:
        got = answer.status_code, answer.headers["content-type"]

    head = site.client.head(path)

    assert (head.status_code, head.headers["content-type"]) == got
    assert head.content == b""


def test_the_page_and_every_file_that_it_names_are_served(site: Site) -> None:
    page = site.get("/")

    named = set(re.findall(r'(?:href|src)="(/[^"]+)"', page.text))
    scripts = [path for path in named if path.endswith(".js")]
    imported = {f"/{name}" for path in scripts for name in re.findall(r'from "\./([\w.]+)"', site.get(path).text)}

    kinds = {path: site.get(path).headers["content-type"].partition(";")[0] for path in named | imported}
    types = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert len(imported) > 0
    assert kinds == {path: types[Path(path).suffix] for path in kinds}


def test_the_price_is_that_of_the_newest_look(site: Site, full: Store) -> None:
    full.write([Tick(NOW, 70_000.5)])
    before = site.get("/api/price").json()
    site.beat()

    after = site.get("/api/price").json()

    assert before["price"] != 70_000.5
    assert (after["price"], after["newest_ms"], after["stale"]) == (70_000.5, NOW, False)
    assert site.get("/api/show").json()["price"] == site.get("/api/status").json()["price"] == 70_000.5


def test_a_slot_that_is_asked_for_alone_is_that_of_the_overview(site: Site) -> None:
    overview = site.get("/api/show").json()

    for name in RESOLUTIONS:
        document = site.get(f"/api/show/{name}").json()
        assert document["slots"] == overview["resolutions"][name]["slots"]


def test_a_stale_price_is_neither_served_nor_measured(site: Site, clock: BeatClock) -> None:
    clock.advance(200_000)
    site.beat()

    answer = site.get("/api/price")

    assert answer.status_code == 503
    assert list_faults("health", answer.json()) == []
    assert answer.json()["reason_codes"] == ["stale_price"]
    assert site.get("/api/show").json()["stale"]
    assert "stale_price" in site.get("/health").json()["reason_codes"]
    metrics = read_metrics(site)
    assert ("btcts_price_usd", "BTC-USD") not in metrics
    assert metrics["btcts_price_timestamp_seconds",] * 1000 == site.get("/api/show").json()["newest_ms"]
    assert metrics["btcts_healthy",] == 0


def test_a_price_becomes_stale_between_two_looks(serve_store: ServeStore, full: Store, clock: BeatClock) -> None:
    full.write([Tick(NOW, 60_000.0)])
    site = serve_store(full, max_age_s=2)
    clock.advance(2_000)
    fresh = site.get("/api/price").status_code
    clock.advance(1)

    assert (fresh, site.get("/api/price").status_code) == (200, 503)
    assert ("btcts_price_usd", "BTC-USD") not in read_metrics(site)


def test_what_was_seen_more_than_five_seconds_ago_counts_for_nothing(site: Site, clock: BeatClock) -> None:
    clock.advance(5_000)
    before = {path: site.get(path).status_code for path in DOCUMENTS if path != "/health"}
    clock.advance(1)

    answers = {path: site.get(path) for path in DOCUMENTS}

    assert set(before.values()) == {200}
    assert {answer.status_code for answer in answers.values()} == {503}
    assert {tuple(answer.json()["reason_codes"]) for answer in answers.values()} == {("redis",)}
    assert list_faults("health", answers["/api/price"].json()) == []
    assert {name for name, *_ in read_metrics(site)} == {"btcts_build_info", "btcts_redis_up"}


def test_a_clock_that_is_set_back_makes_no_view_of_before_recent(site: Site, clock: BeatClock) -> None:
    clock.step(-3_600_000)

    assert site.get("/api/show").status_code == 503


def test_an_empty_store_has_no_price_and_is_not_healthy(serve_store: ServeStore, store: Store) -> None:
    site = serve_store(store)

    assert site.get("/api/price").json()["reason_codes"] == ["no_price"]
    assert site.get("/health").json()["reason_codes"] == ["nothing_stored"]
    assert site.get("/api/show/minute").status_code == 200


def test_a_collector_that_died_is_unhealthy_while_its_price_is_fresh(site: Site, full: Store) -> None:
    full.remember(State(cadence_s=10, last_cycle_ms=NOW - 60_000))
    site.beat(5)

    answer = site.get("/health")

    assert (answer.status_code, answer.json()["reason_codes"]) == (503, ["collector_silent"])
    assert site.get("/api/price").status_code == 200


def test_a_redis_that_dies_is_told_and_a_new_one_is_read(
    serve_store: ServeStore, clock: BeatClock, start_server: StartServer
) -> None:
    server = start_server("--appendonly", "yes", "--appendfsync", "always")
    with connect(server.socket) as client:
        store = Store(client, BTC_USD, clock=clock, where="test")
        store.write([Tick(NOW, 60_000.0)])
        site = serve_store(store)
        server.kill()
        site.beat(6)
        away = site.get("/api/price")
        server.start()
        site.beat()

        back = site.get("/api/price")

    assert (away.status_code, away.json()["reason_codes"]) == (503, ["redis"])
    assert " at test (" in away.json()["reasons"][0]
    assert (back.status_code, back.json()["price"]) == (200, 60_000.0)


def test_metrics_are_those_that_the_page_lists(site: Site, full: Store) -> None:
    streams = {"kraken": StreamState(NOW - 60_000, 120, NOW - 90_000, 2, 30, 1)}
    full.remember(
        State(
            cadence_s=10,
            last_cycle_ms=NOW,
            members=("coinbase", "kraken"),
            deviating={"gemini": -0.02},
            streams=streams,
            streams_ms=NOW,
            ahead_ms=500,
        )
    )
    site.beat(5)

    metrics = read_metrics(site)

    assert metrics["btcts_price_usd", "BTC-USD"] == site.get("/api/price").json()["price"]
    assert metrics["btcts_slots_expected", "5min"] == 12
    assert metrics["btcts_slots_missing", "hour"] == 0
    assert metrics["btcts_provider_deviation_ratio", "gemini"] == -0.02
    assert metrics["btcts_stream_lag_seconds", "kraken"] == 0.12
    assert metrics["btcts_stream_reconnects_total", "kraken"] == 2
    assert metrics["btcts_clock_offset_seconds", "providers"] == 0.5
    assert metrics["btcts_spooled_prices",] == 3


def test_events_begin_with_the_overview_and_tell_each_new_price(site: Site, full: Store) -> None:
    with site.client.stream("GET", "/events") as answer:
        lines = (line for line in answer.iter_lines() if line.startswith('data: {"schema'))
        first = json.loads(next(lines)[6:])
        full.write([Tick(NOW, 70_000.5)])
        site.beat()
        second = json.loads(next(lines)[6:])

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert list_faults("overview", first) == list_faults("overview", second) == []
    assert first["newest_ms"] < second["newest_ms"] == NOW


def test_each_second_a_beat_tells_whether_redis_answers(site: Site, clock: BeatClock) -> None:
    with site.client.stream("GET", "/events") as answer:
        beats = (json.loads(line[6:]) for line in answer.iter_lines() if line.startswith('data: {"now_ms'))
        first = next(beats)
        clock.advance(6_000)
        second = next(beats)

    assert first == {"now_ms": NOW, "away": None}
    assert second["now_ms"] == NOW + 6_000
    assert second["away"]["since_ms"] == NOW
    assert "Redis" in second["away"]["message"]
