"""What stands in for a network whose answers are stored takes what those answers take."""

from collections.abc import Callable

import pytest
import torch

from models import MLPMixerConfig, build_model
from models.shapes_only import META
from trainable.config.trial_config import TrialConfig
from trainable.cost.placeholder_teacher import placeholder_teacher
from trainable.cost.step_memory import live_peaks
from trainable.loss.stages import stage_dims
from trainable.loss.teacher_output import Crops, SpeakerCentres
from trainable.teachers.network import Teacher

BATCH, FRAMES, SPEAKERS, EMBEDDING = 6, 40, 50, 24
STUDENT = {
    "family": "mlp_mixer",
    "hidden_dim": 16,
    "num_blocks": 2,
    "num_frames": FRAMES,
    "embedding_dim": EMBEDDING,
}


def trial(**loss: object) -> TrialConfig:
    return TrialConfig.model_validate(
        {
            "model": STUDENT,
            "loss": loss,
            "training": {"batch_size": BATCH, "crop_frames": FRAMES},
        }
    )


@pytest.fixture(scope="module")
def teacher() -> Teacher:
    torch.manual_seed(0)
    config = MLPMixerConfig(
        hidden_dim=24, num_blocks=3, num_frames=FRAMES, embedding_dim=EMBEDDING
    )
    names = tuple(f"id{number}" for number in range(SPEAKERS))
    centres = SpeakerCentres(
        weight_KD=torch.zeros(SPEAKERS, EMBEDDING), scale=30.0, speakers=names
    )
    return Teacher(model=build_model(config), centres=centres)


@pytest.fixture
def peak(teacher: Teacher) -> Callable[[TrialConfig, int], int]:
    def peak(config: TrialConfig, batch_size: int) -> int:
        used = placeholder_teacher(teacher, config)
        return live_peaks(config, used, SPEAKERS, (batch_size, 1), META)[0]

    return peak


def test_outputs_have_the_networks_shapes(teacher: Teacher) -> None:
    feat_BTF = torch.randn(BATCH, FRAMES, 80)
    crops = Crops(feat_BTF, *(torch.zeros(BATCH, dtype=torch.int64).numpy(),) * 2)
    config = trial(distillation="cosine", stages="cosine")
    found = placeholder_teacher(teacher, config)
    assert found.stage_dims(feat_BTF) == stage_dims(teacher.model, feat_BTF) != ()
    for with_stages in (True, False):
        expected = teacher.output(crops, with_stages=with_stages)
        output = found.output(crops, with_stages=with_stages)
        assert output.embedding_BD.shape == expected.embedding_BD.shape
        assert [s.shape for s in output.stages] == [s.shape for s in expected.stages]
    # A trial that does not compare stages has none stored.
    assert placeholder_teacher(teacher, trial(distillation="cosine")).stages == ()


def test_comparing_labels_holds_the_teachers_classifier(peak) -> None:
    """One weight a speaker and dimension: without gradient, without moments."""
    by_label = peak(trial(distillation="kl"), BATCH)
    alone = peak(trial(distillation="none"), BATCH)
    assert by_label - alone >= SPEAKERS * EMBEDDING * 4


def test_relations_of_three_crops_grow_with_the_cube_of_the_batch(peak) -> None:
    config = trial(distillation="rkd")
    more = peak(config, 64) - peak(trial(distillation="none"), 64)
    # The cosines of the teacher's triples at least.
    assert more > 64**3 * 4
