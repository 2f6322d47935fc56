"""Single and repeated cycles of a collector."""

import logging
from collections.abc import Callable, Iterator

from btcts.domain.clock import Clock, follow_beats
from btcts.domain.codes import ProblemCode
from btcts.errors import ForeignKey, NoTimeSeries, StoreError, describe_unforeseen
from btcts.services.collect.collector import Collector
from btcts.services.collect.cycle import Cycle

ONCE_S = 50.0
"""Time limit of a single run."""

log = logging.getLogger(__name__)


def once(collector: Collector, *, limit_s: float = ONCE_S) -> Cycle:
    """Run one cycle that waits for late candles, and ends within the limit."""
    return collector.cycle(patience_s=limit_s, limit_s=limit_s)


def forever(collector: Collector, *, interval_s: float, phase_s: float, stopped: Callable[[], bool]) -> Iterator[Cycle]:
    """Run cycles at the multiples of the interval since the epoch plus the phase, the first one at once, until stopped.

    Between them a collector with streams writes the price of each second. A Redis failure does not end the loop: the
    cycle reports it and the next one tries again. A server without TimeSeries and a foreign key end it, as they are
    permanent.
    """
    clock = collector.store.clock
    beats = follow_beats(clock, interval_s=interval_s, phase_s=phase_s, stopped=stopped, sleep=collector.pass_time)
    for _ in beats:
        yield _try_cycle(collector, clock)


def _try_cycle(collector: Collector, clock: Clock) -> Cycle:
    """Return the account of a cycle or of its failure; permanent failures propagate."""
    try:
        return collector.cycle()
    except (ForeignKey, NoTimeSeries):
        raise
    except StoreError as exc:
        return Cycle(clock.now_ms(), problem=str(exc), problem_codes=(ProblemCode.REDIS,))
    except Exception as exc:
        log.debug("a cycle failed", exc_info=exc)
        return Cycle(clock.now_ms(), problem=describe_unforeseen(exc), problem_codes=(ProblemCode.UNEXPECTED,))
