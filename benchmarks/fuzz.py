"""Answers that nobody would send, to all providers and the webhook: each comes to a value or to an error of one line.

    python benchmarks/fuzz.py [--answers 20000] [--first 1]

The server is a process of its own, so that the memory that is measured is that of the product. tests/test_fuzzing.py
does a few hundred.
"""

import argparse
import gc
import multiprocessing
import resource
import sys
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from btcts.providers.http import Client
from support.fuzzing import Fuzzer, judge

MOST_MIB = 100


def serve(pipe: Connection) -> None:
    """Serve the answers until the pipe is closed."""
    with Fuzzer() as fuzzer:
        pipe.send(fuzzer.url)
        try:
            pipe.recv()
        except EOFError:
            return


def main() -> int:
    """Judge them, print what came of them; 1 when something is wrong."""
    parser = argparse.ArgumentParser(description="Fuzz what the providers and the webhook make of answers.")
    parser.add_argument("--answers", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=1)
    arguments = parser.parse_args()
    spawning = multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe()
    server = spawning.Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    began = time.monotonic()
    with Client() as client:
        tally = judge(ours.recv(), client, range(arguments.first, arguments.first + arguments.answers))
    ours.send(None)
    server.join(10)
    gc.collect()
    most_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for outcome, count in sorted(tally.outcomes.items()):
        print(f"{count:7d}  {outcome}")
    print(f"{arguments.answers} answers in {time.monotonic() - began:.0f} s, the longest {tally.longest_s:.2f} s")
    print(f"memory at most {most_mib:.0f} MiB, threads at the end {threading.active_count()}")
    print(f"{len(tally.problems)} problems", *tally.problems[:50], sep="\n  ")
    return int(bool(tally.problems) or most_mib > MOST_MIB)


if __name__ == "__main__":
    sys.exit(main())
