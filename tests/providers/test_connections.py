"""Requests reach their host over the first of its addresses that answers, directly or through a proxy."""

import gc
import os
import socket
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from socketserver import StreamRequestHandler
from typing import Any

import pytest

from btcts.errors import ConfigError, ProviderError
from btcts.providers import Endpoint
from btcts.providers.addresses import parse_url
from btcts.providers.api import Api
from btcts.providers.base import Provider
from btcts.providers.http import Client
from btcts.providers.kraken import Kraken
from btcts.providers.poller import Poller
from btcts.providers.rounds import Question
from btcts.services.watch.outbox import Undelivered
from btcts.services.watch.webhook import Webhook, parse_address
from btcts.system.sockets import Address, Dialer
from providers import opening
from providers.opening import EXCHANGES, HOUR, NOW_MS
from support.clocks import FakeClock
from support.exchanges import Exchanges
from support.networks import (
    CERTIFICATE,
    HttpProxy,
    Node,
    Place,
    Proxy,
    SocksProxy,
    TlsServer,
    black_hole,
    dialer_of,
    refusals,
)
from support.raw_server import Raw, RawServer
from support.wording import Wording

wording = Wording(__file__)

Open = Callable[..., Client]

ALL_LOCAL = {"SSL_CERT_FILE": str(CERTIFICATE)}


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens a client in an environment, and with names of its own."""
    with ExitStack() as stack:

        def open_one(environ: Mapping[str, str], names: Mapping[str, Sequence[Place]] | None = None) -> Client:
            for name, value in environ.items():
                monkeypatch.setenv(name, value)
            return stack.enter_context(Client(dialer=dialer_of(names or {})))

        yield open_one


@pytest.fixture
def tls() -> Iterator[TlsServer]:
    """A webhook over TLS."""
    with TlsServer() as server:
        yield server


@pytest.fixture
def hole() -> Iterator[Place]:
    """An address that swallows connections."""
    with black_hole() as place:
        yield place


def place_of(exchanges: Exchanges) -> Place:
    """The address on which the exchanges listen."""
    url = parse_url(exchanges.url(""))
    assert url.port
    return url.host, url.port


def provider_at(exchanges: Exchanges, name: str, client: Client) -> Provider:
    """A provider on the local exchanges."""
    return opening.provider_at(Endpoint(exchanges.url(name)), name, client, FakeClock(NOW_MS))


def kraken_by_name(client: Client, timeout_s: float = 30.0) -> Kraken:
    """The provider at a name that the dialer or the proxy knows."""
    return Kraken(Api("kraken", Endpoint("http://exchange.test/kraken", timeout_s), client, FakeClock(NOW_MS)))


def test_a_provider_with_an_address_that_swallows_connections_answers(
    client: Open, exchanges: Exchanges, hole: Place
) -> None:
    began = time.monotonic()

    kraken_by_name(client({}, {"exchange.test": [hole, place_of(exchanges)]})).latest()

    assert time.monotonic() - began < 10


def test_a_webhook_with_an_address_that_swallows_connections_is_reached(
    client: Open, tls: TlsServer, hole: Place
) -> None:
    opened = client(ALL_LOCAL, {"hooks.test": [hole, tls.place]})

    assert Webhook(parse_address("https://hooks.test/x"), opened, FakeClock(NOW_MS)).post("{}") is None


@pytest.mark.parametrize("kind", [HttpProxy, SocksProxy])
def test_a_proxy_with_an_address_that_swallows_connections_is_reached(
    kind: type, client: Open, tls: TlsServer, hole: Place
) -> None:
    with Proxy(kind, tls.place) as proxy:
        scheme = "http" if kind is HttpProxy else "socks"
        opened = client(ALL_LOCAL | {"ALL_PROXY": f"{scheme}://proxy.test:1"}, {"proxy.test": [hole, proxy.place]})

        assert Webhook(parse_address("https://hooks.test/x"), opened, FakeClock(NOW_MS)).post("{}") is None
        assert proxy.seen == ["hooks.test:443"]


def test_a_connection_serves_the_next_request_too(client: Open, exchanges: Exchanges) -> None:
    kraken = kraken_by_name(client({}, {"exchange.test": [place_of(exchanges)]}))

    kraken.latest()
    kraken.latest()

    assert len({request.connection for request in exchanges.requests}) == 1


def test_connections_are_kept_over_many_cycles_of_prices_and_candles(exchanges: Exchanges) -> None:
    with Client() as client, Poller([provider_at(exchanges, name, client) for name in EXCHANGES]) as poller:
        for _ in range(30):
            asked = poller.ask_candles(poller.providers, Question(frozenset()), [HOUR])
            poller.ask_prices(poller.providers)
            asked.wait(5)

    assert len(exchanges.requests) == 30 * 2 * len(EXCHANGES)
    assert len({request.connection for request in exchanges.requests}) <= 2 * len(EXCHANGES)


TRADE = Raw(
    b'HTTP/1.1 200 OK\r\nContent-Length: 63\r\n\r\n{"error":[],"result":{"XXBTZUSD":[["60000.1","1",1767268830]]}}',
    kept=True,
)


def test_a_kept_connection_that_the_server_closes_meanwhile_is_replaced() -> None:
    answers = iter([TRADE, Raw(b""), TRADE])

    with RawServer(lambda _: next(answers)) as server, Client() as client:
        kraken = Kraken(Api("kraken", Endpoint(server.url), client, FakeClock(NOW_MS)))
        prices = [kraken.latest().price, kraken.latest().price]

    assert prices == [60_000.1, 60_000.1]
    assert len(server.requests) == 3


def test_an_answer_that_came_before_its_request_is_not_taken() -> None:
    both = Raw(TRADE.answer + TRADE.answer.replace(b"60000.1", b"59999.9"), kept=True)

    with RawServer(lambda _: both) as server, Client() as client:
        kraken = Kraken(Api("kraken", Endpoint(server.url), client, FakeClock(NOW_MS)))
        prices = [kraken.latest().price for _ in range(3)]

    assert prices == [60_000.1, 60_000.1, 60_000.1]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_connection_that_was_being_opened_when_the_client_was_closed_is_closed_too(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))

    def close_meanwhile(name: str, port: int) -> list[Address]:
        opened.__exit__()
        return [(socket.AF_INET, place)]

    with RawServer(lambda _: TRADE) as plain, TlsServer(("127.0.0.1", parse_url(plain.url).port or 0)) as secured:
        place = secured.place if scheme == "https" else ("127.0.0.1", parse_url(plain.url).port or 0)
        opened = Client(dialer=Dialer(close_meanwhile))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            reply = opened.get(parse_url(f"{scheme}://hooks.test/x"), timeout_s=5)
            gc.collect()

    assert reply.status == 200
    assert [str(warning.message) for warning in caught] == []


def test_a_request_over_a_new_connection_is_sent_once() -> None:
    with RawServer(lambda _: Raw(b"")) as server, Client() as client:
        with pytest.raises(ProviderError) as raised:
            Kraken(Api("kraken", Endpoint(server.url), client, FakeClock(NOW_MS))).latest()

        wording.check("closed without an answer", str(raised.value), url=server.url)
        assert len(server.requests) == 1


def test_an_alert_is_sent_once_also_over_a_kept_connection() -> None:
    answers = iter([Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", kept=True), Raw(b"")])

    with RawServer(lambda _: next(answers)) as server, Client() as client:
        hook = Webhook(parse_address(server.url), client, FakeClock(NOW_MS))
        failures = [hook.post("{}"), hook.post("{}")]

    assert [failure is None for failure in failures] == [True, False]
    assert len(server.requests) == 2


def test_a_proxy_that_was_set_after_a_failure_is_used(client: Open, exchanges: Exchanges, tls: TlsServer) -> None:
    opened = client(ALL_LOCAL)
    hook = Webhook(parse_address("https://hooks.test/x"), opened, FakeClock(NOW_MS))
    direct = hook.post("{}")

    with Proxy(HttpProxy, tls.place) as proxy:
        client({"HTTPS_PROXY": f"127.0.0.1:{proxy.place[1]}"})
        through = hook.post("{}")

    assert (direct is None, through) == (False, None)


def test_a_name_that_is_not_known_is_said(client: Open) -> None:
    with pytest.raises(ProviderError, match=r" http://exchange\.test/") as raised:
        kraken_by_name(client({})).latest()

    assert raised.value.problem.cause == "names"


@pytest.mark.parametrize("scheme", ["socks", "socks5", "socks5h"])
@pytest.mark.parametrize("login", [None, "me:p@ss/w:rd"])
def test_a_provider_through_a_socks_proxy(scheme: str, login: str | None, client: Open, exchanges: Exchanges) -> None:
    with Proxy(SocksProxy, place_of(exchanges), login) as proxy:
        shown = "me:p%40ss%2Fw%3Ard@" if login else ""

        kraken_by_name(client({"ALL_PROXY": f"{scheme}://{shown}127.0.0.1:{proxy.place[1]}/"})).latest()

        assert proxy.seen == ["exchange.test:80"]


@pytest.mark.parametrize("login", [None, "me:p@ss"])
def test_a_webhook_over_tls_through_an_http_proxy(login: str | None, client: Open, tls: TlsServer) -> None:
    with Proxy(HttpProxy, tls.place, login) as proxy:
        shown = "me:p%40ss@" if login else ""
        opened = client(ALL_LOCAL | {"HTTPS_PROXY": f"{shown}127.0.0.1:{proxy.place[1]}"})

        assert Webhook(parse_address("https://hooks.test/x"), opened, FakeClock(NOW_MS)).post("{}") is None
        assert (proxy.seen, tls.seen) == (["hooks.test:443"], ["hooks.test"])


def test_a_webhook_through_a_proxy_that_speaks_tls_itself(client: Open, tls: TlsServer) -> None:
    with Proxy(HttpProxy, tls.place) as proxy, TlsServer(proxy.place) as front:
        names = {"exchange.test": [front.place]}
        opened = client(ALL_LOCAL | {"HTTPS_PROXY": "https://me:pw@exchange.test:1"}, names)

        assert Webhook(parse_address("https://hooks.test/x"), opened, FakeClock(NOW_MS)).post("{}") is None
        assert (proxy.seen, tls.seen) == (["hooks.test:443"], ["hooks.test"])


class _Drip(StreamRequestHandler):
    """Begins a long record of TLS that never ends."""

    def handle(self) -> None:
        self.connection.recv(1)
        with suppress(OSError):
            self.connection.sendall(b"\x16\x03\x03\x3f\x00")
            while self.connection.sendall(b"x") is None:
                time.sleep(0.01)  # in real time, as sockets keep no other: never silent for as long as the limit


def test_a_server_behind_a_proxy_that_speaks_tls_has_no_more_time_for_a_byte_at_a_time(client: Open) -> None:
    with Node(_Drip) as drip, Proxy(HttpProxy, drip.place) as proxy, TlsServer(proxy.place) as front:
        names = {"exchange.test": [front.place]}
        opened = client(ALL_LOCAL | {"HTTPS_PROXY": "https://exchange.test:1"}, names)
        hook = Webhook(parse_address("https://hooks.test/x"), opened, FakeClock(NOW_MS), timeout_s=0.3)

        failure = hook.post("{}")

    assert failure
    assert failure == Undelivered(failure.problem)
    wording.check("no answer in time behind a proxy", failure.problem)


@pytest.mark.parametrize("no_proxy", ["localhost,fd00::/8", "[::1]", "fe80::/10", " , 10.0.0.0/8 ,, "])
def test_networks_in_no_proxy_stop_no_provider(no_proxy: str, client: Open, exchanges: Exchanges) -> None:
    opened = client({"NO_PROXY": no_proxy}, {"exchange.test": [place_of(exchanges)]})

    kraken_by_name(opened).latest()


@pytest.mark.parametrize("no_proxy", ["exchange.test", "*", ".test", "fd00::/8 exchange.test:80"])
def test_what_no_proxy_exempts_is_asked_directly(no_proxy: str, client: Open, exchanges: Exchanges) -> None:
    environ = {"HTTP_PROXY": "foo://malformed", "NO_PROXY": no_proxy}

    kraken_by_name(client(environ, {"exchange.test": [place_of(exchanges)]})).latest()


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_proxy_that_refuses_connections_is_named_without_its_login(scheme: str, client: Open) -> None:
    with refusals(1) as [(_, port)]:
        opened = client({"ALL_PROXY": f"{scheme}://TOKEN:hunter2@127.0.0.1:{port}"})
        failure = Webhook(parse_address("https://hooks.test/x"), opened, FakeClock(NOW_MS)).post("{}")

    assert failure
    assert failure == Undelivered(failure.problem)
    wording.check("a proxy that refuses connections", failure.problem, port=port)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [(HttpProxy, "407 proxy authentication required"), (SocksProxy, "invalid username/password")],
)
def test_a_proxy_that_refuses_the_login_says_so_without_it(
    kind: type, reason: str, client: Open, tls: TlsServer
) -> None:
    with Proxy(kind, tls.place, "me:right") as proxy:
        scheme = "http" if kind is HttpProxy else "socks5"
        opened = client({"ALL_PROXY": f"{scheme}://TOKEN:hunter2@127.0.0.1:{proxy.place[1]}"})
        failure = Webhook(parse_address("https://hooks.test/x"), opened, FakeClock(NOW_MS)).post("{}")

    assert failure
    assert " hooks.test (" in failure.problem
    assert f" 127.0.0.1:{proxy.place[1]} of ALL_PROXY: {reason})" in failure.problem
    gc.collect()  # a socket that nobody closed would be reported


class Mute(Node):
    """Takes connections, and answers each with the same bytes or not at all."""

    def __init__(self, answer: bytes) -> None:
        super().__init__(None)
        self._answer = answer
        self.gone: list[bytes] = []

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Answer, then read until the other side is gone."""
        request.sendall(self._answer)
        while data := request.recv(4096):
            self.gone.append(data)


