"""The one training loop: search trials, single runs, full retraining and teachers.

This module uses no Ray, no files and no screen. Device and data come from the caller.

Shapes: B batch, T frames, F mel bins, D embedding, K speakers.
"""

import math
import time
from contextlib import closing
from typing import Any

import numpy as np
import torch

from models import SpeakerModel, build_model, count_parameters
from spaces.files.errors import DivergedError, TrainingError
from trainable.config.eval_plan import EVERY_EPOCH
from trainable.config.trial_config import TrialConfig
from trainable.features.resident import crop_source
from trainable.features.training_data import TrainingData
from trainable.loss.objective import Objective
from trainable.loss.teacher_output import AnyTeacher
from trainable.machine.engine import (
    DEFAULT_ENGINE,
    EngineConfig,
    resolve_engine,
    set_determinism,
)
from trainable.machine.prefetch import prefetched
from trainable.machine.ranks import current_ranks
from trainable.report.epoch_report import EpochReport
from trainable.report.running_means import RunningMeans
from trainable.step.meter import epoch_meter
from trainable.step.schedule import StepSchedule
from trainable.step.step import TrainingStep
from trainable.store.tasks import ProgressCallback
from trainable.training.batches import Batches, CropReader
from trainable.training.last_phase import main_epochs
from trainable.training.resuming import require_same_run
from trainable.verification.evaluation import USUAL_FRAMES, Validation
from trainable.verification.score_evaluator import ScoreEvaluator
from trainable.verification.scores import MeasuredScores


