"""Faults of a local exchange while it runs."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

KEEP = object()
"""The price as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The fault in the answers of one provider, where the path of the request contains `path`.

    In the reply: `status` other than 200 and `body` replace the answer, `headers` are added, `error` answers HTTP
    200 with the provider's own shape of an error, `cut` sends half of the JSON, `skew_ms` moves the Date header.
    In the market: `price` replaces the last price and the close of each candle, `factor` multiplies all prices,
    `frozen_ms` is when the provider stopped noticing trades, `rows` rearranges the rows of a candle reply.
    On the wire: `delay_s` before the answer, `trickle_s` before each byte of it, `reset` in place of it.
    """

    path: str = ""
    status: int = 200
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    error: str | None = None
    cut: bool = False
    skew_ms: int = 0
    price: Any = KEEP
    factor: float = 1.0
    frozen_ms: int | None = None
    rows: Callable[[list[Any]], list[Any]] = list
    delay_s: float = 0.0
    trickle_s: float = 0.0
    reset: bool = False


HTML = b"<html>\n<head><title>Just a moment...</title></head>\n<body>Checking your browser</body>\n</html>"


def shuffled(rows: list[Any]) -> list[Any]:
    """The rows in another order, the same each time."""
    return random.Random(len(rows)).sample(rows, len(rows))


def doubled(rows: list[Any]) -> list[Any]:
    """Each row twice."""
    return [row for row in rows for _ in range(2)]


def shortened(rows: list[Any]) -> list[Any]:
    """All but the last third."""
    return rows[: len(rows) - len(rows) // 3]
