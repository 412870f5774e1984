"""The settings of a search, and which of them a resume or a space may set."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from results.journal.decision import DecisionKind
from results.journal.goals import MOST_GOALS, ONE_GOAL, VEER, Goal
from results.records.benchmark_row import TimedForm
from results.trackers.names import TrackerName
from search.config.kinds import SearchDevice
from search.config.sections import FaultConfig, FollowUpPlan, ResourceConfig, SchedulerConfig
from search.suggest.sampler_kind import SamplerKind
from spaces.files.complaints import did_you_mean
from spaces.files.settings import Settings
from trainable.config.teacher_forms import TEACHER_FORMS
from trainable.corpus.corpus import CorpusConfig
from trainable.features.crop_bank import TargetsConfig
from trainable.machine.engine import EngineConfig

DEFAULT_SETTINGS = "demo"
BUNDLED_SETTINGS = Path(__file__).with_name("presets")
# How much is done and where, not how a trial is trained: a resumed search may change these.
MAY_CHANGE = frozenset(
    {
        "num_trials",
        "total_epochs",
        "repeat",
        "finalists",
        "control",
        "time_limit_s",
        "max_concurrent",
        "resources",
        "address",
        "benchmark_top",
        "benchmark_forms",
        "success",
        "stop_at",
        "faults",
        "trackers",
    }
)
# Settings that a space file may suggest; a settings file and the command line override them.
SUGGESTIBLE = (
    "sampler",
    "scheduler",
    "decide_by",
    "max_epochs",
    "num_trials",
    "repetitions",
    "success",
)


class SearchConfig(Settings):
    """All settings of a search; written to the run folder once resolved."""

    elsewhere: ClassVar[Mapping[str, str]] = MappingProxyType(
        dict.fromkeys(
            ("start_from", "limits", "presets", "model", "loss", "training"),
            "a key of the space file",
        )
    )
    remedies: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"corpus": "give --corpus FILE; `veer data demo` makes a corpus to try"}
    )

    corpus: CorpusConfig = Field(description="The corpus: a corpus.yaml, or its content.")
    teacher: Path | None = Field(
        None,
        description=f"The teacher: {TEACHER_FORMS}; none is needed where no trial distils.",
    )
    targets: TargetsConfig = Field(
        default_factory=TargetsConfig,
        description="How the targets of a teacher network are computed.",
    )
    space: Path = Field(description="The space: a YAML file, or a bundled name.")
    num_trials: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="Trials in all; null for 12, or for every config of a grid.",
    )
    repetitions: int = Field(
        1, ge=1, le=1000, description="How often a config may be run, each time with another seed."
    )
    time_limit_s: float | None = Field(
        None, gt=0, description="Seconds after which no epoch is started; null for no limit."
    )
    max_epochs: int = Field(27, ge=1, le=100_000, description="Epochs of a trial at most.")
    total_epochs: int | None = Field(
        None,
        ge=1,
        description="Epochs of all trials together after which the search ends, those of stopped "
        "trials counted in, those of repeats and controls not; null for no limit. Trials that run "
        "side by side may each finish one epoch more.",
    )
    repeat: int = Field(
        0,
        ge=0,
        le=1000,
        description="Other seeds that each of the best configs is run with at the end, to the "
        "last epoch; the best is then chosen by their mean.",
    )
    finalists: int = Field(
        3, ge=1, le=1000, description="Number of best configs that are repeated."
    )
    control: int = Field(
        0,
        ge=0,
        le=100_000,
        description="Trials, drawn from those that were stopped early, that are run once more, "
        "to the last epoch, for veer audit.",
    )
    max_concurrent: int | None = Field(
        None, ge=1, le=100_000, description="Trials at once; null for as many as the cluster fits."
    )
    scheduler: SchedulerConfig = Field(default_factory=SchedulerConfig)
    decide_by: DecisionKind = Field(
        "dprime",
        description="Figure by which early stopping, the sampler and the choice of finalists "
        "compare trials: veer; mean_of_last_k, the mean VEER of three epochs; dprime, the EER of "
        "normal distributions with the epoch's d'; blend, the mean of that and the VEER.",
    )
    objective: tuple[Goal, ...] = Field(
        ONE_GOAL,
        description="Goals, all to be low: veer, and costs of the student: cpu_latency, its time "
        "over the teacher's (one thread, batch 1), params, macs. With more than one the result "
        "is the front, and the sampler is tpe unless it is given.",
    )
    success: dict[str, Annotated[float, Field(gt=0, le=100)]] = Field(
        default_factory=dict,
        description="VEER in percent that meets a criterion, by its name: {target: 11}.",
    )
    stop_at: str | None = Field(
        None, description="Criterion of `success` that ends the search once a trial meets it."
    )
    width_scale: float = Field(
        1.0,
        gt=0,
        le=16,
        description="Factor on every student's hidden_dim, to the nearest multiple of 8: for a "
        "small corpus, the same models at reduced size.",
    )
    sampler: SamplerKind = Field(
        "guided",
        description="guided and tpe learn from results, guided also from what is known before; "
        "gp learns from complete trials; random does not learn; grid runs every config.",
    )
    learn_from: tuple[Path, ...] = Field(
        (),
        description="Folders of earlier runs. The order of their trials teaches the sampler "
        "guided, at a discount; corpus, teacher and epochs may differ.",
    )
    seed: int = Field(0, ge=0, lt=2**63, description="Seed of the search and of its trials.")
    resources: ResourceConfig = Field(default_factory=ResourceConfig)
    device: SearchDevice = Field(
        "auto", description="auto uses the GPU that a trial was given, else the CPU."
    )
    engine: EngineConfig = Field(
        default_factory=EngineConfig, description="How trials are computed, beside their configs."
    )
    faults: FaultConfig = Field(default_factory=FaultConfig)
    keep_best: int = Field(
        3, ge=1, le=10_000, description="Trials whose checkpoints are kept at the end."
    )
    benchmark_top: int = Field(
        3, ge=0, le=1000, description="Best trials benchmarked on the CPU at the end; 0 for none."
    )
    benchmark_forms: tuple[TimedForm, ...] = Field(
        (),
        description="Forms of deployment of these trials and of the teacher that are measured "
        "too, by speed, size and VEER: torch-compile, torch-compile-bf16, onnx, onnx-int8, "
        "onnx-int8-static.",
    )
    trackers: tuple[TrackerName, ...] = Field(
        (),
        description="Experiment trackers that the search is sent to, mlflow and wandb: "
        "docs/dashboards.md.",
    )
    address: str | None = Field(
        None, description="Ray cluster to join, such as 10.0.0.1:6379; null starts one here."
    )

    @property
    def target_pct(self) -> float | None:
        """VEER in percent that ends the search; None if there is no `stop_at`."""
        return None if self.stop_at is None else self.success[self.stop_at]

    @property
    def follow_ups(self) -> FollowUpPlan:
        """The follow-ups to run after the search's own trials."""
        return FollowUpPlan(
            repeat=self.repeat,
            finalists=self.finalists,
            control=self.control,
            seed=self.seed,
        )

    @model_validator(mode="before")
    @classmethod
    def _sampler_of_several_goals(cls, data: Any) -> Any:
        # The usual sampler compares trials by one figure.
        if isinstance(data, dict) and "sampler" not in data:
            goals = _split_text(data.get("objective", ONE_GOAL))
            if isinstance(goals, list | tuple) and len(goals) > 1:
                return {**data, "sampler": "tpe"}
        return data

    @field_validator("objective", mode="before")
    @classmethod
    def _texts(cls, objective: Any) -> Any:
        return _split_text(objective)

    @field_validator("objective")
    @classmethod
    def _has_veer(cls, objective: tuple[Goal, ...]) -> tuple[Goal, ...]:
        if VEER not in objective or len(objective) > len({*objective}):
            raise ValueError(
                f"must have {VEER}, and each goal once, got {', '.join(objective) or 'none'}"
            )
        if len(objective) > MOST_GOALS:
            raise ValueError(f"must be at most {MOST_GOALS} goals, got {len(objective)}")
        return objective

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        # A trial that reserves no GPU would share one with any number of others.
        if self.device == "cuda" and self.resources.gpu == 0:
            raise ValueError("device cuda needs resources.gpu above 0, got 0")
        if self.stop_at is not None and self.stop_at not in self.success:
            raise ValueError(
                f"stop_at must be a criterion of success, got {self.stop_at!r}"
                f"{did_you_mean(self.stop_at, self.success) or '; success has none'}"
            )
        if self.benchmark_top > self.keep_best:
            raise ValueError(
                "benchmark_top must be at most keep_best, the others' checkpoints are gone by "
                f"then, got benchmark_top={self.benchmark_top}, keep_best={self.keep_best}"
            )
        if self.benchmark_forms and not self.benchmark_top:
            raise ValueError(
                "benchmark_forms needs benchmark_top of at least 1, the trials whose forms are "
                "measured, got benchmark_top=0"
            )
        if self.repeat and self.finalists > self.keep_best:
            raise ValueError(
                "finalists must be at most keep_best, the others' checkpoints are not kept, got "
                f"finalists={self.finalists}, keep_best={self.keep_best}"
            )
        return self


def _split_text(goals: Any) -> Any:
    """Return `veer,cpu_latency`, as the command line gives it, as a list."""
    return [each.strip() for each in goals.split(",")] if isinstance(goals, str) else goals
