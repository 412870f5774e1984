"""A plug-in as teacher: the bank of crops it is asked about once, and the students it teaches."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from spaces.files.errors import ConfigError, RunError, TrainingError
from tests.worlds.toy_trainer import (
    CROP_FRAMES,
    CROP_SAMPLES,
    EMBEDDING,
    MODULES,
    network,
    weights,
)
from trainable.audio.reading import load_wave
from trainable.config.trial_config import TrainRunConfig
from trainable.corpus.corpus import CorpusConfig, read_corpus_config
from trainable.features.training_data import TrainingData, load_training_data
from trainable.foreign_models.plugin import read_plugin
from trainable.teachers.embedding_file import read_meta
from trainable.teachers.plugin_bank import build_bank, plan_crops
from trainable.teachers.stored import stored_scores
from trainable.training.full import TrainResult, run_training

STUDENT = {
    "model": {
        "family": "mlp_mixer",
        "hidden_dim": 16,
        "num_blocks": 1,
        "num_frames": CROP_FRAMES,
        "embedding_dim": EMBEDDING,
    },
    "training": {
        "batch_size": 8,
        "crop_frames": CROP_FRAMES,
        "max_epochs": 2,
        "eval_frames": 60,
    },
}


@pytest.fixture
def corpus(make_corpus: Callable[..., Path], tmp_path: Path) -> CorpusConfig:
    return read_corpus_config(
        make_corpus(
            tmp_path / "corpus", num_train_speakers=4, num_val_speakers=3, num_utterances=3
        )
    )


@pytest.fixture
def data(corpus: CorpusConfig, tmp_path: Path) -> TrainingData:
    return load_training_data(corpus, cache_dir=tmp_path / "cache")


def crop(file: Path, start: int) -> torch.Tensor:
    """One crop of that trainer's: a wrap-padded cut of the waveform, (1, S)."""
    wave = load_wave(file)
    wave = np.pad(wave, (0, max(0, CROP_SAMPLES - len(wave))), "wrap")
    return torch.from_numpy(wave[start * 160 : start * 160 + CROP_SAMPLES])[None]


def train(corpus: CorpusConfig, data: TrainingData, out: Path, teacher: Path) -> TrainResult:
    config = {"corpus": corpus.model_dump(), "teacher": teacher, "trial": STUDENT}
    run = TrainRunConfig.model_validate(config)
    return run_training(run, data, out, device=torch.device("cpu"))


