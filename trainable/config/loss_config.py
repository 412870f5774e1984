"""The terms of a trial's loss and their weights."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from spaces.effects import effective_tree
from spaces.files.settings import Settings
from spaces.stage_weights import normalise_weights
from trainable.config.needs import NEEDS, NEUTRAL, without_later_defaults

# Tolerance for alpha + beta <= 1: sums such as 0.7 + 0.2 + 0.1 are not exactly 1 in binary.
ROUNDING = 1e-9


class LossConfig(Settings):
    """The terms of the loss: (1-alpha-beta)*classification + alpha*distill + beta*reconstruct."""

    margin: float = Field(0.1, ge=0, le=1, description="AAM-softmax margin, radians.")
    margin_warmup_epochs: float = Field(
        0.0,
        ge=0,
        le=100_000,
        description="Epochs in which the margin rises, step by step, from `margin_initial` to "
        "`margin`; 0 for the whole margin at once.",
    )
    margin_initial: float = Field(
        0.0, ge=0, le=1, description="Margin before it rises, radians."
    )
    margin_rises_after: float = Field(
        0.0, ge=0, le=100_000, description="Epochs with `margin_initial` before it rises."
    )
    margin_rise: Literal["exponential", "linear"] = Field(
        "exponential",
        description="exponential: 1 - 0.001^x of the way at x of its epochs, so most of it at "
        "first; linear: x of the way.",
    )
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
        tree = effective_tree(data, NEEDS, NEUTRAL)
        loss: dict[str, Any] = without_later_defaults(tree, {"loss": LossConfig})["loss"]
        return loss
