"""What is done to the process before a command is parsed."""

import subprocess
import sys


def run_python(code: str) -> str:
    """What the code prints in a process of its own."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


def test_httpx_works_without_its_command_line() -> None:
    code = (
        "from btcts.cli.startup import skip_command_of_httpx; skip_command_of_httpx()\n"
        "import sys, httpx; httpx.Client().close(); print('rich' in sys.modules)"
    )

    assert run_python(code) == "False"


def test_an_httpx_that_is_loaded_already_keeps_its_command_line() -> None:
    code = (
        "import sys, types; sys.modules['httpx._main'] = types.ModuleType('httpx._main')\n"
        "from btcts.cli.startup import skip_command_of_httpx; skip_command_of_httpx()\n"
        "print(sys.modules['httpx._main'].__name__)"
    )

    assert run_python(code) == "httpx._main"


def test_garbage_is_collected_again_by_what_goes_on() -> None:
    code = (
        "import gc\nfrom btcts.cli.startup import collect_garbage_again, prepare_process\n"
        "prepare_process(); print(gc.isenabled()); collect_garbage_again(); print(gc.isenabled())"
    )

    assert run_python(code).split() == ["False", "True"]
