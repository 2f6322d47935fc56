"""URLs taken apart, and refused without a part of their passwords."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btcts.config import RedisSettings, Secret
from btcts.errors import ConfigError
from config.conftest import of_environment, refused
from support.wording import Wording

wording = Wording(__file__)


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
def test_a_url_is_taken_apart(url: str, expected: RedisSettings, where: str) -> None:
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
def test_a_url_gives_back_what_was_quoted_into_it(host: str, port: int, db: int, username: str, password: str) -> None:
    url = f"redis://{quote(username, safe='')}:{quote(password, safe='')}@{host}:{port}/{db}"

    redis = of_environment({"REDIS_URL": url}).redis

    assert redis == RedisSettings("redis", host, port, "", db, username, Secret(password))
    assert redis.url == f"redis://{host}:{port}/{db}"


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
def test_an_unusable_url_is_refused(url: str, problem: str) -> None:
    assert refused({"REDIS_URL": url}) == f"environment REDIS_URL: {problem}"


@pytest.mark.parametrize("url", ["redis://h:0", "redis://h:65536", "redis://h:port", "redis://[::1"])
def test_a_malformed_host_or_port_is_refused(url: str) -> None:
    wording.check("a malformed host or port", refused({"REDIS_URL": url}))


def test_options_of_a_url_are_refused() -> None:
    wording.check("options", refused({"REDIS_URL": "redis://h?db=1"}))


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
def test_a_refused_url_never_shows_a_part_of_its_password(password: str, form: str) -> None:
    try:
        of_environment({"REDIS_URL": form.format(password)})
        message = ""
    except ConfigError as exc:
        message = str(exc)

    assert password not in message


def test_a_base_url_loses_its_trailing_slash() -> None:
    environ = {"BTCTS_PROVIDERS_KRAKEN_URL": "http://127.0.0.1:8080/mirror/"}

    assert of_environment(environ).providers["kraken"].url == "http://127.0.0.1:8080/mirror"
