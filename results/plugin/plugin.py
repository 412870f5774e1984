"""Export of a trained model as a plug-in of voxceleb_trainer, complete in one folder."""

import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from models import CustomModelConfig, ModelConfig
from models.plain.one_file import one_file
from results.plugin.settings import (
    fork_settings,
    left_out,
    lr_decay,
    plain_settings,
    test_interval,
)
from spaces.files.atomic import replace_folder
from spaces.files.errors import CheckpointError, ConfigError, RunError
from spaces.files.yaml_file import yaml_text
from trainable.checkpoints.loading import LoadedModel, load_classifier
from trainable.config.trial_config import TrialConfig
from trainable.corpus.corpus import CorpusConfig
from trainable.foreign_models.graph_config import is_graph
from trainable.foreign_models.plugin import read_plugin
from trainable.teachers.any_teacher import is_plugin, is_stored

# Not the families' own names: the trainer has a ResNetSE34L already.
NAMES: Mapping[str, str] = {
    "mlp_mixer": "VeerMLPMixer",
    "mlp_mixer_free": "VeerMLPMixerFree",
    "mlp_mixer_hybrid": "VeerMLPMixerHybrid",
    "mlp_mixer_autoencoder": "VeerMLPMixerAutoencoder",
    "lstm_autoencoder": "VeerLSTMAutoencoder",
    "resnet_se34l": "VeerResNetSE34L",
    "ecapa_tdnn": "VeerECAPATDNN",
    "next_tdnn": "VeerNeXtTDNN",
    "campplus": "VeerCAMPPlus",
}
_DECODER = "decoder."
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginExport:
    """A model to export, and what is known of its training.

    Attributes:
        loaded: The model.
        corpus: Its corpus; None if it is unknown.
        teacher: Its teacher; None if there was none, or it is unknown.
        name: Name of the plug-in; None for that of the family.
    """

    loaded: LoadedModel
    corpus: CorpusConfig | None
    teacher: Path | None
    name: str | None = None

    @property
    def plugin(self) -> str:
        """The name of the plug-in.

        Raises:
            ConfigError: It is no name of a module, or the family is a class of the user's.
        """
        name = self.name or plugin_name(self.loaded.config.model)
        if not _NAME.fullmatch(name):
            raise ConfigError(f"--name must be a name of a Python module, got {name!r}")
        return name


def plugin_name(config: ModelConfig) -> str:
    """Return the name of a family's plug-in.

    Raises:
        ConfigError: The family is a class of the user's.
    """
    if isinstance(config, CustomModelConfig):
        raise ConfigError(
            f"model.family {config.family} is a class of your own: write its plug-in yourself, "
            f"for voxceleb_trainer can be exported only {', '.join(NAMES)}"
        )
    return NAMES[config.family]


def export_plugin(export: PluginExport, out: Path) -> list[Path]:
    """Write the folder; it appears complete, and replaces an earlier export only then.

    Args:
        export: The model.
        out: The folder. Its content is to be copied into the trainer's folder.

    Returns:
        The configs in the folder, relative to it.

    Raises:
        ConfigError: The family is a class of the user's, or the name is no name.
        RunError: The folder has other content.
        DiskFullError: The disk is full; an earlier export is kept.
    """
    files = _files(export)
    _check_replaceable(out, export.plugin, files)
    replace_folder(out, files)
    return [Path(name) for name in files if name.endswith(".yaml")]


def _files(export: PluginExport) -> dict[str, bytes]:
    """Return the content of each file, by path."""
    loaded, name = export.loaded, export.plugin
    trial, model = loaded.config, loaded.config.model
    weights = f"weights/{name}.model"
    plain = plain_settings(
        trial, export.corpus, name=name, num_speakers=len(loaded.speakers), weights=weights
    )
    fork = fork_settings(trial, _teacher_keys(export.teacher))
    without = left_out(trial, export.corpus, distils=False)
    texts = {
        f"models/{name}.py": one_file(model.family, model.model_dump(), _note(loaded)),
        f"configs/{name}.yaml": _config(trial, plain, without),
    }
    if fork:
        without = left_out(trial, export.corpus, distils=True)
        texts[f"configs/{name}_distillation.yaml"] = _config(trial, plain | fork, without)
    texts[f"{name}.md"] = _page(export, list(texts))
    return {path: text.encode() for path, text in texts.items()} | {weights: _weights(loaded)}


