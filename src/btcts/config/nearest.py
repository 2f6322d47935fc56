"""The name that somebody who misspelt one had in mind."""

from collections.abc import Iterable


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """The end of a message about an unknown name: a question where one of `words` is close, else nothing.

    Of dotted names, those that end alike are the closest: the key is right and stands in the wrong table.
    """
    from difflib import get_close_matches

    known = list(words)
    alike = [each for each in known if each.rpartition(".")[2] == word.rpartition(".")[2]]
    matches = get_close_matches(word, alike, n=1, cutoff=0) or get_close_matches(word, known, n=1)
    return f"; did you mean {matches[0]}?" if matches else ""
