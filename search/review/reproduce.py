"""The reproduction of a trial: computed again from its record, and compared epoch by epoch."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.user_code import code_root
from results.analysis.faults import counted
from results.analysis.run_view import RunView
from search.provenance.data_record import corpus_facts
from search.provenance.provenance import provenance
from search.review.epoch_comparison import (
    LOSS_TOLERANCE,
    EpochPair,
    first_difference,
    veer_tolerance_pct,
)
from search.review.recorded_trial import (
    RecordedTrial,
    TrialStart,
    condition_differences,
    recorded_trial,
)
from spaces.files.disk import translate_disk_full
from spaces.files.errors import DiskFullError, DivergedError, RunError
from spaces.files.yaml_file import write_yaml
from trainable.corpus.corpus import CorpusConfig
from trainable.features.training_data import load_training_data
from trainable.machine.cache_dir import cache_dir
from trainable.report.epoch_report import EpochReport
from trainable.training.ray_trial import CONFIG_FILE, build_trainer
from trainable.training.saved_epoch import run_saved_epoch
from trainable.training.trainer import Trainer
from trainable.training.trial_task import TrialTask, placement_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """The conditions of a reproduction that differ from the recorded ones.

    Attributes:
        epochs: Number of first epochs to compute; None for all.
        num_threads: CPU threads; None for the recorded number.
        device: `cpu` or `cuda`; None for the recorded kind.
        corpus: The corpus at another path; None for the recorded path.
        teacher: The teacher's file at another path; None for the recorded path.
    """

    epochs: int | None = None
    num_threads: int | None = None
    device: str | None = None
    corpus: CorpusConfig | None = None
    teacher: Path | None = None

    def trial_of(self, run: RunView, number: int) -> RecordedTrial:
        """Return the recorded trial with these epochs and paths.

        Raises:
            RunError: The trial, its lists or its teacher are missing or have changed.
        """
        trial = recorded_trial(run, number, corpus=self.corpus, teacher=self.teacher)
        return trial.first(self.epochs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """The result of computing a trial again.

    Attributes:
        trial: The number of the trial.
        pairs: Its epochs, as recorded and as computed again.
        differences: Differences in the conditions that may change a bit, a sentence each.
        veer_tolerance_pct: How far a VEER may differ under other conditions, percentage points.
        stopped: Why not all recorded epochs could be computed, else None.
        inexact: Why the same conditions may give other bits, else None.
    """

    trial: int
    pairs: tuple[EpochPair, ...]
    differences: tuple[str, ...]
    veer_tolerance_pct: float
    stopped: str | None = None
    inexact: str | None = None

    @property
    def is_exact(self) -> bool:
        """Whether every epoch is equal bit for bit."""
        return self.stopped is None and first_difference(self.pairs) is None

    @property
    def holds(self) -> bool:
        """Whether every epoch is equal: bit for bit, or where bits may differ within tolerance."""
        if self.stopped is not None:
            return False
        return self.is_exact or (self._may_differ and not self._beyond)

    @property
    def verdict(self) -> str:
        """The result in one sentence."""
        if self.stopped is not None:
            return f"not reproduced: {self.stopped}"
        count = counted(len(self.pairs), "epoch")
        if self.is_exact:
            return f"reproduced bit for bit: {count}"
        # Without another condition rounding is no excuse: any difference is a fault.
        if not self._may_differ:
            return (
                f"not reproduced: {first_difference(self.pairs)}; machine, versions, code and "
                "threads are the same, so the result must be equal bit for bit"
            )
        points = f"{self.veer_tolerance_pct:.3g} points of VEER"
        allowed = f"tolerance {points}, {LOSS_TOLERANCE:.0%} of the loss"
        if beyond := self._beyond:
            return f"not reproduced: {beyond[0]} ({allowed})"
        veer = max(abs(pair.veer_drift_pct) for pair in self.pairs)
        loss = max(abs(pair.relative_loss_drift) for pair in self.pairs)
        return (
            f"reproduced within the tolerance: {count}, VEER by at most {veer:.2f} points, loss "
            f"by at most {loss:.2%} ({allowed}); first {first_difference(self.pairs)}"
        )

    @property
    def _may_differ(self) -> bool:
        return bool(self.differences) or self.inexact is not None

    @property
    def _beyond(self) -> list[str]:
        tolerance_pct = self.veer_tolerance_pct
        return [text for pair in self.pairs for text in pair.beyond_tolerance(tolerance_pct)]


def reproduce(
    run: RunView,
    number: int,
    folder: Path,
    *,
    conditions: Conditions,
    watcher: Callable[[EpochReport], None] = lambda _: None,
) -> Reproduction:
    """Compute a trial again from scratch, and compare it with the journal.

    Args:
        run: The run.
        number: Number of the trial.
        folder: Folder for config and checkpoints; must be empty.
        conditions: Conditions that differ from the recorded ones.
        watcher: Called with the report of every epoch.

    Raises:
        RunError: The trial, its lists or its teacher are missing or have changed, or the folder is
            not empty.
        VeerError: Corpus, teacher or device cannot be used.
    """
    trial = conditions.trial_of(run, number)
    # Before the data are loaded, which may take minutes.
    make_output_folder(folder)
    data = load_training_data(trial.corpus, cache_dir=cache_dir())
    task = _task(trial, folder, conditions)
    # Before the trainer, which may set a variable of the libraries that only workers set.
    origin = provenance()
    # Built by the workers' own function, so that it cannot differ from theirs.
    trainer = build_trainer(task)
    write_yaml(folder / CONFIG_FILE, trainer.config.canonical())
    now = TrialStart(placement=placement_of(task, trainer), provenance=origin)
    stores = corpus_facts(trial.corpus, data)["stores"]
    differences = condition_differences(trial, run.records, now, stores)
    pairs, stopped = _run_again(trial, trainer, folder, watcher)
    return Reproduction(
        trial=number,
        pairs=tuple(pairs),
        differences=tuple(differences),
        veer_tolerance_pct=veer_tolerance_pct(data.val_is_target),
        stopped=stopped,
        inexact=_inexact(trainer),
    )


def make_output_folder(folder: Path) -> None:
    """Create the folder for a reproduction.

    Raises:
        RunError: The folder is not empty, or cannot be created.
        DiskFullError: The disk is full.
    """
    try:
        with translate_disk_full(folder):
            folder.mkdir(parents=True, exist_ok=True)
        is_empty = not any(folder.iterdir())
    except DiskFullError:
        raise
    except OSError as error:
        raise RunError(
            f"{folder}: cannot be created or read: {error.strerror or error}; give --out a new "
            "folder"
        ) from error
    if not is_empty:
        raise RunError(f"{folder} is not empty; give --out a new folder")


def _inexact(trainer: Trainer) -> str | None:
    """Return why another run of a trainer may give other bits; None if it may not."""
    if trainer.device.type == "cpu" or trainer.engine.deterministic:
        return None
    return "on a GPU some kernels add in no fixed order, and engine.deterministic is off"


def _task(trial: RecordedTrial, folder: Path, conditions: Conditions) -> TrialTask:
    device = conditions.device or trial.device
    engine, targets_device = trial.engine, trial.targets_device
    if device != trial.device:
        # The other kind of device may not have the recorded precision.
        engine, targets_device = engine.model_copy(update={"precision": "auto"}), device
    return TrialTask(
        trial=trial.history.trial,
        config=trial.history.started.config,
        folder=folder,
        corpus=trial.corpus,
        cache_dir=cache_dir(),
        teacher=trial.teacher,
        targets=trial.targets,
        targets_device=targets_device,
        device=device,
        # The recorded number: another one sums in another order, and so rounds differently.
        num_threads=conditions.num_threads or trial.num_threads,
        num_gpus=float(device != "cpu"),
        code_root=code_root(),
        engine=engine,
        eval_plan=trial.eval_plan,
    )


def _run_again(
    trial: RecordedTrial,
    trainer: Trainer,
    folder: Path,
    watcher: Callable[[EpochReport], None],
) -> tuple[list[EpochPair], str | None]:
    """Return the epochs and, if they are fewer than recorded, the reason."""
    pairs: list[EpochPair] = []
    for recorded in trial.history.in_order:
        try:
            report = run_saved_epoch(trainer, folder)
        except DivergedError as error:
            veer_pct = recorded.veer_pct
            known = "an epoch without VEER" if veer_pct is None else f"a VEER of {veer_pct} %"
            return pairs, f"{error}, where {known} is recorded"
        watcher(report)
        again = _journal_values(report, trainer)
        pairs.append(EpochPair(recorded=recorded.as_dict(), again=again))
    return pairs, None


def _journal_values(report: EpochReport, trainer: Trainer) -> Mapping[str, Any]:
    """Return an epoch as the journal records it: in JSON's types, NaN and infinity as None."""
    values = report.as_dict() | {"num_params": trainer.num_params}
    # Through JSON, as the recorded values went: tuples become lists, floats keep all digits.
    return dict(json.loads(json.dumps(values), parse_constant=lambda _: None))
