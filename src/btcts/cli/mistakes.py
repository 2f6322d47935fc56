"""What is wrong with a call, in one line, and what was meant where that can be told."""

import re
from typing import Any

from btcts.errors import did_you_mean

SPELLINGS = {"1m": "minute", "1min": "minute", "60s": "minute", "1h": "hour", "60m": "hour", "60min": "hour"}
"""What others call our resolutions."""

_NO_CHOICE = re.compile(r"(?:Value error, )?(?P<value>'.*'|\".*\") is not one of (?P<choices>'.*')\.?", re.DOTALL)


def explained(mistake: Any) -> str:
    """The line about what typer raised for a wrong call; it ends with what was meant, or where to read on."""
    line = _unknown_option(mistake) or _wrong_value(mistake) or _lowered(mistake.format_message())
    if "; " not in line:
        line += f"; see {mistake.ctx.command_path if mistake.ctx else 'btcts'} --help"
    return line


def has_no(ctx: Any, what: str) -> str:
    """The beginning of a line about something that the command of `ctx` does not know."""
    command = ctx.command_path.partition(" ")[2]
    return f"{command} has no {what}" if command else f"there is no {what}"


def _unknown_option(mistake: Any) -> str | None:
    """The line about an option that there is not, or not there."""
    if not hasattr(mistake, "possibilities"):
        return None
    name, command = mistake.option_name, mistake.ctx.command
    line = has_no(mistake.ctx, f"option {name}")
    below = getattr(command, "commands", {}).values()
    if any(name in param.opts for each in below for param in each.params):
        return f"{line} here; write it behind the command"
    known = [opt for param in command.get_params(mistake.ctx) for opt in (*param.opts, *param.secondary_opts)]
    return line + did_you_mean(name, (opt for opt in known if opt.startswith("--")))


def _wrong_value(mistake: Any) -> str | None:
    """The line about a value that an option or an argument does not take."""
    param = getattr(mistake, "param", None)
    if param is None:
        return None
    name = param.get_error_hint().replace("'", "")
    found = _NO_CHOICE.fullmatch(mistake.message)
    if found is None:
        return f"{name}: {_lowered(mistake.message)}"
    choices = re.findall(r"'([^']*)'", found["choices"])
    word = found["value"][1:-1]
    meant = did_you_mean(SPELLINGS.get(word.lower(), word), choices)
    return f"{name} {found['value']} is not one of {', '.join(choices)}{meant}"


def _lowered(message: str) -> str:
    """The message as ours are: without a capital letter and a full stop."""
    plain = message.removeprefix("Value error, ").rstrip(".")
    return plain[:1].lower() + plain[1:]
