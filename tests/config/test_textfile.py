"""Small files that people write."""

import os
from pathlib import Path

import pytest

from btcts.config.textfile import read_text


def test_a_pipe_that_nobody_writes_to_is_given_up_on(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(OSError, match=r"0\.01 s"):
        read_text(tmp_path / "pipe", pipe_patience_s=0.01)
