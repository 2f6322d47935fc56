"""All that a market has in one Redis: read as of one moment, and written into another one in one transaction.

Parts go by the name of their key behind the prefix, so that stores with different prefixes can be compared.
"""

import random
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, groupby
from typing import Any

from redis.exceptions import WatchError

from btcts.domain.layout import Compaction, Layout
from btcts.domain.model import is_price
from btcts.errors import StoreError
from btcts.store import carried, lease, rebuild
from btcts.store.carried import CARRIED_FIELD
from btcts.store.check import CompactionRule, Inspection, is_state_field
from btcts.store.link import FIELDS_AT_ONCE, Command, Link, now_of
from btcts.store.ranges import Samples, read_hash, read_samples

Part = Mapping[Any, Hashable]
"""The samples of a series by stamp, ascending, or the fields of a hash by name."""


@dataclass(frozen=True)
class Contents:
    """The eleven series without open buckets, ledger and state (without a lease) of a market at `now_ms`.

    `newest` has the last bucket of each compaction, open ones included; it is empty where those cannot be read. The
    names of keys in the state are behind the prefix, too.
    """

    now_ms: int = field(compare=False)
    layout: Layout = field(compare=False)
    series: Mapping[str, Samples]
    hashes: Mapping[str, Mapping[str, str]]
    newest: Mapping[str, Hashable] = field(compare=False)

    @property
    def parts(self) -> Mapping[str, Part]:
        """All of it by name, the ticks first."""
        return {**self.series, **self.hashes}

    @property
    def ticks(self) -> Samples:
        """The ticks by stamp."""
        return self.series[_name(self.layout, self.layout.tick)]

    @property
    def empty(self) -> bool:
        """True if there are neither ticks nor buckets, nor entries of the ledger."""
        return not any(self.series.values()) and not self.hashes[_name(self.layout, self.layout.gaps)]

    def count_unusable(self) -> int:
        """Count the samples that are no prices."""
        return sum(not is_price(value) for samples in self.series.values() for value in samples.values())

    def count_differences(self, other: "Contents") -> dict[str, int]:
        """Count by name the samples and fields that are not the same, or missing, in the other contents."""
        differing = {
            name: sum(part.get(key) != other.parts[name].get(key) for key in part.keys() | other.parts[name].keys())
            for name, part in self.parts.items()
        }
        for name in self.newest.keys() & other.newest.keys():
            differing[name] += self.newest[name] != other.newest[name]
        return differing

    def find_foreign_hashes(self) -> tuple[str, ...]:
        """Return the keys of the hashes of which not a single field is one of ours."""
        gaps, state = self.hashes.values()
        ours = {self.layout.gaps: [*map(str.isdecimal, gaps)], self.layout.state: [*map(is_state_field, state)]}
        return tuple(key for key, known in ours.items() if known and not any(known))


def read_contents(link: Link) -> Contents:
    """Read all of it in one round trip and one transaction; missing keys are empty parts."""
    layout = link.layout
    latest: list[Command] = [
        ("TS.GET", compaction.key, "LATEST") for compaction in layout.compactions if link.rules_look_back
    ]
    ranges: list[Command] = [("TS.RANGE", key, "-", "+") for key in layout.series]
    hashes: list[Command] = [("HGETALL", key) for key in (layout.gaps, layout.state)]
    time, gaps, state, *replies = link.ask_all([("TIME",), *hashes, *ranges, *latest], at_one_moment=True)
    fields = {name: text for name, text in read_hash(state).items() if name != lease.LEASE_FIELD}
    if CARRIED_FIELD in fields:
        fields[CARRIED_FIELD] = carried.remove_prefix(layout, fields[CARRIED_FIELD])
    return Contents(
        now_ms=link.clock.observe(now_of(time)),
        layout=layout,
        series={
            _name(layout, definition.key): _cut_to_retention(read_samples(reply), definition.retention_ms)
            for definition, reply in zip(layout.definitions, replies, strict=False)
        },
        hashes={_name(layout, layout.gaps): read_hash(gaps), _name(layout, layout.state): fields},
        newest={
            _name(layout, command[1]): tuple(reply) if isinstance(reply, list | tuple) else ()
            for command, reply in zip(latest, replies[len(ranges) :], strict=True)
        },
    )


