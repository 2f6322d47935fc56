"""URLs taken apart, and refused without a part of their passwords."""

from typing import Any
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


def several(scheme: str, *nodes: tuple[str, int], **fields: Any) -> RedisSettings:
    """The settings of a URL that names several hosts."""
    return RedisSettings(scheme, "", 0, nodes=nodes, **fields)


@pytest.mark.parametrize(
    ("url", "expected", "where", "plain"),
    [
        (
            "redis+sentinel://h1,H2:7000,[::1]/main",
            several("redis+sentinel", ("h1", 26379), ("h2", 7000), ("::1", 26379), service="main"),
            "main of Sentinel h1:26379,h2:7000,[::1]:26379",
            "redis+sentinel://h1:26379,h2:7000,[::1]:26379/main/0",
        ),
        (
            "rediss+sentinel://u:p%40%2C@h,h/ma%2Fin/3?sentinel_username=s%26&sentinel_password=a+%3F",
            several(
                *("rediss+sentinel", ("h", 26379)),
                **{"service": "ma/in", "db": 3, "username": "u", "password": Secret("p@,")},
                **{"sentinel_username": "s&", "sentinel_password": Secret("a+?")},
            ),
            "ma/in of Sentinel h:26379",
            "rediss+sentinel://h:26379/ma%2Fin/3",
        ),
        (
            "redis+cluster://:p@h1:7000,h2/0",
            several("redis+cluster", ("h1", 7000), ("h2", 6379), db=0, password=Secret("p")),
            "cluster h1:7000,h2:6379",
            "redis+cluster://h1:7000,h2:6379",
        ),
    ],
)
def test_a_url_of_several_servers_is_taken_apart(url: str, expected: RedisSettings, where: str, plain: str) -> None:
    redis = of_environment({"REDIS_URL": url}).redis

    assert (redis, redis.where, redis.url) == (expected, where, plain)


def test_keys_stay_together_in_a_cluster_alone() -> None:
    prefixes = {url: of_environment({"REDIS_URL": url}).market.prefix for url in ("redis+cluster://h", "redis://h")}

    assert prefixes == {"redis+cluster://h": "{btc:price}", "redis://h": "btc:price"}


SENTINELS = "redis+sentinel://h/main"


def test_logins_fill_in_what_the_url_leaves_open() -> None:
    environ = {"REDIS_URL": SENTINELS, "REDIS_SENTINEL_USERNAME": "s", "REDIS_SENTINEL_PASSWORD": "own"}

    redis = of_environment({**environ, "REDIS_PASSWORD": "theirs"}).redis

    assert (redis.password, redis.sentinel_username, redis.sentinel_password) == (Secret("theirs"), "s", Secret("own"))


@pytest.mark.parametrize(
    "environ",
    [
        {"REDIS_URL": SENTINELS, "REDIS_SENTINEL_USERNAME": "s"},
        {"REDIS_URL": "redis+cluster://h", "REDIS_DB": "2"},
        {"REDIS_URL": "rediss://h", "BTCTS_REDIS_KEY_FILE": "/key"},
        {"REDIS_URL": SENTINELS, "BTCTS_REDIS_CA_FILE": "/ca"},
        {"REDIS_HOST": "h", "BTCTS_REDIS_CERT_FILE": "/cert"},
    ],
    ids=["a user without a password", "a database of a cluster", "a key alone", "Sentinels without TLS", "no TLS"],
)
def test_settings_that_do_not_go_together(environ: dict[str, str], request: pytest.FixtureRequest) -> None:
    wording.check(request.node.callspec.id, refused(environ))


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


ONCE = "user and password stand once, before all hosts; write / in a password as %2F, @ as %40"
BEGINS = "the URL does not begin with redis://, rediss:// or unix://, with redis+sentinel:// or redis+cluster://"
OPTIONS = "the URL has options behind '?' or '#'"
QUOTED = "; write / in a password as %2F, : as %3A"
MARKS = "; write # as %23, ? as %3F"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("localhost:6379", BEGINS),
        ("http://h", BEGINS),
        ("redis+sentinels://h/main", BEGINS),
        ("redis+cluster:h", BEGINS),
        ("redis://h1,h2", "the URL names several hosts; write redis+sentinel:// or redis+cluster://"),
        ("redis://", "the URL names no host"),
        ("redis://:6379/0", "the URL names no host"),
        ("redis://h/zero", "the path of the URL is not a database number"),
        ("redis://h/0/1", "the path of the URL is not a database number"),
        (f"redis://h/{'9' * 5000}", "the path of the URL is not a database number"),
        ("redis://h ost", "the URL contains a blank or a control character"),
        ("unix://run/r.sock", "the URL of a socket needs an absolute path: unix:///run/redis.sock"),
        ("unix:///run/r%00.sock", "the URL of a socket needs an absolute path: unix:///run/redis.sock"),
        (
            "redis+sentinel://h1,h2",
            "the URL names no service that the Sentinels watch: redis+sentinel://host1,host2/SERVICE",
        ),
        ("redis+sentinel://h1,,h2/main", "the URL names no host, or none between two commas"),
        ("redis+sentinel:///main", "the URL names no host, or none between two commas"),
        ("redis+cluster://:6379", "the URL names no host, or none between two commas"),
        ("redis+sentinel://h/main/zero", "the path of the URL is not a database number"),
        ("redis+sentinel://h/main/0/1", "the path of the URL is not a database number"),
        ("redis+cluster://h/1", "a cluster has database 0 alone; leave out the number"),
        ("redis+cluster://h1, h2", "the URL contains a blank or a control character"),
        ("redis+cluster://h1:6379,h2:port", "a host or a port of the URL is malformed" + QUOTED),
        ("redis+cluster://h1:0", "a host or a port of the URL is malformed" + QUOTED),
        ("rediss+sentinel://[::1/main", "a host or a port of the URL is malformed" + QUOTED),
        ("redis+cluster://h?sentinel_username=u", OPTIONS + ", which are not supported" + MARKS),
        ("redis+sentinel://h/main?db=1", OPTIONS + " other than sentinel_username and sentinel_password" + MARKS),
        ("redis+sentinel://u:s?cret@h/main", OPTIONS + " other than sentinel_username and sentinel_password" + MARKS),
        ("redis+sentinel://u:s/cret@h/main", ONCE),
        ("redis+cluster://u:secret@h1,u:secret@h2", ONCE),
        ("redis+sentinel://h/main?secret", OPTIONS + " other than sentinel_username and sentinel_password" + MARKS),
        ("redis+sentinel://h/main#secret", OPTIONS + ", which are not supported" + MARKS),
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
            "redis+sentinel://:{}@h",
            "redis+sentinel://u:{}@h,h:x/main",
            "redis+sentinel://h/main?sentinel_password={}&",
            "redis+cluster://:{}@h/1",
            "redis+cluster://{}@",
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
