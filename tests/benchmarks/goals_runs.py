"""The searches of the benchmark `goals` that train: one corpus in two halves, three arms.

The validation speakers are divided as for the benchmark `headline`: the searches see one half,
their fronts are judged on the other. All arms have the same epochs, those of stopped trials
included. Students train without a teacher; `teacher_half`, trained for one epoch, is what their
time is divided by. The limit of the arm with one goal is the median of all architectures.
"""

import itertools
import math
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from search.estimates.feasibility import LATENCY, LimitChecker
from spaces.files.yaml_file import read_yaml, write_yaml
from spaces.limits import Limits
from tests.benchmarks.headline_runs import MANY_TRIALS, cut_in_two, run_veer, search_into
from trainable.config.trial_config import TrialConfig
from trainable.corpus.corpus import CorpusConfig
from trainable.machine.cache_dir import cache_dir

SEVERAL, LIMITED, RANDOM = "several goals", "one goal, limit", "random"
GOALS = ("veer", "cpu_latency")
# The settings of each arm; what they leave out is the product's default.
ARMS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        SEVERAL: {"objective": [*GOALS]},
        LIMITED: {},
        RANDOM: {
            "objective": [*GOALS], "sampler": "random", "scheduler": {"kind": "none"},
        },
    }
)  # fmt: skip
WIDTHS, BLOCKS, EXPANSIONS = (8, 16, 24, 32), (1, 2, 3, 4, 5), (2, 3)
MODEL = MappingProxyType({"family": "mlp_mixer", "embedding_dim": 128})
# Training is that of the bundled space `small`.
SPACE: Mapping[str, Any] = MappingProxyType(
    {
        "model": {
            **MODEL,
            "hidden_dim": {"choices": [*WIDTHS]},
            "num_blocks": {"low": BLOCKS[0], "high": BLOCKS[-1]},
            "expansion_factor": {"choices": [*EXPANSIONS]},
        },
        "loss": {"distillation": "none"},
        "training": {
            "batch_size": 32,
            "lr": {"low": 0.0005, "high": 0.005, "log": True},
            "ema_epochs": {"low": 0.3, "high": 4, "log": True},
            "lr_decay": 0.85,
            "lr_decay_every_epochs": 1,
        },
    }
)
TEACHER = "teacher_half"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedPlan:
    """What is trained.

    Attributes:
        corpus: The user's corpus.
        out: Folder of runs, teacher and lists; existing runs are continued.
        seeds: Seeds 0, 1, ... of each arm.
        max_epochs: Epochs of a trial that is not stopped.
        total_epochs: Epochs of a search.
    """

    corpus: CorpusConfig
    out: Path
    seeds: int
    max_epochs: int
    total_epochs: int

    @property
    def teacher(self) -> Path:
        """The folder of the teacher."""
        return self.out / "teacher"

    def run(self, arm: str, seed: int) -> Path:
        """Return the run folder of one search."""
        return self.out / "runs" / f"{arm.replace(',', '').replace(' ', '-')}-{seed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What all searches share.

    Attributes:
        corpus: The corpus with both lists.
        limit: The highest latency that the arm with a limit allows.
        slowest: The latency of the slowest architecture.
    """

    corpus: CorpusConfig
    limit: float
    slowest: float


def prepare(plan: TrainedPlan) -> Prepared:
    """Write the lists, train the teacher, measure the architectures, and write the spaces."""
    corpus = cut_in_two(plan.corpus, plan.out)
    whole = plan.out / "corpus.yaml"
    write_yaml(whole, plan.corpus.model_dump(mode="json"))
    run_veer(
        "teacher", "train", TEACHER, "--corpus", str(whole), "--out", str(plan.teacher),
        "--set", "training.max_epochs=1", "--threads", "1",
    )  # fmt: skip
    measured = plan.out / "latencies.yaml"
    if not measured.exists():
        write_yaml(measured, {"cpu_latency": sorted(_latencies(plan.teacher))})
    latencies = read_yaml(measured).data["cpu_latency"]
    # Rounded up, so that the architecture in the middle is within.
    limit = math.ceil(1000 * statistics.median(latencies)) / 1000
    write_yaml(_space(plan, RANDOM), dict(SPACE))
    write_yaml(_space(plan, LIMITED), {"limits": {LATENCY: limit}, **SPACE})
    return Prepared(corpus=corpus, limit=limit, slowest=max(latencies))


def train_search(plan: TrainedPlan, corpus: CorpusConfig, arm: str, seed: int) -> None:
    """Run one search, or the rest of it."""
    settings = {
        "corpus": corpus.model_dump(mode="json"),
        "teacher": str(plan.teacher),
        "space": str(_space(plan, arm)),
        "num_trials": MANY_TRIALS,
        "max_epochs": plan.max_epochs,
        "total_epochs": plan.total_epochs,
        "max_concurrent": 1,
        "seed": seed,
        "resources": {"cpu": 1},
        "device": "cpu",
        # Of all: any may be on the front.
        "keep_best": plan.total_epochs,
        "benchmark_top": 0,
        **ARMS[arm],
    }
    search_into(plan.run(arm, seed), settings)


def checker(teacher: Path) -> LimitChecker:
    """Return what measures the latency of a config, with the cache that the searches have."""
    return LimitChecker(Limits(), teacher=teacher, cache_dir=cache_dir())


def _latencies(teacher: Path) -> Iterator[float]:
    measure = checker(teacher)
    for width, blocks, expansion in itertools.product(WIDTHS, BLOCKS, EXPANSIONS):
        model = {
            **MODEL, "hidden_dim": width, "num_blocks": blocks, "expansion_factor": expansion,
        }  # fmt: skip
        config = TrialConfig.model_validate({"model": model, "loss": {"distillation": "none"}})
        yield measure.goal_costs(config, GOALS)["cpu_latency"]


def _space(plan: TrainedPlan, arm: str) -> Path:
    return plan.out / ("limited.yaml" if arm == LIMITED else "space.yaml")
