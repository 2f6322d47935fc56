"""Which files are obeyed, in what, and which secrets go to whom."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from btcts.config import DEFAULT_PROVIDERS, Secret, Settings, load
from btcts.errors import ConfigError
from support.wording import Wording

wording = Wording(__file__)


ENDPOINTS = {
    name: (f"https://{name}.example", 5.0, f"wss://{name}.example/ws") for name in (*DEFAULT_PROVIDERS, "simulated")
}
STRANGER = 4242

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")

HARMLESS = "[collect]\nquorum = 2\n"
COINMARKETCAP = '[providers.coinmarketcap]\nurl = "http://127.0.0.1:9"\n'


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, in a home without files."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    folder = tmp_path / "project"
    folder.mkdir(mode=0o755)
    monkeypatch.chdir(folder)
    return folder


def settings(environ: Mapping[str, str] | None = None, **flags: object) -> Settings:
    named = {name.replace("__", "."): value for name, value in flags.items()}
    return load(named, endpoints=ENDPOINTS, environ=environ or {})


def refusal(environ: Mapping[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as refused:
        settings(environ)
    assert len(str(refused.value).splitlines()) == 1
    return str(refused.value)


def user_file(home: Path, text: str) -> Path:
    file = home / "config" / "btcts" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    return file


class TestProjectFile:
    def test_ours_is_read(self, project: Path) -> None:
        (project / "btcts.toml").write_text(HARMLESS)

        assert settings().collect.quorum == 2

    @pytest.mark.parametrize("mode", [0o646, 0o666, 0o622])
    def test_one_that_others_may_write_is_refused_by_name(self, mode: int, project: Path) -> None:
        file = project / "btcts.toml"
        file.write_text(HARMLESS)
        file.chmod(mode)

        said = refusal()

        assert all(word in said for word in (f" {file} (uid {os.geteuid()}, ", f"mode {mode:04o})"))
        assert said.endswith(f"chmod go-w {file}")

    def test_one_in_a_folder_that_others_may_write_is_refused(self, project: Path) -> None:
        (project / "btcts.toml").write_text(HARMLESS)
        project.chmod(0o777)

        assert f"others can change {project} (" in refusal()

    def test_one_below_a_folder_that_others_may_write_is_refused(self, project: Path, tmp_path: Path) -> None:
        (project / "btcts.toml").write_text(HARMLESS)
        tmp_path.chmod(0o777)

        said = refusal()

        tmp_path.chmod(0o700)
        assert f"others can change {tmp_path} (" in said

    def test_a_folder_that_others_may_write_is_no_obstacle_without_one(self, project: Path) -> None:
        project.chmod(0o777)

        assert settings().collect.quorum == 1

    def test_ours_in_a_shared_folder_with_a_sticky_bit_is_read(self, project: Path) -> None:
        (project / "btcts.toml").write_text(HARMLESS)
        project.chmod(0o1777)

        assert settings().collect.quorum == 2

    @as_root
    @pytest.mark.parametrize("given_away", ["btcts.toml", "."])
    def test_one_of_somebody_else_is_refused(self, given_away: str, project: Path) -> None:
        (project / "btcts.toml").write_text(HARMLESS)
        os.chown(project / given_away, STRANGER, -1)

        assert f"others can change {(project / given_away).resolve()} (uid {STRANGER}, " in refusal()

    @as_root
    def test_one_that_is_written_by_a_group_with_other_members_is_refused(self, project: Path) -> None:
        file = project / "btcts.toml"
        file.write_text(HARMLESS)
        os.chown(file, -1, STRANGER)
        file.chmod(0o664)

        assert f"gid {STRANGER}, mode 0664" in refusal()

    @as_root
    def test_a_link_to_a_file_of_somebody_else_is_refused(self, project: Path, tmp_path: Path) -> None:
        theirs = tmp_path / "theirs.toml"
        theirs.write_text(HARMLESS)
        os.chown(theirs, STRANGER, -1)
        (project / "btcts.toml").symlink_to(theirs)

        assert f"others can change {theirs} (uid {STRANGER}, " in refusal()

    @as_root
    def test_a_link_that_somebody_else_made_is_refused(self, project: Path, tmp_path: Path) -> None:
        ours = tmp_path / "ours.toml"
        ours.write_text(HARMLESS)
        (project / "btcts.toml").symlink_to(ours)
        os.chown(project / "btcts.toml", STRANGER, -1, follow_symlinks=False)

        assert f"others can change {project / 'btcts.toml'} (uid {STRANGER}, " in refusal()

    def test_the_command_ends_with_2_and_one_line(self, project: Path) -> None:
        (project / "btcts.toml").write_text(HARMLESS)
        (project / "btcts.toml").chmod(0o666)

        done = subprocess.run(
            [sys.executable, "-P", "-m", "btcts", "config", "show"], capture_output=True, text=True, check=False
        )

        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("btcts: btcts.toml ")
        assert len(done.stderr.splitlines()) == 1

    @pytest.mark.parametrize(
        ("text", "name", "variable"),
        [
            ('[embedded]\nredis_server = "./redis-server"', "line 2: embedded.redis_server", "BTCTS_REDIS_SERVER"),
            ('[embedded]\ndata_dir = "data"', "line 2: embedded.data_dir", "BTCTS_DATA_DIR"),
            ('api_key_file = "key"', "line 1: api_key_file", "API_KEY_FILE"),
            ('[redis]\npassword_file = "key"', "line 2: redis.password_file", "REDIS_PASSWORD_FILE"),
        ],
    )
    def test_it_names_no_file_and_no_folder_and_none_is_read(
        self, text: str, name: str, variable: str, project: Path
    ) -> None:
        (project / "btcts.toml").write_text(text)

        said = refusal()

        assert said.startswith(f"btcts.toml {name} ")
        assert f" {variable}, " in said

    def test_a_flag_or_a_variable_beside_it_does_not_make_it_right(self, project: Path) -> None:
        (project / "btcts.toml").write_text('[embedded]\ndata_dir = "data"')

        wording.check("a folder beside a variable", refusal({"BTCTS_DATA_DIR": "/srv/data"}))


class TestSecrets:
    @pytest.mark.parametrize("variable", ["API_KEY", "API_KEY_FILE"])
    def test_the_api_key_of_the_environment_does_not_go_where_a_project_file_says(
        self, variable: str, project: Path
    ) -> None:
        (project / "btcts.toml").write_text(COINMARKETCAP)
        (project / "key").write_text("s3cret")

        said = refusal({variable: "key"})

        wording.check(f"an address that would get {variable}", said)

    def test_nor_does_that_of_the_user_file(self, project: Path, tmp_path: Path) -> None:
        user_file(tmp_path, 'api_key = "s3cret"')
        (project / "btcts.toml").write_text(COINMARKETCAP)

        wording.check("an address that would get the key of the user file", refusal())

    @pytest.mark.parametrize(
        "text",
        [
            '[redis]\nurl = "redis://127.0.0.1:9"',
            '[redis]\nurl = "redis://:own@127.0.0.1:9"',
            '[redis]\nhost = "evil.example"',
            "[redis]\nport = 9",
            '[redis]\nurl = "unix:///tmp/evil.sock"',
        ],
    )
    def test_the_password_of_the_environment_does_not_go_where_a_project_file_says(
        self, text: str, project: Path
    ) -> None:
        (project / "btcts.toml").write_text(text)

        said = refusal({"REDIS_PASSWORD": "s3cret"})

        wording.check("a Redis that would get REDIS_PASSWORD", said)

    def test_nor_does_the_password_of_the_user_file(self, project: Path, tmp_path: Path) -> None:
        user_file(tmp_path, '[redis]\npassword = "s3cret"')
        (project / "btcts.toml").write_text('[redis]\nhost = "evil.example"')

        wording.check("a Redis that would get the password of the user file", refusal())

    def test_a_project_file_may_bring_its_own_secrets_and_addresses(self, project: Path) -> None:
        (project / "btcts.toml").write_text(f'api_key = "own"\n[redis]\nurl = "redis://:own@h"\n{COINMARKETCAP}')

        own = settings()

        assert (own.api_key, own.redis.password) == (Secret("own"), Secret("own"))

    def test_a_secret_of_a_project_file_may_go_to_an_address_that_is_trusted_more(self, project: Path) -> None:
        (project / "btcts.toml").write_text('[redis]\npassword = "own"')

        assert settings({"REDIS_HOST": "h"}).redis.password == Secret("own")

    def test_an_address_of_a_project_file_that_is_the_default_gets_the_key(self, project: Path) -> None:
        (project / "btcts.toml").write_text('[providers.coinmarketcap]\nurl = "https://coinmarketcap.example/"')

        assert settings({"API_KEY": "s3cret"}).api_key == Secret("s3cret")

    def test_other_addresses_of_a_project_file_get_no_secret_and_are_obeyed(self, project: Path) -> None:
        (project / "btcts.toml").write_text('[providers.kraken]\nurl = "http://mirror.example"')

        own = settings({"API_KEY": "s3cret", "REDIS_URL": "redis://:p@h"})

        assert own.providers["kraken"].url == "http://mirror.example"

    def test_an_address_of_the_environment_gets_its_password_beside_a_project_file(self, project: Path) -> None:
        (project / "btcts.toml").write_text('[redis]\nurl = "redis://evil.example"')

        own = settings({"REDIS_HOST": "h", "REDIS_PASSWORD": "s3cret"})

        assert (own.redis.host, own.redis.password) == ("h", Secret("s3cret"))


class TestChosenFile:
    @pytest.mark.parametrize(
        "text", ['api_key = "s3cret"', '[embedded]\nredis_server = "x"', COINMARKETCAP, '[redis]\nhost = "h"']
    )
    def test_a_named_file_with_secrets_places_or_addresses_is_refused_when_others_may_write_it(
        self, text: str, project: Path
    ) -> None:
        file = project / "named.toml"
        file.write_text(text)
        file.chmod(0o666)

        said = refusal({"BTCTS_CONFIG": "named.toml"})

        assert said.startswith("named.toml line ")
        assert f" {file} (uid {os.geteuid()}, " in said

    def test_the_file_of_the_user_is_no_exception(self, tmp_path: Path) -> None:
        file = user_file(tmp_path, 'api_key = "s3cret"')
        file.chmod(0o622)

        owner = f"uid {os.geteuid()}, gid {file.stat().st_gid}"
        wording.check("a key that others may write", refusal(), file=file, owner=owner)

    def test_one_without_any_is_read(self, project: Path) -> None:
        (project / "named.toml").write_text(HARMLESS)
        (project / "named.toml").chmod(0o666)

        assert settings({"BTCTS_CONFIG": "named.toml"}).collect.quorum == 2

    def test_a_named_file_may_set_what_a_found_one_may_not(self, project: Path) -> None:
        (project / "btcts.toml").write_text(f'api_key = "x"\n[embedded]\ndata_dir = "data"\n{COINMARKETCAP}')

        own = settings({"BTCTS_CONFIG": "btcts.toml", "REDIS_PASSWORD": "p"})

        assert own.embedded.data_dir == project / "data"
