"""Changes to the process before a command is parsed."""

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.core import TyperOption
from typer.main import get_command

from btcts.cli.help import UsageError
from btcts.cli.main import app
from btcts.cli.startup import PlainConverter
from cli.test_options import list_options

VALUES = {param.opts[-1]: param for path, param in list_options(get_command(app)) if not param.is_flag}
"""All options with a value; those of one name mean the same."""

TYPED = (
    st.text(st.characters(codec="utf-8", exclude_characters="\0"))
    | st.from_regex(r"[-+ ]{0,2}[0-9_.eE]{0,20}", fullmatch=True)
    | st.integers().map(str)
    | st.floats().map(str)
    | st.sampled_from(["json", "table", "JSON", "text", "15min", "/dev/null", "-", ""])
)
"""What somebody may write as a value."""


def run_python(code: str) -> str:
    """Return what the code prints in a process of its own."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


def test_garbage_is_collected_again_by_what_goes_on() -> None:
    code = (
        "import gc\nfrom btcts.cli.startup import collect_garbage_again, prepare_process\n"
        "prepare_process(); print(gc.isenabled()); collect_garbage_again(); print(gc.isenabled())"
    )

    assert run_python(code).split() == ["False", "True"]


def convert(converter: Any, param: Any, value: object) -> object:
    """Return the value, or the message that refuses it."""
    try:
        return converter.coerce(value, param=param, ctx=None)
    except UsageError as exc:
        return str(exc)


@pytest.mark.parametrize("param", VALUES.values(), ids=VALUES)
@settings(max_examples=25)
@given(typed=TYPED)
def test_values_are_converted_as_typer_does(param: Any, typed: str) -> None:
    value = [typed] if param.multiple else typed

    usual = convert(TyperOption.get_runtime_param(param), param, value)

    assert repr(convert(PlainConverter(param), param, value)) == repr(usual)


@pytest.mark.parametrize("param", VALUES.values(), ids=VALUES)
def test_defaults_are_converted_as_typer_does(param: Any) -> None:
    usual = convert(TyperOption.get_runtime_param(param), param, param.default)

    assert repr(convert(PlainConverter(param), param, param.default)) == repr(usual)


def test_the_clients_for_asyncio_are_there_when_they_are_asked_for() -> None:
    code = (
        "from btcts.cli.startup import prepare_process; prepare_process()\n"
        "import sys, redis, importlib.metadata\n"
        "print('redis.asyncio.client' in sys.modules, 'email' in sys.modules)\n"
        "print(redis.asyncio.Redis.__module__, importlib.metadata.version('redis') == redis.__version__)"
    )

    assert run_python(code).split() == ["False", "False", "redis.asyncio.client", "True"]


def test_a_module_that_is_loaded_already_stays() -> None:
    code = (
        "import redis.asyncio; loaded = redis.asyncio.Redis\n"
        "from btcts.cli.startup import prepare_process; prepare_process()\n"
        "import redis.asyncio; print(redis.asyncio.Redis is loaded)"
    )

    assert run_python(code) == "True"
