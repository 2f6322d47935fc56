"""Play schedules by hand, in tests/: `python -m simulation.chaos --seeds 9 --first 1 --jobs 2`; -v shows them."""

import argparse
import sys

from simulation.chaos.run import play, play_in_parallel
from simulation.chaos.schedule import draw
from simulation.chaos.stage import open_stage


def main() -> int:
    """Play them, print what came of them; 1 when a seed fails."""
    parser = argparse.ArgumentParser(prog="python -m simulation.chaos", description="Play schedules of faults.")
    parser.add_argument("--seeds", type=int, default=100, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--jobs", type=int, default=2, help="how many processes")
    parser.add_argument("-v", action="store_true", dest="verbose", help="show each schedule and its cycles")
    arguments = parser.parse_args()
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    if arguments.verbose:
        return _show(seeds)
    total = play_in_parallel(seeds, arguments.jobs)
    sys.stdout.write(f"{total}\n")
    return int(bool(total.failed))


def _show(seeds: range) -> int:
    failed = 0
    with open_stage() as stage:
        for seed in seeds:
            schedule = draw(seed)
            sys.stdout.write(f"{schedule}\n")
            ran = play(schedule, stage)
            sys.stdout.writelines(f"    {each!r}\n" for each in ran.cycles)
            sys.stdout.writelines(f"  PROBLEM {each}\n" for each in ran.problems)
            failed += bool(ran.problems)
    sys.stdout.write(f"{len(seeds)} schedules, {failed} failed\n")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
