"""The benchmark `naive`: its corpora, the loop's crops and teacher, and its arithmetic."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from models import LogMel, LSTMAutoencoderConfig, build_model
from tests.benchmarks.naive import Split, Turn, best_of, contenders, epochs_until_paid
from tests.benchmarks.naive_corpus import make_corpus, noise
from tests.benchmarks.naive_loop import CropDataset, OnlineTeacher, read_crop
from trainable.corpus.corpus import read_corpus
from trainable.features.training_data import load_training_data
from trainable.loss.teacher_output import Crops
from trainable.teachers.network import Teacher


def turn(samples_per_s: float) -> Turn:
    return Turn(samples_per_s=samples_per_s, cpu_ms=0.0, parts_ms={})


def test_splits_more_than_a_fifth_slower_than_the_best_are_left_out() -> None:
    tried = {Split(0, 2): 100.0, Split(1, 2): 120.0, Split(2, 2): 99.0, Split(2, 1): 60.0}
    assert contenders(tried) == [Split(0, 2), Split(1, 2)]


def test_the_best_split_has_the_largest_median() -> None:
    turns = {
        Split(0, 2): [turn(10), turn(11), turn(12)],
        Split(1, 2): [turn(30), turn(9), turn(8)],
    }
    assert best_of(turns) == Split(0, 2)


@pytest.mark.parametrize(
    ("naive_epoch_s", "own_epoch_s", "epochs"), [(5.0, 3.0, 50.0), (3.0, 3.0, float("inf"))]
)
def test_stores_are_paid_by_the_seconds_that_epochs_save(
    naive_epoch_s: float, own_epoch_s: float, epochs: float
) -> None:
    assert epochs_until_paid(100.0, naive_epoch_s, own_epoch_s) == epochs


def test_a_decoded_crop_is_the_slice_of_the_file(tmp_path: Path) -> None:
    wave_S = np.random.default_rng(0).integers(-(2**14), 2**14, 1000).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", wave_S, 16_000)
    whole_S = wave_S.astype(np.float32) / 2**15
    np.testing.assert_array_equal(read_crop(tmp_path / "a.wav", 300, 500), whole_S[300:800])
    repeated_S = read_crop(tmp_path / "a.wav", 0, 2500)
    np.testing.assert_array_equal(repeated_S, np.concatenate([whole_S, whole_S, whole_S[:500]]))


def test_other_rates_are_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(100, np.int16), 8_000)
    with pytest.raises(ValueError, match="must be at 16000 Hz, got 8000"):
        read_crop(tmp_path / "a.wav", 0, 50)


def test_the_opponents_log_mels_are_the_stored_ones(tmp_path: Path) -> None:
    config = noise(tmp_path, 4)
    data = load_training_data(config, cache_dir=tmp_path / "cache")
    files = [entry.path for entry in read_corpus(config).audio[:4]]
    dataset = CropDataset(files, data, 200)
    torch.manual_seed(0)
    for number in range(4):
        crop = dataset[number]
        assert crop.row == data.train_row[number]
        assert crop.speaker == data.train_speaker[number]
        assert 0 <= crop.start <= data.features.length[crop.row] - 200
        computed_TF = LogMel()(torch.from_numpy(crop.wave)[None])[0]
        stored_TF = data.features.crops(np.array([crop.row]), np.array([crop.start]), 200)[0]
        assert computed_TF.shape == stored_TF.shape == (200, 80)
        # The first and the last two frames reach over the crop's edges, where audio is reflected.
        torch.testing.assert_close(computed_TF[2:-2], stored_TF[2:-2], atol=0.02, rtol=0)


def test_the_online_teacher_gives_the_output_of_the_teacher_and_can_be_learned_from() -> None:
    torch.manual_seed(0)
    small = LSTMAutoencoderConfig(hidden_dim=8, num_layers=1, bottleneck_dim=4, embedding_dim=16)
    teacher = Teacher(model=build_model(small))
    crops = Crops(torch.randn(2, 50, 80), np.zeros(2, np.int64), np.zeros(2, np.int64))
    expected = teacher.output(crops, with_stages=True)
    online = OnlineTeacher(teacher)
    output = online.output(crops, with_stages=True)
    torch.testing.assert_close(output.embedding_BD, expected.embedding_BD)
    assert len(output.stages) == len(expected.stages) == 2
    student_BD = torch.randn(2, 16, requires_grad=True)
    torch.nn.functional.cosine_similarity(student_BD, output.embedding_BD).sum().backward()
    assert student_BD.grad is not None
    assert online.spent_s > 0


def test_a_part_of_the_corpus_is_spread_over_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    lines = [f"id{n} id{n}/a.wav" for n in range(9)]
    (corpus / "train_list.txt").write_text("\n".join(lines))
    (corpus / "veri_val.txt").write_text("1 x/1 x/2\n1 x/1 x/3\n0 x/1 y/1\n0 x/2 y/1\n")
    monkeypatch.setenv("VEER_MINIVOX", str(corpus))
    config, words = make_corpus(tmp_path, 3)
    assert words == "$VEER_MINIVOX"
    assert config.train_dir == corpus / "wav"
    assert config.train_list.read_text().splitlines() == [lines[0], lines[3], lines[6]]
    assert config.val_list.read_text().splitlines() == ["0 x/1 y/1", "1 x/1 x/2"]
