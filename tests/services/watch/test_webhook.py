"""Alerts that are posted: what is sent, what an answer means, and which addresses are none."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from btcts.errors import ConfigError
from btcts.providers.http import Client
from btcts.services.watch.outbox import Undelivered
from btcts.services.watch.webhook import Webhook, parse_address
from support.clocks import FakeClock
from support.raw_server import Raw, RawServer
from support.series import HOUR, NOW
from support.wording import Wording

wording = Wording(__file__)

SECRET = "s3cr3t"


class Hook:
    """A local server that answers POST with `status`, and keeps what it was sent."""

    def __init__(self) -> None:
        self.status = 200
        self.headers: dict[str, str] = {}
        self.received: list[tuple[str, str, bytes]] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.received.append((self.path, self.headers["Content-Type"], body))
                self.send_response(hook.status)
                for name, value in hook.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        """An address of it with secrets in every part."""
        return f"http://{SECRET}:{SECRET}@127.0.0.1:{self.server.server_port}/{SECRET}?token={SECRET}"


@pytest.fixture
def hook() -> Iterator[Hook]:
    """A server that takes alerts."""
    made = Hook()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


Post = Callable[..., Undelivered | None]


@pytest.fixture
def post() -> Iterator[Post]:
    """Post to an address."""
    with Client() as client:
        yield lambda url, document="{}", timeout_s=10.0: Webhook(
            parse_address(url), client, FakeClock(NOW), timeout_s=timeout_s
        ).post(document)


def test_a_webhook_gets_the_document_as_json(hook: Hook, post: Post) -> None:
    document = json.dumps({"price": 1.5})

    assert post(hook.url, document) is None

    assert hook.received == [(f"/{SECRET}?token={SECRET}", "application/json", document.encode())]


@pytest.mark.parametrize("status", [201, 202, 204])
def test_any_status_of_success_will_do(hook: Hook, post: Post, status: int) -> None:
    hook.status = status

    assert post(hook.url) is None


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
def test_a_refusal_is_said_by_status_and_host_alone(hook: Hook, post: Post, status: int) -> None:
    hook.status = status

    failure = post(hook.url)

    assert failure
    assert failure.problem == f"HTTP {status} from 127.0.0.1"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed_but_said(hook: Hook, post: Post, status: int) -> None:
    hook.status = status
    hook.headers = {"Location": "/elsewhere"}

    failure = post(hook.url)

    assert failure
    assert f"HTTP {status} from 127.0.0.1; redirects" in failure.problem
    assert len(hook.received) == 1


def test_nobody_there_is_said_without_the_address(post: Post) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://{SECRET}@127.0.0.1:{nobody.getsockname()[1]}/{SECRET}"

        failure = post(url)

    assert failure
    assert "127.0.0.1 (connection refused)" in failure.problem
    assert SECRET not in failure.problem


def test_a_header_that_trickles_in_has_no_more_time_than_silence() -> None:
    with RawServer(lambda _: Raw(b"HTTP/1.1 200 OK\r\nX-Long: ", b"x")) as server, Client() as client:
        failure = Webhook(parse_address(server.url), client, FakeClock(NOW), timeout_s=0.3).post("{}")

        assert server.gone.wait(5)
    assert failure
    assert failure == Undelivered(failure.problem)
    wording.check("no answer in time", failure.problem, timeout_s=0.3)


@pytest.mark.parametrize(
    "text", ["", f"ftp://{SECRET}@host/", f"{SECRET}", f"http://{SECRET}@/x", f"http://h:port{SECRET}/", "https://"]
)
def test_a_malformed_address_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse_address(text)

    wording.check("a malformed address", str(refusal.value))
    assert SECRET not in str(refusal.value)


# Refusals


@pytest.mark.parametrize(
    ("status", "final"),
    [(400, "correct --webhook"), (401, "the token"), (403, "the token"), (404, "make a new one"), (410, "make a new")],
)
def test_a_refusal_that_would_come_again_is_final(hook: Hook, post: Post, status: int, final: str) -> None:
    hook.status = status

    failure = post(hook.url)

    assert failure
    assert final in failure.final


DAYS = "Fri, 31 Dec 2999 23:59:59 GMT"
SOON, IN_MS = formatdate(NOW / 1000 + 90, usegmt=True), 90_000 - NOW % 1000


@pytest.mark.parametrize("status", [429, 503, 408, 500])
@pytest.mark.parametrize(
    ("asked", "wait_ms"),
    [
        (None, 0),
        ("7", 7000),
        ("999999", HOUR),
        (DAYS, HOUR),
        (SOON, IN_MS),
        ("0", 0),
        ("-5", 0),
        ("soon", 0),
    ],
)
def test_a_receiver_may_ask_for_time(hook: Hook, post: Post, status: int, asked: str | None, wait_ms: int) -> None:
    hook.status = status
    hook.headers = {"Retry-After": asked} if asked else {}

    failure = post(hook.url)

    assert failure
    assert (failure.final, failure.wait_ms) == ("", wait_ms)


@pytest.mark.parametrize(
    ("url", "field"),
    [
        ("https://discord.com/api/webhooks/1/token", "content"),
        ("https://ptb.discord.com./api/webhooks/1/token", "content"),
        ("https://discordapp.com/api/webhooks/1/token", "content"),
        ("https://discord.com/api/webhooks/1/token/slack", "text"),
        ("https://discordapp.com/api/webhooks/1/token/slack", "text"),
        ("https://notdiscord.com/slack", None),
        ("https://hooks.slack.com/services/T/B/x", "text"),
        ("https://hooks.example.com/discord.com", None),
        ("https://notdiscord.com/", None),
        ("https://discord.com.example.com/", None),
    ],
)
def test_services_are_known_by_their_host(url: str, field: str | None) -> None:
    with Client() as client:
        assert Webhook(parse_address(url), client, FakeClock(NOW)).text_field == field


# Addresses


def test_an_address_may_stand_in_a_file_where_no_list_of_processes_shows_it(tmp_path: Path) -> None:
    file = tmp_path / "hook"
    file.write_text("https://hooks.example.com/path\n")

    assert parse_address(f"@{file}") == parse_address("https://hooks.example.com/path")


def test_a_file_of_an_address_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse_address(f"@{tmp_path}/hook")

    wording.check("a file that is not there", str(refusal.value), folder=tmp_path)


@pytest.mark.parametrize("port", ["99999", "65536", "0", "-1"])
def test_a_port_that_there_is_not_is_refused_without_repeating_the_address(port: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse_address(f"http://127.0.0.1:{port}/{SECRET}")

    wording.check("a malformed address", str(refusal.value))
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
    ("content", "kind"),
    [("https://hooks.example.com/a".encode("utf-16"), "UTF-16"), (b"h" * 2_000_000, "huge")],
    ids=["UTF-16", "huge"],
)
def test_a_file_that_holds_no_address_is_refused(content: bytes, kind: str, tmp_path: Path) -> None:
    (tmp_path / "address").write_bytes(content)

    with pytest.raises(ConfigError) as refusal:
        parse_address(f"@{tmp_path / 'address'}")

    wording.check(f"a file that is {kind}", str(refusal.value), folder=tmp_path)


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

        first, second = hook.post("{}"), hook.post("{}")

        assert threading.active_count() == threads
    assert first
    assert first == second == Undelivered(first.problem)
    wording.check("no answer in time", first.problem, timeout_s=0.2)
