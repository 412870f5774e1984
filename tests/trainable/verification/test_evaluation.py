"""Verification metrics of a model against a plain re-computation from the audio."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import torch.nn.functional as F

from models import LogMel, MLPMixerConfig, SpeakerModel, build_model
from trainable.corpus.corpus import read_corpus, read_corpus_config
from trainable.features.training_data import load_training_data
from trainable.machine.engine import Engine
from trainable.verification.evaluation import Validation, score_pairs, validation_scores
from trainable.verification.metrics import verification_metrics
from trainable.verification.scoring import evenly_spaced_starts

CPU = torch.device("cpu")


@pytest.fixture
def model() -> SpeakerModel:
    torch.manual_seed(0)
    config = MLPMixerConfig(hidden_dim=16, num_blocks=1, num_frames=40, embedding_dim=24)
    return build_model(config).eval()


@pytest.fixture
def corpus_file(make_corpus: Callable[..., Path], tmp_path: Path) -> Path:
    return make_corpus(tmp_path / "corpus", num_val_speakers=3, num_utterances=3)


@torch.no_grad()
def test_veer_is_the_eer_of_cosines_of_mean_embeddings(
    model: SpeakerModel, corpus_file: Path, tmp_path: Path
) -> None:
    config = read_corpus_config(corpus_file)
    pairs = read_corpus(config).val_pairs
    embedding = {}
    for path in {p for pair in pairs for p in (pair.path_a, pair.path_b)}:
        wave, _ = soundfile.read(config.val_dir / path, dtype="float32")
        feat_TF = LogMel()(torch.from_numpy(wave)[None])[0].half().float()
        starts = (0, (len(feat_TF) - 40) // 2, len(feat_TF) - 40)
        crops = torch.stack([feat_TF[start : start + 40] for start in starts])
        embedding[path] = model.embed(crops).mean(dim=0)
    scores = [
        F.cosine_similarity(embedding[p.path_a], embedding[p.path_b], dim=0).item() for p in pairs
    ]
    data = load_training_data(config, cache_dir=tmp_path / "cache")
    found = validation_scores(model, data, num_crops=3, device=CPU)
    assert found == pytest.approx(scores, abs=1e-6)
    assert data.val_is_target.tolist() == [pair.is_target for pair in pairs]


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_scores_do_not_depend_on_the_batches(
    model: SpeakerModel,
    corpus_file: Path,
    tmp_path: Path,
    batch_size: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = load_training_data(read_corpus_config(corpus_file), cache_dir=tmp_path / "cache")
    expected = validation_scores(model, data, num_crops=3, device=CPU)
    monkeypatch.setattr("trainable.verification.evaluation.EVAL_BATCH", {"cpu": batch_size})
    found = validation_scores(model, data, num_crops=3, device=CPU)
    assert found == pytest.approx(expected, abs=1e-6)


def test_every_crop_of_every_utterance_is_gathered_in_order(
    model: SpeakerModel, make_corpus: Callable[..., Path], tmp_path: Path
) -> None:
    corpus = read_corpus_config(make_corpus(tmp_path / "corpus", duration_s=0.7))
    data = load_training_data(corpus, cache_dir=tmp_path / "cache")
    # Lengths of all kinds, shorter than a crop too.
    length = data.features.length.copy()
    length[data.val_row] -= np.arange(len(data.val_row)) * 3
    data = replace(data, features=replace(data.features, length=length))
    asked: list[tuple[int, int]] = []

    class Listening:
        def crops(self, row_B: np.ndarray, start_B: np.ndarray, frames: int) -> torch.Tensor:
            asked.extend(zip(row_B.tolist(), start_B.tolist(), strict=True))
            return data.features.crops(row_B, start_B, frames)

    validation = Validation(data, Listening(), num_crops=4, crop_frames=40)
    for _ in range(2):
        asked.clear()
        validation.scores(model, Engine(device=CPU))
        assert asked == [
            (row, start)
            for row in data.val_row.tolist()
            for start in evenly_spaced_starts(int(length[row]), 40, 4).tolist()
        ]


def test_embeddings_leave_the_device_as_they_come(
    model: SpeakerModel, corpus_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = load_training_data(read_corpus_config(corpus_file), cache_dir=tmp_path / "cache")
    embed, on_device = model.embed, []

    class OnGpu:
        """An embedding that is still on the device."""

        def __init__(self, emb_BD: torch.Tensor) -> None:
            self.emb_BD = emb_BD
            on_device.append(self)

        def float(self) -> "OnGpu":
            return self

        def to(self, device: str, *, non_blocking: bool) -> torch.Tensor:
            assert (device, non_blocking) == ("cpu", True)
            on_device.remove(self)
            return self.emb_BD

    def embed_there(feat_BTF: torch.Tensor) -> OnGpu:
        assert on_device == []
        return OnGpu(embed(feat_BTF))

    expected = validation_scores(model, data, num_crops=3, device=CPU)
    monkeypatch.setattr("trainable.verification.evaluation.EVAL_BATCH", {"cpu": 2})
    monkeypatch.setattr(model, "embed", embed_there)
    found = validation_scores(model, data, num_crops=3, device=CPU)
    assert found == pytest.approx(expected, abs=1e-6)


def test_passes_in_bfloat16_are_scored_in_full(
    model: SpeakerModel, corpus_file: Path, tmp_path: Path
) -> None:
    data = load_training_data(read_corpus_config(corpus_file), cache_dir=tmp_path / "cache")
    seen: list[torch.dtype] = []
    model.embedding.register_forward_hook(lambda *call: seen.append(call[2].dtype))
    validation = Validation(data, data.features, num_crops=2, crop_frames=40)
    half = validation.scores(model, Engine(device=CPU, dtype=torch.bfloat16))
    assert set(seen) == {torch.bfloat16}
    assert half == pytest.approx(validation.scores(model, Engine(device=CPU)), abs=0.05)


@torch.no_grad()
def test_the_trainers_protocol_is_followed_to_the_letter(
    model: SpeakerModel, corpus_file: Path
) -> None:
    config = read_corpus_config(corpus_file)
    pairs = read_corpus(config).val_pairs
    size = 60 * 160 + 240
    embedding = {}
    for path in {p for pair in pairs for p in (pair.path_a, pair.path_b)}:
        wave, _ = soundfile.read(config.val_dir / path, dtype="float32")
        starts = np.linspace(0, len(wave) - size, num=10)
        crops = np.stack([wave[int(s) : int(s) + size] for s in starts])
        embedding[path] = F.normalize(model.embed(LogMel()(torch.from_numpy(crops))))
    scores = [-torch.cdist(embedding[p.path_a], embedding[p.path_b]).mean().item() for p in pairs]
    expected = verification_metrics(scores, [p.is_target for p in pairs])
    found = score_pairs(model, config.val_dir, pairs, eval_frames=60, device=CPU).result
    assert found.voxceleb_trainer.eer_pct == pytest.approx(expected.eer_pct)
    assert found.voxceleb_trainer.min_dcf_p05 == pytest.approx(expected.min_dcf_p05)


def test_every_utterance_is_embedded_once(model: SpeakerModel, corpus_file: Path) -> None:
    config = read_corpus_config(corpus_file)
    pairs = read_corpus(config).val_pairs
    calls: list[tuple[int, int]] = []
    score_pairs(
        model,
        config.val_dir,
        [*pairs, *pairs],
        eval_frames=40,
        device=CPU,
        progress=lambda done, total: calls.append((done, total)),
    )
    assert calls == [(n, 9) for n in range(1, 10)]
