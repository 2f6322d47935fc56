"""The file that `config init` writes."""

import re
from pathlib import Path

import pytest

from btcts.config import list_settings
from btcts.config.sample import format_sample, write_file
from btcts.errors import ConfigError
from config.conftest import ENDPOINTS, Place
from support.wording import Wording

wording = Wording(__file__)


def test_the_sample_changes_nothing(place: Place) -> None:
    before = place.settings()

    place.project_file(format_sample(list_settings(ENDPOINTS).values()))

    assert place.settings() == before


def test_every_setting_of_the_sample_can_be_uncommented(place: Place) -> None:
    sample = format_sample(list_settings(ENDPOINTS).values())

    with_tls = sample.replace('"redis://', '"rediss://')  # without it, its files are refused
    place.user_file(re.sub(r"^#(?! )", "", with_tls, flags=re.MULTILINE))

    settings = place.settings()
    for name, setting in list_settings(ENDPOINTS).items():
        assert settings.origins[name] == "~/config/btcts/config.toml"
        if setting.default is not None:
            assert settings.get_value(name) == setting.default


def test_lines_are_no_longer_than_our_own() -> None:
    assert max(map(len, format_sample(list_settings(ENDPOINTS).values()).splitlines())) <= 120


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    target = tmp_path / "new" / "config.toml"

    write_file(target, "text", overwrite=False)

    assert target.read_text() == "text"
    assert target.stat().st_mode & 0o777 == 0o600
    assert list(target.parent.iterdir()) == [target]


def test_a_file_is_overwritten_only_when_told(tmp_path: Path) -> None:
    target = tmp_path / "config.toml"
    target.write_text("old")

    with pytest.raises(ConfigError, match=r"config\.toml .*--force"):
        write_file(target, "new", overwrite=False)
    kept = target.read_text()
    write_file(target, "new", overwrite=True)

    assert (kept, target.read_text()) == ("old", "new")


def test_a_link_keeps_pointing_to_the_file_that_is_written(tmp_path: Path) -> None:
    link = tmp_path / "config.toml"
    link.symlink_to(tmp_path / "elsewhere.toml")

    write_file(link, "text", overwrite=False)

    assert link.is_symlink()
    assert (tmp_path / "elsewhere.toml").read_text() == "text"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ConfigError) as refused:
        write_file(tmp_path / "file" / "config.toml", "text", overwrite=False)

    assert isinstance(refused.value.__cause__, NotADirectoryError | FileExistsError)
    reason = str(refused.value.__cause__.strerror).lower()
    wording.check("a file that cannot be written", str(refused.value), folder=tmp_path, reason=reason)


def test_a_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        write_file(tmp_path / ("a" * 300), "text", overwrite=False)

    wording.check("a name that is too long", str(refused.value), file=tmp_path / ("a" * 300))