@pytest.mark.parametrize(
    "answer", [b"\x05", b"\x05\x02", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff" * 4096, b"\x05\x01", b"\x05\xff"]
)
def test_nonsense_from_a_socks_proxy_is_a_failure_of_the_provider(answer: bytes, client: Open) -> None:
    with Mute(answer) as proxy:
        opened = client({"ALL_PROXY": f"socks5://127.0.0.1:{proxy.place[1]}"})

        with pytest.raises(ProviderError, match=r"the proxy 127\.0\.0\.1:"):
            kraken_by_name(opened).latest()


def test_a_socks_proxy_that_says_nothing_is_left_in_time(client: Open) -> None:
    with Mute(b"") as proxy:
        opened = client({"ALL_PROXY": f"socks5://127.0.0.1:{proxy.place[1]}"})

        with pytest.raises(ProviderError, match=r"within 0\.1 s"):
            kraken_by_name(opened, timeout_s=0.1).latest()


@pytest.mark.parametrize(
    ("variable", "value"),
    [("SSL_CERT_FILE", f"{__file__}/none.pem"), ("SSL_CERT_FILE", __file__), ("SSLKEYLOGFILE", f"{__file__}/keys")],
)
def test_a_file_of_tls_that_cannot_be_used_is_named_by_its_variable(variable: str, value: str, client: Open) -> None:
    with pytest.raises(ConfigError, match=rf"^{variable} cannot be used \("):
        client({variable: value, "HTTPS_PROXY": "http://TOKEN:hunter2@127.0.0.1:1"})


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"])
def test_a_pipe_in_place_of_a_file_of_tls_is_not_waited_for(variable: str, tmp_path: Path, client: Open) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(ConfigError) as raised:
        client({variable: f"{tmp_path}/pipe"})

    wording.check("a pipe", str(raised.value), variable=variable)


def test_certificates_of_the_environment_are_trusted_and_no_others(client: Open, tls: TlsServer) -> None:
    names = {"hooks.test": [tls.place]}
    without = Webhook(parse_address("https://hooks.test/x"), client({}, names), FakeClock(NOW_MS)).post("{}")
    trusting = Webhook(parse_address("https://hooks.test/x"), client(ALL_LOCAL, names), FakeClock(NOW_MS)).post("{}")

    assert without
    assert " certificate " in without.problem
    assert trusting is None


def test_a_login_of_a_netrc_file_is_not_sent(
    client: Open, exchanges: Exchanges, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("default login me password hunter2")
    monkeypatch.setenv("HOME", str(tmp_path))

    kraken_by_name(client({}, {"exchange.test": [place_of(exchanges)]})).latest()

    assert "authorization" not in exchanges.requests[-1].headers


def test_only_what_is_asked_for_has_to_have_a_proxy_that_can_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "foo://TOKEN:hunter2@proxy.test")
    with Client("http://[::1", "http://exchange.test", "nothing"):
        pass

    with pytest.raises(ConfigError, match=r"^HTTPS_PROXY is "):
        Client("http://exchange.test", "https://hooks.test")
