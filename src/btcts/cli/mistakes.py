"""Explain in one line what is wrong with a call, and suggest what was meant."""

import re
from typing import Any

from btcts.errors import did_you_mean

SPELLINGS = {"1m": "minute", "1min": "minute", "60s": "minute", "1h": "hour", "60m": "hour", "60min": "hour"}
"""Other common names of our resolutions."""

_NO_CHOICE = re.compile(r"(?:Value error, )?(?P<value>'.*'|\".*\") is not one of (?P<choices>'.*')\.?", re.DOTALL)


def explain_mistake(mistake: Any) -> str:
    """Explain what typer raised for a wrong call; the line ends with what was meant, or where to read on."""
    line = _explain_option(mistake) or _explain_value(mistake) or _normalize(mistake.format_message())
    if "; " not in line:
        line += f"; see {mistake.ctx.command_path if mistake.ctx else 'btcts'} --help"
    return line


def has_no(ctx: Any, what: str) -> str:
    """Begin a line about something that the command of `ctx` does not have."""
    command = ctx.command_path.partition(" ")[2]
    return f"{command} has no {what}" if command else f"there is no {what}"


def _explain_option(mistake: Any) -> str | None:
    """Explain an unknown option, or one in the wrong place."""
    if not hasattr(mistake, "possibilities"):
        return None
    name, command = mistake.option_name, mistake.ctx.command
    line = has_no(mistake.ctx, f"option {name}")
    below = getattr(command, "commands", {}).values()
    if any(name in param.opts for command in below for param in command.params):
        return f"{line} here; write it behind the command"
    known = [opt for param in command.get_params(mistake.ctx) for opt in (*param.opts, *param.secondary_opts)]
    return line + did_you_mean(name, (opt for opt in known if opt.startswith("--")))


def _explain_value(mistake: Any) -> str | None:
    """Explain a value that an option or argument does not accept."""
    param = getattr(mistake, "param", None)
    if param is None:
        return None
    name = param.get_error_hint().replace("'", "")
    found = _NO_CHOICE.fullmatch(mistake.message)
    if found is None:
        return f"{name}: {_normalize(mistake.message)}"
    choices = re.findall(r"'([^']*)'", found["choices"])
    word = found["value"][1:-1]
    meant = did_you_mean(SPELLINGS.get(word.lower(), word), choices)
    return f"{name} {found['value']} is not one of {', '.join(choices)}{meant}"


def _normalize(message: str) -> str:
    """Drop the capital letter and the full stop, as in our own messages."""
    plain = message.removeprefix("Value error, ").rstrip(".")
    return plain[:1].lower() + plain[1:]
