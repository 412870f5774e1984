"""A model file whose content has another shape: loaded, or refused by its name."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spaces.files.errors import VeerError
from tests.fuzz.mutation import ODD_VALUES, fuzzed, mutated
from tests.worlds.tiny_models import TINY_MIXER
from trainable.checkpoints.folder import CheckpointFolder, resolve_model_file
from trainable.checkpoints.loading import load_classifier, load_speaker_model
from trainable.checkpoints.user_models import check_user_teacher
from trainable.config.trial_config import TrialConfig
from trainable.corpus.corpus import read_corpus_config
from trainable.features.training_data import load_training_data
from trainable.training.trainer import Trainer

CONFIG = TrialConfig.model_validate(TINY_MIXER)


@pytest.fixture(scope="module")
def trainer(make_corpus: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    folder = tmp_path_factory.mktemp("checkpoints")
    corpus = make_corpus(folder / "corpus", num_train_speakers=2, num_val_speakers=2)
    data = load_training_data(read_corpus_config(corpus), cache_dir=folder / "cache")
    made = Trainer(CONFIG, data, device=torch.device("cpu"))
    made.run_epoch()
    return made


@pytest.fixture(scope="module")
def state(trainer: Trainer) -> dict[str, Any]:
    # A copy: a checkpoint that is restored changes the tensors that the trainer holds.
    return copy.deepcopy(trainer.state())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzzed")


ODD = st.sampled_from(
    [*ODD_VALUES, torch.zeros(3), torch.zeros(0), torch.tensor(float("nan")), torch.ones(2, 2)]
)


# PyTorch gives some warnings once per process, such as for an index that is a list. As an error it
# would be raised by one example, and not when Hypothesis runs the same example again.
@pytest.mark.filterwarnings("ignore::UserWarning")
@fuzzed(40)
@given(data=st.data())
def test_a_checkpoint_of_another_shape_is_loaded_or_refused(
    trainer: Trainer, state: dict[str, Any], folder: Path, data: st.DataObject
) -> None:
    checkpoints = CheckpointFolder(folder)
    file = checkpoints.file_of(1)
    file.parent.mkdir(exist_ok=True)
    for each in file.parent.iterdir():
        each.unlink()
    changed = data.draw(mutated(state, ODD))
    torch.save(changed, file)
    uses: tuple[Callable[[], Any], ...] = (
        lambda: load_speaker_model(file),
        lambda: load_classifier(file),
        lambda: resolve_model_file(folder),
        lambda: check_user_teacher(file),
        lambda: checkpoints.restore(trainer),
    )
    refusals = []
    for use in uses:
        try:
            use()
        except VeerError as error:
            refusals.append(str(error))
    assert all("000000001.model" in refusal or "checkpoint" in refusal for refusal in refusals)
