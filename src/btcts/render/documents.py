"""The head that all JSON documents share, and how they are written.

A document stands on one line, so that several make a stream. Prices are written as they are stored: with the fewest
digits that read back as the same number. No text ends in a line end; printing adds it.
"""

import json
from collections.abc import Mapping
from typing import Any

from btcts.domain.codes import StreamCode
from btcts.domain.layout import Market
from btcts.domain.model import StreamState, Waiting

SCHEMA = 1
"""The version of the JSON documents; raised when a field goes away or changes its meaning."""


def begin_document(market: Market) -> dict[str, Any]:
    """Return the fields with which a document about a market begins."""
    return {"schema": SCHEMA, "market": market.name}


def encode_waiting(waiting: Waiting) -> list[dict[str, Any]]:
    """Encode the providers that have to wait, each with the time until which it does and the reason."""
    return [{"provider": name, "not_before_ms": until_ms, "reason": why} for name, until_ms, why in waiting]


def encode_streams(streams: Mapping[str, StreamState]) -> dict[str, dict[str, Any]]:
    """Encode the state of each provider's stream; a code that is not known here counts as `failed`."""
    return {provider: stream._asdict() | _encode_problem(stream) for provider, stream in streams.items()}


def _encode_problem(stream: StreamState) -> dict[str, str | None]:
    if not stream.problem:
        return {"problem": None, "problem_code": None}
    code = stream.problem_code if stream.problem_code in [*StreamCode] else StreamCode.FAILED
    return {"problem": stream.problem, "problem_code": code}


def dump_document(document: Mapping[str, Any]) -> str:
    """Encode a document on one line.

    Raises:
        ValueError: one of its numbers is not finite.
    """
    return json.dumps(document, allow_nan=False)
