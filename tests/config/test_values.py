"""Settings as the program gets them: no secret is printed."""

from btcts.config import Secret
from config.conftest import of_environment


def test_a_secret_prints_as_three_stars() -> None:
    secret = Secret("hunter2")

    assert (str(secret), repr(secret), f"{secret:>5}", f"{[secret]}") == ("***", "***", "  ***", "[***]")
    assert secret.reveal() == "hunter2"


def test_secrets_compare_by_content_and_an_empty_one_is_false() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert (bool(Secret("a")), bool(Secret(""))) == (True, False)


def test_settings_print_without_their_secrets() -> None:
    settings = of_environment({"API_KEY": "hunter2", "REDIS_URL": "redis://:hunter3@h"})

    assert "hunter" not in f"{settings!r} {settings.redis.url} {settings.redis.where}"
