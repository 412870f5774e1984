"""Verification figures of a model against a plain re-computation from the audio."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import torch.nn.functional as F

from models import LogMel, MLPMixerConfig, SpeakerModel, build_model
from trainable.corpus import read_corpus, read_corpus_config
from trainable.data import load_training_data
from trainable.evaluation import evaluate_pairs, validation_veer_pct
from trainable.metrics import equal_error_rate, verification_metrics

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
    found = validation_veer_pct(model, data, num_crops=3, device=CPU)
    assert found == pytest.approx(equal_error_rate(scores, [p.is_target for p in pairs]))


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
    scores = [
        -torch.cdist(embedding[p.path_a], embedding[p.path_b]).mean().item() for p in pairs
    ]
    expected = verification_metrics(scores, [p.is_target for p in pairs])
    found = evaluate_pairs(model, config.val_dir, pairs, eval_frames=60, device=CPU)
    assert found.voxceleb_trainer.eer_pct == pytest.approx(expected.eer_pct)
    assert found.voxceleb_trainer.min_dcf_p05 == pytest.approx(expected.min_dcf_p05)


def test_every_utterance_is_embedded_once(model: SpeakerModel, corpus_file: Path) -> None:
    config = read_corpus_config(corpus_file)
    pairs = read_corpus(config).val_pairs
    told: list[tuple[int, int]] = []
    evaluate_pairs(
        model,
        config.val_dir,
        [*pairs, *pairs],
        eval_frames=40,
        device=CPU,
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(n, 9) for n in range(1, 10)]
