"""Text from elsewhere: nothing that steers a terminal, no secret in whatever spelling it comes back."""

import base64
import html
import io
import json
import urllib.parse
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from btcts.config import Secret
from btcts.render.show.page import PlainConsole
from btcts.system.foreign import cite, conceal, conceal_login, mask_logins, plain, plain_page, redact

KEY = "7c1f2d3e-4Ab5-46c7-98d9-0e1f2a3b4c5d"
PASSWORD = 'pä"s\\w/ö rd+%41'

Spell = Callable[[str], str]

SPELLINGS: dict[str, Spell] = {
    "as it is": str,
    "upper case": str.upper,
    "lower case": str.lower,
    "json": json.dumps,
    "json within json": lambda text: json.dumps(json.dumps(text)),
    "json escapes": lambda text: "".join(f"\\u{ord(character):04x}" for character in text),
    "upper json escapes": lambda text: "".join(f"\\u{ord(character):04X}" for character in text),
    "some json escapes": lambda text: text[:7] + f"\\u{ord(text[7]):04x}" + text[8:],
    "percent": urllib.parse.quote,
    "all percent": lambda text: "".join(f"%{octet:02x}" for octet in text.encode()),
    "percent twice": lambda text: urllib.parse.quote(urllib.parse.quote(text)),
    "html": html.escape,
    "html numbers": lambda text: "".join(f"&#{ord(character)};" for character in text),
    "python bytes": lambda text: repr(text.encode()),
    "hexadecimal": lambda text: text.encode().hex(),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "basic login": lambda text: base64.b64encode(f"user:{text}".encode()).decode(),
    "longer login": lambda text: base64.b64encode(f"us:{text} m".encode()).decode(),
    "longest login": lambda text: base64.urlsafe_b64encode(f"son:{text}!".encode()).decode(),
}

HARMFUL = {
    "a colour": "\x1b[31m",
    "a title": "\x1b]0;owned\x07",
    "one byte of control": "\x9b31m",
    "a line": "\nbtcts: all is well",
    "a return": "\rbtcts: all is well",
    "a direction": "\u202e\u2066",
    "a line separator": "\u2028",
    "half a character": "\udce9",
    "a null": "\0",
}


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize("secret", [KEY, PASSWORD])
def test_a_secret_is_hidden_in_every_spelling(secret: str, spell: Spell) -> None:
    Secret(secret)
    spelt = spell(secret)

    shown = redact(f"before {spelt} behind")

    assert "***" in shown
    assert shown.startswith("before ")
    assert shown.endswith(" behind")
    assert not any(spelt[at : at + 9] in shown for at in range(len(spelt) - 9))


def test_a_secret_that_is_cut_is_hidden_first() -> None:
    Secret(KEY)

    assert cite(f"{'x' * 70} {KEY}", 80) == f"{'x' * 70} ***"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("foo://TOKEN:pw@h", "foo://***@h"),
        ("redis://:pw@h:1/0", "redis://***@h:1/0"),
        ("'https://token@h/path' is", "'https://***@h/path' is"),
        ("rediss://u:p/w@rd@h", "rediss://***@h"),
        ("unix:///home/me@corp/redis.sock", "unix:///home/me@corp/redis.sock"),
        ("redis:/me:pw@h", "redis:/***@h"),
        ("https://example.com/a", "https://example.com/a"),
        ("mail me@example.com", "mail me@example.com"),
    ],
)
def test_user_and_password_of_a_url_are_never_shown(text: str, shown: str) -> None:
    assert mask_logins(text) == shown


def test_the_login_of_a_proxy_is_hidden_as_it_stands_there_and_decoded() -> None:
    conceal_login("http://proxyuser:pr%2Foxy@proxy:3128")

    assert redact("proxyuser pr%2Foxy pr/oxy") == "*** *** ***"


@pytest.mark.parametrize("harm", HARMFUL.values(), ids=HARMFUL)
def test_what_steers_a_terminal_becomes_blank(harm: str) -> None:
    assert plain(f"a{harm}b").isprintable()
    assert plain_page(f"a\n{harm.strip()}b\n").count("\n") == 2 + harm.strip().count("\n")


@given(st.text(st.characters(codec=None)))
def test_any_text_can_be_printed(text: str) -> None:
    assert plain(text).isprintable()
    assert len(plain(text)) == len(text)
    plain(text).encode()


@pytest.mark.parametrize("harm", HARMFUL.values(), ids=HARMFUL)
def test_a_console_shows_colours_of_ours_alone(harm: str) -> None:
    screen = io.StringIO()
    console = PlainConsole(file=screen, force_terminal=True, color_system="standard", width=80)

    console.print(Text(f"[red]a{harm}b[/red]", style="green"))

    words = screen.getvalue().replace("\x1b[32m", "").replace("\x1b[0m", "").replace("\n", "")
    assert words.isprintable()
    assert words.startswith("[red]a")


def test_a_secret_of_bytes_that_are_no_text_is_hidden_too() -> None:
    conceal("h\udce9\udcffpass")

    assert redact("login h\udce9\udcffpass refused") == "login *** refused"