@pytest.mark.usefixtures("code_allowed")
class TestBank:
    """The embeddings of a bank of crops."""

    def test_embeddings_are_the_models_of_the_trainers_crops(
        self, corpus: CorpusConfig, data: TrainingData, make_plugin: Callable, tmp_path: Path
    ) -> None:
        plugin = make_plugin(arguments={"nOut": EMBEDDING, "slope": 1.5})
        calls: list[tuple[int, int]] = []
        build_bank(
            plugin, corpus, data, tmp_path / "bank.parquet",
            progress=lambda *counts: calls.append(counts),
        )  # fmt: skip
        rows = pq.read_table(tmp_path / "bank.parquet").to_pylist()
        assert len(rows) == 3 * (12 + 9)
        embed = network(slope=1.5)
        for row in rows:
            folder = corpus.train_dir if row["utterance"] in data.train_paths else corpus.val_dir
            wave_1S = crop(folder / row["utterance"], row["start_frame"])
            assert wave_1S.shape == (1, CROP_SAMPLES)
            torch.testing.assert_close(
                torch.tensor(row["embedding"]), embed(wave_1S)[0], rtol=1e-4, atol=1e-4
            )
            assert row["num_frames"] == CROP_FRAMES
        assert calls[-1] == (21, 21)
        assert [done for done, _ in calls] == sorted(done for done, _ in calls)
        assert read_meta(tmp_path / "bank.parquet")["num_params"] == 66 + 33 * 24 + 24

    @pytest.mark.slow
    def test_utterances_shorter_than_the_crop_are_repeated(
        self, make_corpus: Callable[..., Path], make_plugin: Callable, tmp_path: Path
    ) -> None:
        short = read_corpus_config(make_corpus(tmp_path / "short", duration_s=0.52))
        data = load_training_data(short, cache_dir=tmp_path / "cache")
        plugin = make_plugin(crop_frames=60)
        build_bank(plugin, short, data, tmp_path / "bank.parquet")
        rows = pq.read_table(tmp_path / "bank.parquet").to_pylist()
        assert [row["start_frame"] for row in rows] == [0] * (30 + 20)
        wave = load_wave(short.train_dir / rows[0]["utterance"])
        again = np.pad(wave, (0, 60 * 160 + 240 - len(wave)), "wrap")
        torch.testing.assert_close(
            torch.tensor(rows[0]["embedding"]),
            network()(torch.from_numpy(again)[None])[0],
            rtol=1e-4,
            atol=1e-4,
        )

    def test_it_is_run_once_until_something_changes(
        self,
        corpus: CorpusConfig,
        data: TrainingData,
        make_plugin: Callable,
        use_worker: Callable,
        tmp_path: Path,
    ) -> None:
        use_worker("[1.0] * 24")
        bank = tmp_path / "bank.parquet"

        def is_run(plugin: Path, **options: bool) -> bool:
            before = bank.stat().st_mtime_ns
            build_bank(plugin, corpus, data, bank, **options)
            return bank.stat().st_mtime_ns != before

        build_bank(make_plugin(), corpus, data, bank)
        assert not is_run(make_plugin())
        assert not is_run(make_plugin(batch_size=64, timeout_s=30))
        assert is_run(make_plugin(seed=1))
        assert is_run(make_plugin(seed=1, code={"utils.py": "WINDOW = 64  # changed"}))
        other = weights()
        other["__S__.fc.bias"] += 1
        with pytest.raises(RunError, match=r"bank.parquet was made by another state of .*plugin"):
            is_run(make_plugin(state={"model_state_dict": other}), may_replace=False)
        assert is_run(make_plugin(state={"model_state_dict": other}))
        utterance = corpus.train_dir / data.train_paths[0]
        os.utime(utterance, (1, 1))
        assert is_run(make_plugin(state={"model_state_dict": other}))

    @pytest.mark.slow
    def test_bare_weights_of_older_versions_are_read(
        self, corpus: CorpusConfig, data: TrainingData, make_plugin: Callable, tmp_path: Path
    ) -> None:
        build_bank(make_plugin(state=weights()), corpus, data, tmp_path / "bank.parquet")
        assert stored_scores(tmp_path / "bank.parquet", data) is not None

    @pytest.mark.parametrize(
        ("answer", "message"),
        [
            ("[float('nan')] * 24", "must be finite and not zero, got another for id0.* frame "),
            ("[0.0] * 24", "must be finite and not zero"),
            ("1 / 0", r"status 1 while embedding a batch; its last output:.*ZeroDivisionError"),
            ("os.kill(os.getpid(), 9)", r"killed \(SIGKILL\) while embedding a batch; the system"),
            ("os._exit(3)", "ended with status 3 while embedding a batch"),
            ("time.sleep(60)", "no answer for 2 s while embedding a batch, .* raise timeout_s"),
        ],
    )
    def test_a_process_that_fails_is_reported_and_leaves_nothing(
        self,
        corpus: CorpusConfig,
        data: TrainingData,
        make_plugin: Callable,
        use_worker: Callable,
        tmp_path: Path,
        answer: str,
        message: str,
    ) -> None:
        # Well-behaved for a batch, so that a part of the file is written by then.
        use_worker(answer)
        plugin = make_plugin(timeout_s=2 if "sleep" in answer else 60)
        with pytest.raises(TrainingError, match=rf"(?s)plugin.yaml: .*{message}"):
            build_bank(plugin, corpus, data, tmp_path / "out" / "bank.parquet")
        assert list((tmp_path / "out").iterdir()) == []

    def test_one_path_for_two_files_is_refused(
        self, corpus: CorpusConfig, make_plugin: Callable, tmp_path: Path
    ) -> None:
        val_file = corpus.val_list.read_text().split()[1]
        (corpus.train_dir / val_file).parent.mkdir(parents=True)
        # Another recording than the one that is validated.
        other = next(corpus.train_dir.glob("*/*/*.wav"))
        (corpus.train_dir / val_file).write_bytes(other.read_bytes())
        with corpus.train_list.open("a") as out:
            out.write(f"{val_file.split('/')[0]} {val_file}\n")
        shared = corpus.model_copy(update={"allow_shared_speakers": True})
        data = load_training_data(shared, cache_dir=tmp_path / "cache")
        config = read_plugin(make_plugin())
        with pytest.raises(ConfigError, match=f"{val_file} is in both lists, but is "):
            plan_crops(config, shared, data)


