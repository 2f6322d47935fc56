"""What is done to the process before a command is parsed."""

import subprocess
import sys


def run_python(code: str) -> str:
    """What the code prints in a process of its own."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


def test_garbage_is_collected_again_by_what_goes_on() -> None:
    code = (
        "import gc\nfrom btcts.cli.startup import collect_garbage_again, prepare_process\n"
        "prepare_process(); print(gc.isenabled()); collect_garbage_again(); print(gc.isenabled())"
    )

    assert run_python(code).split() == ["False", "True"]
