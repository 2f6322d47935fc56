"""A stream is reached as a provider is: by all addresses of its name, trusted certificates, and proxies."""

import gc
import socket
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from btcts import __version__
from btcts.domain.trades import Trade
from btcts.providers.streams.connection import parse_stream_url
from providers.streams.conftest import NOW_MS, QUICK, Follow
from support.exchanges.stream_server import StreamServer
from support.networks import (
    CERTIFICATE,
    HttpProxy,
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

URL = "wss://exchange.test/ws"


@pytest.fixture
def kraken() -> Iterator[StreamServer]:
    """A stream without TLS."""
    with StreamServer("kraken") as running:
        yield running


@pytest.fixture
def tls(kraken: StreamServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """The same stream over TLS, with a certificate that is trusted."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    with TlsServer(kraken.place) as front:
        yield front.place


def test_a_stream_over_tls_by_name(tls: Place, follow: Follow) -> None:
    follow("kraken", URL, dialer=dialer_of({"exchange.test": [tls]})).await_subscription()


def test_the_scheme_of_a_stream_may_be_in_upper_case() -> None:
    address = parse_stream_url("WSS://ws.kraken.com/v2")

    assert str(address) == "https://ws.kraken.com/v2"


def test_messages_that_gather_while_a_stream_rests_are_read_in_order(
    tls: Place, kraken: StreamServer, follow: Follow
) -> None:
    rests = QUICK._replace(rest_s=0.02)
    running = follow("kraken", URL, pace=rests, dialer=dialer_of({"exchange.test": [tls]}))
    running.await_subscription()

    for number in range(200):
        kraken.say([Trade(NOW_MS * 1_000_000, number, 60_000.0)])

    numbers = [running.await_frame(lambda frame: frame.trades).frame.trades[0].number for _ in range(200)]
    assert numbers == list(range(200))


def test_an_address_that_swallows_connections_is_no_obstacle(kraken: StreamServer, follow: Follow) -> None:
    with black_hole() as hole:
        dialer = dialer_of({"exchange.test": [hole, kraken.place]})

        follow("kraken", "ws://exchange.test/ws", dialer=dialer).await_subscription()


def test_a_certificate_that_is_not_trusted_is_told(tls: Place, follow: Follow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")

    reason = follow("kraken", URL, dialer=dialer_of({"exchange.test": [tls]})).await_end()

    wording.check("a certificate that is not trusted", reason)


@pytest.mark.parametrize("scheme", ["http", "socks5h", "socks"])
@pytest.mark.parametrize("login", [None, "me:p@ss"])
def test_a_stream_through_a_proxy(
    scheme: str, login: str | None, tls: Place, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Proxy(HttpProxy if scheme == "http" else SocksProxy, tls, login) as proxy:
        shown = "me:p%40ss@" if login else ""
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://{shown}127.0.0.1:{proxy.place[1]}")

        follow("kraken", URL).await_subscription()

        assert proxy.seen == ["exchange.test:443"]


def test_a_stream_through_a_proxy_that_speaks_tls_itself(
    tls: Place, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Proxy(HttpProxy, tls) as proxy, TlsServer(proxy.place) as front:
        monkeypatch.setenv("HTTPS_PROXY", "https://exchange.test:1")

        follow("kraken", URL, dialer=dialer_of({"exchange.test": [front.place]})).await_subscription()

        assert proxy.seen == ["exchange.test:443"]


def test_no_proxy_exempts_a_stream(tls: Place, follow: Follow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "exchange.test")

    follow("kraken", URL, dialer=dialer_of({"exchange.test": [tls]})).await_subscription()


@pytest.mark.parametrize("kind", [HttpProxy, SocksProxy])
def test_a_proxy_that_refuses_the_login_is_named_without_it(
    kind: type, tls: Place, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Proxy(kind, tls, "me:right") as proxy:
        scheme = "http" if kind is HttpProxy else "socks5"
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://TOKEN:hunter2@127.0.0.1:{proxy.place[1]}")

        reason = follow("kraken", URL).await_end()

    assert reason.startswith(f"proxy: no stream from {URL} (the proxy 127.0.0.1:{proxy.place[1]} of ALL_PROXY: ")
    assert not any(word in reason for word in ("TOKEN", "hunter2"))
    gc.collect()  # a socket that nobody closed would be reported


def test_a_server_that_refuses_connections_is_told(follow: Follow) -> None:
    with refusals(1) as [(host, port)]:
        reason = follow("kraken", f"ws://{host}:{port}").await_end()

    wording.check("refused", reason, place=f"{host}:{port}")


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (
            b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n",
            "unreadable",
            "its answer is not that of a WebSocket",
        ),
        (b"\x00\xff", "failed", "the server closed the connection, or its answer is not HTTP"),
    ],
)
def test_an_answer_that_is_no_websocket_is_told(answer: bytes, code: str, said: str, follow: Follow) -> None:
    with RawServer(lambda _: Raw(answer, drip=b"\x00")) as server:
        url = server.url.replace("http", "ws")

        running = follow("kraken", url, pace=QUICK._replace(retry_s=1000))

        assert running.await_end() == f"{code}: no stream from {url}/ ({said})"
        assert server.gone.wait(10)


def test_a_limit_counts_although_its_answer_is_cut(follow: Follow) -> None:
    limit = Raw(b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 9\r\n\r\n{")
    with RawServer(lambda _: limit) as server:
        running = follow("kraken", server.url.replace("http", "ws"))

        assert "(HTTP 429: {)" in running.await_end()
        assert running.stream.find_next_attempt() > time.monotonic() + 6


def test_the_server_learns_who_asks(kraken: StreamServer, follow: Follow) -> None:
    follow("kraken", kraken).await_subscription()

    headers = kraken.requests[0].headers
    assert headers["User-Agent"] == f"btcts/{__version__}"
    assert headers.get_all("Host") == ["{}:{}".format(*kraken.place)]


def test_a_server_that_hangs_in_tls_is_left_in_time(follow: Follow) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        url = "wss://{}:{}/ws".format(*listener.getsockname())

        wording.check("no answer in time", follow("kraken", url, timeout_s=0.2).await_end(), url=url)
