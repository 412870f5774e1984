"""The searches of the benchmark `search`: banks, cases, targets and budgets.

A case is a task and a seed (A), a half of the speakers that decides (B), or a seed (C). The target
is the true value of the best of 64 random trials of full length: the median over many such draws
of the lowest true value of any epoch, with raw weights. A bank hands out each config once, so a
search may end before its budget.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from tests.benchmarks.made_up_bank import MadeUpProblem
from tests.benchmarks.minivox_bank import NUM_SIDES, MinivoxBank, MinivoxProblem
from tests.benchmarks.search_problem import Problem, random_params
from tests.benchmarks.taskset_bank import Task, TasksetProblem, load_tasks

Weights = Literal["raw", "ema"]
NUM_RANDOM = 64
BUDGET_TRIALS = 96
SEEDS_OF_A = 2
SEEDS_OF_C = 12
EPOCHS_OF_C = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One search problem with a target.

    Attributes:
        name: Unique in its bank.
        group: Task; cases of one group are alike.
        seed: Seed of the search.
        make: Makes the problem anew, with raw or averaged weights.
        target_pct: True value that is good enough.
        budget: Epochs after which the search is censored.
    """

    name: str
    group: str
    seed: int
    make: Callable[[Weights], Problem]
    target_pct: float
    budget: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bank:
    """The cases of one bank.

    Attributes:
        name: One letter.
        size: What identifies its content, such as the number of its configs.
        cases: In the order in which they are run.
        ends_at_target: Whether a search ends when it has reached the target.
    """

    name: str
    size: int
    cases: tuple[Case, ...]
    ends_at_target: bool


def bank_a(file: Path) -> Bank:
    """Return TaskSet's tasks, some seeds each."""
    tasks = load_tasks(file)
    targets = {task: best_of_random([_raw(_taskset(task, 0))], 60) for task in tasks}
    # A seed of its own for each case: the configs are the same in all tasks.
    rounds = ((task, target, n) for n in range(SEEDS_OF_A) for task, target in targets.items())
    cases = [
        _case(f"{task.name}/{n}", task.name, seed, _taskset(task, seed), target)
        for seed, (task, target, n) in enumerate(rounds)
    ]
    size = sum(len(task.params) for task in tasks)
    return Bank(name="A", size=size, cases=tuple(cases), ends_at_target=True)


def bank_b(folder: Path) -> Bank:
    """Return the real students, a case for each half of each cut of the speakers."""
    bank = MinivoxBank(folder)
    makes = [_minivox(bank, side) for side in range(NUM_SIDES)]
    target = best_of_random([_raw(make) for make in makes], 10)
    cases = [
        _case(f"side {side}", f"cut {side // 2}", side, make, target)
        for side, make in enumerate(makes)
    ]
    return Bank(name="B", size=len(bank.params), cases=tuple(cases), ends_at_target=False)


def bank_c() -> Bank:
    """Return made-up students that are trained for long."""
    makes = [_made_up(seed) for seed in range(SEEDS_OF_C)]
    target = best_of_random([_raw(makes[0])], 100)
    cases = [
        _case(f"seed {seed}", "made up", seed, make, target) for seed, make in enumerate(makes)
    ]
    return Bank(name="C", size=EPOCHS_OF_C, cases=tuple(cases), ends_at_target=True)


def best_of_random(makes: Sequence[Callable[[], Problem]], num_draws: int) -> float:
    """Return the median over draws of the best true last value of 64 random trials, percent.

    Args:
        makes: Make the problems, whose draws are taken together.
        num_draws: Draws of each problem.
    """
    rng = np.random.default_rng(0)
    return float(np.median([_best(make(), rng) for make in makes for _ in range(num_draws)]))


def _best(problem: Problem, rng: np.random.Generator) -> float:
    drawn = (random_params(problem.space, rng) for _ in range(NUM_RANDOM))
    students = [problem.student(each) for each in drawn]
    return float(np.nanmin([each.true_pct for each in students if each is not None]))


def _case(
    name: str, group: str, seed: int, make: Callable[[Weights], Problem], target_pct: float
) -> Case:
    return Case(
        name=name,
        group=group,
        seed=seed,
        make=make,
        target_pct=target_pct,
        budget=BUDGET_TRIALS * make("raw").max_epochs,
    )


def _raw(make: Callable[[Weights], Problem]) -> Callable[[], Problem]:
    return lambda: make("raw")


def _taskset(task: Task, seed: int) -> Callable[[Weights], Problem]:
    return lambda weights: TasksetProblem(task, seed)  # noqa: ARG005 - it has one kind


def _minivox(bank: MinivoxBank, side: int) -> Callable[[Weights], Problem]:
    return lambda weights: MinivoxProblem(bank, side, weights)


def _made_up(seed: int) -> Callable[[Weights], Problem]:
    return lambda weights: MadeUpProblem(seed, EPOCHS_OF_C, weights)
