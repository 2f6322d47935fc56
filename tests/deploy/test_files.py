"""Files for Compose, the image, commits and CI, checked without a container engine."""

import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from btcts.config import DEFAULT_PROVIDERS, table

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
REDIS = SERVICES["redis"]
TRACKER = SERVICES["price_tracker"]

ENV_NAMES = {"API_KEY", "REDIS_HOST", "REDIS_PORT", "REDIS_PASSWORD"}

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DOCS = (ROOT / "docs/docker.md").read_text()
RUNTIME = "requirements/runtime.txt"

each_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


def instructions(name: str) -> list[str]:
    """The arguments of each instruction `name` of the Dockerfile."""
    return re.findall(rf"^{name} +(.*)$", DOCKERFILE, re.MULTILINE)


def stage(name: str) -> str:
    """The stage of the Dockerfile that has this name; the last one has none."""
    stages = re.findall(r"^FROM \S+(?: AS (\w+))?\n(.*?)(?=^FROM |\Z)", DOCKERFILE, re.MULTILINE | re.DOTALL)
    return dict(stages)[name]


def from_context() -> set[str]:
    """List what the Dockerfile copies from the build context."""
    copies = [each.split() for each in instructions("COPY")]
    sources = {source for words in copies if not words[0].startswith("--from") for source in words[:-1]}
    return {source for source in sources if not source.startswith("--")}


def pinned_in(path: str) -> dict[str, str]:
    """The versions of a list of requirements by name."""
    return dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / path).read_text(), re.MULTILINE))


def needs_of(requirement: Requirement) -> Iterator[Requirement]:
    """List what the installed release of a package needs here, with the extras that are asked for."""
    try:
        texts = metadata.requires(requirement.name) or []
    except metadata.PackageNotFoundError:  # hatchling is in the environment of a build alone
        return
    for needed in map(Requirement, texts):
        extras = requirement.extras or {""}
        if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
            yield needed


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
    mounts = [volume.partition(":")[0] for volume in service["volumes"]]

    assert set(mounts) <= set(COMPOSE["volumes"])
    assert "configs" not in service
    assert "secrets" not in service


@each_service
def test_a_service_is_seen_to_be_healthy_within_seconds_of_being_so(service: dict[str, Any]) -> None:
    check = service["healthcheck"]

    assert check["start_period"]
    assert re.fullmatch(r"[1-5]s", check["start_interval"])


def test_redis_is_published_to_this_machine_alone() -> None:
    assert [each.partition(":")[0] for each in REDIS["ports"]] == ["127.0.0.1"]


