"""Completion at the speed of a key press."""

import os
import sys

from typer.core import TyperArgument, TyperOption


def suggest_providers(incomplete: str) -> list[str]:
    """List the providers whose names begin like this."""
    from btcts.providers import NAMES

    return [name for name in NAMES if name.startswith(incomplete)]


def lighten_when_completing() -> None:
    """Keep typer from loading rich and pydantic when a shell asks for completions.

    It would load them to strip markup that the help does not have and to convert values nobody uses: 0.1 s per TAB.
    """
    if "_BTCTS_COMPLETE" not in os.environ:
        return
    sys.modules["rich"] = None  # type: ignore[assignment]
    for kind in (TyperArgument, TyperOption):
        kind.process_value = lambda self, ctx, value: value  # type: ignore[method-assign]
