"""The benchmark `bank`: what is kept, compared and shown, and what runs of one seed share."""

from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import pytest
import torch
from scipy.stats import ttest_rel

from models import LSTMAutoencoderConfig, build_model
from tests.benchmarks.bank import DEFAULT_BANK, judged_bank, numbers
from tests.benchmarks.bank_figures import (
    FIGURES,
    FRESH,
    LATE,
    Run,
    by_seed,
    difference_lines,
    keep,
    kept_runs,
    paired_difference,
    run_lines,
    verdict,
)
from tests.benchmarks.bank_runs import Answered, Witness, mean_cosine
from tests.worlds.corpus import write_corpus
from trainable.config.trial_config import TrialConfig
from trainable.corpus.corpus import read_corpus_config
from trainable.features.crop_bank import CropBank
from trainable.features.training_data import TrainingData, load_training_data
from trainable.loss.teacher_output import AnyTeacher, Crops, TeacherOutput
from trainable.teachers.network import Teacher
from trainable.training.batches import Batches
from trainable.training.trainer import Trainer

FRAMES = 40
RUN = Run(
    setup="a",
    num_crops=None,
    seed=0,
    veer_pct=(30.0, 9.0, 8.0, 6.0, 7.0, 7.5),
    train_s=(3.0, 1.0, 2.0),
    taught_cosine=0.5,
    fresh_cosine=0.25,
    unseen_cosine=0.125,
)
BANK = replace(RUN, num_crops=4, veer_pct=(30.0, 9.5, 8.5, 6.5, 7.5, 8.0), fresh_cosine=0.24)


def test_a_kept_run_is_read_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "new" / "runs.jsonl"
    assert kept_runs(file, "a") == {}
    for run in (RUN, BANK, replace(RUN, setup="b", seed=7)):
        keep(file, run)
    assert kept_runs(file, "a") == {(None, 0): RUN, (4, 0): BANK}


@pytest.mark.parametrize("num_bytes", [1, 40])
def test_a_line_cut_short_costs_only_its_run(tmp_path: Path, num_bytes: int) -> None:
    file = tmp_path / "runs.jsonl"
    keep(file, RUN)
    size = file.stat().st_size
    keep(file, BANK)
    with file.open("r+b") as out:
        out.truncate(size + num_bytes)
    keep(file, replace(RUN, seed=1))
    assert kept_runs(file, "a").keys() == {(None, 0), (None, 1)}


def test_the_late_veer_is_the_median_of_the_last_five_epochs() -> None:
    assert RUN.late_pct == 7.5
    assert FIGURES[LATE](RUN) == 7.5
    assert FIGURES["best VEER, %"](RUN) == 6.0
    assert FIGURES["last VEER, %"](RUN) == 7.5
    assert FIGURES["taught less fresh"](RUN) == 0.25


def test_the_difference_is_that_of_a_paired_t_test() -> None:
    one, other = {2: 7.0, 0: 8.5, 1: 6.0}, {0: 8.0, 1: 6.5, 2: 5.0}
    apart = paired_difference(one, other)
    differences = [0.5, -0.5, 2.0]
    assert apart.mean == pytest.approx(mean(differences))
    assert apart.error == pytest.approx(stdev(differences) / 3**0.5)
    interval = ttest_rel([8.5, 6.0, 7.0], [8.0, 6.5, 5.0]).confidence_interval(0.95)
    assert (apart.low, apart.high) == pytest.approx((interval.low, interval.high))


def test_one_seed_has_no_interval() -> None:
    apart = paired_difference({3: 7.0}, {3: 6.0})
    assert apart.mean == 1.0
    assert np.isnan([apart.error, apart.low, apart.high]).all()


def test_other_seeds_are_refused() -> None:
    with pytest.raises(ValueError, match=r"seeds must be the same, got \[0, 2\] and \[0, 1\]"):
        paired_difference({0: 1.0, 2: 1.0}, {0: 1.0, 1: 1.0})


def test_tables_have_a_row_a_run_and_a_row_a_bank() -> None:
    other = [replace(run, seed=1) for run in (BANK, RUN)]
    rows = run_lines([RUN, BANK, *other])
    assert [row.split(" | ")[:2] for row in rows[2:]] == [
        ["| 0", "online"],
        ["| 0", "bank of 4"],
        ["| 1", "online"],
        ["| 1", "bank of 4"],
    ]
    assert rows[2] == (
        "| 0 | online | 6.00 | 7.50 | 7.50 | 0.5000 | 0.2500 | 0.2500 | 0.1250 | 2.0 |"
    )
    head, line, row = difference_lines([RUN, BANK, *other], [4])
    assert head.count("|") == line.count("|") == row.count("|")
    assert row.startswith("| bank of 4 | +0.50, SE 0.00 (+0.50 to +0.50) | ")
    assert " | -0.0100, SE 0.0000 (-0.0100 to -0.0100) | " in row


def test_a_bank_exactly_as_much_worse_as_allowed_meets_the_target() -> None:
    runs = [RUN, BANK, replace(RUN, seed=1), replace(BANK, seed=1)]
    assert by_seed(runs, 4, FIGURES[FRESH]) == {0: 0.24, 1: 0.24}
    ratio, target = verdict(runs, 4, 0.5)
    assert (ratio, target) == (7.5 / 8.0, 7.5 / 8.0)
    ratio, target = verdict([*runs, replace(BANK, seed=2, veer_pct=(8.75,) * 5)], 4, 0.5)
    assert ratio == pytest.approx(7.5 / 8.25)
    assert ratio < target


