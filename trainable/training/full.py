"""A single training run: `veer train` and `veer teacher train`.

Adds to the training loop the files that voxceleb_trainer users know: checkpoints, the score log,
TensorBoard scalars. A run folder that holds a checkpoint is continued.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from models import SpeakerModel
from spaces.files.errors import ConfigError
from spaces.files.yaml_file import write_yaml
from trainable.checkpoints.folder import CheckpointFolder
from trainable.checkpoints.loading import load_speaker_model
from trainable.config.trial_config import TrainRunConfig
from trainable.corpus.corpus import read_trial_list
from trainable.features.training_data import TrainingData
from trainable.foreign_models.graph import teacher_digest
from trainable.loss.teacher_output import AnyTeacher, require_fit
from trainable.machine.cache_dir import cache_dir
from trainable.machine.ranks import Ranks, current_ranks
from trainable.machine.trial_lock import training_lock
from trainable.report.epoch_log import epoch_log
from trainable.report.epoch_report import EpochReport
from trainable.report.score_log import ScoreLog
from trainable.store.tasks import ProgressCallback
from trainable.teachers.any_teacher import is_plugin, open_teacher, plugin_facts, prepare_teacher
from trainable.training.last_phase import why_ended
from trainable.training.saved_epoch import run_saved_epoch, why_trained_inverted
from trainable.training.start import start_from
from trainable.training.thread_choice import ThreadChoice
from trainable.training.trainer import Trainer
from trainable.verification.evaluation import EvaluationResult, score_pairs
from trainable.verification.final import read_final_result, write_final_result


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """The result of a training run.

    Attributes:
        best: The epoch with the lowest VEER.
        last: The last epoch.
        best_file: Model file of the best epoch.
        final: Metrics of the best epoch on the validation list, under both protocols.
        resumed_from: Epochs that an earlier start had already trained.
        num_params: Trainable parameters of the network.
        why_ended: Why a phase of it ended early; None if none did.
    """

    best: EpochReport
    last: EpochReport
    best_file: Path
    final: EvaluationResult
    resumed_from: int
    num_params: int
    why_ended: str | None = None


class Watcher(Protocol):
    """Receives the events of a run, for example a progress bar."""

    def epoch(self, report: EpochReport) -> None:
        """Handle a finished epoch."""

    def evaluation(self, done: int, total: int) -> None:
        """Handle progress of an evaluation, in embedded utterances, or crops after an epoch."""

    def teacher(self, done: int, total: int) -> None:
        """Handle progress of the teacher, in utterances that it has embedded."""

    def print_line(self, text: str) -> None:
        """Handle a message that the user should read, such as a damaged checkpoint."""


def with_prepared_teacher(
    config: TrainRunConfig, data: TrainingData, out: Path, watcher: Watcher | None = None
) -> TrainRunConfig:
    """Return the run with `teacher` set to the file that is read.

    Of a plug-in, this is the file of its embeddings in `out`, which is made if needed; of a graph,
    the file of its facts there.

    Raises:
        VeerError: The teacher cannot be used; see `prepare_teacher`.
    """
    if config.teacher is None or config.trial.loss.distill_weight == 0:
        return config
    # Check before the plug-in embeds the corpus, which can take hours.
    if is_plugin(config.teacher):
        require_fit(
            config.trial.loss,
            plugin_facts(config.teacher),
            embedding_dim=config.trial.model.embedding_dim,
            crop_frames=config.trial.training.crop_frames,
            speakers=data.speakers,
        )
    progress = None if watcher is None else watcher.teacher
    file = prepare_teacher(config.teacher, config.corpus, data, out, progress=progress)
    return config.model_copy(update={"teacher": file})


def open_run_teacher(
    config: TrainRunConfig,
    data: TrainingData,
    device: torch.device,
    progress: ProgressCallback | None = None,
) -> AnyTeacher | None:
    """Open the teacher's file that a run names; return None if its loss uses no teacher.

    Args:
        config: The run.
        data: Its corpus, opened.
        device: Where a network embeds, if its targets are stored.
        progress: Called with (utterances done, utterances in total) while a network embeds.

    Raises:
        CheckpointError: The file is missing or damaged.
        ConfigError: It is not the file that was recorded.
        TrainingError: It is a file of embeddings that breaks a rule.
    """
    file = config.teacher
    if file is None or config.trial.loss.distill_weight == 0:
        return None
    if config.teacher_sha256 is not None and teacher_digest(file) != config.teacher_sha256:
        raise ConfigError(
            f"teacher_sha256 must match {file}, got {config.teacher_sha256}; the teacher has "
            "changed since: restore it, or remove teacher_sha256 to train with the new one"
        )
    bank = config.targets.bank(config.trial.training.crop_frames, device.type)
    return open_teacher(file, data, bank, cache_dir=cache_dir(), progress=progress)


def run_training(
    config: TrainRunConfig,
    data: TrainingData,
    out: Path,
    *,
    device: torch.device,
    watcher: Watcher | None = None,
    threads: ThreadChoice | None = None,
) -> TrainResult:
    """Train to the last epoch, continuing where the folder already holds a checkpoint.

    Several processes train together if `torch.distributed` is initialised: all call this with the
    same arguments and the same folder, in which the first one writes. Where no epoch was better
    for `patience_epochs`, the training ends, or its last phase begins; `result/phases.txt` has the
    line on it.

    Metrics by voxceleb_trainer's protocol go to `result/scores.txt` every
    `full_eval_every_epochs` epochs and after the last one. The best epoch's metrics by both
    protocols go to `result/final.json`. An evaluation that is missing because the run was
    stopped is done when the run continues.

    Args:
        config: The run.
        data: Its corpus, opened.
        out: The run's folder.
        device: Where to train.
        watcher: Receives every epoch, the progress of evaluations, and warnings. Of several
            processes, the first one alone has one.
        threads: Chooses the CPU threads; None leaves their number as it is, as several processes
            must: it is measured without the others.

    Raises:
        BusyError: Another training runs in the folder.
    """
    ranks = current_ranks()
    with ExitStack() as stack:
        with ranks.first_before_others():
            if ranks.is_first:
                stack.enter_context(training_lock(out, wait=not ranks.is_alone))
        return _run(config, data, out, device, watcher, threads)


def _run(
    config: TrainRunConfig,
    data: TrainingData,
    out: Path,
    device: torch.device,
    watcher: Watcher | None,
    threads: ThreadChoice | None,
) -> TrainResult:
    ranks = current_ranks()
    with ranks.first_before_others():
        config = with_prepared_teacher(config, data, out, watcher)
        progress = None if watcher is None else watcher.teacher
        teacher = open_run_teacher(config, data, device, progress)
    trainer = Trainer(config.trial, data, teacher=teacher, device=device, engine=config.engine)
    trainer.patience_epochs = config.trial.training.patience_epochs
    checkpoints = CheckpointFolder(out)
    with ranks.first_before_others():
        messages = checkpoints.restore(trainer)
    if config.init_from is not None and not trainer.epoch:
        messages.append(start_from(trainer, config.init_from, out))
    for message in messages:
        if watcher:
            watcher.print_line(message)
    resumed_from = trainer.epoch
    trainer.evaluation_progress = None if watcher is None else watcher.evaluation
    evaluations = _FullEvaluations(config, out, device, watcher)
    if ranks.is_first:
        write_yaml(out / "config.yaml", config.model_dump(mode="json", exclude_none=True))
    if threads and trainer.epoch < trainer.last_epoch:
        threads.begin(trainer)
        evaluations.scores.threads(threads.number, trainer.epoch + 1)
    # A run that was stopped between saving an epoch and evaluating it.
    evaluations.evaluate_if_due(trainer)
    with epoch_log(evaluations.scores, out, resumed_from, ranks) as log_epoch:
        while trainer.epoch < trainer.last_epoch:
            report = run_saved_epoch(trainer, out)
            log_epoch(report)
            if watcher:
                watcher.epoch(report)
            # Before the evaluation, which is starved too.
            if threads and threads.after_epoch(trainer, report.samples_per_s):
                evaluations.scores.threads(threads.number, trainer.epoch + 1)
            evaluations.evaluate_if_due(trainer)
    # Ties go to the earlier epoch, as in `CheckpointFolder`, which keeps only that file.
    best = min(trainer.history, key=lambda report: report.rank_key)
    why_early = why_ended(config.trial.training, trainer.history, trainer.patience_epochs)
    _log_phases(why_early, evaluations.scores, watcher, ranks)
    if watcher and (why := why_trained_inverted(trainer, trainer.epoch)):
        watcher.print_line(f"warning: {why}")
    final = evaluations.write_final_result(best.epoch)
    return TrainResult(
        best=best,
        last=trainer.history[-1],
        best_file=checkpoints.file_of(best.epoch),
        final=final,
        resumed_from=resumed_from,
        num_params=trainer.num_params,
        why_ended=why_early,
    )


def _log_phases(
    why: str | None, scores: ScoreLog, watcher: Watcher | None, ranks: Ranks
) -> None:
    if why is not None and ranks.is_first:
        scores.phase(why)
    if why is not None and watcher:
        watcher.print_line(why)


class _FullEvaluations:
    """The evaluations of a run by both protocols: done when due, logged, kept for the best."""

    def __init__(
        self, config: TrainRunConfig, out: Path, device: torch.device, watcher: Watcher | None
    ) -> None:
        self.scores = ScoreLog(out)
        self._config, self._out, self._device = config, out, device
        self._ranks = current_ranks()
        self._progress = None if watcher is None else watcher.evaluation
        self._results: dict[int, EvaluationResult] = {}

    def evaluate_if_due(self, trainer: Trainer) -> None:
        """Evaluate the model and log the metrics, if this epoch is due and not logged yet."""
        epoch = trainer.epoch
        every = self._config.trial.training.full_eval_every_epochs
        is_due = epoch > 0 and (epoch == trainer.last_epoch or epoch % every == 0)
        # The first process writes the log: another one could read it before or after that.
        if is_due and self._ranks.agreed(not self.scores.has_evaluation(epoch)):
            self._results[epoch] = self._evaluate(trainer.evaluated)
            if self._ranks.is_first:
                self.scores.evaluation(epoch, self._results[epoch])

    def write_final_result(self, best_epoch: int) -> EvaluationResult:
        """Write the best epoch's metrics; evaluate only if no earlier evaluation is available."""
        final = self._results.get(best_epoch) or read_final_result(self._out, best_epoch)
        if self._ranks.agreed(final is None):
            final = self._evaluate(load_speaker_model(self._out).model)
        assert final is not None  # noqa: S101 - the first process has found it on the disk
        if self._ranks.is_first:
            write_final_result(self._out, best_epoch, final)
        return final

    def _evaluate(self, model: SpeakerModel) -> EvaluationResult:
        corpus = self._config.corpus
        return score_pairs(
            model,
            corpus.val_dir,
            read_trial_list(corpus.val_list, corpus.val_dir, corpus.list_rules),
            eval_frames=self._config.trial.training.eval_frames,
            device=self._device,
            progress=self._progress,
        ).result
