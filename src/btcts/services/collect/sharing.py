"""The state that a cycle shares with the other collectors of its store, and with readers."""

from collections.abc import Sequence
from dataclasses import replace

from btcts.domain.agreement import Past, Verdict
from btcts.domain.model import Reading, Tick
from btcts.services.collect.cycle import Asked, Progress
from btcts.services.collect.survey import Survey
from btcts.store import State

SHORTEST_CADENCE_S, LONGEST_CADENCE_S = 60.0, 900.0
"""Limits of the cadence estimated from the time between single runs."""


def build_tick(verdict: Verdict) -> Tick | None:
    """Return the agreed price as it is stored; None without one."""
    return Tick(verdict.agreed.time_ms, verdict.agreed.price) if verdict.agreed else None


def build_past(state: State) -> Past:
    """Return the history for agreement; candles are left out, as a single lying provider may have made them."""
    return Past(state.accepted, state.anchor, state.pending, state.lean)


def build_state(survey: Survey, asked: Asked, verdict: Verdict, progress: Progress, cadence_s: float | None) -> State:
    """Return the shared state after a cycle; a `cadence_s` of None is estimated by the time since the last cycle."""
    agreed, readings = verdict.agreed, asked.prices.readings
    state = replace(
        survey.state,
        cadence_s=cadence_s or _estimate_cadence(survey),
        spacing_s=_find_spacing_s(readings, survey.now_ms),
        last_cycle_ms=survey.now_ms,
        problem=None if progress.stored else "; ".join(progress.problems) or None,
        pending=verdict.past.pending,
        accepted=build_tick(verdict) or survey.state.accepted,
        ahead_ms=asked.ahead_ms,
        reread_ms=progress.reread_ms,
    )
    if not survey.guest:
        state = replace(state, anchor=verdict.past.anchor, lean=verdict.past.lean)
    if not readings and not asked.prices.errors:  # nobody was due, and the last agreement stands
        return state
    return replace(
        state,
        members=agreed.members if agreed else (),
        flag=agreed.flag if agreed else None,
        deviating=dict(agreed.deviating) if agreed else {},
    )


def _estimate_cadence(survey: Survey) -> float:
    """Estimate the interval of single runs by the time since the last one.

    At least a minute, the resolution of cron; more than a quarter of an hour counts as an outage.
    """
    last_ms = survey.state.last_cycle_ms
    since_s = 0 if last_ms is None else round((survey.now_ms - last_ms) / 1000)
    if since_s > LONGEST_CADENCE_S:
        return survey.state.cadence_s or SHORTEST_CADENCE_S
    return max(since_s, SHORTEST_CADENCE_S)


def _find_spacing_s(readings: Sequence[Reading], now_ms: int) -> float | None:
    """Return the time until the next price that budgets allow: the shortest wait of the providers that answered."""
    waits_ms = [(reading.not_before_ms or now_ms) - now_ms for reading in readings]
    return min(max(0.0, min(waits_ms) / 1000), LONGEST_CADENCE_S) if waits_ms else None
