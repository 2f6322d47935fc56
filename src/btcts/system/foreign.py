"""Foreign text (servers, files, arguments) made safe to print and store: no control characters, no secrets.

Settings and clients register their secrets with `conceal`. Foreign text passes `cite` before it becomes part of a
message, and all output for people passes `plain` again when it is printed.
"""

import re
from base64 import b64encode
from collections.abc import Iterator

SHORTEST_SECRET = 4
"""Shorter texts occur in any answer by chance; hiding them would only reveal them."""

SHORTEST_CODE = 8
"""Minimum length of the base64 characters that depend on the secret alone; shorter matches may be chance."""

HIDDEN = "***"

_secrets: set[str] = set()

_patterns: dict[str, re.Pattern[str]] = {}

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"}

_USERINFO = re.compile(r"(:/{1,2})(?!/)\S*@")
"""A `Path` reduces the two slashes after a scheme to one."""


def plain(text: str) -> str:
    """Return the text on one line, with each unprintable character replaced by a space."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else " " for character in text)


def plain_page(text: str) -> str:
    """Return the lines of a text with unprintable characters replaced by spaces."""
    return text if text.isprintable() else "\n".join(map(plain, text.split("\n")))


def conceal(secret: str) -> None:
    """Register a secret that `redact` hides from now on, in any encoding."""
    if len(secret) >= SHORTEST_SECRET:
        _secrets.add(secret)


def conceal_login(url: str) -> None:
    """Register the user and password of a URL as secrets, both encoded and decoded."""
    from urllib.parse import unquote  # slow to import, and only proxies need it

    login = url.partition("://")[2].rpartition("@")[0]
    for part in login.split(":", 1):
        conceal(part)
        conceal(unquote(part))


def redact(text: str) -> str:
    """Return the text without secrets: logins in URLs, and everything registered.

    A secret is found in upper and lower case, with escapes of JSON, HTML, Python or URLs, in hexadecimal and within
    base64. Redact before cutting: the first half of a key is half a key.
    """
    for secret in sorted(_secrets, key=len, reverse=True):
        if secret not in _patterns:
            _patterns[secret] = _build_pattern(secret)
        text = _patterns[secret].sub(HIDDEN, text)
    return mask_logins(text)


def mask_logins(text: str) -> str:
    """Return the text with the logins of its URLs hidden."""
    return _USERINFO.sub(rf"\1{HIDDEN}@", text) if "@" in text else text


def cite(text: str, limit: int | None = None) -> str:
    """Return foreign text on one line without secrets, cut to `limit` characters."""
    line = " ".join(plain(redact(text)).split())
    return line if limit is None or len(line) <= limit else line[:limit] + "..."


def _build_pattern(secret: str) -> re.Pattern[str]:
    octets = secret.encode(errors="surrogatepass")
    texts = (secret, octets.hex(), *_find_base64_cores(octets))
    return re.compile("|".join("".join(map(_build_spellings, text)) for text in texts), re.IGNORECASE)


def _build_spellings(character: str) -> str:
    """Return the pattern of a character: itself, after backslashes, or as an escape of Python, JSON, HTML or a URL."""
    code = ord(character)
    # in UTF-16, without its codec: Python would load that from a file when an answer is due, and files may be lacking
    units = (code,) if code < 0x10000 else (0xD7C0 + (code >> 10), 0xDC00 + (code & 0x3FF))
    octets = character.encode(errors="surrogatepass").hex(" ").split()
    ways = (
        r"\\*" + re.escape(character),
        "".join(rf"\\+u{unit:04x}" for unit in units),
        "".join(rf"\\+x{octet}" for octet in octets),
        "".join(f"%(?:25)*{octet}" for octet in octets),
        f"&#(?:x0*{code:x}|0*{code});",
        re.escape(_ENTITIES.get(character, character)),
    )
    return f"(?:{'|'.join(ways)})"


def _find_base64_cores(secret: bytes) -> Iterator[str]:
    """Yield the base64 characters that depend on the secret alone, for each of its three offsets in a group."""
    for before in range(3):
        known = (before + len(secret)) * 8 // 6
        core = b64encode(bytes(before) + secret).decode()[-(-before * 8 // 6) : known]
        if len(core) >= SHORTEST_CODE:
            yield core
            if (urlsafe := core.translate(str.maketrans("+/", "-_"))) != core:
                yield urlsafe