class Trainer:
    """Trains one model, an epoch at a time.

    Weights, order of utterances and crops depend only on `config.seed` and the epoch's number,
    so a run that was stopped and restored gives the same results as an uninterrupted one.

    Args:
        config: The trial.
        data: The corpus, opened.
        teacher: Needed if the trial distils.
        device: Where to train.
        engine: Precision and compilation.
        resident_bytes: Device memory that log-mels may take; see `crop_source`.

    Attributes:
        config: The trial.
        model: The network being trained.
        objective: Its loss, with speaker centres and projections.
        step: The training step: optimizer, precision, clipping.
        schedule: Learning rate and margin of every step.
        epoch: Finished epochs.
        history: One report per finished epoch.
        num_params: Trainable parameters of the network, read from the built model.
        patience_epochs: Epochs without a better VEER that end the main phase; 0 unless it is set.
        eval_plan: The epochs that are evaluated; all unless it is set.
        ranks: The processes that train this model together; each has a trainer of its own.
        evaluation_progress: Called with (crops done, crops in total) while an epoch is evaluated.
        new_scores: Validation scores of the last epoch if this object trained it and no earlier
            epoch is as good; else None.
    """

    def __init__(
        self,
        config: TrialConfig,
        data: TrainingData,
        *,
        teacher: AnyTeacher | None = None,
        device: torch.device,
        engine: EngineConfig = DEFAULT_ENGINE,
        resident_bytes: float | None = None,
    ) -> None:
        self.config = config
        self.ranks = current_ranks()
        set_determinism(engine, device)
        self._engine = resolve_engine(engine, device)
        # With the precision that `auto` stands for here: a checkpoint may continue elsewhere.
        self.engine = engine.model_copy(update={"precision": self._engine.precision})
        self.device = device
        self.data = data
        # An incomplete batch is left out, so such an epoch would have no step.
        if len(data.train_row) < config.training.batch_size:
            raise TrainingError(
                "training.batch_size must be at most the number of training utterances "
                f"({len(data.train_row)}), got {config.training.batch_size}"
            )
        self.ranks.require_batch(config.training.batch_size)
        self._features = crop_source(data, device, resident_bytes)
        self._crops = CropReader(self._features, config.training.crop_frames, device)
        # Built with the CPU's generator, so the initial weights are the same on every device.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.model = build_model(config.model).to(device)
            self.objective = Objective(
                config.loss,
                self.model,
                None if teacher is None else teacher.to(device),
                speakers=data.speakers,
                probe_BTF=self._crops.read(np.zeros(1, np.int64), np.zeros(1, np.int64)).feat_BTF,
                ranks=self.ranks,
            )
        self.objective.to(device)
        self.num_params = count_parameters(self.model)
        steps = len(data.train_row) // config.training.batch_size
        self.step = TrainingStep(
            self.model,
            self.objective,
            config.training,
            self._engine,
            steps_per_epoch=steps,
            ranks=self.ranks,
        )
        self._batches = Batches(data, self._crops, self.objective, config.training, self.ranks)
        self.schedule = StepSchedule(config.training, config.loss, self.step, steps)
        self._validation = Validation(
            data,
            self._features,
            num_crops=config.training.eval_crops,
            crop_frames=self.model.num_frames or USUAL_FRAMES,
            ranks=self.ranks,
        )
        self._score_evaluator = ScoreEvaluator(data)
        self.eval_plan = EVERY_EPOCH
        self.evaluation_progress: ProgressCallback | None = None
        self.new_scores: MeasuredScores | None = None
        self.patience_epochs = 0
        self.epoch = 0
        self.history: list[EpochReport] = []

    @property
    def evaluated(self) -> SpeakerModel:
        """The network that is evaluated and kept; see `TrainingStep.evaluated`."""
        return self.step.evaluated

    def run_epoch(self) -> EpochReport:
        """Train one epoch, and evaluate if it is due.

        Returns:
            The epoch's report, also appended to `history`.

        Raises:
            DivergedError: Loss, weights or embeddings are NaN or infinite; the epoch is not
                counted.
        """
        self._begin_phase()
        started = time.perf_counter()
        sums = RunningMeans(skips=self._engine.scales_loss)
        meter = epoch_meter(self.device)
        # Seeded per epoch, so that a resumed run draws what an uninterrupted one would.
        rng = np.random.default_rng((self.config.seed, self.epoch))
        # From here only the prefetch thread uses `rng`: a NumPy generator is not thread-safe.
        with closing(prefetched(self._batches.epoch(rng), device=self.device)) as batches:
            for number, batch in enumerate(batches):
                self.schedule.before_step(self.epoch, number)
                sums.add(self.step.run(batch, meter))
        means = self.ranks.means(sums.means())
        if not math.isfinite(means["total"]):
            raise self._diverged(f"the loss became {means['total']}")
        # NaN gradients of the last step change the weights, but no loss is computed after it.
        if not self._is_finite():
            raise self._diverged("a weight became NaN or infinite")
        self.step.end_epoch()
        train_s = time.perf_counter() - started
        evaluated = self._evaluate()
        num_samples = sums.steps * self.config.training.batch_size
        report = EpochReport(
            epoch=self.epoch + 1,
            is_last_phase=self.objective.is_last_phase or None,
            **evaluated,
            **self.objective.summary(means),
            lr=self.schedule.lr,
            num_samples=num_samples,
            samples_per_s=num_samples / train_s,
            train_s=train_s,
            peak_memory_mib=meter.peak_mib,
            # Two clocks on a GPU: the steps can add up to a little more than `train_s`.
            overhead_share=max(0.0, 1.0 - meter.busy_s() / train_s),
        )
        self.epoch += 1
        self.history.append(report)
        return report

    @property
    def last_epoch(self) -> int:
        """Epochs of the whole training; fewer than planned where patience has ended it."""
        training = self.config.training
        main = main_epochs(training, self.history, self.patience_epochs)
        return main + training.last_phase_epochs

    def _begin_phase(self) -> None:
        training = self.config.training
        main = self.last_epoch - training.last_phase_epochs
        if not self.objective.is_last_phase and main <= self.epoch < self.last_epoch:
            self.step.begin_last_phase(is_new=self.epoch == main)
            self._crops.crop_frames = training.last_crop_frames

    def _evaluate(self) -> dict[str, Any]:
        """Evaluate the epoch being finished if it is due; return the report's fields about it."""
        self.new_scores, epoch = None, self.epoch + 1
        if not self.eval_plan.is_due(epoch):
            return {"veer_pct": None, "is_unevaluated": True}
        started = time.perf_counter()
        scores = self._validation.scores(self.evaluated, self._engine, self.evaluation_progress)
        if scores is None:
            raise self._diverged("an embedding of the validation list became NaN or infinite")
        best_pct, _ = min((each.rank_key for each in self.history), default=(math.inf, 0))
        fields, self.new_scores = self._score_evaluator.epoch_fields(scores, best_pct, epoch)
        return fields | {"eval_s": time.perf_counter() - started}

    def state(self) -> dict[str, Any]:
        """Return everything a restored run needs, in the layout of a voxceleb_trainer checkpoint.

        Names of the network's weights begin with `__S__.` and of the classifier's with `__L__.`,
        as in voxceleb_trainer; of the projections of multi-stage distillation with `__P__.`. With
        `training.ema_epochs` the first two are the averages, which every reader of the file takes;
        the weights that training continues with are in `veer.step`.
        """
        step = self.step.state()
        return {
            "model_state_dict": self.step.weights(),
            "optimizer_state_dict": step.pop("optimizer"),
            "scheduler_state_dict": self.schedule.state(self.epoch),
            "epoch": self.epoch,
            "veer": {
                "config": self.config.model_dump(mode="json"),
                "engine": self.engine.model_dump(mode="json"),
                "step": step,
                "speakers": list(self.data.speakers),
                "history": [report.as_dict() for report in self.history],
            },
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Load a state from `state`.

        Raises:
            TrainingError: It belongs to another config, other speakers or another engine.
        """
        veer = state["veer"]
        # All checks come first, so that a refused state changes nothing here.
        require_same_run(veer, self.config, self.data.speakers, self.engine)
        self.step.load_weights(state["model_state_dict"])
        self.step.load_state(veer["step"] | {"optimizer": state["optimizer_state_dict"]})
        # Scores of an earlier process are in the run's folder already.
        self.epoch, self.new_scores = state["epoch"], None
        self.history = [EpochReport(**report) for report in veer["history"]]

    def _diverged(self, what: str) -> DivergedError:
        lr = self.config.training.lr
        where = f"{what} in epoch {self.epoch + 1}"
        return DivergedError(f"{where}; lower training.lr (now {lr:g})")

    def _is_finite(self) -> bool:
        """Return whether all weights and batch statistics are finite, averaged ones too.

        The result is gathered on the device, so that the host waits for it only once.
        """
        tensors = [each for each in self.step.all_tensors() if each.is_floating_point()]
        return bool(torch.stack([tensor.isfinite().all() for tensor in tensors]).all())

