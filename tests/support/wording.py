"""The lines that a test module expects, kept beside it in `snapshots`, so that a change of words is read as one.

After an intended change: UPDATE_SNAPSHOTS=1 pytest -n 0 PATH, and read the difference.
"""

import os
from pathlib import Path

INDENT = "    "


class Wording:
    """The stored lines of one test module, by name: `Wording(__file__)`."""

    def __init__(self, module: str) -> None:
        path = Path(module)
        self._file = path.parent / "snapshots" / f"{path.stem}.txt"

    def check(self, name: str, line: str, **varying: object) -> None:
        """Compare the line with the stored one of that name; what varies stands there as <name>."""
        for placeholder, value in varying.items():
            line = line.replace(str(value), f"<{placeholder}>")
        stored = self._read()
        if os.environ.get("UPDATE_SNAPSHOTS"):
            stored[name] = line
            self._write(stored)
        assert line == stored.get(name), f"{name!r} of {self._file.name} is {stored.get(name)!r}"

    def _read(self) -> dict[str, str]:
        lines = self._file.read_text(encoding="utf-8").splitlines() if self._file.exists() else []
        return dict(zip(lines[::2], (line.removeprefix(INDENT) for line in lines[1::2]), strict=True))

    def _write(self, stored: dict[str, str]) -> None:
        self._file.parent.mkdir(exist_ok=True)
        text = "".join(f"{name}\n{INDENT}{line}\n" for name, line in sorted(stored.items()))
        self._file.write_text(text, encoding="utf-8")
