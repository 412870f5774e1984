"""How a model is trained: batches, optimizer, schedules, averages, phases, evaluation."""

from typing import Literal, Self

from pydantic import Field, model_validator

from spaces.files.settings import Settings

# Utterances of which batch norm can compute a variance.
SMALLEST_PART = 2


class TrainingConfig(Settings):
    """How a model is trained; the defaults are those of the notes."""

    max_epochs: int = Field(100, ge=1, le=100_000, description="Epochs to train.")
    batch_size: int = Field(64, ge=2, le=65_536, description="Utterances per step.")
    accumulate_steps: int = Field(
        1,
        ge=1,
        le=4096,
        description="Parts of a batch that pass through the network one after the other, to need "
        "less memory; there is one update per batch.",
    )
    optimizer: Literal["adam", "adamw", "sgd"] = Field(
        "adam", description="adamw is Adam whose weight decay leaves the gradients alone."
    )
    momentum: float = Field(
        0.9, ge=0, lt=1, description="sgd: part of the last update in the next one."
    )
    nesterov: bool = Field(
        False, description="sgd: take the gradient's part of the momentum in advance."
    )
    lr: float = Field(
        1e-3, gt=0, le=10, description="Learning rate at the start, or after the warm-up."
    )
    schedule: Literal["step", "cosine", "exponential"] = Field(
        "step",
        description="How the learning rate falls: step by step every lr_decay_every_epochs, or in "
        "every step along a curve to final_lr_ratio.",
    )
    warmup_epochs: float = Field(
        0.0,
        ge=0,
        le=100_000,
        description="Epochs in which the learning rate rises from 0, in every step.",
    )
    final_lr_ratio: float = Field(
        0.01,
        gt=0,
        le=1,
        description="cosine, exponential: learning rate at the end, as a part of `lr`.",
    )
    lr_decay: float = Field(
        0.95, gt=0, le=1, description="Factor on the learning rate every lr_decay_every_epochs."
    )
    lr_decay_every_epochs: int = Field(5, ge=1, description="Epochs between two decays.")
    weight_decay: float = Field(
        0.0,
        ge=0,
        le=1,
        description="adam, sgd: L2 penalty, added to the gradient; adamw: every step takes this "
        "part of the weights off them, times the learning rate.",
    )
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
    average_last: int = Field(
        0,
        ge=0,
        le=100,
        description="Epochs whose weights at their end are averaged, the last ones so far; the "
        "average is evaluated and kept. 0 for the weights as they are.",
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
    patience_epochs: int = Field(
        0,
        ge=0,
        le=100_000,
        description="Epochs without a better VEER after which `veer train` ends, or begins the "
        "last phase; 0 for all epochs. Searches have their own early stopping.",
    )
    last_phase_epochs: int = Field(
        0,
        ge=0,
        le=100_000,
        description="Last epochs of max_epochs, in which a classifier with a large margin is "
        "trained: without augmented copies, masks and distillation.",
    )
    last_phase_crop_frames: int = Field(
        0,
        ge=0,
        le=10_000,
        description="Frames of a crop in the last phase; 0 for crop_frames.",
    )
    last_phase_margin: float = Field(
        0.5, ge=0, le=1, description="AAM-softmax margin in the last phase, radians."
    )
    last_phase_lr: float = Field(
        1e-4, gt=0, le=10, description="Learning rate in the last phase, constant."
    )

    @property
    def is_averaged(self) -> bool:
        """Whether an average of the weights is evaluated and kept."""
        return self.ema_epochs > 0 or self.average_last > 0

    @property
    def moves_lr_in_steps(self) -> bool:
        """Whether the learning rate changes within an epoch."""
        return self.schedule != "step" or self.warmup_epochs > 0

    @property
    def last_crop_frames(self) -> int:
        """Frames of a crop in the last phase."""
        return self.last_phase_crop_frames or self.crop_frames

    @property
    def longest_crop_frames(self) -> int:
        """Frames of the longest crop that is trained on."""
        return max(self.crop_frames, self.last_crop_frames if self.last_phase_epochs else 0)

    @property
    def planned_main_epochs(self) -> int:
        """Epochs before the last phase, unless it begins earlier by patience."""
        return self.max_epochs - self.last_phase_epochs

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.batch_size < SMALLEST_PART * self.accumulate_steps:
            raise ValueError(
                f"batch_size must be at least {SMALLEST_PART} * accumulate_steps, since batch "
                f"norm needs {SMALLEST_PART} utterances in a part, got batch_size="
                f"{self.batch_size}, accumulate_steps={self.accumulate_steps}"
            )
        if self.ema_epochs and self.average_last:
            raise ValueError(
                "ema_epochs or average_last must be 0, since both average the weights, got "
                f"ema_epochs={self.ema_epochs:g}, average_last={self.average_last}"
            )
        if self.nesterov and not self.momentum and self.optimizer == "sgd":
            raise ValueError("nesterov needs a momentum above 0, got nesterov=true, momentum=0")
        if self.last_phase_epochs >= self.max_epochs:
            raise ValueError(
                "last_phase_epochs must be below max_epochs, of which they are the last, got "
                f"last_phase_epochs={self.last_phase_epochs}, max_epochs={self.max_epochs}"
            )
        return self
