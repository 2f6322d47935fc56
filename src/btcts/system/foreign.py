"""Text from elsewhere (servers, files, arguments), made safe to print and to store: no control character, no secret.

Settings and clients name their secrets with `conceal`; whatever others wrote passes `cite` before it becomes part of a
message, and everything for people passes `plain` once more where it is printed.
"""

import re
from base64 import b64encode
from collections.abc import Iterator

SHORTEST_SECRET = 4
"""Shorter texts stand in any answer by chance; hiding them would only tell where."""

SHORTEST_CODE = 8
"""Characters of a base64 text that are known whatever stands before and behind the secret; fewer are no evidence."""

HIDDEN = "***"

_secrets: set[str] = set()

_patterns: dict[str, re.Pattern[str]] = {}

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"}

_USERINFO = re.compile(r"(:/{1,2})(?!/)\S*@")
"""A path makes one slash of the two behind a scheme."""


def plain(text: str) -> str:
    """Return the text on one line: a line break, an escape sequence or a mark of direction has its place blank."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else " " for character in text)


def plain_page(text: str) -> str:
    """Return lines of text with nothing in them but what can be printed."""
    return text if text.isprintable() else "\n".join(map(plain, text.split("\n")))


def conceal(secret: str) -> None:
    """Let `redact` hide this text from now on, in any spelling."""
    if len(secret) >= SHORTEST_SECRET:
        _secrets.add(secret)


def conceal_login(url: str) -> None:
    """Let `redact` hide the user and the password of this URL, as they stand there and decoded."""
    from urllib.parse import unquote  # costly, and needed where there is a proxy alone

    login = url.partition("://")[2].rpartition("@")[0]
    for part in login.split(":", 1):
        conceal(part)
        conceal(unquote(part))


def redact(text: str) -> str:
    """Return the text without secrets: user and password of any URL, and what was concealed.

    A secret is found in upper and lower case, with escapes of JSON, HTML, Python or URLs, in hexadecimal and within
    base64. Redact before cutting: the first half of a key is half a key.
    """
    for secret in sorted(_secrets, key=len, reverse=True):
        if secret not in _patterns:
            _patterns[secret] = _build_pattern(secret)
        text = _patterns[secret].sub(HIDDEN, text)
    return mask_logins(text)


def mask_logins(text: str) -> str:
    """Return the text with what stands before the @ of its URLs hidden."""
    return _USERINFO.sub(rf"\1{HIDDEN}@", text) if "@" in text else text


def cite(text: str, limit: int | None = None) -> str:
    """Return the words of others on one line without secrets, cut to `limit` characters."""
    line = " ".join(plain(redact(text)).split())
    return line if limit is None or len(line) <= limit else line[:limit] + "..."


def _build_pattern(secret: str) -> re.Pattern[str]:
    octets = secret.encode(errors="surrogatepass")
    texts = (secret, octets.hex(), *_find_base64_cores(octets))
    return re.compile("|".join("".join(map(_build_spellings, text)) for text in texts), re.IGNORECASE)


def _build_spellings(character: str) -> str:
    """The pattern of a character: as it is, behind backslashes, or as an escape of Python, JSON, HTML or a URL."""
    code = ord(character)
    units = character.encode("utf-16-be", "surrogatepass").hex(" ", 2).split()
    octets = character.encode(errors="surrogatepass").hex(" ").split()
    ways = (
        r"\\*" + re.escape(character),
        "".join(rf"\\+u{unit}" for unit in units),
        "".join(rf"\\+x{octet}" for octet in octets),
        "".join(f"%(?:25)*{octet}" for octet in octets),
        f"&#(?:x0*{code:x}|0*{code});",
        re.escape(_ENTITIES.get(character, character)),
    )
    return f"(?:{'|'.join(ways)})"


def _find_base64_cores(secret: bytes) -> Iterator[str]:
    """The characters of base64 that the secret alone decides, for each of its three places within a group."""
    for before in range(3):
        known = (before + len(secret)) * 8 // 6
        core = b64encode(bytes(before) + secret).decode()[-(-before * 8 // 6) : known]
        if len(core) >= SHORTEST_CODE:
            yield core
            if (urlsafe := core.translate(str.maketrans("+/", "-_"))) != core:
                yield urlsafe
