"""Export of one trial as files that need nothing else of the run: config, weights, model card."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from safetensors.torch import save

from results.analysis.ranking import best_ended
from results.analysis.run_view import RunView
from results.export.best_model import load_best
from results.export.card import CardFacts, model_card
from results.export.recipe import recipe_comments
from results.export.trial_calibration import calibration_to_export
from results.records.search_records import SearchStarted
from results.terminal.trial import find_trial
from spaces.files.atomic import replace_folder
from spaces.files.errors import RunError
from spaces.files.yaml_file import yaml_text
from trainable.calibration.calibration import CALIBRATION_FILE, calibration_bytes
from trainable.checkpoints.user_models import CODE_NOTE, needs_user_code
from trainable.config.trial_config import TrainRunConfig, TrialConfig
from trainable.corpus.corpus import CorpusConfig
from trainable.features.crop_bank import TargetsConfig
from trainable.machine.engine import EngineConfig
from trainable.teachers.any_teacher import is_stored

EXPORTED_CONFIG = "config.yaml"
WEIGHTS = "weights.safetensors"
_CARD = "README.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """An exported trial.

    Attributes:
        trial: Number of the trial.
        folder: Folder with config.yaml, weights.safetensors, README.md, and calibration.json where
            the run has validation scores of the trial.
        config: Content of config.yaml.
    """

    trial: int
    folder: Path
    config: TrainRunConfig


def export_trial(
    view: RunView, trial: int | None = None, out: Path | None = None, epochs: int | None = None
) -> Export:
    """Write the config for a full training, the weights of the best epoch and a model card.

    The folder appears complete, and replaces an earlier export only when it is complete.

    Args:
        view: The run of the search.
        trial: Number of the trial; by default the best one that has ended.
        out: Folder of the export; by default `export/trial-NNNN` in the run folder.
        epochs: Epochs of the full training; by default those of the trial.

    Raises:
        RunError: The run has no such trial, its checkpoints were not kept, it needs a teacher
            that the journal does not name, or the folder has other content.
        CheckpointError: The best epoch's checkpoint is missing or damaged, or from another run.
        DiskFullError: The disk is full; an earlier export is kept.
    """
    trials = view.histories
    history = best_ended(trials, 1)[0] if trial is None else find_trial(trials, trial)
    out = out or view.folder.exports / f"trial-{history.trial:04d}"
    _check_replaceable(out)
    loaded = load_best(view.folder, history)
    config = _train_config(view, loaded.config, epochs)
    replace_folder(out, _files(CardFacts(view=view, trial=history, loaded=loaded, config=config)))
    return Export(trial=history.trial, folder=out, config=config)


def _files(facts: CardFacts) -> dict[str, bytes]:
    """Return the content of each file, by file name."""
    note = CODE_NOTE if needs_user_code(facts.config.trial.model) else ""
    note += recipe_comments(
        facts.loaded.config,
        facts.config.corpus,
        has_stored_teacher=facts.config.teacher is not None and is_stored(facts.config.teacher),
    )
    text = yaml_text(facts.config.model_dump(mode="json", exclude_none=True))
    state = facts.loaded.model.state_dict()
    # safetensors refuses tensors that are not contiguous.
    weights = {name: each.contiguous() for name, each in state.items()}
    calibration = calibration_to_export(facts.view, facts.trial, facts.loaded)
    scores = {} if calibration is None else {CALIBRATION_FILE: calibration_bytes(calibration)}
    return scores | {
        EXPORTED_CONFIG: (note + text).encode(),
        WEIGHTS: save(weights, metadata={"format": "pt"}),
        _CARD: model_card(facts).encode(),
    }


def _check_replaceable(out: Path) -> None:
    # Weights mark an earlier export; anything else in the folder may be the user's own files.
    if not out.exists() or (out / WEIGHTS).is_file():
        return
    if not out.is_dir() or any(out.iterdir()):
        raise RunError(
            f"{out} exists and is not an earlier export; choose another folder with --out"
        )


def _train_config(view: RunView, trial: TrialConfig, epochs: int | None) -> TrainRunConfig:
    started, teacher = view.latest(SearchStarted), view.teacher
    if started is None:
        raise RunError("the journal has no record search_started with the settings of the search")
    if epochs is not None:
        training = trial.training.model_copy(update={"max_epochs": epochs})
        trial = trial.model_copy(update={"training": training})
    # Without distillation the full training must not require the file of the teacher.
    if trial.loss.distill_weight == 0:
        teacher = None
    try:
        return TrainRunConfig(
            corpus=CorpusConfig.model_validate(started.settings["corpus"]),
            teacher=None if teacher is None else Path(teacher.path),
            targets=TargetsConfig.model_validate(started.settings.get("targets", {})),
            teacher_sha256=None if teacher is None else teacher.sha256,
            # `model_copy` validates nothing, so a bad number of epochs is found only here.
            trial=TrialConfig.model_validate(trial.model_dump()),
            # Journals written before this setting existed do not have it.
            engine=EngineConfig.model_validate(started.settings.get("engine", {})),
        )
    except (ValidationError, KeyError) as error:
        raise RunError(f"the config in the journal is not valid for training: {error}") from error
