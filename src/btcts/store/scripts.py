"""The scripts that run inside Redis; they are called by their digest, and sent whole to a server that lacks them."""

import hashlib
import pkgutil
from collections.abc import Sequence
from functools import cache
from typing import Any

_SENT: dict[str, str] = {}
"""The scripts that were called, by digest."""


def call_script(name: str, keys: Sequence[str], arguments: Sequence[Any]) -> tuple[Any, ...]:
    """Return the command that runs a script of this package."""
    digest = _load(name)
    return ("EVALSHA", digest, len(keys), *keys, *arguments)


def spell_out(command: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the same call with the script instead of its digest."""
    _, digest, *rest = command
    return ("EVAL", _SENT[digest], *rest)


@cache
def _load(name: str) -> str:
    """Read a script, and return its digest."""
    text = (pkgutil.get_data("btcts.store", f"{name}.lua") or b"").decode()
    digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
    _SENT[digest] = text
    return digest
