"""A stream against a local server: what it brings, what it survives, and when it connects again."""

import time
from collections.abc import Iterator

import pytest

from btcts.domain.trades import Arrival, Closed, Opened, Trade
from providers.streams.conftest import NOW_MS, QUICK, Follow
from support.exchanges.stream_server import StreamFault, StreamServer
from support.wording import Wording

wording = Wording(__file__)

NAMES = ("coinbase", "kraken", "bitstamp", "bitfinex", "gemini")


def make_trades(count: int, first: int = 1) -> list[Trade]:
    """So many trades, a millisecond apart."""
    begin_ns = NOW_MS * 1_000_000
    return [Trade(begin_ns + number * 1_000_000, number, 60_000.0 + number) for number in range(first, first + count)]


@pytest.fixture
def kraken() -> Iterator[StreamServer]:
    """The stream of Kraken."""
    with StreamServer("kraken") as server:
        yield server


@pytest.mark.parametrize("packs", [True, False], ids=["compressed", "plain"])
@pytest.mark.parametrize("provider", NAMES)
def test_trades_arrive_once_the_subscription_is_confirmed(provider: str, packs: bool, follow: Follow) -> None:
    with StreamServer(provider, packs=packs) as server:
        running = follow(provider, server)
        running.await_opened()
        running.await_subscription()

        server.say(make_trades(1))

        arrival = running.await_frame(lambda frame: frame.trades and not frame.catch_up)
        assert arrival.frame.trades == tuple(make_trades(1))
        assert arrival.received_ms == NOW_MS


@pytest.mark.parametrize("provider", [name for name in NAMES if name != "coinbase"])
def test_the_answer_to_a_ping_tells_when_it_was_asked(provider: str, follow: Follow) -> None:
    with StreamServer(provider) as server:
        running = follow(provider, server)

        arrival = running.await_frame(lambda frame: frame.echo is not None)

    assert arrival.asked_ms == NOW_MS


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (StreamFault.FORBIDDEN, "(HTTP 403: an HTML page)"),
        (StreamFault.UNAVAILABLE, "(HTTP 503: busy)"),
        (StreamFault.PAGE, "(HTTP 200: an HTML page)"),
    ],
)
def test_a_refused_upgrade_is_told_in_one_line(
    fault: StreamFault, said: str, kraken: StreamServer, follow: Follow
) -> None:
    kraken.fault = fault

    assert follow("kraken", kraken).await_end() == f"rejected: no stream from {kraken.url} {said}"


def test_a_limit_is_respected_for_as_long_as_it_says(kraken: StreamServer, follow: Follow) -> None:
    kraken.fault = StreamFault.LIMITED
    running = follow("kraken", kraken)

    assert running.await_end().endswith("(HTTP 429: too many)")
    assert running.stream.find_next_attempt() >= kraken.attempts[0] + 7
    assert len(kraken.attempts) == 1


def test_a_server_that_never_answers_is_left_in_time(kraken: StreamServer, follow: Follow) -> None:
    kraken.fault = StreamFault.MUTE

    reason = follow("kraken", kraken, timeout_s=0.1).await_end()

    wording.check("no answer in time", reason, url=kraken.url)


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1012, 1013])
def test_a_closed_connection_is_replaced(code: int, kraken: StreamServer, follow: Follow) -> None:
    running = follow("kraken", kraken)
    running.await_subscription()

    kraken.close(code, "so it is")

    wording.check("closed", running.await_end(), code=code)
    assert not running.await_opened().overlaps
    running.await_subscription()


def test_a_connection_that_drops_is_replaced(kraken: StreamServer, follow: Follow) -> None:
    running = follow("kraken", kraken)
    running.await_subscription()

    kraken.drop()

    wording.check("dropped", running.await_end())
    running.await_subscription()


def test_a_server_that_does_not_confirm_is_left(kraken: StreamServer, follow: Follow) -> None:
    kraken.fault = StreamFault.DEAF

    running = follow("kraken", kraken, pace=QUICK._replace(confirm_s=0.1))

    assert running.await_end() == "silent: no subscription within 0.1 s"


def test_a_late_confirmation_is_waited_for(kraken: StreamServer, follow: Follow) -> None:
    kraken.late_s = 0.3

    follow("kraken", kraken).await_subscription()

    assert len(kraken.attempts) == 1