def test_lists_of_numbers_come_without_repetition() -> None:
    assert numbers("16,4,16") == (16, 4)


def test_the_default_bank_is_judged_or_the_next_smaller_one() -> None:
    assert judged_bank([1, DEFAULT_BANK, 1000]) == DEFAULT_BANK
    assert judged_bank([1, DEFAULT_BANK - 1, 1000]) == DEFAULT_BANK - 1
    assert judged_bank([1000, DEFAULT_BANK + 1]) == DEFAULT_BANK + 1


class Recorder:
    """A teacher with a constant output that keeps the crops it was asked about."""

    def __init__(self, bank: CropBank | None, network: Teacher) -> None:
        self.bank, self.network, self.facts = bank, network, network.facts
        self.asked: list[Crops] = []

    def to(self, _: torch.device) -> "Recorder":
        return self

    def stage_dims(self, _: torch.Tensor) -> tuple[int, ...]:
        return ()

    def draw_starts(
        self, rng: np.random.Generator, row: np.ndarray, latest: np.ndarray
    ) -> np.ndarray:
        if self.bank is None:
            return self.network.draw_starts(rng, row, latest)
        crop = rng.integers(0, self.bank.counts(latest))
        return self.bank.starts(row, latest)[np.arange(len(row)), crop]

    def output(self, crops: Crops, *, with_stages: bool) -> TeacherOutput:
        self.asked.append(crops)
        return self.network.output(crops, with_stages=with_stages)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    """The tiny corpus."""
    folder = tmp_path_factory.mktemp("corpus")
    return load_training_data(read_corpus_config(write_corpus(folder)), cache_dir=folder / "cache")


@pytest.fixture(scope="module")
def network() -> Teacher:
    """A teacher, untrained."""
    torch.manual_seed(0)
    config = LSTMAutoencoderConfig(
        hidden_dim=16, num_layers=1, bottleneck_dim=12, embedding_dim=24
    )
    return Teacher(model=build_model(config))


def trainer(data: TrainingData, teacher: AnyTeacher) -> Trainer:
    """A trainer of a tiny student with masks."""
    student = {"family": "mlp_mixer", "hidden_dim": 16, "num_blocks": 1, "num_frames": FRAMES}
    training = {"batch_size": 8, "crop_frames": FRAMES, "num_masks": 1}
    config = {"model": student | {"embedding_dim": 24}, "training": training, "seed": 3}
    return Trainer(
        TrialConfig.model_validate(config), data, teacher=teacher, device=torch.device("cpu")
    )


def masks_and_rows(
    data: TrainingData, network: Teacher, num_crops: int | None, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[float], list[int], list[int]]:
    """What is masked, in numbers drawn; rows in their order; starts, of an epoch."""
    bank = None
    if num_crops is not None:
        bank = CropBank(num_crops=num_crops, crop_frames=FRAMES, seed=0)
    recorder, drawn = Recorder(bank, network), []

    def remember(_: Batches, feat: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        drawn.append(rng.random())
        return feat

    monkeypatch.setattr(Batches, "_masked", remember)
    trainer(data, Witness(teacher=recorder)).run_epoch()
    row = np.concatenate([crops.row_B for crops in recorder.asked])
    start = np.concatenate([crops.start_B for crops in recorder.asked])
    return drawn, row.tolist(), start.tolist()


@pytest.mark.parametrize("num_crops", [1, 4])
def test_arms_of_a_seed_share_order_and_masks_but_not_crops(
    data: TrainingData, network: Teacher, monkeypatch: pytest.MonkeyPatch, num_crops: int
) -> None:
    online = masks_and_rows(data, network, None, monkeypatch)
    stored = masks_and_rows(data, network, num_crops, monkeypatch)
    assert online[:2] == stored[:2]
    assert online[2] != stored[2]


def test_a_witness_keeps_the_last_answers_with_the_crops_they_are_about(
    data: TrainingData, network: Teacher
) -> None:
    recorder = Recorder(None, network)
    witness = Witness(teacher=recorder)
    run = trainer(data, witness)
    run.run_epoch()
    assert len(witness.answers) == len(recorder.asked) == len(data.train_row) // 8
    for answer, crops in zip(witness.answers, recorder.asked, strict=True):
        feat_btf = data.features.crops(answer.row_B, answer.start_B, FRAMES)
        assert torch.equal(feat_btf, crops.feat_BTF)
        assert torch.equal(answer.emb_BD, network.embed(feat_btf).embedding_BD)


def test_the_mean_cosine_is_over_crops_whatever_the_batches(
    data: TrainingData, network: Teacher
) -> None:
    student = trainer(data, network).model
    row, start = data.train_row[:5], np.arange(5)
    feat_btf = data.features.crops(row, start, FRAMES)
    emb_BD = network.embed(feat_btf).embedding_BD
    student.eval()
    with torch.no_grad():
        own = student.embed(feat_btf)
    cosine = (own * emb_BD).sum(1) / own.norm(dim=1) / emb_BD.norm(dim=1)
    parts = [Answered(row[part], start[part], emb_BD[part]) for part in (slice(0, 4), slice(4, 5))]
    student.train()
    assert mean_cosine(student, data, parts, FRAMES) == pytest.approx(float(cosine.mean()))
