"""The Dockerfile and what the images are pinned to, checked without a container engine."""

import os
import re
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
REDIS = SERVICES["redis"]
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
RUNTIME = "requirements/runtime.txt"


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


def test_redis_is_a_minor_version_of_the_official_image() -> None:
    assert REDIS["build"] == {"context": ".", "target": "redis"}
    assert re.search(r"^FROM redis:\d+\.\d+ AS redis$", DOCKERFILE, re.MULTILINE)


@pytest.mark.parametrize(
    ("name", "tag"), [("prometheus", r"prom/prometheus:v\d+\.\d+\.\d+"), ("grafana", r"grafana/grafana:\d+\.\d+")]
)
def test_an_image_of_others_is_pinned_and_gets_its_files_whatever_the_modes_of_the_clone_are(
    name: str, tag: str
) -> None:
    assert SERVICES[name]["build"] == {"context": ".", "target": name}
    assert re.search(rf"^FROM {tag} AS {name}$", DOCKERFILE, re.MULTILINE)
    assert stage(name).strip().splitlines()[0] == f"COPY --chmod=0555 deploy/{name} /etc/{name}"


def test_redis_starts_as_the_official_entrypoint_wants_it() -> None:
    assert not {"entrypoint", "command"} & REDIS.keys()
    assert "ENTRYPOINT" not in stage("redis")
    assert re.search(r"^exec docker-entrypoint\.sh redis-server ", (ROOT / "start-redis.sh").read_text(), re.MULTILINE)


def test_redis_reads_what_is_copied_for_it_whatever_the_modes_of_the_clone_are() -> None:
    copies = dict(re.findall(r"^COPY --chmod=0[45]{3} (\S+) (\S+)$", stage("redis"), re.MULTILINE))
    start, config = re.findall(r'"(\S+)"', re.findall("^CMD .*$", stage("redis"), re.MULTILINE)[0])

    assert copies == {"redis.conf": config, "start-redis.sh": f"/usr/local/bin/{start}"}
    assert os.access(ROOT / "start-redis.sh", os.X_OK)


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
    assert set(allowed) == {source.partition("/")[0] for source in from_context()}
    of_wheel = {"src", "pyproject.toml", project["readme"], *project["license-files"]}
    others = {source for source in from_context() - of_wheel if not source.startswith("deploy/")}
    assert others == {"requirements", "redis.conf", "start-redis.sh"}


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
        (RUNTIME, [*PYPROJECT["project"]["dependencies"], *PYPROJECT["project"]["optional-dependencies"]["serve"]]),
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