def test_a_refusal_is_told_and_waited_out(kraken: StreamServer, follow: Follow) -> None:
    kraken.fault = StreamFault.REFUSING
    running = follow("kraken", kraken, pace=QUICK._replace(refused_s=60))

    wording.check("a refused subscription", running.await_end())
    assert running.stream.find_next_attempt() > kraken.attempts[0] + 50


def test_a_silent_server_is_left_although_it_had_trades(kraken: StreamServer, follow: Follow) -> None:
    running = follow("kraken", kraken, pace=QUICK._replace(silent_s=0.3, ping_s=0.02))
    running.await_subscription()
    kraken.say(make_trades(1))

    kraken.fault = StreamFault.DEAF

    assert running.await_end() == "silent: no message for 0.3 s"


def test_answers_to_pings_keep_a_connection_without_trades(kraken: StreamServer, follow: Follow) -> None:
    running = follow("kraken", kraken, pace=QUICK._replace(silent_s=0.3))

    for _ in range(4):
        running.await_frame(lambda frame: frame.echo is not None)

    assert len(kraken.attempts) == 1


def test_half_a_frame_is_no_message(kraken: StreamServer, follow: Follow) -> None:
    running = follow("kraken", kraken, pace=QUICK._replace(silent_s=0.3))
    running.await_subscription()
    kraken.fault = StreamFault.DEAF

    kraken.send_bytes(b"\x81\x7e\x10\x00{")

    assert running.await_end() == "silent: no message for 0.3 s"


def test_a_message_that_cannot_be_read_is_a_loss_and_no_end(kraken: StreamServer, follow: Follow) -> None:
    running = follow("kraken", kraken)
    running.await_subscription()

    kraken.send("<html>", b'{"channel":"trade","data":"\xff\xfe"}', "")
    kraken.say(make_trades(1))

    running.await_frame(lambda frame: frame.lost)
    running.await_frame(lambda frame: frame.trades)
    assert len(kraken.attempts) == 1


def test_a_message_in_parts_is_read_as_one(kraken: StreamServer, follow: Follow) -> None:
    running = follow("kraken", kraken)
    running.await_subscription()

    kraken.send_parts('{"channel":"status","type":"update",', '"data":[{"system":', '"maintenance"}]}')

    running.await_frame(lambda frame: frame.serving is False)
    assert not any(isinstance(event, Arrival) and event.frame.lost for event in running.events)


def test_too_many_messages_that_cannot_be_read_end_a_connection(kraken: StreamServer, follow: Follow) -> None:
    running = follow("kraken", kraken)
    running.await_subscription()

    kraken.send(*["<html>"] * 19, '{"channel":"heartbeat"}', *["<html>"] * 19)
    kraken.say(make_trades(1))
    running.await_frame(lambda frame: frame.trades)
    running.await_frame(lambda frame: frame.echo is not None)
    assert not any(isinstance(event, Closed) for event in running.events)

    kraken.send(*["<html>"] * 20)

    wording.check("too many unreadable messages", running.await_end())


@pytest.mark.parametrize("packs", [True, False], ids=["compressed", "plain"])
def test_a_message_that_is_too_long_unpacked_ends_a_connection(packs: bool, follow: Follow) -> None:
    with StreamServer("kraken", packs=packs) as server:
        running = follow("kraken", server)
        running.await_subscription()

        server.send(" " * 2**21)

        wording.check("too long a message", running.await_end())


def test_what_is_no_frame_ends_a_connection(kraken: StreamServer, follow: Follow) -> None:
    running = follow("kraken", kraken)
    running.await_subscription()

    kraken.send_bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    wording.check("no frame", running.await_end())


def test_a_burst_of_trades_loses_none(kraken: StreamServer, follow: Follow) -> None:
    running = follow("kraken", kraken)
    running.await_subscription()

    for trade in make_trades(5_000):
        kraken.say([trade])

    seen = [running.await_frame(lambda frame: frame.trades).frame.trades[0].number for _ in range(5_000)]
    assert seen == list(range(1, 5_001))


