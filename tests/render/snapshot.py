"""Pages kept as text files, so that a change of the rendering is seen as a change of the page.

After an intended change: UPDATE_SNAPSHOTS=1 pytest tests/render, and read the difference.
"""

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

FOLDER = Path(__file__).parent / "snapshots"


def assert_as_stored(name: str, page: str) -> None:
    """Compare a page with the stored one of that name; fail with the lines that differ."""
    file = FOLDER / f"{name}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        file.write_text(page, encoding="utf-8")
    stored = file.read_text(encoding="utf-8") if file.exists() else ""
    lines = difflib.unified_diff(stored.splitlines(), page.splitlines(), f"stored {file.name}", "now", lineterm="")
    assert page == stored, "\n".join(lines)


def assert_lines_as_stored(name: str, lines: Mapping[str, str | Iterable[str]]) -> None:
    """Compare lines, each under the case that it belongs to, with the stored ones."""
    parts = ((case, [found] if isinstance(found, str) else found) for case, found in lines.items())
    told = ("".join((f"{case}:\n", *(f"  {line}".rstrip() + "\n" for line in found))) for case, found in parts)
    assert_as_stored(name, "\n".join(told))


def join_lines(lines: Iterable[str]) -> str:
    """Return the page that lines are printed as, without the last line end."""
    return "\n".join(lines)
