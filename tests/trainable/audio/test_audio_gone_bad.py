"""Audio that is damaged after the check fails the build of the store; trials read no audio."""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from spaces.files.errors import CorpusError
from tests.worlds.tiny_models import TINY_MIXER
from trainable.config.trial_config import TrialConfig
from trainable.corpus.check import check_corpus
from trainable.corpus.corpus import CorpusConfig, read_corpus_config
from trainable.features.training_data import (
    load_training_data,
    reopen_training_data,
    reopening_keys,
)
from trainable.training.ray_trial import StudentTrial
from trainable.training.trainer import Trainer
from trainable.training.trial_task import TrialTask

CONFIG = TrialConfig.model_validate(TINY_MIXER)
PLACE = r"train_list\.txt:1: .*00001\.wav"


def delete(file: Path) -> None:
    file.unlink()


def empty(file: Path) -> None:
    file.write_bytes(b"")


def noise(file: Path) -> None:
    file.write_bytes(random.Random(0).randbytes(file.stat().st_size))


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def silence(file: Path) -> None:
    soundfile.write(file, np.zeros(16_000), 16_000, subtype="PCM_16")


def shorten(file: Path) -> None:
    soundfile.write(file, np.full(160, 0.1), 16_000, subtype="PCM_16")


def folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.fixture
def checked(make_corpus: Callable[..., Path], tmp_path: Path) -> CorpusConfig:
    """Return a corpus that passed the check."""
    corpus = read_corpus_config(make_corpus(tmp_path / "corpus"))
    check_corpus(corpus)
    return corpus


def first_file(corpus: CorpusConfig) -> Path:
    return corpus.train_dir / corpus.train_list.read_text().split()[1]


@pytest.mark.parametrize("damage", [delete, empty, noise, cut, silence, shorten, folder])
def test_it_is_named_with_its_line_in_the_build(
    checked: CorpusConfig, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    damage(first_file(checked))
    with pytest.raises(CorpusError, match=PLACE):
        load_training_data(checked, cache_dir=tmp_path / "cache")


@pytest.mark.parametrize("damage", [delete, empty, noise, silence])
def test_it_is_named_by_a_search_over_finished_stores_too(
    checked: CorpusConfig, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    load_training_data(checked, cache_dir=tmp_path / "cache")
    file = first_file(checked)
    damage(file)
    if file.exists():  # the clock of a file system may be coarse
        os.utime(file, ns=(1, 1))
    with pytest.raises(CorpusError, match=PLACE):
        load_training_data(checked, cache_dir=tmp_path / "cache")


def test_a_file_of_another_rate_is_read_again_at_16_khz(
    checked: CorpusConfig, tmp_path: Path
) -> None:
    before = load_training_data(checked, cache_dir=tmp_path / "cache")
    file = first_file(checked)
    wave, rate_hz = soundfile.read(file)
    soundfile.write(file, np.repeat(wave, 2), 2 * rate_hz, subtype="PCM_16")
    after = load_training_data(checked, cache_dir=tmp_path / "cache")
    assert after.features.length.tolist() == before.features.length.tolist()
    frames = np.arange(10)[None]
    rows = np.zeros(1, np.int64)
    one, other = before.features.gather(rows, frames), after.features.gather(rows, frames)
    assert not np.array_equal(one, other)  # built from the new file


def test_a_trial_reads_no_audio(checked: CorpusConfig, tmp_path: Path) -> None:
    data = load_training_data(checked, cache_dir=tmp_path / "cache")
    expected = Trainer(CONFIG, data, device=torch.device("cpu")).run_epoch()
    opened = reopening_keys(checked, data)
    shutil.rmtree(checked.train_dir)
    trial = StudentTrial.__new__(StudentTrial)
    task = TrialTask(
        trial=0, config=CONFIG.canonical(), folder=tmp_path / "trial", corpus=checked,
        cache_dir=tmp_path / "cache", teacher=None, device="cpu", num_threads=1, num_gpus=0,
        opened=opened,
    )  # fmt: skip
    trial.setup(task.model_dump(mode="json"))
    found = trial.step()
    trial.cleanup()
    assert (found["veer_pct"], found["loss_total"]) == (expected.veer_pct, expected.loss_total)


def test_a_list_that_changed_since_is_refused(checked: CorpusConfig, tmp_path: Path) -> None:
    data = load_training_data(checked, cache_dir=tmp_path / "cache")
    opened = reopening_keys(checked, data)
    lines = checked.train_list.read_text().splitlines()
    checked.train_list.write_text("\n".join(lines[::-1]) + "\n")
    with pytest.raises(CorpusError, match=r"train_list\.txt: was changed since the search began"):
        reopen_training_data(checked, opened)