def test_maintenance_keeps_the_connection(kraken: StreamServer, follow: Follow) -> None:
    running = follow("kraken", kraken)
    running.await_subscription()

    kraken.begin_maintenance()
    kraken.say(make_trades(1))

    running.await_frame(lambda frame: frame.serving is False)
    running.await_frame(lambda frame: frame.trades)
    assert len(kraken.attempts) == 1


def test_an_exchange_that_restarts_gets_a_new_connection(follow: Follow) -> None:
    with StreamServer("bitfinex") as server:
        running = follow("bitfinex", server)
        running.await_subscription()

        server.ask_to_reconnect()

        wording.check("asked to reconnect", running.await_end())
        running.await_subscription()


def test_a_connection_is_replaced_without_a_gap_where_the_exchange_asks_first(follow: Follow) -> None:
    with StreamServer("bitstamp") as server:
        running = follow("bitstamp", server)
        running.await_subscription()

        server.ask_to_reconnect()

        assert running.await_opened().overlaps
        running.await_subscription()
        server.await_ends(1)
        server.say(make_trades(1))
        running.await_frame(lambda frame: frame.trades)
    assert len(server.attempts) == 2


def test_an_old_connection_is_kept_where_the_new_one_is_refused(follow: Follow) -> None:
    with StreamServer("bitstamp") as server:
        running = follow("bitstamp", server)
        running.await_subscription()
        server.fault = StreamFault.FORBIDDEN

        server.ask_to_reconnect()
        server.await_attempts(2)
        server.say(make_trades(1))

        running.await_frame(lambda frame: frame.trades)


def test_a_limit_of_the_new_connection_outlasts_the_old_one(follow: Follow) -> None:
    with StreamServer("bitstamp") as server:
        running = follow("bitstamp", server)
        running.await_subscription()
        server.fault = StreamFault.LIMITED

        server.ask_to_reconnect()
        server.await_attempts(2)
        server.drop_oldest()
        running.await_end()

        assert running.stream.find_next_attempt() >= server.attempts[1] + 7


def test_new_connections_back_off_where_the_exchange_asks_for_one_after_the_other(follow: Follow) -> None:
    with StreamServer("bitstamp") as server:
        running = follow("bitstamp", server, pace=QUICK._replace(retry_s=1000.0, drain_s=0.0))
        for _ in range(2):
            running.await_subscription()
            server.ask_to_reconnect()
        running.await_subscription()

        assert running.stream.find_next_attempt() > time.monotonic() + 100


def test_an_old_connection_is_kept_where_the_new_subscription_is_refused(follow: Follow) -> None:
    with StreamServer("bitstamp") as server:
        running = follow("bitstamp", server)
        running.await_subscription()
        server.fault = StreamFault.REFUSING

        server.ask_to_reconnect()
        server.await_attempts(2)
        server.await_ends(1)
        server.say(make_trades(1))

        running.await_frame(lambda frame: frame.trades)
    assert [type(event) for event in running.events].count(Opened) == 1


def test_an_old_connection_that_ends_before_the_new_one_is_confirmed_leaves_a_gap(follow: Follow) -> None:
    with StreamServer("bitstamp") as server:
        running = follow("bitstamp", server)
        running.await_subscription()
        server.fault = StreamFault.DEAF

        server.ask_to_reconnect()
        server.await_attempts(2)
        server.drop_oldest()

        wording.check("dropped", running.await_end())
        assert not running.await_opened().overlaps


def test_an_old_connection_that_drops_while_it_is_drained_leaves_a_gap(follow: Follow) -> None:
    with StreamServer("bitstamp") as server:
        running = follow("bitstamp", server, pace=QUICK._replace(drain_s=30.0))
        running.await_subscription()

        server.ask_to_reconnect()
        overlaps = running.await_opened().overlaps
        server.drop_oldest()

        running.await_frame(lambda frame: frame.lost)
    assert overlaps


def test_connections_are_limited_however_they_end(kraken: StreamServer, follow: Follow) -> None:
    kraken.fault = StreamFault.FORBIDDEN
    running = follow("kraken", kraken, pace=QUICK._replace(retry_s=1e-5))

    for _ in range(20):
        running.await_end()

    assert running.stream.find_next_attempt() > kraken.attempts[-1] + 500
    assert len(kraken.attempts) == 20
