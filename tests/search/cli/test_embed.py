"""`veer embed`: the same embeddings in every format, whole or not at all."""

from collections.abc import Callable
from pathlib import Path

import kaldiio
import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
import torch

from models import LogMel
from spaces.files.errors import ConfigError, CorpusError
from tests.search.commands import veer
from tests.worlds.untrained_models import write_untrained
from trainable.audio.reading import load_wave
from trainable.checkpoints.loading import load_speaker_model
from trainable.teachers.embedding_file import read_embeddings
from trainable.verification.crops import frame_crops


@pytest.fixture(scope="module")
def world(make_corpus: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("embed")
    make_corpus(folder / "corpus", num_train_speakers=2, num_val_speakers=2, num_utterances=3)
    write_untrained(folder, "mixer")
    return folder


def embed(world: Path, listed: Path, out: Path, *more: object, root: str = "train") -> str:
    done = veer(
        "embed", listed, "--root", world / "corpus" / root, "--model", world / "mixer.model",
        "--out", out, "--crops", 2, "--eval-frames", 60, *more,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    return done.output


def train_paths(world: Path) -> list[str]:
    return [
        line.split()[1] for line in (world / "corpus" / "train_list.txt").read_text().splitlines()
    ]


def expected(world: Path) -> np.ndarray:
    """The mean over two crops, by the model itself."""
    model, log_mel = load_speaker_model(world / "mixer.model").model, LogMel()
    with torch.no_grad():
        crops = [
            frame_crops(log_mel, load_wave(world / "corpus" / "train" / path), model.num_frames, 2)
            for path in train_paths(world)
        ]
        return torch.stack([model.embed(each).mean(0) for each in crops]).numpy()


def test_every_format_has_the_embeddings_of_the_model(world: Path, tmp_path: Path) -> None:
    listed, paths = world / "corpus" / "train_list.txt", train_paths(world)
    shown = embed(world, listed, tmp_path / "a.parquet")
    assert f"6 embeddings of size 24 in {tmp_path / 'a.parquet'}" in shown
    embed(world, listed, tmp_path / "a.npy")
    embed(world, listed, tmp_path / "a.ark")
    as_table = pq.read_table(tmp_path / "a.parquet").to_pydict()
    assert as_table["utterance"] == paths
    np.testing.assert_allclose(as_table["embedding"], expected(world), atol=1e-5)
    assert as_table["duration_s"] == [1.0] * 6
    matrix = np.load(tmp_path / "a.npy")
    assert matrix.dtype == np.float32
    np.testing.assert_array_equal(matrix, np.array(as_table["embedding"], np.float32))
    assert (tmp_path / "a.txt").read_text().splitlines() == paths
    vectors = kaldiio.load_scp(str(tmp_path / "a.scp"))
    assert list(vectors) == paths
    np.testing.assert_array_equal(np.stack([vectors[path] for path in paths]), matrix)
    # As a teacher: a row an utterance, its digest fits.
    assert not read_embeddings(tmp_path / "a.parquet", paths).is_by_crop


def test_a_file_is_replaced_with_its_digest(world: Path, tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text(f"{train_paths(world)[0]}\n")
    embed(world, world / "corpus" / "train_list.txt", tmp_path / "a.parquet")
    embed(world, tmp_path / "one.txt", tmp_path / "a.parquet")
    assert len(read_embeddings(tmp_path / "a.parquet", train_paths(world)).utterance_N) == 1


def test_a_trial_list_gives_each_file_once_and_wav_scp_its_names(
    world: Path, tmp_path: Path
) -> None:
    embed(world, world / "corpus" / "veri_val.txt", tmp_path / "a.npy", root="val")
    assert len((tmp_path / "a.txt").read_text().splitlines()) == 6
    lines = [f"utt{n} {path}" for n, path in enumerate(train_paths(world))]
    (tmp_path / "wav.scp").write_text("\n".join(lines) + "\n")
    embed(world, tmp_path / "wav.scp", tmp_path / "a.ark")
    assert list(kaldiio.load_scp(str(tmp_path / "a.scp"))) == [f"utt{n}" for n in range(6)]


def test_audio_that_cannot_be_used_leaves_no_file(world: Path, tmp_path: Path) -> None:
    silent = world / "corpus" / "train" / "silent.wav"
    soundfile.write(silent, np.zeros(16_000), 16_000)
    (tmp_path / "list.txt").write_text(f"silent.wav\n{train_paths(world)[0]}\n")
    for end in ("parquet", "npy", "ark"):
        message = r"silent\.wav: must be louder.*\nnothing was written; leave them out: --skip-f"
        with pytest.raises(CorpusError, match=message):
            embed(world, tmp_path / "list.txt", tmp_path / f"a.{end}")
    assert [file.name for file in tmp_path.iterdir()] == ["list.txt"]
    shown = embed(world, tmp_path / "list.txt", tmp_path / "a.npy", "--skip-faults")
    assert "1 embeddings of size 24" in shown
    assert "1 left out; the first: " in shown
    assert np.load(tmp_path / "a.npy").shape == (1, 24)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 a b c\n", r"list\.txt:1: must be 'PATH', .*got '0 a b c'"),
        ("\n", r"list\.txt:1: the list is empty"),
        ("nothing.wav\n", r"list\.txt:1: .*nothing\.wav"),
    ],
)
def test_lists_with_faults_are_refused(
    text: str, message: str, world: Path, tmp_path: Path
) -> None:
    (tmp_path / "list.txt").write_text(text)
    with pytest.raises(CorpusError, match=message):
        embed(world, tmp_path / "list.txt", tmp_path / "a.npy")


def test_an_unknown_format_is_refused(world: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"must end with .*got 'a\.parqet'; did you mean '\.par"):
        embed(world, world / "corpus" / "train_list.txt", tmp_path / "a.parqet")
