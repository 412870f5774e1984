"""`veer fuse`, and graphs of ONNX as models."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from search.cli.forms import FormPlace, write_form
from spaces.files.errors import CheckpointError, ConfigError
from tests.search.cli.test_score import embedded
from tests.search.commands import table_rows, veer
from tests.worlds.untrained_models import write_untrained
from trainable.calibration.cllr import cllr
from trainable.calibration.logistic import fit_llr
from trainable.checkpoints.loading import load_speaker_model
from trainable.corpus.test_list_ledger import LEDGER
from trainable.deployment.running import open_onnx
from trainable.embedding.embedder import CropPlan, NetworkEmbedder
from trainable.embedding.graph_embedder import GraphEmbedder
from trainable.verification.crops import wave_crops_on_frames
from trainable.verification.metrics import equal_error_rate


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("VEER_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def world(make_corpus: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models, a graph of one of them, their embeddings, and a list in two halves."""
    folder = tmp_path_factory.mktemp("fuse")
    corpus = make_corpus(
        folder / "corpus", num_train_speakers=2, num_val_speakers=7, num_utterances=3
    ).parent
    for name in ("mixer", "ecapa"):
        model = write_untrained(folder, name)
        veer("embed", corpus / "veri_val.txt", "--root", corpus / "val", "--model", model,
             "--out", folder / f"{name}.parquet")  # fmt: skip
    for graph_input in ("waveform", "log_mel"):
        place = FormPlace(out=folder / f"{graph_input}.onnx")
        write_form(folder / "mixer.model", "onnx", graph_input, place)
    lines = (corpus / "veri_val.txt").read_text().splitlines()
    (folder / "even.txt").write_text("\n".join(lines[::2]) + "\n")
    (folder / "odd.txt").write_text("\n".join(lines[1::2]) + "\n")
    return folder


