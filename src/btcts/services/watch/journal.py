"""The memory of a watch: the standing of each rule and its undelivered alerts, in memory and on disk.

One small file per rule and store, replaced as a whole, with a lock beside it: two watches of the same rule would both
deliver the same alerts.
"""

import json
import os
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from errno import EFBIG
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from btcts.domain.model import DAY_MS, MINUTE_MS, Bounds
from btcts.domain.untrusted import (
    Reader,
    Unreadable,
    excerpt,
    parse_json,
    read_choice,
    read_fields,
    read_flag,
    read_int,
    read_list,
    read_map,
    read_names,
    read_optional,
    read_price,
    read_text,
)
from btcts.errors import ConfigError, SpoolError
from btcts.services.watch.rules import KINDS, Alert, Standing
from btcts.system import durable
from btcts.system.causes import describe

LARGEST = 8 << 20
"""Most bytes of a file; a larger one is not ours."""

MOST_WAITING = 10_000

VERSION = 1
"""Version of the files; one of another version counts as damaged."""

RECORDED_MS = MINUTE_MS
"""Lag allowed for the record of judged ticks; after a crash this much is judged again, with the same result."""


@dataclass(frozen=True, slots=True)
class Unsent:
    """An alert, and the ways by which it is still to be delivered."""

    alert: Alert
    ways: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """The state of a rule; `held` has, by way of delivery, the time (ms) until which the receiver asked to wait."""

    standing: Standing = field(default_factory=Standing)
    waiting: tuple[Unsent, ...] = ()
    held: Mapping[str, int] = field(default_factory=dict)

    def is_recorded_by(self, recorded: "Kept", lag_ms: int) -> bool:
        """Tell whether that record of the state is recent enough."""
        now, then = self.standing, recorded.standing
        if (self.waiting, self.held) != (recorded.waiting, recorded.held) or now.armed != then.armed:
            return False
        if now.since_ms is None or then.since_ms is None:
            return now.since_ms == then.since_ms
        return abs(now.since_ms - then.since_ms) <= lag_ms


class Journal:
    """The states of `rules`, in memory and as files in `folder`.

    `where` is the address of the store, without secrets. Every change is in memory until `record` is called.
    """

    def __init__(self, folder: Path, where: str, rules: Sequence[str]) -> None:
        self._folder = folder
        self._where = where
        self._rules = rules
        self._known: dict[str, Kept] = {}
        self._recorded: dict[str, Kept] = {}

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the locks of the rules, which the system releases when the process ends.

        Raises:
            ConfigError: another process watches one of them.
            SpoolError: the folder or a lock cannot be made.
        """
        with ExitStack() as stack:
            for rule in self._rules:
                with self._translate_errors():
                    durable.make(self._folder)
                    descriptor = durable.lock(self._build_path(rule, "lock"))
                if descriptor is None:
                    raise ConfigError(
                        f"another btcts watch looks after {rule!r} at {self._where}; end it, or leave the rule to it"
                    )
                stack.callback(os.close, descriptor)
            yield

    def recall(self, ways: Collection[str]) -> list[str]:
        """Read the states of the rules, leave out ways of delivery but these, and return the rules with a damaged file.

        A rule without a file, or with a damaged one, is armed and has nothing to deliver.

        Raises:
            SpoolError: a file exists but cannot be read.
        """
        damaged = []
        for rule in self._rules:
            kept = self._read(rule)
            if kept is None:
                damaged.append(rule)
            self._recorded[rule] = kept = kept or Kept()
            self._known[rule] = replace(kept, waiting=_keep_ways(kept.waiting, lambda _, way: way in ways))
        return damaged

    def find(self, rule: str) -> Kept:
        """Return the state of the rule as it is now."""
        return self._known.get(rule, Kept())

    def list_waiting(self) -> list[tuple[str, Unsent]]:
        """Return the rules and their alerts that wait for delivery, the oldest first."""
        waiting = ((rule, entry) for rule in self._rules for entry in self.find(rule).waiting)
        return sorted(waiting, key=lambda pair: (pair[1].alert.found_ms, pair[1].alert.time_ms))

    def add(self, rule: str, standing: Standing, waiting: Iterable[Unsent] = ()) -> None:
        """Take in the new standing of a rule, and its alerts; a rule that is not in `rules` is never recorded."""
        kept = self.find(rule)
        self._known[rule] = replace(kept, standing=standing, waiting=(*kept.waiting, *waiting))

    def remove(self, rule: str, alert: Alert, way: str) -> None:
        """Forget that the alert is to be delivered by this way."""
        kept = self.find(rule)
        left = _keep_ways(kept.waiting, lambda waits, by: waits != alert or by != way)
        self._known[rule] = replace(kept, waiting=left)

    def hold(self, rule: str, way: str, until_ms: int) -> None:
        """Keep for later runs too that the receiver of the rule's alerts is to be left alone until then."""
        kept = self.find(rule)
        self._known[rule] = replace(kept, held={**kept.held, way: until_ms})

    def find_hold(self, way: str) -> int:
        """Return the time until which the receiver asked to wait, 0 when it never did."""
        return max((kept.held.get(way, 0) for kept in self._known.values()), default=0)

    def record(self, lag_ms: int = RECORDED_MS) -> bool:
        """Record changes, and return once they are on disk; True when there were any.

        Progress in judged ticks alone is recorded only when it exceeds `lag_ms`.

        Raises:
            SpoolError: that failed; the previous state is still on disk.
        """
        changed = [rule for rule in self._rules if not self._known[rule].is_recorded_by(self._recorded[rule], lag_ms)]
        for rule in changed:
            with self._translate_errors():
                durable.replace(self._build_path(rule, "json"), _encode(self._known[rule], self._name(rule)))
            self._recorded[rule] = self._known[rule]
        return bool(changed)

    def _read(self, rule: str) -> Kept | None:
        """Read the file of the rule; None when it is damaged."""
        with self._translate_errors():
            try:
                content = durable.read(self._build_path(rule, "json"), LARGEST)
            except FileNotFoundError:
                return Kept()
            except OSError as exc:
                if exc.errno == EFBIG:
                    return None
                raise
        return _parse(content, self._name(rule))

    def _name(self, rule: str) -> dict[str, str]:
        return {"store": self._where, "rule": rule}

    def _build_path(self, rule: str, kind: str) -> Path:
        digest = sha256(f"{self._where}\n{rule}".encode(errors="surrogatepass")).hexdigest()[:16]
        return self._folder / f"{digest}.{kind}"

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            problem = f"the state of alerts cannot be kept in {self._folder} ({describe(exc)})"
            raise SpoolError(f"{problem}; free or repair that folder, or set BTCTS_DATA_DIR") from exc


