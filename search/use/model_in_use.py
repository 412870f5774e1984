"""A model opened for use on audio, with the calibration that gives its scores a meaning.

Shapes: P trial pairs.
"""

from dataclasses import dataclass
from pathlib import Path

import torch

from results.export.trial_calibration import (
    calibration_from_search,
    calibration_from_validation,
)
from results.terminal.trial import find_trial
from search.review.model_source import ModelSource, find_model
from spaces.files.errors import ConfigError, CorpusError, DamagedError, TrainingError
from trainable.calibration.calibration import (
    CALIBRATION_FILE,
    Calibration,
    read_calibration,
)
from trainable.checkpoints.folder import MODEL_FOLDER
from trainable.corpus.corpus import CorpusConfig, read_trial_list
from trainable.embedding.embedder import CropPlan, Embedder, NetworkEmbedder
from trainable.embedding.graph_embedder import GraphEmbedder, is_graph_file
from trainable.lists.pair_index import PairIndex
from trainable.lists.speakers import speakers_in_list
from trainable.verification.bootstrap import SpeakerPairs
from trainable.verification.final import known_speaker_pairs
from trainable.verification.scores import SCORES_FILE, read_scores


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModelInUse:
    """A model that embeds audio.

    Attributes:
        path: As it was named.
        embedder: From waveforms to embeddings.
        source: Where it comes from; None for a graph in a file, of which nothing more is known.
    """

    path: Path
    embedder: Embedder
    source: ModelSource | None

    @property
    def calibration_file(self) -> Path:
        """Where its calibration is stored: in the folder of its run or export, or beside it."""
        if self.source is None:
            return _beside(self.path)
        if self.source.run is not None and self.source.trial is not None:
            return self.source.run.folder.trial(self.source.trial) / CALIBRATION_FILE
        file = self.source.loaded.file
        if file.suffix == ".safetensors":
            return file.parent / CALIBRATION_FILE
        if file.absolute().parent.name == MODEL_FOLDER:
            return file.absolute().parent.parent / CALIBRATION_FILE
        return _beside(file)


def open_model(path: Path, device: torch.device, trial: int | None = None) -> ModelInUse:
    """Open a model file, an exported folder, the best model of a run folder, or an ONNX graph.

    Raises:
        VeerError: There is no such model; see `find_model`.
    """
    if is_graph_file(path):
        if trial is not None:
            raise ConfigError(f"--trial {trial} needs the run folder of a search, got {path}")
        return ModelInUse(path=path, embedder=GraphEmbedder(path), source=None)
    source = find_model(path, trial)
    return ModelInUse(
        path=path, embedder=NetworkEmbedder(source.loaded.model, device), source=source
    )


def find_calibration(
    model: ModelInUse, given: Path | None = None
) -> tuple[Calibration | None, str]:
    """Return the calibration of a model, or None; and where it is from, or why there is none.

    In this order: the given file, the file that `veer calibrate` stored, and the validation scores
    that the run kept.

    Raises:
        ConfigError: A file is no calibration, or of other weights.
    """
    digest = model.embedder.weights_sha256
    file = given or model.calibration_file
    if given is not None or file.is_file():
        return read_calibration(file, digest), str(file)
    try:
        found = None if model.source is None else _from_validation(model.source)
    except TrainingError as error:
        return None, f"the validation scores of its run give none: {error}"
    if found is None:
        return None, f"{file} does not exist, and no run keeps validation scores of this model"
    return found, "kept by its run"


def find_plan(calibration: Calibration | None) -> CropPlan:
    """Return the crops that a calibration was fitted with; without one, those of evaluation."""
    if calibration is None:
        return CropPlan()
    return CropPlan(num_crops=calibration.num_crops, num_frames=calibration.num_frames)


def _beside(file: Path) -> Path:
    return file.with_name(f"{file.name}.{CALIBRATION_FILE}")


def _from_validation(source: ModelSource) -> Calibration | None:
    """Fit a calibration to the model's validation scores, where its run keeps them."""
    if source.run is not None and source.trial is not None:
        history = find_trial(source.run.histories, source.trial)
        return calibration_from_search(source.run, history, source.loaded)
    file = source.loaded.file.absolute()
    folder = file.parent.parent
    try:
        measured = read_scores(folder / SCORES_FILE)
        corpus = source.corpus()
    except (FileNotFoundError, NotADirectoryError, DamagedError, ConfigError):
        return None
    is_of_epoch = file.parent.name == MODEL_FOLDER and measured.epoch == source.loaded.epoch
    pairs = _validation_pairs(corpus) if is_of_epoch and corpus is not None else None
    if pairs is None or pairs.is_target.size != measured.scores.size:
        return None
    basis = f"validation scores of {folder}, epoch {measured.epoch}"
    return calibration_from_validation(
        measured.scores.astype(float), pairs, basis, source.loaded
    )


def _validation_pairs(corpus: CorpusConfig) -> SpeakerPairs | None:
    try:
        listed = read_trial_list(corpus.val_list, corpus.val_dir, corpus.list_rules)
    except CorpusError:
        return None
    index = PairIndex.from_pairs(listed)
    return known_speaker_pairs(index, speakers_in_list(index, corpus.speaker))
