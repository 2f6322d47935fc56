"""Peculiarities of Bitstamp's stream."""

from btcts.domain.trades import Frame, Trade
from btcts.providers.streams.bitstamp import MOST_PINGS, BitstampStream
from providers.streams.talks import subscribed

TRADE = (
    '{"event":"trade","channel":"live_trades_btcusd","data":{"id":512337562,"timestamp":"1795867201",'
    '"microtimestamp":"1795867201587000","amount":0.0028,"amount_str":"0.00280000","price":61250,"price_str":"61250",'
    '"type":0,"buy_order_id":1900000000000001,"sell_order_id":1900000000000002}}'
)
HEARTBEAT = '{"event":"bts:heartbeat","channel":"","data":{"status":"success"}}'


def test_a_price_may_be_a_whole_number_and_a_time_counts_microseconds_as_text() -> None:
    trade = Trade(1_795_867_201_587_000_000, 512337562, 61250.0)

    assert BitstampStream().read(TRADE) == Frame(stamp_ns=trade.time_ns, trades=(trade,))


def test_heartbeats_answer_pings_in_their_order() -> None:
    stream = BitstampStream()
    for number in (5, 6, 9):
        assert stream.ping(number) == '{"event":"bts:heartbeat"}'

    echoes = [stream.read(HEARTBEAT).echo for _ in range(3)]

    assert echoes == [5, 6, 9]


def test_a_heartbeat_that_nobody_asked_for_answers_nothing() -> None:
    assert BitstampStream().read(HEARTBEAT) == Frame()


def test_an_error_without_a_code_refuses_the_subscription_with_its_message() -> None:
    error = '{"event":"bts:error","channel":"","data":{"code":null,"message":"Bad subscription string."}}'

    assert "Bad subscription string." in BitstampStream().read(error).refused


def test_a_confirmation_of_another_channel_is_none() -> None:
    other = '{"event":"bts:subscription_succeeded","channel":"order_book_btcusd","data":{}}'

    assert BitstampStream().read(other) == Frame()


def test_numbers_with_gaps_are_no_loss() -> None:
    talk = subscribed("bitstamp")

    frames = talk.read(talk.voice.say_trades([Trade(1_795_867_201_000_000_000, number, 61250.5) for number in (5, 90)]))

    assert not any(frame.lost for frame in frames)
    assert not talk.stream.contiguous


def test_an_exchange_that_answers_no_pings_is_sent_no_more() -> None:
    stream = BitstampStream()

    sent = [stream.ping(number) for number in range(1, MOST_PINGS + 3)]
    stream.read('{"event":"bts:heartbeat","channel":"","data":{"status":"success"}}')

    assert (all(sent[:MOST_PINGS]), sent[MOST_PINGS:]) == (True, [None, None])
    assert stream.ping(MOST_PINGS + 3)
