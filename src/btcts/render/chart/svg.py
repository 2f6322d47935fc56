"""SVG as text: elements whose attributes and words are always escaped."""

from collections.abc import Mapping
from html import escape

from btcts.system.foreign import plain

NAMESPACE = "http://www.w3.org/2000/svg"


def wrap_elements(name: str, *children: str, **attributes: str | float) -> str:
    """Wrap elements in an element, one per line; an underscore in an attribute's name stands for a hyphen."""
    if not children:
        return f"<{name}{_format_attributes(attributes)}/>"
    return "\n".join((f"<{name}{_format_attributes(attributes)}>", *children, f"</{name}>"))


def wrap_words(name: str, words: str, **attributes: str | float) -> str:
    """Wrap words in an element; control characters, which XML does not allow, become spaces."""
    return f"<{name}{_format_attributes(attributes)}>{_escape_words(words)}</{name}>"


def draw_text(x: float, y: float, words: str, **attributes: str | float) -> str:
    """Return a text whose baseline starts at that point, unless `text_anchor` says otherwise."""
    return wrap_words("text", words, x=x, y=y, **attributes)


def draw_line(start: tuple[float, float], end: tuple[float, float], **attributes: str | float) -> str:
    """Draw a straight line."""
    (x1, y1), (x2, y2) = start, end
    return wrap_elements("line", x1=x1, y1=y1, x2=x2, y2=y2, **attributes)


def _format_attributes(attributes: Mapping[str, str | float]) -> str:
    return "".join(f' {name.replace("_", "-")}="{_format_value(value)}"' for name, value in attributes.items())


def _format_value(value: str | float) -> str:
    return _escape_words(value) if isinstance(value, str) else f"{round(value, 2):g}"


def _escape_words(words: str) -> str:
    return escape(plain(words))
