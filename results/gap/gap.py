"""Full trainings beside the trials whose configs they train: VEERs, epochs, ranks."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import combinations
from math import factorial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from results.analysis.run_view import RunView
from results.compare.parts import SEED_KEY, flatten_settings
from results.journal.history import TrialHistory
from spaces.files.errors import RunError
from trainable.checkpoints.folder import CheckpointFolder
from trainable.checkpoints.model_file import read_checkpoint
from trainable.config.trial_config import TrialConfig, read_train_config
from trainable.config.width_scale import WIDTH

Curve = tuple[tuple[int, float], ...]
_CONFIG = "config.yaml"
_WIDTH_KEY = f"model.{WIDTH}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FullTraining:
    """A full training, as its folder has it.

    Attributes:
        name: Its folder.
        trial: What was trained.
        history: The fields of each epoch's report.
        val_list: Its validation list.
    """

    name: str
    trial: TrialConfig
    history: Sequence[Mapping[str, Any]]
    val_list: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredVEER:
    """A VEER and where it was measured.

    Attributes:
        veer_pct: Percent.
        low_pct: Lower end of its 95 % interval; None without an interval.
        high_pct: Upper end.
        epoch: The epoch.
    """

    veer_pct: float
    low_pct: float | None
    high_pct: float | None
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GapRow:
    """One full training and its trial. The field names are keys of `veer gap --json`.

    Attributes:
        name: Folder of the full training.
        trial: Number of the trial.
        search_rank: Rank of the trial among all trials of the search.
        promised: Best VEER of the trial.
        same_epoch: VEER of the full training after as many epochs; None if not evaluated.
        full: Best VEER of the full training.
        full_rank: Rank among the full trainings.
        differences: Settings that differ: name, value in the search, value in full.
        promised_curve: Epoch and VEER of each evaluated epoch of the trial.
        full_curve: The same of the full training.
    """

    name: str
    trial: int
    search_rank: int
    promised: MeasuredVEER
    same_epoch: MeasuredVEER | None
    full: MeasuredVEER
    full_rank: int
    differences: tuple[tuple[str, Any, Any], ...]
    promised_curve: Curve
    full_curve: Curve


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """The gap between a search and full trainings, in the order of the search's ranks.

    Attributes:
        rows: The full trainings.
        num_pairs: Pairs of full trainings.
        num_swapped: Those in another order than in the search.
        num_clear: Those of them whose full VEERs have intervals that do not overlap.
        is_list_same: Whether all validation lists are one file; None if the search's is unknown.
    """

    rows: tuple[GapRow, ...]
    num_pairs: int
    num_swapped: int
    num_clear: int
    is_list_same: bool | None

    @property
    def num_orders(self) -> int:
        """In how many orders the trials can be: by chance the search's has one of these."""
        return factorial(len({row.trial for row in self.rows}))

    def as_dict(self) -> dict[str, Any]:
        """Return the gap as plain data, for JSON."""
        return asdict(self)


def read_full_training(folder: Path) -> FullTraining:
    """Read the folder of a training run.

    Raises:
        RunError: It is no such folder, or no epoch was evaluated yet.
        CheckpointError: Its newest model file is damaged.
        ConfigError: Its config cannot be read.
    """
    epochs = CheckpointFolder(folder).epochs()
    if not epochs or not (folder / _CONFIG).is_file():
        raise RunError(
            f"{folder} must be the folder of a training run, with {_CONFIG} and model files; "
            "veer train writes it"
        )
    config = read_train_config(folder / _CONFIG)
    state = read_checkpoint(CheckpointFolder(folder).file_of(epochs[-1]), is_mapped=True)
    history = state["veer"]["history"]
    if all(each["veer_pct"] is None for each in history):
        raise RunError(f"{folder}: no epoch was evaluated yet; wait for it")
    return FullTraining(
        name=str(folder), trial=config.trial, history=history, val_list=config.corpus.val_list
    )


