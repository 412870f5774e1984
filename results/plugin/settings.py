"""The flat YAML settings of voxceleb_trainer for a trial, and what they cannot express.

Types matter there: a value is cast by the type of the script's argument, so that no key may be
null, and flags without a type (`eval`, `distributed`, `mixedprec`) cannot be in the file at all.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.frontend import NUM_MELS
from trainable.config.trial_config import TrialConfig
from trainable.corpus.corpus import CorpusConfig

# More than any speaker has: Veer trains on every utterance.
ALL_UTTERANCES = 1_000_000
# Settings of Veer that are in the files by another name, or that are of Veer's evaluation alone.
_EXPRESSED = frozenset(
    {
        "loss.margin",
        "loss.scale",
        "training.max_epochs",
        "training.batch_size",
        "training.lr",
        "training.lr_decay",
        "training.lr_decay_every_epochs",
        "training.weight_decay",
        "training.crop_frames",
        "training.eval_crops",
        "training.eval_frames",
        "training.full_eval_every_epochs",
    }
)
# Settings that only the fork's file has.
_DISTILLATION = {
    "loss.alpha": "distillation_alpha",
    "loss.temperature": "distillation_temperature",
    "loss.distillation": "distillation_type",
}
_SIZES = ("hidden_dim", "num_blocks", "expansion_factor", "groups")
# A setting with such a value has no effect.
_OFF = (None, False, 0, 0.0, "none")


def plain_settings(
    trial: TrialConfig, corpus: CorpusConfig | None, *, name: str, num_speakers: int, weights: str
) -> dict[str, Any]:
    """Return the settings by the trainer's key names.

    Args:
        trial: The trial.
        corpus: Its corpus; None if it is unknown, and its paths are left to the trainer.
        name: Name of the plug-in.
        num_speakers: Training speakers.
        weights: Path of the weights from the trainer's folder.
    """
    training = trial.training
    settings: dict[str, Any] = {
        "model": name,
        "initial_model": weights,
        "save_path": f"exps/{name}",
        "nOut": trial.model.embedding_dim,
        "n_mels": NUM_MELS,
        "log_input": True,
        "max_frames": training.crop_frames,
        "eval_frames": training.eval_frames,
        "batch_size": training.batch_size,
        "max_seg_per_spk": ALL_UTTERANCES,
        "seed": trial.seed,
        "test_interval": test_interval(trial),
        "max_epoch": training.max_epochs,
        # AdamW is named among what is left out.
        "optimizer": "sgd" if training.optimizer == "sgd" else "adam",
        "scheduler": "steplr",
        "lr": training.lr,
        "lr_decay": lr_decay(trial),
        "weight_decay": training.weight_decay,
        "trainfunc": "aamsoftmax",
        "margin": trial.loss.margin,
        "scale": trial.loss.scale,
        "nPerSpeaker": 1,
        # A model from elsewhere has no list of its speakers.
        **({"nClasses": num_speakers} if num_speakers else {}),
    }
    if (encoder := getattr(trial.model, "encoder_type", None)) is not None:
        settings["encoder_type"] = encoder
    return settings | ({} if corpus is None else _corpus_settings(corpus))


def fork_settings(trial: TrialConfig, teacher: Mapping[str, str]) -> dict[str, Any]:
    """Return the keys that the fork adds for distillation; none for a trial without.

    Args:
        trial: The trial.
        teacher: The keys of its teacher, as far as it is known.
    """
    if not trial.loss.distill_weight:
        return {}
    canonical = _flat(trial)
    return {
        **teacher,
        **{key: canonical[own] for own, key in _DISTILLATION.items() if own in canonical},
        **{key: size for key in _SIZES if (size := getattr(trial.model, key, None)) is not None},
    }


def test_interval(trial: TrialConfig) -> int:
    """Return the epochs between two evaluations, a divisor of all epochs.

    The trainer evaluates and saves where the interval divides the epoch, and so loses the epochs
    after the last such one.
    """
    training = trial.training
    most = min(training.full_eval_every_epochs, training.max_epochs)
    return next(n for n in range(most, 0, -1) if training.max_epochs % n == 0)


def lr_decay(trial: TrialConfig) -> float:
    """Return the factor on the learning rate every `test_interval` epochs.

    There the interval of the evaluations is the step of the schedule too, so the factor is
    converted from the epochs between two decays to those between two evaluations. A schedule along
    a curve becomes steps to the same end.
    """
    training = trial.training
    interval = test_interval(trial)
    if training.schedule != "step":
        return float(training.final_lr_ratio ** (interval / training.max_epochs))
    return float(training.lr_decay ** (interval / training.lr_decay_every_epochs))


def left_out(trial: TrialConfig, corpus: CorpusConfig | None, *, distils: bool) -> dict[str, Any]:
    """Return the settings that have an effect and no key in the trainer, by dotted name.

    Args:
        trial: The trial.
        corpus: Its corpus, if known.
        distils: Whether the keys of the fork express the distillation.
    """
    expressed = _EXPRESSED | (_DISTILLATION.keys() if distils else set())
    if trial.training.optimizer == "sgd":
        expressed |= {"training.optimizer"}
    found = {
        name: value
        for name, value in _flat(trial).items()
        if name.startswith(("loss.", "training.")) and name not in expressed and value not in _OFF
    }
    if corpus is not None and corpus.augmentation.copies and not _augments(corpus):
        found["augmentation.copies"] = corpus.augmentation.copies
    if corpus is not None and corpus.speed_factors:
        found["speed_factors"] = list(corpus.speed_factors)
    if corpus is not None and corpus.format != "veer":
        # The trainer reads lists in Veer's format, which is its own.
        found["format"] = corpus.format
    return found


def _flat(trial: TrialConfig) -> dict[str, Any]:
    """Return the settings that have an effect, by dotted name."""
    sections = {k: v for k, v in trial.canonical().items() if isinstance(v, dict)}
    return {f"{name}.{key}": each for name, v in sections.items() for key, each in v.items()}


def _augments(corpus: CorpusConfig) -> bool:
    """Return whether the trainer can augment as this corpus: it knows real sounds only."""
    augmentation = corpus.augmentation
    return bool(augmentation.copies and augmentation.musan_dir and augmentation.rir_dir)


def _corpus_settings(corpus: CorpusConfig) -> dict[str, Any]:
    paths: dict[str, Path | None] = {
        "train_list": corpus.train_list,
        "train_path": corpus.train_dir,
        "test_list": corpus.val_list,
        "test_path": corpus.val_dir,
    }
    augments = _augments(corpus)
    if augments:
        paths["musan_path"] = corpus.augmentation.musan_dir
        paths["rir_path"] = corpus.augmentation.rir_dir
    return {name: str(path) for name, path in paths.items()} | {"augment": augments}
