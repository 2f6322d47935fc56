"""The examples for Compose: their files are what Redis takes, and their URLs what btcts takes, without an engine."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from btcts.config import load
from btcts.providers import default_endpoints
from support.nodes import Watcher
from support.servers import StartServer

EXAMPLES = {path.stem: path for path in (Path(__file__).parents[2] / "docs" / "examples").glob("*.yml")}


def read(name: str) -> dict[str, Any]:
    """One of them."""
    found: dict[str, Any] = yaml.safe_load(EXAMPLES[name].read_text())
    return found


@pytest.mark.parametrize("name", EXAMPLES)
def test_redis_takes_the_file_of_an_example(name: str, tmp_path: Path, start_server: StartServer) -> None:
    lines = read(name)["configs"]["redis"]["content"].split("\n")

    server = start_server(*(word for line in lines if line for word in (f"--{line.split()[0]}", *line.split()[1:])))

    assert server.runs


@pytest.mark.server
def test_a_sentinel_takes_the_file_of_the_example(tmp_path: Path) -> None:
    watcher = Watcher(tmp_path / "sentinel", 1, tls=False)
    example = read("sentinel")
    primary = example["services"]["redis-1"]["networks"]["sentinel"]["ipv4_address"]
    text = example["configs"]["sentinel"]["content"].replace(primary, "127.0.0.1")
    (watcher.folder / "sentinel.conf").write_text(f"{text}\nport 0\nunixsocket {watcher.socket}\n")
    try:
        watcher.start()

        assert watcher.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main") == ["127.0.0.1", "6379"]
    finally:
        watcher.kill()


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_url_of_an_example_names_its_services(name: str) -> None:
    services = read(name)["services"]

    environ = services["price_tracker"]["environment"]

    redis = load(endpoints=default_endpoints(), environ={"BTCTS_DATA_DIR": "/nowhere", **environ}).redis
    assert redis.kind == name
    assert {host for host, _ in redis.nodes} <= services.keys()
    assert redis.service in ("main", "")
