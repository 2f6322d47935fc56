"""Settings: which source wins, what is refused and how it is said, and that secrets stay secret."""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btcts.config import DEFAULT_PROVIDERS, RedisSettings, Secret, Settings, config_files, load, table
from btcts.config.sample import format_sample, write_file
from btcts.config.textfile import read_text
from btcts.errors import ConfigError
from btcts.providers import DEFAULTS

ENDPOINTS = {name: (f"https://{name}.example", 5.0) for name in (*DEFAULT_PROVIDERS, "simulated")}
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


class TestPrecedence:
    def test_every_source_beats_the_ones_below_it(self, place: Place) -> None:
        seen = [(place.settings().collect.interval_s, place.settings().origins["collect.interval_s"])]

        place.user_file("[collect]\ninterval_s = 20")
        seen.append((place.settings().collect.interval_s, place.settings().origins["collect.interval_s"]))
        place.project_file("[collect]\ninterval_s = 30")
        seen.append((place.settings().collect.interval_s, place.settings().origins["collect.interval_s"]))
        environ = {"BTCTS_COLLECT_INTERVAL_S": "40"}
        by_variable = place.settings(environ)
        seen.append((by_variable.collect.interval_s, by_variable.origins["collect.interval_s"]))
        by_flag = place.settings(environ, collect__interval_s=50.0)
        seen.append((by_flag.collect.interval_s, by_flag.origins["collect.interval_s"]))

        assert seen == [
            (10.0, "default"),
            (20.0, "~/config/btcts/config.toml"),
            (30.0, "btcts.toml"),
            (40.0, "environment BTCTS_COLLECT_INTERVAL_S"),
            (50.0, "flag --interval"),
        ]

    def test_sources_add_up_setting_by_setting(self, place: Place) -> None:
        place.user_file("[collect]\ninterval_s = 20\nquorum = 2")
        place.project_file("[collect]\ninterval_s = 30")

        collect = place.settings().collect

        assert (collect.interval_s, collect.quorum) == (30.0, 2)

    def test_a_flag_that_was_not_given_counts_for_nothing(self, place: Place) -> None:
        assert place.settings(redis__url=None).redis.url is None

    @pytest.mark.parametrize("empty", ["", "  "])
    def test_an_empty_variable_counts_as_unset(self, empty: str) -> None:
        settings = of_environment({"REDIS_HOST": empty, "BTCTS_EMBEDDED": empty, "API_KEY": empty, "BTCTS_TYPO": empty})

        assert settings == of_environment({})

    def test_a_named_file_replaces_the_two_others(self, place: Place) -> None:
        place.user_file("[collect]\nquorum = 2")
        place.project_file("[collect]\nquorum = 3")
        (place.project / "other.toml").write_text("[collect]\ninterval_s = 20")

        settings = place.settings({"BTCTS_CONFIG": "other.toml"})

        assert (settings.collect.quorum, settings.collect.interval_s) == (1, 20.0)
        assert settings.origins["collect.interval_s"] == "other.toml"

    def test_the_flag_for_the_file_beats_the_variable(self, place: Place) -> None:
        files = config_files({"BTCTS_CONFIG": "one.toml"}, place.project, Path("two.toml"))

        assert [file.path for file in files] == [place.project / "two.toml"]

    def test_a_named_file_must_exist(self, place: Place) -> None:
        message = place.refusal({"BTCTS_CONFIG": "other.toml"})

        assert message == "other.toml: cannot be read (no such file or directory)"


class TestDefaults:
    def test_the_default_providers_are_real_ones(self) -> None:
        assert set(DEFAULT_PROVIDERS) == set(DEFAULTS) - {"simulated"}

    def test_every_real_provider_has_an_endpoint(self) -> None:
        settings = of_environment({})

        assert {name: (each.url, each.timeout_s) for name, each in settings.providers.items()} == {
            name: ENDPOINTS[name] for name in DEFAULT_PROVIDERS
        }

    def test_every_setting_is_found_by_its_name_and_starts_at_its_default(self) -> None:
        settings = of_environment({"REDIS_HOST": "127.0.0.1"})

        for name, setting in table(ENDPOINTS).items():
            expected = "redis://127.0.0.1:6379/0" if name == "redis.url" else setting.default
            assert settings.get_value(name) == expected
            assert settings.origins[name] == ("environment REDIS_HOST" if name in REDIS_HOST_GIVES else "default")

    def test_without_a_redis_only_the_embedded_one_is_in_force(self) -> None:
        settings = of_environment({})

        assert settings.redis == RedisSettings()
        assert (settings.redis.url, settings.redis.where) == (None, "embedded")
        assert [name for name in settings.origins if name.startswith("redis.")] == ["redis.url"]

    def test_the_data_lie_in_the_user_data_folder(self, place: Place) -> None:
        assert place.settings().embedded.data_dir == place.project.parent / "data" / "btcts"

    def test_no_variable_means_two_settings(self) -> None:
        variables = [variable for setting in table(ENDPOINTS).values() for variable in setting.variables]

        assert len(set(variables)) == len(variables)


