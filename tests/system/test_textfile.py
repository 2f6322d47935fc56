"""Text files of the user."""

import os
from pathlib import Path

import pytest

from btcts.system.textfile import read_text


@pytest.mark.parametrize("patience_s", [0.0, 0.01])
def test_a_pipe_that_nobody_writes_to_is_given_up_on(patience_s: float, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(OSError, match=f"{patience_s:g} s"):
        read_text(tmp_path / "pipe", pipe_patience_s=patience_s)


def test_a_file_is_read_without_any_patience(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\xef\xbb\xbfone\n")

    assert read_text(tmp_path / "file", pipe_patience_s=0.0) == "one\n"
