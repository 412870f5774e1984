"""The start of a training from the weights of a model file, with a fresh optimizer."""

from datetime import UTC, datetime
from pathlib import Path

from models import ModelConfig
from spaces.files.atomic import write_text_atomically
from spaces.files.digest import file_sha256
from spaces.files.errors import ConfigError
from trainable.checkpoints.loading import LoadedModel, load_speaker_model
from trainable.checkpoints.model_file import CLASSIFIER_PREFIX, NETWORK_PREFIX
from trainable.machine.ranks import current_ranks
from trainable.training.trainer import Trainer

START_FILE = Path("result") / "start.txt"


def read_start(init_from: Path, model: ModelConfig) -> LoadedModel:
    """Return the model that a training starts from.

    Args:
        init_from: Model file, or run folder (its best epoch).
        model: The model to train.

    Raises:
        CheckpointError: The file is missing or damaged.
        ConfigError: It holds another model.
    """
    loaded = load_speaker_model(init_from)
    own, other = model.model_dump(), loaded.config.model.model_dump()
    different = [key for key in own | other if own.get(key) != other.get(key)]
    if different:
        named = "; ".join(f"{key} {own.get(key)}, there {other.get(key)}" for key in different)
        raise ConfigError(
            f"init_from {loaded.file} must hold the model of this run, got another one: model."
            f"{named}; set these as there, or leave init_from out"
        )
    return loaded


def start_from(trainer: Trainer, init_from: Path, folder: Path) -> str:
    """Load the weights of a model file into a trainer that has not trained yet.

    The classifier's are loaded too where the file was trained on the same speakers.

    Args:
        trainer: Its optimizer stays as it is.
        init_from: Model file, or run folder (its best epoch).
        folder: The run's folder, which gets a file with the line.

    Returns:
        A line that describes the start.

    Raises:
        CheckpointError: The file is missing or damaged.
        ConfigError: It holds another model.
    """
    loaded = read_start(init_from, trainer.config.model)
    weights = {NETWORK_PREFIX + name: each for name, each in loaded.model.state_dict().items()}
    has_classifier = loaded.centres_KD is not None and loaded.speakers == trainer.data.speakers
    if loaded.centres_KD is not None and has_classifier:
        weights[f"{CLASSIFIER_PREFIX}weight"] = loaded.centres_KD
    trainer.step.start_from(weights)
    classifier = "with" if has_classifier else "without"
    line = (
        f"weights from {loaded.file} (epoch {loaded.epoch}, {classifier} its classifier, "
        f"sha256 {file_sha256(loaded.file)})"
    )
    if current_ranks().is_first:
        now = datetime.now(tz=UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        (folder / START_FILE).parent.mkdir(parents=True, exist_ok=True)
        write_text_atomically(folder / START_FILE, f"[INFO] :: {now} :: {line}\n")
    return line
