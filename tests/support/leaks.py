"""Whether a text gives away a secret, in whatever spelling: it is decoded in all ways, and searched without case."""

import base64
import binascii
import html
import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import unquote

LEAST = 6
"""Characters of a secret that nobody writes by chance."""

_ESCAPES = re.compile(r"\\+u([0-9a-f]{4})|\\+x([0-9a-f]{2})", re.IGNORECASE)
_LOGIN = re.compile(r"://([^/@:\s]*):?([^@\s]*)@")
_PACKED = re.compile(r"[A-Za-z0-9+/_-]{6,}")
_HEXADECIMAL = re.compile(r"(?:[0-9a-fA-F]{2}){4,}")


def find_leaks(text: str, secrets: Iterable[str]) -> list[str]:
    """The secrets that the text gives away."""
    decoded = [variant.lower() for variant in _decode(text)]
    return [secret for secret in secrets if any(secret.lower() in variant for variant in decoded)]


def list_secrets(environ: Mapping[str, str]) -> list[str]:
    """The secrets in an environment: the key, the password, and the logins in URLs."""
    urls = (url for name, url in environ.items() if name.upper().endswith(("_PROXY", "URL")))
    logins = (unquote(part) for url in urls for found in _LOGIN.findall(url) for part in found)
    given = (environ.get("API_KEY", ""), environ.get("REDIS_PASSWORD", ""), *logins)
    return [secret for secret in given if len(secret) >= LEAST]


def _decode(text: str) -> Iterator[str]:
    for _ in range(3):
        yield text
        yield from _unpack(text)
        text = html.unescape(unquote(_ESCAPES.sub(lambda found: chr(int(found[1] or found[2], 16)), text)))
        yield text
        text = text.replace("\\", "")


def _unpack(text: str) -> Iterator[str]:
    for found in _PACKED.findall(text):
        for start in range(4):  # the end of a word may stand before it
            part = found[start:].translate(str.maketrans("-_", "+/"))
            try:
                yield base64.b64decode(part[: len(part) // 4 * 4]).decode(errors="replace")
            except binascii.Error:
                continue
    for found in _HEXADECIMAL.findall(text):
        yield bytes.fromhex(found).decode(errors="replace")
