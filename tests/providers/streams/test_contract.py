"""The promises of every stream, each against its own exchange's side."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btcts.domain.model import PRICE_CEILING
from btcts.domain.trades import Frame, Quote, Renewal, Trade
from btcts.errors import ProviderError
from btcts.providers.streams import SUBSCRIPTIONS
from providers.streams.talks import NOW_NS, Talk, subscribed

SECOND_NS = 1_000_000_000
TRADE = Trade(NOW_NS - SECOND_NS + 440_295_123, 90218208, 61250.12345)
LAST_TRADES = {"coinbase": 1, "kraken": 50, "bitstamp": 0, "bitfinex": 30, "gemini": 0}
"""Trades from before the subscription."""

HISTORY = [Trade(NOW_NS - (60 - number) * SECOND_NS, number, 61000.5 + number) for number in range(60)]

OTHER_PRODUCTS = {
    "coinbase": ("BTC-USD", "ETH-USD"),
    "kraken": ("BTC/USD", "ETH/USD"),
    "bitstamp": ("btcusd", "ethusd"),
    "bitfinex": ("[1911", "[2022"),
    "gemini": ("btcusd", "ethusd"),
}

UNKNOWN = {
    "coinbase": ['{"type":"auction","product_id":"BTC-USD"}', '{"type":null}', '{"type":["match"]}'],
    "kraken": ['{"channel":"auction","type":"update","data":[]}', '{"method":"whisper","success":true}', "{}"],
    "bitstamp": ['{"event":"auction","channel":"live_trades_btcusd","data":{"price":5}}', '{"event":7}'],
    "bitfinex": ['{"event":"auth","status":"OK"}', "{}", '[19111,"fte",[1]]', '[0,"n",[]]', "[19111,null]"],
    "gemini": ['{"e":"auction","s":"btcusd","E":5}', '{"id":"7","status":200}', '{"id":null}', "{}"],
}

NONSENSE = [
    *["", " ", "{", "<html>", "null", "true", "5", '"id"', "[]", '["id"]', "[null]", "{]", "\ud800", "\x00"],
    *["[" * 100_000, '{"type":' * 2_000, '{"a":1e999999999}', '{"a":' + "9" * 5_000 + "}", '{"a":1}{"a":1}'],
]

every_stream = pytest.mark.parametrize("name", SUBSCRIPTIONS)


def trade_message(name: str) -> tuple[Talk, str]:
    """Return a message about `TRADE` that nobody has read yet."""
    talk = subscribed(name)
    return talk, talk.voice.say_trades([TRADE])[0]


def as_told(name: str, trade: Trade) -> Trade:
    """Return the trade with its time in the unit of the exchange."""
    unit_ns = Talk(name).voice.unit_ns
    return trade._replace(time_ns=trade.time_ns // unit_ns * unit_ns)


@every_stream
def test_a_greeting_is_answered_by_one_confirmation(name: str) -> None:
    frames = Talk(name).begin()

    assert sum(frame.subscribed for frame in frames) == 1
    assert not any(frame.refused or frame.lost or frame.renewal for frame in frames)
    assert SUBSCRIPTIONS[name]().name == name


@every_stream
@given(
    st.lists(
        st.builds(
            Trade,
            st.integers(NOW_NS - 3600 * SECOND_NS, NOW_NS),
            st.integers(0, (1 << 63) - 1),
            st.floats(1e-9, PRICE_CEILING),
        ),
        max_size=5,
        unique_by=lambda trade: trade.number,
    )
)
def test_every_new_trade_is_read_as_it_was_made(name: str, trades: list[Trade]) -> None:
    talk = subscribed(name, HISTORY)

    frames = talk.read(talk.voice.say_trades(trades))

    read = {trade for frame in frames for trade in frame.trades}
    assert read == {as_told(name, trade) for trade in trades}
    assert not any(frame.catch_up or frame.lost or frame.quote for frame in frames)


@every_stream
def test_new_trades_were_sent_no_earlier_than_they_were_made(name: str) -> None:
    talk, message = trade_message(name)

    frame = talk.stream.read(message)

    assert frame == Frame(stamp_ns=as_told(name, TRADE).time_ns, trades=(as_told(name, TRADE),))


@every_stream
def test_trades_from_before_come_in_order_as_a_catch_up_without_a_stamp(name: str) -> None:
    frames = Talk(name, HISTORY).begin()

    earlier = [frame for frame in frames if frame.trades]
    last = LAST_TRADES[name]
    assert earlier == [Frame(trades=tuple(HISTORY[-last:]), catch_up=True)] * bool(last)


@every_stream
def test_an_answer_to_a_ping_tells_its_number(name: str) -> None:
    talk = subscribed(name)
    pings = [ping for number in (7, 8) if (ping := talk.stream.ping(number))]

    frames = talk.read(answer for ping in pings for answer in talk.voice.answer(ping))

    assert [frame.echo for frame in frames] == ([] if name == "coinbase" else [7, 8])
    stamp_ns = NOW_NS if name in ("kraken", "bitfinex") else None
    assert frames == [Frame(stamp_ns=stamp_ns, echo=frame.echo) for frame in frames]


@every_stream
def test_a_stream_has_pings_or_heartbeats_with_a_time(name: str) -> None:
    talk = subscribed(name)

    frames = talk.read(talk.voice.say_heartbeat())

    assert any(frame.stamp_ns == NOW_NS for frame in frames) or talk.stream.ping(1) is not None
    assert all(frame._replace(stamp_ns=None) == Frame() for frame in frames)


@every_stream
def test_a_ticker_brings_a_quote_and_never_a_trade(name: str) -> None:
    talk = subscribed(name, HISTORY)

    frames = talk.read(talk.voice.say_quote(Quote(61250.12, 61250.34)))

    quotes = [] if name in ("bitstamp", "coinbase") else [Quote(61250.12, 61250.34)]
    assert [frame.quote for frame in frames] == quotes
    assert not any(frame.trades for frame in frames)


@pytest.mark.parametrize("name", ["kraken", "bitfinex", "gemini"])
@pytest.mark.parametrize("bad", ['""', "0", "null", '"NaN"', "NaN", "-1", "[]", "true", "1e300"])
def test_a_quote_without_a_valid_price_is_no_quote_and_no_error(name: str, bad: str) -> None:
    talk = subscribed(name)
    (message,) = talk.voice.say_quote(Quote(61250.12345, 61260.5))

    frame = talk.stream.read(replaced(message, "61250.12345", bad))

    assert (frame.quote, frame.trades) == (None, ())


@pytest.mark.parametrize("name", ["kraken", "bitfinex"])
def test_maintenance_is_announced(name: str) -> None:
    talk = subscribed(name)

    (begun,) = talk.read(talk.voice.say_maintenance(begins=True))
    (ended,) = talk.read(talk.voice.say_maintenance(begins=False))

    assert (begun.serving, ended.serving) == (False, True)


@pytest.mark.parametrize("name", ["kraken", "bitfinex"])
def test_the_first_message_says_that_the_exchange_works(name: str) -> None:
    assert Talk(name).begin()[0] == Frame(serving=True)


@pytest.mark.parametrize(("name", "renewal"), [("bitstamp", Renewal.OVERLAPPING), ("bitfinex", Renewal.AT_ONCE)])
def test_an_exchange_may_ask_for_a_new_connection(name: str, renewal: Renewal) -> None:
    talk = subscribed(name)

    assert talk.read(talk.voice.ask_to_reconnect()) == [Frame(renewal=renewal)]


@every_stream
def test_a_refused_subscription_says_why_in_a_short_line(name: str) -> None:
    frames = Talk(name, refuses=True).begin()

    (reason,) = [frame.refused for frame in frames if frame.refused]
    assert reason.isprintable()
    assert 10 < len(reason) < 200
    assert not any(frame.subscribed for frame in frames)


@every_stream
def test_fields_that_are_new_change_nothing(name: str) -> None:
    talk, message = trade_message(name)
    richer = json.loads(message, object_hook=lambda fields: {"new": None, **fields, "newer": {"price": 1}})

    frame = talk.stream.read(json.dumps(richer))

    assert frame.trades == (as_told(name, TRADE),)


@pytest.mark.parametrize(("name", "message"), [(name, message) for name in UNKNOWN for message in UNKNOWN[name]])
def test_messages_of_unknown_kind_are_ignored(name: str, message: str) -> None:
    assert subscribed(name).stream.read(message) == Frame()


@every_stream
def test_messages_about_other_products_are_ignored(name: str) -> None:
    talk = subscribed(name)
    messages = [*talk.voice.say_trades([TRADE]), *talk.voice.say_quote(Quote(2500.5, 2500.7))]

    frames = talk.read(message.replace(*OTHER_PRODUCTS[name]) for message in messages)

    assert frames == [Frame()] * len(messages)


@every_stream
@pytest.mark.parametrize("message", NONSENSE, ids=lambda message: repr(message[:20]))
def test_nonsense_is_refused_in_one_short_line(name: str, message: str) -> None:
    with pytest.raises(ProviderError) as raised:
        subscribed(name).stream.read(message)

    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 200


@every_stream
@pytest.mark.parametrize("bad", ['""', "0", "null", '"NaN"', "NaN", "Infinity", "-1", "1e300", "true", "[]", '"6e4x"'])
def test_a_trade_without_a_valid_price_is_refused(name: str, bad: str) -> None:
    refuse(name, "61250.12345", bad)


@every_stream
@pytest.mark.parametrize("bad", ["null", "-1", "1.5", "true", '"x"', "[]", str(1 << 63), "9" * 90])
def test_a_trade_without_a_valid_number_is_refused(name: str, bad: str) -> None:
    refuse(name, "90218208", bad)


@every_stream
@pytest.mark.parametrize("bad", ["null", "0", "-1", "true", '"soon"', "17958672", '"2026-11-28T12:00:01.44"', "9" * 90])
def test_a_trade_without_a_valid_time_is_refused(name: str, bad: str) -> None:
    times = {"bitstamp": "1795867201440295", "bitfinex": "1795867201440", "gemini": "1795867201440295123"}
    refuse(name, times.get(name, "2026-11-28T12:00:01.440295Z"), bad)


def refuse(name: str, value: str, bad: str) -> None:
    """Read the trade with a bad value in place of a good one."""
    talk, message = trade_message(name)

    with pytest.raises(ProviderError, match="is not a "):
        talk.stream.read(replaced(message, value, bad))


def replaced(message: str, value: str, bad: str) -> str:
    """Return the message with another value in place of one, quoted or not."""
    changed = message.replace(f'"{value}"', value).replace(value, bad)
    assert changed != message, f"{value} is not in {message}; this test needs it as the exchange writes it"
    return changed


def read_numbers(talk: Talk, messages: list[str]) -> list[Any]:
    """Return the numbers of the trades in messages."""
    return [trade.number for frame in talk.read(messages) for trade in frame.trades]


@every_stream
def test_trades_are_read_again_after_a_message_that_was_refused(name: str) -> None:
    talk, message = trade_message(name)
    with pytest.raises(ProviderError):
        talk.stream.read(replaced(message, "61250.12345", '""'))

    assert set(read_numbers(talk, talk.voice.say_trades([TRADE._replace(number=90218209)]))) == {90218209}
