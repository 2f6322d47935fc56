"""Text for people can neither control the terminal nor repeat a password."""

import sys

import pytest

from btcts.cli.output import complain, tell, tell_lines


def test_a_line_stays_one_line_whatever_is_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    tell_lines(["data: /data\x1b[2J", "key\nbtcts: fine", "", "redis://me:secret@here"])

    assert capsys.readouterr().out.split("\n") == ["data: /data [2J", "key btcts: fine", "", "redis://***@here", ""]


def test_what_goes_wrong_is_printed_the_same_way_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    tell("two\nlines\x9b", err=True)

    assert capsys.readouterr() == ("", "two lines \n")


def test_a_terminal_gets_lines_broken_between_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)  # what is captured is no terminal

    path = "/a/very/long/path/of/a.socket"

    complain(f"no Redis answers at {path}")

    assert capsys.readouterr().err.split("\n") == ["btcts: no Redis", "    answers at", f"    {path}", ""]


def test_a_pipe_gets_lines_whole(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")

    tell("word " * 50)

    assert capsys.readouterr().out == "word " * 50 + "\n"


def test_no_line_is_no_output(capsys: pytest.CaptureFixture[str]) -> None:
    tell_lines([])

    assert capsys.readouterr().out == ""
