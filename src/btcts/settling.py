"""Minutes on their way to being settled: the rounds of candle requests under way, and what comes of them.

A round may outlast the cycle that began it. One that ends well also brings the candles of minutes that were settled
a little earlier, for an exchange may have corrected them since.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from btcts import healing
from btcts.cycle import Survey
from btcts.errors import ProviderError
from btcts.model import Candle, Gap
from btcts.polling import Poller, Round

if TYPE_CHECKING:
    from btcts.providers.base import Provider


@dataclass(frozen=True, slots=True)
class Ended:
    """What rounds leave behind that have come to their end.

    `gaps` are the minutes that stay unsettled, `settled` those that were settled, `reread` the candles of minutes that
    were looked at once more, up to `reread_ms` (None: none were).
    """

    gaps: Mapping[int, Gap]
    settled: frozenset[int]
    reread: tuple[Candle, ...]
    reread_ms: int | None


class Settling:
    """The rounds that one collector has under way; `salt` tells it from others, `quorum` as for prices."""

    def __init__(self, poller: Poller, *, quorum: int, salt: int) -> None:
        self._poller = poller
        self._quorum = quorum
        self._salt = salt
        self._rounds: list[Round] = []
        self._failures: list[ProviderError] = []

    def begin(self, survey: Survey, ready: Sequence["Provider"]) -> None:
        """Ask for the minutes that are due, unless an earlier round is still under way.

        One that is complete waits for Redis to take its candles; they are not asked for again.
        """
        if not all(each.complete for each in self._rounds):
            return
        self._rounds = [each for each in self._rounds if each.agreed(self._quorum).candles]
        able = {each.name: survey.answers(each.name) for each in ready if each.reach_ms}
        unasked = survey.unsettled - self._asked
        minutes = healing.due(unasked, survey.gaps, survey.now_ms, salt=self._salt, able=able)
        if minutes:
            if len(able) < sum(each.reach_ms > 0 for each in self._poller.providers):
                self._ask(ready, minutes)  # alone, those that may be asked could come to other candles than all did
                return
            self._ask(ready, minutes, healing.rereads(survey.unsettled, survey.state.reread_ms, survey.now_ms))
            self._rounds[-1].reread_ms = healing.reread_until(survey.now_ms)

    def resume(self, survey: Survey, ready: Sequence["Provider"], answered: Sequence[str]) -> None:
        """Ask again at once for what providers could not be asked for that failed before and have `answered` now."""
        able = {each.name for each in ready if each.reach_ms}
        back = {name for name in answered if name in able and not survey.answers(name)}
        if minutes := healing.revived(survey.unsettled - self._asked, survey.gaps, back):
            self._ask(ready, minutes)

    def wait(self, seconds: float) -> None:
        """Wait until all rounds are complete, at most so long."""
        until = time.monotonic() + seconds
        for each in self._rounds:
            each.wait(until - time.monotonic())

    def candles(self, survey: Survey) -> list[Candle]:
        """The agreed candles of minutes that are not settled yet."""
        found: dict[int, Candle] = {}
        for each in self._rounds:
            usable = each.usable  # before what is agreed: an answer may come in between
            agreed = each.agreed(self._quorum).candles
            minutes = (usable & survey.unsettled & agreed.keys()) - each.settled
            found |= {minute: agreed[minute] for minute in minutes}
        return list(found.values())

    def written(self, candles: Sequence[Candle]) -> None:
        """Take note that these were stored."""
        for each in self._rounds:
            each.settled |= each.minutes & {candle.start_ms for candle in candles}

    def end(self, survey: Survey) -> Ended:
        """Take leave of the rounds that are complete."""
        ended = [each for each in self._rounds if each.complete]
        self._failures += [error for each in ended for error in each.failures()]
        self._rounds = [each for each in self._rounds if each not in ended]
        gaps: dict[int, Gap] = {}
        for each in ended:
            gaps |= self._gaps(each, survey)
        clean = [each for each in ended if each.answers and not each.errors]
        candles = [each.agreed(self._quorum).candles for each in clean]
        return Ended(
            gaps=healing.again(gaps, survey.gaps),
            settled=frozenset(minute for each in ended for minute in each.settled),
            reread=tuple(
                found[minute]
                for each, found in zip(clean, candles, strict=True)
                for minute in sorted(each.reread & found.keys())
            ),
            reread_ms=max((each.reread_ms for each in clean if each.reread_ms), default=None),
        )

    def failures(self) -> list[ProviderError]:
        """Why providers failed in rounds that are complete; each failure is told once."""
        new = [*self._failures, *(error for each in self._rounds for error in each.failures())]
        self._failures = []
        return new

    def abandon(self) -> None:
        """Believe none of the answers."""
        self._rounds = []

    @property
    def _asked(self) -> set[int]:
        """The minutes that are asked for, or whose candles wait to be written."""
        return {
            minute
            for each in self._rounds
            for minute in (each.agreed(self._quorum).candles if each.complete else each.minutes)
        }

    def _ask(self, ready: Sequence["Provider"], minutes: Sequence[int], reread: Sequence[int] = ()) -> None:
        able = [each for each in ready if each.reach_ms]
        spans = healing.spans_to_ask(sorted({*minutes, *reread}))
        begun = self._poller.candles(able, minutes, spans)
        begun.reread = frozenset(reread)
        self._rounds.append(begun)

    def _gaps(self, ended: Round, survey: Survey) -> dict[int, Gap]:
        left = (ended.minutes & survey.unsettled) - ended.settled
        offered = any(each.reach_ms for each in self._poller.providers)
        agreed = ended.agreed(self._quorum)
        return healing.unserved(left, ended.answers, agreed, now_ms=survey.now_ms, offered=offered)
