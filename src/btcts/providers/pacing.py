"""Decide which providers may be asked now, and how an answer affects the next call (pure)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from btcts.domain.layout import FUTURE_SLACK_MS
from btcts.domain.model import HOUR_MS, ProviderState, Reading
from btcts.errors import ProviderError, ProviderLimited, ProviderStopped

if TYPE_CHECKING:
    from btcts.providers.base import Provider

BUDGET = "budget"
"""Reason for a wait: the provider answered, and the next call is delayed to save credits."""

STOPPED_FOR_MS = 24 * HOUR_MS
"""The wait after an error that only the user can fix; a new API key ends it at once."""

LONGEST_WAIT_MS = 32 * 24 * HOUR_MS
"""Longest wait, whatever a provider says."""

ASKED_AGAIN_MS = 24 * HOUR_MS
"""A waiting provider is asked again after this long: the reason may be gone, and CoinMarketCap reports the credits left
for free."""


def split(
    providers: Sequence["Provider"], states: Mapping[str, ProviderState], now_ms: int
) -> tuple[list["Provider"], tuple[tuple[str, int, str], ...]]:
    """Return the providers that may be asked, and name, end of the wait (ms) and reason for the others."""
    ready = []
    waiting = []
    for provider in providers:
        state = states.get(provider.name, ProviderState())
        if _is_waiting(state, now_ms) and state.key == provider.key_id:
            waiting.append((provider.name, state.not_before_ms, state.why))
        else:
            ready.append(provider)
    return ready, tuple(waiting)


def _is_waiting(state: ProviderState, now_ms: int) -> bool:
    """Tell whether the provider must not be asked yet."""
    if state.said_ms > now_ms + FUTURE_SLACK_MS:  # the clock was set back since
        return False
    recent = not state.said_ms or now_ms < state.said_ms + ASKED_AGAIN_MS
    return recent and now_ms < state.not_before_ms <= now_ms + LONGEST_WAIT_MS


def note_answer(reading: Reading, key_id: str, now_ms: int) -> ProviderState:
    """Return the state of a provider that has answered."""
    budget = reading.not_before_ms is not None
    return ProviderState(
        not_before_ms=min(reading.not_before_ms or 0, now_ms + LONGEST_WAIT_MS),
        why=BUDGET if budget else "",
        answered_ms=now_ms,
        credits_left=reading.credits_left,
        key=key_id,
        said_ms=now_ms,
    )


def note_failure(error: ProviderError, before: ProviderState, key_id: str, now_ms: int) -> ProviderState:
    """Return the state of a provider that has failed; a plain failure is retried in the next cycle."""
    until_ms = 0
    if isinstance(error, ProviderLimited):
        until_ms = min(error.until_ms, now_ms + LONGEST_WAIT_MS)
    elif isinstance(error, ProviderStopped):
        until_ms = now_ms + STOPPED_FOR_MS
    return ProviderState(
        not_before_ms=until_ms,
        why=error.problem if until_ms else "",
        answered_ms=before.answered_ms,
        error=error.problem,
        credits_left=before.credits_left,
        key=key_id,
        said_ms=now_ms,
        cause=getattr(error.problem, "cause", ""),
        reason=getattr(error.problem, "why", ""),
    )


def learn_states(
    known: Mapping[str, ProviderState],
    readings: Iterable[Reading],
    errors: Iterable[ProviderError],
    keys: Mapping[str, str],
    now_ms: int,
) -> dict[str, ProviderState]:
    """Return the states of the providers that answered or failed, by name; `keys` has the ids of their API keys."""
    heard = {reading.provider: note_answer(reading, keys[reading.provider], now_ms) for reading in readings}
    for error in errors:
        before = heard.get(error.provider) or known.get(error.provider, ProviderState())
        heard[error.provider] = note_failure(error, before, keys[error.provider], now_ms)
    return heard
