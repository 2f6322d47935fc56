"""The name that somebody who misspelt one had in mind."""

from collections.abc import Iterable


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """The end of a message about an unknown name: a question where one of `words` is close, else nothing."""
    meant = nearest(word, words)
    return f"; did you mean {meant!r}?" if meant else ""


def nearest(word: str, words: Iterable[str]) -> str | None:
    """The one of `words` that is close to `word`, None where none is; small and capital letters are alike.

    Of dotted names, those that end alike are the closest: the key is right and stands in the wrong table.
    """
    from difflib import get_close_matches

    known = {each.lower(): each for each in words}
    asked = word.lower()
    alike = [each for each in known if each.rpartition(".")[2] == asked.rpartition(".")[2]]
    matches = get_close_matches(asked, alike, n=1, cutoff=0) or get_close_matches(asked, known, n=1)
    return known[matches[0]] if matches else None
