"""The memory of a collector, which stands in for the shared state while Redis is away.

A single run saves it to a file for the next one, which must not ask providers that told the earlier run to wait.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from operator import attrgetter
from pathlib import Path

from btcts.domain.model import ProviderState, Tick
from btcts.domain.untrusted import END_MS, LONGEST_JSON, Unreadable, parse_json
from btcts.errors import SpoolError
from btcts.store import State, Store, state
from btcts.system import durable
from btcts.system.causes import describe


class Memory:
    """The state after the last cycle, and the provider states that Redis has not been told yet.

    `newest` is the newest price that was stored or agreed on; `file` keeps the untold state beyond the process (None:
    nowhere); `now_ms` is the present by which the state of an earlier run is judged.
    """

    def __init__(self, file: Path | None = None, *, now_ms: int = END_MS) -> None:
        self.newest: Tick | None = None
        self._file = file
        self._state = _read(file, now_ms) if file else State()
        self._untold = dict(self._state.providers)
        self._told: State | None = None
        self._on_disk = bool(self._untold)

    def recall(self) -> State:
        """Return the state as far as it is known here."""
        return self._state

    def merge_untold(self, stored: State, newest: Tick | None) -> tuple[State, Tick | None]:
        """Merge the state and the newest price from Redis with what it could not be told.

        Of two states of a provider, the longer wait counts: another collector may have been told to wait.
        """
        if self._untold:
            known = stored.providers
            waits = attrgetter("not_before_ms")
            amended = {name: max(own, known.get(name, own), key=waits) for name, own in self._untold.items()}
            stored = replace(
                stored,
                pending=self._state.pending,
                lean=self._state.lean,
                accepted=_find_newest(stored.accepted, self._state.accepted),
                anchor=_find_newest(stored.anchor, self._state.anchor),
                providers={**known, **amended},
            )
            newest = _find_newest(newest, self.newest)
        return stored, newest

    def learn(self, state: State, learned: Mapping[str, ProviderState], newest: Tick | None) -> None:
        """Take in the state after a cycle, the states of the providers asked in it, and the newest price."""
        self.newest = newest
        self._untold |= learned
        self._state = replace(state, providers={**state.providers, **learned})

    @property
    def untold(self) -> State:
        """The state, with those providers that Redis has not been told of."""
        return replace(self._state, providers=self._untold)

    def tell(self, store: Store) -> None:
        """Store the state in Redis for the other collectors, unless it was stored with a price.

        Raises:
            SpoolError: the file of an earlier run cannot be removed.
        """
        if self._told != self.untold:
            store.remember(self.untold)
            self.note_told(self.untold)
        self._untold = {}
        if self._file is not None and self._on_disk:
            with self._translate_errors("is told and cannot be removed from"):
                self._file.unlink(missing_ok=True)
                self._on_disk = False

    def note_told(self, told: State) -> None:
        """Note what was stored in Redis."""
        self._told = told

    def keep(self) -> None:
        """Save what Redis could not be told for the next run.

        Raises:
            SpoolError: the disk refuses it.
        """
        if self._file is None:
            return
        with self._translate_errors("cannot be kept in"):
            durable.make(self._file.parent)
            durable.replace(self._file, json.dumps(state.format_fields(self.untold)).encode())
            self._on_disk = True

    @contextmanager
    def _translate_errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            problem = f"what the providers said {what} {self._file} ({describe(exc)})"
            raise SpoolError(f"{problem}; repair that folder, or set BTCTS_DATA_DIR") from exc


def _read(file: Path, now_ms: int) -> State:
    """Read the state that an earlier run saved; an empty one when the file cannot be read."""
    try:
        fields = parse_json(durable.read(file, LONGEST_JSON))
    except (OSError, Unreadable):
        return State()
    known = fields if isinstance(fields, dict) else {}
    return state.parse({name: text for name, text in known.items() if isinstance(text, str)}, now_ms)


def _find_newest(*ticks: Tick | None) -> Tick | None:
    return max(filter(None, ticks), default=None)
