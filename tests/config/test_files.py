"""The configuration files: which are read, and what is refused with its line."""

import os
from pathlib import Path

import pytest

from btcts.config import config_files
from btcts.errors import ConfigError
from config.conftest import Place
from support.wording import Wording

wording = Wording(__file__)


def test_a_named_file_replaces_the_two_others(place: Place) -> None:
    place.user_file("[collect]\nquorum = 2")
    place.project_file("[collect]\nquorum = 3")
    (place.project / "other.toml").write_text("[collect]\ninterval_s = 20")

    settings = place.settings({"BTCTS_CONFIG": "other.toml"})

    assert (settings.collect.quorum, settings.collect.interval_s) == (1, 20.0)
    assert settings.origins["collect.interval_s"] == "other.toml"


def test_the_flag_for_the_file_beats_the_variable(place: Place) -> None:
    files = config_files({"BTCTS_CONFIG": "one.toml"}, place.project, Path("two.toml"))

    assert [file.path for file in files] == [place.project / "two.toml"]


def test_a_named_file_must_exist(place: Place) -> None:
    message = place.refusal({"BTCTS_CONFIG": "other.toml"})

    wording.check("a named file that is missing", message)


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
def test_an_unknown_key_is_refused_with_its_line_and_the_nearest(place: Place, text: str, problem: str) -> None:
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
def test_a_wrong_type_is_refused_with_its_line_and_value(place: Place, text: str, problem: str) -> None:
    place.user_file(text)

    assert place.refusal() == f"~/config/btcts/config.toml {problem}"


def test_a_huge_number_is_refused(place: Place) -> None:
    place.project_file(f"[collect]\ninterval_s = 1{'0' * 400}")

    wording.check("a huge number", place.refusal())


def test_bad_toml_is_refused_with_its_line(place: Place) -> None:
    place.user_file("[collect]\ninterval_s = =")

    wording.check("bad TOML", place.refusal())


def test_toml_that_is_nested_too_deeply_is_refused(place: Place) -> None:
    place.project_file("deep = " + "[" * 3000)

    with pytest.raises(ConfigError) as refused:
        place.settings()

    wording.check("deep TOML", str(refused.value), reason=refused.value.__cause__)


def test_a_file_that_is_no_text_is_refused(place: Place) -> None:
    (place.project / "btcts.toml").write_bytes(b"\xff\xfe")

    wording.check("no text", place.refusal())


def test_a_folder_in_the_place_of_a_file_is_refused(place: Place) -> None:
    (place.project / "btcts.toml").mkdir()

    wording.check("a folder", place.refusal())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_folder_that_is_closed_to_the_user_is_what_is_named(place: Place) -> None:
    place.project.chmod(0o700)
    os.setresuid(4242, 4242, 0)
    try:
        said = place.refusal()
    finally:
        os.setresuid(0, 0, 0)

    wording.check("a closed folder", said)


def test_a_byte_order_mark_does_no_harm(place: Place) -> None:
    place.project_file("\ufeff[collect]\nquorum = 2")

    assert place.settings().collect.quorum == 2
