"""A graph as the teacher: its targets are stored like a network's, from log-mels or from audio."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spaces.files.errors import CheckpointError, ConfigError, CorpusError, RunError
from tests.worlds.graphs import DIM, embedded, write_onnx
from tests.worlds.small_teacher import BANK, drawn, opened
from trainable.audio.reading import load_wave
from trainable.features.training_data import TrainingData, all_copies
from trainable.foreign_models.graph import open_graph, teacher_digest
from trainable.foreign_models.graph_config import read_graph
from trainable.teachers.any_teacher import (
    GRAPH_FILE,
    facts_of_file,
    is_network,
    open_teacher,
    prepare_teacher,
)
from trainable.teachers.graph_targets import graph_scores
from trainable.verification.scoring import cosine_scores, evenly_spaced_starts


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    return write_onnx(tmp_path / "g.onnx", ["b", "t", 80])


def test_targets_of_log_mels_are_what_the_graph_makes_of_the_crops(
    corpus: Path, data_with_copies: TrainingData, graph: Path
) -> None:
    targets = opened(corpus, data_with_copies, graph)
    crops = drawn(targets, data_with_copies)
    emb_BD = targets.output(crops, with_stages=False).embedding_BD.numpy()
    np.testing.assert_allclose(emb_BD, embedded(crops.feat_BTF.numpy(), 80), rtol=2e-3, atol=0.02)
    settings = targets.table.stores[0].plan.settings
    assert settings["teacher_input"] == "BTF"
    assert settings["teacher_sha256"] == teacher_digest(graph)


def test_targets_of_waveforms_are_cut_from_the_audio_and_from_its_copies(
    corpus: Path, data_with_copies: TrainingData, tmp_path: Path
) -> None:
    data = data_with_copies
    targets = opened(corpus, data, write_onnx(tmp_path / "wave.onnx", ["b", "s"]))
    crops = drawn(targets, data)
    emb_BD = targets.output(crops, with_stages=False).embedding_BD.numpy()
    size = BANK.crop_frames * 160 + 240
    assert data.config is not None
    waves = []
    for row, start in zip(crops.row_B.tolist(), crops.start_B.tolist(), strict=True):
        copy, number = divmod(row, len(data.train_row))
        file = data.config.train_dir / data.train_paths[number]
        wave_S = load_wave(file)
        if copy:
            wave_S = all_copies(data.config)[copy - 1].change(wave_S, file)
        if len(wave_S) < size:
            wave_S = np.resize(wave_S, size)
        begin = min(160 * start, len(wave_S) - size)
        waves.append(wave_S[begin : begin + size])
    np.testing.assert_allclose(emb_BD, embedded(np.stack(waves), 1), rtol=2e-3, atol=1e-3)
    assert len({row // len(data.train_row) for row in crops.row_B.tolist()}) == 2


def test_the_scores_of_a_graph_are_cosines_of_its_mean_embeddings(
    data_with_copies: TrainingData, graph: Path
) -> None:
    data, num_crops = data_with_copies, 3
    row_V = data.val_row
    start_VC = np.stack(
        [evenly_spaced_starts(int(n), 200, num_crops) for n in data.features.length[row_V]]
    )
    feats = data.features.crops(np.repeat(row_V, num_crops), start_VC.ravel(), 200).numpy()
    emb_VCD = embedded(feats, 80).reshape(len(row_V), num_crops, DIM)
    expected = cosine_scores(emb_VCD, data.val_a, data.val_b)
    found = graph_scores(open_graph(graph), data, num_crops)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("factor", [0.0, float("nan"), 1e6])
def test_embeddings_that_cannot_be_used_are_named(
    corpus: Path, data_with_copies: TrainingData, tmp_path: Path, factor: float
) -> None:
    graph = write_onnx(tmp_path / "g.onnx", ["b", "t", 80], factor=factor)
    with pytest.raises(CorpusError, match=r"g\.onnx: the embedding of .*\.wav must be fin"):
        opened(corpus, data_with_copies, graph)


def test_a_run_keeps_what_its_graph_was_found_to_be(
    data_with_copies: TrainingData, graph: Path, tmp_path: Path
) -> None:
    data, run = data_with_copies, tmp_path / "run"
    assert data.config is not None
    file = prepare_teacher(graph, data.config, data, run)
    assert file == run / GRAPH_FILE
    assert read_graph(file).found == open_graph(graph).facts
    assert not is_network(file)
    assert facts_of_file(file).embedding_dim == DIM
    with pytest.raises(ConfigError, match=r"targets\.mode must be stored for teacher .*online"):
        open_teacher(file, data, None, cache_dir=tmp_path)
    write_onnx(graph, ["b", "t", 80], factor=2.0)
    with pytest.raises(CheckpointError, match=r"g\.onnx: the teacher has changed \(SHA-256"):
        open_graph(file)
    with pytest.raises(RunError, match=r"g\.onnx is not the teacher that this run began with"):
        prepare_teacher(graph, data.config, data, run, may_replace=False)
    prepare_teacher(graph, data.config, data, run)
    assert open_graph(file).facts.sha256 == teacher_digest(graph)


def test_a_graph_of_one_length_fits_crops_of_that_length_only(tmp_path: Path) -> None:
    graph = write_onnx(tmp_path / "g.onnx", [1, 80, BANK.crop_frames])
    assert facts_of_file(graph).crop_frames == BANK.crop_frames
    longer = replace(BANK, crop_frames=BANK.crop_frames + 1)
    assert longer.crop_frames != facts_of_file(graph).crop_frames