REDIS_HOST_GIVES = ("redis.url", "redis.host")


class TestRedis:
    @pytest.mark.parametrize(
        ("url", "expected", "where"),
        [
            ("redis://h", RedisSettings("redis", "h"), "h:6379"),
            ("redis://h:7000/3", RedisSettings("redis", "h", 7000, db=3), "h:7000"),
            ("redis://[::1]:7000/", RedisSettings("redis", "::1", 7000), "[::1]:7000"),
            ("rediss://u:p@h", RedisSettings("rediss", "h", username="u", password=Secret("p")), "h:6379"),
            ("redis://:p%40%2F%23@h", RedisSettings("redis", "h", password=Secret("p@/#")), "h:6379"),
            ("unix:///run/r.sock", RedisSettings("unix", "", 0, "/run/r.sock"), "unix socket /run/r.sock"),
            (
                "unix://u:p@/run/r%20.sock",
                RedisSettings("unix", "", 0, "/run/r .sock", username="u", password=Secret("p")),
                "unix socket /run/r .sock",
            ),
        ],
    )
    def test_a_url_is_taken_apart(self, url: str, expected: RedisSettings, where: str) -> None:
        redis = of_environment({"REDIS_URL": url}).redis

        assert redis == expected
        assert redis.where == where

    @given(
        host=st.from_regex(r"[a-z][a-z0-9.-]{0,20}", fullmatch=True),
        port=st.integers(1, 65_535),
        db=st.integers(0, 99),
        username=st.text(min_size=1),
        password=st.text(min_size=1),
    )
    def test_a_url_gives_back_what_was_quoted_into_it(
        self, host: str, port: int, db: int, username: str, password: str
    ) -> None:
        url = f"redis://{quote(username, safe='')}:{quote(password, safe='')}@{host}:{port}/{db}"

        redis = of_environment({"REDIS_URL": url}).redis

        assert redis == RedisSettings("redis", host, port, "", db, username, Secret(password))
        assert redis.url == f"redis://{host}:{port}/{db}"

    @pytest.mark.parametrize(
        ("environ", "expected"),
        [
            ({"REDIS_HOST": "h"}, RedisSettings("redis", "h")),
            ({"REDIS_PORT": "7000"}, RedisSettings("redis", port=7000)),
            ({"REDIS_DB": "2"}, RedisSettings("redis", db=2)),
            ({"REDIS_PASSWORD": "p"}, RedisSettings("redis", password=Secret("p"))),
            ({"REDIS_HOST": "::1", "REDIS_DB": "1"}, RedisSettings("redis", "::1", db=1)),
        ],
    )
    def test_any_redis_variable_names_a_redis(self, environ: dict[str, str], expected: RedisSettings) -> None:
        assert of_environment(environ).redis == expected

    def test_separate_variables_fill_in_what_the_url_leaves_out(self) -> None:
        login = {"REDIS_USERNAME": "u", "REDIS_PASSWORD": "p", "REDIS_DB": "4"}

        redis = of_environment({"REDIS_URL": "redis://h", **login}).redis

        assert redis == RedisSettings("redis", "h", db=4, username="u", password=Secret("p"))

    def test_what_the_url_says_beats_the_variables_beside_it(self) -> None:
        others = {"REDIS_HOST": "x", "REDIS_PORT": "1", "REDIS_PASSWORD": "x", "REDIS_DB": "9"}

        redis = of_environment({"REDIS_URL": "redis://:p@h/0", **others}).redis

        assert redis == RedisSettings("redis", "h", password=Secret("p"))

    def test_a_host_beats_a_url_of_a_lower_source_as_a_whole(self, place: Place) -> None:
        place.project_file('[redis]\nurl = "rediss://u:p@h:7000/3"')

        redis = place.settings({"REDIS_HOST": "other"}).redis

        assert redis == RedisSettings("redis", "other")

    def test_the_password_beside_another_address_is_sent_nowhere(self) -> None:
        environ = {"REDIS_HOST": "production", "REDIS_PASSWORD": "p"}

        settings = load({"redis.url": "redis://h"}, endpoints=ENDPOINTS, environ=environ, config_path=NO_FILE)

        assert settings.redis == RedisSettings("redis", "h")

    def test_a_password_on_its_own_goes_with_the_address_of_another_source(self, place: Place) -> None:
        place.user_file('[redis]\nurl = "redis://h:7000"')

        settings = place.settings({"REDIS_PASSWORD": "p"})

        assert settings.redis == RedisSettings("redis", "h", 7000, password=Secret("p"))
        assert settings.origins["redis.url"] == "~/config/btcts/config.toml"
        assert settings.origins["redis.password"] == "environment REDIS_PASSWORD"

    def test_a_password_of_a_higher_source_beats_the_one_in_a_url(self, place: Place) -> None:
        place.user_file('[redis]\nurl = "redis://:old@h/3"')

        redis = place.settings({"REDIS_PASSWORD": "new", "REDIS_DB": "4"}).redis

        assert redis == RedisSettings("redis", "h", db=4, password=Secret("new"))

    def test_an_address_that_only_a_password_made_has_its_origin(self) -> None:
        assert of_environment({"REDIS_PASSWORD": "p"}).origins["redis.url"] == "environment REDIS_PASSWORD"

    def test_the_origin_of_the_address_names_all_that_made_it(self) -> None:
        origins = of_environment({"REDIS_HOST": "h", "REDIS_PORT": "7000"}).origins

        assert origins["redis.url"] == "environment REDIS_HOST, environment REDIS_PORT"

    def test_the_port_that_kubernetes_sets_for_a_service_named_redis_is_none(self) -> None:
        assert of_environment({"REDIS_PORT": "tcp://10.0.0.11:6379"}).redis.url is None

    @pytest.mark.parametrize(
        ("url", "problem"),
        [
            ("localhost:6379", "the URL does not begin with redis://, rediss:// or unix://"),
            ("http://h", "the URL does not begin with redis://, rediss:// or unix://"),
            ("redis://", "the URL names no host"),
            ("redis://:6379/0", "the URL names no host"),
            ("redis://h/zero", "the path of the URL is not a database number"),
            ("redis://h/0/1", "the path of the URL is not a database number"),
            ("redis://h ost", "the URL contains a blank or a control character"),
            ("unix://run/r.sock", "the URL of a socket needs an absolute path: unix:///run/redis.sock"),
            (
                "redis+sentinel://h1,h2/main/0",
                "redis+sentinel:// is not supported yet; name one server with redis://, rediss:// or unix://",
            ),
            (
                "redis+cluster://h1,h2",
                "redis+cluster:// is not supported yet; name one server with redis://, rediss:// or unix://",
            ),
        ],
    )
    def test_an_unusable_url_is_refused(self, url: str, problem: str) -> None:
        assert refused({"REDIS_URL": url}) == f"environment REDIS_URL: {problem}"

    @pytest.mark.parametrize("url", ["redis://h:0", "redis://h:65536", "redis://h:port", "redis://[::1"])
    def test_a_malformed_host_or_port_is_refused(self, url: str) -> None:
        assert "the host or the port of the URL is malformed" in refused({"REDIS_URL": url})

    def test_options_of_a_url_are_refused(self) -> None:
        assert "options behind '?' or '#', which are not supported" in refused({"REDIS_URL": "redis://h?db=1"})

    def test_a_user_without_a_password_is_refused_unseen(self) -> None:
        message = refused({"REDIS_URL": "redis://hunter2@h"})

        assert message.startswith("environment REDIS_URL: a Redis user is named without a password")
        assert "hunter2" not in message

    def test_the_embedded_redis_can_be_forbidden(self) -> None:
        assert refused({"BTCTS_EMBEDDED": "0"}) == (
            "no Redis is named and the embedded one is forbidden (environment BTCTS_EMBEDDED); "
            "set REDIS_URL or pass --redis"
        )
        assert of_environment({"BTCTS_EMBEDDED": "0", "REDIS_HOST": "h"}).redis.host == "h"


