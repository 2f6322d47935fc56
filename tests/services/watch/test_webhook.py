"""Webhooks whose address is none, or whose request hangs."""

import socket
import threading
from pathlib import Path

import pytest

from btcts.errors import ConfigError
from btcts.providers.http import Client
from btcts.services.watch.outbox import Undelivered
from btcts.services.watch.webhook import Webhook, parse_address
from support.clocks import FakeClock
from support.series import NOW

SECRET = "s3cr3t"


@pytest.mark.parametrize("port", ["99999", "65536", "0", "-1"])
def test_a_port_that_there_is_not_is_refused_without_repeating_the_address(port: str) -> None:
    with pytest.raises(ConfigError, match=r"write it like https://") as refusal:
        parse_address(f"http://127.0.0.1:{port}/{SECRET}")

    assert SECRET not in str(refusal.value)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:65535/", "http://127.0.0.1:1/", "http://127.0.0.1/", "http://[::1]/"]
)
def test_every_port_that_there_is_is_taken(url: str) -> None:
    assert str(parse_address(url)) == url


@pytest.mark.parametrize("content", ["\ufeffhttps://hooks.example.com/a", "\ufeffhttps://hooks.example.com/a\r\n\n"])
def test_an_address_in_a_file_may_have_a_byte_order_mark_and_line_ends(content: str, tmp_path: Path) -> None:
    (tmp_path / "address").write_text(content, "utf-8")

    assert str(parse_address(f"@{tmp_path / 'address'}")) == "https://hooks.example.com/a"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("https://hooks.example.com/a".encode("utf-16"), "is no text"),
        (b"h" * 2_000_000, "larger than 1048576 bytes"),
    ],
    ids=["UTF-16", "huge"],
)
def test_a_file_that_holds_no_address_is_refused(content: bytes, problem: str, tmp_path: Path) -> None:
    (tmp_path / "address").write_bytes(content)

    with pytest.raises(ConfigError, match=rf"--webhook @{tmp_path}/address cannot be read \({problem}\)"):
        parse_address(f"@{tmp_path / 'address'}")


def test_a_host_name_that_cannot_be_one_is_a_failure_that_says_no_more_than_it() -> None:
    with Client() as client:
        failure = Webhook(parse_address(f"http://hooks..example.com/{SECRET}"), client, FakeClock(NOW)).post("{}")

    assert failure
    assert "hooks..example.com" in failure.problem
    assert SECRET not in failure.problem


def test_a_request_without_an_answer_is_given_up_and_the_next_one_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, Client() as client:
        url = parse_address(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        hook = Webhook(url, client, FakeClock(NOW), timeout_s=0.2)
        threads = threading.active_count()

        failures = [hook.post("{}"), hook.post("{}")]

        assert threading.active_count() == threads
    assert failures == [Undelivered("no answer from 127.0.0.1 within 0.2 s")] * 2
