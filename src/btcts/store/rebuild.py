"""The second of the two write paths: rewrite everything from the ticks, in one MULTI.

Creating the layout is a rebuild without ticks, a merge is a rebuild with more of them. Other clients see the
state before or the state after, never one between; a crash in the middle leaves the state before, at worst with
retention lifted, which the next check puts back.
"""

import random
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from typing import Any, NamedTuple

from redis.client import Pipeline
from redis.exceptions import ResponseError, WatchError

from btcts.domain.layout import DUPLICATE_POLICY, FUTURE_SLACK_MS, IGNORE, Definition, Layout
from btcts.domain.model import NO_TRADES, Candle, Tick
from btcts.domain.untrusted import Unreadable
from btcts.errors import BtctsError, StoreError
from btcts.store import carried, lease, replies
from btcts.store.carried import CARRIED_FIELD
from btcts.store.check import CompactionRule, parse_series
from btcts.store.expire import record_sweep
from btcts.store.explain import explain
from btcts.store.gaps import parse_gaps
from btcts.store.link import Command, Link, is_missing, now_of
from btcts.store.plan import Found, RebuildPlan, Samples, plan
from btcts.store.state import EXACT_FIELD

ATTEMPTS = 30
"""Attempts before a rebuild gives up because other writers were faster, which its lease makes rare."""

PAUSE_S = 0.05
"""The longest pause before it starts again."""

READ_AT_ONCE = 20_000
"""Samples in one answer, so that reading holds nobody up."""

SLICE = 1000
"""Ticks in one TS.MADD."""


class Rebuilt(NamedTuple):
    """The result of a rebuild: `ticks` in the series now, and `stored` before."""

    now_ms: int
    ticks: int
    stored: int


def rebuild(
    link: Link, live: Sequence[Tick] = (), candles: Sequence[Candle] = (), dropped: Collection[int] = ()
) -> Rebuilt:
    """Recreate all series with the stored ticks and these, and let Redis derive every compaction again.

    Ticks before the window or more than 10 s ahead are left out; no stored price of the window is lost but those at
    the `dropped` stamps, and where there are very many ticks those that no bucket needs.

    Raises:
        StoreError: other writers were faster `ATTEMPTS` times in a row and nothing was changed, a candle's minute is
            not over yet, or Redis refused a command.
    """
    with lease.register_holder() as holder, _put_back_on_failure(link):
        for _ in range(ATTEMPTS):
            lease.take(link, holder)
            try:
                return link.retry(lambda: _run_attempt(link, live, candles, dropped))
            except WatchError:
                link.clock.sleep(random.uniform(0, PAUSE_S))
        raise StoreError(f"other writers kept changing {link.layout.tick} during {ATTEMPTS} attempts; try again")


@contextmanager
def _put_back_on_failure(link: Link) -> Iterator[None]:
    """Restore the retention and drop the lease when a rebuild fails; one that succeeds does both itself."""
    try:
        yield
    except BaseException:
        with suppress(BtctsError):  # out of reach now: the check of the next cycle puts it back
            altered = [set_retention(definition.key, definition.retention_ms) for definition in link.layout.definitions]
            link.ask_all([*altered, ("HDEL", link.layout.state, lease.LEASE_FIELD)])
        raise


def _run_attempt(link: Link, live: Sequence[Tick], candles: Sequence[Candle], dropped: Collection[int]) -> Rebuilt:
    with link.client.pipeline() as pipe:
        foreign_rules = _lift_retention(link)
        pipe.watch(*link.layout.series)
        found = _find(link, pipe)
        planned = plan(link.layout, found, live, candles, dropped)
        commit(link, pipe, _make_commands(link.layout, planned, found.now_ms), foreign_rules)
    return Rebuilt(found.now_ms, len(planned.ticks), len(found.ticks))


def commit(
    link: Link, pipe: Pipeline, commands: Iterable[Command], foreign_rules: Mapping[str, CompactionRule]
) -> None:
    """Run the commands in the MULTI of a pipeline that watches; restore the rules into foreign keys after them.

    Nothing is written into those keys, and an error there does not count.

    Raises:
        StoreError: Redis refused a command; the others were run.
    """
    listed = list(commands)
    pipe.multi()
    for command in (*listed, *(_create_rule(link.layout.tick, key, rule) for key, rule in foreign_rules.items())):
        pipe.execute_command(*command)
    for reply in pipe.execute(raise_on_error=False)[: len(listed)]:
        for item in reply if isinstance(reply, list) else [reply]:
            if isinstance(item, ResponseError):
                raise explain(item, link.where) from item


def _lift_retention(link: Link) -> Mapping[str, CompactionRule]:
    """Show what retention hides behind a sample from the future, or it is lost; return the rules into foreign keys.

    Part of each attempt, for another rebuild that fails puts the retention back. All of it comes before WATCH: Redis
    counts TS.INFO, too, as a change of the key.
    """
    info, *_ = link.ask_all([("TS.INFO", link.layout.tick), *(set_retention(key, 0) for key in link.layout.series)])
    source = parse_series(info)
    return source.find_foreign_rules(link.layout) if source else {}