def _weights(loaded: LoadedModel) -> bytes:
    # The trainer adds the prefix of its network, and starts with a fresh optimizer.
    state = loaded.model.state_dict()
    own = {name: each for name, each in state.items() if not name.startswith(_DECODER)}
    file = io.BytesIO()
    torch.save({"model": own}, file)
    return file.getvalue()


def _note(loaded: LoadedModel) -> str:
    return (
        f"A model of voxceleb_trainer, written by Veer ({loaded.config.model.family}, epoch "
        f"{loaded.epoch}):\nwaveforms at 16 kHz in, embeddings of "
        f"{loaded.config.model.embedding_dim} dimensions out."
    )


def _config(trial: TrialConfig, settings: Mapping[str, Any], without: Mapping[str, Any]) -> str:
    training = trial.training
    decay = f"{training.lr_decay:g} every {training.lr_decay_every_epochs} epochs"
    if training.schedule != "step":
        decay = f"{training.schedule} to {training.final_lr_ratio:g} of lr"
    lines = [
        "# Written by Veer for voxceleb_trainer: python trainSpeakerNet.py --config FILE",
        "# Without initial_model the training starts from new weights.",
        f"# lr_decay: {decay} is {lr_decay(trial):g} every test_interval = "
        f"{test_interval(trial)}.",
        *(f"# Not in voxceleb_trainer: {name} {value}" for name, value in without.items()),
    ]
    return "\n".join(lines) + "\n" + yaml_text(settings)


def _page(export: PluginExport, paths: list[str]) -> str:
    name, loaded = export.plugin, export.loaded
    configs = [path for path in paths if path.endswith(".yaml")]
    return f"""\
# {name}

A model of Veer ({loaded.config.model.family}, epoch {loaded.epoch}) for voxceleb_trainer.

Copy this folder's content into the trainer's folder, then, from there:

    python trainSpeakerNet.py --eval --config {configs[0]}    # the EER of the weights
    python trainSpeakerNet.py --config {configs[0]}           # train on from the weights

{"`" + configs[1] + "` has the distillation keys of a fork of the trainer too." if configs[1:] else
 "The model was trained without distillation."}
"""


def _teacher_keys(teacher: Path | None) -> dict[str, str]:
    """Return the fork's keys of a teacher; none if it has no network or cannot be read."""
    if teacher is None or is_stored(teacher) or is_graph(teacher):
        return {}
    try:
        if is_plugin(teacher):
            plugin = read_plugin(teacher)
            return {"teacher_model": plugin.model, "teacher_checkpoint": str(plugin.weights)}
        name = plugin_name(load_classifier(teacher).config.model)
    except (CheckpointError, ConfigError):
        return {}
    # Where the files are once the teacher is exported too.
    return {"teacher_model": name, "teacher_checkpoint": f"weights/{name}.model"}


def _check_replaceable(out: Path, name: str, files: Iterable[str]) -> None:
    """Refuse a folder with anything in it that is not of an earlier export of this name."""
    if not out.exists():
        return
    known = {*files, f"configs/{name}_distillation.yaml"}
    inside = (each for each in out.rglob("*") if each.is_symlink() or not each.is_dir())
    others = sorted(str(each.relative_to(out)) for each in inside)
    if out.is_symlink() or not out.is_dir():
        others = [f"a file or a link, {out.name}"]
    if strange := [each for each in others if each not in known]:
        raise RunError(
            f"{out} must be a new folder, or have nothing but an earlier export of {name}, got "
            f"{strange[0]}; choose another folder, and copy its content from there"
        )
