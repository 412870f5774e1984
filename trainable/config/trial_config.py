"""The config of a trial and of a full training run.

Trials of a search, `veer train` and `veer teacher train` all use a `TrialConfig`.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from models import AnyModelConfig, MLPMixerConfig
from models.frontend import NUM_MELS
from spaces.effects import Needs, Neutral, effective_tree
from spaces.files.overrides import apply_overrides
from spaces.files.settings import Settings
from spaces.files.yaml_file import load_model, read_yaml
from spaces.stage_weights import normalise_weights
from trainable.config.loss_config import LossConfig
from trainable.config.needs import NEEDS, NEUTRAL, without_later_defaults
from trainable.config.teacher_forms import TEACHER_FORMS
from trainable.config.training_config import TrainingConfig
from trainable.corpus.corpus import CorpusConfig
from trainable.features.crop_bank import TargetsConfig
from trainable.machine.engine import EngineConfig

__all__ = ["LossConfig", "TrainRunConfig", "TrainingConfig", "TrialConfig", "read_train_config"]

# 48 bits: among 100,000 configs the chance of two equal hashes is 2e-5.
HASH_DIGITS = 12
class TrialConfig(Settings):
    """One trial: the model, its loss, its training, its seed.

    Attributes:
        needs: Conditions of settings that have an effect only with other settings. The canonical
            form and the conditions of a search space both come from it.
        neutral: Values of settings without effect in the canonical form; other settings without
            effect are left out.
    """

    needs: ClassVar[Needs] = NEEDS
    neutral: ClassVar[Neutral] = NEUTRAL

    model: AnyModelConfig = Field(default_factory=MLPMixerConfig)
    loss: LossConfig = Field(default_factory=LossConfig)
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    seed: int = Field(0, ge=0, lt=2**63, description="Seed of weights, order and crops.")

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.model.num_mels != NUM_MELS:
            raise ValueError(
                f"model.num_mels must be {NUM_MELS}, since that is what the front end makes and "
                f"the stores hold, got {self.model.num_mels}; leave it out"
            )
        if self.model.fixed_frames not in (None, self.training.crop_frames):
            raise ValueError(
                "model.num_frames must equal training.crop_frames, got "
                f"{self.model.fixed_frames} and {self.training.crop_frames}"
            )
        if self.loss.beta > 0 and not self.model.has_reconstruction:
            raise ValueError(
                f"loss.beta needs a model with a reconstruction branch, got "
                f"beta={self.loss.beta} with family {self.model.family}"
            )
        self._check_last_phase()
        return self

    def _check_last_phase(self) -> None:
        training = self.training
        if not training.last_phase_epochs:
            return
        if self.model.fixed_frames not in (None, training.last_crop_frames):
            raise ValueError(
                f"training.last_phase_crop_frames must be {self.model.fixed_frames} or 0, since "
                f"a model of the family {self.model.family} takes crops of one length, got "
                f"{training.last_phase_crop_frames}; leave it out, or take a family for crops of "
                "any length"
            )
        if not self.loss.classification_weight:
            raise ValueError(
                "training.last_phase_epochs needs a loss with classification before that phase, "
                f"which trains the classifier alone, got alpha={self.loss.alpha}"
            )

    def canonical(self) -> dict[str, Any]:
        """Return the config as plain data, without the parameters that have no effect in it.

        Two configs that mean the same have the same canonical form.
        """
        data = self.model_dump(mode="json")
        # Only ratios count, so weights with equal ratios must have equal hashes.
        data["loss"]["stage_weights"] = normalise_weights(self.loss.stage_weights)
        tree = effective_tree(data, self.needs, self.neutral)
        return without_later_defaults(tree, {"loss": LossConfig, "training": TrainingConfig})

    def config_hash(self) -> str:
        """Return the hash of the canonical form, 12 hexadecimal digits."""
        return _hash(self.canonical())

    def recipe_hash(self) -> str:
        """Return the hash without the seed: the same for repetitions of one config."""
        return _hash({key: value for key, value in self.canonical().items() if key != "seed"})

    def model_hash(self) -> str:
        """Return the hash of only the model: the same for trials of one architecture."""
        return _hash(self.canonical()["model"])


class TrainRunConfig(Settings):
    """The config of a single training run, as `veer train` reads and `veer export` writes it."""

    corpus: CorpusConfig = Field(description="Where the audio and its lists are.")
    teacher: Path | None = Field(
        None,
        description=f"The teacher: {TEACHER_FORMS}; needed for distillation only.",
    )
    teacher_sha256: str | None = Field(None, description="Hash that the teacher's file must have.")
    targets: TargetsConfig = Field(
        default_factory=TargetsConfig, description="How a network teacher's targets are computed."
    )
    init_from: Path | None = Field(
        None, description="Model file or run folder whose weights the training starts from."
    )
    trial: TrialConfig = Field(default_factory=TrialConfig)
    engine: EngineConfig = Field(default_factory=EngineConfig, description="How it is computed.")

    @model_validator(mode="after")
    def _teacher_is_named(self) -> Self:
        if self.trial.loss.distill_weight > 0 and self.teacher is None:
            raise ValueError(
                f"loss.distillation {self.trial.loss.distillation!r} needs a teacher: set "
                "`teacher` to a model file or folder, or loss.distillation to none"
            )
        return self


def read_train_config(path: Path, overrides: Sequence[str] = ()) -> TrainRunConfig:
    """Read a training run's YAML; relative paths count from the file's own folder.

    Args:
        path: The file.
        overrides: `dotted.key=value` assignments that replace settings of the file.

    Raises:
        ConfigError: The file breaks a rule; the message has file, line and fix.
    """
    # The recorded hash is that of the teacher in the file.
    if any(each.partition("=")[0].strip() == "teacher" for each in overrides):
        overrides = ["teacher_sha256=null", *overrides]
    config = load_model(TrainRunConfig, apply_overrides(read_yaml(path), overrides))
    base = path.resolve().parent
    files = {"teacher": config.teacher, "init_from": config.init_from}
    found = {name: None if file is None else base / file for name, file in files.items()}
    return config.model_copy(update={"corpus": config.corpus.resolved_against(base), **found})


def _hash(data: Mapping[str, Any]) -> str:
    # One text for equal configs: the hashes are compared across runs and versions.
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_DIGITS]
