"""The config of a trial and of a full training run.

Trials of a search, `veer train` and `veer teacher train` all use a `TrialConfig`.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import Field, model_validator

from models import AnyModelConfig, MLPMixerConfig
from models.frontend import NUM_MELS
from spaces.effects import Needs, Neutral, effective_tree, only, unless
from spaces.files.complaints import config_classes_in
from spaces.files.overrides import apply_overrides
from spaces.files.settings import Settings
from spaces.files.yaml_file import load_model, read_yaml
from spaces.stage_weights import normalise_weights
from trainable.corpus.corpus import CorpusConfig
from trainable.features.crop_bank import TargetsConfig
from trainable.machine.engine import EngineConfig

# 48 bits: among 100,000 configs the chance of two equal hashes is 2e-5.
HASH_DIGITS = 12
# Tolerance for alpha + beta <= 1: sums such as 0.7 + 0.2 + 0.1 are not exactly 1 in binary.
ROUNDING = 1e-9
# Parameters that only some distillation losses have.
OWN_PARAMETERS: Mapping[str, frozenset[str]] = {
    "none": frozenset(),
    "mse": frozenset({"temperature"}),
    "cosine": frozenset(),
    "kl": frozenset({"temperature"}),
    "dkd": frozenset({"temperature", "target_weight", "nontarget_weight"}),
    "rkd": frozenset({"distance_weight", "angle_weight"}),
    "infonce": frozenset({"contrast_temperature"}),
}


def _needs() -> Needs:
    """Return the conditions of settings that have an effect only together with other settings."""
    own = sorted(frozenset[str]().union(*OWN_PARAMETERS.values()))
    kinds = {name: [kind for kind, has in OWN_PARAMETERS.items() if name in has] for name in own}
    without_decoder = [
        family
        for model in config_classes_in(AnyModelConfig)
        if getattr(model, "has_reconstruction", None) is False
        for family in get_args(model.model_fields["family"].annotation)
    ]
    return {
        "loss.alpha": (unless("loss.distillation", "none"),),
        "loss.distillation": (unless("loss.alpha", 0),),
        **{f"loss.{name}": (only("loss.distillation", *kinds[name]),) for name in own},
        "loss.stages": (unless("loss.distillation", "none"),),
        "loss.stage_weights": (unless("loss.stages", "none"),),
        "loss.beta": (unless("model.family", *without_decoder),),
        # Without beta the decoder is still built and run in training, but gets no gradient.
        "model.num_decoder_blocks": (unless("loss.beta", 0),),
        "training.mask_bins": (unless("training.num_masks", 0),),
        "training.mask_frames": (unless("training.num_masks", 0),),
        "training.lr_decay_every_epochs": (unless("training.lr_decay", 1),),
    }


class LossConfig(Settings):
    """The terms of the loss: (1-alpha-beta)*classification + alpha*distill + beta*reconstruct."""

    margin: float = Field(0.1, ge=0, le=1, description="AAM-softmax margin, radians.")
    scale: float = Field(30.0, gt=0, le=1000, description="AAM-softmax scale.")
    distillation: Literal["none", "mse", "cosine", "kl", "dkd", "rkd", "infonce"] = Field(
        "cosine",
        description="What student and teacher are compared by: embeddings (mse, cosine), "
        "embeddings within the batch (rkd, infonce), speaker labels (kl, dkd).",
    )
    alpha: float = Field(0.7, ge=0, le=1, description="Weight of the distillation term.")
    temperature: float = Field(
        4.0,
        gt=0,
        le=1000,
        description="mse is divided by its square; kl and dkd divide the logits by it.",
    )
    target_weight: float = Field(
        1.0, ge=0, le=1000, description="dkd: weight of the true speaker against all others."
    )
    nontarget_weight: float = Field(
        8.0, ge=0, le=1000, description="dkd: weight of the other speakers among each other."
    )
    distance_weight: float = Field(
        1.0, ge=0, le=1000, description="rkd: weight of the distances in the batch."
    )
    angle_weight: float = Field(
        2.0, ge=0, le=1000, description="rkd: weight of the angles in the batch."
    )
    contrast_temperature: float = Field(
        0.1, gt=0, le=1000, description="infonce: divides the cosines."
    )
    stages: Literal["none", "cosine"] = Field(
        "none",
        description="How blocks and layers are compared, pooled over time; the last stage, the "
        "embedding, is compared by `distillation`.",
    )
    stage_weights: tuple[Annotated[float, Field(ge=0, le=1000)], ...] = Field(
        (0.5, 0.5, 1.0, 1.0, 1.5, 1.5, 2.0),
        min_length=1,
        description="Weights of the student's stages, the embedding last; only ratios count. "
        "Another depth takes them by linear interpolation, so two numbers are a ramp.",
    )
    beta: float = Field(
        0.0, ge=0, lt=1, description="Weight of the reconstruction of the input (autoencoders)."
    )

    @property
    def distill_weight(self) -> float:
        """Alpha, or 0 without distillation."""
        return 0.0 if self.distillation == "none" else self.alpha

    @property
    def classification_weight(self) -> float:
        """1 minus the weights of distillation and reconstruction."""
        # Rounding can give a tiny negative number.
        return max(0.0, 1.0 - self.distill_weight - self.beta)

    @model_validator(mode="after")
    def _weights_fit(self) -> Self:
        if self.distill_weight + self.beta > 1 + ROUNDING:
            raise ValueError(
                f"alpha + beta must be at most 1, got alpha={self.alpha}, beta={self.beta}"
            )
        if not any(self.stage_weights):
            raise ValueError(f"stage_weights must not all be 0, got {list(self.stage_weights)}")
        return self

    def canonical(self) -> dict[str, Any]:
        """Return the loss as plain data, without settings that have no effect.

        See `TrialConfig.canonical`. Distillation of weight 0 becomes `none`; stage weights are
        divided by their sum.
        """
        data = {"loss": self.model_dump(mode="json")}
        data["loss"]["stage_weights"] = normalise_weights(self.stage_weights)
        loss: dict[str, Any] = effective_tree(data, TrialConfig.needs, TrialConfig.neutral)["loss"]
        return loss


class TrainingConfig(Settings):
    """How a model is trained; the defaults are those of the notes."""

    max_epochs: int = Field(100, ge=1, le=100_000, description="Epochs to train.")
    batch_size: int = Field(64, ge=2, le=65_536, description="Utterances per step.")
    lr: float = Field(1e-3, gt=0, le=10, description="Adam's learning rate at the start.")
    lr_decay: float = Field(
        0.95, gt=0, le=1, description="Factor on the learning rate every lr_decay_every_epochs."
    )
    lr_decay_every_epochs: int = Field(5, ge=1, description="Epochs between two decays.")
    weight_decay: float = Field(0.0, ge=0, le=1, description="Adam's L2 penalty.")
    max_grad_norm: float = Field(
        5.0, gt=0, description="A gradient with a larger norm is scaled down to this norm."
    )
    ema_epochs: float = Field(
        0.0,
        ge=0,
        le=1000,
        description="Time constant, in epochs, of the average of the weights that is evaluated "
        "and kept; 0 for the weights as they are.",
    )
    crop_frames: int = Field(200, ge=8, le=4000, description="Frames of a crop, 10 ms each.")
    num_masks: int = Field(
        0, ge=0, le=10, description="SpecAugment masks along each axis, on the trained model only."
    )
    mask_bins: int = Field(10, ge=0, le=256, description="Widest frequency mask, mel bins.")
    mask_frames: int = Field(20, ge=0, le=4000, description="Longest time mask, frames.")
    eval_crops: int = Field(
        2, ge=1, le=100, description="Crops per utterance for the VEER after each epoch."
    )
    eval_frames: int = Field(
        300, ge=1, le=10_000, description="Crop length of the final evaluation, frames of 10 ms."
    )
    full_eval_every_epochs: int = Field(
        10,
        ge=1,
        description="Epochs between two evaluations by voxceleb_trainer's protocol (veer train).",
    )


class TrialConfig(Settings):
    """One trial: the model, its loss, its training, its seed.

    Attributes:
        needs: Conditions of settings that have an effect only with other settings. The canonical
            form and the conditions of a search space both come from it.
        neutral: Values of settings without effect in the canonical form; other settings without
            effect are left out.
    """

    needs: ClassVar[Needs] = _needs()
    neutral: ClassVar[Neutral] = {"loss.distillation": "none"}

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
        return self

    def canonical(self) -> dict[str, Any]:
        """Return the config as plain data, without the parameters that have no effect in it.

        Two configs that mean the same have the same canonical form.
        """
        data = self.model_dump(mode="json")
        # Only ratios count, so weights with equal ratios must have equal hashes.
        data["loss"]["stage_weights"] = normalise_weights(self.loss.stage_weights)
        if not self.training.ema_epochs:
            # So that the configs of runs before there was an average keep their hashes.
            del data["training"]["ema_epochs"]
        return effective_tree(data, self.needs, self.neutral)

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
        description="The teacher: model file, run folder, .parquet of embeddings, or .yaml of a "
        "plug-in; needed for distillation only.",
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
    config = load_model(TrainRunConfig, apply_overrides(read_yaml(path), overrides))
    base = path.resolve().parent
    files = {"teacher": config.teacher, "init_from": config.init_from}
    found = {name: None if file is None else base / file for name, file in files.items()}
    return config.model_copy(update={"corpus": config.corpus.resolved_against(base), **found})


def _hash(data: Mapping[str, Any]) -> str:
    # One text for equal configs: the hashes are compared across runs and versions.
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_DIGITS]
