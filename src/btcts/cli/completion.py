"""Completion at the speed of a key press."""

import os
import sys

from typer.core import TyperArgument, TyperOption


def provider_names(incomplete: str) -> list[str]:
    """The providers whose names begin so."""
    from btcts.providers import NAMES

    return [name for name in NAMES if name.startswith(incomplete)]


def lighten_when_completing() -> None:
    """Keep typer from loading rich and pydantic when a shell asks for completions.

    It would, to strip markup from help that has none and to convert values that nobody uses: 0.1 s for each TAB.
    """
    if "_BTCTS_COMPLETE" not in os.environ:
        return
    sys.modules["rich"] = None  # type: ignore[assignment]
    for kind in (TyperArgument, TyperOption):
        kind.process_value = lambda self, ctx, value: value  # type: ignore[method-assign]
