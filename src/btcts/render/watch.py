"""Alerts as one line for people, one JSON object for programs, and variables for the command that they run.

Notices about the watch itself are lines alone.
"""

import json
from typing import Any

from btcts.domain.layout import Market
from btcts.domain.model import MINUTE_MS
from btcts.render.documents import begin_document, dump_document
from btcts.render.figures import decimals, duration, iso, percent, price, stamp
from btcts.services.watch.outbox import Notice
from btcts.services.watch.rules import STALE, Alert

VARIABLE_PREFIX = "BTCTS_ALERT_"

_UNDELIVERED = "the alert {rule!r} was not delivered by {way} ({problem}); "

NOTICES = {
    "away": "{problem}; what happens meanwhile is found later",
    "back": "Redis at {where} answers again",
    "failed": "the price could not be read: {problem}",
    "stale": "the newest price is {age_s:.0f} s old; no rule can fire",
    "unpriced": "no price can be read; no rule can fire",
    "fresh": "there are fresh prices again",
    "damaged": "the saved state of {rule!r} is damaged; the rule starts over",
    "unrecordable": "{problem}; until then a restart may deliver alerts again",
    "retried": _UNDELIVERED + "it will be tried again",
    "refused": _UNDELIVERED + "it will not be tried again: {advice}",
    "expired": _UNDELIVERED + "it is too old to be tried again",
}
"""The words of a notice, by its code."""


def notice_line(notice: Notice) -> str:
    """Describe the notice on one line."""
    return NOTICES[notice.code].format_map(notice.values)


def alert_line(alert: Alert, market: Market, *, utc: bool) -> str:
    """Describe the alert with its time in front."""
    return f"{stamp(alert.time_ms, utc=utc)}  {alert_message(alert, market)}"


def alert_message(alert: Alert, market: Market) -> str:
    """Describe the alert in one sentence that makes sense without its time; simulated prices are marked."""
    simulated = "simulated " if alert.simulated else ""
    return f"{simulated}{market.name} {_describe_event(alert, market)}{_describe_time(alert)}"


def alert_json(alert: Alert, market: Market) -> str:
    """Encode the alert as one object on one line, as `docs/schemas/watch.json` says."""
    return dump_document(_encode_alert(alert, market))


def alert_body(alert: Alert, market: Market, text_field: str | None) -> str:
    """Return the body to post: the document, or only the message in `text_field` for services that expect that."""
    if text_field is None:
        return alert_json(alert, market)
    return json.dumps({text_field: alert_message(alert, market)})


def list_alert_variables(alert: Alert, market: Market) -> dict[str, str]:
    """Return the fields of the JSON object as environment variables, such as `BTCTS_ALERT_PRICE`; null is empty."""
    fields = _encode_alert(alert, market)
    return {f"{VARIABLE_PREFIX}{name.upper()}": _format_value(value) for name, value in fields.items()}


def _encode_alert(alert: Alert, market: Market) -> dict[str, Any]:
    return begin_document(market) | {
        "simulated": alert.simulated,
        "id": alert.id,
        "rule": alert.rule,
        "kind": alert.kind,
        "message": alert_message(alert, market),
        "time_ms": alert.time_ms,
        "time": iso(alert.time_ms),
        "found_ms": alert.found_ms,
        "price": alert.price,
        "reference": alert.reference,
        "reference_ms": alert.reference_ms,
        "span_s": alert.span_ms and alert.span_ms // 1000,
        "change": alert.change,
        "already": alert.already,
        "after_ms": alert.after_ms,
    }


def _describe_event(alert: Alert, market: Market) -> str:
    if alert.kind == STALE:
        return _describe_stale(alert, market)
    now = _format_price(alert.price, market)
    if alert.kind == "fresh":
        return f"has fresh prices again: {now}"
    if alert.span_ms:
        verb = "rose" if alert.kind == "rise" else "fell"
        moved = percent(abs(alert.change or 0)).lstrip("+")
        then = _format_price(alert.reference, market)
        return f"{verb} {moved} within {duration(alert.span_ms / 1000)}, from {then} to {now}"
    limit = f"at or {alert.kind} {_format_price(alert.reference, market)}"
    if alert.already:
        return f"is at {now}, already {limit}"
    return f"{'rose' if alert.kind == 'above' else 'fell'} to {now}, {limit}"


def _describe_stale(alert: Alert, market: Market) -> str:
    if alert.reference_ms is None:
        return "has no price that can be read"
    age = duration((alert.found_ms - alert.reference_ms) / 1000)
    return f"has no fresh price: the last, {_format_price(alert.reference, market)}, is {age} old"


def _describe_time(alert: Alert) -> str:
    """Tell that the price was one between two looks, and how late it was found, from a minute on.

    A stale alert states its age already.
    """
    late_ms = alert.found_ms - alert.time_ms
    parts = []
    if alert.after_ms is not None:
        parts.append(f"between two prices, {duration((alert.time_ms - alert.after_ms) / 1000)} apart")
    if late_ms >= MINUTE_MS and alert.kind != STALE:
        parts.append(f"found {duration(late_ms / 1000)} later")
    return f" ({'; '.join(parts)})" if parts else ""


def _format_price(value: float | None, market: Market) -> str:
    return "" if value is None else price(value, decimals(value, market))


def _format_value(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