def _find(link: Link, pipe: Pipeline) -> Found:
    now_ms = link.clock.observe(now_of(_ask(pipe, "TIME")))
    ticks = _read_samples(pipe, link.layout.tick, now_ms + FUTURE_SLACK_MS)
    text = _ask(pipe, "HGET", link.layout.state, CARRIED_FIELD)
    if text is None and ticks:
        return Found(now_ms, ticks, {}, {})
    closed = {compaction.key: _read_samples(pipe, compaction.key, now_ms) for compaction in link.layout.compactions}
    ledger = parse_gaps(_ask(pipe, "HGETALL", link.layout.gaps), link.real_now_ms)
    quiet = frozenset(minute for minute, gap in ledger.items() if gap.reason == NO_TRADES)
    try:
        starts = carried.parse(link.layout, text)
    except Unreadable:
        starts = carried.find_without_ticks(link.layout, closed, ticks)
    return Found(now_ms, ticks, closed, starts, quiet)


def _ask(pipe: Pipeline, *command: Any) -> Any:
    """Return the reply to one command of a pipeline that watches."""
    return replies.check(command, pipe.execute_command(*command))


def _read_samples(pipe: Pipeline, key: str, until_ms: int) -> Samples:
    samples: dict[int, float] = {}
    try:
        while more := _ask(pipe, "TS.RANGE", key, max(samples, default=0), until_ms, "COUNT", READ_AT_ONCE):
            samples.update(more)
            if len(more) < READ_AT_ONCE:
                break
    except ResponseError as exc:
        if not is_missing(exc):
            raise
    return samples


def has_carried(link: Link) -> bool:
    """Tell whether there are carried buckets."""
    return bool(link.ask("HEXISTS", link.layout.state, CARRIED_FIELD))


def _make_commands(layout: Layout, planned: RebuildPlan, now_ms: int) -> Iterator[Command]:
    """Yield the commands of the MULTI.

    While carried buckets are written the retention of the compactions is off: a tick slightly ahead of the clock may
    have closed the open bucket, and the oldest of the carried ones would be refused.
    """
    carrying = any(planned.carried.values())
    yield ("DEL", *layout.series)
    yield from create_layout(layout, lifted=carrying)
    yield from add_samples(layout.tick, planned.ticks)
    for key, samples in planned.carried.items():
        yield from add_samples(key, samples)
    yield record_sweep(layout, now_ms)
    for compaction in layout.compactions:
        yield ("TS.DEL", compaction.key, 0, compaction.resolution.closed(now_ms).start_ms - 1)
        if carrying:
            yield set_retention(compaction.key, compaction.resolution.retention_ms)
    yield ("HDEL", layout.state, lease.LEASE_FIELD, EXACT_FIELD)
    yield carried.record(layout, planned.carried)


def create_layout(layout: Layout, *, lifted: bool) -> Iterator[Command]:
    """Yield the commands that create series and rules; the compactions keep everything while retention is `lifted`."""
    for definition in layout.definitions:
        options = _list_options(definition, 0 if lifted and definition.key != layout.tick else definition.retention_ms)
        yield ("TS.CREATE", definition.key, "ENCODING", definition.encoding.upper(), *options)
    for compaction in layout.compactions:
        yield _create_rule(layout.tick, compaction.key, (compaction.resolution.bucket_ms, compaction.aggregator, 0))


def _list_options(definition: Definition, retention_ms: int) -> Command:
    """Return the options that a series can still be given when it exists."""
    return (
        *("RETENTION", retention_ms, "CHUNK_SIZE", definition.chunk_size, "DUPLICATE_POLICY", DUPLICATE_POLICY),
        *("IGNORE", *IGNORE, "LABELS", *chain.from_iterable(definition.labels.items())),
    )


def correct(link: Link, key: str) -> None:
    """Alter a series in place to what the layout wants."""
    wanted = next(definition for definition in link.layout.definitions if definition.key == key)
    link.ask("TS.ALTER", key, *_list_options(wanted, wanted.retention_ms))


def set_retention(key: str, retention_ms: int) -> Command:
    """Return the command that sets the retention of a series."""
    return ("TS.ALTER", key, "RETENTION", retention_ms)


def _create_rule(source: str, key: str, rule: CompactionRule) -> Command:
    bucket_ms, aggregator, align_ms = rule
    return ("TS.CREATERULE", source, key, "AGGREGATION", aggregator, bucket_ms, align_ms)


def add_samples(key: str, samples: Samples) -> Iterator[Command]:
    """Yield the commands that add the samples (ascending), `SLICE` at a time."""
    arguments = [part for time_ms, price in samples.items() for part in (key, time_ms, price)]
    for start in range(0, len(arguments), 3 * SLICE):
        yield ("TS.MADD", *arguments[start : start + 3 * SLICE])
