"""The size of a trial's checkpoint, found out without training and without its memory.

The trial's network, loss and optimizer are built on PyTorch's meta device, which holds nothing;
what `Trainer.state` would save is saved to nowhere, each tensor as one number, and the bytes of
the tensors are added.
"""

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from trainable.checkpoints.folder import saved_bytes
from trainable.checkpoints.model_file import CLASSIFIER_PREFIX, NETWORK_PREFIX, PROJECTIONS_PREFIX
from trainable.config.trial_config import TrialConfig
from trainable.cost.random_input_step import CPU, META, RandomInputStep, TeacherOrPlaceholder
from trainable.cost.step_memory import StepMemory
from trainable.machine.engine import DEFAULT_ENGINE, Engine, EngineConfig
from trainable.training.epoch_report import EpochReport

# Longer than the names of most corpora's speakers.
NAME_CHARS = 16
# What a loss has of stages at most, for the size of an epoch's report.
MOST_STAGES = 16


def weights_memory(
    config: TrialConfig,
    teacher: TeacherOrPlaceholder | None,
    *,
    num_speakers: int,
    device: torch.device = META,
    engine: EngineConfig = DEFAULT_ENGINE,  # noqa: ARG001 - as `step_memory`
) -> StepMemory:
    """The bytes of all tensors in a trial's checkpoint: most of it, and quick to find out.

    Args:
        config: The trial.
        teacher: Needed where the trial distils.
        num_speakers: Rows of the classifier, where the teacher's own are not needed.
        device: Makes no difference.
        engine: Makes no difference.

    Raises:
        TrainingError: The loss needs a teacher, or one of another kind.
    """
    del device
    step = _built(config, teacher, num_speakers)
    kept = sum(tensor.nbytes for tensor in _weights(step).values())
    moments = sum(2 * weight.nbytes for weight in _learnt(step))
    return StepMemory(kept + moments, True)


def checkpoint_memory(
    config: TrialConfig,
    teacher: TeacherOrPlaceholder | None,
    *,
    num_speakers: int,
    device: torch.device = META,
    engine: EngineConfig = DEFAULT_ENGINE,
) -> StepMemory:
    """The bytes of the file after a trial's last epoch.

    Exact but for the file's own table of contents, and for weights that no loss reaches (a branch
    with weight 0): they have no moments, and are counted with them.

    Args:
        config: The trial.
        teacher: Needed where the trial distils.
        num_speakers: Rows of the classifier, where the teacher's own are not needed.
        device: Makes no difference.
        engine: How the trial is computed.

    Raises:
        TrainingError: The loss needs a teacher, or one of another kind.
    """
    del device
    tensors: list[Tensor] = []

    def as_a_number(tensor: Tensor) -> Tensor:
        tensors.append(tensor)
        return torch.zeros((), dtype=tensor.dtype).expand(tensor.shape)

    state = _state(_built(config, teacher, num_speakers), config, engine)
    num_bytes = saved_bytes(tree_map_only(Tensor, as_a_number, state))
    num_bytes += sum(each.nbytes - each.element_size() for each in tensors)
    return StepMemory(num_bytes, True)


def _built(
    config: TrialConfig, teacher: TeacherOrPlaceholder | None, num_speakers: int
) -> RandomInputStep:
    try:
        return RandomInputStep(config, teacher, num_speakers, Engine(device=META))
    except (NotImplementedError, RuntimeError):
        # A network whose code reads values or fixes the device.
        return RandomInputStep(config, teacher, num_speakers, Engine(device=CPU))


def _weights(step: RandomInputStep) -> dict[str, Tensor]:
    """`model_state_dict`."""
    objective = step.objective
    parts = {
        NETWORK_PREFIX: step.student,
        CLASSIFIER_PREFIX: objective.classifier,
        PROJECTIONS_PREFIX: objective.projections,
    }
    return {
        prefix + name: tensor
        for prefix, part in parts.items()
        for name, tensor in part.state_dict().items()
    }


def _learnt(step: RandomInputStep) -> list[Tensor]:
    """The weights that the optimizer moves."""
    return [weight for group in step.step.optimizer.param_groups for weight in group["params"]]


def _state(step: RandomInputStep, config: TrialConfig, engine: EngineConfig) -> dict[str, Any]:
    """What `Trainer.state` gives after the last epoch."""
    optimizer = step.step.optimizer
    for weight in _learnt(step):
        moments = {"exp_avg": torch.empty_like(weight), "exp_avg_sq": torch.empty_like(weight)}
        optimizer.state[weight] = {"step": torch.zeros(()), **moments}
    epochs = range(config.training.max_epochs)
    num_speakers = step.objective.classifier.weight.shape[0]
    return {
        "model_state_dict": _weights(step),
        "optimizer_state_dict": optimizer.state_dict(),
        "scheduler_state_dict": {},
        "epoch": len(epochs),
        "veer": {
            "config": config.model_dump(mode="json"),
            "engine": engine.model_dump(mode="json"),
            "speakers": [f"{number:0{NAME_CHARS}d}" for number in range(num_speakers)],
            "history": [longest_report(epoch).as_dict() for epoch in epochs],
        },
    }


def longest_report(epoch: int) -> EpochReport:
    """A report with every field at its longest, for the size of a record."""
    number = 1 / 3 + epoch
    stages = tuple(number + k for k in range(MOST_STAGES))
    return EpochReport(
        epoch=epoch + 1, veer_pct=number, loss_total=number, loss_classification=number,
        loss_distillation=number, loss_reconstruction=number, distill_share=number,
        teacher_cosine=number, train_accuracy_pct=number, lr=number, samples_per_s=number,
        train_s=number, eval_s=number, classification_share=number, reconstruction_share=number,
        loss_stages=stages, stage_shares=stages, peak_memory_mib=number, overhead_share=number,
    )  # fmt: skip
