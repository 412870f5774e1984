"""Time until a search has a good student, with 1 to 1,024 workers, on banks of students.

`make bench NAME=workers ARGS='--taskset FILE --bank FOLDER'`, or with $VEER_TASKSET and
$VEER_BANK; without them only bank C is played. The banks are those of the benchmark `search`: A,
recorded curves of 12 tasks, B, 73 real students, and C, made-up ones. The workers are simulated;
sampler and early stopping are the product's, but for Hyperband, see `tests.benchmarks.brackets`.

A search has reached its goal when the true value of its incumbent is as good as that of the best
one of 64 random configs (--of) run to the end, their quantile 1/64. The ratio is the speedup of 64
workers, as a share of linear, of the arm that is fastest there.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import optuna

from results.page.charts_page import write_charts_page
from results.page.table import plain_table
from search.config.search_config import SearchConfig
from search.loop.trial_course import TrialCourse
from search.prediction.prediction_page import scaling_drawing
from search.prediction.prediction_table import SCALING_HEADINGS, scaling_lines, scaling_rows
from search.prediction.scaling import ARMS, WORKERS, Race, ScalingPoint, run_races
from search.simulation.objective import SimulatedTrial
from tests.benchmarks.brackets import with_brackets
from tests.benchmarks.made_up_bank import MadeUpProblem
from tests.benchmarks.minivox_bank import MinivoxBank, MinivoxProblem
from tests.benchmarks.report import finish
from tests.benchmarks.search_problem import Problem, Student, random_params
from tests.benchmarks.taskset_bank import TasksetProblem, load_tasks
from trainable.corpus.corpus import CorpusConfig
from trainable.machine.hardware import describe_hardware

NUM_DRAWN = 2048
EPOCHS_OF_C = 27
BAR, BAR_WORKERS = 0.8, 64
# The sampler and the settings of random search with ASHA, with other early stopping.
HYPERBAND, HYPERBAND_OF = "random, Hyperband", "random, ASHA"
ALL_ARMS = (*ARMS, HYPERBAND)


class BankWorld:
    """A problem as a simulated search sees it, with what its students are worth."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._students: dict[int, Student] = {}

    def trial(self, course: TrialCourse) -> SimulatedTrial | None:
        student = self._problem.student(course.suggestion.params)
        if student is None:
            return None
        self._students[course.trial] = student
        return SimulatedTrial(
            veer_pct=student.veer_pct.tolist(),
            dprime=() if student.dprime is None else student.dprime.tolist(),
            epoch_s=student.epoch_s,
        )

    def true_pct(self, trial: int, epoch: int) -> float:
        return float(self._students[trial].true_pct[epoch - 1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What a search is to reach.

    Attributes:
        of: A student as good as the best of so many random ones.
        most_trials: Trials after which it has not reached it.
    """

    of: int
    most_trials: int


def race(make: Callable[[], Problem], seed: int, goal: Goal) -> Race:
    """Return the race of a problem."""
    problem, rng = make(), np.random.default_rng((seed, NUM_DRAWN))
    drawn = [problem.student(random_params(problem.space, rng)) for _ in range(NUM_DRAWN)]
    found = [np.nanmin(each.true_pct) for each in drawn if each is not None]
    return Race(
        seed=seed,
        space=problem.space,
        world=lambda: BankWorld(make()),
        until_pct=float(np.quantile(found, 1 / goal.of)),
        most_trials=goal.most_trials,
    )


def settings_of(max_epochs: int, decide_by: str) -> SearchConfig:
    """Return what all arms share."""
    none = Path("none")
    return SearchConfig.model_validate(
        {
            "corpus": CorpusConfig(train_dir=none, train_list=none, val_dir=none, val_list=none),
            "space": none,
            "max_epochs": max_epochs,
            "decide_by": decide_by,
        }
    )


def races_of_c(seeds: int, goal: Goal) -> list[Race]:
    """Return races of made-up students, each with noise of its own."""
    makes = [partial(MadeUpProblem, seed, EPOCHS_OF_C, "ema") for seed in range(seeds)]
    return [race(make, seed, goal) for seed, make in enumerate(makes)]


def races_of_a(file: Path, seeds: int, goal: Goal) -> list[Race]:
    """Return races of the first tasks, one a seed."""
    tasks = load_tasks(file)[:seeds]
    makes = [partial(TasksetProblem, task, seed) for seed, task in enumerate(tasks)]
    return [race(make, seed, goal) for seed, make in enumerate(makes)]


def races_of_b(folder: Path, seeds: int, goal: Goal) -> list[Race]:
    """Return races of the real students, each with other halves of the speakers."""
    bank = MinivoxBank(folder)
    makes = [partial(MinivoxProblem, bank, side, "ema") for side in range(seeds)]
    return [race(make, seed, goal) for seed, make in enumerate(makes)]


def points_of(
    arm: str, races: Sequence[Race], settings: SearchConfig, workers: Sequence[int]
) -> list[ScalingPoint]:
    """Play the races of an arm."""
    if arm != HYPERBAND:
        return run_races(races, settings, [arm], workers, lambda *_: None)
    own = [replace(each, coordinator=with_brackets) for each in races]
    points = run_races(own, settings, [HYPERBAND_OF], workers, lambda *_: None)
    return [replace(each, arm=HYPERBAND) for each in points]


def banks_of(options: argparse.Namespace) -> Iterator[tuple[str, list[Race], SearchConfig]]:
    """Yield name, races and settings of each bank that is to be played."""
    goal = Goal(of=options.of, most_trials=options.most)
    if options.taskset and "A" in options.banks:
        # Bank A has no d', so that the VEER decides there whatever the setting.
        yield "A", races_of_a(options.taskset, options.seeds, goal), settings_of(50, "veer")
    if options.bank and "B" in options.banks:
        races = races_of_b(options.bank, options.seeds, goal)
        yield "B", races, settings_of(12, "dprime")
    if "C" in options.banks:
        yield "C", races_of_c(options.seeds, goal), settings_of(EPOCHS_OF_C, "dprime")


def numbers(text: str) -> tuple[int, ...]:
    """Parse whole numbers separated by commas."""
    return tuple(int(part) for part in text.split(","))


def parsed() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="Time to a good student by workers.")
    taskset, bank = os.environ.get("VEER_TASKSET"), os.environ.get("VEER_BANK")
    parser.add_argument("--taskset", type=Path, default=taskset and Path(taskset))
    parser.add_argument("--bank", type=Path, default=bank and Path(bank))
    parser.add_argument("--banks", default="ABC", help="those to play, such as AC")
    parser.add_argument("--seeds", type=int, default=12, help="races of a bank")
    parser.add_argument("--workers", type=numbers, default=WORKERS, help="such as 1,8,64")
    parser.add_argument("--of", type=int, default=64, help="the goal: as the best of so many")
    parser.add_argument("--most", type=int, default=1000, help="trials of a search")
    parser.add_argument("--arms", default="", help="parts of names, separated by commas")
    parser.add_argument("--out", type=Path, default=Path("runs/workers"), help="folder of pages")
    return parser.parse_args()


def show(bank: str, points: Sequence[ScalingPoint], out: Path) -> None:
    """Print the table of a bank, and write its page."""
    print(f"\nbank {bank}: " + " | ".join(SCALING_HEADINGS))
    for row in scaling_rows(points):
        print(" | ".join(row))
    for line in scaling_lines(points):
        print(line)
    table = plain_table(SCALING_HEADINGS, scaling_rows(points), scaling_lines(points))
    charts = {"scaling": scaling_drawing(points)}
    title = f"Time to a good student by workers, bank {bank}"
    tables = (("Searches", table),)
    write_charts_page(out / f"{bank}.html", title, (), tables, charts)


def main() -> None:
    options = parsed()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    print(", ".join(f"{name} {value}" for name, value in describe_hardware().items()))
    arms = [arm for arm in ALL_ARMS if any(part in arm for part in options.arms.split(","))]
    best = 0.0
    for bank, races, settings in banks_of(options):
        started = time.process_time()
        points: list[ScalingPoint] = []
        for arm in arms:
            own = points_of(arm, races, settings, options.workers)
            print(*scaling_rows(own), sep="\n", flush=True)
            points += own
        show(bank, points, options.out)
        print(f"{time.process_time() - started:.0f} s of CPU", flush=True)
        at_bar = [each for each in points if each.num_workers == BAR_WORKERS]
        if at_bar:
            fastest = min(at_bar, key=lambda each: each.time_s.value)
            best = max(best, fastest.efficiency)
    finish("workers", ratio=best, target=BAR)


if __name__ == "__main__":
    main()
