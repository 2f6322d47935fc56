"""Peculiarities of Bitfinex' stream."""

import json

import pytest

from btcts.domain.trades import Frame, Quote, Renewal, Trade
from btcts.errors import ProviderError
from btcts.providers.streams.bitfinex import BitfinexStream
from providers.streams.talks import Talk, subscribed

CONFIRMED = '{"event":"subscribed","channel":"trades","chanId":19111,"symbol":"tBTCUSD","pair":"BTCUSD"}'
TRADE = Trade(1_795_867_201_098_000_000, 1900000010, 61251.0)
LOST = Frame(lost=True, renewal=Renewal.AT_ONCE)


def stream() -> BitfinexStream:
    """Return a stream whose trades come on channel 19111."""
    confirmed = BitfinexStream()
    assert confirmed.read(CONFIRMED) == Frame(subscribed=True)
    return confirmed


def test_numbers_are_asked_for_before_anything_comes() -> None:
    first, *others = (json.loads(message) for message in BitfinexStream().greet())

    assert first == {"event": "conf", "flags": 65536}
    assert [request["channel"] for request in others] == ["trades", "ticker"]


def test_the_snapshot_is_newest_first_and_put_in_order() -> None:
    rows = "[[1900000009,1795867200098,0.005,61250],[1900000008,1795867199870,-0.1,61249]]"

    frame = stream().read(f"[19111,{rows},1]")

    earlier = Trade(1_795_867_199_870_000_000, 1900000008, 61249.0)
    assert frame == Frame(trades=(earlier, Trade(1_795_867_200_098_000_000, 1900000009, 61250.0)), catch_up=True)


def test_one_bad_trade_refuses_the_snapshot() -> None:
    with pytest.raises(ProviderError, match=r"^bitfinex: null .* price$"):
        stream().read("[19111,[[9,1795867200098,0.005,61250],[8,1795867199870,-0.1,null]],1]")


def test_no_trades_before_the_subscription_are_an_empty_catch_up() -> None:
    assert stream().read("[19111,[],1]") == Frame(catch_up=True)


@pytest.mark.parametrize("kind", ["te", "tu"])
def test_a_trade_may_come_under_either_name_alone(kind: str) -> None:
    frame = stream().read(f'[19111,"{kind}",[1900000010,1795867201098,0.00325131,61251],7]')

    assert frame == Frame(stamp_ns=TRADE.time_ns, trades=(TRADE,))


def test_arrays_may_grow_at_their_end() -> None:
    row = "[1900000010,1795867201098,0.00325131,61251,null,5]"

    assert stream().read(f'[19111,"te",{row},"new",7]').trades == (TRADE,)


@pytest.mark.parametrize("number", [6, 7, 9, 1, -1])
def test_a_step_other_than_one_is_a_loss_that_a_new_connection_ends(number: int) -> None:
    counting = stream()
    counting.read('[19111,"hb",7]')

    frame = counting.read(f'[19111,"te",[1900000010,1795867201098,0.00325131,61251],{number}]')

    assert frame == Frame(stamp_ns=TRADE.time_ns, trades=(TRADE,), lost=True, renewal=Renewal.AT_ONCE)


def test_the_arrays_of_all_channels_are_counted() -> None:
    counting = stream()
    messages = ['[19111,"hb",3]', '[5,"hb",4]', '[0,"n",[],5]', '[19111,"hb",7]']

    frames = [counting.read(message) for message in messages]

    assert frames == [Frame(), Frame(), Frame(), LOST]


def test_what_is_not_sent_is_noticed_by_the_next_message() -> None:
    talk = subscribed("bitfinex")
    talk.voice.say_trades([TRADE])

    first, second = talk.read([*talk.voice.say_heartbeat()])

    assert (first, second) == (LOST, Frame())


def test_without_numbers_nothing_is_counted() -> None:
    plain = stream()

    frames = [plain.read(message) for message in ('[19111,"te",[1900000010,1795867201098,1,61251]]', '[19111,"hb"]')]

    assert not any(frame.lost for frame in frames)


def test_a_ticker_is_a_quote() -> None:
    quoting = BitfinexStream()
    quoting.read(CONFIRMED.replace("trades", "ticker"))

    frame = quoting.read("[19111,[61250,38.6,61251.5,32.1,126.6,0.0175,61000,1982.8,61500,60000],1]")

    assert frame == Frame(quote=Quote(61250.0, 61251.5))


def test_a_refused_ticker_does_not_refuse_the_trades() -> None:
    error = '{"event":"error","msg":"symbol: invalid","code":10300,"channel":"ticker","symbol":"tBTCUSD"}'

    assert BitfinexStream().read(error) == Frame()
    assert BitfinexStream().read(error.replace("ticker", "trades")) == Frame(refused='"symbol: invalid"')


@pytest.mark.parametrize(
    ("code", "frame"),
    [
        (20051, Frame(renewal=Renewal.AT_ONCE)),
        (20060, Frame(serving=False)),
        (20061, Frame(serving=True, renewal=Renewal.AT_ONCE)),
        (20099, Frame()),
    ],
)
def test_notices_by_their_codes(code: int, frame: Frame) -> None:
    assert BitfinexStream().read(f'{{"event":"info","code":{code},"msg":"x"}}') == frame


def test_a_platform_that_is_not_operative_does_not_serve() -> None:
    (greeting,) = Talk("bitfinex").voice.greet()

    assert BitfinexStream().read(greeting.replace('"status":1', '"status":0')) == Frame(serving=False)


def test_the_answer_to_a_ping_has_the_time_at_which_it_was_sent() -> None:
    pong = '{"event":"pong","ts":1795867201000,"cid":1}'

    assert BitfinexStream().read(pong) == Frame(stamp_ns=1_795_867_201_000_000_000, echo=1)
