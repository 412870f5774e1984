"""A model built from a class of the user's, and its check against the contract of all models.

Shapes: B batch, T frames, F mel bins, C channels, D embedding.
"""

import inspect
from collections.abc import Iterable

import torch
from pydantic import ValidationError
from torch import Tensor

from models.base import ModelConfig, ModelOutput, SpeakerModel
from models.custom_config import CustomModelConfig
from models.user_class import code_error, load_class
from spaces.files.complaints import Complaint, complaints, did_you_mean
from spaces.files.errors import ConfigError, VeerError

# More than 1, so that a model that drops or averages the batch dimension is noticed.
PROBE_BATCH = 2
# For a model that takes any length: 1 s, and a prime, which no stride or group divides.
PROBE_FRAMES = (100, 37)
# The arguments that every class receives.
REQUIRED_ARGUMENTS = ("num_mels", "embedding_dim")


def build_custom(config: CustomModelConfig) -> SpeakerModel:
    """Build a model from a file of the user's and check it on random input.

    If the class has an attribute `Config`, it is called with an instance of that; otherwise with
    the keys as keyword arguments.

    Raises:
        ConfigError: There is no permission, the class cannot be imported, it refuses its keys,
            its code raises an error, or the model breaks a rule of `check_contract`.
    """
    cls = load_class(config.family)
    try:
        own = getattr(cls, "Config", None)
        if own is None:
            _check_keywords(cls, config)
            model = cls(**config.arguments)
        else:
            model = cls(_own_config(own, config))
    except VeerError:  # from the checks of the keys, not from the user's code
        raise
    except Exception as error:
        raise code_error(config.family, "building it", error) from error
    check_contract(model, config)
    return model


def check_contract(model: SpeakerModel, config: CustomModelConfig) -> None:
    """Check that the rest of Veer can use a model; keep its mode and PyTorch's random state.

    Raises:
        ConfigError: A rule is broken, with the value; or the model's code raises an error.
    """
    for name, wanted in (
        ("embedding_dim", config.embedding_dim),
        ("num_frames", config.fixed_frames),
    ):
        got = getattr(model, name, None)
        if got != wanted:
            raise _breach(config, f"its {name} must be the config's, {wanted}, got {got!r}")
    lengths = PROBE_FRAMES if config.fixed_frames is None else (config.fixed_frames,)
    # A generator of its own: drawing from the global one would change training.
    generator = torch.Generator().manual_seed(0)
    # In evaluation mode, which does not change the running statistics of batch normalisations.
    was_training = model.training
    try:
        for num_frames in lengths:
            feat_BTF = torch.randn(PROBE_BATCH, num_frames, config.num_mels, generator=generator)
            _check_output(model.eval(), feat_BTF, config)
    finally:
        model.train(was_training)


def _own_config(own: object, config: CustomModelConfig) -> ModelConfig:
    if not (isinstance(own, type) and issubclass(own, ModelConfig)):
        raise _breach(config, f"its Config must inherit from models.ModelConfig, got {own!r}")
    data = {"family": config.family, **config.arguments}
    try:
        return own.model_validate(data)
    except ValidationError as error:
        raise _refusal(config, complaints(own, error, data)) from error


def _check_keywords(cls: type[SpeakerModel], config: CustomModelConfig) -> None:
    """Check a class without `Config` against its signature, before calling it.

    A `TypeError` of the call would name neither the nearest valid key nor the line of the config.
    """
    parameters = inspect.signature(cls).parameters
    if any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        return  # with **kwargs only the class itself can check its keys
    if missing := [name for name in REQUIRED_ARGUMENTS if name not in parameters]:
        raise _breach(
            config,
            f"its constructor must take {' and '.join(REQUIRED_ARGUMENTS)}, "
            f"and takes no {missing[0]}; or give it a Config",
        )
    faults = [
        Complaint(keys=(key,), text=f"unknown key{did_you_mean(key, parameters)}")
        for key in config.arguments
        if key not in parameters
    ]
    faults += [
        Complaint(keys=(name,), text="required, but not given")
        for name, each in parameters.items()
        if each.default is each.empty
        and each.kind is not each.VAR_POSITIONAL
        and name not in config.arguments
    ]
    if faults:
        raise _refusal(config, faults)


def _check_output(model: SpeakerModel, feat_BTF: Tensor, config: CustomModelConfig) -> None:
    crop = f"for crops of shape {tuple(feat_BTF.shape)}"
    try:
        # Forked, so that noise in the model does not change the random numbers of training.
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            output, plain = model(feat_BTF, with_stages=True), model(feat_BTF)
    except Exception as error:
        raise code_error(config.family, f"running it {crop}", error) from error
    for each in (output, plain):
        if not isinstance(each, ModelOutput):
            raise _breach(
                config, f"encode() must return a models.ModelOutput, got {type(each).__name__}"
            )
        _check_embedding(each.embedding_BD, crop, config)
    if plain.stages != ():
        raise _breach(
            config, f"stages must be () unless with_stages, got {len(plain.stages)} of them"
        )
    stages = output.stages
    if not isinstance(stages, tuple) or not all(_is_stage(each) for each in stages):
        got = _shapes(stages) if isinstance(stages, Iterable) else type(stages).__name__
        raise _breach(
            config,
            f"stages must be a tuple of tensors ({PROBE_BATCH}, T, C), got {got} {crop}",
        )


def _check_embedding(embedding_BD: object, crop: str, config: CustomModelConfig) -> None:
    wanted = (PROBE_BATCH, config.embedding_dim)
    if not isinstance(embedding_BD, Tensor) or embedding_BD.shape != wanted:
        raise _breach(
            config, f"its embedding must have shape {wanted}, got {_shapes([embedding_BD])} {crop}"
        )
    if not embedding_BD.isfinite().all():
        bad = embedding_BD[~embedding_BD.isfinite()][0].item()
        raise _breach(config, f"its embedding must be finite, got {bad} {crop}")


def _is_stage(stage: object) -> bool:
    return isinstance(stage, Tensor) and stage.ndim == 3 and len(stage) == PROBE_BATCH


def _shapes(values: Iterable[object]) -> str:
    return ", ".join(
        str(tuple(each.shape)) if isinstance(each, Tensor) else type(each).__name__
        for each in values
    )


def _breach(config: CustomModelConfig, text: str) -> ConfigError:
    return ConfigError(f"model.family {config.family}: {text}")


def _refusal(config: CustomModelConfig, faults: Iterable[Complaint]) -> ConfigError:
    lines = (Complaint(keys=("model", *fault.keys), text=fault.text) for fault in faults)
    return ConfigError("\n".join(f"{line} (family {config.family})" for line in lines))
