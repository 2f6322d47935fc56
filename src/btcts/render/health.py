"""The document that `serve` answers with while prices cannot be relied on, as `docs/schemas/health.json` says."""

from collections.abc import Sequence

from btcts.domain.codes import ProblemCode, Remark
from btcts.domain.market import Market
from btcts.render.documents import begin_document, dump_document
from btcts.render.sentences import describe_remarks


def health_json(market: Market, reasons: Sequence[Remark]) -> str:
    """Encode the reasons why a store is unhealthy; none where it is healthy."""
    return _encode(market, [*describe_remarks(reasons)], [reason.code for reason in reasons])


def away_json(market: Market, problem: str) -> str:
    """Encode that Redis does not answer."""
    return _encode(market, [problem], [ProblemCode.REDIS])


def _encode(market: Market, reasons: Sequence[str], codes: Sequence[str]) -> str:
    told = {"healthy": not reasons, "reasons": reasons, "reason_codes": codes}
    return dump_document(begin_document(market) | told)
