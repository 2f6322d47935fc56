"""What Compose, the image, commits and CI are told, checked without a container engine."""

import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from btcts.config import DEFAULT_PROVIDERS, table

ROOT = Path(__file__).parent.parent
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
REDIS = SERVICES["redis"]
TRACKER = SERVICES["price_tracker"]

ENV_NAMES = {"API_KEY", "REDIS_HOST", "REDIS_PORT", "REDIS_PASSWORD"}

each_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


def instructions(name: str) -> list[str]:
    """The arguments of each instruction `name` of the Dockerfile."""
    return re.findall(rf"^{name} +(.*)$", DOCKERFILE, re.MULTILINE)


def from_context() -> set[str]:
    """What the Dockerfile copies from the build context."""
    copies = [each.split() for each in instructions("COPY")]
    return {source for words in copies if not words[0].startswith("--from") for source in words[:-1]}


def test_the_compose_file_carries_no_obsolete_version() -> None:
    assert "version" not in COMPOSE


@each_service
def test_a_service_runs_without_root_capabilities_or_a_way_to_them(service: dict[str, Any]) -> None:
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.get("privileged")


@each_service
def test_a_service_restarts_reports_its_health_and_cannot_fill_the_machine(service: dict[str, Any]) -> None:
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"]
    assert service["mem_limit"]
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}


@each_service
def test_no_secret_stands_in_an_argument(service: dict[str, Any]) -> None:
    arguments = [service.get("entrypoint"), service.get("command"), service["healthcheck"]["test"]]

    assert not re.search("PASSWORD|API_KEY|REDISCLI_AUTH", str(arguments))


@each_service
def test_compose_can_write_its_inline_configs_into_the_service(service: dict[str, Any]) -> None:
    configs = service.get("configs", [])

    assert not (configs and service.get("read_only"))
    assert all(each["mode"] == 0o444 for each in configs)


def test_redis_is_published_to_this_machine_alone() -> None:
    assert [each.partition(":")[0] for each in REDIS["ports"]] == ["127.0.0.1"]


def test_redis_listens_on_the_port_that_is_published_checked_and_given_to_the_tracker() -> None:
    port = TRACKER["environment"]["REDIS_PORT"]

    assert REDIS["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert f"port {port}\n" in COMPOSE["configs"]["redis_env"]["content"]
    assert port in REDIS["healthcheck"]["test"]


def test_redis_is_pinned_to_a_minor_version_of_the_official_image() -> None:
    assert re.fullmatch(r"redis:\d+\.\d+", REDIS["image"])


def test_redis_runs_as_a_command_that_the_entrypoint_adds_the_modules_to() -> None:
    assert REDIS["command"][0] == "redis-server"


def test_redis_reads_its_config_and_what_compose_adds() -> None:
    _, config, option, added = REDIS["command"]

    assert f"./redis.conf:{config}:ro" in REDIS["volumes"]
    assert (option, added) == ("--include", REDIS["configs"][0]["target"])


@pytest.mark.parametrize(("service", "mount"), [(REDIS, "/data"), (TRACKER, "/var/lib/btcts")])
def test_what_a_service_keeps_lies_in_a_named_volume(service: dict[str, Any], mount: str) -> None:
    volumes = {target: source for source, target, *_ in (each.split(":") for each in service["volumes"])}

    assert volumes[mount] in COMPOSE["volumes"]


def test_the_tracker_starts_after_a_healthy_redis() -> None:
    assert TRACKER["depends_on"]["redis"]["condition"] == "service_healthy"


def test_the_health_of_the_tracker_is_what_status_says() -> None:
    assert TRACKER["healthcheck"]["test"] == ["CMD", "btcts", "status"]


def test_the_tracker_can_write_to_its_state_and_tmp_only() -> None:
    assert TRACKER["read_only"] is True
    assert TRACKER["tmpfs"] == ["/tmp"]
    assert TRACKER["volumes"] == ["btcts_state:/var/lib/btcts"]
    assert "BTCTS_DATA_DIR=/var/lib/btcts" in DOCKERFILE


def test_env_example_names_what_the_compose_file_asks_for() -> None:
    offered = re.findall(r"^(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    asked = re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text())

    assert set(offered) == set(asked) == ENV_NAMES


def test_the_deployment_sets_what_btcts_reads() -> None:
    settings = table(dict.fromkeys(DEFAULT_PROVIDERS, ("https://example.com", 5))).values()
    read = {variable for setting in settings for variable in setting.variables}

    assert set(re.findall(r"\b(BTCTS_\w+)=", DOCKERFILE)) | ENV_NAMES <= read


def test_the_tracker_gets_each_setting_of_env_example_under_its_own_name() -> None:
    names = {name: re.findall(r"\$\{(\w+)", value) for name, value in TRACKER["environment"].items()}

    assert names == {name: [name] for name in ENV_NAMES}


def test_compose_refuses_to_start_without_a_password() -> None:
    uses = re.findall(r"\$\{REDIS_PASSWORD(.*?)\}", (ROOT / "docker-compose.yml").read_text())

    assert set(uses) == {":?set REDIS_PASSWORD in .env"}


def test_the_image_receives_signals_itself_and_is_nobody() -> None:
    final_stage = DOCKERFILE.rpartition("\nFROM ")[2]

    assert 'ENTRYPOINT ["btcts"]' in final_stage
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", final_stage, re.MULTILINE)
    assert "BTCTS_EMBEDDED=0" in final_stage


def test_the_image_fetches_nothing_by_url() -> None:
    assert instructions("ADD") == []


def test_the_build_context_is_what_the_wheel_is_made_from() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    allowed = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)

    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"
    assert set(allowed) == from_context()
    assert from_context() == {"src", "pyproject.toml", project["readme"], *project["license-files"]}


def test_the_image_has_a_python_that_the_package_supports() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    version = re.search(r"^ARG BASE=python:([\d.]+)-slim", DOCKERFILE, re.MULTILINE)

    assert version
    assert f"Programming Language :: Python :: {version[1]}" in project["classifiers"]


def test_ci_runs_the_tests_as_the_readme_says() -> None:
    script = (ROOT / ".ci/run").read_text()
    command = re.search(r'^test_command="(.*)"$', script, re.MULTILINE)

    assert command
    assert command[1] in (ROOT / "README.md").read_text()


def test_ci_can_be_run() -> None:
    assert os.access(ROOT / ".ci/run", os.X_OK)
    subprocess.run(["bash", "-n", ROOT / ".ci/run"], check=True)


def test_a_commit_hook_needs_no_network() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())

    assert {each["repo"] for each in config["repos"]} == {"local"}
    assert {hook["language"] for each in config["repos"] for hook in each["hooks"]} == {"system"}