class TestSecrets:
    def test_a_secret_prints_as_three_stars(self) -> None:
        secret = Secret("hunter2")

        assert (str(secret), repr(secret), f"{secret:>5}", f"{[secret]}") == ("***", "***", "  ***", "[***]")
        assert secret.reveal() == "hunter2"

    def test_secrets_compare_by_content_and_an_empty_one_is_false(self) -> None:
        assert Secret("a") == Secret("a")
        assert Secret("a") != Secret("b")
        assert Secret("a") != "a"
        assert len({Secret("a"), Secret("a")}) == 1
        assert (bool(Secret("a")), bool(Secret(""))) == (True, False)

    def test_settings_print_without_their_secrets(self) -> None:
        settings = of_environment({"API_KEY": "hunter2", "REDIS_URL": "redis://:hunter3@h"})

        assert "hunter" not in f"{settings!r} {settings.redis.url} {settings.redis.where}"

    @given(
        password=st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=12),
        form=st.sampled_from(
            [
                "redis://:{}@h:x",
                "redis://{}",
                "{}",
                "http://:{}@h",
                "redis://u:{}@h?a=b",
                "redis://:{}@h/x",
                "redis://{}@",
            ]
        ),
    )
    def test_a_refused_url_never_shows_a_part_of_its_password(self, password: str, form: str) -> None:
        try:
            of_environment({"REDIS_URL": form.format(password)})
            message = ""
        except ConfigError as exc:
            message = str(exc)

        assert password not in message

    @pytest.mark.parametrize(
        ("variable", "value"),
        [
            ("API_KEY", "hunter2 hunter2"),
            ("REDIS_HOST", "redis://:hunter2@h"),
            ("REDIS_PORT", "redis://:hunter2@h"),
            ("BTCTS_PROVIDERS_KRAKEN_URL", "https://u:hunter2@kraken.example"),
        ],
    )
    def test_a_secret_in_the_wrong_place_is_not_repeated(self, variable: str, value: str) -> None:
        message = refused({variable: value})

        assert message.startswith(f"environment {variable}: ")
        assert "hunter2" not in message

    def test_a_secret_of_the_wrong_type_is_not_repeated(self, place: Place) -> None:
        place.project_file("api_key = 123456")

        assert place.refusal() == "btcts.toml line 1: api_key: the value is not text, or empty"

    def test_the_api_key_is_stripped(self) -> None:
        assert of_environment({"API_KEY": " abc-123\n"}).api_key == Secret("abc-123")

    @pytest.mark.parametrize("value", ["a\tb", "kéy", "a b"])
    def test_an_api_key_that_cannot_stand_in_a_header_is_refused(self, value: str) -> None:
        problem = "the key contains a blank or a character that is not ASCII"

        assert refused({"API_KEY": value}) == f"environment API_KEY: {problem}"

    def test_secrets_can_lie_in_files(self, tmp_path: Path) -> None:
        (tmp_path / "key").write_text("abc\n")
        (tmp_path / "password").write_text(" p w \r\n")
        environ = {"API_KEY_FILE": str(tmp_path / "key"), "REDIS_PASSWORD_FILE": str(tmp_path / "password")}

        settings = of_environment(environ)

        assert settings.api_key == Secret("abc")
        assert settings.redis.password == Secret(" p w ")
        assert settings.origins["api_key"] == "environment API_KEY_FILE"

    @pytest.mark.parametrize("password", ["it's", '"5"', "$HOME", "#", "two words", " ", "a\\b", "\t", "größe"])
    def test_a_password_may_have_any_character_of_a_line(self, password: str) -> None:
        assert of_environment({"REDIS_PASSWORD": f"x{password}"}).redis.password == Secret(f"x{password}")

    @pytest.mark.parametrize(
        ("password", "problem"),
        [
            ("one\ntwo", "the password contains a line break; it must be one line"),
            ("one\rtwo", "the password contains a line break; it must be one line"),
            ("one\udcff", "the password is not UTF-8 text"),
        ],
        ids=["line-feed", "carriage-return", "not-utf-8"],
    )
    def test_a_password_that_no_redis_would_be_sent_as_it_is_is_refused_unseen(
        self, password: str, problem: str
    ) -> None:
        assert refused({"REDIS_PASSWORD": password}) == f"environment REDIS_PASSWORD: {problem}"

    def test_the_file_of_a_password_has_one_line(self, tmp_path: Path) -> None:
        (tmp_path / "password").write_text("one\ntwo\n")

        message = refused({"REDIS_PASSWORD_FILE": str(tmp_path / "password")})

        assert message == "environment REDIS_PASSWORD_FILE: the password contains a line break; it must be one line"

    def test_the_file_of_a_secret_is_sought_beside_the_configuration_file(self, place: Place) -> None:
        place.user_file('api_key_file = "key"')
        (place.user_dir / "key").write_text("abc")

        assert place.settings().api_key == Secret("abc")

    def test_a_secret_given_twice_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "key").write_text("abc")

        message = refused({"API_KEY": "abc", "API_KEY_FILE": str(tmp_path / "key")})

        assert message == (
            "environment API_KEY_FILE: api_key is given by environment API_KEY already; keep one of them"
        )

    @pytest.mark.parametrize("content", [b"\xef\xbb\xbfabc", b"\xef\xbb\xbfabc\r\n", b"abc\n\n", b"abc\r\n\r\n"])
    def test_a_byte_order_mark_and_line_ends_are_no_part_of_a_secret(self, content: bytes, tmp_path: Path) -> None:
        file = tmp_path / "secret"
        file.write_bytes(content)

        settings = of_environment({"API_KEY_FILE": str(file), "REDIS_PASSWORD_FILE": str(file)})

        assert settings.api_key == Secret("abc")
        assert settings.redis.password == Secret("abc")

    @pytest.mark.parametrize("value", ['"abc"', "'abc'", ' "abc"\n', '\ufeff"abc"'])
    def test_quotes_that_an_env_file_left_around_the_api_key_are_taken_off(self, value: str, tmp_path: Path) -> None:
        (tmp_path / "key").write_text(value)

        assert of_environment({"API_KEY": value}).api_key == Secret("abc")
        assert of_environment({"API_KEY_FILE": str(tmp_path / "key")}).api_key == Secret("abc")

    @pytest.mark.parametrize("value", ['""', "''", " '' "])
    def test_a_variable_of_quotes_alone_counts_as_unset(self, value: str) -> None:
        settings = of_environment({"API_KEY": value, "REDIS_HOST": value, "REDIS_PASSWORD": value})

        assert settings == of_environment({})

    @pytest.mark.parametrize("content", ['""', "''", '" "', "\ufeff", ""])
    def test_a_file_without_a_key_is_refused(self, content: str, tmp_path: Path) -> None:
        (tmp_path / "key").write_text(content)

        assert refused({"API_KEY_FILE": str(tmp_path / "key")}) == (
            "environment API_KEY_FILE: the value is not text, or empty"
        )

    def test_quotes_around_a_password_are_a_part_of_it(self) -> None:
        assert of_environment({"REDIS_PASSWORD": '"abc"'}).redis.password == Secret('"abc"')

    @pytest.mark.parametrize(
        ("variable", "value"),
        [("REDIS_URL", '"redis://h"'), ("BTCTS_COLLECT_QUORUM", "'2'"), ("API_KEY_FILE", '"/run/key"')],
    )
    def test_quotes_around_other_values_are_pointed_at(self, variable: str, value: str) -> None:
        assert refused({variable: value}).endswith("; the quotes count as part of it: leave them out")

    def test_a_secret_may_come_through_a_pipe(self, tmp_path: Path) -> None:
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)

        with subprocess.Popen(["sh", "-c", f"printf s3cret > {pipe}"]):
            settings = of_environment({"API_KEY_FILE": str(pipe)})

        assert settings.api_key == Secret("s3cret")

    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            ("abc\n".encode("utf-16"), "{} is not a UTF-8 text file"),
            ("abc\n".encode("utf-16-le"), "{} is not a UTF-8 text file"),
            (b"k" * 2_000_000, "cannot read {} (larger than 1048576 bytes)"),
            (b"\xef\xbb\xbf\r\n", "the value is not text, or empty"),
            (b"abc\ndef\n", "the key contains a blank or a character that is not ASCII"),
        ],
        ids=["UTF-16", "UTF-16 without a mark", "huge", "empty", "two lines"],
    )
    def test_a_file_that_holds_no_key_is_refused(self, content: bytes, problem: str, tmp_path: Path) -> None:
        file = tmp_path / "key"
        file.write_bytes(content)

        assert refused({"API_KEY_FILE": str(file)}) == f"environment API_KEY_FILE: {problem.format(file)}"

    def test_a_pipe_that_nobody_writes_to_is_given_up_on(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")

        with pytest.raises(OSError, match=r"Its writer took more than 0\.01 s"):
            read_text(tmp_path / "pipe", pipe_patience_s=0.01)

    def test_a_file_without_end_is_refused(self) -> None:
        assert refused({"REDIS_PASSWORD_FILE": "/dev/zero"}) == (
            "environment REDIS_PASSWORD_FILE: cannot read /dev/zero (larger than 1048576 bytes)"
        )

    def test_a_file_of_a_secret_must_be_readable_text(self, tmp_path: Path) -> None:
        binary = tmp_path / "binary"
        binary.write_bytes(b"\xff\xfe")
        empty = tmp_path / "empty"
        empty.touch()

        messages = [refused({"API_KEY_FILE": str(path)}) for path in (tmp_path / "absent", tmp_path, binary, empty)]

        assert messages == [
            f"environment API_KEY_FILE: cannot read {tmp_path}/absent (no such file or directory)",
            f"environment API_KEY_FILE: cannot read {tmp_path} (is a directory)",
            f"environment API_KEY_FILE: {binary} is not a UTF-8 text file",
            "environment API_KEY_FILE: the value is not text, or empty",
        ]


class TestValues:
    @pytest.mark.parametrize(
        ("variable", "value", "problem"),
        [
            ("BTCTS_COLLECT_INTERVAL_S", "0.9", "0.9 is not a number of seconds from 1 to 86400"),
            ("BTCTS_COLLECT_INTERVAL_S", "inf", "inf is not a number of seconds from 1 to 86400"),
            ("BTCTS_COLLECT_INTERVAL_S", "nan", "nan is not a number of seconds from 1 to 86400"),
            ("BTCTS_COLLECT_INTERVAL_S", "soon", "'soon' is not a number of seconds from 1 to 86400"),
            ("BTCTS_COLLECT_QUORUM", "0", "0 is not a whole number from 1"),
            ("BTCTS_COLLECT_QUORUM", "1.5", "'1.5' is not a whole number from 1"),
            ("BTCTS_COLLECT_QUORUM", "7", "collect.quorum = 7 is more than the 6 providers (default)"),
            ("BTCTS_PROVIDERS_KRAKEN_TIMEOUT_S", "0", "0.0 is not a number of seconds above 0, at most 60"),
            ("BTCTS_PROVIDERS_KRAKEN_TIMEOUT_S", "61", "61.0 is not a number of seconds above 0, at most 60"),
            ("BTCTS_PROVIDERS_KRAKEN_URL", "kraken.example", "'kraken.example' is not a plain http:// or https:// URL"),
            ("BTCTS_PROVIDERS_KRAKEN_URL", "https:///k", "'https:///k' is not a plain http:// or https:// URL"),
            ("BTCTS_PROVIDERS_KRAKEN_URL", "https://k?a", "'https://k?a' is not a plain http:// or https:// URL"),
            ("BTCTS_EMBEDDED", "maybe", "'maybe' is not true or false"),
            ("REDIS_PORT", "0", "0 is not a port from 1 to 65535"),
            ("REDIS_PORT", "65536", "65536 is not a port from 1 to 65535"),
            ("REDIS_DB", "-1", "-1 is not the number of a database"),
            (
                "REDIS_HOST",
                "h:7000",
                "'h:7000' is not a host name or an address (a port and a URL are settings of their own)",
            ),
            ("BTCTS_DATA_DIR", "~nobody-of-that-name/x", "'~nobody-of-that-name/x' names an unknown home directory"),
        ],
    )
    def test_a_value_out_of_bounds_is_refused_with_where_it_stands(
        self, variable: str, value: str, problem: str
    ) -> None:
        assert refused({variable: value}) == f"environment {variable}: {problem}"

    @pytest.mark.parametrize(("word", "expected"), [("1", True), ("Yes", True), ("TRUE", True), ("0", False)])
    def test_switches_are_words_in_the_environment(self, word: str, *, expected: bool) -> None:
        assert of_environment({"BTCTS_EMBEDDED": word, "REDIS_HOST": "h"}).embedded.enabled is expected

    def test_the_bounds_belong_to_the_range(self) -> None:
        shortest = of_environment({"BTCTS_COLLECT_INTERVAL_S": "1", "REDIS_PORT": "1", "BTCTS_COLLECT_QUORUM": "6"})
        longest = of_environment({"BTCTS_PROVIDERS_KRAKEN_TIMEOUT_S": "60", "REDIS_PORT": "65535"})

        assert (shortest.collect.interval_s, shortest.redis.port, shortest.collect.quorum) == (1.0, 1, 6)
        assert (longest.providers["kraken"].timeout_s, longest.redis.port) == (60.0, 65_535)

    def test_a_base_url_loses_its_trailing_slash(self) -> None:
        environ = {"BTCTS_PROVIDERS_KRAKEN_URL": "http://127.0.0.1:8080/mirror/"}

        assert of_environment(environ).providers["kraken"].url == "http://127.0.0.1:8080/mirror"

    def test_providers_are_separated_by_commas(self) -> None:
        collect = of_environment({"BTCTS_COLLECT_PROVIDERS": "kraken, gemini,"}).collect

        assert collect.providers == ("kraken", "gemini")

    def test_the_simulated_provider_can_be_used_alone(self) -> None:
        assert of_environment({"BTCTS_COLLECT_PROVIDERS": "simulated"}).collect.providers == ("simulated",)

    @pytest.mark.parametrize(
        ("value", "problem"),
        [
            (",", "[] is not a list of provider names"),
            (
                "krakn",
                "'krakn' is not one of bitfinex, bitstamp, coinbase, coinmarketcap, gemini, kraken, simulated; "
                "did you mean 'kraken'?",
            ),
            ("kraken,kraken", "['kraken', 'kraken'] names a provider twice"),
            ("simulated,kraken", "'simulated' cannot be mixed with real providers"),
        ],
    )
    def test_a_wrong_list_of_providers_is_refused(self, value: str, problem: str) -> None:
        message = refused({"BTCTS_COLLECT_PROVIDERS": value})

        assert message == f"environment BTCTS_COLLECT_PROVIDERS: {problem}"

    def test_paths_count_from_the_source_that_gives_them(self, place: Place) -> None:
        place.user_file('[embedded]\ndata_dir = "data"\nredis_server = "~/redis-server"')

        from_file = place.settings().embedded
        from_variable = place.settings({"BTCTS_DATA_DIR": "data"}).embedded

        assert from_file.data_dir == place.user_dir / "data"
        assert from_file.redis_server == place.project.parent / "redis-server"
        assert from_variable.data_dir == place.project / "data"


class TestUnknown:
    def test_an_unknown_variable_of_ours_is_refused_with_the_nearest(self) -> None:
        assert refused({"BTCTS_COLLECT_INTERVAL": "5"}) == (
            "environment BTCTS_COLLECT_INTERVAL: there is no such setting; did you mean 'BTCTS_COLLECT_INTERVAL_S'?"
        )

    @pytest.mark.parametrize(
        "variable",
        ["REDIS_TLS", "BTCTS_SERVICE_HOST", "BTCTS_PORT_80_TCP", "BTCTS_ALERT_RULE", "BTCTS_TEST_REDIS_SERVER", "PATH"],
    )
    def test_variables_of_others_are_left_alone(self, variable: str) -> None:
        assert of_environment({variable: "x"}) == of_environment({})

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("[collect]\n\nintervall_s = 3", "line 3: collect.intervall_s {}; did you mean 'collect.interval_s'?"),
            ("[colect]\nquorum = 3", "line 1: colect {}; did you mean 'collect'?"),
            ("interval_s = 3", "line 1: interval_s {}; did you mean 'collect.interval_s'?"),
            ("[collect]\napi_key = 'x'", "line 2: collect.api_key {}; did you mean 'api_key'?"),
            ("[providers.krakn]\nurl = 'x'", "line 1: providers.krakn {}; did you mean 'providers.kraken'?"),
            ("[empty]", "line 1: empty {}"),
            ("'qu.ux' = 1", "line 1: qu.ux {}"),
            ("[collect]\n'intervl_s' = 3", "line 2: collect.intervl_s {}; did you mean 'collect.interval_s'?"),
            (
                "[collect]\nproviders = [\n'kraken',\n]\nqorum = 1",
                "line 5: collect.qorum {}; did you mean 'collect.quorum'?",
            ),
            ("\nredis = { urll = 'x' }", "line 2: redis.urll {}; did you mean 'redis.url'?"),
            (
                "[providers]\nkraken = { uri = 3 }",
                "line 2: providers.kraken.uri {}; did you mean 'providers.kraken.url'?",
            ),
            ("collect = 5", "line 1: collect is a table, not a value"),
        ],
    )
    def test_an_unknown_key_is_refused_with_its_line_and_the_nearest(
        self, place: Place, text: str, problem: str
    ) -> None:
        place.project_file(text)

        expected = f"btcts.toml {problem}".format("is not a setting")
        assert place.refusal() == expected

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            (
                "[collect]\ninterval_s = '10'",
                "line 2: collect.interval_s: '10' is not a number of seconds from 1 to 86400",
            ),
            (
                "[collect]\ninterval_s = true",
                "line 2: collect.interval_s: True is not a number of seconds from 1 to 86400",
            ),
            ("[collect]\nquorum = 1.0", "line 2: collect.quorum: 1.0 is not a whole number from 1"),
            ("[collect]\nquorum = true", "line 2: collect.quorum: True is not a whole number from 1"),
            ("[collect]\nproviders = 'kraken'", "line 2: collect.providers: 'kraken' is not a list of provider names"),
            ("[embedded]\nenabled = 1", "line 2: embedded.enabled: 1 is not true or false"),
            ("[embedded]\ndata_dir = ''", "line 2: embedded.data_dir: '' is not text on one line"),
            ("redis.host = 5", "line 1: redis.host: 5 is not text on one line"),
            ("[redis]\npassword_file = 5", "line 2: redis.password_file: 5 is not a path"),
        ],
    )
    def test_a_wrong_type_is_refused_with_its_line_and_value(self, place: Place, text: str, problem: str) -> None:
        place.project_file(text)

        assert place.refusal() == f"btcts.toml {problem}"

    def test_a_huge_number_is_refused(self, place: Place) -> None:
        place.project_file(f"[collect]\ninterval_s = 1{'0' * 400}")

        assert place.refusal().endswith("is not a number of seconds from 1 to 86400")

    def test_bad_toml_is_refused_with_its_line(self, place: Place) -> None:
        place.user_file("[collect]\ninterval_s = =")

        message = place.refusal()

        assert message.startswith("~/config/btcts/config.toml: not valid TOML: ")
        assert "line 2" in message

    def test_a_file_that_is_no_text_is_refused(self, place: Place) -> None:
        (place.project / "btcts.toml").write_bytes(b"\xff\xfe")

        assert place.refusal() == "btcts.toml: not a UTF-8 text file"

    def test_a_folder_in_the_place_of_a_file_is_refused(self, place: Place) -> None:
        (place.project / "btcts.toml").mkdir()

        assert place.refusal() == "btcts.toml: cannot be read (is a directory)"

    def test_a_byte_order_mark_does_no_harm(self, place: Place) -> None:
        place.project_file("\ufeff[collect]\nquorum = 2")

        assert place.settings().collect.quorum == 2


