"""Variables and the files of secrets, brought into one form."""

import os
import subprocess
from pathlib import Path

import pytest

from btcts.config import Secret
from config.conftest import Place, of_environment, refused
from support.wording import Wording

wording = Wording(__file__)


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_variable_counts_as_unset(empty: str) -> None:
    settings = of_environment({"REDIS_HOST": empty, "BTCTS_EMBEDDED": empty, "API_KEY": empty, "BTCTS_TYPO": empty})

    assert settings == of_environment({})


def test_the_port_that_kubernetes_sets_for_a_service_named_redis_is_none() -> None:
    assert of_environment({"REDIS_PORT": "tcp://10.0.0.11:6379"}).redis.url is None


def test_secrets_can_lie_in_files(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("abc\n")
    (tmp_path / "password").write_text(" p w \r\n")
    environ = {"API_KEY_FILE": str(tmp_path / "key"), "REDIS_PASSWORD_FILE": str(tmp_path / "password")}

    settings = of_environment(environ)

    assert settings.api_key == Secret("abc")
    assert settings.redis.password == Secret(" p w ")
    assert settings.origins["api_key"] == "environment API_KEY_FILE"


def test_the_file_of_a_password_has_one_line(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("one\ntwo\n")

    wording.check("two lines of a password", refused({"REDIS_PASSWORD_FILE": str(tmp_path / "password")}))


def test_the_file_of_a_secret_is_sought_beside_the_configuration_file(place: Place) -> None:
    place.user_file('api_key_file = "key"')
    (place.user_dir / "key").write_text("abc")

    assert place.settings().api_key == Secret("abc")


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("abc")

    wording.check("given twice", refused({"API_KEY": "abc", "API_KEY_FILE": str(tmp_path / "key")}))


@pytest.mark.parametrize("content", [b"\xef\xbb\xbfabc", b"\xef\xbb\xbfabc\r\n", b"abc\n\n", b"abc\r\n\r\n"])
def test_a_byte_order_mark_and_line_ends_are_no_part_of_a_secret(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)

    settings = of_environment({"API_KEY_FILE": str(file), "REDIS_PASSWORD_FILE": str(file)})

    assert settings.api_key == Secret("abc")
    assert settings.redis.password == Secret("abc")


@pytest.mark.parametrize("value", ['""', "''", " '' "])
def test_a_variable_of_quotes_alone_counts_as_unset(value: str) -> None:
    settings = of_environment({"API_KEY": value, "REDIS_HOST": value, "REDIS_PASSWORD": value})

    assert settings == of_environment({})


@pytest.mark.parametrize("content", ['""', "''", '" "', "\ufeff", ""])
def test_a_file_without_a_key_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(content)

    wording.check("empty", refused({"API_KEY_FILE": str(tmp_path / "key")}))


@pytest.mark.parametrize(
    ("variable", "value"),
    [("REDIS_URL", '"redis://h"'), ("BTCTS_COLLECT_QUORUM", "'2'"), ("API_KEY_FILE", '"/run/key"')],
)
def test_quotes_around_other_values_are_pointed_at(variable: str, value: str) -> None:
    wording.check(f"quotes around {variable}", refused({variable: value}))


def test_a_secret_may_come_through_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    with subprocess.Popen(["sh", "-c", f"printf s3cret > {pipe}"]):
        settings = of_environment({"API_KEY_FILE": str(pipe)})

    assert settings.api_key == Secret("s3cret")


@pytest.mark.parametrize(
    ("problem", "content"),
    [
        ("not UTF-8", "abc\n".encode("utf-16")),
        ("not UTF-8", "abc\n".encode("utf-16-le")),
        ("not UTF-8", b"\xff\xfe"),
        ("huge", b"k" * 2_000_000),
        ("empty", b"\xef\xbb\xbf\r\n"),
        ("empty", b""),
        ("two lines of a key", b"abc\ndef\n"),
    ],
)
def test_a_file_that_holds_no_key_is_refused(problem: str, content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)

    wording.check(problem, refused({"API_KEY_FILE": str(file)}), file=file)


def test_a_file_without_end_is_refused() -> None:
    wording.check("a file without end", refused({"REDIS_PASSWORD_FILE": "/dev/zero"}))


def test_the_place_of_a_secret_is_a_file_that_is_there(tmp_path: Path) -> None:
    wording.check("no file", refused({"API_KEY_FILE": str(tmp_path / "absent")}), folder=tmp_path)
    wording.check("a folder", refused({"API_KEY_FILE": str(tmp_path)}), folder=tmp_path)


def test_a_secret_that_everybody_can_change_is_none(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("abc")
    file.chmod(0o646)

    wording.check("open to all", refused({"API_KEY_FILE": str(file)}), file=file)


def test_a_secret_may_be_read_by_others_as_that_of_a_container_is(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("abc")
    file.chmod(0o664)

    assert of_environment({"API_KEY_FILE": str(file)}).api_key == Secret("abc")


def test_paths_count_from_the_source_that_gives_them(place: Place) -> None:
    place.user_file('[embedded]\ndata_dir = "data"\nredis_server = "~/redis-server"')

    from_file = place.settings().embedded
    from_variable = place.settings({"BTCTS_DATA_DIR": "data"}).embedded

    assert from_file.data_dir == place.user_dir / "data"
    assert from_file.redis_server == place.project.parent / "redis-server"
    assert from_variable.data_dir == place.project / "data"


def test_an_unknown_variable_of_ours_is_refused_with_the_nearest() -> None:
    wording.check("an unknown variable", refused({"BTCTS_COLLECT_INTERVAL": "5"}))


@pytest.mark.parametrize(
    "variable",
    ["REDIS_TLS", "BTCTS_SERVICE_HOST", "BTCTS_PORT_80_TCP", "BTCTS_ALERT_RULE", "BTCTS_TEST_REDIS_SERVER", "PATH"],
)
def test_variables_of_others_are_left_alone(variable: str) -> None:
    assert of_environment({variable: "x"}) == of_environment({})
