"""Requests that nobody should send: none makes the server fail, say more than it may, or log anything."""

from urllib.parse import urlsplit

import pytest

from btcts.store import Store
from support.leaks import PLANTED_PASSWORD
from support.odd_requests import judge
from support.samples import take_run
from web.conftest import ServeStore

TOKEN = "0123456789abcdef-token"
SEEDS = range(1, 10_001)


def test_no_request_makes_the_server_fail(
    serve_store: ServeStore, full: Store, caplog: pytest.LogCaptureFixture
) -> None:
    place = urlsplit(serve_store(full, token=TOKEN).url)

    judged = judge(take_run(SEEDS, 300), ("127.0.0.1", place.port or 0), TOKEN, [TOKEN, PLANTED_PASSWORD])

    assert judged.problems == []
    assert caplog.records == []
    assert judged.statuses.keys() >= {200, 400, 401, 405, 421}