class TestSample:
    def test_the_sample_changes_nothing(self, place: Place) -> None:
        before = place.settings()

        place.project_file(format_sample(table(ENDPOINTS).values()))

        assert place.settings() == before

    def test_every_setting_of_the_sample_can_be_uncommented(self, place: Place) -> None:
        sample = format_sample(table(ENDPOINTS).values())

        place.user_file(re.sub(r"^#(?! )", "", sample, flags=re.MULTILINE))

        settings = place.settings()
        for name, setting in table(ENDPOINTS).items():
            assert settings.origins[name] == "~/config/btcts/config.toml"
            if setting.default is not None:
                assert settings.get_value(name) == setting.default

    def test_lines_are_no_longer_than_our_own(self) -> None:
        assert max(map(len, format_sample(table(ENDPOINTS).values()).splitlines())) <= 120

    def test_the_file_is_for_its_owner_alone(self, tmp_path: Path) -> None:
        target = tmp_path / "new" / "config.toml"

        write_file(target, "text", overwrite=False)

        assert target.read_text() == "text"
        assert target.stat().st_mode & 0o777 == 0o600
        assert list(target.parent.iterdir()) == [target]

    def test_a_file_is_overwritten_only_when_told(self, tmp_path: Path) -> None:
        target = tmp_path / "config.toml"
        target.write_text("old")

        with pytest.raises(ConfigError, match=r"config\.toml exists; pass --force to overwrite it"):
            write_file(target, "new", overwrite=False)
        kept = target.read_text()
        write_file(target, "new", overwrite=True)

        assert (kept, target.read_text()) == ("old", "new")

    def test_a_link_keeps_pointing_to_the_file_that_is_written(self, tmp_path: Path) -> None:
        link = tmp_path / "config.toml"
        link.symlink_to(tmp_path / "elsewhere.toml")

        write_file(link, "text", overwrite=False)

        assert link.is_symlink()
        assert (tmp_path / "elsewhere.toml").read_text() == "text"

    def test_a_place_that_cannot_be_written_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()

        with pytest.raises(ConfigError, match=r"cannot write .*/file/config\.toml \((not a directory|file exists)\)"):
            write_file(tmp_path / "file" / "config.toml", "text", overwrite=False)
