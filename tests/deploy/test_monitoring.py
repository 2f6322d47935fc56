"""The files of `deploy/`, checked without Prometheus and Grafana; rules are played by promtool where there is one."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
CONFIG = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
RULES_FILE = DEPLOY / "prometheus/rules.yml"
RULES_TEST = Path(__file__).parent / "rules_test.yml"
(GROUP,) = yaml.safe_load(RULES_FILE.read_text())["groups"]
RULES: list[dict[str, Any]] = GROUP["rules"]
SOURCE = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"][0]
DASHBOARD = json.loads((DEPLOY / "grafana/dashboards/btcts.json").read_text())
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES: list[str] = [target["expr"] for panel in PANELS for target in panel["targets"]]

METRICS = {
    name: set(re.findall(r"`(\w+)`", labels))
    for name, labels in re.findall(
        r"^\| `(btcts_\w+)` \| ([^|]*)\| ", (ROOT / "docs/serve.md").read_text(), re.MULTILINE
    )
}
"""The labels of each metric; tests/render/test_metrics.py holds them against what is written."""

PROMTOOL = shutil.which("promtool")


def find_unknown(expression: str) -> set[str]:
    """Return the metrics and labels of a query that nothing has."""
    names = re.findall(r"btcts_\w+", expression)
    labels = re.findall(r"[{,]\s*(\w+)\s*(?:=|!)", expression)
    known = {label for name in names for label in METRICS.get(name, ())} | {"job", "alertname"}
    return (set(names) - METRICS.keys()) | (set(labels) - known)


@pytest.mark.parametrize("expression", [*QUERIES, *(rule["expr"] for rule in RULES)])
def test_a_query_names_metrics_and_labels_that_there_are(expression: str) -> None:
    assert find_unknown(expression) == set()


def test_a_query_of_what_there_is_not_would_be_seen() -> None:
    assert find_unknown('btcts_gaps{cause="x"} / btcts_gap') == {"cause", "btcts_gap"}


def test_the_dashboard_shows_every_metric_but_the_version() -> None:
    shown = set(re.findall(r"btcts_\w+", " ".join(QUERIES)))

    assert METRICS.keys() - shown == {"btcts_build_info", "btcts_stream_last_gap_timestamp_seconds"}


def test_a_figure_of_now_is_never_one_of_before() -> None:
    figures = [target for panel in PANELS if panel["type"] in {"stat", "table"} for target in panel["targets"]]

    assert figures
    assert [target for target in figures if target.get("instant") is not True or target.get("range")] == []


def test_panels_lie_beside_each_other_and_ask_the_source_that_is_provisioned() -> None:
    cells = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for at in [panel["gridPos"]]
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]

    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert {panel["datasource"]["uid"] for panel in PANELS} == {SOURCE["uid"]}


def test_grafana_finds_prometheus_and_the_dashboard() -> None:
    provider = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/btcts.yml").read_text())["providers"][0]
    home = re.findall(r"^default_home_dashboard_path = (.+)$", (DEPLOY / "grafana/grafana.ini").read_text(), re.M)

    assert SOURCE["url"] == "http://prometheus:9090"
    assert "prometheus" in SERVICES
    assert home == [f"{provider['options']['path']}/btcts.json"] == ["/etc/grafana/dashboards/btcts.json"]


def test_prometheus_asks_the_page_with_its_token_by_a_name_that_the_page_answers_to() -> None:
    (job,) = CONFIG["scrape_configs"]
    (host, _, port) = job["static_configs"][0]["targets"][0].partition(":")
    command = SERVICES["page"]["command"]

    assert job["authorization"]["credentials_file"] == command[command.index("--token-file") + 1]
    assert host == command[command.index("--host") + 1] == "page"
    assert command[command.index("--listen") + 1].endswith(f":{port}")


def test_each_alert_is_played() -> None:
    played = set(re.findall(r'alertname="(\w+)"', RULES_TEST.read_text()))

    assert played == {rule["alert"] for rule in RULES}


def test_the_docs_name_the_files() -> None:
    page = (ROOT / "docs/serve.md").read_text()

    assert [path for path in re.findall(r"\]\(\.\./(deploy/[^)]+)\)", page) if not (ROOT / path).is_file()] == []
    assert RULES_FILE.relative_to(ROOT).as_posix() in page


@pytest.mark.skipif(PROMTOOL is None, reason="there is no promtool; Debian's package prometheus has it")
@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", "--syntax-only", "deploy/prometheus/prometheus.yml"),
        ("check", "rules", "deploy/prometheus/rules.yml"),
        ("test", "rules", "tests/deploy/rules_test.yml"),
    ],
    ids=" ".join,
)
def test_promtool_finds_nothing_wrong(arguments: tuple[str, ...]) -> None:
    done = subprocess.run([str(PROMTOOL), *arguments], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
