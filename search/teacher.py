"""The teacher of a search: its file, and its own VEER at the search's protocol."""

from collections.abc import Sequence
from pathlib import Path

from models import count_parameters
from results.history import latest
from results.journal import Journal, Record
from search.config import SearchConfig
from spaces.errors import ConfigError
from spaces.space import Space
from trainable.checkpoint import file_sha256, load_speaker_model, resolve_model_file
from trainable.config import TrialConfig
from trainable.data import TrainingData
from trainable.device import choose_device
from trainable.errors import RunError
from trainable.evaluation import validation_veer_pct

DISTILLATION = "loss.distillation"


def teacher_file(settings: SearchConfig, space: Space) -> Path | None:
    """The teacher's model file, None where the search has none.

    Raises:
        ConfigError: A trial may distil, and no teacher is named.
        CheckpointError: The file is missing.
    """
    if settings.teacher is not None:
        return resolve_model_file(settings.teacher)
    if may_distil(space):
        raise ConfigError(
            f"space {space.name} has trials that distil, which needs a teacher: give --teacher a "
            f"model file or folder, or fix {DISTILLATION} to none"
        )
    return None


def may_distil(space: Space) -> bool:
    """Whether a trial of this space can need a teacher."""
    for dimension in space.dimensions:
        if dimension.name == DISTILLATION:
            return any(choice != "none" for choice in dimension.extremes())
    return _first_config(space).loss.distill_weight > 0


def measure_teacher(
    file: Path,
    data: TrainingData,
    settings: SearchConfig,
    space: Space,
    journal: Journal,
    records: Sequence[Record],
) -> float:
    """The teacher's VEER in percent, measured once in a run and recorded.

    Raises:
        RunError: The teacher is not the one that the run began with.
    """
    sha256 = file_sha256(file)
    earlier = latest(records, "teacher")
    if earlier is not None:
        if earlier["sha256"] != sha256:
            raise RunError(
                f"{file} is not the teacher that this run began with (SHA-256 "
                f"{earlier['sha256'][:12]}, now {sha256[:12]}); restore it, or begin another run"
            )
        return float(earlier["veer_pct"])
    model = load_speaker_model(file).model
    veer_pct = validation_veer_pct(
        model.to(device := choose_device("cpu" if settings.device == "cpu" else "auto")),
        data,
        num_crops=_first_config(space).training.eval_crops,
        device=device,
    )
    num_params = count_parameters(model)
    journal.append(
        "teacher", path=file, veer_pct=veer_pct, num_params=num_params, sha256=sha256
    )
    return veer_pct


def _first_config(space: Space) -> TrialConfig:
    return TrialConfig.model_validate(
        space.tree(space.sample(lambda dimension: dimension.extremes()[0]))
    )
