"""Files for Compose, the image, commits and CI, checked without a container engine."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from btcts.config import DEFAULT_PROVIDERS, list_settings

ROOT = Path(__file__).parents[2]
COMPOSE_TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE = yaml.safe_load(COMPOSE_TEXT)
PASSWORD_TEXTS = [(ROOT / f"deploy/password{suffix}.yml").read_text() for suffix in ("", "-file")]
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
REDIS = SERVICES["redis"]
TRACKER = SERVICES["price_tracker"]

SECRETS: dict[str, dict[str, str]] = COMPOSE["secrets"] | yaml.safe_load(PASSWORD_TEXTS[0])["secrets"]
MADE_OF_SRC = ("price_tracker", "page")

DOCS = (ROOT / "docs/docker.md").read_text()

each_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


def test_the_compose_file_carries_no_obsolete_version() -> None:
    assert "version" not in COMPOSE


@each_service
def test_a_service_runs_without_root_capabilities_or_a_way_to_them(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
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
def test_a_service_mounts_no_file_of_the_clone_whose_modes_may_shut_it_out(service: dict[str, Any]) -> None:
    mounts = [volume.partition(":")[0] for volume in service.get("volumes", [])]

    assert set(mounts) <= set(COMPOSE["volumes"])
    assert "configs" not in service
    assert set(service.get("secrets", [])) <= SECRETS.keys()


@pytest.mark.parametrize("secret", SECRETS)
def test_the_file_of_a_secret_is_named_in_env_or_stands_where_the_docs_say(secret: str) -> None:
    *_, default = re.findall(r"(?:^|:-)([\w/-]+)\}*$", SECRETS[secret]["file"])

    assert (ROOT / default).exists() or default in DOCS


@each_service
def test_a_service_has_a_password_in_a_variable_only_where_env_gives_it(service: dict[str, Any]) -> None:
    secret = {name: value for name, value in service.get("environment", {}).items() if re.search("PASS|AUTH|KEY", name)}

    assert [value for name, value in secret.items() if name.endswith("_FILE") and ":+/run/secrets/" not in value] == []
    assert [value for name, value in secret.items() if not name.endswith("_FILE") and "_FILE" in value] == []


@each_service
def test_a_secret_that_a_service_reads_is_mounted_there(service: dict[str, Any]) -> None:
    read = set(re.findall(r"/run/secrets/(\w+)", str(service)))

    assert read <= set(service.get("secrets", []))


@each_service
def test_a_service_is_seen_to_be_healthy_within_seconds_of_being_so(service: dict[str, Any]) -> None:
    check = service["healthcheck"]

    assert check["start_period"]
    assert re.fullmatch(r"[1-5]s", check["start_interval"])


@each_service
def test_a_service_is_published_to_this_machine_alone(service: dict[str, Any]) -> None:
    assert {each.partition(":")[0] for each in service.get("ports", [])} <= {"127.0.0.1"}


def test_redis_listens_on_the_port_that_is_published_checked_and_given_to_the_tracker() -> None:
    port = TRACKER["environment"]["REDIS_PORT"]

    assert REDIS["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert REDIS["environment"]["REDIS_PORT"] == port
    assert port in REDIS["healthcheck"]["test"]


@pytest.mark.parametrize(("service", "mount"), [(REDIS, "/data"), (TRACKER, "/var/lib/btcts")])
def test_what_a_service_keeps_lies_in_a_named_volume(service: dict[str, Any], mount: str) -> None:
    volumes = {target: source for source, target, *_ in (each.split(":") for each in service["volumes"])}

    assert volumes[mount] in COMPOSE["volumes"]


def test_the_tracker_starts_after_a_healthy_redis() -> None:
    assert TRACKER["depends_on"]["redis"]["condition"] == "service_healthy"


def test_the_health_of_the_tracker_is_what_status_says() -> None:
    assert TRACKER["healthcheck"]["test"] == ["CMD", "btcts", "status"]


def test_the_tracker_can_write_to_its_state_and_tmp_only() -> None:
    assert TRACKER["tmpfs"] == ["/tmp:size=16m"]
    assert TRACKER["volumes"] == ["btcts_state:/var/lib/btcts"]
    assert "BTCTS_DATA_DIR=/var/lib/btcts" in DOCKERFILE


def test_env_example_names_what_the_compose_file_asks_for() -> None:
    offered = re.findall(r"^(?:# )?(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    asked = re.findall(r"\$\{(\w+)", "".join([COMPOSE_TEXT, *PASSWORD_TEXTS]))

    assert set(offered) == set(asked)


@pytest.mark.parametrize("name", MADE_OF_SRC)
def test_the_deployment_sets_what_btcts_reads(name: str) -> None:
    settings = list_settings(dict.fromkeys(DEFAULT_PROVIDERS, ("https://example.com", 5, "wss://example.com"))).values()
    read = {variable for setting in settings for variable in setting.variables}

    assert set(re.findall(r"\b(BTCTS_\w+)=", DOCKERFILE)) | SERVICES[name]["environment"].keys() <= read


def test_the_tracker_gets_each_setting_of_env_example_under_its_own_name() -> None:
    names = {name: re.findall(r"\$\{(\w+)", value) for name, value in TRACKER["environment"].items()}

    assert names == {name: [name] for name in TRACKER["environment"]}


def test_the_page_only_reads_and_gets_no_key_and_no_file_of_settings() -> None:
    page = SERVICES["page"]

    assert page["environment"]["REDIS_USERNAME"] == "${REDIS_READER_USERNAME-reader}"
    assert TRACKER["environment"]["REDIS_USERNAME"] == "${REDIS_USERNAME-btcts}"
    assert "API_KEY" not in page["environment"]
    assert "env_file" not in page
    assert page["volumes"] == ["btcts_state:/var/lib/btcts:ro"]


def test_the_page_asks_for_a_token_on_the_network_that_others_reach() -> None:
    command = SERVICES["page"]["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))

    assert command[0] == "serve"
    assert options["--listen"].startswith("0.0.0.0:")
    assert options["--token-file"] == "/run/secrets/page_token"


def test_monitoring_brings_the_page_along() -> None:
    profiles = {name: service["profiles"] for name, service in SERVICES.items() if "profiles" in service}

    assert profiles == {"page": ["page", "monitoring"], "prometheus": ["monitoring"], "grafana": ["monitoring"]}


def test_compose_refuses_to_start_without_a_password() -> None:
    included, with_file = map(yaml.safe_load, PASSWORD_TEXTS)

    assert COMPOSE["include"][0]["path"] == "deploy/password${REDIS_PASSWORD_FILE:+-file}.yml"
    assert included["x-password"] == "${REDIS_PASSWORD:?set REDIS_PASSWORD in .env}"
    assert with_file["secrets"].keys() == included["secrets"].keys()


def test_the_docs_name_symptoms_by_the_words_that_are_printed() -> None:
    _, _, *rows = [line for line in DOCS.splitlines() if line.startswith("|")]
    quoted = re.findall(r"`([^`]+)`", " ".join(row.split("|")[1] for row in rows))
    files = [*(ROOT / "src").rglob("*.py"), ROOT / "start-redis.sh"]
    printed = "\n".join([COMPOSE_TEXT, *PASSWORD_TEXTS, *(file.read_text() for file in files)])

    phrases = {phrase for text in quoted for phrase in text.removesuffix(" 0").split(": ")}

    assert len(rows) > 10
    assert {phrase for phrase in phrases if phrase.rstrip(":") not in printed} == set()


@pytest.mark.parametrize("text", [(ROOT / "README.md").read_text(), DOCS], ids=["readme", "docs"])
def test_what_is_documented_of_compose_names_its_services(text: str) -> None:
    named = re.findall(r"docker compose (?:exec|restart|logs(?: -\w| --tail \d+)*) (\w+)", text)

    assert named
    assert set(named) <= SERVICES.keys()


def test_the_docs_give_each_volume_back_to_the_user_of_its_service() -> None:
    given = re.findall(r"(\w+) (?:chown )?-R (\d+:\d+) (\S+)$", DOCS, re.MULTILINE)
    user = re.search(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE)

    assert user
    assert given == [("redis", REDIS["user"], "/data"), ("price_tracker", user[1], "/var/lib/btcts")]


def test_env_is_made_for_its_owner_alone_wherever_its_making_is_told() -> None:
    told = [ROOT / name for name in ("README.md", "docker-compose.yml", ".env.example", "docs/docker.md")]

    assert [file.name for file in told if "install -m 600 .env.example .env" not in file.read_text()] == []
    assert [file.name for file in told if "cp .env.example" in file.read_text()] == []


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
