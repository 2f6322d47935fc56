"""An option means the same in every command that has it."""

from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from btcts.cli.main import app
from btcts.config import list_settings
from btcts.providers import default_endpoints

SETTINGS = {setting.flag for setting in list_settings(default_endpoints()).values() if setting.flag}
"""Options that are settings: the range of their values is checked there."""


def list_options(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every option below a command, with the words that call its command."""
    yield from ((path, param) for param in command.params if param.param_type_name == "option")
    for name, below in getattr(command, "commands", {}).items():
        yield from list_options(below, (*path, name))


def test_an_option_has_one_help_and_one_range_in_all_commands() -> None:
    declared: dict[tuple[str, ...], set[tuple[object, ...]]] = {}
    for path, option in list_options(get_command(app)):
        if path == ("collect",) and SETTINGS & set(option.opts):
            continue
        meaning = (option.help, option.metavar, option.rich_help_panel, option.min, option.max)
        declared.setdefault((*option.opts, *option.secondary_opts), set()).add(meaning)

    assert len(declared) > 20
    assert {spelling: found for spelling, found in declared.items() if len(found) > 1} == {}
