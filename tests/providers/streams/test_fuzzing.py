"""Messages that no exchange would send: each gives a frame within bounds, or an error of one short line."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btcts.domain.model import is_price
from btcts.domain.trades import NS_PER_MS, Frame, Quote, Trade
from btcts.domain.untrusted import END_MS, GENESIS_MS
from btcts.errors import ProviderError
from btcts.providers.streams import SUBSCRIPTIONS
from providers.streams.talks import NOW_NS, Talk
from support.fuzzing import exchange, splice

FIELDS = ["type", "channel", "event", "data", "id", "E", "s", "t", "method", "product_id", "symbol", "code"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS) | st.text(), inner, max_size=4),
    max_leaves=8,
)
HISTORY = [Trade(NOW_NS - number * 1_000_000_000, number, 61250.5) for number in range(3, 0, -1)]

every_stream = pytest.mark.parametrize("name", SUBSCRIPTIONS)


def all_messages(talk: Talk) -> list[str]:
    """Return one message of each kind that the exchange has."""
    voice = talk.voice
    pings = [ping for number in range(3) if (ping := talk.stream.ping(number))]
    answers = [answer for message in (*talk.stream.greet(), *pings) for answer in voice.answer(message)]
    news = [*voice.say_trades(HISTORY), *voice.say_quote(Quote(61250.5, 61250.75)), *voice.say_heartbeat()]
    notices = [*voice.say_maintenance(begins=True), *voice.ask_to_reconnect()]
    return [*voice.greet(), *answers, *news, *notices]


def judge(talk: Talk, message: str) -> None:
    """Read a message of any kind; only a frame within bounds or an error of one short line may come of it."""
    outcome = read(talk, message)

    assert is_line(str(outcome)) if isinstance(outcome, ProviderError) else is_within_bounds(outcome)


def read(talk: Talk, message: str) -> Frame | ProviderError:
    """Return the frame or the error."""
    try:
        return talk.stream.read(message)
    except ProviderError as exc:
        return exc


def is_line(text: str) -> bool:
    """Tell whether a text is short and can be printed."""
    return text.isprintable() and len(text) < 200


def is_within_bounds(frame: Frame) -> bool:
    """Tell whether each value of a frame is one that others may rely on."""
    times_ns = [trade.time_ns for trade in frame.trades] + [NOW_NS if frame.stamp_ns is None else frame.stamp_ns]
    prices = [trade.price for trade in frame.trades] + list(frame.quote or ())
    numbers = [trade.number for trade in frame.trades] + [frame.echo or 0]
    return (
        all(GENESIS_MS * NS_PER_MS <= time_ns < END_MS * NS_PER_MS for time_ns in times_ns)
        and all(is_price(price) for price in prices)
        and all(type(number) is int and 0 <= number < 1 << 63 for number in numbers)
        and list(frame.trades) == sorted(frame.trades)
        and is_line(frame.refused)
        and frame.serving in (None, False, True)
    )


@every_stream
@given(JSON)
def test_any_json(name: str, value: object) -> None:
    judge(Talk(name), json.dumps(value))


@every_stream
@given(st.text())
def test_any_text(name: str, message: str) -> None:
    judge(Talk(name), message)


@every_stream
@given(st.integers(0, 1 << 32))
def test_messages_with_values_that_do_harm(name: str, seed: int) -> None:
    chance, talk = random.Random(seed), Talk(name, HISTORY)

    for message in all_messages(talk):
        judge(talk, exchange(chance, message.encode()).decode("utf-8", "surrogatepass"))
        judge(talk, message)


@every_stream
@given(st.integers(0, 1 << 32))
def test_messages_with_bytes_that_were_changed(name: str, seed: int) -> None:
    chance, talk = random.Random(seed), Talk(name, HISTORY)

    for message in all_messages(talk):
        judge(talk, splice(chance, message.encode()).decode("latin-1"))


@every_stream
@pytest.mark.parametrize("depth", range(700, 1000, 20))
def test_values_of_any_depth(name: str, depth: int) -> None:
    deep = "[" * depth + "]" * depth

    judge(Talk(name), "{" + ",".join(f'"{field}":{deep}' for field in FIELDS) + "}")
