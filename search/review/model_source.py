"""The origin of a model: a file, a training run, or a trial of a search; and its corpus."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from results.analysis.ranking import best_ended
from results.analysis.run_view import RunView
from results.export.best_model import load_best
from results.export.exported_model import find_export, load_exported
from results.journal.history import TrialHistory
from results.journal.run_folder import JOURNAL, TRIALS_FOLDER
from results.terminal.trial import find_trial
from spaces.files.errors import ConfigError, RunError
from trainable.checkpoints.folder import MODEL_FOLDER
from trainable.checkpoints.loading import LoadedModel, load_speaker_model
from trainable.config.trial_config import TrainRunConfig, read_train_config
from trainable.corpus.corpus import CorpusConfig
from trainable.foreign_models.graph_config import graph_kind

TRAIN_CONFIG = "config.yaml"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModelSource:
    """A model and its origin.

    Attributes:
        loaded: The model.
        run: The search that trained it; None if no search did.
        trial: Number of its trial in that search.
    """

    loaded: LoadedModel
    run: RunView | None = None
    trial: int | None = None

    @property
    def of_search(self) -> tuple[Path, int] | None:
        """Run folder and trial; None for a model that no search trained."""
        if self.run is None or self.trial is None:
            return None
        return self.run.folder.path, self.trial

    def corpus(self) -> CorpusConfig | None:
        """Return the corpus that the model was trained and chosen on; None if none is recorded.

        Raises:
            ConfigError: This version of Veer cannot read the recorded corpus.
        """
        if self.run is not None:
            return corpus_of_search(self.run)
        config = self._train_config()
        return None if config is None else config.corpus

    def teacher(self) -> Path | None:
        """Return the path of the recorded teacher; None if there was none.

        Raises:
            ConfigError: This version of Veer cannot read the recorded settings.
        """
        if self.run is not None:
            return None if self.run.teacher is None else Path(self.run.teacher.path)
        config = self._train_config()
        return None if config is None else config.teacher

    def _train_config(self) -> TrainRunConfig | None:
        # A training run has its models in a subfolder, next to its config; another folder may have
        # a file of that name for anything.
        folder = self.loaded.file.absolute().parent
        if find_export(self.loaded.file.absolute()) is not None:
            return read_train_config(folder / TRAIN_CONFIG)
        config = folder.parent / TRAIN_CONFIG
        is_of_run = folder.name == MODEL_FOLDER and config.is_file()
        return read_train_config(config) if is_of_run else None


def find_model(path: Path, trial: int | None = None) -> ModelSource:
    """Find the model of a path.

    Args:
        path: A model file, a training run's folder (its best epoch), an exported folder, or a
            search's run folder (its best trial).
        trial: Number of another trial of the search.

    Raises:
        ConfigError: `trial` is given, and the path is not the run folder of a search; or the path
            is a graph.
        RunError: There is no such trial, it has not ended, or its checkpoints were not kept.
        CheckpointError: The model file is missing or damaged.
    """
    if (path / JOURNAL).is_file():
        run = RunView.read(path)
        history = _ended_trial(run, trial)
        return ModelSource(loaded=load_best(run.folder, history), run=run, trial=history.trial)
    if trial is not None:
        raise ConfigError(
            f"--trial {trial} needs the run folder of a search, got {path}: give that folder, or "
            "omit --trial"
        )
    if (exported := find_export(path)) is not None:
        return ModelSource(loaded=load_exported(exported))
    if path.is_file() and graph_kind(path) is not None:
        raise ConfigError(
            f"{path}: a graph has no network to use here: give the model file or run folder that "
            "it was made of; `veer verify`, `enroll`, `calibrate`, `embed` and `fuse` take an "
            ".onnx file"
        )
    loaded = load_speaker_model(path)
    # TRIALS/NNNN/model/FILE; `parents` has no entry above the root.
    folder = loaded.file.resolve().parent.parent
    run_path = folder.parent.parent
    # A checkpoint of a search given as a file: its opening is recorded in that search too.
    if folder.parent.name == TRIALS_FOLDER and folder.name.isdecimal():
        number = int(folder.name)
        if (run_path / JOURNAL).is_file():
            run = RunView.read(run_path)
            if any(trial.trial == number for trial in run.histories):
                return ModelSource(loaded=loaded, run=run, trial=number)
    return ModelSource(loaded=loaded)


def _ended_trial(run: RunView, trial: int | None) -> TrialHistory:
    if trial is None:
        return best_ended(run.histories, 1)[0]
    history = find_trial(run.histories, trial)
    if history.ended is None:
        raise RunError(f"trial {trial} has not ended yet; wait for it, or choose another one")
    return history


def corpus_of_search(run: RunView) -> CorpusConfig | None:
    """Return the corpus of a search; None if none is recorded.

    Raises:
        ConfigError: This version of Veer cannot read it.
    """
    recorded = run.settings.get("corpus")
    if recorded is None:
        return None
    try:
        return CorpusConfig.model_validate(recorded)
    except ValidationError as error:
        raise ConfigError(
            f"{run.folder.journal}: this version of Veer cannot read its corpus "
            f"({error.error_count()} errors); give the list with --pairs and --root"
        ) from error
