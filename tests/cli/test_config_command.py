"""`btcts config`: what it prints, masks and writes."""

import json
import os
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from btcts.cli.commands.config import app
from btcts.errors import ConfigError


@pytest.fixture
def redis_url() -> str:
    """No command here needs a Redis."""
    return "unix:///nowhere/redis.sock"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without files, in which nothing of ours is set, and the project folder that the test is in."""
    for name in [each for each in os.environ if each.startswith(("API_KEY", "REDIS_", "BTCTS_", "FORCE_COLOR"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    return tmp_path


def config(*arguments: str, **environ: str) -> Result:
    return CliRunner().invoke(app, arguments, env=environ)


def rows(result: Result) -> dict[str, tuple[str, str]]:
    """Value and origin by setting, as the table has them."""
    cells = [line.rstrip().split("  ") for line in result.stdout.splitlines()]
    filled = [[cell.strip() for cell in row if cell.strip()] for row in cells]
    return {name: (value, origin) for name, value, origin in filled}


class TestShow:
    def test_it_prints_value_and_origin_of_every_setting(self) -> None:
        Path("btcts.toml").write_text("[collect]\nquorum = 2\nproviders = ['kraken', 'gemini']")

        shown = rows(config("show", REDIS_HOST="h"))

        assert shown["setting"] == ("value", "origin")
        assert shown["redis.url"] == ("redis://h:6379/0", "environment REDIS_HOST")
        assert shown["redis.username"] == ("not set", "default")
        assert shown["collect.providers"] == ("kraken, gemini", "btcts.toml")
        assert shown["collect.interval_s"] == ("10.0", "default")
        assert shown["embedded.enabled"] == ("true", "default")

    def test_it_says_that_the_embedded_redis_is_used(self) -> None:
        assert rows(config("show"))["redis.url"] == ("the embedded Redis", "default")

    def test_flags_before_and_behind_count(self) -> None:
        shown = rows(config("show", "--redis", "unix:///run/r.sock"))

        assert shown["redis.url"] == ("unix:///run/r.sock", "flag --redis")

    @pytest.mark.parametrize("format", ["table", "json"])
    def test_secrets_are_masked(self, format: str) -> None:
        result = config("show", "--format", format, API_KEY="hunter2", REDIS_URL="redis://:hunter3@h")

        assert result.exit_code == 0
        assert "***" in result.output
        assert "hunter" not in result.output

    def test_a_long_value_goes_into_a_pipe_whole(self) -> None:
        url = f"https://{'k' * 200}.example"

        assert rows(config("show", BTCTS_PROVIDERS_KRAKEN_URL=url))["providers.kraken.url"][0] == url

    def test_what_looks_like_markup_is_printed_as_it_is(self) -> None:
        assert rows(config("show", BTCTS_DATA_DIR="/[red]x"))["embedded.data_dir"][0] == "/[red]x"

    def test_json_has_values_of_their_types(self) -> None:
        document = json.loads(config("show", "--format", "json").stdout)

        assert (document["schema"], document["market"]) == (1, "BTC-USD")
        assert document["settings"]["redis.url"] == {"value": None, "origin": "default"}
        assert document["settings"]["collect.quorum"] == {"value": 1, "origin": "default"}
        assert document["settings"]["embedded.enabled"] == {"value": True, "origin": "default"}
        assert document["settings"]["collect.providers"]["value"][:2] == ["coinmarketcap", "coinbase"]

    def test_a_wrong_setting_ends_it(self) -> None:
        result = config("show", BTCTS_COLLECT_QUORUM="none")

        assert isinstance(result.exception, ConfigError)
        assert result.stdout == ""


class TestInit:
    def test_it_writes_the_file_of_the_user(self, home: Path) -> None:
        result = config("init")

        written = home / "config" / "btcts" / "config.toml"
        assert (result.exit_code, result.stdout, result.stderr) == (0, "", f"btcts: wrote {written}\n")
        assert "kraken" in tomllib.loads(written.read_text())["providers"]

    def test_it_writes_where_it_is_told(self) -> None:
        config("init", "--path", "btcts.toml")

        assert rows(config("show"))["collect.quorum"] == ("1", "default")
        assert "#quorum = 1" in Path("btcts.toml").read_text()

    def test_it_overwrites_only_when_told(self) -> None:
        Path("btcts.toml").write_text("[collect]\nquorum = 2")

        refused = config("init", "--path", "btcts.toml")
        kept = Path("btcts.toml").read_text()
        forced = config("init", "--path", "btcts.toml", "--force")

        assert isinstance(refused.exception, ConfigError)
        assert kept == "[collect]\nquorum = 2"
        assert forced.exit_code == 0
        assert "#quorum = 1" in Path("btcts.toml").read_text()


class TestPath:
    def test_it_names_the_files_that_count_most_first(self, home: Path) -> None:
        Path("btcts.toml").touch()

        result = config("path")

        project, user = home / "project" / "btcts.toml", home / "config" / "btcts" / "config.toml"
        assert result.stdout == f"{project}  present\n{user}  absent\n"

    def test_a_named_file_replaces_them(self, home: Path) -> None:
        result = config("path", "--config", "other.toml")

        assert result.stdout == f"{home / 'project' / 'other.toml'}  absent\n"

    def test_it_answers_when_the_settings_are_wrong(self) -> None:
        Path("btcts.toml").write_text("not toml")

        assert config("path").exit_code == 0
