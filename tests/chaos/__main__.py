"""`make chaos`: inject every fault several times, and print a table of its costs.

The exit status is 1 if anything was lost, run twice or counted twice, if a stop does not follow
from the rungs, or if a fault was injected fewer times than planned.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from functools import reduce
from operator import add
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from search.run.progress import duration_text
from spaces.files.atomic import write_text_atomically
from tests.chaos.faults import (
    Outcome,
    cut_power,
    kill_driver,
    kill_group,
    press_ctrl_c,
    press_ctrl_c_twice,
    terminate,
)
from tests.chaos.report import complaints, markdown_table, rich_table, wide_console
from tests.chaos.scenarios import (
    Stage,
    node_killed,
    one_at_a_time,
    two_at_a_time,
    workers_frozen,
    workers_killed,
)
from tests.worlds.chaos_world import build_world

Scenario = Callable[[Stage, str, int], Outcome]


def _repeated(stage: Stage, name: str, times: int) -> Outcome:
    """Kill one node of a new cluster `times` times."""
    return reduce(add, (node_killed(stage, name, number) for number in range(times)))


FAULTS: Mapping[str, tuple[int, Scenario]] = {
    "driver killed, one trial at a time": (
        20, lambda s, name, n: one_at_a_time(s, name, kill_driver, s.moments(n))
    ),
    "driver killed, two at a time in a cluster": (10, two_at_a_time),
    "driver's process group killed": (
        3, lambda s, name, n: one_at_a_time(s, name, kill_group, s.moments(n))
    ),
    "power cut": (5, lambda s, name, n: one_at_a_time(s, name, cut_power, s.moments(n))),
    "worker killed": (10, workers_killed),
    "worker frozen": (3, workers_frozen),
    "one of three nodes killed": (3, _repeated),
    "Ctrl-C": (3, lambda s, name, n: one_at_a_time(s, name, press_ctrl_c, s.in_training(n))),
    "Ctrl-C twice": (
        3, lambda s, name, n: one_at_a_time(s, name, press_ctrl_c_twice, s.in_training(n))
    ),
    "SIGTERM": (3, lambda s, name, n: one_at_a_time(s, name, terminate, s.in_training(n))),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the moments and of the workers that are hit"
    )
    parser.add_argument("--only", nargs="+", help="only faults whose name contains one of these")
    parser.add_argument("--markdown", type=Path, help="also write the table to this file")
    args = parser.parse_args()
    console, begun = wide_console(), time.monotonic()
    outcomes, wrong = list[Outcome](), list[str]()
    with TemporaryDirectory(prefix="veer-chaos-") as folder:
        world = build_world(Path(folder) / "world")
        for name, (times, scenario) in FAULTS.items():
            if args.only and not any(part in name for part in args.only):
                continue
            rng = np.random.default_rng((args.seed, *name.encode()))
            stage = Stage(world=world, folder=Path(folder), rng=rng, print_line=console.print)
            outcomes.append(scenario(stage, name, times))
            wrong += complaints(outcomes[-1], times)
    console.print(rich_table(outcomes))
    console.print(f"in {duration_text(time.monotonic() - begun)}", highlight=False)
    for line in wrong or ["nothing lost, run twice or counted twice; every stop follows"]:
        console.print(line, markup=False, highlight=False)
    if args.markdown:
        write_text_atomically(args.markdown, markdown_table(outcomes) + "\n")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
