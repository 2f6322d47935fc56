"""Persistent state of a watch: the standing of each rule, and its undelivered alerts.

One small file per rule and store, replaced as a whole, with a lock beside it: two watches of the same rule would both
deliver the same alerts.
"""

import json
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from errno import EFBIG
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from btcts.domain.untrusted import (
    DAY_MS,
    Reader,
    Unreadable,
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
from btcts.services.watch.trigger import KINDS, Alert, Standing
from btcts.system import durable
from btcts.system.causes import describe

LARGEST = 8 << 20
"""Most bytes of a file; a larger one is not ours."""

MOST_WAITING = 10_000

VERSION = 1
"""Version of the files; one of another version counts as damaged."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An alert, and the ways by which it is still to be delivered."""

    alert: Alert
    ways: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """The recorded state of a rule; `damaged` when its file is not valid.

    `held` has, by way of delivery, the time (ms) until which the receiver asked to wait.
    """

    standing: Standing = field(default_factory=Standing)
    waiting: tuple[Waiting, ...] = ()
    held: Mapping[str, int] = field(default_factory=dict)
    damaged: bool = False


class Keeper:
    """The files in `folder` for the rules of the store at `where`, an address without secrets."""

    def __init__(self, folder: Path, where: str) -> None:
        self._folder = folder
        self._where = where

    @contextmanager
    def held(self, rules: Sequence[str]) -> Iterator[None]:
        """Hold the locks of these rules, which the system releases when the process ends.

        Raises:
            ConfigError: another process watches one of them.
            SpoolError: the folder or a lock cannot be made.
        """
        with ExitStack() as stack:
            for rule in rules:
                with self._translate_errors():
                    durable.make(self._folder)
                    descriptor = durable.lock(self._build_path(rule, "lock"))
                if descriptor is None:
                    raise ConfigError(
                        f"another btcts watch looks after {rule!r} at {self._where}; end it, or leave the rule to it"
                    )
                stack.callback(os.close, descriptor)
            yield

    def read(self, rule: str) -> Kept:
        """Read the state of the rule; an unknown rule is armed and has nothing to deliver.

        Raises:
            SpoolError: the file exists but cannot be read.
        """
        with self._translate_errors():
            try:
                content = durable.read(self._build_path(rule, "json"), LARGEST)
            except FileNotFoundError:
                return Kept()
            except OSError as exc:
                if exc.errno == EFBIG:
                    return Kept(damaged=True)
                raise
        return _parse(content, self._name(rule)) or Kept(damaged=True)

    def keep(self, rule: str, kept: Kept) -> None:
        """Record the state of the rule, and return once it is on disk.

        Raises:
            SpoolError: that failed; the previous state is still there.
        """
        with self._translate_errors():
            durable.replace(self._build_path(rule, "json"), _encode(kept, self._name(rule)))

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
    return Kept(Standing(fields["armed"], fields["since_ms"]), fields["waiting"], fields.get("held", {}))


def _read_waiting(value: Any) -> Waiting:
    fields = read_fields(value, {"alert": partial(read_fields, readers=_ALERT), "ways": read_names})
    return Waiting(Alert(**fields["alert"]), fields["ways"])


_KNOWN: dict[str, Reader] = {
    "armed": read_flag,
    "since_ms": partial(read_optional, read=read_int),
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
}


def _compute_checksum(known: object) -> int:
    return zlib.crc32(json.dumps(known, sort_keys=True).encode())