def fuse(world: Path, *models: object, more: tuple[object, ...] = ()) -> str:
    done = veer(
        "fuse", *models, "--fit", world / "even.txt", "--pairs", world / "odd.txt", "--root",
        world / "corpus" / "val", *more,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    return done.output


def columns(world: Path, listed: str) -> tuple[np.ndarray, np.ndarray]:
    found = []
    for name in ("mixer", "ecapa"):
        index, utterances = embedded(world, name, listed)
        found.append(utterances.cosines(index.a, index.b))
    return np.stack(found, axis=1), index.is_target


def test_weights_of_one_list_fuse_the_scores_of_another(world: Path) -> None:
    rows = table_rows(fuse(world, world / "mixer.model", world / "ecapa.parquet"))
    fit = fit_llr(*columns(world, "even.txt"))
    scores, target = columns(world, "odd.txt")
    llr = fit.llr(scores)
    assert rows[0][:2] == ["fused", f"{equal_error_rate(llr, target):.2f}"]
    assert rows[0][-2] == f"{cllr(llr, target):.4f}"
    for place, row in enumerate(rows[1:3]):
        eer_pct = equal_error_rate(scores[:, place], target)
        assert row[1] == f"{eer_pct:.2f}"
        # "Behind the first" is behind the fusion.
        assert row[3] == f"{eer_pct - equal_error_rate(llr, target):+.2f}"


def test_the_cost_is_that_of_all_models(world: Path) -> None:
    shown = fuse(world, world / "mixer.model", world / "ecapa.model")
    total, *each = (float(row[2]) for row in table_rows(shown)[-3:])
    assert total == pytest.approx(sum(each), abs=0.02)
    assert min(each) > 0
    # The time of a stored embedding is not known, and so not that of both.
    rows = table_rows(fuse(world, world / "mixer.model", world / "ecapa.parquet"))[-3:]
    assert [row[2] for row in rows][::2] == ["-", "-"]


def test_a_test_list_is_opened_for_each_model(world: Path) -> None:
    shown = fuse(world, world / "mixer.model", world / "ecapa.model", more=("--final",))
    assert "the test list was never opened before" in shown
    lines = [json.loads(line) for line in (world / LEDGER).read_text().splitlines()]
    assert [line["event"] for line in lines] == ["opened", "opened", "figures", "figures"]
    (world / LEDGER).unlink()


def test_wrong_systems_are_refused(world: Path) -> None:
    with pytest.raises(ConfigError, match="two or more models can be fused, got 1"):
        fuse(world, world / "mixer.model")
    with pytest.raises(ConfigError, match="--fit and --pairs are the same list"):
        fuse(world, *[world / "mixer.parquet"] * 2, more=("--pairs", world / "even.txt"))
    with pytest.raises(ConfigError, match=r"none\.parquet: there is no such file"):
        fuse(world, world / "mixer.parquet", world / "none.parquet")


@pytest.mark.parametrize("graph_input", ["waveform", "log_mel"])
def test_a_graph_embeds_as_its_network(graph_input: str, world: Path) -> None:
    model = load_speaker_model(world / "mixer.model").model
    network = NetworkEmbedder(model, torch.device("cpu"))
    run = GraphEmbedder(world / f"{graph_input}.onnx")
    assert run.embedding_dim == network.embedding_dim == 24
    rng = np.random.default_rng(0)
    # As long as a crop: the waveform's crop has the edges of the log-mels' crop. The plan's
    # length is not the network's, which counts.
    assert model.num_frames is not None
    wave = (0.1 * rng.normal(size=(model.num_frames - 1) * 160)).astype(np.float32)
    plan = CropPlan(num_crops=1, num_frames=300)
    np.testing.assert_allclose(run.crops([wave], plan), network.crops([wave], plan), atol=1e-4)


def test_a_graph_is_calibrated_and_verifies(world: Path, tmp_path: Path) -> None:
    graph = tmp_path / "x.onnx"
    graph.write_bytes((world / "waveform.onnx").read_bytes())
    voices = sorted((world / "corpus" / "val").rglob("*.wav"))
    done = veer("calibrate", graph, "--pairs", world / "even.txt", "--root",
                world / "corpus" / "val", "--false-accepts", 20)  # fmt: skip
    assert f"stored in {graph}.calibration.json" in done.output
    with pytest.raises(ConfigError, match=r"x\.onnx: a graph is scored by its embeddings: `veer"):
        veer("evaluate", graph, "--pairs", world / "even.txt", "--root", world)
    shown = veer("verify", *voices[:2], "--model", graph, "--false-accepts", 20).output
    assert "x.onnx.calibration.json)" in shown


def fixed(whole: Path, file: Path, batch: int, length: int | None = None) -> Path:
    """Write a graph with a fixed size of its batch, and of its input where that is given."""
    model = onnx.load(str(whole))
    dims = model.graph.input[0].type.tensor_type.shape.dim
    dims[0].dim_value = batch
    if length is not None:
        dims[1].dim_value = length
    onnx.save(model, str(file))
    return file


@pytest.mark.parametrize("batch", [1, 3])
def test_a_graph_of_one_batch_size_is_run_in_such_batches(
    batch: int, world: Path, tmp_path: Path
) -> None:
    whole = world / "waveform.onnx"
    waves = [
        (0.1 * np.random.default_rng(n).normal(size=16_000)).astype(np.float32) for n in (0, 1)
    ]
    plan = CropPlan(num_crops=4)
    np.testing.assert_allclose(
        GraphEmbedder(fixed(whole, tmp_path / "x.onnx", batch)).crops(waves, plan),
        GraphEmbedder(whole).crops(waves, plan),
        atol=1e-4,
    )


def test_a_graph_of_one_length_is_given_crops_of_that_length(
    world: Path, tmp_path: Path
) -> None:
    wave = (0.1 * np.random.default_rng(0).normal(size=16_000)).astype(np.float32)
    graph = fixed(world / "waveform.onnx", tmp_path / "x.onnx", 1, 8_000)
    found = GraphEmbedder(graph).crops([wave], CropPlan(num_crops=2, num_frames=300))
    expected = open_onnx((world / "waveform.onnx").read_bytes()).run(
        torch.from_numpy(wave_crops_on_frames(wave, 51, 2))
    )
    np.testing.assert_allclose(found[0], expected, atol=1e-4)
    with pytest.raises(CheckpointError, match=r"y\.onnx: must take .* whole hops .* got 8001 sam"):
        GraphEmbedder(fixed(world / "waveform.onnx", tmp_path / "y.onnx", 1, 8_001))


def test_a_graph_that_cannot_be_run_says_so(world: Path) -> None:
    graph = GraphEmbedder(world / "waveform.onnx")

    def fail(_: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("Got invalid dimensions")

    graph._run = fail
    with pytest.raises(CheckpointError, match=r"crops of shape \(2, 6240\): Got invalid dim"):
        graph.crops([np.ones(16_000, np.float32)], CropPlan(num_crops=2))


def test_weights_beside_a_graph_are_loaded_and_part_of_its_hash(
    world: Path, tmp_path: Path
) -> None:
    whole, graph = world / "waveform.onnx", tmp_path / "x.onnx"
    onnx.save(
        onnx.load(str(whole)), str(graph), save_as_external_data=True, location="x.data",
    )  # fmt: skip
    wave = (0.1 * np.random.default_rng(0).normal(size=16_000)).astype(np.float32)
    opened = GraphEmbedder(graph)
    np.testing.assert_array_equal(
        opened.crops([wave], CropPlan()), GraphEmbedder(whole).crops([wave], CropPlan())
    )
    weights = bytearray((tmp_path / "x.data").read_bytes())
    weights[0] ^= 1
    (tmp_path / "x.data").write_bytes(weights)
    assert GraphEmbedder(graph).weights_sha256 != opened.weights_sha256
    (tmp_path / "x.data").unlink()
    with pytest.raises(CheckpointError, match=r"x\.onnx: its weights must be files .* 'x\.data'"):
        GraphEmbedder(graph)


def test_a_file_that_is_no_graph_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"no graph")
    with pytest.raises(CheckpointError, match=r"x\.onnx: cannot be loaded as an ONNX graph"):
        GraphEmbedder(tmp_path / "x.onnx")
    with pytest.raises(CheckpointError, match=r"y\.onnx: cannot be read: No such file"):
        GraphEmbedder(tmp_path / "y.onnx")
