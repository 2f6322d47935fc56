"""The settings in force, and where each came from."""

import io
import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from rich.console import Console

from btcts.config import Settings, load
from btcts.providers import default_endpoints
from btcts.render.config import print_settings, settings_json
from render.views import NOW_MS
from support.schemas import read_schema


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    environ = {
        "HOME": str(tmp_path),
        "REDIS_URL": "redis://:hunter2@redis.example:6380/3",
        "API_KEY": "hunter2",
        "BTCTS_COLLECT_PROVIDERS": "kraken,coinbase",
    }
    return load(endpoints=default_endpoints(), environ=environ, cwd=tmp_path)


def printed(settings: Settings, *, width: int = 1_000) -> str:
    file = io.StringIO()
    print_settings(settings, Console(file=file, width=width))
    return file.getvalue()


def test_the_document_follows_its_schema_and_has_values_as_they_are(settings: Settings) -> None:
    document = json.loads(settings_json(settings, NOW_MS))

    Draft202012Validator(read_schema("config")).validate(document)
    values = {name: row["value"] for name, row in document["settings"].items()}
    assert (document["market"], document["generated_ms"]) == ("BTC-USD", NOW_MS)
    assert values["collect.providers"] == ["kraken", "coinbase"]
    assert (values["redis.db"], values["embedded.enabled"], values["embedded.redis_server"]) == (3, True, None)
    assert values["embedded.data_dir"] == str(settings.embedded.data_dir)


def test_no_secret_is_shown(settings: Settings) -> None:
    assert "hunter2" not in printed(settings) + settings_json(settings, NOW_MS)


def test_each_setting_has_a_row_with_its_value_and_its_origin(settings: Settings) -> None:
    rows = [line.split(maxsplit=1) for line in printed(settings).splitlines()]

    assert [name for name, _ in rows] == ["setting", *settings.origins]
    assert dict(rows)["collect.providers"].split() == ["kraken,", "coinbase", "environment", "BTCTS_COLLECT_PROVIDERS"]
    assert dict(rows)["embedded.enabled"].split() == ["true", "default"]


def test_a_narrow_terminal_folds_values_and_no_names(settings: Settings) -> None:
    lines = printed(settings, width=60).splitlines()

    assert max(map(len, lines)) <= 60
    assert [line.split()[0] for line in lines if line[0] != " "] == ["setting", *settings.origins]
    assert str(settings.embedded.data_dir) not in "\n".join(lines)
