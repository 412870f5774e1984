"""The size of a trial's checkpoint, found without training and without the memory it would take.

The trial's network, loss and optimizer are built on PyTorch's meta device, which allocates
nothing. The state that `Trainer.state` would return is written to a file that only counts, with
each tensor replaced by one number, and the bytes of the tensors are added.
"""

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from models.shapes_only import META
from trainable.checkpoints.folder import saved_bytes
from trainable.config.trial_config import TrialConfig
from trainable.cost.random_input_step import CPU, RandomInputStep, TeacherOrPlaceholder
from trainable.cost.step_memory import StepMemory
from trainable.machine.engine import DEFAULT_ENGINE, Engine, EngineConfig
from trainable.report.column import kind_of
from trainable.report.epoch_report import EpochMetrics, EpochReport
from trainable.step.checkpoint_average import EARLIER
from trainable.step.optimizers import moments_of

# More characters than the speaker names of most corpora have.
NAME_CHARS = 16
# Upper bound of the number of stages, for the size of an epoch's report.
MOST_STAGES = 16


def weights_memory(
    config: TrialConfig,
    teacher: TeacherOrPlaceholder | None,
    *,
    num_speakers: int,
    device: torch.device = META,
    engine: EngineConfig = DEFAULT_ENGINE,  # noqa: ARG001 - as `step_memory`
) -> StepMemory:
    """Return the bytes of all tensors in a trial's checkpoint: a quick lower bound of its size.

    Args:
        config: The trial.
        teacher: Needed if the trial distils.
        num_speakers: Rows of the classifier, unless the loss uses the teacher's classifier.
        device: Ignored; it is here so that callers can swap this function and `step_memory`.
        engine: Ignored, like `device`.

    Raises:
        TrainingError: The loss needs a teacher, or the teacher does not fit the trial.
    """
    del device
    step = _built(config, teacher, num_speakers)
    besides = _weights_besides(step, config)[EARLIER]
    kept = sum(tensor.nbytes for tensor in step.step.all_tensors())
    kept += sum(tensor.nbytes for weights in besides for tensor in weights.values())
    num_moments = len(moments_of(config.training))
    moments = sum(num_moments * weight.nbytes for weight in _optimized(step))
    return StepMemory(kept + moments, True)


def checkpoint_memory(
    config: TrialConfig,
    teacher: TeacherOrPlaceholder | None,
    *,
    num_speakers: int,
    device: torch.device = META,
    engine: EngineConfig = DEFAULT_ENGINE,
) -> StepMemory:
    """Return the bytes of the checkpoint file after a trial's last epoch.

    Exact except for the file's directory, and for weights that get no gradient (a branch with
    weight 0): the optimizer has no moments for them, but they are counted with moments.

    Args:
        config: The trial.
        teacher: Needed if the trial distils.
        num_speakers: Rows of the classifier, unless the loss uses the teacher's classifier.
        device: Ignored, as in `weights_memory`.
        engine: The trial's; it is part of the saved state.

    Raises:
        TrainingError: The loss needs a teacher, or the teacher does not fit the trial.
    """
    del device
    tensors: list[Tensor] = []

    def as_one_number(tensor: Tensor) -> Tensor:
        tensors.append(tensor)
        # `torch.save` writes the storage of a view: one number, whatever the shape.
        return torch.zeros((), dtype=tensor.dtype).expand(tensor.shape)

    state = _state(_built(config, teacher, num_speakers), config, engine)
    num_bytes = saved_bytes(tree_map_only(Tensor, as_one_number, state))
    num_bytes += sum(each.nbytes - each.element_size() for each in tensors)
    return StepMemory(num_bytes, True)


def _built(
    config: TrialConfig, teacher: TeacherOrPlaceholder | None, num_speakers: int
) -> RandomInputStep:
    try:
        return RandomInputStep(config, teacher, num_speakers, Engine(device=META))
    except (NotImplementedError, RuntimeError):
        # The network's code reads values or fixes the device, so it cannot run on the meta device.
        return RandomInputStep(config, teacher, num_speakers, Engine(device=CPU))


def _optimized(step: RandomInputStep) -> list[Tensor]:
    """Return the weights that the optimizer updates."""
    return [weight for group in step.step.optimizer.param_groups for weight in group["params"]]


def _state(step: RandomInputStep, config: TrialConfig, engine: EngineConfig) -> dict[str, Any]:
    """Return a state like that of `Trainer.state` after the last epoch."""
    optimizer = step.step.optimizer
    for weight in _optimized(step):
        names = moments_of(config.training)
        # For `empty_like` on the meta device PyTorch imports SymPy.
        moments = torch.empty(
            (len(names), *weight.shape), dtype=weight.dtype, device=weight.device
        )
        by_name = dict(zip(names, moments, strict=True))
        optimizer.state[weight] = {"step": torch.zeros(()), **by_name}
    epochs = range(config.training.max_epochs)
    num_speakers = step.objective.classifier.weight.shape[0]
    return {
        "model_state_dict": step.step.weights(),
        "optimizer_state_dict": optimizer.state_dict(),
        "scheduler_state_dict": {},
        "epoch": len(epochs),
        "veer": {
            "config": config.model_dump(mode="json"),
            "engine": engine.model_dump(mode="json"),
            "step": _weights_besides(step, config),
            "speakers": [f"{number:0{NAME_CHARS}d}" for number in range(num_speakers)],
            "history": [longest_report(epoch).as_dict() for epoch in epochs],
        },
    }


def _weights_besides(step: RandomInputStep, config: TrialConfig) -> dict[str, Any]:
    """Return the weights that a checkpoint has besides those that are evaluated."""
    trained, training = step.step.trained_weights(), config.training
    # An average of epochs keeps the weights of each, the last ones being the trained ones.
    num_earlier = max(0, min(training.average_last, training.max_epochs) - 1)
    earlier = [
        {
            name: torch.empty(each.shape, dtype=each.dtype, device=each.device)
            for name, each in trained.items()
        }
        for _ in range(num_earlier)
    ]
    return {"trained_weights": trained, EARLIER: earlier}


def longest_report(epoch: int) -> EpochReport:
    """Return a report in which every number has the most digits, for the size of a record."""
    number = 1 / 3 + epoch
    of_kind = {float: number, int: 10**9, tuple: tuple(number + k for k in range(MOST_STAGES))}
    metrics = {name: of_kind[kind_of(field)] for name, field in EpochMetrics.model_fields.items()}
    return EpochReport(epoch=epoch + 1, veer_pct=number, **metrics)
