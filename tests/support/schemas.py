"""The JSON Schemas of the documents that the commands print."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "docs" / "schemas"


def read_schema(name: str) -> dict[str, Any]:
    """Return the schema of a document."""
    schema: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    return schema
