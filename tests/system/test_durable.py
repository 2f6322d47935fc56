"""Files that survive a crash."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from btcts.system import durable


def test_of_two_writers_one_replaces_the_file_after_the_other(tmp_path: Path) -> None:
    file, contents = tmp_path / "file", (b"one" * 1000, b"another" * 1000)

    def replace(content: bytes) -> set[bytes]:
        seen = set()
        for _ in range(20):
            durable.replace(file, content)
            seen.add(file.read_bytes())
        return seen

    with ThreadPoolExecutor(2) as threads:
        seen = set().union(*threads.map(replace, contents))

    assert seen <= set(contents)
    assert list(tmp_path.iterdir()) == [file]


def test_no_file_of_the_user_is_taken_for_a_draft(tmp_path: Path) -> None:
    (tmp_path / "chart.svg.new").write_text("of the user")

    durable.replace(tmp_path / "chart.svg", b"picture")

    assert (tmp_path / "chart.svg.new").read_text() == "of the user"


def test_a_link_in_the_place_of_a_draft_leads_to_no_other_file(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("of the user")
    (tmp_path / ".chart.svg.new").symlink_to(victim)

    with pytest.raises(OSError, match="symbolic links"):
        durable.replace(tmp_path / "chart.svg", b"picture")

    assert victim.read_text() == "of the user"


def test_a_file_that_cannot_be_looked_at_is_not_taken_for_absent(tmp_path: Path) -> None:
    file, loop = tmp_path / "file", tmp_path / "loop"
    file.touch()
    loop.symlink_to(loop)

    assert durable.exists(file)
    assert not any(map(durable.exists, (tmp_path / "absent", file / "below", loop)))
    with pytest.raises(OSError, match="too long"):
        durable.exists(tmp_path / ("x" * 300))
