"""The arms of the benchmark `search`, fixed before its runs.

All arms have one worker. On bank B an arm sees the figures of raw or of averaged weights, and the
true value is of the same weights. Other tools get the VEER of averaged weights there: how students
are trained is not what is compared with them. They have their own defaults, grace period 1 where
they have one, and reduction factor 3.

Veer as it was before is TPE with rungs from epoch 9, decided by the VEER of raw weights. Each
`without` differs from Veer after in one part. The arms with a prior begin with one config, of 64
that are drawn at random the fourth best or the worst by true value.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from optuna.samplers import TPESampler

from tests.benchmarks.peer_tools import PeerProcess, PeerTool
from tests.benchmarks.search_cases import Case, Weights
from tests.benchmarks.search_play import Played, Tool, play, tool_source, veer_source
from tests.benchmarks.search_problem import Problem, random_params
from tests.benchmarks.simulation import OptunaPruned, Rays

BEFORE: Mapping[str, Any] = {
    "sampler": "tpe",
    "decide_by": "veer",
    "scheduler": {"kind": "asha", "grace_epochs": 9},
}
TO_THE_END: Mapping[str, Any] = {
    "sampler": "random",
    "decide_by": "veer",
    "scheduler": {"kind": "none"},
}
AFTER_SETTINGS: Mapping[str, Any] = {
    "sampler": "guided",
    "decide_by": "dprime",
    "scheduler": {"kind": "asha", "grace_epochs": "auto"},
}
NUM_DRAWN, GOOD, BAD = 64, 3, 63
BEFORE_NAME, AFTER, BAD_PRIOR = "Veer before", "Veer after", "Veer after, bad prior"
RANDOM, RANDOM_AVERAGED = "random to the end", "random to the end, averaged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One way to search.

    Attributes:
        name: Unique.
        settings: Settings of a search of Veer; empty for another tool.
        tool: Of another tool: `ray`, `hyperband`, or a script and method such as `smac:smac`.
        weights: Whose figures it sees on bank B.
        banks: Where it is run.
        most: Cases of a bank at most, for a slow tool.
        prior: Which config of `NUM_DRAWN` drawn ones it begins with, by place; None for none.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    tool: str = ""
    weights: Weights = "ema"
    banks: str = "AB"
    most: int = 1000
    prior: int | None = None

    @property
    def is_peer(self) -> bool:
        """Whether it runs in the environment of the other tools."""
        return ":" in self.tool


def _without(
    part: str, *, banks: str = "ABC", weights: Weights = "ema", **settings: Any
) -> Arm:
    return Arm(
        name=f"without {part}",
        settings={**AFTER_SETTINGS, **settings},
        banks=banks,
        weights=weights,
    )


ARMS = (
    Arm(
        name=RANDOM,
        settings=TO_THE_END,
        weights="raw",
        banks="ABC",
    ),
    Arm(
        name=RANDOM_AVERAGED,
        settings=TO_THE_END,
        banks="BC",
    ),
    Arm(name=BEFORE_NAME, settings=BEFORE, weights="raw", banks="ABC"),
    Arm(
        name="random, ASHA",
        settings={**TO_THE_END, "scheduler": {"grace_epochs": 1}},
        banks="ABC",
    ),
    Arm(name=AFTER, settings=AFTER_SETTINGS, banks="ABC"),
    _without("the guided sampler", sampler="tpe"),
    _without("d'", banks="BC", decide_by="veer"),
    _without("auto grace", scheduler=BEFORE["scheduler"]),
    _without("averaged weights", banks="BC", weights="raw"),
    Arm(name="Veer after, good prior", settings=AFTER_SETTINGS, banks="AC", prior=GOOD),
    Arm(name=BAD_PRIOR, settings=AFTER_SETTINGS, banks="AC", prior=BAD),
    Arm(name="Ray OptunaSearch, ASHA", tool="ray"),
    Arm(name="Optuna TPE, Hyperband", tool="hyperband"),
    Arm(name="NePS PriorBand", tool="neps_peer:priorband"),
    Arm(name="SMAC multi-fidelity", tool="smac_peer:smac"),
    # The last two take minutes of CPU for a search that does not succeed.
    Arm(name="Syne Tune BOHB", tool="syne_tune_peer:bohb", most=12),
    Arm(name="Syne Tune ASHA, CQR", tool="syne_tune_peer:asha_cqr", most=6),
)


def prior_of(arm: Arm, case: Case) -> list[dict[str, Any]]:
    """Return the config that an arm begins with, none for most arms."""
    if arm.prior is None:
        return []
    problem = case.make(arm.weights)
    # Not the draws of the targets.
    rng = np.random.default_rng((case.seed, NUM_DRAWN))
    drawn = [random_params(problem.space, rng) for _ in range(NUM_DRAWN)]
    best = [np.nanmin(student.true_pct) if (student := problem.student(each)) else np.inf
            for each in drawn]  # fmt: skip
    return [drawn[np.argsort(best, kind="stable")[arm.prior]]]


def search(arm: Arm, case: Case, process: PeerProcess | None = None) -> Iterator[Played]:
    """Play the search of an arm on a case, without end.

    Args:
        arm: The arm.
        case: The case.
        process: The peer's script, for an arm that has one.
    """
    # First: a bank hands out each config once, so only the last problem made may be searched.
    prior = prior_of(arm, case)
    problem = case.make(arm.weights)
    if arm.settings:
        source = veer_source(problem, arm.settings, case.seed, prior)
        return play(problem, source)
    return play(problem, tool_source(_tool(arm, case, problem, process)))


def _tool(arm: Arm, case: Case, problem: Problem, process: PeerProcess | None) -> Tool:
    space, max_epochs = problem.space, problem.max_epochs
    if arm.tool == "ray":
        return Rays(space, seed=case.seed, max_epochs=max_epochs, grace_epochs=1)
    if arm.tool == "hyperband":
        return OptunaPruned(space, TPESampler(seed=case.seed), max_epochs=max_epochs)
    assert process is not None
    kind = arm.tool.split(":")[1]
    return PeerTool(process, kind, space, max_epochs=max_epochs, seed=case.seed)