def replace_contents(link: Link, contents: Contents, *, held: Contents, inspection: Inspection) -> None:
    """Put the contents in the place of what the store held; others see all of it at once, or what was before.

    Raises:
        StoreError: it does not hold that any more, or others were always faster; nothing was changed.
    """
    source = inspection.series[link.layout.tick]
    foreign_rules = source.find_foreign_rules(link.layout) if source else {}
    for _ in range(rebuild.ATTEMPTS):
        try:
            return link.retry(lambda: _run_attempt(link, contents, held, foreign_rules))
        except WatchError:  # TS.INFO, by which others look at the keys, counts as a change
            link.clock.sleep(random.uniform(0, rebuild.PAUSE_S))
    raise StoreError(f"others kept changing {link.layout.tick} at {link.where}; nothing was changed, try again")


def _run_attempt(link: Link, contents: Contents, held: Contents, foreign_rules: Mapping[str, CompactionRule]) -> None:
    layout = link.layout
    with link.client.pipeline() as pipe:
        pipe.watch(*layout.series, layout.gaps, layout.state)
        found = read_contents(link)
        if found == contents != held:
            return  # an earlier attempt has written it, and its reply was lost
        if found != held:
            raise StoreError(f"{link.where} was written to meanwhile; nothing was changed, end what writes there")
        rebuild.commit(link, pipe, _make_commands(layout, contents), foreign_rules)


def _make_commands(layout: Layout, contents: Contents) -> Iterator[Command]:
    """Yield the commands of the MULTI: the rules make the buckets, then these become those of the contents.

    The rules make buckets that the clock or a rebuild has removed, and not those whose ticks are gone. Until that is
    put right the retention is off, for an older bucket would be refused.
    """
    yield ("DEL", *layout.series, layout.gaps, layout.state)
    yield from rebuild.create_layout(layout, lifted=True)
    yield from rebuild.add_samples(layout.tick, contents.ticks)
    for compaction in layout.compactions:
        kept = contents.series[_name(layout, compaction.key)]
        yield from rebuild.add_samples(compaction.key, kept)
        for first_ms, last_ms in _find_surplus(compaction, contents.ticks, kept):
            yield ("TS.DEL", compaction.key, first_ms, last_ms)
        yield rebuild.set_retention(compaction.key, compaction.resolution.retention_ms)
    for key in (layout.gaps, layout.state):
        named = dict(contents.hashes[_name(layout, key)])
        if CARRIED_FIELD in named:
            named[CARRIED_FIELD] = carried.add_prefix(layout, named[CARRIED_FIELD])
        fields = list(named.items())
        for start in range(0, len(fields), FIELDS_AT_ONCE):
            yield ("HSET", key, *chain.from_iterable(fields[start : start + FIELDS_AT_ONCE]))


def _find_surplus(compaction: Compaction, ticks: Samples, kept: Samples) -> Iterator[tuple[int, int]]:
    """Yield the first and last start of each run of buckets that the rules make of the ticks and nobody kept."""
    made = {compaction.resolution.start_of(time_ms) for time_ms in ticks}
    made.discard(max(made, default=0))  # the open one
    for is_kept, run in groupby(sorted(made | kept.keys()), key=kept.__contains__):
        starts = list(run)
        if not is_kept:
            yield starts[0], starts[-1]


def _cut_to_retention(samples: Samples, retention_ms: int) -> Samples:
    """Return the samples (ascending) that the retention shows, also while a rebuild has lifted it."""
    oldest_ms = max(samples, default=0) - retention_ms
    return {time_ms: samples[time_ms] for time_ms in sorted(samples) if time_ms >= oldest_ms}


def _name(layout: Layout, key: str) -> str:
    return key.removeprefix(f"{layout.prefix}:")
