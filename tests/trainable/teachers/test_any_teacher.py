"""Any model can be the teacher, and the path decides which kind of teacher it is."""

from pathlib import Path

import pytest
import torch

from models.catalogue import BUILDERS
from spaces.files.errors import CheckpointError, ConfigError
from trainable.checkpoints.folder import CheckpointFolder
from trainable.config.trial_config import TrialConfig
from trainable.features.training_data import TrainingData
from trainable.teachers.any_teacher import find_teacher, open_teacher
from trainable.training.trainer import Trainer

CPU = torch.device("cpu")
TRAINING = {"batch_size": 8, "crop_frames": 40, "lr": 3e-3}
MIXER = {"hidden_dim": 16, "num_blocks": 2, "num_frames": 40}
STUDENT = {"family": "mlp_mixer", "embedding_dim": 24, **MIXER}
SIZES = {
    "mlp_mixer": MIXER,
    "mlp_mixer_hybrid": MIXER,
    "mlp_mixer_autoencoder": MIXER,
    "lstm_autoencoder": {"hidden_dim": 8, "num_layers": 2, "bottleneck_dim": 12},
    "resnet_se34l": {"num_filters": 8},
    "ecapa_tdnn": {"channels": 16, "aggregation_dim": 24, "bottleneck_dim": 8},
    "next_tdnn": {"channels": 16, "num_blocks": 1, "kernel": 9},
    "campplus": {"growth": 4},
    "mlp_mixer_free": {"hidden_dim": 16, "num_blocks": 1, "kernel": 9},
}


@pytest.fixture(scope="module", params=BUILDERS)
def folder(
    data: TrainingData, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The run of a teacher of each family, trained for an epoch."""
    model = {"family": request.param, "embedding_dim": 24, **SIZES[request.param]}
    config = {"model": model, "training": TRAINING, "loss": {"distillation": "none"}}
    trainer = Trainer(TrialConfig.model_validate(config), data, device=CPU)
    trainer.run_epoch()
    folder = tmp_path_factory.mktemp("teacher")
    CheckpointFolder(folder).save(trainer)
    return folder


@pytest.mark.parametrize(
    "loss", [{}, {"stages": "cosine"}, {"distillation": "kl"}], ids=["cosine", "stages", "kl"]
)
def test_a_student_learns_from_a_teacher_of_any_family(
    data: TrainingData, folder: Path, loss: dict[str, object]
) -> None:
    config = TrialConfig.model_validate(
        {"model": STUDENT, "training": TRAINING, "loss": {"alpha": 1.0} | loss}
    )
    teacher = open_teacher(find_teacher(folder), data, None, cache_dir=folder)
    trainer = Trainer(config, data, teacher=teacher, device=CPU)
    losses = [trainer.run_epoch().loss_distillation for _ in range(2)]
    assert losses[-1] < losses[0]
    stages = trainer.history[0].loss_stages
    assert (stages is not None and len(stages) == 3) if loss.get("stages") else stages is None


def test_what_a_path_means_is_found_before_anything_is_run(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"none\.parquet: there is no such file of embed"):
        find_teacher(tmp_path / "none.parquet")
    with pytest.raises(CheckpointError, match="there is no such file or folder"):
        find_teacher(tmp_path / "none")
    with pytest.raises(ConfigError, match=r"teacher .*plugin\.yaml runs code .* --allow-code"):
        find_teacher(tmp_path / "plugin.yaml")
