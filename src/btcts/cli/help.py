"""The help of the commands, and the line about a mistaken call.

Help is a summary, examples, further paragraphs, then the options by panel. Plain text without boxes looks the same in a
terminal, a pager and a pipe, and needs no library.
"""

import inspect
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup

from btcts.errors import did_you_mean

UsageError: Any = typer.BadParameter.__mro__[1]
"""The exception that typer raises for a wrong call; it has no public name."""

WIDEST = 100
"""Longer lines are hard to read."""

SPELLINGS = {"1m": "minute", "1min": "minute", "60s": "minute", "1h": "hour", "60m": "hour", "60min": "hour"}
"""Other common names of our resolutions."""

_NO_CHOICE = r"(?:Value error, )?(?P<value>'.*'|\".*\") is not one of (?P<choices>'.*')\.?"

_LIMITS = {
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
}
"""The words of pydantic about numbers, in ours."""

_WANTED = rf"Input should be ({'|'.join(_LIMITS)})( [\d.]+)?"

Rows = list[tuple[str, str]]


class PlainHelp:
    """The help of a command as plain text."""

    def format_help(self: Any, ctx: Any, formatter: Any) -> None:
        """Write the help page."""
        formatter.width = min(shutil.get_terminal_size().columns, WIDEST)
        self.format_usage(ctx, formatter)
        for paragraph in _put_examples_first(_split_paragraphs(self)):
            formatter.write_paragraph()
            if _is_verbatim(paragraph):
                formatter.write(paragraph + "\n")
            else:
                formatter.write_text(paragraph)
        for title, rows in (_list_commands(self) | _list_options(self, ctx)).items():
            with formatter.section(title):
                formatter.write_dl(rows, col_max=formatter.width // 3)

    def get_short_help_str(self, limit: int = 0) -> str:
        """Return the whole summary: shells shorten it themselves."""
        return _split_paragraphs(self)[0]


class PlainCommand(PlainHelp, TyperCommand):
    """A command whose help is plain text."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments; a mistake that names no command is one of this command."""
        try:
            return super().parse_args(ctx, args)
        except UsageError as exc:
            exc.ctx = exc.ctx or ctx
            raise


class Group(PlainHelp, TyperGroup):
    """A command with sub-commands; called without one it shows its help."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Add --help where no argument is given."""
        return super().parse_args(ctx, args or ["--help"])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the sub-command; refuse an unknown one and suggest what was meant."""
        name = args[0]
        if name not in self.commands and not name.startswith("-") and not ctx.resilient_parsing:
            ctx.fail(_describe_lack(ctx, f"command {name!r}") + did_you_mean(name, self.commands))
        return super().resolve_command(ctx, args)


def _split_paragraphs(command: Any) -> list[str]:
    summary, *others = inspect.cleandoc(command.help or _read_docstring(command.callback)).split("\n\n")
    return [" ".join(summary.split()), *others]


def _read_docstring(function: Any) -> str:
    """Read the docstring from the source file: Python drops it with -OO or PYTHONOPTIMIZE=2."""
    import ast  # costly, and only needed in that case

    code = inspect.unwrap(function).__code__
    try:
        source = Path(code.co_filename).read_text("utf-8")
    except OSError:
        return ""
    tree = compile(source, code.co_filename, "exec", ast.PyCF_ONLY_AST, optimize=0)  # Python 3.14 drops it here as well
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == code.co_name)
    return next((ast.get_docstring(node) or "" for node in functions), "")


def _put_examples_first(paragraphs: list[str]) -> Iterable[str]:
    """Order the paragraphs: the summary, the examples, the rest."""
    summary, *others = paragraphs
    return [summary, *sorted(others, key=lambda paragraph: not _is_verbatim(paragraph))]


def _is_verbatim(paragraph: str) -> bool:
    """Tell whether the paragraph is printed as it is: some of its lines are indented, as examples are."""
    return re.search(r"^ ", paragraph, re.MULTILINE) is not None


def _list_commands(command: Any) -> dict[str, Rows]:
    """List the sub-commands by panel."""
    commands = getattr(command, "commands", {})
    longest = max(map(len, commands), default=0)
    panels: dict[str, Rows] = {}
    for name, below in commands.items():
        panel = getattr(below, "rich_help_panel", None) or "Commands"
        panels.setdefault(panel, []).append((name.ljust(longest), below.get_short_help_str()))
    return panels


def _list_options(command: Any, ctx: Any) -> dict[str, Rows]:
    """List arguments and options by panel; `--help` is in the last one."""
    panels: dict[str, Rows] = {}
    for param in command.get_params(ctx):
        record = param.get_help_record(ctx)
        if record is None:
            continue
        usual = "Arguments" if isinstance(param, TyperArgument) else "Options"
        panel = getattr(param, "rich_help_panel", None) or usual
        if param.name == "help" and panels:
            panel = list(panels)[-1]
        panels.setdefault(panel, []).append(record)
    return panels


def explain_mistake(mistake: Any) -> str:
    """Explain what typer raised for a wrong call; the line ends with what was meant, or where to read on."""
    line = _explain_option(mistake) or _explain_value(mistake) or _normalize(mistake.format_message())
    if "; " not in line:
        line += f"; see {mistake.ctx.command_path if mistake.ctx else 'btcts'} --help"
    return line


def _describe_lack(ctx: Any, what: str) -> str:
    """Begin a line about something that the command of `ctx` does not have."""
    command = ctx.command_path.partition(" ")[2]
    return f"{command} has no {what}" if command else f"there is no {what}"


def _explain_option(mistake: Any) -> str | None:
    """Explain an unknown option, or one in the wrong place."""
    if not hasattr(mistake, "possibilities"):
        return None
    name, command = mistake.option_name, mistake.ctx.command
    line = _describe_lack(mistake.ctx, f"option {name}")
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
    if not mistake.message:
        return f"{name} is missing"
    found = re.fullmatch(_NO_CHOICE, mistake.message, re.DOTALL)
    if found is None:
        if limit := re.match(_WANTED, mistake.message):
            return f"{name} must be {_LIMITS[limit[1]]}{limit[2] or ''}"
        return f"{name}: {_normalize(mistake.message)}"
    choices = re.findall(r"'([^']*)'", found["choices"])
    word = found["value"][1:-1]
    meant = did_you_mean(SPELLINGS.get(word.lower(), word), choices)
    return f"{name} {found['value']} is not one of {', '.join(choices)}{meant}"


def _normalize(message: str) -> str:
    """Drop the capital letter and the full stop, as in our own messages."""
    plain = message.removeprefix("Value error, ").rstrip(".")
    return plain[:1].lower() + plain[1:]
