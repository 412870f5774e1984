"""Which settings of a trial have an effect only with which others, and which came later."""

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel

from models import AnyModelConfig
from spaces.effects import Needs, Neutral, only, unless
from spaces.files.complaints import config_classes_in

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
_RAMP, _PHASE = unless("loss.margin_warmup_epochs", 0), unless("training.last_phase_epochs", 0)
_IS_SGD = only("training.optimizer", "sgd")
LATER_NEEDS: Needs = {
    "loss.margin_initial": (_RAMP,),
    "loss.margin_rises_after": (_RAMP,),
    "loss.margin_rise": (_RAMP,),
    "training.momentum": (_IS_SGD,),
    "training.nesterov": (_IS_SGD, unless("training.momentum", 0)),
    "training.final_lr_ratio": (unless("training.schedule", "step"),),
    # Two averages at once are refused, so that a space draws one or the other.
    "training.average_last": (only("training.ema_epochs", 0),),
    "training.last_phase_crop_frames": (_PHASE,),
    "training.last_phase_margin": (_PHASE,),
    "training.last_phase_lr": (_PHASE,),
}
# Settings that were added when there were runs already. At its default such a setting is left out
# of the canonical form, so that the configs of these runs keep their hashes.
ADDED_LATER = frozenset(
    {
        "loss.margin_warmup_epochs",
        "training.accumulate_steps",
        "training.average_last",
        "training.ema_epochs",
        "training.last_phase_epochs",
        "training.optimizer",
        "training.patience_epochs",
        "training.schedule",
        "training.warmup_epochs",
        *LATER_NEEDS,
    }
)


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
        "model.short_kernel": (only("model.light", False),),
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
        "training.lr_decay": (only("training.schedule", "step"),),
        "training.lr_decay_every_epochs": (unless("training.lr_decay", 1),),
        **LATER_NEEDS,
    }


NEEDS: Needs = _needs()
NEUTRAL: Neutral = {"loss.distillation": "none"}


def without_later_defaults(
    tree: dict[str, Any], parts: Mapping[str, type[BaseModel]]
) -> dict[str, Any]:
    """Return an effective tree without later settings that have their default.

    Args:
        tree: As `effective_tree` returns it; changed in place.
        parts: The class of each part of a trial config, by name.
    """
    for part, settings in parts.items():
        for name, field in settings.model_fields.items():
            values = tree[part]
            if f"{part}.{name}" in ADDED_LATER and values.get(name) == field.default:
                values.pop(name, None)
    return tree
