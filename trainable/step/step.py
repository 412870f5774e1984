"""One training step: forward, backward, clipping, update.

Search trials, full retraining, the memory estimate and the benchmark all use this step.
"""

from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from models import SpeakerModel
from trainable.checkpoints.model_file import (
    CLASSIFIER_PREFIX,
    NETWORK_PREFIX,
    PROJECTIONS_PREFIX,
    named_weights,
    part_of,
)
from trainable.config.trial_config import TrainingConfig
from trainable.loss.objective import Objective
from trainable.machine.engine import Engine, explain_step_error
from trainable.machine.ranks import ALONE, Ranks
from trainable.step.batch import Batch, parts_of
from trainable.step.captured import CapturedSteps
from trainable.step.checkpoint_average import make_average
from trainable.step.optimizers import form_of_update, make_optimizer, num_updates
from trainable.step.shared_loss import only_accumulating, shared_loss


class StepMeter(Protocol):
    """Measures steps: gets a call at three moments of each."""

    def begin(self) -> None:
        """Handle the start of a step."""

    def forward_done(self) -> None:
        """Handle the end of the forward pass, where most memory is in use."""

    def end(self) -> None:
        """Handle the end of a step, whose work may still be queued on the device."""


class TrainingStep:
    """A student, its objective and its optimizer, which together run training steps.

    Args:
        student: The network to train, on the engine's device.
        objective: Its loss, on the same device.
        config: Optimizer, clipping, accumulation and averaging are taken from it.
        engine: How to compute.
        steps_per_epoch: Steps of an epoch, which the averaging counts in.
        ranks: The processes that have a part of each batch; their gradients are averaged.

    Attributes:
        student: As given; in training mode after a step.
        objective: As given.
        optimizer: The optimizer over both.
        num_steps: Steps so far, including those that the loss scaler skipped.
    """

    def __init__(
        self,
        student: SpeakerModel,
        objective: Objective,
        config: TrainingConfig,
        engine: Engine,
        *,
        steps_per_epoch: int,
        ranks: Ranks = ALONE,
    ) -> None:
        self.student = student
        self.objective = objective
        self.num_steps = 0
        self._engine = engine
        # Only steps run the compiled form: evaluation has other shapes, and calls the student.
        self._make_loss = partial(
            shared_loss, student, objective, engine.compiled(student), ranks
        )
        self._loss, self._has_averaged = self._make_loss(), False
        self._parameters = [*student.parameters(), *objective.parameters()]
        self._config = config
        self._scaler = engine.scaler()
        self.optimizer = make_optimizer(self._parameters, config, engine)
        self._captured: CapturedSteps | None = None
        if engine.captures and ranks.is_alone:
            objective.keep_margin_on(engine.device)
            self._captured = CapturedSteps(
                self._queued, self._fixed_numbers, self._reset_after_capture, engine.device
            )
        self._average = make_average(config, [student, objective.classifier], steps_per_epoch)

    @property
    def evaluated(self) -> SpeakerModel:
        """The network that is evaluated and kept: the average of the student, if there is one."""
        if self._average is None:
            return self.student
        network: SpeakerModel = self._average.averaged[0]
        return network

    def weights(self) -> dict[str, Tensor]:
        """Return the weights that are kept, with the names that a checkpoint gives them."""
        return named_weights(self._kept_parts())

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Load weights from `weights`; where there is an average, `load_state` must follow."""
        for prefix, part in self._kept_parts().items():
            part.load_state_dict(part_of(weights, prefix))

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        """Load some of the weights before the first step, also as the start of an average."""
        self.load_weights(self.weights() | dict(weights))
        kept = self.weights()
        for prefix, part in self._trained_parts().items():
            part.load_state_dict(part_of(kept, prefix))

    def trained_weights(self) -> dict[str, Tensor]:
        """Return the weights that are averaged, as training continues with them; maybe none."""
        return named_weights(self._trained_parts()) if self._average else {}

    def all_tensors(self) -> list[Tensor]:
        """Return all weights and batch statistics, trained and averaged."""
        return [*self.weights().values(), *self.trained_weights().values()]

    def run(self, batch: Batch, meter: StepMeter | None = None) -> dict[str, Tensor]:
        """Run one step on a batch.

        Returns:
            The terms of the loss, as `Objective` names them, without gradients.

        Raises:
            TrainingError: The student cannot be compiled.
        """
        try:
            if meter:
                meter.begin()
            if self._captured and _is_capturable(self.objective, batch):
                terms = self._captured(batch)
            else:
                terms = self._queued(batch, meter)
            self.num_steps += 1
            if self._average is not None:
                self._average.update()
            if meter:
                meter.end()
        except RuntimeError as error:
            explain_step_error(error)
            raise
        return terms

    def end_epoch(self) -> None:
        """Take the weights into the average of epochs, if there is one; before evaluation."""
        if self._average is not None:
            self._average.end_epoch()

    def begin_last_phase(self, *, is_new: bool) -> None:
        """Continue with the classification alone.

        Args:
            is_new: Whether the phase begins now, so that training continues with the weights that
                are kept; false if it was restored.
        """
        if is_new and self._average is not None:
            for prefix, part in self._trained_parts().items():
                part.load_state_dict(self._kept_parts()[prefix].state_dict())
            self._average.restart()
        self.objective.begin_last_phase(self._config.last_phase_margin)
        # Anew, since other weights have gradients from here on.
        self._loss, self._has_averaged = self._make_loss(), False
        if self._captured:
            self._captured.forget()

    @property
    def num_skipped(self) -> int:
        """Steps without an update, as scaled gradients were not finite; waits for the device."""
        return self.num_steps - num_updates(self.optimizer)

    def state(self) -> dict[str, Any]:
        """Return what a restored run needs besides the weights that are kept.

        With an average these are the weights that training continues with: `trained_weights`.
        """
        state = {
            "optimizer": self.optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "num_steps": self.num_steps,
            "num_skipped": self.num_skipped,
        }
        if self._average is None:
            return state
        return state | self._average.state() | {"trained_weights": self.trained_weights()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Load a state from `state`.

        The implementation of the optimizer (fused or foreach) and where its learning rate is stay
        those for this device, whatever device the state was made on.
        """
        if self._average is not None:
            for prefix, part in self._trained_parts().items():
                part.load_state_dict(part_of(state["trained_weights"], prefix))
            self._average.load_state(state)
        form = form_of_update(self._config, self._engine)
        pairs = zip(
            state["optimizer"]["param_groups"], self.optimizer.param_groups, strict=True
        )
        groups = [group | form | {"lr": own["lr"]} for group, own in pairs]
        self.optimizer.load_state_dict(state["optimizer"] | {"param_groups": groups})
        if self._engine.scales_loss and state["scaler"]:
            self._scaler.load_state_dict(state["scaler"])
        if self._captured:
            self._captured.forget()
        self.num_steps = state["num_steps"]

    def _fixed_numbers(self) -> tuple[float, ...]:
        # Tensors are read anew by every replay.
        rates = (group["lr"] for group in self.optimizer.param_groups)
        return tuple(rate for rate in rates if not isinstance(rate, Tensor))

    def _reset_after_capture(self) -> None:
        # Their memory belongs to the recording.
        self.optimizer.zero_grad(set_to_none=True)
        if self._scaler.is_enabled():
            # The scaler keeps in mind that it has unscaled the gradients of this step.
            self._scaler._per_optimizer_states.clear()

    def _trained_parts(self) -> dict[str, nn.Module]:
        """Return the modules that are averaged, if there is an average, as they are trained."""
        return {NETWORK_PREFIX: self.student, CLASSIFIER_PREFIX: self.objective.classifier}

    def _kept_parts(self) -> dict[str, nn.Module]:
        trained = self._trained_parts()
        averaged = self._average.averaged if self._average else tuple(trained.values())
        # Only training uses the projections, so they have no average.
        return {
            **dict(zip(trained, averaged, strict=True)),
            PROJECTIONS_PREFIX: self.objective.projections,
        }

    def _queued(self, batch: Batch, meter: StepMeter | None = None) -> dict[str, Tensor]:
        """Queue a step on the device; nothing here waits for it."""
        before = self._copied_statistics()
        means: dict[str, Tensor] = {}
        parts = list(parts_of(batch, self._config.accumulate_steps))
        for number, (part, share) in enumerate(parts, start=1):
            # Of several processes the last part averages the gradients of all.
            only_adds = self._has_averaged and number < len(parts)
            with only_accumulating(self._loss) if only_adds else nullcontext():
                terms = self._losses(part)
                if meter:
                    meter.forward_done()
                if number == 1:
                    self.optimizer.zero_grad(set_to_none=True)
                total = terms["total"] if share == 1 else share * terms["total"]
                self._scaler.scale(total).backward()  # type: ignore[no-untyped-call]
            self._has_averaged = True
            for name, term in terms.items():
                mean = term.detach() if share == 1 else share * term.detach()
                means[name] = means[name] + mean if name in means else mean
        self._update(before)
        return means

    def _losses(self, batch: Batch) -> dict[str, Tensor]:
        # The evaluation after an epoch leaves the student in eval mode.
        self.student.train()
        terms: dict[str, Tensor] = self._loss(
            batch.seen_BTF, batch.crops, batch.speaker_B, autocast=self._engine.autocast()
        )
        return terms

    def _copied_statistics(self) -> list[tuple[Tensor, Tensor]]:
        """Return the student's statistics with copies, if a step of this engine may be skipped."""
        if not self._engine.scales_loss:
            return []
        buffers = (each for each in self.student.buffers() if each.is_floating_point())
        return [(each, each.clone()) for each in buffers]

    def _update(self, before: list[tuple[Tensor, Tensor]]) -> None:
        # max_grad_norm refers to the true gradients, so they are unscaled before clipping.
        self._scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(self._parameters, self._config.max_grad_norm)
        self._scaler.step(self.optimizer)
        self._scaler.update()
        # The scaler skips the update of a batch that overflowed, which batch normalisation has
        # counted in the forward pass already.
        for buffer, copy in before:
            buffer.copy_(torch.where(buffer.isfinite(), buffer, copy))


def _is_capturable(objective: Objective, batch: Batch) -> bool:
    """Return whether the device alone computes a step on this batch."""
    # Stored targets are looked up on the host, which the trainer does in advance.
    teacher = objective.teacher
    looks_up = teacher is not None and teacher.facts.crop_frames is not None
    return not looks_up or batch.crops.teacher_output is not None