def find_gap(view: RunView, trainings: Sequence[FullTraining]) -> Gap:
    """Compare full trainings with the trials of a search whose configs they train.

    Raises:
        RunError: The search has no trial with the sampled values of a training, or a training is
            given twice.
    """
    _require_different(trainings)
    trials = [_trial_of(view, training) for training in trainings]
    best = [_best(training.history) for training in trainings]
    order = sorted(range(len(best)), key=lambda number: (best[number].veer_pct, number))
    rows = [
        GapRow(
            name=training.name,
            trial=trial.trial,
            search_rank=1 + view.ranked.index(trial),
            promised=_promised(trial),
            same_epoch=_veer_at(training.history, _promised(trial).epoch),
            full=best[number],
            full_rank=1 + order.index(number),
            differences=_differences(trial, training),
            promised_curve=_curve([each.model_dump() for each in trial.in_order]),
            full_curve=_curve(training.history),
        )
        for number, (trial, training) in enumerate(zip(trials, trainings, strict=True))
    ]
    rows.sort(key=lambda row: row.search_rank)
    pairs = [pair for pair in combinations(rows, 2) if pair[0].trial != pair[1].trial]
    swapped = [(a, b) for a, b in pairs if a.full.veer_pct > b.full.veer_pct]
    return Gap(
        rows=tuple(rows),
        num_pairs=len(pairs),
        num_swapped=len(swapped),
        num_clear=sum(_is_clear(better.full, worse.full) for worse, better in swapped),
        is_list_same=_is_list_same(view, trainings),
    )


def _require_different(trainings: Sequence[FullTraining]) -> None:
    folders = Counter(Path(training.name).resolve() for training in trainings)
    folder, times = folders.most_common(1)[0]
    if times > 1:
        raise RunError(f"{folder} must be given once, got it {times} times")


def _trial_of(view: RunView, training: FullTraining) -> TrialHistory:
    """Return the best trial that has the sampled values of a training; its width may be scaled."""
    scaled = {_WIDTH_KEY} if view.settings.get("width_scale", 1) != 1 else set()
    own = flatten_settings(training.trial.model_dump(mode="json"))
    wrong: dict[int, list[str]] = {}
    for trial in view.ranked:
        names = [k for k, v in trial.params.items() if k not in scaled and own.get(k) != v]
        if not names:
            return trial
        wrong[trial.trial] = names
    if not wrong:
        raise RunError(f"{view.folder.path}: no trial has a rank yet")
    nearest = min(wrong, key=lambda number: len(wrong[number]))
    raise RunError(
        f"{training.name} must train the config of a trial of {view.folder.path}, got one that no "
        f"trial has; the nearest is trial {nearest}, with another {', '.join(wrong[nearest])}"
    )


def _differences(
    trial: TrialHistory, training: FullTraining
) -> tuple[tuple[str, Any, Any], ...]:
    recorded = trial.started.config
    # A config of another version of Veer is compared as it was written.
    with suppress(ValidationError):
        recorded = TrialConfig.model_validate(recorded).canonical()
    before, after = map(flatten_settings, (recorded, training.trial.canonical()))
    names = (name for name in before | after if name != SEED_KEY)
    changed = [(name, before.get(name), after.get(name)) for name in names]
    return tuple(each for each in changed if each[1] != each[2])


def _promised(trial: TrialHistory) -> MeasuredVEER:
    return _best([record.model_dump() for record in trial.epochs.values()])


def _best(history: Sequence[Mapping[str, Any]]) -> MeasuredVEER:
    measured = [each for each in history if each["veer_pct"] is not None]
    return _measured(min(measured, key=lambda each: (each["veer_pct"], each["epoch"])))


def _measured(report: Mapping[str, Any]) -> MeasuredVEER:
    return MeasuredVEER(
        veer_pct=report["veer_pct"],
        low_pct=report.get("veer_low_pct"),
        high_pct=report.get("veer_high_pct"),
        epoch=report["epoch"],
    )


def _curve(history: Sequence[Mapping[str, Any]]) -> Curve:
    return tuple(
        (each["epoch"], each["veer_pct"]) for each in history if each["veer_pct"] is not None
    )


def _veer_at(history: Sequence[Mapping[str, Any]], epoch: int) -> MeasuredVEER | None:
    report = next((each for each in history if each["epoch"] == epoch), None)
    return None if report is None or report["veer_pct"] is None else _measured(report)


def _is_clear(better: MeasuredVEER, worse: MeasuredVEER) -> bool:
    if better.high_pct is None or worse.low_pct is None:
        return False
    return better.high_pct < worse.low_pct


def _is_list_same(view: RunView, trainings: Sequence[FullTraining]) -> bool | None:
    recorded = (view.settings.get("corpus") or {}).get("val_list")
    if recorded is None:
        return None
    return {Path(recorded)} == {training.val_list for training in trainings}
