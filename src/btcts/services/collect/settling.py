"""Settling of minutes: the pending rounds of candle requests, and their results.

A round may outlast the cycle that started it. Until it is complete, only minutes with a majority are settled. A round
also checks minutes again that were settled recently, that rest on few providers, or that a returning provider missed.
"""

import time
from collections.abc import Iterable, Sequence, Set
from concurrent.futures import wait
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from btcts.domain import healing
from btcts.domain.candle_agreement import AgreedCandles
from btcts.domain.model import MINUTE_MS, Candle, Gap
from btcts.domain.revision import Revision
from btcts.errors import ProviderError
from btcts.providers.poller import Poller
from btcts.providers.rounds import (
    Ground,
    Question,
    ReadTicks,
    Round,
    RoundAnswers,
    Sparing,
    find_unproven,
    is_proven,
    judge,
)
from btcts.services.collect.cycle import Ended, Settleable
from btcts.services.collect.survey import Survey, revise
from btcts.system.calls import Wait

if TYPE_CHECKING:
    from btcts.providers.base import Provider

Snapshot = Sequence[tuple[Round, RoundAnswers]]
"""The pending rounds with their answers at one moment. A step judges one snapshot: answers may arrive at any time."""


class Settling:
    """The pending rounds of one collector; `salt` distinguishes collectors, `quorum` is that of prices.

    `wait` waits for answers. With `audits`, settled minutes are read again every ten minutes, even if none is due.
    """

    def __init__(self, poller: Poller, *, quorum: int, salt: int, wait: Wait = wait, audits: bool = False) -> None:
        self._poller = poller
        self._wait = wait
        self._audits = audits
        self._quorum = quorum
        self._salt = salt
        self._rounds: list[Round] = []
        self._failures: list[ProviderError] = []
        self._failing: dict[str, int] = {}
        self._returned: set[str] = set()
        self._held_up = False
        self._unanswered = False
        self._postponed = False
        self._routine: RoundAnswers | None = None
        self._incomplete: set[int] = set()
        self._audited_ms = self._asked_ms = 0

    def begin(self, survey: Survey, ready: Sequence["Provider"], awaited: Set[int] = frozenset()) -> None:
        """Ask for the minutes that are due, unless an earlier round for minutes is still pending.

        Nobody is asked for the `awaited` ones, which streams may settle yet. A round that only checks settled minutes
        does not block others. A complete round waits for Redis to accept its candles, until more can be asked.
        """
        self._recall_failing(survey)
        snapshot = self.listen()
        self._held_up = any(heard.question.minutes and not heard.complete for _, heard in snapshot)
        if self._held_up:
            return
        able = survey.find_able(ready)
        snapshot = [pair for pair in snapshot if self._is_needed(pair[1], able)]
        self._rounds = [round_ for round_, _ in snapshot]
        unasked = sorted(survey.unsettled - self._find_asked(snapshot) - awaited)
        probe = healing.choose_probe(unasked, survey.gaps) if self._unanswered else unasked
        self._postponed = len(probe) < len(unasked)
        minutes = healing.find_due(probe, survey.gaps, survey.now_ms, salt=self._salt, able=able)
        back = {name: self._failing[name] for name in self._returned & able.keys()}
        missed = [] if survey.guest else healing.find_missed(survey.gaps, survey.now_ms, back=back, able=able)
        due = [] if survey.guest else healing.find_looks(survey.gaps, survey.now_ms, able=able)
        waited = abs(survey.now_ms - self._asked_ms) >= MINUTE_MS
        if minutes or missed or (due and waited) or self._is_audit_due(survey):
            looks = {*missed, *due}
            sparing = None if looks or not minutes else self._find_sparing(survey, ready, minutes)
            looks.update(healing.find_rereads(survey.state.reread_ms, survey.now_ms))
            reread_ms = None if sparing or survey.guest else healing.find_reread_end(survey.now_ms)
            self._audited_ms = self._audited_ms if sparing else survey.now_ms
            question = Question(frozenset(minutes), frozenset(looks), reread_ms, frozenset(back))
            self._ask(survey, ready, question, sparing)
        self._returned = set()

    def follow_up(self, survey: Survey, ready: Sequence["Provider"], awaited: Set[int]) -> None:
        """Ask for the minutes that were left out while nobody had candles, once somebody has."""
        if self._postponed and any(heard.answers for _, heard in self.listen()):
            self._unanswered = False
            self.begin(survey, ready, awaited)

    def _recall_failing(self, survey: Survey) -> None:
        """Take in what other collectors know of the providers whose candles fail."""
        known = {provider.name for provider in self._poller.providers}
        failing = {**survey.state.candleless, **self._failing}
        self._failing = {name: since_ms for name, since_ms in failing.items() if name in known}

    def resume(self, survey: Survey, ready: Sequence["Provider"], answered: Sequence[str]) -> None:
        """Ask at once for the minutes missed by providers that failed before and have `answered` now."""
        able = survey.find_able(ready)
        back = [name for name in answered if name in able and not able[name].answers]
        minutes = healing.find_revived(survey.unsettled - self._find_asked(self.listen()), survey.gaps, back)
        since = {name: self._find_away_ms(survey, name) for name in back}
        looks = healing.find_missed(survey.gaps, survey.now_ms, back=since, able=able)
        if minutes or (looks and not survey.guest and not survey.away):
            self._ask(survey, ready, Question(frozenset(minutes), frozenset(looks), back=frozenset(back)))

    def recheck(self, survey: Survey, ready: Sequence["Provider"], agreeing: Iterable[str]) -> None:
        """Ask for sparse minutes when providers answered before, but agree on the price only now: one may have lied."""
        known = survey.state.members
        able = survey.find_able(ready)
        changed = [name for name in agreeing if name in able and able[name].answers and name not in known]
        looks = healing.find_sparse(survey.gaps) if changed else []
        if looks and not survey.guest and not survey.away:
            self._ask(survey, ready, Question(frozenset(), frozenset(looks)))

    def wait(self, seconds: float) -> None:
        """Wait until all rounds are complete, for `seconds` at most."""
        until = time.monotonic() + seconds
        for round_ in self._rounds:
            round_.wait(until - time.monotonic(), self._wait)

    def close(self) -> None:
        """Stop waiting for answers: only those received so far count."""
        for round_ in self._rounds:
            round_.close()

    def listen(self) -> Snapshot:
        """Return the pending rounds with their answers so far."""
        return [(round_, round_.listen()) for round_ in self._rounds]

    def find_settleable(self, snapshot: Snapshot, survey: Survey, read_ticks: ReadTicks) -> Settleable:
        """Return the agreed candles of minutes that are not settled yet."""
        found: dict[int, Candle] = {}
        entries: dict[int, Gap] = {}
        disputed: set[int] = set()
        for round_, heard in snapshot:
            agreed = self._judge(heard, survey, read_ticks, written=round_.settled)
            left = set(heard.question.minutes & survey.unsettled & agreed.candles.keys()) - round_.settled
            if heard.complete:
                disputed |= agreed.disputed
            else:  # a provider that was asked in time counts, although its candles may end later by now
                left = {
                    minute
                    for minute in left - disputed
                    if survey.reach.has_majority(agreed.backing[minute].near, minute, heard.question.asked_ms)
                }
            found |= {minute: agreed.candles[minute] for minute in left}
            entries = {minute: gap for minute, gap in entries.items() if minute not in left}
            entries |= find_unproven(left, agreed, survey.reach, survey.now_ms)
        return Settleable(tuple(found.values()), entries)

    def note_written(self, candles: Iterable[Candle]) -> None:
        """Note that these candles were stored."""
        written = {candle.start_ms for candle in candles}
        for round_ in self._rounds:
            round_.note_settled(written)

    def end(self, snapshot: Snapshot, survey: Survey, read_ticks: ReadTicks) -> Ended:
        """Remove the rounds that are complete in the snapshot and return their results."""
        ended = [(round_, heard) for round_, heard in snapshot if heard.complete]
        self._rounds = [round_ for round_, heard in snapshot if not heard.complete]
        gaps: dict[int, Gap] = {}
        revision = Revision()
        reread_ms: int | None = None
        completed = 0
        self._note_candles([heard for _, heard in ended], survey.now_ms)
        if any(heard.find_asked() for _, heard in ended):
            self._unanswered = not any(heard.answers for _, heard in ended)
        for round_, heard in ended:
            self._failures += round_.take_failures()
            agreed = self._judge(heard, survey, read_ticks, written=round_.settled)
            left = (heard.question.minutes & survey.unsettled) - round_.settled
            offered = bool(self._poller.able)
            gaps |= healing.find_unserved(left, heard.answers, agreed, now_ms=survey.now_ms, offered=offered)
            if heard.question.is_outdated(survey.now_ms):
                continue
            looked = revise(heard.question, agreed, survey, read_ticks)
            revision.absorb(looked)
            if heard.answers and heard.question.reread_ms is not None:
                reread_ms = min({heard.question.reread_ms} | looked.inconclusive)
                completed += self._note_routine(heard, looked)
            elif heard.question.sparing:
                self._incomplete |= round_.settled
        return Ended(healing.count_again(gaps, survey.gaps), revision, reread_ms, completed)

    def take_failures(self) -> list[ProviderError]:
        """Return the failures of providers in complete rounds, each failure once."""
        failures = [*self._failures, *(error for round_ in self._rounds for error in round_.take_failures())]
        self._failures = []
        return failures

    def abandon(self) -> None:
        """Discard all rounds and their answers."""
        self._rounds = []

    @property
    def failing(self) -> dict[str, int]:
        """The providers whose candles fail or that missed some, with the time since when."""
        return dict(self._failing)

    @property
    def has_more_to_ask(self) -> bool:
        """True when a provider has candles again, or when a round that others had to wait for is complete."""
        if self._returned or (self._postponed and not self._unanswered):
            return True
        return self._held_up and not any(round_.question.minutes for round_ in self._rounds)

    def _is_audit_due(self, survey: Survey) -> bool:
        """Tell whether the minutes that streams have settled are to be compared with the providers' candles."""
        due = healing.is_audit_due(survey.state.reread_ms, self._audited_ms, survey.now_ms)
        return self._audits and not survey.guest and due

    def _find_asked(self, snapshot: Snapshot) -> set[int]:
        """Return the minutes that are requested, or whose candles wait to be written."""
        asked: set[int] = set()
        for _, heard in snapshot:
            minutes = heard.question.minutes
            asked |= minutes & heard.agree(quorum=self._quorum).candles.keys() if heard.complete else minutes
        return asked

    def _ask(
        self, survey: Survey, ready: Sequence["Provider"], question: Question, sparing: Sparing | None = None
    ) -> None:
        self._asked_ms = survey.now_ms
        settled = frozenset() if survey.guest else question.looks - survey.unsettled
        question = replace(question, looks=settled, asked_ms=survey.now_ms, sparing=sparing is not None)
        spans = healing.group_into_spans(sorted(question.minutes | settled))
        spared = sparing.providers if sparing else ()
        able = [provider for provider in ready if provider.reach_ms and provider not in spared]
        self._rounds.append(self._poller.ask_candles(able, question, spans, sparing))

    def _find_sparing(self, survey: Survey, ready: Sequence["Provider"], minutes: Iterable[int]) -> Sparing | None:
        """Return a way to ask nobody with bulky answers for new minutes; None when all have to be asked."""
        last = self._routine
        if last is None or survey.guest:
            return None
        if not healing.can_spare(minutes, survey.gaps, last.question.asked_ms, survey.now_ms):
            return None
        heard = last.find_covering()
        spared = [provider for provider in ready if provider.bulky and provider.name in heard]
        if not spared or not all(survey.is_answering(provider.name) for provider in spared):
            return None
        recent = [answer for answer in last.answers if answer.provider in {provider.name for provider in spared}]
        return Sparing(spared, recent, partial(is_proven, reach=survey.reach, quorum=self._quorum))

    def _is_needed(self, heard: RoundAnswers, able: healing.Ables) -> bool:
        """Tell whether a round is pending, or has candles that wait to be written and nobody else can be asked."""
        if not heard.complete:
            return True
        return able.keys() <= heard.find_asked() and bool(heard.agree(quorum=self._quorum).candles)

    def _judge(
        self, heard: RoundAnswers, survey: Survey, read_ticks: ReadTicks, *, written: frozenset[int]
    ) -> AgreedCandles:
        """Return the agreement of the answers; `written` are the minutes of the question that are settled by now."""
        agreed = heard.agree(quorum=self._quorum)
        if heard.complete:
            ground = Ground(survey.reach, survey.now_ms, heard.question.looks | written, read_ticks)
            agreed = judge(heard, ground, quorum=self._quorum)
        contested = healing.find_contested(agreed, survey.gaps, survey.reach, survey.now_ms, complete=heard.complete)
        return agreed.reject(contested)

    def _note_routine(self, heard: RoundAnswers, looked: Revision) -> int:
        """Note that all providers were asked for the latest minutes; return how many change for that reason alone."""
        completed = self._incomplete & looked.candles.keys()
        self._routine = heard
        self._incomplete -= heard.question.looks
        return len(completed)

    def _find_away_ms(self, survey: Survey, provider: str) -> int | None:
        """Return the time since when a provider has not answered for prices or candles."""
        times = (survey.find_answered_ms(provider), self._failing.get(provider))
        return min((time_ms for time_ms in times if time_ms is not None), default=None)

    def _note_candles(self, ended: Sequence[RoundAnswers], now_ms: int) -> None:
        """Note the providers whose candles fail, those that have them again, and those that have caught up."""
        failed: set[str] = set()
        made_up: set[str] = set()
        for heard in ended:
            failing = heard.find_failing()
            failed |= failing
            self._failing = dict.fromkeys(sorted(failing), now_ms) | self._failing
            answered = heard.find_covering() - failing
            self._returned |= answered & self._failing.keys()
            if not heard.question.is_outdated(now_ms):
                made_up |= answered & heard.question.back
        self._failing = {name: since_ms for name, since_ms in self._failing.items() if name not in made_up - failed}
        self._returned &= self._failing.keys()
