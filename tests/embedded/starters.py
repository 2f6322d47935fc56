"""Other processes that start the embedded Redis."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.redis_binaries import binaries

STARTER = """
import sys
from pathlib import Path
from btcts.embedded import Embedded
print(Embedded(Path(sys.argv[1]), redis_server=Path(sys.argv[2])).ensure(lambda line: print(line, file=sys.stderr)))
"""


def starter(data_dir: Path, redirection: str = "") -> subprocess.Popen[str]:
    """A process that starts the server, with its streams as the shell's redirection has them."""
    command = [sys.executable, "-c", STARTER, str(data_dir), str(binaries().server)]
    shell = ["sh", "-c", f'exec "$@" {redirection}', "sh"]
    return subprocess.Popen([*shell, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


FOREGROUND = """
import sys
from pathlib import Path
from btcts.embedded import Embedded
Embedded(Path(sys.argv[1]), redis_server=Path(sys.argv[2])).run(lambda line: print(line, file=sys.stderr))
"""


@contextmanager
def foreground(data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """A `server run`, from when it accepts connections, or has ended, to the end of the block at the latest."""
    command = [sys.executable, "-c", FOREGROUND, str(data_dir), str(binaries().server)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            if "Ready to accept connections" in line:
                break
        try:
            yield process
        finally:
            process.kill()
