"""No answer is waited for longer than the timeout, in whatever way it is late."""

import time

import pytest

from btcts.errors import ProviderError
from btcts.providers import Endpoint
from btcts.providers.http import Client
from providers.opening import ASKED, CALLS, NOW_MS, Opened, provider_at
from support.clocks import FakeClock
from support.exchanges import Exchanges, Fault
from support.raw_server import Raw, RawServer


@pytest.mark.parametrize("slow", [Fault(trickle_s=0.03), Fault(delay_s=60)], ids=["byte by byte", "not at all"])
@pytest.mark.parametrize(("name", "call"), ASKED)
def test_a_slow_answer_is_given_up(name: str, call: str, slow: Fault, opened: Opened, exchanges: Exchanges) -> None:
    exchanges.fault(name, slow)
    began = time.monotonic()

    with pytest.raises(ProviderError, match=r" within 0\.1 s"):
        CALLS[call](opened(name, timeout_s=0.1))

    assert time.monotonic() - began < 2


ENDLESS = {
    "headers": Raw(b"HTTP/1.1 200 OK\r\nX-Long: ", b"x"),
    "early hints": Raw(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "chunks": Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "a body": Raw(b"HTTP/1.1 200 OK\r\n\r\n", b" "),
}


@pytest.mark.parametrize("endless", ENDLESS)
def test_a_request_that_is_given_up_ends_with_its_connection(endless: str) -> None:
    with RawServer(lambda _: ENDLESS[endless]) as server, Client() as client:
        provider = provider_at(Endpoint(server.url, 0.2), "kraken", client, FakeClock(NOW_MS))

        with pytest.raises(ProviderError, match=r"within 0\.2 s$"):
            provider.latest()

        assert server.gone.wait(5)
