"""A home, a project folder and their files, and the settings that come of them."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from btcts.config import DEFAULT_PROVIDERS, Settings, load
from btcts.errors import ConfigError

ENDPOINTS = {
    name: (f"https://{name}.example", 5.0, f"wss://{name}.example/ws") for name in (*DEFAULT_PROVIDERS, "simulated")
}
NO_FILE = Path(os.devnull)


class Place:
    """A home and a project folder with the files that a test writes there."""

    def __init__(self, root: Path) -> None:
        self.project = root / "project"
        self.user_dir = root / "config" / "btcts"
        self.project.mkdir()
        self.user_dir.mkdir(parents=True)

    def project_file(self, text: str) -> None:
        (self.project / "btcts.toml").write_text(text)

    def user_file(self, text: str) -> None:
        (self.user_dir / "config.toml").write_text(text)

    def settings(self, environ: Mapping[str, str] | None = None, **flags: object) -> Settings:
        named = {name.replace("__", "."): value for name, value in flags.items()}
        return load(named, endpoints=ENDPOINTS, environ=environ or {}, cwd=self.project)

    def refusal(self, environ: Mapping[str, str] | None = None, **flags: object) -> str:
        with pytest.raises(ConfigError) as refused:
            self.settings(environ, **flags)
        return str(refused.value)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return Place(tmp_path)


def of_environment(environ: Mapping[str, str]) -> Settings:
    return load(endpoints=ENDPOINTS, environ=environ, config_path=NO_FILE)


def refused(environ: Mapping[str, str]) -> str:
    with pytest.raises(ConfigError) as refusal:
        of_environment(environ)
    return str(refusal.value)
