"""Text for people can neither control the terminal nor repeat a password."""

import pytest

from btcts.cli.output import tell, tell_lines


def test_a_line_stays_one_line_whatever_is_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    tell_lines(["data: /data\x1b[2J", "key\nbtcts: all is well", "", "redis://me:secret@here"])

    assert capsys.readouterr().out == "data: /data [2J\nkey btcts: all is well\n\nredis://***@here\n"


def test_what_goes_wrong_is_printed_the_same_way_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    tell("two\nlines\x9b", err=True)

    assert capsys.readouterr() == ("", "two lines \n")
