"""The help of the commands: a summary, examples, what else there is to know, then the options by panel.

It is plain text without boxes, so that it is the same in a terminal, a pager and a pipe, and takes nothing to load.
"""

import inspect
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from typer.core import TyperArgument, TyperCommand, TyperGroup

from btcts.cli.mistakes import has_no
from btcts.errors import did_you_mean

WIDEST = 100
"""Longer lines are hard to read."""

Rows = list[tuple[str, str]]


class Command(TyperCommand):
    """A command."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help page."""
        _write_help(self, ctx, formatter, _options(self, ctx))

    def get_short_help_str(self, limit: int = 0) -> str:
        """The summary, whole: shells cut it by themselves."""
        return _paragraphs(self)[0]


class Group(TyperGroup):
    """A command of sub-commands; by itself it shows its help."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Ask for help where nothing is asked for."""
        return super().parse_args(ctx, args or ["--help"])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The sub-command that is called; an unknown one is refused with the one that was meant."""
        name = args[0]
        if name not in self.commands and not name.startswith("-") and not ctx.resilient_parsing:
            ctx.fail(has_no(ctx, f"command {name!r}") + did_you_mean(name, self.commands))
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help page."""
        panels: dict[str, Rows] = {}
        longest = max(map(len, self.commands))
        for name, command in self.commands.items():
            panel = getattr(command, "rich_help_panel", None) or "Commands"
            panels.setdefault(panel, []).append((name.ljust(longest), command.get_short_help_str()))
        _write_help(self, ctx, formatter, panels | _options(self, ctx))

    def get_short_help_str(self, limit: int = 0) -> str:
        """The summary, whole: shells cut it by themselves."""
        return _paragraphs(self)[0]


def _write_help(command: TyperCommand | TyperGroup, ctx: Any, formatter: Any, panels: Mapping[str, Rows]) -> None:
    formatter.width = min(shutil.get_terminal_size().columns, WIDEST)
    command.format_usage(ctx, formatter)
    for paragraph in _examples_first(_paragraphs(command)):
        formatter.write_paragraph()
        if _verbatim(paragraph):
            formatter.write(paragraph + "\n")
        else:
            formatter.write_text(paragraph)
    for title, rows in panels.items():
        with formatter.section(title):
            formatter.write_dl(rows, col_max=formatter.width // 3)


def _paragraphs(command: Any) -> list[str]:
    summary, *others = inspect.cleandoc(command.help or _read_docstring(command.callback)).split("\n\n")
    return [" ".join(summary.split()), *others]


def _read_docstring(function: Any) -> str:
    """The docstring of the function as its source has it: Python drops it with -OO or PYTHONOPTIMIZE=2."""
    import ast  # costly, and needed then alone

    code = inspect.unwrap(function).__code__
    try:
        tree = ast.parse(Path(code.co_filename).read_text("utf-8"))
    except OSError:
        return ""
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == code.co_name)
    return next((ast.get_docstring(node) or "" for node in functions), "")


def _examples_first(paragraphs: list[str]) -> Iterable[str]:
    """The summary, then the examples, then the rest."""
    summary, *others = paragraphs
    return [summary, *sorted(others, key=lambda each: not _verbatim(each))]


def _verbatim(paragraph: str) -> bool:
    """Whether the paragraph is written as it is: lines of it are indented, as examples are."""
    return re.search(r"^ ", paragraph, re.MULTILINE) is not None


def _options(command: TyperCommand | TyperGroup, ctx: Any) -> dict[str, Rows]:
    """Arguments and options by panel; `--help` stands in the last one."""
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