def _keep_ways(waiting: Sequence[Unsent], wanted: Callable[[Alert, str], bool]) -> tuple[Unsent, ...]:
    """Return the waiting alerts without the ways of delivery that are no longer wanted."""
    left = (Unsent(entry.alert, tuple(way for way in entry.ways if wanted(entry.alert, way))) for entry in waiting)
    return tuple(entry for entry in left if entry.ways)


def _encode(kept: Kept, name: dict[str, str]) -> bytes:
    known = {
        "version": VERSION,
        **name,
        **asdict(kept.standing),
        "waiting": [asdict(entry) for entry in kept.waiting],
    }
    known |= {"held": dict(kept.held)} if kept.held else {}
    return json.dumps({"crc32": _compute_checksum(known), "known": known}).encode()


def _parse(content: bytes, name: dict[str, str]) -> Kept | None:
    """Parse the contents of a file; None when it is damaged."""
    try:
        document = parse_json(content, LARGEST)
        known = document["known"]
        expected = {"crc32": _compute_checksum(known), "version": VERSION, **name}
        found = {"crc32": document["crc32"], **{key: known[key] for key in ("version", *name)}}
        return _read_kept(known) if found == expected else None
    except (LookupError, TypeError, RecursionError, Unreadable):
        return None


def _read_kept(known: Any) -> Kept:
    fields = read_fields(known, _KNOWN)
    standing = Standing(fields["armed"], fields["since_ms"], fields.get("seen", ()))
    return Kept(standing, fields["waiting"], fields.get("held", {}))


def _read_bounds(value: Any) -> Bounds:
    if not isinstance(value, list) or len(value) != 3:
        raise Unreadable(f"{excerpt(value)} is not a minute with two prices")
    return Bounds(read_int(value[0]), read_price(value[1]), read_price(value[2]))


def _read_waiting(value: Any) -> Unsent:
    fields = read_fields(value, {"alert": partial(read_fields, readers=_ALERT), "ways": read_names})
    return Unsent(Alert(**fields["alert"]), fields["ways"])


_KNOWN: dict[str, Reader] = {
    "armed": read_flag,
    "since_ms": partial(read_optional, read=read_int),
    "seen": partial(read_list, read=_read_bounds, most=2),
    "waiting": partial(read_list, read=_read_waiting, most=MOST_WAITING),
    "held": partial(read_map, read=read_int),
}

_ALERT: dict[str, Reader] = {
    "rule": read_text,
    "kind": partial(read_choice, choices=KINDS),
    "time_ms": read_int,
    "found_ms": read_int,
    "price": partial(read_optional, read=read_price),
    "reference": partial(read_optional, read=read_price),
    "reference_ms": partial(read_optional, read=read_int),
    "span_ms": partial(read_optional, read=partial(read_int, least=1, most=DAY_MS)),
    "already": read_flag,
    "simulated": read_flag,
    "after_ms": partial(read_optional, read=read_int),
}


def _compute_checksum(known: object) -> int:
    return zlib.crc32(json.dumps(known, sort_keys=True).encode())