def test_crops_are_drawn_by_the_seed_without_repetition(
    corpus: CorpusConfig, data: TrainingData, make_plugin: Callable
) -> None:
    config = read_plugin(make_plugin(num_crops=30))
    one, other = (plan_crops(config, corpus, data) for _ in range(2))
    reseeded = plan_crops(config.model_copy(update={"seed": 1}), corpus, data)
    starts = [[crops.start_C.tolist() for crops in plan] for plan in (one, other, reseeded)]
    assert starts[0] == starts[1]
    assert starts[0][:12] != starts[2][:12]
    assert starts[0][12:] == starts[2][12:]
    for crops, start_C in zip(one, starts[0], strict=True):
        assert len(start_C) == 30 == len(set(start_C))
        # A second is 16,000 samples: the last whole crop begins at frame 58.
        assert 0 <= min(start_C) <= max(start_C) <= 58
        assert len(load_wave(crops.file)) >= 160 * max(start_C) + CROP_SAMPLES
    assert {58} == {max(start_C) for start_C in starts[0][12:]}


@pytest.mark.slow
@pytest.mark.usefixtures("code_allowed")
def test_a_student_is_trained_by_a_plug_in_and_then_without_it(
    corpus: CorpusConfig, data: TrainingData, make_plugin: Callable, tmp_path: Path
) -> None:
    plugin = make_plugin()
    first = train(corpus, data, tmp_path / "run", plugin)
    assert first.last.teacher_cosine is not None
    assert first.last.loss_distillation == pytest.approx(1 - first.last.teacher_cosine, rel=1e-5)
    bank = tmp_path / "run" / "teacher.parquet"
    written = (tmp_path / "run" / "config.yaml").read_text()
    assert f"teacher: {bank}" in written
    plugin.unlink()
    again = train(corpus, data, tmp_path / "again", bank)
    assert again.last.loss_total == first.last.loss_total


@pytest.mark.usefixtures("code_allowed")
@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"loss": {"distillation": "kl"}}, "'kl' needs the teacher's classifier"),
        ({"loss": {"stages": "cosine"}}, "needs a teacher with stages"),
        (
            {"training": STUDENT["training"] | {"crop_frames": 48}},
            r"length of the teacher's stored crops \(40\), got 48",
        ),
    ],
)
def test_a_run_that_it_cannot_teach_is_refused_before_it_is_run(
    corpus: CorpusConfig,
    data: TrainingData,
    make_plugin: Callable,
    tmp_path: Path,
    parts: dict,
    message: str,
) -> None:
    trial = STUDENT | parts
    if "training" in parts:
        trial |= {"model": STUDENT["model"] | {"num_frames": 48}}
    config = TrainRunConfig.model_validate(
        {"corpus": corpus.model_dump(), "teacher": make_plugin(), "trial": trial}
    )
    with pytest.raises(TrainingError, match=message):
        run_training(config, data, tmp_path / "run", device=torch.device("cpu"))
    assert not (tmp_path / "run").exists()


def test_without_permission_nothing_is_run(
    corpus: CorpusConfig, data: TrainingData, make_plugin: Callable, tmp_path: Path
) -> None:
    toy = f"open({str(tmp_path / 'was-run')!r}, 'w')\n" + MODULES["models/helper.py"]
    plugin = make_plugin(code={"models/Toy.py": toy})
    with pytest.raises(ConfigError, match=r"teacher .*plugin.yaml runs code .* --allow-code"):
        train(corpus, data, tmp_path / "run", plugin)
    assert not (tmp_path / "was-run").exists()