def test_redis_listens_on_the_port_that_is_published_checked_and_given_to_the_tracker() -> None:
    port = TRACKER["environment"]["REDIS_PORT"]

    assert REDIS["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert REDIS["environment"]["REDIS_PORT"] == port
    assert port in REDIS["healthcheck"]["test"]


def test_redis_is_a_minor_version_of_the_official_image() -> None:
    assert REDIS["build"] == {"context": ".", "target": "redis"}
    assert re.search(r"^FROM redis:\d+\.\d+ AS redis$", DOCKERFILE, re.MULTILINE)


def test_redis_starts_as_the_official_entrypoint_wants_it() -> None:
    assert not {"entrypoint", "command"} & REDIS.keys()
    assert "ENTRYPOINT" not in stage("redis")
    assert re.search(r"^exec docker-entrypoint\.sh redis-server ", (ROOT / "start-redis.sh").read_text(), re.MULTILINE)


def test_redis_reads_what_is_copied_for_it_whatever_the_modes_of_the_clone_are() -> None:
    copies = dict(re.findall(r"^COPY --chmod=0[45]{3} (\S+) (\S+)$", stage("redis"), re.MULTILINE))
    start, config = re.findall(r'"(\S+)"', re.findall("^CMD .*$", stage("redis"), re.MULTILINE)[0])

    assert copies == {"redis.conf": config, "start-redis.sh": f"/usr/local/bin/{start}"}
    assert os.access(ROOT / "start-redis.sh", os.X_OK)


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
    offered = re.findall(r"^(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    asked = re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text())

    assert set(offered) == set(asked) == ENV_NAMES


def test_the_deployment_sets_what_btcts_reads() -> None:
    settings = table(dict.fromkeys(DEFAULT_PROVIDERS, ("https://example.com", 5, "wss://example.com"))).values()
    read = {variable for setting in settings for variable in setting.variables}

    assert set(re.findall(r"\b(BTCTS_\w+)=", DOCKERFILE)) | ENV_NAMES <= read


def test_the_tracker_gets_each_setting_of_env_example_under_its_own_name() -> None:
    names = {name: re.findall(r"\$\{(\w+)", value) for name, value in TRACKER["environment"].items()}

    assert names == {name: [name] for name in ENV_NAMES}


def test_compose_refuses_to_start_without_a_password() -> None:
    uses = re.findall(r"\$\{REDIS_PASSWORD(.*?)\}", (ROOT / "docker-compose.yml").read_text())

    assert set(uses) == {":?set REDIS_PASSWORD in .env"}


def test_the_image_receives_signals_itself_and_is_nobody() -> None:
    assert 'ENTRYPOINT ["btcts"]' in stage("")
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", stage(""), re.MULTILINE)
    assert "BTCTS_EMBEDDED=0" in stage("")


def test_the_image_fetches_nothing_by_url() -> None:
    assert instructions("ADD") == []


def test_the_build_context_is_what_the_images_are_made_from() -> None:
    project = PYPROJECT["project"]
    allowed = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)

    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"
    assert set(allowed) == from_context()
    of_wheel = {"src", "pyproject.toml", project["readme"], *project["license-files"]}
    assert from_context() == {*of_wheel, "requirements", "redis.conf", "start-redis.sh"}


def test_a_change_of_the_sources_leaves_the_layers_of_the_dependencies_alone() -> None:
    before, _, after = stage("build").partition("\nCOPY pyproject.toml")

    assert re.findall(r"--require-hashes -r (\S+)", before) == ["requirements/build.txt", RUNTIME]
    assert re.findall(r"^COPY (.*)$", before, re.MULTILINE) == ["requirements requirements"]
    assert "install" in after
    assert all("--no-deps" in command for command in re.findall(r"(?:wheel|install) --.*", after))
    assert "--no-build-isolation" in after
    assert "pip --python /opt/btcts/bin/python check" in after


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (RUNTIME, PYPROJECT["project"]["dependencies"]),
        ("requirements/build.txt", PYPROJECT["build-system"]["requires"]),
    ],
)
def test_what_is_pinned_satisfies_the_project_and_all_that_it_needs(path: str, wanted: list[str]) -> None:
    pinned = pinned_in(path)
    needed = [Requirement(text) for text in wanted]

    for requirement in needed:
        name = canonicalize_name(requirement.name)
        assert name in pinned, f"{path} lacks {requirement}; its first lines say how it is made"
        assert pinned[name] in requirement.specifier, f"{path} has {name} {pinned[name]}, wanted is {requirement}"
        needed += [further for further in needs_of(requirement) if further not in needed]


@pytest.mark.parametrize("path", [RUNTIME, "requirements/build.txt"])
def test_what_is_pinned_has_hashes_and_names_no_index(path: str) -> None:
    text = (ROOT / path).read_text()
    blocks = re.split(r"^(?=\w)", text, flags=re.MULTILINE)[1:]

    assert len(blocks) == len(pinned_in(path))
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", block) for block in blocks)
    assert "://" not in text
    assert "-index" not in text


def test_the_way_to_pin_anew_begins_each_list_and_pins_for_the_python_that_is_supported() -> None:
    oldest = PYPROJECT["project"]["requires-python"].removeprefix(">=")

    for path in (RUNTIME, "requirements/build.txt"):
        _, command, *_ = (ROOT / path).read_text().splitlines()
        assert f"uv pip compile --universal --python-version {oldest} --generate-hashes" in command
        assert command.endswith(f"-o {path}")


def test_the_image_has_a_python_that_the_package_supports() -> None:
    project = PYPROJECT["project"]
    version = re.search(r"^ARG BASE=python:([\d.]+)-slim", DOCKERFILE, re.MULTILINE)

    assert version
    assert f"Programming Language :: Python :: {version[1]}" in project["classifiers"]


def test_the_docs_name_symptoms_by_the_words_that_are_printed() -> None:
    _, _, *rows = [line for line in DOCS.splitlines() if line.startswith("|")]
    quoted = re.findall(r"`([^`]+)`", " ".join(row.split("|")[1] for row in rows))
    files = [*(ROOT / "src").rglob("*.py"), ROOT / "start-redis.sh", ROOT / "docker-compose.yml"]
    printed = "\n".join(file.read_text() for file in files)

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
    user = re.search(r"^USER (\S+)$", stage(""), re.MULTILINE)

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
