"""What many readers cost, and what slow ones may take."""

import asyncio
import socket
from contextlib import suppress
from itertools import islice
from urllib.parse import urlsplit

import pytest

from btcts.config import BTC_USD
from btcts.domain.clock import Stop
from btcts.store import Store
from btcts.web.app import make_router
from btcts.web.board import Board, Post
from btcts.web.server import MOST_CONNECTIONS, TimelyProtocol, listen, serve
from support.servers import Server
from support.wires import Wire
from web.conftest import ServeStore
from web.serving import PATIENCE_S, BeatClock, Site

READERS = 500


def test_many_readers_share_each_look(serve_store: ServeStore, full: Store, clock: BeatClock, server: Server) -> None:
    wire = Wire(server.socket)
    site = serve_store(Store(wire.client, BTC_USD, clock=clock, where="test"))
    wire.reset()
    site.beat(60)
    alone = wire.commands
    wire.reset()

    answered = asyncio.run(read_together(site))

    assert answered == READERS
    assert wire.commands == alone


async def read_together(site: Site) -> int:
    """Follow the events on many connections, and let it look as often as in a minute meanwhile."""
    place = urlsplit(site.url)

    async def follow() -> bool:
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        writer.write(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for _ in range(3):
            await reader.readuntil(b"event: beat\n")
        writer.close()
        return True

    async def look() -> None:
        await asyncio.to_thread(site.beat, 60)

    *answers, _ = await asyncio.gather(*(follow() for _ in range(READERS)), look())
    return len(answers)


def test_more_connections_than_the_limit_are_told_so(site: Site) -> None:
    place = urlsplit(site.url)
    idle = [socket.create_connection((str(place.hostname), place.port or 0)) for _ in range(MOST_CONNECTIONS)]

    refused = site.get("/api/price")
    for connection in idle:
        connection.close()

    assert refused.status_code == 503


class Hasty(TimelyProtocol):
    asking_s = 0.05
    stuck_s = 0.05


def read_to_the_end(connection: socket.socket) -> int:
    """Return how many bytes come until the other side closes the connection, in whatever way."""
    count = 0
    with suppress(ConnectionResetError):
        while part := connection.recv(65_536):
            count += len(part)
    return count


@pytest.mark.parametrize("sent", [b"", b"GET /api/price HTTP/1.1\r\nHost: local"])
def test_a_client_that_asks_for_nothing_is_cut_off(serve_store: ServeStore, full: Store, sent: bytes) -> None:
    place = urlsplit(serve_store(full, protocol=Hasty).url)

    with socket.create_connection((str(place.hostname), place.port or 0), PATIENCE_S) as connection:
        connection.sendall(sent)

        assert read_to_the_end(connection) == 0


def ask_until_cut_off(connection: socket.socket) -> None:
    """Ask again and again, and read nothing."""
    while True:
        connection.sendall(b"GET /api/show HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100)


def test_a_client_that_reads_nothing_is_cut_off(serve_store: ServeStore, full: Store) -> None:
    site = serve_store(full, protocol=Hasty)
    place = urlsplit(site.url)
    with (
        socket.create_connection((str(place.hostname), place.port or 0), PATIENCE_S) as connection,
        pytest.raises((ConnectionResetError, BrokenPipeError)),
    ):
        ask_until_cut_off(connection)

    assert site.get("/api/price").status_code == 200


def test_answers_are_not_held_back_for_the_confirmation_of_others() -> None:
    with listen("127.0.0.1:0") as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_stream_that_was_asked_for_with_something_else_goes_on(serve_store: ServeStore, full: Store) -> None:
    site = serve_store(full, protocol=Hasty)
    place = urlsplit(site.url)
    with socket.create_connection((str(place.hostname), place.port or 0), PATIENCE_S) as connection:
        asked = [f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n" for path in ("/api/price", "/events")]
        connection.sendall("".join(asked).encode())
        beats = (line for line in connection.makefile("rb") if line == b"event: beat\n")

        assert len(list(islice(beats, 2))) == 2  # the second after a second


CHUNKED = b"GET /%s HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("path", [b"health", b"events"])
@pytest.mark.parametrize("waits", [False, True])
def test_a_body_that_is_none_ends_the_connection_and_no_more(
    site: Site, caplog: pytest.LogCaptureFixture, path: bytes, *, waits: bool
) -> None:
    place = urlsplit(site.url)
    with socket.create_connection((str(place.hostname), place.port or 0), PATIENCE_S) as connection:
        connection.sendall(CHUNKED % path + (b"" if waits else b"zz\r\n"))
        if waits:
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
            connection.sendall(b"zz\r\n")
        read_to_the_end(connection)

    assert site.get("/health").status_code == 200
    assert caplog.records == []


def test_a_bug_while_looking_ends_the_server_with_its_traceback(clock: BeatClock) -> None:
    board, failure = Board(clock), ZeroDivisionError("a bug")

    def fail(post: Post) -> None:
        raise failure

    with listen("127.0.0.1:0") as listener, pytest.raises(ZeroDivisionError) as raised:
        serve(make_router(board, BTC_USD), board, listener, keep_looking=fail, stop=Stop())

    assert raised.value is failure
