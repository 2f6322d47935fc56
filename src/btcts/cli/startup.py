"""Tricks that make commands start fast, each with its reason and what it saves, and that make standard streams sound.

The figures are millions of instructions, as `python benchmarks/startup.py` prints them; 100 are about 25 ms.
`main.py` builds the called command alone, and commands import services and libraries in the functions that use
them; `tests/cli/test_imports.py` holds that.
"""

import gc
import os
import sys
from enum import Enum
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from io import TextIOWrapper
from pathlib import Path
from typing import Any, get_args, get_origin

from typer.core import TyperArgument, TyperOption

LONGEST_SIZE = 4
"""Digits of a size of a terminal."""

_build_converter: Any = getattr(TyperOption, "get_runtime_param", None)  # without it, typer does not do what we avoid


def prepare_process() -> None:
    """Apply all tricks; called once, before a command is parsed."""
    stop_collecting_garbage()
    convert_plain_values()
    complete_without_rich()
    import_redis_without_asyncio()
    open_closed_streams()
    replace_what_stdout_cannot_encode()
    forget_impossible_sizes()


def stop_collecting_garbage() -> None:
    """Collect no garbage: imports make many objects, and hardly any of them is garbage before the command ends.

    Saves 31 of 857 of `show 15min`, and 22 of 1258 of `collect --once`.
    """
    gc.disable()


def collect_garbage_again() -> None:
    """Undo `stop_collecting_garbage` for a command that goes on until it is stopped.

    What is loaded by then stays to the end, so it is not looked through again: a full collection of its 48 000 objects
    takes 24 ms.
    """
    gc.freeze()
    gc.enable()


def convert_plain_values() -> None:
    """Keep typer from loading pydantic for options with a value, even for those that are not given.

    typer has no setting for this; `get_runtime_param` is where it builds what converts a value. Saves 346 of 1173 of
    `show 15min`.
    """
    for kind in (TyperArgument, TyperOption):
        kind.get_runtime_param = lambda param: PlainConverter(param)  # type: ignore[method-assign, assignment, return-value]


class PlainConverter:
    """Converts plain values as typer does; all others are left to typer, which also says what is wrong with them."""

    def __init__(self, param: Any) -> None:
        self._param = param

    def coerce(self, value: Any, **call: Any) -> Any:
        """Convert what was written behind an option, or its default."""
        if value is None:
            return () if self._param.multiple or self._param.nargs == -1 else None
        try:
            return self._convert(value, self._param.type_descriptor.annotation)
        except (AttributeError, TypeError, ValueError):
            return _build_converter(self._param).coerce(value, **call)

    def _convert(self, value: Any, wanted: Any) -> Any:
        if get_origin(wanted) is list:
            return [self._convert(item, *get_args(wanted)) for item in value]
        if wanted in (int, float):
            return self._convert_number(str(value), wanted)
        if issubclass(wanted, str | Path | Enum):
            return wanted(value)
        raise ValueError("not a plain value")

    def _convert_number(self, value: str, wanted: type[float]) -> float:
        low, high = self._param.min, self._param.max
        if not (value.isascii() and value.lstrip("-").replace(".", "", 1).isdigit()):
            raise ValueError("not a plain number")
        number = wanted(value)
        if (low is not None and number < low) or (high is not None and number > high):
            raise ValueError("out of range")
        return number


def complete_without_rich() -> None:
    """Keep typer from loading rich when a shell asks for completions, to strip markup that the help does not have.

    Saves 327 of 621 for each TAB in zsh and fish.
    """
    if "_BTCTS_COMPLETE" in os.environ:
        sys.modules["rich"] = None  # type: ignore[assignment]


def import_redis_without_asyncio() -> None:
    """Keep `import redis` from loading its clients for asyncio, and what reads the metadata of packages.

    Nothing here uses either; whoever does gets them then. Saves 64 of 887 of `show 15min`.
    """
    import_on_first_use("redis.asyncio")
    import_on_first_use("importlib.metadata")


def import_on_first_use(name: str) -> None:
    """Provide a module that is executed only when one of its names is asked for; those inside it can be imported."""
    parent, _, child = name.rpartition(".")
    package = find_spec(parent)
    spec = package and PathFinder.find_spec(name, package.submodule_search_locations)
    if name in sys.modules or spec is None or spec.loader is None:
        return
    loader, module = spec.loader, module_from_spec(spec)

    def load(wanted: str) -> Any:
        del module.__getattr__
        loader.exec_module(module)
        return getattr(module, wanted)

    module.__getattr__ = load  # type: ignore[method-assign]
    sys.modules[name] = module
    if parent in sys.modules:
        setattr(sys.modules[parent], child, module)


def open_closed_streams() -> None:
    """Reopen closed standard streams on /dev/null: the next file or lock would take their number."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))


def replace_what_stdout_cannot_encode() -> None:
    """Print a question mark for a character that the encoding of the terminal lacks; stderr has an escape for it."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def forget_impossible_sizes() -> None:
    """Drop sizes from the environment that no terminal has: rich fails on some, and draws very long on others."""
    for name in ("COLUMNS", "LINES"):
        size = os.environ.get(name, "1")
        if not (size.isascii() and size.isdecimal() and len(size) <= LONGEST_SIZE and int(size)):
            del os.environ[name]
