"""Kinds of values: bounds, words and secrets."""

from pathlib import Path

import pytest

from btcts.config import DEFAULT_PROVIDERS, Secret
from config.conftest import ENDPOINTS, Place, of_environment, refused
from support.wording import Wording

MOST = len(DEFAULT_PROVIDERS)

wording = Wording(__file__)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("API_KEY", "hunter2 hunter2"),
        ("REDIS_HOST", "redis://:hunter2@h"),
        ("REDIS_PORT", "redis://:hunter2@h"),
        ("BTCTS_PROVIDERS_KRAKEN_URL", "https://u:hunter2@kraken.example"),
        ("BTCTS_PROVIDERS_KRAKEN_STREAM_URL", "wss://u:hunter2@kraken.example"),
    ],
)
def test_a_secret_in_the_wrong_place_is_not_repeated(variable: str, value: str) -> None:
    message = refused({variable: value})

    assert message.startswith(f"environment {variable}: ")
    assert "hunter2" not in message


def test_a_secret_of_the_wrong_type_is_not_repeated(place: Place) -> None:
    place.project_file("api_key = 123456")

    message = place.refusal()

    wording.check("a number for a key", message)
    assert "123456" not in message


def test_the_api_key_is_stripped() -> None:
    assert of_environment({"API_KEY": " abc-123\n"}).api_key == Secret("abc-123")


@pytest.mark.parametrize("value", ["a\tb", "kéy", "a b"])
def test_an_api_key_that_cannot_stand_in_a_header_is_refused(value: str) -> None:
    problem = "the key contains a blank or a character that is not ASCII"

    assert refused({"API_KEY": value}) == f"environment API_KEY: {problem}"


@pytest.mark.parametrize("password", ["it's", '"5"', "$HOME", "#", "two words", " ", "a\\b", "\t", "größe"])
def test_a_password_may_have_any_character_of_a_line(password: str) -> None:
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
def test_a_password_that_no_redis_would_be_sent_as_it_is_is_refused_unseen(password: str, problem: str) -> None:
    assert refused({"REDIS_PASSWORD": password}) == f"environment REDIS_PASSWORD: {problem}"


@pytest.mark.parametrize("value", ['"abc"', "'abc'", ' "abc"\n', '\ufeff"abc"'])
def test_quotes_that_an_env_file_left_around_the_api_key_are_taken_off(value: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(value)

    assert of_environment({"API_KEY": value}).api_key == Secret("abc")
    assert of_environment({"API_KEY_FILE": str(tmp_path / "key")}).api_key == Secret("abc")


def test_quotes_around_a_password_are_a_part_of_it() -> None:
    assert of_environment({"REDIS_PASSWORD": '"abc"'}).redis.password == Secret('"abc"')


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("BTCTS_COLLECT_INTERVAL_S", "0.9", "0.9 is not a number of seconds from 1 to 86400"),
        ("BTCTS_COLLECT_INTERVAL_S", "inf", "inf is not a number of seconds from 1 to 86400"),
        ("BTCTS_COLLECT_INTERVAL_S", "nan", "nan is not a number of seconds from 1 to 86400"),
        ("BTCTS_COLLECT_INTERVAL_S", "soon", "'soon' is not a number of seconds from 1 to 86400"),
        ("BTCTS_COLLECT_QUORUM", "0", "0 is not a whole number from 1"),
        ("BTCTS_COLLECT_QUORUM", "1.5", "'1.5' is not a whole number from 1"),
        (
            "BTCTS_COLLECT_QUORUM",
            f"{MOST + 1}",
            f"collect.quorum = {MOST + 1} is more than the {MOST} providers (default)",
        ),
        ("BTCTS_PROVIDERS_KRAKEN_TIMEOUT_S", "0", "0.0 is not a number of seconds above 0, at most 60"),
        ("BTCTS_PROVIDERS_KRAKEN_TIMEOUT_S", "61", "61.0 is not a number of seconds above 0, at most 60"),
        ("BTCTS_PROVIDERS_KRAKEN_URL", "kraken.example", "'kraken.example' is not a plain http:// or https:// URL"),
        ("BTCTS_PROVIDERS_KRAKEN_URL", "https:///k", "'https:///k' is not a plain http:// or https:// URL"),
        ("BTCTS_PROVIDERS_KRAKEN_URL", "https://k?a", "'https://k?a' is not a plain http:// or https:// URL"),
        ("BTCTS_EMBEDDED", "maybe", "'maybe' is not true or false"),
        ("REDIS_PORT", "0", "0 is not a port from 1 to 65535"),
        ("REDIS_PORT", "65536", "65536 is not a port from 1 to 65535"),
        ("BTCTS_PROVIDERS_KRAKEN_STREAM_URL", "https://k", "'https://k' is not a plain ws:// or wss:// URL"),
        ("BTCTS_PROVIDERS_KRAKEN_STREAM_URL", "wss://k?a=b", "'wss://k?a=b' is not a plain ws:// or wss:// URL"),
        ("BTCTS_COLLECT_STREAMS", "maybe", "'maybe' is not true or false"),
        ("REDIS_DB", "-1", "-1 is not the number of a database"),
        (
            "REDIS_HOST",
            "h:7000",
            "'h:7000' is not a host name or an address (a port and a URL are settings of their own)",
        ),
        ("BTCTS_DATA_DIR", "~nobody-of-that-name/x", "'~nobody-of-that-name/x' names an unknown home directory"),
    ],
)
def test_a_value_out_of_bounds_is_refused_with_where_it_stands(variable: str, value: str, problem: str) -> None:
    assert refused({variable: value}) == f"environment {variable}: {problem}"


