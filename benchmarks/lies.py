"""Try whether lies are believed: twelve kinds alone, in pairs, and by half of the providers; and days of honest ones.

    python benchmarks/lies.py [--family FAMILY]... [--seeds N] [--first SEED] [--jobs N] [--quick] [--only SCENARIO]...

The scenarios and their judge are in tests/simulation/lies. A broken promise is reported by the name of its scenario,
which `--only` takes, and by exit code 1.
"""

import argparse
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from simulation.lies.honest import PLANS, live
from simulation.lies.market import find_markets
from simulation.lies.scenario import FAMILIES, Scenario, draw, parse
from simulation.lies.stage import open_stage
from simulation.lies.table import play_in_parallel

HONEST = "honest"
QUICK = 10
"""One of so many scenarios is played when it has to be quick."""


def main() -> int:
    """Play them; 1 when a promise is broken."""
    chosen = _arguments()
    families = chosen.family or ([] if chosen.only else [*FAMILIES, HONEST])
    began = time.monotonic()
    broken = _play(_choose(families, chosen), chosen.jobs)
    if HONEST in families:
        broken |= _live(quick=chosen.quick)
    print(f"took {time.monotonic() - began:.0f} s")
    return int(broken)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Play the table of lies.")
    parser.add_argument("--family", action="append", choices=[*FAMILIES, HONEST], help="this one (default: all)")
    parser.add_argument("--seeds", type=int, default=1, help="each so often, with other venues that lie")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--jobs", type=int, default=1, help="so many processes")
    parser.add_argument("--quick", action="store_true", help=f"one scenario of {QUICK}")
    parser.add_argument("--only", action="append", default=[], help="this scenario, by its name")
    return parser.parse_args()


def _choose(families: list[str], chosen: argparse.Namespace) -> list[Scenario]:
    seeds = range(chosen.first, chosen.first + chosen.seeds)
    lying = [family for family in families if family != HONEST]
    scenarios = [scenario for family in lying for seed in seeds for scenario in draw(family, seed)]
    random.Random(chosen.first).shuffle(scenarios)
    return scenarios[:: QUICK if chosen.quick else 1] + [parse(name) for name in chosen.only]


def _play(scenarios: list[Scenario], jobs: int) -> bool:
    """Print the table; whether a promise was broken."""
    if not scenarios:
        return False
    table = play_in_parallel(scenarios, jobs)
    print(table)
    return bool(table.broken)


def _live(*, quick: bool) -> bool:
    """Print what came of honest days; whether a promise was broken."""
    broken = False
    with open_stage() as stage:
        for name, plan in PLANS.items():
            if quick and plan.hours > 12:
                continue
            lived = live(plan, stage, find_markets()[-1])
            print(f"honest, {name}{' (broken)' if lived.broken else ''}: {lived}")
            broken |= lived.broken
    return broken


if __name__ == "__main__":
    sys.exit(main())
