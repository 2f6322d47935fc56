"""Which source wins, setting by setting, and what belongs to the address of a Redis."""

import pytest

from btcts.config import DEFAULT_PROVIDERS, RedisSettings, Secret, list_settings, load
from config.conftest import ENDPOINTS, NO_FILE, Place, of_environment, refused
from support.wording import Wording

wording = Wording(__file__)


REDIS_HOST_GIVES = ("redis.url", "redis.host")


def test_every_source_beats_the_ones_below_it(place: Place) -> None:
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


def test_sources_add_up_setting_by_setting(place: Place) -> None:
    place.user_file("[collect]\ninterval_s = 20\nquorum = 2")
    place.project_file("[collect]\ninterval_s = 30")

    collect = place.settings().collect

    assert (collect.interval_s, collect.quorum) == (30.0, 2)


def test_a_flag_that_was_not_given_counts_for_nothing(place: Place) -> None:
    assert place.settings(redis__url=None).redis.url is None


def test_every_real_provider_has_an_endpoint() -> None:
    settings = of_environment({})

    assert settings.providers == {name: ENDPOINTS[name] for name in DEFAULT_PROVIDERS}


def test_every_setting_is_found_by_its_name_and_starts_at_its_default() -> None:
    settings = of_environment({"REDIS_HOST": "127.0.0.1"})

    for name, setting in list_settings(ENDPOINTS).items():
        expected = "redis://127.0.0.1:6379/0" if name == "redis.url" else setting.default
        assert settings.get_value(name) == expected
        assert settings.origins[name] == ("environment REDIS_HOST" if name in REDIS_HOST_GIVES else "default")


def test_without_a_redis_only_the_embedded_one_is_in_force() -> None:
    settings = of_environment({})

    assert settings.redis == RedisSettings()
    assert (settings.redis.url, settings.redis.where) == (None, "embedded")
    assert [name for name in settings.origins if name.startswith("redis.")] == ["redis.url"]


def test_the_data_lie_in_the_user_data_folder(place: Place) -> None:
    assert place.settings().embedded.data_dir == place.project.parent / "data" / "btcts"


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
def test_any_redis_variable_names_a_redis(environ: dict[str, str], expected: RedisSettings) -> None:
    assert of_environment(environ).redis == expected


def test_separate_variables_fill_in_what_the_url_leaves_out() -> None:
    login = {"REDIS_USERNAME": "u", "REDIS_PASSWORD": "p", "REDIS_DB": "4"}

    redis = of_environment({"REDIS_URL": "redis://h", **login}).redis

    assert redis == RedisSettings("redis", "h", db=4, username="u", password=Secret("p"))


def test_what_the_url_says_beats_the_variables_beside_it() -> None:
    others = {"REDIS_HOST": "x", "REDIS_PORT": "1", "REDIS_PASSWORD": "x", "REDIS_DB": "9"}

    redis = of_environment({"REDIS_URL": "redis://:p@h/0", **others}).redis

    assert redis == RedisSettings("redis", "h", password=Secret("p"))


def test_a_host_beats_a_url_of_a_lower_source_as_a_whole(place: Place) -> None:
    place.project_file('[redis]\nurl = "rediss://u:p@h:7000/3"')

    redis = place.settings({"REDIS_HOST": "other"}).redis

    assert redis == RedisSettings("redis", "other")


def test_the_password_beside_another_address_is_sent_nowhere() -> None:
    environ = {"REDIS_HOST": "production", "REDIS_PASSWORD": "p"}

    settings = load({"redis.url": "redis://h"}, endpoints=ENDPOINTS, environ=environ, config_path=NO_FILE)

    assert settings.redis == RedisSettings("redis", "h")


def test_a_password_on_its_own_goes_with_the_address_of_another_source(place: Place) -> None:
    place.user_file('[redis]\nurl = "redis://h:7000"')

    settings = place.settings({"REDIS_PASSWORD": "p"})

    assert settings.redis == RedisSettings("redis", "h", 7000, password=Secret("p"))
    assert settings.origins["redis.url"] == "~/config/btcts/config.toml"
    assert settings.origins["redis.password"] == "environment REDIS_PASSWORD"


def test_a_password_of_a_higher_source_beats_the_one_in_a_url(place: Place) -> None:
    place.user_file('[redis]\nurl = "redis://:old@h/3"')

    redis = place.settings({"REDIS_PASSWORD": "new", "REDIS_DB": "4"}).redis

    assert redis == RedisSettings("redis", "h", db=4, password=Secret("new"))


def test_an_address_that_only_a_password_made_has_its_origin() -> None:
    assert of_environment({"REDIS_PASSWORD": "p"}).origins["redis.url"] == "environment REDIS_PASSWORD"


def test_the_origin_of_the_address_names_all_that_made_it() -> None:
    origins = of_environment({"REDIS_HOST": "h", "REDIS_PORT": "7000"}).origins

    assert origins["redis.url"] == "environment REDIS_HOST, environment REDIS_PORT"


def test_a_user_without_a_password_is_refused_unseen() -> None:
    message = refused({"REDIS_URL": "redis://hunter2@h"})

    wording.check("a user without a password", message)
    assert "hunter2" not in message


def test_the_embedded_redis_can_be_forbidden() -> None:
    wording.check("no Redis, and none embedded", refused({"BTCTS_EMBEDDED": "0"}))
    assert of_environment({"BTCTS_EMBEDDED": "0", "REDIS_HOST": "h"}).redis.host == "h"