@pytest.mark.parametrize(("word", "expected"), [("1", True), ("Yes", True), ("TRUE", True), ("0", False)])
def test_switches_are_words_in_the_environment(word: str, *, expected: bool) -> None:
    assert of_environment({"BTCTS_EMBEDDED": word, "REDIS_HOST": "h"}).embedded.enabled is expected


def test_the_bounds_belong_to_the_range() -> None:
    shortest = of_environment({"BTCTS_COLLECT_INTERVAL_S": "1", "REDIS_PORT": "1", "BTCTS_COLLECT_QUORUM": f"{MOST}"})
    longest = of_environment({"BTCTS_PROVIDERS_KRAKEN_TIMEOUT_S": "60", "REDIS_PORT": "65535"})

    assert (shortest.collect.interval_s, shortest.redis.port, shortest.collect.quorum) == (1.0, 1, MOST)
    assert (longest.providers["kraken"].timeout_s, longest.redis.port) == (60.0, 65_535)


def test_providers_are_separated_by_commas() -> None:
    collect = of_environment({"BTCTS_COLLECT_PROVIDERS": "kraken, gemini,"}).collect

    assert collect.providers == ("kraken", "gemini")


def test_the_simulated_provider_can_be_used_alone() -> None:
    assert of_environment({"BTCTS_COLLECT_PROVIDERS": "simulated"}).collect.providers == ("simulated",)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (",", "[] is not a list of provider names"),
        ("krakn", f"'krakn' is not one of {', '.join(sorted(ENDPOINTS))}; did you mean 'kraken'?"),
        ("kraken,kraken", "['kraken', 'kraken'] names a provider twice"),
        ("simulated,kraken", "'simulated' cannot be mixed with real providers"),
    ],
)
def test_a_wrong_list_of_providers_is_refused(value: str, problem: str) -> None:
    message = refused({"BTCTS_COLLECT_PROVIDERS": value})

    assert message == f"environment BTCTS_COLLECT_PROVIDERS: {problem}"


@pytest.mark.parametrize("name", ["BTCTS_COLLECT_QUORUM", "BTCTS_COLLECT_INTERVAL_S", "BTCTS_EMBEDDED"])
def test_a_long_value_is_cut_where_it_is_refused(name: str) -> None:
    said = refused({name: "x" * 10_000})

    assert len(said) < 400
